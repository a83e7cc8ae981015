/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy as a metadata element. Strict on what this version knows, tolerant of elements it does
 * not: a later version may have written them, and a guest moves between hosts of different
 * versions.
 *
 * Known elements count in our namespace and in none: virDomainGetMetadata() takes the namespace off
 * those that have it and leaves the others alone, so there is no telling them apart.
 * conf/policy.rng says the same as this file; the tests run both over the same documents. */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "policy-priv.h"
#include "xml-priv.h"

static const DynXmlKind kind = { "policy", DYN_POLICY_XML_MAX_BYTES };

/* What an element is made of; the order is that of the written document. */
typedef struct {
    const char *name;
    DynPolicyKey key;
    bool is_size;
    const char *attributes[3];
} Element;

static const Element elements[] = {
    { "startup", DYN_KEY_STARTUP, true, { "unit", "charge", NULL } },
    { "minimum", DYN_KEY_MINIMUM, true, { "unit", NULL } },
    { "maximum", DYN_KEY_MAXIMUM, true, { "unit", NULL } },
    { "buffer", DYN_KEY_BUFFER, false, { NULL } },
    { "priority", DYN_KEY_PRIORITY, false, { NULL } },
    { "smartPaging", DYN_KEY_PAGING_DIRECTORY, false, { "directory", NULL } },
};

static const char *const root_attributes[] = { "mode", NULL };

static const xmlChar *
to_xml(const char *text)
{
    return (const xmlChar *)text;
}

static bool
is_ours(const xmlNode *node)
{
    return node->ns == NULL || strcmp((const char *)node->ns->href, DYN_POLICY_NAMESPACE) == 0;
}

static const Element *
find_element(const xmlNode *node)
{
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++) {
        if (is_ours(node) && strcmp((const char *)node->name, elements[i].name) == 0)
            return &elements[i];
    }
    return NULL;
}

static bool
check_attributes(const xmlNode *node, const char *const *allowed, GError **error)
{
    for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
        g_autofree char *quoted = NULL;

        if (attr->ns == NULL && g_strv_contains(allowed, (const char *)attr->name))
            continue;
        quoted = dyn_text_quote((const char *)attr->name);
        return dyn_xml_fail(error, "<%s> has the unknown attribute %s; allowed are: %s%s%s",
                            (const char *)node->name, quoted, allowed[0] ? allowed[0] : "none",
                            allowed[0] && allowed[1] ? ", " : "",
                            allowed[0] && allowed[1] ? allowed[1] : "");
    }
    return true;
}

/* No elements inside; text only where @wants_text. */
static bool
check_content(const xmlNode *node, bool wants_text, GError **error)
{
    g_autofree char *text = dyn_xml_text(node);

    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        g_autofree char *quoted = NULL;

        if (child->type != XML_ELEMENT_NODE)
            continue;
        quoted = dyn_text_quote((const char *)child->name);
        return dyn_xml_fail(error, "<%s> may not hold an element, and holds %s",
                            (const char *)node->name, quoted);
    }
    if (!wants_text && text[0] != '\0')
        return dyn_xml_fail(error, "<%s> may not hold text: its values are attributes",
                            (const char *)node->name);
    return true;
}

static bool
read_size(DynPolicy *policy, const xmlNode *node, DynPolicyKey key, GError **error)
{
    g_autofree char *number = dyn_xml_text(node);
    g_autofree char *unit = dyn_xml_attr(node, "unit");
    g_autofree char *charge = key == DYN_KEY_STARTUP ? dyn_xml_attr(node, "charge") : NULL;
    bool meant_mib = false;
    uint64_t kib;

    if (charge != NULL && !dyn_policy_set_key(policy, DYN_KEY_CHARGE, charge, error))
        return false;
    /* <startup charge='full'/>: only the charge is given. */
    if (charge != NULL && number[0] == '\0' && unit == NULL)
        return true;
    if (!dyn_size_parse_unit(number, unit, &kib, error)) {
        g_prefix_error(error, "%s: ", dyn_policy_key_word(key));
        return false;
    }
    meant_mib = unit == NULL && kib * DYN_KIB_PER_MIB >= DYN_MINIMUM_LEAST_KIB;
    return dyn_policy_set_size(policy, key, kib, meant_mib ? "unit='MiB'" : NULL, error);
}

static bool
read_value(DynPolicy *policy, const xmlNode *node, const Element *element, GError **error)
{
    bool in_attribute = element->key == DYN_KEY_PAGING_DIRECTORY;
    g_autofree char *value = NULL;

    if (element->is_size)
        return read_size(policy, node, element->key, error);
    value = in_attribute ? dyn_xml_attr(node, element->attributes[0]) : dyn_xml_text(node);
    if (value == NULL)
        return dyn_xml_fail(error, "<%s> lacks its attribute %s", element->name,
                            element->attributes[0]);
    return dyn_policy_set_key(policy, element->key, value, error);
}

static bool
read_element(DynPolicy *policy, const xmlNode *node, uint32_t *seen, GError **error)
{
    const Element *element = find_element(node);

    if (element == NULL)
        return true;
    if ((*seen & 1u << element->key) != 0)
        return dyn_xml_fail(error, "<%s> stands more than once", element->name);
    *seen |= 1u << element->key;
    return check_attributes(node, element->attributes, error) &&
           check_content(node, element->key != DYN_KEY_PAGING_DIRECTORY, error) &&
           read_value(policy, node, element, error);
}

static bool
read_root(DynPolicy *policy, const xmlNode *root, GError **error)
{
    g_autofree char *mode = NULL;
    g_autofree char *stray = NULL;
    g_autofree char *quoted = NULL;

    if (!is_ours(root)) {
        quoted = dyn_text_quote((const char *)root->ns->href);
        return dyn_xml_fail(error, "its namespace is %s, not " DYN_POLICY_NAMESPACE, quoted);
    }
    if (strcmp((const char *)root->name, kind.what) != 0) {
        quoted = dyn_text_quote((const char *)root->name);
        return dyn_xml_fail(error, "the outermost element is %s, not 'policy'", quoted);
    }
    if (!check_attributes(root, root_attributes, error))
        return false;
    stray = dyn_xml_text(root);
    if (stray[0] != '\0') {
        quoted = dyn_text_quote(stray);
        return dyn_xml_fail(error, "there is text outside of any element: %s", quoted);
    }
    mode = dyn_xml_attr(root, root_attributes[0]);
    return mode == NULL || dyn_policy_set_key(policy, DYN_KEY_MODE, mode, error);
}

static bool
read_document(DynPolicy *policy, const xmlNode *root, GError **error)
{
    g_autoptr(GPtrArray) unknown = g_ptr_array_new_with_free_func(g_free);
    uint32_t seen = 0;

    if (!read_root(policy, root, error))
        return false;
    for (const xmlNode *node = root->children; node != NULL; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (!read_element(policy, node, &seen, error))
            return false;
        if (find_element(node) == NULL)
            g_ptr_array_add(unknown, g_strdup((const char *)node->name));
    }
    if (unknown->len > 0) {
        g_ptr_array_add(unknown, NULL);
        policy->unknown = (char **)g_ptr_array_steal(unknown, NULL);
    }
    return true;
}

bool
dyn_policy_parse(const char *xml, size_t length, DynPolicy **ret_policy, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autoptr(DynPolicy) policy = dyn_policy_new();

    if (!dyn_xml_parse(xml, length, &kind, &doc, error))
        return false;
    if (!read_document(policy, xmlDocGetRootElement(doc), error)) {
        g_prefix_error(error, "%s: ", kind.what);
        return false;
    }
    *ret_policy = g_steal_pointer(&policy);
    return true;
}

static void
add_element(xmlNode *root, const DynPolicy *policy, const Element *element)
{
    g_autofree char *value = dyn_policy_value(policy, element->key);
    bool has_charge = element->key == DYN_KEY_STARTUP && DYN_POLICY_HAS(policy, DYN_KEY_CHARGE);
    g_autofree char *number = NULL;
    const char *unit = NULL;
    xmlNode *node;

    if (value == NULL && !has_charge)
        return;
    node = xmlNewChild(root, NULL, to_xml(element->name), NULL);
    if (element->is_size && value != NULL) {
        number = g_strdup_printf("%" G_GUINT64_FORMAT,
                                 dyn_size_split(dyn_policy_size(policy, element->key), &unit));
        xmlNewProp(node, to_xml("unit"), to_xml(unit));
        xmlNodeAddContent(node, to_xml(number));
    } else if (element->key == DYN_KEY_PAGING_DIRECTORY) {
        xmlNewProp(node, to_xml(element->attributes[0]), to_xml(value));
    } else if (value != NULL) {
        xmlNodeAddContent(node, to_xml(value));
    }
    if (has_charge)
        xmlNewProp(node, to_xml("charge"), to_xml(dyn_charge_word(policy->charge)));
}

/* Take our namespace off @node and what is below it, as virDomainGetMetadata() does. The depth is
 * bounded by the parser. */
static void
strip_namespace(xmlNode *node)
{
    xmlNs **link = &node->nsDef;

    if (node->type != XML_ELEMENT_NODE)
        return;
    if (is_ours(node))
        node->ns = NULL;
    for (xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
        if (attr->ns != NULL && strcmp((const char *)attr->ns->href, DYN_POLICY_NAMESPACE) == 0)
            attr->ns = NULL;
    }
    for (xmlNode *child = node->children; child != NULL; child = child->next)
        strip_namespace(child);
    while (*link != NULL) {
        xmlNs *declaration = *link;

        if (g_strcmp0((const char *)declaration->href, DYN_POLICY_NAMESPACE) != 0) {
            link = &declaration->next;
            continue;
        }
        *link = declaration->next;
        xmlFreeNs(declaration);
    }
}

static bool
carry_over(xmlNode *root, const char *previous, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;

    if (!dyn_xml_parse(previous, strlen(previous), &kind, &doc, error)) {
        g_prefix_error(error, "the present ");
        return false;
    }
    for (xmlNode *node = xmlDocGetRootElement(doc)->children; node != NULL; node = node->next) {
        xmlNode *copy;

        if (node->type != XML_ELEMENT_NODE || find_element(node) != NULL)
            continue;
        copy = xmlDocCopyNode(node, root->doc, 1);
        g_assert(copy != NULL);
        strip_namespace(copy);
        xmlAddChild(root, copy);
    }
    return true;
}

char *
dyn_policy_format(const DynPolicy *policy, const char *previous, GError **error)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc(NULL);
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNode *root;

    g_assert(doc != NULL && buffer != NULL);
    root = xmlNewDocNode(doc, NULL, to_xml("policy"), NULL);
    xmlDocSetRootElement(doc, root);
    if (DYN_POLICY_HAS(policy, DYN_KEY_MODE))
        xmlNewProp(root, to_xml(root_attributes[0]), to_xml(dyn_mode_word(policy->mode)));
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++)
        add_element(root, policy, &elements[i]);
    if (previous != NULL && !carry_over(root, previous, error))
        return NULL;
    xmlNodeDump(buffer, doc, root, 0, 1);
    return g_strdup((const char *)xmlBufferContent(buffer));
}
