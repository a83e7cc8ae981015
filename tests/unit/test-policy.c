/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/policy.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB(n) ((uint64_t)(n) * DYN_KIB_PER_MIB)

typedef struct {
    const char *key;
    const char *value;
    const char *result; /* dyn_policy_value(); if it fails: a part of the error */
    bool ok;
} SetRow;

static const SetRow sets[] = {
    { "Mode", "on", "on", true },
    { "mode", "observe", "observe", true },
    { "MODE", "off", "off", true },
    { "Mode", "On", "mode 'On' is not one of on, observe, off", false },
    { "Startup", "512M", "512 MiB", true },
    { "startup", "1536 MiB", "1536 MiB", true },
    { "startup", "1G", "1 GiB", true },
    { "startup", "524289", "524289 KiB", true },
    { "startup", "16P", "16384 TiB", true },
    { "startup", "17P", "startup: size '17P' is too large: the most allowed is 16 PiB", false },
    { "minimum", "32M", "32 MiB", true },
    { "minimum", "32768", "32 MiB", true },
    { "minimum", "32767",
      "minimum 32767 KiB is below the least allowed, 32 MiB (did you mean 32767M?)", false },
    { "minimum", "31M", "minimum 31 MiB is below the least allowed, 32 MiB", false },
    { "minimum", "512", "minimum 512 KiB is below the least allowed, 32 MiB (did you mean 512M?)",
      false },
    { "minimum", "32", "(did you mean 32M?)", false },
    { "minimum", "31", "minimum 31 KiB is below the least allowed, 32 MiB", false },
    { "minimum", "0", "minimum 0 KiB is below", false },
    { "minimum", "512k", "minimum 512 KiB is below the least allowed, 32 MiB", false },
    { "minimum", "12Q",
      "minimum: '12Q' is not a size: there is no unit 'Q'; write for example 512M", false },
    { "minimum", "-1", "minimum: '-1' is not a size: it is negative", false },
    { "minimum", "18446744073709551616", "too large", false },
    { "minimum", " 1 G", "minimum: ' 1 G' is not a size", false },
    { "minimum", "1.5G", "1536M for 1.5G", false },
    { "minimum", "", "minimum: '' is not a size", false },
    { "maximum", "4G", "4 GiB", true },
    { "maximum", "4", "maximum 4 KiB is below", false },
    { "Charge", "auto", "auto", true },
    { "Charge", "full", "full", true },
    { "Charge", "startup", "startup", true },
    { "Charge", "none", "charge 'none' is not one of auto, full, startup", false },
    { "Buffer", "5", "5", true },
    { "Buffer", "2000", "2000", true },
    { "Buffer", "020", "20", true },
    { "Buffer", "4", "buffer '4' is not a whole number from 5 to 2000 (percent of demand)", false },
    { "Buffer", "2001", "buffer '2001' is not", false },
    { "Buffer", "20%", "buffer '20%' is not", false },
    { "Buffer", " 20", "buffer ' 20' is not", false },
    { "Priority", "0", "0", true },
    { "Priority", "100", "100", true },
    { "Priority", "-1", "priority '-1' is not a whole number from 0 to 100", false },
    { "Priority", "101", "priority '101' is not a whole number from 0 to 100", false },
    { "SmartPagingDirectory", "/srv/paging", "/srv/paging", true },
    { "SmartPagingDirectory", "paging", "smart paging directory 'paging' is not an absolute path",
      false },
    { "SmartPagingDirectory", "/srv/../x", "without '..'", false },
    { "SmartPagingDirectory", "/srv\n", "'/srv\\x0a'", false },
    { "Min", "1G",
      "a policy has no setting 'Min'; there are Mode, Startup, Charge, Minimum, Maximum, Buffer, "
      "Priority, SmartPagingDirectory",
      false },
    { "", "1G", "a policy has no setting ''", false },
};

static DynPolicyKey
find_key(const char *name)
{
    for (int key = 0; key < DYN_N_KEYS; key++) {
        if (g_ascii_strcasecmp(name, dyn_policy_key_name((DynPolicyKey)key)) == 0)
            return (DynPolicyKey)key;
    }
    ck_abort_msg("%s", name);
}

START_TEST(test_set)
{
    const SetRow *row = &sets[_i];
    g_autoptr(DynPolicy) policy = dyn_policy_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *value = NULL;

    ck_assert_msg(dyn_policy_set(policy, row->key, row->value, &error) == row->ok, "%s",
                  row->value);
    if (!row->ok) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert_msg(strstr(error->message, row->result) != NULL, "%s", error->message);
        ck_assert_msg(strstr(row->result, "did you mean") ||
                          !strstr(error->message, "did you mean"),
                      "%s", error->message);
        ck_assert_uint_eq(policy->present, 0);
        return;
    }
    ck_assert_uint_eq(policy->present, 1u << find_key(row->key));
    value = dyn_policy_value(policy, find_key(row->key));
    ck_assert_str_eq(value, row->result);
}
END_TEST

START_TEST(test_set_default_takes_out)
{
    g_autoptr(DynPolicy) policy = dyn_policy_new();

    ck_assert(dyn_policy_set(policy, "Buffer", "30", NULL));
    ck_assert(dyn_policy_set(policy, "SmartPagingDirectory", "/a", NULL));
    ck_assert(dyn_policy_set(policy, "SmartPagingDirectory", "/b", NULL));
    ck_assert_str_eq(policy->paging_directory, "/b");
    ck_assert(dyn_policy_set(policy, "buffer", DYN_POLICY_UNSET, NULL));
    ck_assert(dyn_policy_set(policy, "SmartPagingDirectory", DYN_POLICY_UNSET, NULL));
    ck_assert(dyn_policy_set(policy, "Minimum", DYN_POLICY_UNSET, NULL));
    ck_assert_uint_eq(policy->present, 0);
    ck_assert_ptr_null(policy->paging_directory);
    ck_assert_ptr_null(dyn_policy_value(policy, DYN_KEY_BUFFER));
}
END_TEST

START_TEST(test_copies_are_deep)
{
    g_autoptr(DynPolicy) policy = dyn_policy_new();
    g_autoptr(DynPolicy) copy = NULL;

    ck_assert(dyn_policy_set(policy, "SmartPagingDirectory", "/srv", NULL));
    policy->unknown = g_strsplit("a b", " ", -1);
    copy = dyn_policy_copy(policy);
    ck_assert_str_eq(copy->paging_directory, "/srv");
    ck_assert_ptr_ne(copy->paging_directory, policy->paging_directory);
    ck_assert_str_eq(copy->unknown[1], "b");
    ck_assert_ptr_ne(copy->unknown, policy->unknown);
}
END_TEST

/* "KEY=VALUE KEY=VALUE" */
static DynPolicy *
policy_of(const char *text)
{
    DynPolicy *policy;
    g_auto(GStrv) pairs = NULL;

    if (text == NULL)
        return NULL;
    policy = dyn_policy_new();
    pairs = g_strsplit(text, " ", -1);
    for (char **pair = pairs; *pair != NULL && **pair != '\0'; pair++) {
        char *value = strchr(*pair, '=');

        *value = '\0';
        ck_assert(dyn_policy_set(policy, *pair, value + 1, NULL));
    }
    return policy;
}

/* Mode, charge, sizes in MiB, percent, priority, and a letter for the origin of each key in their
 * order: built-in, defaults, group, metadata. */
static char *
describe(const DynEffective *effective)
{
    const DynPolicy *p = &effective->policy;
    char origins[DYN_N_KEYS + 1] = "";

    for (int key = 0; key < DYN_N_KEYS; key++)
        origins[key] = "bdgm"[effective->origin[key]];
    return g_strdup_printf("%s %s %u..%u..%u b%u p%u %s", dyn_mode_word(p->mode),
                           dyn_charge_word(p->charge), (unsigned)(p->minimum_kib >> 10),
                           (unsigned)(p->startup_kib >> 10), (unsigned)(p->maximum_kib >> 10),
                           p->buffer_percent, p->priority, origins);
}

/* 4 GiB of <memory>, 2 GiB of <currentMemory>. */
static const DynDomain domain = {
    .memory_kib = MIB(4096), .current_kib = MIB(2048), .base_kib = MIB(4096), .vcpus = 1,
};
static const DynDomain small = { .memory_kib = MIB(256),
                                 .current_kib = MIB(128),
                                 .base_kib = MIB(256) };
static const DynDomain tiny = { .memory_kib = MIB(31),
                                .current_kib = MIB(31),
                                .base_kib = MIB(31) };
static const DynDomain hotplug = {
    .memory_kib = MIB(1024), .current_kib = MIB(1024), .base_kib = MIB(1024),
    .max_memory_kib = MIB(8192), .slots = 1,
};

typedef struct {
    const DynDomain *domain;
    const char *defaults, *group, *metadata;
    const char *effective;
    const char *complaint; /* of dyn_effective_validate(); NULL: valid */
} ResolveRow;

static const ResolveRow resolves[] = {
    { &domain, NULL, NULL, NULL, "on auto 512..2048..4096 b20 p50 bbbbbbbb", NULL },
    { &small, NULL, NULL, NULL, "on auto 128..128..256 b20 p50 bbbbbbbb", NULL },
    { &hotplug, NULL, NULL, NULL, "on auto 512..1024..8192 b20 p50 bbbbbbbb", NULL },
    { &tiny, NULL, NULL, NULL, "on auto 31..31..31 b20 p50 bbbbbbbb",
      "minimum 31 MiB (built-in) is below the least allowed, 32 MiB" },
    { &domain, "Buffer=30 Priority=10", "Priority=20", "Priority=30",
      "on auto 512..2048..4096 b30 p30 bbbbbdmb", NULL },
    { &domain, "Mode=observe Charge=full", "Mode=on", NULL,
      "on full 512..2048..4096 b20 p50 gbdbbbbb", NULL },
    { &domain, "Mode=observe Charge=full", "Mode=on", "Mode=off",
      "off full 512..2048..4096 b20 p50 mbdbbbbb", NULL },
    { &domain, NULL, NULL, "Startup=256M", "on auto 256..256..4096 b20 p50 bmbbbbbb", NULL },
    { &domain, NULL, NULL, "Maximum=1G", "on auto 512..1024..1024 b20 p50 bbbbmbbb", NULL },
    { &domain, NULL, NULL, "Minimum=3G", "on auto 3072..3072..4096 b20 p50 bbbmbbbb", NULL },
    { &domain, NULL, NULL, "Maximum=4G", "on auto 512..2048..4096 b20 p50 bbbbmbbb", NULL },
    { &domain, NULL, NULL, "Maximum=4194305", "on auto 512..2048..4096 b20 p50 bbbbmbbb",
      "maximum 4194305 KiB (metadata) is above what the domain can ever reach, 4 GiB" },
    { &hotplug, NULL, NULL, "Maximum=8G", "on auto 512..1024..8192 b20 p50 bbbbmbbb", NULL },
    { &hotplug, NULL, NULL, "Maximum=9G", "on auto 512..1024..9216 b20 p50 bbbbmbbb",
      "can ever reach, 8 GiB" },
    { &domain, "Minimum=1G", NULL, "Startup=512M", "on auto 1024..512..4096 b20 p50 bmbdbbbb",
      "minimum 1 GiB (defaults) is above startup 512 MiB (metadata): lower the minimum or raise "
      "the startup" },
    { &domain, NULL, "Maximum=1G", "Startup=1025M", "on auto 512..1025..1024 b20 p50 bmbbgbbb",
      "startup 1025 MiB (metadata) is above maximum 1 GiB ([domain \"web-*\"])" },
    { &domain, NULL, NULL, "Minimum=1G Maximum=512M", "on auto 1024..512..512 b20 p50 bbbmmbbb",
      "minimum 1 GiB (metadata) is above startup 512 MiB (built-in)" },
    { &domain, NULL, NULL, "Minimum=1G Startup=1G Maximum=1G",
      "on auto 1024..1024..1024 b20 p50 bmbmmbbb", NULL },
    { &domain, NULL, NULL, "Minimum=32M Startup=32M", "on auto 32..32..4096 b20 p50 bmbmbbbb",
      NULL },
};

START_TEST(test_resolve)
{
    const ResolveRow *row = &resolves[_i];
    g_autoptr(DynPolicy) defaults = policy_of(row->defaults);
    g_autoptr(DynPolicy) group = policy_of(row->group);
    g_autoptr(DynPolicy) metadata = policy_of(row->metadata);
    g_autoptr(DynEffective) effective =
        dyn_policy_resolve(row->domain, defaults, group, group ? "web-*" : NULL, metadata);
    g_autofree char *text = describe(effective);
    g_autoptr(GError) error = NULL;

    ck_assert_str_eq(text, row->effective);
    ck_assert_uint_eq(effective->policy.present,
                      (1u << DYN_N_KEYS) - 1 - (1u << DYN_KEY_PAGING_DIRECTORY));
    ck_assert(dyn_effective_validate(effective, row->domain, &error) == (row->complaint == NULL));
    if (row->complaint != NULL) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert_msg(strstr(error->message, row->complaint) != NULL, "%s", error->message);
    }
}
END_TEST

START_TEST(test_resolve_keeps_names)
{
    g_autoptr(DynPolicy) metadata = policy_of("SmartPagingDirectory=/srv");
    g_autoptr(DynPolicy) group = policy_of("");
    g_autoptr(DynEffective) effective = NULL;
    g_autoptr(DynEffective) copy = NULL;

    metadata->unknown = g_strsplit("later", " ", -1);
    effective = dyn_policy_resolve(&domain, NULL, group, "web-*", metadata);
    copy = dyn_effective_copy(effective);
    ck_assert_str_eq(copy->group, "web-*");
    ck_assert_str_eq(copy->policy.paging_directory, "/srv");
    ck_assert_str_eq(copy->policy.unknown[0], "later");
    ck_assert_uint_eq(copy->policy.present, (1u << DYN_N_KEYS) - 1);
}
END_TEST

typedef struct {
    const char *running, *wanted;
    const char *live;
    uint32_t pending;
} LiveRow;

#define BIT(key) (1u << DYN_KEY_##key)

static const LiveRow lives[] = {
    { "", "", "on auto 512..2048..4096 b20 p50 bbbbbbbb", 0 },
    { "", "Minimum=511M", "on auto 511..2048..4096 b20 p50 bbbmbbbb", 0 },
    { "", "Minimum=512M", "on auto 512..2048..4096 b20 p50 bbbmbbbb", 0 },
    { "", "Minimum=513M", "on auto 512..2048..4096 b20 p50 bbbbbbbb", BIT(MINIMUM) },
    { "Maximum=3G", "Maximum=3073M", "on auto 512..2048..3073 b20 p50 bbbbmbbb", 0 },
    { "Maximum=3G", "Maximum=3G", "on auto 512..2048..3072 b20 p50 bbbbmbbb", 0 },
    { "Maximum=3G", "Maximum=3071M", "on auto 512..2048..3072 b20 p50 bbbbmbbb", BIT(MAXIMUM) },
    { "", "Startup=1G", "on auto 512..2048..4096 b20 p50 bbbbbbbb", BIT(STARTUP) },
    { "", "Startup=3G", "on auto 512..2048..4096 b20 p50 bbbbbbbb", BIT(STARTUP) },
    { "", "Charge=full", "on auto 512..2048..4096 b20 p50 bbbbbbbb", BIT(CHARGE) },
    { "", "Mode=off Buffer=50 Priority=0 SmartPagingDirectory=/x",
      "off auto 512..2048..4096 b50 p0 mbbbbmmm", 0 },
    { "Minimum=1G Startup=1G Maximum=1G", "Minimum=2G Startup=2G Maximum=2G",
      "on auto 1024..1024..2048 b20 p50 bmbmmbbb", BIT(MINIMUM) | BIT(STARTUP) },
    { "Minimum=1G Startup=1G Maximum=1G", "Minimum=256M Startup=256M Maximum=256M",
      "on auto 256..1024..1024 b20 p50 bmbmmbbb", BIT(MAXIMUM) | BIT(STARTUP) },
};

START_TEST(test_live)
{
    const LiveRow *row = &lives[_i];
    g_autoptr(DynPolicy) before = policy_of(row->running);
    g_autoptr(DynPolicy) after = policy_of(row->wanted);
    g_autoptr(DynEffective) running = dyn_policy_resolve(&domain, NULL, NULL, NULL, before);
    g_autoptr(DynEffective) wanted = dyn_policy_resolve(&domain, NULL, NULL, NULL, after);
    uint32_t pending = 4711;
    g_autoptr(DynEffective) live = dyn_policy_live(running, wanted, &pending);
    g_autofree char *text = describe(live);

    ck_assert_str_eq(text, row->live);
    ck_assert_uint_eq(pending, row->pending);
}
END_TEST

static uint64_t
random_mib(GRand *random, uint64_t least_kib, uint64_t most_kib)
{
    return least_kib +
           MIB(g_rand_int_range(random, 0, (gint32)((most_kib - least_kib) / MIB(1)) + 1));
}

static DynEffective *
random_effective(GRand *random)
{
    DynPolicy *policy = dyn_policy_new();
    DynEffective *effective;

    policy->present = BIT(MINIMUM) | BIT(STARTUP) | BIT(MAXIMUM);
    policy->minimum_kib = random_mib(random, MIB(32), MIB(4096));
    policy->startup_kib = random_mib(random, policy->minimum_kib, MIB(4096));
    policy->maximum_kib = random_mib(random, policy->startup_kib, MIB(4096));
    effective = dyn_policy_resolve(&domain, NULL, NULL, NULL, policy);
    dyn_policy_free(policy);
    return effective;
}

/* Whatever is wanted of whatever runs: what holds is valid, obeys the live rules, and stays as it
 * is when the same is asked again. */
START_TEST(test_live_properties)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20240608);

    for (int i = 0; i < 5000; i++) {
        g_autoptr(DynEffective) running = random_effective(random);
        g_autoptr(DynEffective) wanted = random_effective(random);
        uint32_t pending, pending_again;
        g_autoptr(DynEffective) live = dyn_policy_live(running, wanted, &pending);
        g_autoptr(DynEffective) again = dyn_policy_live(live, wanted, &pending_again);
        g_autofree char *text = describe(live);
        g_autofree char *text_again = describe(again);

        ck_assert(dyn_effective_validate(live, &domain, NULL));
        ck_assert_uint_le(live->policy.minimum_kib, running->policy.minimum_kib);
        ck_assert_uint_ge(live->policy.maximum_kib, running->policy.maximum_kib);
        ck_assert_uint_eq(live->policy.startup_kib, running->policy.startup_kib);
        ck_assert_str_eq(text, text_again);
        ck_assert_uint_eq(pending, pending_again);
    }
}
END_TEST

START_TEST(test_words)
{
    DynMode mode = DYN_MODE_ON;

    ck_assert(dyn_mode_parse("off", &mode) && mode == DYN_MODE_OFF);
    ck_assert(dyn_mode_parse("observe", &mode) && mode == DYN_MODE_OBSERVE);
    ck_assert(dyn_mode_parse("on", &mode) && mode == DYN_MODE_ON);
    ck_assert(!dyn_mode_parse("", &mode) && mode == DYN_MODE_ON);
    ck_assert_str_eq(dyn_origin_word(DYN_ORIGIN_BUILTIN), "built-in");
    ck_assert_str_eq(dyn_origin_word(DYN_ORIGIN_DEFAULTS), "defaults");
    ck_assert_str_eq(dyn_origin_word(DYN_ORIGIN_GROUP), "domain group");
    ck_assert_str_eq(dyn_origin_word(DYN_ORIGIN_METADATA), "metadata");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");

    tcase_add_loop_test(tcase, test_set, 0, G_N_ELEMENTS(sets));
    tcase_add_test(tcase, test_set_default_takes_out);
    tcase_add_test(tcase, test_copies_are_deep);
    tcase_add_loop_test(tcase, test_resolve, 0, G_N_ELEMENTS(resolves));
    tcase_add_test(tcase, test_resolve_keeps_names);
    tcase_add_loop_test(tcase, test_live, 0, G_N_ELEMENTS(lives));
    tcase_add_test(tcase, test_live_properties);
    tcase_add_test(tcase, test_words);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
