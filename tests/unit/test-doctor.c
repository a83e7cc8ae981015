/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found, for every fact that can be found: by its word, how bad it is, and what is said. */
#include "config.h"

#include <string.h>

#include <dynmem/doctor.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB(n) ((uint64_t)(n) * 1024)
#define GIB(n) ((uint64_t)(n) * 1024 * 1024)

/* Exactly one finding, of that check and severity, with all of the texts in it. */
static void
assert_only(GPtrArray *findings, const char *check, DynSeverity severity, const char *text)
{
    const DynFinding *finding;

    ck_assert_uint_eq(findings->len, 1);
    finding = findings->pdata[0];
    ck_assert_str_eq(finding->check, check);
    ck_assert_int_eq(finding->severity, severity);
    ck_assert_msg(strstr(finding->text, text) != NULL, "'%s' is not in: %s", text, finding->text);
    ck_assert(g_str_has_suffix(finding->text, "."));
    ck_assert(g_str_has_suffix(finding->remedy, "."));
    g_ptr_array_unref(findings);
}

static void
assert_none(GPtrArray *findings)
{
    ck_assert_uint_eq(findings->len, 0);
    g_ptr_array_unref(findings);
}

/* ---- the daemon ---- */

static const DynDoctorDaemon well = { .mode = DYN_MODE_ON, .connected = true };

START_TEST(test_a_daemon_at_work_has_nothing)
{
    assert_none(dyn_doctor_daemon(&well));
}
END_TEST

START_TEST(test_daemon_states)
{
    DynDoctorDaemon facts = well;

    facts.mode = DYN_MODE_OBSERVE;
    assert_only(dyn_doctor_daemon(&facts), "observe", DYN_SEVERITY_WARNING, "'observe'");
    facts.mode = DYN_MODE_OFF;
    assert_only(dyn_doctor_daemon(&facts), "observe", DYN_SEVERITY_WARNING, "'off'");
    facts = well;
    facts.paused = true;
    assert_only(dyn_doctor_daemon(&facts), "paused", DYN_SEVERITY_WARNING, "paused");
    facts = well;
    facts.connected = false;
    assert_only(dyn_doctor_daemon(&facts), "libvirt", DYN_SEVERITY_PROBLEM, "libvirt");
    facts = well;
    facts.minima_short = true;
    assert_only(dyn_doctor_daemon(&facts), "minima", DYN_SEVERITY_WARNING, "minima");
    facts = well;
    facts.conf_error = "a.conf: no such key";
    assert_only(dyn_doctor_daemon(&facts), "configuration", DYN_SEVERITY_PROBLEM,
                "a.conf: no such key");
}
END_TEST

/* What a daemon that is silent would have told is not made up. */
START_TEST(test_a_silent_daemon_is_the_only_finding_of_it)
{
    const DynDoctorDaemon facts = { .silence = "nobody answers", .mode = DYN_MODE_OFF,
                                    .paused = true };

    assert_only(dyn_doctor_daemon(&facts), "daemon", DYN_SEVERITY_PROBLEM, "nobody answers");
}
END_TEST

START_TEST(test_worst_comes_first)
{
    const DynDoctorDaemon facts = { .mode = DYN_MODE_OBSERVE, .paused = true, .minima_short = true,
                                    .conf_error = "bad" };
    static const char *const expected[] = { "configuration", "libvirt", "paused", "observe",
                                            "minima" };
    g_autoptr(GPtrArray) findings = dyn_doctor_daemon(&facts);

    ck_assert_uint_eq(findings->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < findings->len; i++)
        ck_assert_str_eq(((const DynFinding *)findings->pdata[i])->check, expected[i]);
}
END_TEST

/* ---- the host ---- */

static const DynDoctorHost good_host = { .total_kib = GIB(64), .cgroup = DYN_CGROUP_V2,
                                         .stall_known = true, .nodes = 1 };

START_TEST(test_a_good_host_has_nothing)
{
    assert_none(dyn_doctor_host(&good_host));
}
END_TEST

START_TEST(test_each_program_is_told_with_its_process)
{
    static const char *const checks[DYN_N_PROGRAMS] = {
        "ksmtuned", "earlyoom", "nohang", "systemd-oomd", "balancer", "balancer", "balancer",
    };
    DynDoctorHost facts = good_host;
    g_autofree char *start = g_strdup_printf("%s runs (process 812). ", dyn_program_name(_i));

    facts.pids[_i] = 812;
    assert_only(dyn_doctor_host(&facts), checks[_i],
                _i >= DYN_PROGRAM_MOM ? DYN_SEVERITY_PROBLEM : DYN_SEVERITY_WARNING, start);
}
END_TEST

START_TEST(test_kernel)
{
    DynDoctorHost facts = good_host;

    facts.ksm = true;
    assert_only(dyn_doctor_host(&facts), "ksm", DYN_SEVERITY_NOTE, "KSM");
    facts = good_host;
    facts.stall_known = false;
    assert_only(dyn_doctor_host(&facts), "psi", DYN_SEVERITY_NOTE, "/proc/pressure/memory");
    facts = good_host;
    facts.cgroup = DYN_CGROUP_V1;
    assert_only(dyn_doctor_host(&facts), "cgroup", DYN_SEVERITY_NOTE, "version 1");
    facts.cgroup = DYN_CGROUP_NONE;
    assert_only(dyn_doctor_host(&facts), "cgroup", DYN_SEVERITY_NOTE, "no memory cgroups");
}
END_TEST

/* Only what it would give counts, and only where it matters to the host. */
START_TEST(test_zfs)
{
    DynDoctorHost facts = good_host;

    facts.arc_kib = GIB(30);
    facts.arc_least_kib = GIB(2);
    assert_only(dyn_doctor_host(&facts), "zfs", DYN_SEVERITY_WARNING,
                "holds 30 GiB. It would give 28 GiB");
    facts.arc_least_kib = GIB(29); /* 1 GiB of 64 */
    assert_none(dyn_doctor_host(&facts));
    facts.arc_least_kib = GIB(28);
    assert_only(dyn_doctor_host(&facts), "zfs", DYN_SEVERITY_WARNING, "2 GiB");
    facts.total_kib = DYN_UNKNOWN;
    facts.arc_kib = facts.arc_least_kib + MIB(255);
    assert_none(dyn_doctor_host(&facts));
    facts.arc_kib = facts.arc_least_kib + MIB(256);
    assert_only(dyn_doctor_host(&facts), "zfs", DYN_SEVERITY_WARNING, "256 MiB");
    facts.arc_kib = MIB(1); /* less than its least: as it starts */
    assert_none(dyn_doctor_host(&facts));
}
END_TEST

/* ---- a domain ---- */

typedef struct Bed {
    DynDomain *domain, *next;
    DynDoctorDomain facts;
} Bed;

/* Running, managed, told of, and with all it should have. */
static Bed
bed_new(void)
{
    Bed bed = { .domain = dyn_domain_new() };
    DynDomain *domain = bed.domain;

    domain->memory_kib = domain->current_kib = domain->base_kib = GIB(1);
    domain->max_memory_kib = GIB(4);
    domain->slots = 2;
    domain->vcpus = 2;
    domain->autodeflate = domain->free_page_reporting = true;
    bed.facts = (DynDoctorDomain){ .domain = domain, .nodes = 1, .wanted = true,
                                   .mode = DYN_MODE_ON, .hold_text = "", .told = true,
                                   .swap = true, .maximum_kib = GIB(2), .assigned_kib = MIB(512),
                                   .demand_kib = MIB(400), .offline_kib = DYN_UNKNOWN,
                                   .busy_percent = -1 };
    return bed;
}

static void
bed_clear(Bed *bed)
{
    dyn_domain_free(bed->domain);
    dyn_domain_free(bed->next);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bed, bed_clear)

static void
add_vmem(DynDomain *domain)
{
    domain->vmem_devices = 1; /* and no block */
}

static void
add_limit(DynDomain *domain)
{
    domain->hard_limit_kib = dyn_domain_reach_kib(domain);
}

static void
drop_reporting(DynDomain *domain)
{
    domain->free_page_reporting = false;
}

static void
drop_autodeflate(DynDomain *domain)
{
    domain->autodeflate = false;
}

static void
drop_max_memory(DynDomain *domain)
{
    domain->memory_kib = domain->base_kib = GIB(2);
    domain->max_memory_kib = domain->slots = 0;
}

static void
set_obstacle(DynDomain *domain, DynObstacle obstacle)
{
    domain->obstacle = obstacle;
    domain->obstacles = 1u << obstacle;
}

typedef struct XmlRow {
    const char *check;
    DynSeverity severity;
    DynObstacle obstacle;            /* or */
    void (*spoil)(DynDomain *domain);
} XmlRow;

static const XmlRow xml_rows[] = {
    { "no-balloon", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_NO_BALLOON, NULL },
    { "balloon-model", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_BALLOON_MODEL, NULL },
    { "hugepages", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_HUGEPAGES, NULL },
    { "locked", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_LOCKED, NULL },
    { "vfio", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_VFIO, NULL },
    { "encrypted", DYN_SEVERITY_PROBLEM, DYN_OBSTACLE_ENCRYPTED, NULL },
    { "hard-limit", DYN_SEVERITY_WARNING, DYN_OBSTACLE_NONE, add_limit },
    { "virtio-mem", DYN_SEVERITY_WARNING, DYN_OBSTACLE_NONE, add_vmem },
    { "free-page-reporting", DYN_SEVERITY_NOTE, DYN_OBSTACLE_NONE, drop_reporting },
    { "autodeflate", DYN_SEVERITY_NOTE, DYN_OBSTACLE_NONE, drop_autodeflate },
    { "max-memory", DYN_SEVERITY_NOTE, DYN_OBSTACLE_NONE, drop_max_memory },
};

static void
spoil(Bed *bed, const XmlRow *row)
{
    if (row->spoil)
        row->spoil(bed->domain);
    else
        set_obstacle(bed->domain, row->obstacle);
    if (row->obstacle != DYN_OBSTACLE_NONE) /* as the daemon would tell of it */
        bed->facts.hold = DYN_HOLD_OBSTACLE;
}

START_TEST(test_a_good_domain_has_nothing)
{
    g_auto(Bed) bed = bed_new();

    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.hold = DYN_HOLD_STARTING; /* passes by itself */
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.hold = DYN_HOLD_NOT_RUNNING;
    bed.facts.told = bed.facts.swap = false;
    assert_none(dyn_doctor_domain(&bed.facts));
}
END_TEST

START_TEST(test_domain_xml)
{
    const XmlRow *row = &xml_rows[_i];
    g_auto(Bed) bed = bed_new();

    spoil(&bed, row);
    assert_only(dyn_doctor_domain(&bed.facts), row->check, row->severity, "");
    bed.facts.wanted = false;
    assert_only(dyn_doctor_domain(&bed.facts), row->check, DYN_SEVERITY_NOTE, "");
}
END_TEST

/* What the next start mends needs nothing but that. */
START_TEST(test_domain_mended_at_next_start)
{
    const XmlRow *row = &xml_rows[_i];
    g_auto(Bed) bed = bed_new();
    g_autoptr(GPtrArray) findings = NULL;

    bed.next = dyn_domain_copy(bed.domain);
    bed.facts.next = bed.next;
    spoil(&bed, row);
    findings = dyn_doctor_domain(&bed.facts);
    ck_assert_ptr_nonnull(strstr(((DynFinding *)findings->pdata[0])->remedy, "already"));
    assert_only(g_steal_pointer(&findings), row->check, DYN_SEVERITY_NOTE, "");
}
END_TEST

START_TEST(test_all_obstacles_are_told)
{
    g_auto(Bed) bed = bed_new();
    g_autoptr(GPtrArray) findings = NULL;

    bed.facts.hold = DYN_HOLD_OBSTACLE;
    bed.domain->obstacle = DYN_OBSTACLE_HUGEPAGES;
    bed.domain->obstacles = 1u << DYN_OBSTACLE_HUGEPAGES | 1u << DYN_OBSTACLE_VFIO;
    findings = dyn_doctor_domain(&bed.facts);
    ck_assert_uint_eq(findings->len, 2);
}
END_TEST

START_TEST(test_bound_memory_matters_with_several_nodes)
{
    g_auto(Bed) bed = bed_new();

    bed.domain->node_bound = true;
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.nodes = 2;
    assert_only(dyn_doctor_domain(&bed.facts), "numa", DYN_SEVERITY_WARNING, "<numatune>");
    bed.facts.nodes = 0; /* not known */
    assert_only(dyn_doctor_domain(&bed.facts), "numa", DYN_SEVERITY_WARNING, "<numatune>");
}
END_TEST

typedef struct HoldRow {
    DynHold hold;
    const char *check;
    DynSeverity severity;
} HoldRow;

static const HoldRow hold_rows[] = {
    { DYN_HOLD_NO_DRIVER, "no-driver", DYN_SEVERITY_PROBLEM },
    { DYN_HOLD_NO_STATS, "no-statistics", DYN_SEVERITY_PROBLEM },
    { DYN_HOLD_STALE, "statistics", DYN_SEVERITY_WARNING },
    { DYN_HOLD_BAD_STATS, "statistics", DYN_SEVERITY_WARNING },
    { DYN_HOLD_HUNG, "hung", DYN_SEVERITY_PROBLEM },
    { DYN_HOLD_PINNED, "pinned", DYN_SEVERITY_NOTE },
    { DYN_HOLD_STUCK, "stuck", DYN_SEVERITY_WARNING },
    { DYN_HOLD_OVER_MAXIMUM, "over-maximum", DYN_SEVERITY_WARNING },
    { DYN_HOLD_BAD_POLICY, "bad-policy", DYN_SEVERITY_PROBLEM },
};

START_TEST(test_domain_hold)
{
    const HoldRow *row = &hold_rows[_i];
    g_auto(Bed) bed = bed_new();
    const bool own_words = row->hold == DYN_HOLD_NO_DRIVER || row->hold == DYN_HOLD_NO_STATS;

    bed.facts.hold = row->hold;
    bed.facts.hold_text = "because of 42";
    assert_only(dyn_doctor_domain(&bed.facts), row->check, row->severity,
                own_words ? "balloon driver" : "because of 42");
}
END_TEST

START_TEST(test_domain_policy)
{
    g_auto(Bed) bed = bed_new();

    bed.facts.mode = DYN_MODE_OBSERVE;
    assert_only(dyn_doctor_domain(&bed.facts), "observe", DYN_SEVERITY_NOTE, "'observe'");
    bed.facts.wanted = bed.facts.told = false;
    bed.facts.mode = DYN_MODE_OFF;
    bed.facts.hold = DYN_HOLD_OFF;
    assert_only(dyn_doctor_domain(&bed.facts), "off", DYN_SEVERITY_NOTE, "'off'");
    bed.facts.hold = DYN_HOLD_NO_POLICY;
    assert_only(dyn_doctor_domain(&bed.facts), "no-policy", DYN_SEVERITY_NOTE, "no policy");
    bed.facts.hold = DYN_HOLD_BAD_POLICY; /* somebody wanted it */
    bed.facts.hold_text = "minimum 1 GiB > startup";
    assert_only(dyn_doctor_domain(&bed.facts), "bad-policy", DYN_SEVERITY_PROBLEM,
                "minimum 1 GiB > startup");
}
END_TEST

START_TEST(test_domain_guest)
{
    g_auto(Bed) bed = bed_new();

    bed.facts.swap = false;
    assert_only(dyn_doctor_domain(&bed.facts), "guest-swap", DYN_SEVERITY_NOTE, "swap");
    bed.facts.told = false; /* nobody has looked */
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.told = bed.facts.swap = bed.facts.plug_rests = true;
    assert_only(dyn_doctor_domain(&bed.facts), "hot-add", DYN_SEVERITY_WARNING, "plugged");
    bed.facts.plug_rests = false;
    bed.facts.offline_kib = MIB(128);
    assert_only(dyn_doctor_domain(&bed.facts), "offline", DYN_SEVERITY_WARNING, "about 128 MiB");
    bed.facts.offline_kib = 0;
    assert_none(dyn_doctor_domain(&bed.facts));
}
END_TEST

START_TEST(test_domain_maximum_out_of_reach)
{
    g_auto(Bed) bed = bed_new();

    bed.facts.maximum_kib = GIB(4);
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.maximum_kib = GIB(5);
    assert_only(dyn_doctor_domain(&bed.facts), "maximum", DYN_SEVERITY_WARNING,
                "5 GiB, but its devices let it come to no more than 4 GiB");
    bed.facts.wanted = false;
    assert_none(dyn_doctor_domain(&bed.facts));
}
END_TEST

/* Full, in need as it says, and idle: all three. */
START_TEST(test_domain_greedy)
{
    g_auto(Bed) bed = bed_new();

    bed.facts.assigned_kib = GIB(2);
    bed.facts.demand_kib = GIB(2);
    ck_assert(dyn_doctor_is_full(&bed.facts));
    assert_none(dyn_doctor_domain(&bed.facts)); /* its CPUs were not watched */
    bed.facts.busy_percent = 10;
    assert_only(dyn_doctor_domain(&bed.facts), "greedy", DYN_SEVERITY_WARNING,
                "its maximum of 2 GiB and says it needs that, while it does next to nothing (10 %");
    bed.facts.busy_percent = 11;
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.busy_percent = 0;
    bed.facts.demand_kib = GIB(2) * 79 / 100;
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.demand_kib = GIB(2);
    bed.facts.assigned_kib = GIB(2) * 94 / 100;
    ck_assert(!dyn_doctor_is_full(&bed.facts));
    assert_none(dyn_doctor_domain(&bed.facts));
    bed.facts.assigned_kib = DYN_UNKNOWN;
    ck_assert(!dyn_doctor_is_full(&bed.facts));
}
END_TEST

START_TEST(test_words)
{
    ck_assert_str_eq(dyn_severity_word(DYN_SEVERITY_NOTE), "note");
    ck_assert_str_eq(dyn_severity_word(DYN_SEVERITY_WARNING), "warning");
    ck_assert_str_eq(dyn_severity_word(DYN_SEVERITY_PROBLEM), "problem");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("doctor");
    TCase *tcase = tcase_create("core");

    tcase_add_test(tcase, test_a_daemon_at_work_has_nothing);
    tcase_add_test(tcase, test_daemon_states);
    tcase_add_test(tcase, test_a_silent_daemon_is_the_only_finding_of_it);
    tcase_add_test(tcase, test_worst_comes_first);
    tcase_add_test(tcase, test_a_good_host_has_nothing);
    tcase_add_loop_test(tcase, test_each_program_is_told_with_its_process, 0, DYN_N_PROGRAMS);
    tcase_add_test(tcase, test_kernel);
    tcase_add_test(tcase, test_zfs);
    tcase_add_test(tcase, test_a_good_domain_has_nothing);
    tcase_add_loop_test(tcase, test_domain_xml, 0, G_N_ELEMENTS(xml_rows));
    tcase_add_loop_test(tcase, test_domain_mended_at_next_start, 0, G_N_ELEMENTS(xml_rows));
    tcase_add_test(tcase, test_all_obstacles_are_told);
    tcase_add_test(tcase, test_bound_memory_matters_with_several_nodes);
    tcase_add_loop_test(tcase, test_domain_hold, 0, G_N_ELEMENTS(hold_rows));
    tcase_add_test(tcase, test_domain_policy);
    tcase_add_test(tcase, test_domain_guest);
    tcase_add_test(tcase, test_domain_maximum_out_of_reach);
    tcase_add_test(tcase, test_domain_greedy);
    tcase_add_test(tcase, test_words);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
