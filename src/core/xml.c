/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "xml-priv.h"

/* libxml2 calls this as soon as it has read the name of a DOCTYPE, before any declaration in it:
 * the one place where entity bombs can be refused before they are even read. */
static void
refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
    xmlParserCtxt *parser = ctx;
    bool *ret_refused = parser->_private;

    *ret_refused = true;
    xmlStopParser(parser);
}

static bool
check_text(const char *xml, size_t length, const DynXmlKind *kind, GError **error)
{
    const char *end;

    if (length > kind->max_bytes) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s: %zu bytes are more than the %zu that are read", kind->what, length,
                    kind->max_bytes);
        return false;
    }
    if (!g_utf8_validate(xml, (gssize)length, &end)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s: byte %td is 0x%02x, which is not UTF-8 text", kind->what, end - xml + 1,
                    (unsigned)(guchar)*end);
        return false;
    }
    return true;
}

static bool
fail_syntax(xmlParserCtxt *parser, const char *what, GError **error)
{
    const xmlError *last = xmlCtxtGetLastError(parser);
    const char *message = last != NULL && last->message != NULL ? last->message : "unknown error";
    g_autofree char *line = g_strdup(message);
    g_autofree char *safe = NULL;

    safe = dyn_text_escape(g_strchomp(line), 200);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: not well-formed XML: line %d: %s", what,
                last != NULL ? last->line : 0, safe);
    return false;
}

bool
dyn_xml_parse(const char *xml, size_t length, const DynXmlKind *kind, xmlDoc **ret_doc,
              GError **error)
{
    const int options =
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
    g_autoptr(xmlParserCtxt) parser = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    bool doctype = false;

    if (!check_text(xml, length, kind, error))
        return false;
    parser = xmlNewParserCtxt();
    if (parser == NULL) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: no memory for an XML parser",
                    kind->what);
        return false;
    }
    parser->_private = &doctype;
    parser->sax->internalSubset = refuse_doctype;
    doc = xmlCtxtReadMemory(parser, xml, (int)length, NULL, "UTF-8", options);
    if (doctype) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s: a document type (<!DOCTYPE>) is not allowed", kind->what);
        return false;
    }
    if (doc == NULL || xmlDocGetRootElement(doc) == NULL)
        return fail_syntax(parser, kind->what, error);
    *ret_doc = g_steal_pointer(&doc);
    return true;
}

bool
dyn_xml_fail(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, DYN_ERROR, DYN_ERROR_INVALID, text);
    return false;
}

bool
dyn_xml_is(const xmlNode *node, const char *name, const char *href)
{
    const char *node_href = node->ns != NULL ? (const char *)node->ns->href : NULL;

    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
           g_strcmp0(node_href, href) == 0;
}

static const xmlNode *
find_from(const xmlNode *node, const char *name)
{
    while (node != NULL && !dyn_xml_is(node, name, NULL))
        node = node->next;
    return node;
}

const xmlNode *
dyn_xml_child(const xmlNode *parent, const char *name)
{
    return parent != NULL ? find_from(parent->children, name) : NULL;
}

const xmlNode *
dyn_xml_next(const xmlNode *node, const char *name)
{
    return find_from(node->next, name);
}

char *
dyn_xml_text(const xmlNode *node)
{
    GString *text = g_string_new(NULL);

    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_TEXT_NODE && child->content != NULL)
            g_string_append(text, (const char *)child->content);
    }
    return g_strstrip(g_string_free(text, FALSE));
}

char *
dyn_xml_attr(const xmlNode *node, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    char *copy = g_strdup((const char *)value);

    if (value != NULL)
        xmlFree(value);
    return copy;
}

bool
dyn_xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *found = node != NULL ? dyn_xml_attr(node, name) : NULL;

    return g_strcmp0(found, value) == 0;
}

static uint64_t
lenient_kib(const char *number, const char *unit)
{
    uint64_t kib = 0;

    return number != NULL && dyn_size_parse_unit(number, unit, &kib, NULL) ? kib : 0;
}

uint64_t
dyn_xml_kib(const xmlNode *node)
{
    g_autofree char *number = node != NULL ? dyn_xml_text(node) : NULL;
    g_autofree char *unit = node != NULL ? dyn_xml_attr(node, "unit") : NULL;

    return lenient_kib(number, unit);
}

uint64_t
dyn_xml_cell_kib(const xmlNode *cell)
{
    g_autofree char *number = dyn_xml_attr(cell, "memory");
    g_autofree char *unit = dyn_xml_attr(cell, "unit");

    return lenient_kib(number, unit);
}

char *
dyn_xml_to_string(const xmlNode *node)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc(NULL);
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNode *copy;
    int length;

    g_assert(doc != NULL && buffer != NULL);
    /* xmlDocCopyNode() declares on the copy what was declared on ancestors left behind; it only
     * reads its source, whatever older headers say. */
    copy = xmlDocCopyNode((xmlNode *)(guintptr)node, doc, 1);
    g_assert(copy != NULL);
    xmlDocSetRootElement(doc, copy);
    length = xmlNodeDump(buffer, doc, copy, 0, 0);
    g_assert(length >= 0);
    return g_strdup((const char *)xmlBufferContent(buffer));
}
