/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What in a domain's XML decides what becomes of its memory, beside the sizes. */
#include "config.h"

#include <string.h>

#include <dynmem/domain.h>

#include "suite.h"

static DynDomain *
parse_ok(const char *body)
{
    g_autofree char *xml = g_strconcat(
        "<domain type='kvm'><name>vm</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>"
        "<memory unit='KiB'>1048576</memory>", body, "</domain>", NULL);
    g_autoptr(GError) error = NULL;
    DynDomain *domain = NULL;

    ck_assert_msg(dyn_domain_parse(xml, strlen(xml), &domain, &error), "%s",
                  error ? error->message : "");
    return domain;
}

START_TEST(test_all_obstacles)
{
    g_autoptr(DynDomain) domain =
        parse_ok("<memoryBacking><locked/><hugepages/></memoryBacking><launchSecurity type='sev'/>"
                 "<devices><memballoon model='virtio'/></devices>");

    ck_assert_int_eq(domain->obstacle, DYN_OBSTACLE_HUGEPAGES);
    ck_assert_uint_eq(domain->obstacles, 1u << DYN_OBSTACLE_HUGEPAGES |
                                             1u << DYN_OBSTACLE_LOCKED |
                                             1u << DYN_OBSTACLE_ENCRYPTED);
}
END_TEST

START_TEST(test_no_obstacle)
{
    g_autoptr(DynDomain) domain =
        parse_ok("<devices><memballoon model='virtio-transitional'/></devices>");

    ck_assert_int_eq(domain->obstacle, DYN_OBSTACLE_NONE);
    ck_assert_uint_eq(domain->obstacles, 0);
}
END_TEST

/* A balloon that is missing has no model that could be wrong, too. */
START_TEST(test_no_balloon_is_one_obstacle)
{
    static const char *const none[] = { "", "<devices/>",
                                        "<devices><memballoon model='none'/></devices>" };
    g_autoptr(DynDomain) domain = parse_ok(none[_i]);

    ck_assert_uint_eq(domain->obstacles, 1u << DYN_OBSTACLE_NO_BALLOON);
}
END_TEST

typedef struct BoundRow {
    const char *numatune;
    bool bound;
} BoundRow;

static const BoundRow bounds[] = {
    { "", false },
    { "<numatune/>", false },
    { "<numatune><memory nodeset='0'/></numatune>", true },
    { "<numatune><memory mode='strict' placement='auto'/></numatune>", true },
    { "<numatune><memory mode='restrictive' nodeset='1'/></numatune>", true },
    { "<numatune><memory mode='preferred' nodeset='1'/></numatune>", false },
    { "<numatune><memory mode='interleave' nodeset='0-1'/></numatune>", false },
    { "<numatune><memnode cellid='0' mode='preferred' nodeset='0'/>"
      "<memnode cellid='1' mode='strict' nodeset='1'/></numatune>", true },
};

START_TEST(test_node_bound)
{
    g_autoptr(DynDomain) domain = parse_ok(bounds[_i].numatune);

    ck_assert_int_eq(domain->node_bound, bounds[_i].bound);
}
END_TEST

typedef struct LimitRow {
    const char *memtune;
    uint64_t kib;
} LimitRow;

/* One that cannot be read is none: it must not keep the domain from being looked after. */
static const LimitRow limits[] = {
    { "", 0 },
    { "<memtune><soft_limit unit='KiB'>1</soft_limit></memtune>", 0 },
    { "<memtune><hard_limit unit='MiB'>1024</hard_limit></memtune>", 1048576 },
    { "<memtune><hard_limit unit='KiB'>9007199254740988</hard_limit></memtune>", 0 },
    { "<memtune><hard_limit>many</hard_limit></memtune>", 0 },
};

START_TEST(test_hard_limit)
{
    g_autoptr(DynDomain) domain = parse_ok(limits[_i].memtune);

    ck_assert_uint_eq(domain->hard_limit_kib, limits[_i].kib);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("domain-conditions");
    TCase *tcase = tcase_create("core");

    tcase_add_test(tcase, test_all_obstacles);
    tcase_add_test(tcase, test_no_obstacle);
    tcase_add_loop_test(tcase, test_no_balloon_is_one_obstacle, 0, 3);
    tcase_add_loop_test(tcase, test_node_bound, 0, G_N_ELEMENTS(bounds));
    tcase_add_loop_test(tcase, test_hard_limit, 0, G_N_ELEMENTS(limits));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
