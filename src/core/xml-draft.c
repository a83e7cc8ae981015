/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxml2 cannot write a document back as it read it: quotes, entities and the white space inside
 * tags are its own. A person who reads the difference wants to see what was changed and nothing
 * else, and what dynmem does not understand must survive. So the tree is only read, and a scanner
 * tells where in the text each of its elements stands. The scanner sees only what the parser has
 * taken: well-formed, without a DOCTYPE. Elements are met in the same order by both. */
#include "config.h"

#include <string.h>

#include "xml-draft-priv.h"

/* Where an element stands. An empty one (<a/>) has its content and its end tag, of no length,
 * behind it. */
typedef struct Span {
    size_t start;   /* of the start tag */
    size_t content; /* behind the start tag */
    size_t close;   /* of the end tag */
    size_t end;     /* behind the end tag */
} Span;

struct DynXmlDraft {
    const DynXmlKind *kind;
    GString *text;
    xmlDoc *doc;   /* of @text; node->_private is the number of its span, from 1 on */
    GArray *spans; /* of Span */
    GError *error; /* the first one */
};

/* Behind the next @end from @at on. The parser has seen it there. */
static size_t
behind(const char *text, size_t at, const char *end)
{
    const char *found = strstr(text + at, end);

    g_assert(found != NULL);
    return (size_t)(found - text) + strlen(end);
}

/* Behind the '>' of the tag at @at: one inside an attribute's value does not count. */
static size_t
behind_tag(const char *text, size_t at)
{
    char quote = '\0';

    for (;; at++) {
        g_assert(text[at] != '\0');
        if (quote != '\0')
            quote = text[at] == quote ? '\0' : quote;
        else if (text[at] == '"' || text[at] == '\'')
            quote = text[at];
        else if (text[at] == '>')
            return at + 1;
    }
}

static GArray *
scan(const char *text)
{
    GArray *spans = g_array_new(FALSE, FALSE, sizeof(Span));
    g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(guint));
    const char *next;

    for (size_t at = 0; (next = strchr(text + at, '<')) != NULL;) {
        size_t start = (size_t)(next - text);

        if (g_str_has_prefix(next, "<!--")) {
            at = behind(text, start + 4, "-->");
        } else if (g_str_has_prefix(next, "<![CDATA[")) {
            at = behind(text, start, "]]>");
        } else if (g_str_has_prefix(next, "<?")) {
            at = behind(text, start, "?>");
        } else if (next[1] == '/') {
            Span *span;

            at = behind_tag(text, start);
            g_assert(open->len > 0);
            span = &g_array_index(spans, Span, g_array_index(open, guint, open->len - 1));
            span->close = start;
            span->end = at;
            g_array_set_size(open, open->len - 1);
        } else {
            Span span = { .start = start };

            at = behind_tag(text, start);
            span.content = span.close = span.end = at;
            if (text[at - 2] != '/')
                g_array_append_val(open, spans->len);
            g_array_append_val(spans, span);
        }
    }
    g_assert(open->len == 0);
    return spans;
}

/* Number the elements in the order of their start tags. The depth is bounded by the parser. */
static void
number(xmlNode *node, guintptr *count)
{
    for (; node != NULL; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        node->_private = (void *)++*count;
        number(node->children, count);
    }
}

static bool
load(DynXmlDraft *draft, const char *text, size_t length, GError **error)
{
    xmlDoc *doc = NULL;
    guintptr count = 0;

    if (!dyn_xml_parse(text, length, draft->kind, &doc, error))
        return false;
    g_clear_pointer(&draft->doc, xmlFreeDoc);
    g_clear_pointer(&draft->spans, g_array_unref);
    draft->doc = doc;
    number(xmlDocGetRootElement(doc), &count);
    draft->spans = scan(text);
    g_assert(draft->spans->len == count);
    return true;
}

DynXmlDraft *
dyn_xml_draft_new(const char *xml, size_t length, const DynXmlKind *kind, GError **error)
{
    g_autoptr(DynXmlDraft) draft = g_new0(DynXmlDraft, 1);

    draft->kind = kind;
    draft->text = g_string_new(NULL);
    if (length <= kind->max_bytes)
        g_string_append_len(draft->text, xml, (gssize)length);
    if (!load(draft, length <= kind->max_bytes ? draft->text->str : xml, length, error))
        return NULL;
    return g_steal_pointer(&draft);
}

void
dyn_xml_draft_free(DynXmlDraft *draft)
{
    if (draft == NULL)
        return;
    g_string_free(draft->text, TRUE);
    if (draft->doc != NULL)
        xmlFreeDoc(draft->doc);
    if (draft->spans != NULL)
        g_array_unref(draft->spans);
    g_clear_error(&draft->error);
    g_free(draft);
}

const xmlNode *
dyn_xml_draft_root(const DynXmlDraft *draft)
{
    return xmlDocGetRootElement(draft->doc);
}

const char *
dyn_xml_draft_text(const DynXmlDraft *draft)
{
    return draft->text->str;
}

char *
dyn_xml_draft_finish(const DynXmlDraft *draft, GError **error)
{
    if (draft->error == NULL)
        return g_strdup(draft->text->str);
    g_propagate_error(error, g_error_copy(draft->error));
    return NULL;
}

/* Where @node stands; false if there is nothing to change. */
static bool
find_span(const DynXmlDraft *draft, const xmlNode *node, Span *ret_span)
{
    guintptr index = node != NULL ? (guintptr)node->_private : 0;

    if (node == NULL || draft->error != NULL)
        return false;
    g_assert(index > 0 && index <= draft->spans->len);
    *ret_span = g_array_index(draft->spans, Span, index - 1);
    return true;
}

/* The text from @from to before @to becomes @text. */
static void
splice(DynXmlDraft *draft, size_t from, size_t to, const char *text)
{
    GString *changed = g_string_new_len(draft->text->str, (gssize)from);

    g_string_append(changed, text);
    g_string_append_len(changed, draft->text->str + to, (gssize)(draft->text->len - to));
    if (load(draft, changed->str, changed->len, &draft->error)) {
        g_string_free(draft->text, TRUE);
        draft->text = changed;
    } else {
        g_string_free(changed, TRUE);
    }
}

/* ---- white space -------------------------------------------------------------------------- */

/* The line break and indentation before @at; "" where something else stands before it in its
 * line. */
static char *
break_before(const DynXmlDraft *draft, size_t at)
{
    const char *text = draft->text->str;
    size_t from = at;

    while (from > 0 && (text[from - 1] == ' ' || text[from - 1] == '\t'))
        from--;
    if (from == 0 || text[from - 1] != '\n')
        return g_strdup("");
    from -= from > 1 && text[from - 2] == '\r' ? 2 : 1;
    return g_strndup(text + from, at - from);
}

/* @xml with @line_break before every line but the first; without any where there is none. */
static char *
indent(const char *xml, const char *line_break)
{
    g_auto(GStrv) lines = g_strsplit(xml, "\n", -1);

    for (char **line = lines; line_break[0] == '\0' && *line != NULL; line++)
        g_strchug(*line);
    return g_strjoinv(line_break, lines);
}

/* ---- changes ------------------------------------------------------------------------------ */

/* Where in the start tag of @span the value of @name stands; false where it has none. */
static bool
find_attr(const DynXmlDraft *draft, const Span *span, const char *name, Span *ret_value)
{
    const char *text = draft->text->str;
    size_t at = span->start + 1 + strcspn(text + span->start + 1, " \t\r\n/>");

    for (;;) {
        size_t start, length;
        const char *value;

        at += strspn(text + at, " \t\r\n");
        if (at + 1 >= span->content || text[at] == '/')
            return false;
        start = at;
        length = strcspn(text + at, " \t\r\n=");
        at += length;
        at += strcspn(text + at, "'\"");
        value = strchr(text + at + 1, text[at]);
        g_assert(value != NULL);
        if (length == strlen(name) && strncmp(text + start, name, length) == 0) {
            *ret_value = (Span){ .start = at + 1, .end = (size_t)(value - text) };
            return true;
        }
        at = (size_t)(value - text) + 1;
    }
}

void
dyn_xml_draft_set_attr(DynXmlDraft *draft, const xmlNode *node, const char *name,
                       const char *value)
{
    const char *text = draft->text->str;
    g_autofree char *escaped = g_markup_escape_text(value, -1);
    g_autofree char *attribute = NULL;
    Span span, present;
    size_t at;

    if (!find_span(draft, node, &span))
        return;
    if (find_attr(draft, &span, name, &present)) {
        splice(draft, present.start, present.end, escaped);
        return;
    }
    at = span.content - 1;
    if (text[at - 1] == '/')
        at--;
    while (g_ascii_isspace(text[at - 1]))
        at--;
    attribute = g_strdup_printf(" %s='%s'", name, escaped);
    splice(draft, at, at, attribute);
}

/* The content of @span becomes @content, which is XML. */
static void
set_content(DynXmlDraft *draft, const Span *span, const char *content)
{
    const char *text = draft->text->str;
    size_t at = span->content - 2; /* of "/>" */
    g_autofree char *name = NULL;
    g_autofree char *opened = NULL;

    if (span->close > span->content || text[at] != '/') {
        splice(draft, span->content, span->close, content);
        return;
    }
    name = g_strndup(text + span->start + 1, strcspn(text + span->start + 1, " \t\r\n/>"));
    while (g_ascii_isspace(text[at - 1]))
        at--;
    opened = g_strdup_printf(">%s</%s>", content, name);
    splice(draft, at, span->end, opened);
}

void
dyn_xml_draft_set_text(DynXmlDraft *draft, const xmlNode *node, const char *value)
{
    g_autofree char *escaped = g_markup_escape_text(value, -1);
    Span span;

    if (find_span(draft, node, &span))
        set_content(draft, &span, escaped);
}

static void
insert(DynXmlDraft *draft, const xmlNode *sibling, const char *xml, bool behind_it)
{
    g_autofree char *line_break = NULL;
    g_autofree char *indented = NULL;
    g_autofree char *all = NULL;
    Span span;
    size_t at;

    if (!find_span(draft, sibling, &span))
        return;
    line_break = break_before(draft, span.start);
    indented = indent(xml, line_break);
    all = behind_it ? g_strconcat(line_break, indented, NULL)
                    : g_strconcat(indented, line_break, NULL);
    at = behind_it ? span.end : span.start;
    splice(draft, at, at, all);
}

void
dyn_xml_draft_insert_before(DynXmlDraft *draft, const xmlNode *sibling, const char *xml)
{
    insert(draft, sibling, xml, false);
}

void
dyn_xml_draft_insert_after(DynXmlDraft *draft, const xmlNode *sibling, const char *xml)
{
    insert(draft, sibling, xml, true);
}

void
dyn_xml_draft_append(DynXmlDraft *draft, const xmlNode *parent, const char *xml)
{
    g_autofree char *outer = NULL;
    g_autofree char *inner = NULL;
    g_autofree char *indented = NULL;
    g_autofree char *kept = NULL;
    g_autofree char *all = NULL;
    Span span;

    if (!find_span(draft, parent, &span))
        return;
    for (const xmlNode *child = parent->last; child != NULL; child = child->prev) {
        if (child->type == XML_ELEMENT_NODE) {
            dyn_xml_draft_insert_after(draft, child, xml);
            return;
        }
    }
    /* No element in it, but perhaps a comment. */
    outer = break_before(draft, span.start);
    inner = outer[0] != '\0' ? g_strconcat(outer, "  ", NULL) : g_strdup("");
    indented = indent(xml, inner);
    kept = g_strndup(draft->text->str + span.content, span.close - span.content);
    all = g_strconcat(g_strchomp(kept), inner, indented, outer, NULL);
    set_content(draft, &span, all);
}

void
dyn_xml_draft_replace(DynXmlDraft *draft, const xmlNode *node, const char *xml)
{
    g_autofree char *line_break = NULL;
    g_autofree char *indented = NULL;
    Span span;

    if (!find_span(draft, node, &span))
        return;
    line_break = break_before(draft, span.start);
    indented = indent(xml, line_break);
    splice(draft, span.start, span.end, indented);
}

void
dyn_xml_draft_remove(DynXmlDraft *draft, const xmlNode *node)
{
    g_autofree char *line_break = NULL;
    Span span;

    if (!find_span(draft, node, &span))
        return;
    line_break = break_before(draft, span.start);
    splice(draft, span.start - strlen(line_break), span.end, "");
}
