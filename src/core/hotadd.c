/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spread is Jefferson's: handing out seats one by one to the list with the most votes for each
 * seat it would then have never takes a seat back when there are more of them, which rounding each
 * share does. */
#include "config.h"

#include <string.h>

#include <dynmem/hotadd.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "xml-priv.h"

static const DynVmem *
vmem_at(const GArray *vmems, guint i)
{
    return &g_array_index(vmems, DynVmem, i);
}

/* Is (@a + 1) / @of_a < (@b + 1) / @of_b? Blocks, which are fewer than 2^44. */
static bool
is_emptier(uint64_t a, uint64_t of_a, uint64_t b, uint64_t of_b)
{
    return (unsigned __int128)(a + 1) * of_b < (unsigned __int128)(b + 1) * of_a;
}

static void
give_one(guint n, const uint64_t *room, uint64_t *blocks)
{
    guint to = n;

    for (guint i = 0; i < n; i++)
        if (blocks[i] < room[i] &&
            (to == n || is_emptier(blocks[i], room[i], blocks[to], room[to])))
            to = i;
    blocks[to]++;
}

/* @total blocks to devices that take @room[i] of them each. Nobody gets less than its share rounded
 * down, so that one may begin there; fewer than @n are left then. */
static void
share_blocks(guint n, const uint64_t *room, uint64_t total, uint64_t *blocks)
{
    uint64_t all = 0, left;

    for (guint i = 0; i < n; i++)
        all += room[i];
    left = total = MIN(total, all);
    for (guint i = 0; i < n; i++) {
        blocks[i] = all != 0 ? dyn_mul_div(total, room[i], all) : 0;
        left -= blocks[i];
    }
    for (; left > 0; left--)
        give_one(n, room, blocks);
}

/* When nobody has room for a whole block of the largest kind, smaller blocks still fit here and
 * there. */
static void
give_odd_ends(const GArray *vmems, uint64_t unit_kib, uint64_t left_kib, uint64_t *requested_kib)
{
    for (guint i = 0; i < vmems->len; i++) {
        const DynVmem *vmem = vmem_at(vmems, i);
        const uint64_t odd_kib = vmem->size_kib % unit_kib;
        const uint64_t give_kib = MIN(left_kib - left_kib % vmem->block_kib, odd_kib);

        requested_kib[i] += give_kib;
        left_kib -= give_kib;
        if (give_kib < odd_kib)
            return; /* the order never depends on the total, which only says where it ends */
    }
}

bool
dyn_vmem_spread(const GArray *vmems, uint64_t total_kib, uint64_t *ret_requested_kib)
{
    const uint64_t unit_kib = dyn_vmem_block_kib(vmems);
    uint64_t room[DYN_SLOTS_MOST], given_kib = 0;
    bool full = true;

    if (unit_kib == 0)
        return false;
    for (guint i = 0; i < vmems->len; i++)
        room[i] = vmem_at(vmems, i)->size_kib / unit_kib;
    share_blocks(vmems->len, room, total_kib / unit_kib, ret_requested_kib);
    for (guint i = 0; i < vmems->len; i++) {
        full = full && ret_requested_kib[i] == room[i];
        ret_requested_kib[i] *= unit_kib;
        given_kib += ret_requested_kib[i];
    }
    if (full)
        give_odd_ends(vmems, unit_kib, total_kib - given_kib, ret_requested_kib);
    return true;
}

/* The <memory> devices of @root, first with @previous NULL. */
static xmlNode *
next_device(const xmlNode *root, const xmlNode *previous, const char *model)
{
    const xmlNode *node = previous ? dyn_xml_next(previous, "memory")
                                   : dyn_xml_child(dyn_xml_child(root, "devices"), "memory");

    while (node != NULL && !dyn_xml_attr_is(node, "model", model))
        node = dyn_xml_next(node, "memory");
    return (xmlNode *)(uintptr_t)node; /* it is the caller's document */
}

static void
set_requested(const xmlNode *device, uint64_t kib)
{
    const xmlNode *requested = dyn_xml_child(dyn_xml_child(device, "target"), "requested");
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, kib);
    xmlNode *node = (xmlNode *)(uintptr_t)requested;

    xmlNodeSetContent(node, (const xmlChar *)text);
    xmlSetProp(node, (const xmlChar *)"unit", (const xmlChar *)"KiB");
}

static bool
check_vmems(const DynDomain *domain, uint64_t total_kib, GError **error)
{
    if (domain->vmems->len == 0)
        return dyn_xml_fail(error, "the guest has no virtio-mem device");
    if (total_kib > domain->vmem_size_kib)
        return dyn_xml_fail(error,
                            "%" G_GUINT64_FORMAT " KiB of virtio-mem are asked for, its devices "
                            "have %" G_GUINT64_FORMAT, total_kib, domain->vmem_size_kib);
    return true;
}

/* The elements that change in one direction. */
static void
collect(const xmlNode *root, const GArray *vmems, const uint64_t *wanted, bool grow,
        GPtrArray *updates)
{
    guint i = 0;

    for (xmlNode *node = next_device(root, NULL, "virtio-mem"); node != NULL && i < vmems->len;
         node = next_device(root, node, "virtio-mem"), i++) {
        const uint64_t now_kib = vmem_at(vmems, i)->requested_kib;

        if (wanted[i] == now_kib || (wanted[i] > now_kib) != grow)
            continue;
        set_requested(node, wanted[i]);
        g_ptr_array_add(updates, dyn_xml_to_string(node));
    }
}

GPtrArray *
dyn_hotadd_updates(const char *xml, size_t length, uint64_t total_kib, GError **error)
{
    g_autoptr(DynDomain) domain = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    uint64_t wanted[DYN_SLOTS_MOST];
    GPtrArray *updates;

    if (!dyn_domain_parse_facts(xml, length, &domain, error) ||
        !check_vmems(domain, total_kib, error) ||
        !dyn_xml_parse(xml, length, &dyn_xml_domain, &doc, error))
        return NULL;
    if (!dyn_vmem_spread(domain->vmems, total_kib, wanted)) {
        (void)dyn_xml_fail(error, "the sizes of a virtio-mem device make no sense");
        return NULL;
    }
    updates = g_ptr_array_new_with_free_func(g_free);
    collect(xmlDocGetRootElement(doc), domain->vmems, wanted, false, updates);
    collect(xmlDocGetRootElement(doc), domain->vmems, wanted, true, updates);
    return updates;
}

char *
dyn_hotadd_update_name(const char *update)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autofree char *alias = NULL;
    g_autofree char *quoted = NULL;
    g_autofree char *kib = NULL;
    const xmlNode *root, *found, *requested;

    if (!dyn_xml_parse(update, strlen(update), &dyn_xml_domain, &doc, NULL))
        return g_strdup("virtio-mem device");
    root = xmlDocGetRootElement(doc);
    found = dyn_xml_child(root, "alias");
    requested = dyn_xml_child(dyn_xml_child(root, "target"), "requested");
    alias = found != NULL ? dyn_xml_attr(found, "name") : NULL;
    quoted = dyn_text_quote(alias != NULL ? alias : "?");
    kib = requested != NULL ? dyn_xml_text(requested) : g_strdup("?");
    return g_strdup_printf("virtio-mem device %s for %s KiB", quoted, kib);
}

/* ---- DIMMs ---- */

static bool
check_dimm(const DynDomain *domain, uint64_t size_kib, GError **error)
{
    const uint64_t room_kib = dyn_sat_sub(domain->max_memory_kib, domain->memory_kib);

    if (domain->max_memory_kib == 0)
        return dyn_xml_fail(error, "no DIMM can be added: the guest has no <maxMemory>");
    if (domain->slots_used >= domain->slots)
        return dyn_xml_fail(error, "no DIMM can be added: all %u slots are taken", domain->slots);
    if (size_kib == 0 || size_kib > room_kib)
        return dyn_xml_fail(error,
                            "a DIMM of %" G_GUINT64_FORMAT " KiB cannot be added: <maxMemory> "
                            "leaves %" G_GUINT64_FORMAT, size_kib, room_kib);
    return true;
}

/* The number in @text, or -1. */
static gint64
number_of(const char *text)
{
    gint64 number;

    return text && g_ascii_string_to_signed(text, 10, 0, INT32_MAX, &number, NULL) ? number : -1;
}

/* What devices bring to @cell. */
static uint64_t
devices_kib(const xmlNode *root, gint64 cell)
{
    uint64_t kib = 0;

    for (const xmlNode *node = dyn_xml_child(dyn_xml_child(root, "devices"), "memory");
         node != NULL; node = dyn_xml_next(node, "memory")) {
        const xmlNode *target = dyn_xml_child(node, "target");
        const xmlNode *where = dyn_xml_child(target, "node");
        g_autofree char *text = where ? dyn_xml_text(where) : NULL;

        if (number_of(text) == cell)
            kib = dyn_sat_add(kib, dyn_xml_kib(dyn_xml_child(target, "size")));
    }
    return kib;
}

/* -1: the guest has none. */
static gint64
least_cell(const xmlNode *root)
{
    const xmlNode *numa = dyn_xml_child(dyn_xml_child(root, "cpu"), "numa");
    uint64_t least_kib = UINT64_MAX;
    gint64 least = -1;
    gint64 index = 0;

    for (const xmlNode *node = dyn_xml_child(numa, "cell"); node != NULL;
         node = dyn_xml_next(node, "cell"), index++) {
        g_autofree char *id = dyn_xml_attr(node, "id");
        const gint64 cell = id ? number_of(id) : index;
        /* a size that cannot be read is 0: only a choice between cells depends on it */
        const uint64_t kib = dyn_sat_add(dyn_xml_cell_kib(node), devices_kib(root, cell));

        if (kib < least_kib) {
            least_kib = kib;
            least = cell;
        }
    }
    return least;
}

char *
dyn_hotadd_dimm(const char *xml, size_t length, uint64_t size_kib, GError **error)
{
    g_autoptr(DynDomain) domain = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    g_autofree char *node = NULL;
    gint64 cell;

    if (!dyn_domain_parse_facts(xml, length, &domain, error) ||
        !check_dimm(domain, size_kib, error) ||
        !dyn_xml_parse(xml, length, &dyn_xml_domain, &doc, error))
        return NULL;
    cell = least_cell(xmlDocGetRootElement(doc));
    node = cell < 0 ? g_strdup("")
                    : g_strdup_printf("<node>%" G_GINT64_FORMAT "</node>", cell);
    return g_strdup_printf("<memory model='dimm'><target><size unit='KiB'>%" G_GUINT64_FORMAT
                           "</size>%s</target></memory>", size_kib, node);
}
