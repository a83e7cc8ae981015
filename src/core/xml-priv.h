/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading XML that others wrote, with libxml2 and from memory only. For domain.c and policy-*.c. */
#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A kind of document: its name in messages ("policy") and the most that is read of it. */
typedef struct DynXmlKind {
    const char *what;
    size_t max_bytes;
} DynXmlKind;

/* A domain, as libvirt writes it. */
extern const DynXmlKind dyn_xml_domain;

/* Parse @xml. Refused before any parser sees it: more than @kind's @max_bytes, a NUL byte, text
 * that is not UTF-8 (whatever its XML declaration says). Refused at its first sign: a DOCTYPE,
 * hence every entity of its own. libxml2's own limits (depth 256, length of names) stay on; nothing
 * is fetched, nothing is printed. Errors: DYN_ERROR_INVALID. Free with xmlFreeDoc(). */
bool
dyn_xml_parse(const char *xml, size_t length, const DynXmlKind *kind, xmlDoc **ret_doc,
              GError **error);

/* Set DYN_ERROR_INVALID with that text. Always false, to be returned. */
bool
dyn_xml_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Whether @node is the element @name in the namespace @href (NULL: in none). */
bool
dyn_xml_is(const xmlNode *node, const char *name, const char *href);

/* First child element @name of @parent that is in no namespace; NULL if there is none or no
 * @parent. */
const xmlNode *
dyn_xml_child(const xmlNode *parent, const char *name);

/* The next such element after @node. */
const xmlNode *
dyn_xml_next(const xmlNode *node, const char *name);

/* The text directly in @node, without the white space around it. Free with g_free(). */
char *
dyn_xml_text(const xmlNode *node);

/* The value of the attribute @name (in no namespace) of @node, or NULL. Free with g_free(). */
char *
dyn_xml_attr(const xmlNode *node, const char *name);

/* Whether @node (may be NULL) has the attribute @name with exactly this @value. */
bool
dyn_xml_attr_is(const xmlNode *node, const char *name, const char *value);

/* The size in @node (may be NULL) as libvirt writes sizes: <memory unit='MiB'>512</memory>. 0 where
 * there is none that can be read. */
uint64_t
dyn_xml_kib(const xmlNode *node);
/* The same of the attributes of a NUMA cell: <cell memory='512' unit='MiB'/>. */
uint64_t
dyn_xml_cell_kib(const xmlNode *cell);

/* @node as a document of its own: every namespace it needs is declared in it. Free with
 * g_free(). */
char *
dyn_xml_to_string(const xmlNode *node);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)
