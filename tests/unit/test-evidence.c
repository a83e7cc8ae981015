/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/evidence.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)

/* A guest of 512 MiB near its end: 10 MiB of 474 available, safety 25. */
static const DynEvidenceView edge = {
    .ready = true,
    .confirmed = true,
    .safety_kib = 25 * MIB,
    .available_kib = 10 * MIB,
    .total_kib = 474 * MIB,
    .major_faults = 1000,
    .oom_kills = 0,
    .read_bytes = 1000,
};

/* What the second of two records a second apart shows. */
static DynEvidenceKind
second_record(const DynEvidenceView *view)
{
    DynEvidence evidence;

    dyn_evidence_init(&evidence);
    ck_assert_int_eq(dyn_evidence_update(&evidence, &edge, 100 * SEC), DYN_EVIDENCE_NONE);
    return dyn_evidence_update(&evidence, view, 101 * SEC);
}

typedef struct {
    const char *what;
    uint64_t faults, kills, read, back, in, out, available;
    bool swap, unready, unconfirmed;
    DynEvidenceKind kind;
} Row;

#define AVAILABLE (10 * UINT64_C(1024))
#define MANY (UINT64_C(2) << 20) /* bytes read */

static const Row rows[] = {
    { "nothing", 1000, 0, 1000, .available = AVAILABLE },
    { "19 faults", 1019, 0, 1000, .available = AVAILABLE },
    { "20 faults", 1020, 0, 1000, .available = AVAILABLE, .kind = DYN_EVIDENCE_FAULTS },
    { "20 faults, safety available", 1020, 0, 1000, .available = 25 * MIB,
      .kind = DYN_EVIDENCE_FAULTS },
    { "20 faults, more available", 1020, 0, 1000, .available = 25 * MIB + 1 },
    { "20 faults at boot", 1020, 0, 1000, .available = AVAILABLE, .unready = true },
    { "20 faults, size not known", 1020, 0, 1000, .available = AVAILABLE, .unconfirmed = true },
    { "faults run backwards", 999, 0, 1000, .available = AVAILABLE },
    { "faults jump", UINT64_MAX / 2, 0, 1000, .available = AVAILABLE },
    { "faults 2^64-2", UINT64_MAX - 1, 0, 1000, .available = AVAILABLE },
    { "faults not told", DYN_UNKNOWN, 0, 1000, .available = AVAILABLE },
    { "reads", 1000, 0, 1000 + MANY, .available = AVAILABLE, .kind = DYN_EVIDENCE_READS },
    { "reads just enough", 1000, 0, 1000 + DYN_EVIDENCE_READ_PER_SEC, .available = AVAILABLE,
      .kind = DYN_EVIDENCE_READS },
    { "reads just not enough", 1000, 0, 999 + DYN_EVIDENCE_READ_PER_SEC, .available = AVAILABLE },
    { "reads with swap", 1000, 0, 1000 + MANY, .available = AVAILABLE, .swap = true },
    { "reads with room", 1000, 0, 1000 + MANY, .available = 100 * MIB },
    { "reads not asked for", 1000, 0, DYN_UNKNOWN, .available = AVAILABLE },
    { "reads jump", 1000, 0, UINT64_C(1) << 50, .available = AVAILABLE },
    { "a kill", 1000, 1, 1000, .available = 400 * MIB, .kind = DYN_EVIDENCE_OOM_KILL },
    { "a kill at boot", 1000, 1, 1000, .available = 400 * MIB, .unready = true,
      .kind = DYN_EVIDENCE_OOM_KILL },
    { "a kill, size not known", 1000, 1, 1000, .available = 400 * MIB, .unconfirmed = true },
    { "kills jump", 1000, 1000000, 1000, .available = AVAILABLE },
    { "kills not told", 1000, DYN_UNKNOWN, 1000, .available = AVAILABLE },
    { "unknown swap comes back", 1000, 0, 1000, .back = MIB, .in = MIB, .available = 118 * MIB,
      .swap = true, .kind = DYN_EVIDENCE_SWAP_IN },
    { "a little of it", 1000, 0, 1000, .back = MIB - 1, .in = MIB, .available = 118 * MIB,
      .swap = true },
    { "with a quarter available", 1000, 0, 1000, .back = MIB, .in = MIB,
      .available = 474 * MIB / 4, .swap = true },
    { "half of it unknown", 1000, 0, 1000, .back = 10 * MIB, .in = 20 * MIB, .available = AVAILABLE,
      .swap = true, .kind = DYN_EVIDENCE_SWAP_IN },
    { "less of it unknown", 1000, 0, 1000, .back = 9 * MIB, .in = 20 * MIB, .available = AVAILABLE,
      .swap = true },
    { "known swap comes back", 1000, 0, 1000, .in = 50 * MIB, .available = AVAILABLE,
      .swap = true },
    { "both ways", 1000, 0, 1000, .in = 5 * MIB, .out = MIB, .available = AVAILABLE, .swap = true,
      .kind = DYN_EVIDENCE_SWAP_IN },
    { "out only", 1000, 0, 1000, .out = 50 * MIB, .available = AVAILABLE, .swap = true },
    { "both ways at boot", 1000, 0, 1000, .in = 5 * MIB, .out = 5 * MIB, .available = AVAILABLE,
      .swap = true, .unready = true },
};

START_TEST(test_evidence_tells_need_from_noise)
{
    const Row *row = &rows[_i];
    DynEvidenceView view = edge;

    view.ready = !row->unready;
    view.confirmed = !row->unconfirmed;
    view.has_swap = row->swap;
    view.available_kib = row->available;
    view.major_faults = row->faults;
    view.oom_kills = row->kills;
    view.read_bytes = row->read;
    view.back_kib = row->back;
    view.swap_in_kib = row->in;
    view.swap_out_kib = row->out;
    ck_assert_msg(second_record(&view) == row->kind, "%s", row->what);
}
END_TEST

/* What a guest counted before it was first seen is no sign, whatever it is. */
START_TEST(test_evidence_begins_with_the_second_record)
{
    DynEvidenceView view = edge;
    DynEvidence evidence;

    view.oom_kills = 5;
    view.major_faults = 9000;
    dyn_evidence_init(&evidence);
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 100 * SEC), DYN_EVIDENCE_NONE);
    ck_assert_uint_eq(evidence.kills, 0);
    view.oom_kills = 7;
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 101 * SEC), DYN_EVIDENCE_OOM_KILL);
    ck_assert_uint_eq(evidence.kills, 2);
    dyn_evidence_reset(&evidence);
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 102 * SEC), DYN_EVIDENCE_NONE);
    ck_assert_uint_eq(evidence.kills, 2); /* a count for the outside: over all boots */
}
END_TEST

/* 200 faults in ten seconds are 20 a second, 199 are not; several records within one second are
 * measured against a whole one. */
START_TEST(test_evidence_counts_by_the_second)
{
    DynEvidenceView view = edge;
    DynEvidence evidence;

    dyn_evidence_init(&evidence);
    (void)dyn_evidence_update(&evidence, &view, 100 * SEC);
    view.major_faults += 199;
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 110 * SEC), DYN_EVIDENCE_NONE);
    view.major_faults += 200;
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 120 * SEC), DYN_EVIDENCE_FAULTS);
    view.major_faults += 19;
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 120 * SEC + SEC / 15),
                     DYN_EVIDENCE_NONE);
    ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 90 * SEC), DYN_EVIDENCE_NONE);
}
END_TEST

START_TEST(test_evidence_raises_holds_fades_and_ends)
{
    DynEvidence evidence;
    uint64_t before = 164 * MIB;

    dyn_evidence_init(&evidence);
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 60 * MIB, 99 * SEC), 0);
    dyn_evidence_note(&evidence, DYN_EVIDENCE_FAULTS, 100 * MIB, 100 * SEC);
    for (int64_t t = 100; t <= 130; t++)
        ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 60 * MIB, t * SEC), 164 * MIB);
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 164 * MIB, 101 * SEC), 0); /* D says so */
    for (int64_t t = 131; t < 190; t++) {
        const uint64_t level = dyn_evidence_level_kib(&evidence, 60 * MIB, t * SEC);

        ck_assert_uint_lt(level, before);
        ck_assert_uint_gt(level, 60 * MIB);
        before = level;
    }
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 60 * MIB, 160 * SEC), 112 * MIB);
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 60 * MIB, 190 * SEC), 0);
}
END_TEST

/* Who swapped and has plenty for a while claims no more; a second of it, a little less, or another
 * sign refute nothing. */
START_TEST(test_evidence_of_swap_is_refuted)
{
    static const struct {
        DynEvidenceKind kind;
        uint64_t quiet_sec, available_kib;
        bool refuted;
    } cases[] = {
        { DYN_EVIDENCE_SWAP_IN, 3, 119 * MIB, true },
        { DYN_EVIDENCE_SWAP_IN, 2, 119 * MIB, false },
        { DYN_EVIDENCE_SWAP_IN, 100, 118 * MIB, false },
        { DYN_EVIDENCE_OOM_KILL, 100, 400 * MIB, false },
        { DYN_EVIDENCE_FAULTS, 100, 400 * MIB, false },
        { DYN_EVIDENCE_DEFLATION, 100, 400 * MIB, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        DynEvidenceView view = edge;
        DynEvidence evidence;

        dyn_evidence_init(&evidence);
        (void)dyn_evidence_update(&evidence, &view, 100 * SEC);
        dyn_evidence_note(&evidence, cases[i].kind, 400 * MIB, 100 * SEC);
        view.quiet_sec = cases[i].quiet_sec;
        view.available_kib = cases[i].available_kib;
        ck_assert_int_eq(dyn_evidence_update(&evidence, &view, 101 * SEC), DYN_EVIDENCE_NONE);
        ck_assert_msg((dyn_evidence_level_kib(&evidence, 300 * MIB, 101 * SEC) == 0) ==
                          cases[i].refuted, "case %zu", i);
    }
}
END_TEST

/* It has to see what a growth did before it asks for the next; a large guest's step is an eighth.
 * */
START_TEST(test_evidence_goes_on_in_steps)
{
    DynEvidence evidence;

    dyn_evidence_init(&evidence);
    for (int64_t t = 100; t < 103; t++) {
        dyn_evidence_note(&evidence, DYN_EVIDENCE_FAULTS, (t == 100 ? 800 : 900) * MIB, t * SEC);
        ck_assert_uint_eq(evidence.level_kib, 900 * MIB);
    }
    dyn_evidence_note(&evidence, DYN_EVIDENCE_FAULTS, 900 * MIB, 103 * SEC);
    ck_assert_uint_eq(evidence.level_kib, 900 * MIB / 8 * 9);
    /* taken from since, it keeps its claim */
    dyn_evidence_note(&evidence, DYN_EVIDENCE_FAULTS, 500 * MIB, 110 * SEC);
    ck_assert_uint_eq(evidence.level_kib, 900 * MIB / 8 * 9);
    /* but an old claim is no measure of a new sign */
    dyn_evidence_note(&evidence, DYN_EVIDENCE_FAULTS, 100 * MIB, 141 * SEC);
    ck_assert_uint_eq(evidence.level_kib, 164 * MIB);
}
END_TEST

START_TEST(test_evidence_survives_absurd_sizes)
{
    DynEvidence evidence;

    dyn_evidence_init(&evidence);
    dyn_evidence_note(&evidence, DYN_EVIDENCE_DEFLATION, UINT64_MAX, 100 * SEC);
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, 0, 100 * SEC), UINT64_MAX);
    ck_assert_uint_gt(dyn_evidence_level_kib(&evidence, 0, 150 * SEC), 0);
    ck_assert_uint_eq(dyn_evidence_level_kib(&evidence, UINT64_MAX, 150 * SEC), 0);
}
END_TEST

START_TEST(test_harm_is_a_sign_soon_after_a_shrink)
{
    DynHarm harm = { 0 };

    ck_assert_uint_eq(dyn_harm_sign(&harm, 100 * SEC), 0); /* nothing was taken */
    dyn_harm_eased(&harm, 500 * MIB, 100 * SEC);
    ck_assert_uint_eq(dyn_harm_sign(&harm, 161 * SEC), 0); /* too late to be its fault */
    ck_assert_uint_eq(dyn_harm_floor_kib(&harm, 161 * SEC), 0);
    dyn_harm_eased(&harm, 400 * MIB, 200 * SEC);
    dyn_harm_eased(&harm, 336 * MIB, 201 * SEC);
    ck_assert_uint_eq(dyn_harm_sign(&harm, 260 * SEC), 400 * MIB); /* the series as one */
    ck_assert_uint_eq(harm.rollbacks, 1);
    ck_assert_uint_eq(dyn_harm_sign(&harm, 261 * SEC), 0); /* once is enough */
    ck_assert_uint_eq(dyn_harm_floor_kib(&harm, 261 * SEC), 400 * MIB);
    ck_assert_uint_eq(dyn_harm_floor_kib(&harm, 859 * SEC), 400 * MIB);
    ck_assert_uint_eq(dyn_harm_floor_kib(&harm, 860 * SEC), 0);
}
END_TEST

/* Steps far apart are judged one by one: a guest is not given back what did no harm. */
START_TEST(test_harm_undoes_the_last_series)
{
    DynHarm harm = { 0 };

    dyn_harm_eased(&harm, 900 * MIB, 100 * SEC);
    dyn_harm_eased(&harm, 836 * MIB, 160 * SEC);
    dyn_harm_eased(&harm, 772 * MIB, 161 * SEC);
    ck_assert_uint_eq(dyn_harm_sign(&harm, 162 * SEC), 772 * MIB);
}
END_TEST

START_TEST(test_harm_doubles_and_forgets)
{
    static const int64_t pauses[] = { 600, 1200, 2400, 4800, 9600, 9600 };
    DynHarm harm = { 0 };
    int64_t now = 1000;

    for (size_t i = 0; i < G_N_ELEMENTS(pauses); i++) {
        dyn_harm_eased(&harm, 500 * MIB, now * SEC);
        ck_assert_uint_eq(dyn_harm_sign(&harm, now * SEC), 500 * MIB);
        ck_assert_int_eq(harm.until_usec, (now + pauses[i]) * SEC);
        now += pauses[i] + 300;
    }
    now += 9600;
    dyn_harm_eased(&harm, 500 * MIB, now * SEC);
    (void)dyn_harm_sign(&harm, now * SEC);
    ck_assert_int_eq(harm.until_usec, (now + 600) * SEC);
    dyn_harm_reset(&harm);
    ck_assert_uint_eq(dyn_harm_floor_kib(&harm, now * SEC), 0);
    ck_assert_uint_eq(harm.rollbacks, 7);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("evidence");
    TCase *tcase = tcase_create("evidence");

    tcase_add_loop_test(tcase, test_evidence_tells_need_from_noise, 0, G_N_ELEMENTS(rows));
    tcase_add_test(tcase, test_evidence_begins_with_the_second_record);
    tcase_add_test(tcase, test_evidence_counts_by_the_second);
    tcase_add_test(tcase, test_evidence_raises_holds_fades_and_ends);
    tcase_add_test(tcase, test_evidence_of_swap_is_refuted);
    tcase_add_test(tcase, test_evidence_goes_on_in_steps);
    tcase_add_test(tcase, test_evidence_survives_absurd_sizes);
    tcase_add_test(tcase, test_harm_is_a_sign_soon_after_a_shrink);
    tcase_add_test(tcase, test_harm_undoes_the_last_series);
    tcase_add_test(tcase, test_harm_doubles_and_forgets);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
