/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libvirt is told: how a total is spread over devices, and the XML of those that change. */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/hotadd.h>
#include <dynmem/units.h>

#include "random.h"
#include "suite.h"

#define MIB UINT64_C(1024)

static GArray *
vmems_of(const DynVmem *rows, guint n)
{
    GArray *vmems = g_array_new(FALSE, FALSE, sizeof(DynVmem));

    g_array_append_vals(vmems, rows, n);
    return vmems;
}

START_TEST(test_hotadd_spread)
{
    static const DynVmem two[] = { { .size_kib = 768 * MIB, .block_kib = 2 * MIB },
                                   { .size_kib = 256 * MIB, .block_kib = 2 * MIB } };
    static const struct {
        uint64_t total, first, second;
    } rows[] = { { 0, 0, 0 }, { 400, 300, 100 }, { 402, 302, 100 }, { 406, 306, 100 },
                 { 2, 2, 0 }, { 1, 0, 0 }, { 1024, 768, 256 }, { 5000, 768, 256 } };
    g_autoptr(GArray) vmems = vmems_of(two, 2);
    uint64_t shares[2];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        ck_assert(dyn_vmem_spread(vmems, rows[i].total * MIB, shares));
        ck_assert_uint_eq(shares[0], rows[i].first * MIB);
        ck_assert_uint_eq(shares[1], rows[i].second * MIB);
    }
}
END_TEST

/* Odd ends come last, and in order. */
START_TEST(test_hotadd_spread_of_unlike_blocks)
{
    static const DynVmem three[] = { { .size_kib = 10 * MIB, .block_kib = 2 * MIB },
                                     { .size_kib = 32 * MIB, .block_kib = 8 * MIB },
                                     { .size_kib = 20 * MIB, .block_kib = 4 * MIB } };
    static const struct {
        uint64_t total, shares[3];
    } rows[] = { { 7, { 0, 0, 0 } }, { 8, { 0, 8, 0 } }, { 56, { 8, 32, 16 } },
                 { 57, { 8, 32, 16 } }, { 58, { 10, 32, 16 } }, { 60, { 10, 32, 16 } },
                 { 62, { 10, 32, 20 } }, { 63, { 10, 32, 20 } } };
    g_autoptr(GArray) vmems = vmems_of(three, 3);
    uint64_t shares[3];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        ck_assert(dyn_vmem_spread(vmems, rows[i].total * MIB, shares));
        for (size_t d = 0; d < 3; d++)
            ck_assert_uint_eq(shares[d], rows[i].shares[d] * MIB);
    }
}
END_TEST

START_TEST(test_hotadd_spread_refuses)
{
    static const DynVmem bad = { .size_kib = 10 * MIB };
    static const DynVmem good = { .size_kib = 10 * MIB, .block_kib = 2 * MIB };
    g_autoptr(GArray) none = vmems_of(NULL, 0);
    g_autoptr(GArray) one_bad = vmems_of(&good, 1);
    g_autoptr(GArray) many = vmems_of(&good, 1);
    uint64_t shares[DYN_SLOTS_MOST + 1] = { 42 };

    g_array_append_val(one_bad, bad);
    while (many->len <= DYN_SLOTS_MOST)
        g_array_append_val(many, good);
    ck_assert(!dyn_vmem_spread(none, MIB, shares));
    ck_assert(!dyn_vmem_spread(one_bad, MIB, shares));
    ck_assert(!dyn_vmem_spread(many, MIB, shares));
    ck_assert_uint_eq(shares[0], 42);
    g_array_set_size(many, DYN_SLOTS_MOST);
    ck_assert(dyn_vmem_spread(many, 512 * MIB, shares));
    ck_assert_uint_eq(shares[DYN_SLOTS_MOST - 1], 2 * MIB);
}
END_TEST

/* Whatever devices: in blocks, within their sizes, as much as there is room for, and a larger total
 * takes from nobody. */
START_TEST(test_hotadd_spread_random)
{
    gboolean last;
    uint64_t state = dyn_random_seed(910001, (uint64_t)_i, &last);

    for (int world = 0; world < 200; world++) {
        g_autoptr(GArray) vmems = vmems_of(NULL, 0);
        const uint64_t n = 1 + dyn_random_upto(&state, 7);
        uint64_t before[8] = { 0 }, shares[8];
        uint64_t size = 0, block = 0;

        for (uint64_t i = 0; i < n; i++) {
            const uint64_t own = (2 * MIB) << dyn_random_upto(&state, 5);
            const DynVmem vmem = { .block_kib = own,
                                   .size_kib = own * (1 + dyn_random_upto(&state, 100)) };

            g_array_append_val(vmems, vmem);
            size += vmem.size_kib;
            block = MAX(block, own);
        }
        for (uint64_t total = 0; total < size + 64 * MIB;
             total += 1 + dyn_random_upto(&state, size / 20)) {
            uint64_t sum = 0;

            ck_assert(dyn_vmem_spread(vmems, total, shares));
            for (uint64_t i = 0; i < n; i++) {
                const DynVmem *vmem = &g_array_index(vmems, DynVmem, i);

                ck_assert_uint_eq(shares[i] % vmem->block_kib, 0);
                ck_assert_uint_le(shares[i], vmem->size_kib);
                ck_assert_uint_ge(shares[i], before[i]);
                before[i] = shares[i];
                sum += shares[i];
            }
            ck_assert_uint_le(sum, total);
            ck_assert_uint_gt(sum + block, MIN(total, size));
        }
    }
}
END_TEST

#define UUID "11111111-2222-3333-4444-555555555555"
#define CELLS                                                                                      \
    "<cpu><numa><cell id='0' cpus='0' memory='131072' unit='KiB'/>"                                \
    "<cell id='1' cpus='1' memory='128' unit='MiB'/></numa></cpu>"
#define VMEM(alias, size, requested, node)                                                         \
    "<memory model='virtio-mem'><target><size unit='MiB'>" size "</size><node>" node "</node>"     \
    "<block unit='MiB'>2</block><requested unit='MiB'>" requested "</requested>"                   \
    "<current unit='KiB'>0</current></target><alias name='" alias "'/></memory>"

static const char two_devices[] =
    "<domain><name>a</name><uuid>" UUID "</uuid><memory unit='MiB'>768</memory>" CELLS
    "<devices><memballoon model='virtio'/>" VMEM("virtiomem0", "256", "200", "0")
    "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
    VMEM("virtiomem1", "128", "0", "1") "</devices></domain>";

START_TEST(test_hotadd_updates)
{
    g_autoptr(GPtrArray) updates =
        dyn_hotadd_updates(two_devices, strlen(two_devices), 150 * MIB, NULL);
    g_autoptr(GPtrArray) none =
        dyn_hotadd_updates(two_devices, strlen(two_devices), 300 * MIB, NULL);
    g_autofree char *name = NULL;
    g_autofree char *nobody = NULL;

    ck_assert_uint_eq(updates->len, 2);
    /* the one that shrinks comes first, all of it but what changes as libvirt wrote it */
    ck_assert_str_eq(updates->pdata[0],
                     "<memory model=\"virtio-mem\"><target><size unit=\"MiB\">256</size>"
                     "<node>0</node><block unit=\"MiB\">2</block>"
                     "<requested unit=\"KiB\">102400</requested><current unit=\"KiB\">0</current>"
                     "</target><alias name=\"virtiomem0\"/></memory>");
    ck_assert_ptr_nonnull(strstr(updates->pdata[1], "<requested unit=\"KiB\">51200</requested>"));
    ck_assert_ptr_nonnull(strstr(updates->pdata[1], "virtiomem1"));
    name = dyn_hotadd_update_name(updates->pdata[0]);
    ck_assert_str_eq(name, "virtio-mem device 'virtiomem0' for 102400 KiB");
    nobody = dyn_hotadd_update_name("<memory/>");
    ck_assert_str_eq(nobody, "virtio-mem device '?' for ? KiB");
    ck_assert_uint_eq(none->len, 1); /* the first has its share already */
    ck_assert_ptr_nonnull(strstr(none->pdata[0], "<requested unit=\"KiB\">102400</requested>"));
}
END_TEST

typedef struct {
    const char *devices;
    uint64_t total_mib;
    const char *message;
} RefusedRow;

static const RefusedRow refused[] = {
    { "", 64, "the guest has no virtio-mem device" },
    { VMEM("a", "256", "0", "0"), 258,
      "264192 KiB of virtio-mem are asked for, its devices have 262144" },
    { VMEM("a", "255", "0", "0"), 64, "the sizes of a virtio-mem device make no sense" },
};

START_TEST(test_hotadd_updates_refused)
{
    const RefusedRow *row = &refused[_i];
    g_autofree char *xml = g_strconcat(
        "<domain><name>a</name><uuid>" UUID "</uuid><memory unit='MiB'>1024</memory><devices>",
        row->devices, "</devices></domain>", NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_hotadd_updates(xml, strlen(xml), row->total_mib * MIB, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_str_eq(error->message, row->message);
}
END_TEST

typedef struct {
    const char *inside; /* of <domain>, before <devices> */
    const char *devices;
    uint64_t size_mib;
    const char *dimm; /* or what is said, if it is refused */
    bool taken;
} DimmRow;

#define MAX_MEMORY(slots) "<maxMemory slots='" slots "' unit='MiB'>1024</maxMemory>"
#define DIMM_0                                                                                     \
    "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"

static const DimmRow dimms[] = {
    { MAX_MEMORY("2"), "", 128,
      "<memory model='dimm'><target><size unit='KiB'>131072</size></target></memory>", true },
    { MAX_MEMORY("2") CELLS, DIMM_0, 128,
      "<memory model='dimm'><target><size unit='KiB'>131072</size><node>1</node></target></memory>",
      true },
    { MAX_MEMORY("2") CELLS, "", 128,
      "<memory model='dimm'><target><size unit='KiB'>131072</size><node>0</node></target></memory>",
      true },
    { CELLS, "", 128, "no DIMM can be added: the guest has no <maxMemory>", false },
    { MAX_MEMORY("1") CELLS, DIMM_0, 128, "no DIMM can be added: all 1 slots are taken", false },
    { MAX_MEMORY("2") CELLS, "", 640,
      "a DIMM of 655360 KiB cannot be added: <maxMemory> leaves 524288", false },
    { MAX_MEMORY("2") CELLS, "", 0,
      "a DIMM of 0 KiB cannot be added: <maxMemory> leaves 524288", false },
};

START_TEST(test_hotadd_dimm)
{
    const DimmRow *row = &dimms[_i];
    g_autofree char *xml = g_strconcat(
        "<domain><name>a</name><uuid>" UUID "</uuid><memory unit='MiB'>512</memory>", row->inside,
        "<devices>", row->devices, "</devices></domain>", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *dimm = dyn_hotadd_dimm(xml, strlen(xml), row->size_mib * MIB, &error);

    if (row->taken)
        ck_assert_str_eq(dimm, row->dimm);
    else
        ck_assert_ptr_null(dimm);
    if (!row->taken)
        ck_assert_str_eq(error->message, row->dimm);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hotadd");
    TCase *tcase = tcase_create("hotadd");

    tcase_add_test(tcase, test_hotadd_spread);
    tcase_add_test(tcase, test_hotadd_spread_of_unlike_blocks);
    tcase_add_test(tcase, test_hotadd_spread_refuses);
    tcase_add_loop_test(tcase, test_hotadd_spread_random, 0, 8);
    tcase_add_test(tcase, test_hotadd_updates);
    tcase_add_loop_test(tcase, test_hotadd_updates_refused, 0, G_N_ELEMENTS(refused));
    tcase_add_loop_test(tcase, test_hotadd_dimm, 0, G_N_ELEMENTS(dimms));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
