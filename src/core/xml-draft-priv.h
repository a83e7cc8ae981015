/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a piece of XML inside its text: whatever is not changed stays byte for byte as it was,
 * quotes, comments and white space included. Understood by libxml2, edited by offsets. */
#pragma once

#include "xml-priv.h"

/* A document being changed. Each change reads the text anew: nodes from before it are gone. The
 * first change that fails (too large a text) is remembered, and those after it do nothing; nor does
 * one of a node that is NULL, since what such a change was to make is then not found. */
typedef struct DynXmlDraft DynXmlDraft;

/* As dyn_xml_parse() judges it. */
DynXmlDraft *
dyn_xml_draft_new(const char *xml, size_t length, const DynXmlKind *kind, GError **error);
void
dyn_xml_draft_free(DynXmlDraft *draft);

/* The outermost element, good until the next change. */
const xmlNode *
dyn_xml_draft_root(const DynXmlDraft *draft);
/* The text so far. Borrowed. */
const char *
dyn_xml_draft_text(const DynXmlDraft *draft);
/* The text, all changes made; NULL with the first failure. Free with g_free(). */
char *
dyn_xml_draft_finish(const DynXmlDraft *draft, GError **error);

/* Give @node the attribute @name (in no namespace); in its place where it has it, else as its last
 * one. */
void
dyn_xml_draft_set_attr(DynXmlDraft *draft, const xmlNode *node, const char *name,
                       const char *value);
/* Make @value the whole content of @node. */
void
dyn_xml_draft_set_text(DynXmlDraft *draft, const xmlNode *node, const char *value);

/* Put @xml (lines, indented relative to its first one) before or behind @sibling, or as the last
 * element in @parent. It gets the indentation of its neighbours; where these stand in one line, it
 * does too. */
void
dyn_xml_draft_insert_before(DynXmlDraft *draft, const xmlNode *sibling, const char *xml);
void
dyn_xml_draft_insert_after(DynXmlDraft *draft, const xmlNode *sibling, const char *xml);
void
dyn_xml_draft_append(DynXmlDraft *draft, const xmlNode *parent, const char *xml);
/* Put @xml in the place of @node. */
void
dyn_xml_draft_replace(DynXmlDraft *draft, const xmlNode *node, const char *xml);
/* Take @node away, with the line break and indentation before it. */
void
dyn_xml_draft_remove(DynXmlDraft *draft, const xmlNode *node);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynXmlDraft, dyn_xml_draft_free)
