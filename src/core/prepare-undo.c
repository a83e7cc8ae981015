/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What prepare can be undone from stands in the domain itself: it goes where the domain goes, and
 * is gone when the domain is. It holds no secret: everybody who may read a domain sees its
 * metadata, so the original is kept as libvirt shows it to everybody, and the passwords of its
 * graphics are taken from the domain when it is put back. */
#include "config.h"

#include <string.h>

#include <dynmem/text.h>

#include "prepare-priv.h"

const xmlNode *
dyn_preparing_metadata(const DynXmlDraft *draft, const char *href)
{
    const xmlNode *metadata = dyn_xml_child(dyn_xml_draft_root(draft), "metadata");
    const xmlNode *node = metadata != NULL ? metadata->children : NULL;

    while (node != NULL && (node->type != XML_ELEMENT_NODE || node->ns == NULL ||
                            g_strcmp0((const char *)node->ns->href, href) != 0))
        node = node->next;
    return node;
}

/* ---- what is kept ------------------------------------------------------------------------- */

/* The text in the element @name of @kept, or NULL. */
static char *
read_part(const xmlNode *kept, const char *name)
{
    for (const xmlNode *node = kept->children; node != NULL; node = node->next) {
        if (dyn_xml_is(node, name, DYN_PREPARE_NAMESPACE) || dyn_xml_is(node, name, NULL))
            return dyn_xml_text(node);
    }
    return NULL;
}

bool
dyn_prepare_kept(const char *xml, size_t length, DynKept **ret_kept, GError **error)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(xml, length, &dyn_xml_domain, error);
    g_autoptr(DynKept) kept = NULL;
    const xmlNode *node;

    if (draft == NULL)
        return false;
    node = dyn_preparing_metadata(draft, DYN_PREPARE_NAMESPACE);
    if (node != NULL) {
        kept = g_new0(DynKept, 1);
        kept->original = read_part(node, "original");
        kept->produced = read_part(node, "produced");
        if (kept->original == NULL)
            return dyn_xml_fail(error, "what 'dynmem prepare' kept in the metadata ("
                                DYN_PREPARE_NAMESPACE ") has no <original>: remove it with 'virsh "
                                "metadata --config --remove' to prepare it anew");
    }
    *ret_kept = g_steal_pointer(&kept);
    return true;
}

void
dyn_kept_free(DynKept *kept)
{
    if (kept == NULL)
        return;
    g_free(kept->original);
    g_free(kept->produced);
    g_free(kept);
}

static char *
format_kept(const DynKept *kept, const char *attribute)
{
    g_autofree char *original = g_markup_escape_text(kept->original, -1);
    g_autofree char *escaped = kept->produced ? g_markup_escape_text(kept->produced, -1) : NULL;
    g_autofree char *produced = NULL;

    if (escaped != NULL)
        produced = g_strdup_printf("  <produced>%s</produced>\n", escaped);
    return g_strdup_printf("<prepare%s>\n  <original>%s</original>\n%s</prepare>", attribute,
                           original, produced ? produced : "");
}

char *
dyn_kept_format(const DynKept *kept)
{
    return format_kept(kept, "");
}

char *
dyn_prepare_keep(const char *xml, const DynKept *kept, GError **error)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(xml, strlen(xml), &dyn_xml_domain, error);
    g_autofree char *element = format_kept(kept, " xmlns=\"" DYN_PREPARE_NAMESPACE "\"");
    const xmlNode *metadata;

    if (draft == NULL)
        return NULL;
    metadata = dyn_xml_child(dyn_xml_draft_root(draft), "metadata");
    if (dyn_preparing_metadata(draft, DYN_PREPARE_NAMESPACE) != NULL) {
        dyn_xml_draft_replace(draft, dyn_preparing_metadata(draft, DYN_PREPARE_NAMESPACE), element);
    } else if (metadata != NULL) {
        dyn_xml_draft_append(draft, metadata, element);
    } else {
        g_set_error_literal(error, DYN_ERROR, DYN_ERROR_INVALID,
                            "there is no <metadata> to keep the original in");
        return NULL;
    }
    return dyn_xml_draft_finish(draft, error);
}

/* ---- what is compared and shown ----------------------------------------------------------- */

/* <metadata> with nothing in it is as good as none: libvirt does not write it. */
static void
remove_metadata(DynXmlDraft *draft, const char *href)
{
    const xmlNode *metadata;

    dyn_xml_draft_remove(draft, dyn_preparing_metadata(draft, href));
    metadata = dyn_xml_child(dyn_xml_draft_root(draft), "metadata");
    for (const xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next) {
        if (node->type != XML_TEXT_NODE || xmlIsBlankNode(node) == 0)
            return;
    }
    dyn_xml_draft_remove(draft, metadata);
}

char *
dyn_prepare_shown(const char *xml, GError **error)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(xml, strlen(xml), &dyn_xml_domain, error);

    if (draft == NULL)
        return NULL;
    if (dyn_preparing_metadata(draft, DYN_PREPARE_NAMESPACE) != NULL)
        remove_metadata(draft, DYN_PREPARE_NAMESPACE);
    return dyn_xml_draft_finish(draft, error);
}

char *
dyn_prepare_bare(const char *xml, GError **error)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(xml, strlen(xml), &dyn_xml_domain, error);

    if (draft == NULL)
        return NULL;
    remove_metadata(draft, DYN_PREPARE_NAMESPACE);
    remove_metadata(draft, DYN_POLICY_NAMESPACE);
    dyn_xml_draft_remove(draft, dyn_xml_child(dyn_xml_draft_root(draft), "currentMemory"));
    return dyn_xml_draft_finish(draft, error);
}

/* ---- white space -------------------------------------------------------------------------- */

/* The depth is bounded by the parser. */
static void
drop_blanks(xmlNode *parent)
{
    const bool has_elements = xmlFirstElementChild(parent) != NULL;
    xmlNode *next;

    for (xmlNode *node = parent->children; node != NULL; node = next) {
        next = node->next;
        if (has_elements && node->type == XML_TEXT_NODE && xmlIsBlankNode(node) != 0) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        } else if (node->type == XML_ELEMENT_NODE) {
            drop_blanks(node);
        }
    }
}

/* The <metadata> of @xml without white space between its elements, and in @ret_rest what is left
 * of @xml without it; NULL where @xml cannot be read. */
static char *
split_metadata(const char *xml, char **ret_rest)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(xml, strlen(xml), &dyn_xml_domain, NULL);
    g_autoptr(xmlDoc) doc = xmlNewDoc(NULL);
    const xmlNode *metadata;
    char *text = NULL;

    if (draft == NULL)
        return NULL;
    metadata = dyn_xml_child(dyn_xml_draft_root(draft), "metadata");
    if (metadata != NULL) {
        xmlNode *copy = xmlDocCopyNode((xmlNode *)(guintptr)metadata, doc, 1); /* only reads */

        g_assert(copy != NULL);
        xmlDocSetRootElement(doc, copy);
        drop_blanks(copy);
        text = dyn_xml_to_string(copy);
    }
    dyn_xml_draft_remove(draft, metadata);
    *ret_rest = g_strdup(dyn_xml_draft_text(draft));
    return text != NULL ? text : g_strdup("");
}

bool
dyn_prepare_is_same(const char *a, const char *b)
{
    g_autofree char *rest_a = NULL;
    g_autofree char *rest_b = NULL;
    g_autofree char *metadata_a = split_metadata(a, &rest_a);
    g_autofree char *metadata_b = split_metadata(b, &rest_b);

    return metadata_a != NULL && g_strcmp0(metadata_a, metadata_b) == 0 &&
           strcmp(rest_a, rest_b) == 0;
}

/* ---- passwords ---------------------------------------------------------------------------- */

static const xmlNode *
nth_graphics(const DynXmlDraft *draft, guint n)
{
    const xmlNode *devices = dyn_xml_child(dyn_xml_draft_root(draft), "devices");
    const xmlNode *node = dyn_xml_child(devices, "graphics");

    for (; node != NULL && n > 0; n--)
        node = dyn_xml_next(node, "graphics");
    return node;
}

char *
dyn_prepare_with_secrets(const char *original, const char *current, GError **error)
{
    g_autoptr(DynXmlDraft) draft =
        dyn_xml_draft_new(original, strlen(original), &dyn_xml_domain, error);
    g_autoptr(DynXmlDraft) from = NULL;

    if (draft != NULL)
        from = dyn_xml_draft_new(current, strlen(current), &dyn_xml_domain, error);
    if (from == NULL)
        return NULL;
    for (guint n = 0; nth_graphics(draft, n) != NULL && nth_graphics(from, n) != NULL; n++) {
        g_autofree char *type = dyn_xml_attr(nth_graphics(draft, n), "type");
        g_autofree char *password = dyn_xml_attr(nth_graphics(from, n), "passwd");

        if (password != NULL && dyn_xml_attr_is(nth_graphics(from, n), "type", type))
            dyn_xml_draft_set_attr(draft, nth_graphics(draft, n), "passwd", password);
    }
    return dyn_xml_draft_finish(draft, error);
}
