/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sizes. libvirt (9.0, tried): where there are NUMA cells, what they sum up to and the memory
 * devices replace what <memory> says; where there are none, what the devices leave of <memory> is
 * booted with. So <memory> is always written with the devices in it, as libvirt itself does, and
 * the cells sum up to the rest. */
#include "config.h"

#include <string.h>

#include "prepare-priv.h"

static const xmlNode *
find_size(const DynPreparing *work, const char *name)
{
    return dyn_xml_child(dyn_xml_draft_root(work->draft), name);
}

/* The first element @name of the domain becomes @kib. */
static void
write_size(DynPreparing *work, const char *name, uint64_t kib)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, kib);

    if (!dyn_xml_attr_is(find_size(work, name), "unit", "KiB"))
        dyn_xml_draft_set_attr(work->draft, find_size(work, name), "unit", "KiB");
    dyn_xml_draft_set_text(work->draft, find_size(work, name), number);
}

static void
say_size(DynPreparing *work, const char *name, const uint64_t kib[2], const char *why)
{
    g_autofree char *was = dyn_size_format_exact(kib[0]);
    g_autofree char *is = dyn_size_format_exact(kib[1]);

    if (kib[0] != 0)
        dyn_preparing_changed(work, "<%s>: %s (was %s): %s", name, is, was, why);
    else
        dyn_preparing_changed(work, "<%s>: %s (added): %s", name, is, why);
}

void
dyn_preparing_set_memory(DynPreparing *work, uint64_t total_kib, const char *why)
{
    const uint64_t was = dyn_xml_kib(find_size(work, "memory"));
    const uint64_t most = dyn_xml_kib(find_size(work, "maxMemory"));

    if (most != 0 && most < total_kib) {
        write_size(work, "maxMemory", total_kib);
        say_size(work, "maxMemory", (const uint64_t[]){ most, total_kib },
                 "not less than <memory>");
    }
    if (was == total_kib)
        return;
    write_size(work, "memory", total_kib);
    say_size(work, "memory", (const uint64_t[]){ was, total_kib }, why);
}

void
dyn_preparing_set_current(DynPreparing *work)
{
    const uint64_t startup = work->request->policy->startup_kib;
    const uint64_t total = dyn_xml_kib(find_size(work, "memory"));
    const uint64_t was = dyn_xml_kib(find_size(work, "currentMemory"));

    if (was == startup || (was == 0 && total == startup))
        return;
    if (was == 0)
        dyn_xml_draft_insert_after(work->draft, find_size(work, "memory"),
                                   "<currentMemory unit='KiB'/>");
    write_size(work, "currentMemory", startup);
    say_size(work, "currentMemory", (const uint64_t[]){ was, startup }, "startup");
}

void
dyn_preparing_set_max(DynPreparing *work, uint64_t total_kib, unsigned slots, const char *why)
{
    const uint64_t was = dyn_xml_kib(find_size(work, "maxMemory"));
    const uint64_t wanted = MAX(was, total_kib);
    g_autofree char *size = dyn_size_format_exact(wanted);
    g_autofree char *count = g_strdup_printf("%u", MAX(slots, work->before->slots));

    if (was >= total_kib && work->before->slots >= slots)
        return;
    if (was == 0)
        dyn_xml_draft_insert_before(work->draft, find_size(work, "memory"),
                                    "<maxMemory slots='' unit='KiB'/>");
    dyn_xml_draft_set_attr(work->draft, find_size(work, "maxMemory"), "slots", count);
    if (was < total_kib)
        write_size(work, "maxMemory", total_kib);
    dyn_preparing_changed(work, "<maxMemory>: %s, slots='%s': %s", size, count, why);
}

/* ---- NUMA cells --------------------------------------------------------------------------- */

static const xmlNode *
first_cell(const DynPreparing *work)
{
    const xmlNode *cpu = dyn_xml_child(dyn_xml_draft_root(work->draft), "cpu");

    return dyn_xml_child(dyn_xml_child(cpu, "numa"), "cell");
}

static const xmlNode *
nth_cell(const DynPreparing *work, guint n)
{
    const xmlNode *cell = first_cell(work);

    for (; n > 0; n--)
        cell = dyn_xml_next(cell, "cell");
    return cell;
}

static void
write_cell(DynPreparing *work, guint n, uint64_t kib)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, kib);
    g_autofree char *was = dyn_size_format_exact(dyn_xml_cell_kib(nth_cell(work, n)));
    g_autofree char *is = dyn_size_format_exact(kib);
    g_autofree char *id = dyn_xml_attr(nth_cell(work, n), "id");

    if (kib == dyn_xml_cell_kib(nth_cell(work, n)))
        return;
    dyn_xml_draft_set_attr(work->draft, nth_cell(work, n), "memory", number);
    if (!dyn_xml_attr_is(nth_cell(work, n), "unit", "KiB"))
        dyn_xml_draft_set_attr(work->draft, nth_cell(work, n), "unit", "KiB");
    dyn_preparing_changed(work, "NUMA cell %s: %s (was %s): the cells sum up to what it boots with",
                          id ? id : "?", is, was);
}

/* What cell @n gets of @base_kib: its share of before, in whole MiB (libvirt rounds up to these at
 * the start). */
static uint64_t
share(uint64_t was_kib, uint64_t sum_kib, uint64_t base_kib)
{
    const uint64_t part = dyn_mul_div(base_kib, was_kib, sum_kib);

    if (was_kib == 0)
        return 0;
    return MAX(part / DYN_KIB_PER_MIB * DYN_KIB_PER_MIB, DYN_KIB_PER_MIB);
}

bool
dyn_preparing_set_base(DynPreparing *work, uint64_t base_kib, GError **error)
{
    g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_autofree char *base = dyn_size_format(base_kib);
    uint64_t sum = 0, given = 0;
    guint first = G_MAXUINT;

    for (const xmlNode *cell = first_cell(work); cell; cell = dyn_xml_next(cell, "cell")) {
        const uint64_t kib = dyn_xml_cell_kib(cell);

        if (kib != 0 && first == G_MAXUINT)
            first = sizes->len;
        sum = dyn_sat_add(sum, kib);
        g_array_append_val(sizes, kib);
    }
    if (sizes->len == 0 || sum == base_kib)
        return true;
    if (sum == 0)
        return dyn_preparing_refuse(work, error, "none of its NUMA cells has memory; give one "
                                    "some (virsh edit)");
    for (guint i = 0; i < sizes->len; i++) {
        uint64_t *kib = &g_array_index(sizes, uint64_t, i);

        *kib = share(*kib, sum, base_kib);
        given += i == first ? 0 : *kib;
    }
    if (given >= base_kib)
        return dyn_preparing_refuse(work, error, "%s to boot with are too little for its %u NUMA "
                                    "cells; raise --startup", base, sizes->len);
    g_array_index(sizes, uint64_t, first) = base_kib - given;
    for (guint i = 0; i < sizes->len; i++)
        write_cell(work, i, g_array_index(sizes, uint64_t, i));
    return true;
}

static void
insert_cpu(DynPreparing *work)
{
    static const char *const before[] = { "features", "os", "vcpu", "memory" };
    const xmlNode *root = dyn_xml_draft_root(work->draft);
    size_t i = 0;

    while (dyn_xml_child(root, before[i]) == NULL)
        i++; /* <memory> is there: the domain was parsed */
    dyn_xml_draft_insert_after(work->draft, dyn_xml_child(root, before[i]), "<cpu/>");
}

void
dyn_preparing_need_cell(DynPreparing *work, uint64_t base_kib)
{
    const xmlNode *root = dyn_xml_draft_root(work->draft);
    const xmlNode *vcpu = dyn_xml_child(root, "vcpu");
    g_autofree char *text = vcpu != NULL ? dyn_xml_text(vcpu) : g_strdup("1");
    guint64 vcpus = 1;
    g_autofree char *cpus = NULL;
    g_autofree char *cell = NULL;
    const xmlNode *cpu, *numa;

    if (first_cell(work) != NULL)
        return;
    (void)g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, &vcpus, NULL); /* was parsed */
    cpus = vcpus == 1 ? g_strdup("0") : g_strdup_printf("0-%" G_GUINT64_FORMAT, vcpus - 1);
    cell = g_strdup_printf("<cell id='0' cpus='%s' memory='%" G_GUINT64_FORMAT "' unit='KiB'/>",
                           cpus, base_kib);
    if (dyn_xml_child(root, "cpu") == NULL)
        insert_cpu(work);
    cpu = dyn_xml_child(dyn_xml_draft_root(work->draft), "cpu");
    numa = dyn_xml_child(cpu, "numa");
    if (numa != NULL) {
        dyn_xml_draft_append(work->draft, numa, cell);
    } else {
        g_autofree char *element = g_strdup_printf("<numa>\n  %s\n</numa>", cell);

        dyn_xml_draft_append(work->draft, cpu, element);
    }
    dyn_preparing_changed(work, "NUMA cell 0 with vCPUs %s: added: memory is plugged into a cell",
                          cpus);
}

unsigned
dyn_preparing_first_cell(const DynPreparing *work)
{
    const xmlNode *cell = first_cell(work);
    g_autofree char *id = cell != NULL ? dyn_xml_attr(cell, "id") : NULL;
    guint64 number = 0;

    if (id != NULL)
        (void)g_ascii_string_to_unsigned(id, 10, 0, G_MAXUINT32, &number, NULL);
    return (unsigned)number;
}
