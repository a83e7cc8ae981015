/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an entry is kept in: all it can say is there again. */
#include "config.h"

#include "../../src/core/decisions-priv.h"
#include "decisions-made.h"

static DynDecider web = { .uuid = WEB };
static DynDecider nobody = { .uuid = "" };

/* Each byte tells whether it was written to the wrong place. */
static DynDecision
distinct(void)
{
    DynDecision decision = {
        .steady_usec = INT64_C(0x1112131415161718),
        .wall_usec = INT64_C(0x2122232425262728),
        .from_kib = UINT64_C(0x3132333435),
        .to_kib = UINT64_C(0x4142434445),
        .demand_kib = UINT64_C(0x5152535455),
        .target_kib = UINT64_C(0x6162636465),
        .available_kib = UINT64_C(0x7172737475),
        .pool_kib = UINT64_C(0x8182838485),
        .uuid = WEB,
        .kind = DYN_DECISION_STATE,
        .reason = 0x91,
        .outcome = 0x92,
        .hold = 0x93,
        .status = 0x94,
        .contention = 1,
        .count = 0x9596,
        .span_sec = 0x9798,
    };

    return decision;
}

static void
assert_equal(const DynDecision *a, const DynDecision *b)
{
    ck_assert_uint_eq(a->seq, b->seq);
    ck_assert_int_eq(a->steady_usec, b->steady_usec);
    ck_assert_int_eq(a->wall_usec, b->wall_usec);
    ck_assert_uint_eq(a->from_kib, b->from_kib);
    ck_assert_uint_eq(a->to_kib, b->to_kib);
    ck_assert_uint_eq(a->demand_kib, b->demand_kib);
    ck_assert_uint_eq(a->target_kib, b->target_kib);
    ck_assert_uint_eq(a->available_kib, b->available_kib);
    ck_assert_uint_eq(a->pool_kib, b->pool_kib);
    ck_assert_str_eq(a->uuid, b->uuid);
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->reason, b->reason);
    ck_assert_uint_eq(a->outcome, b->outcome);
    ck_assert_uint_eq(a->hold, b->hold);
    ck_assert_uint_eq(a->status, b->status);
    ck_assert_uint_eq(a->contention, b->contention);
    ck_assert_uint_eq(a->unsaved, b->unsaved);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->span_sec, b->span_sec);
}

/* @decision comes back as it is. */
static void
assert_round_trip(const DynDecision *decision, DynDecider *decider)
{
    const DynPackedDecision packed = dyn_decision_pack(decision, decider);
    const DynDecision back = dyn_decision_unpack(&packed, decision->seq);

    ck_assert_ptr_eq(packed.decider, decider);
    assert_equal(decision, &back);
}

START_TEST(test_decisions_pack_keeps_all)
{
    const DynDecision decision = distinct();

    ck_assert_uint_eq(sizeof(DynPackedDecision), 64);
    assert_round_trip(&decision, &web);
}
END_TEST

/* One field after the other at its least and its most, the others as they are. */
START_TEST(test_decisions_pack_limits)
{
    static const int64_t times[] = { INT64_MIN, -1, 0, 1, INT64_MAX };
    static const uint8_t bytes[] = { 0, 1, UINT8_MAX };
    static const uint16_t counts[] = { 0, 1, UINT16_MAX };
    static const uint64_t seqs[] = { 0, 1, DYN_DECISIONS_MOST, UINT64_MAX / 2 };
    DynDecision decision = distinct();

    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        decision.steady_usec = times[i];
        assert_round_trip(&decision, &web);
        decision.wall_usec = times[G_N_ELEMENTS(times) - 1 - i];
        assert_round_trip(&decision, &web);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++) {
        uint8_t *const fields[] = { &decision.reason, &decision.outcome, &decision.hold,
                                    &decision.status };

        for (size_t j = 0; j < G_N_ELEMENTS(fields); j++) {
            *fields[j] = bytes[i];
            assert_round_trip(&decision, &web);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        decision.count = counts[i];
        assert_round_trip(&decision, &web);
        decision.span_sec = counts[G_N_ELEMENTS(counts) - 1 - i];
        assert_round_trip(&decision, &web);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(seqs); i++) {
        decision.seq = seqs[i];
        assert_round_trip(&decision, &web);
    }
}
END_TEST

/* What shares a byte: each with each. */
START_TEST(test_decisions_pack_bits)
{
    DynDecision decision = distinct();

    for (unsigned i = 0; i < DYN_N_DECISIONS * 4; i++) {
        decision.kind = (uint8_t)(i / 4);
        decision.contention = i & 1;
        decision.unsaved = i >> 1 & 1;
        assert_round_trip(&decision, &web);
    }
}
END_TEST

START_TEST(test_decisions_pack_words)
{
    DynDecision decision = distinct();

    decision.reason = DYN_N_REASONS - 1;
    decision.outcome = DYN_N_OUTCOMES - 1;
    decision.hold = DYN_N_HOLDS - 1;
    decision.status = DYN_N_STATUSES - 1;
    assert_round_trip(&decision, &web);
}
END_TEST

/* Each size in turn: what is too large is the largest, and unknown is not mistaken for it. */
START_TEST(test_decisions_pack_sizes)
{
    static const struct {
        uint64_t kib, back_kib;
    } rows[] = {
        { 0, 0 },
        { 1, 1 },
        { UINT64_C(1) << 32, UINT64_C(1) << 32 },
        { DYN_DECISIONS_SIZE_MOST_KIB - 1, DYN_DECISIONS_SIZE_MOST_KIB - 1 },
        { DYN_DECISIONS_SIZE_MOST_KIB, DYN_DECISIONS_SIZE_MOST_KIB },
        { DYN_DECISIONS_SIZE_MOST_KIB + 1, DYN_DECISIONS_SIZE_MOST_KIB }, /* 40 bits, all ones */
        { UINT64_C(1) << 40, DYN_DECISIONS_SIZE_MOST_KIB },
        { DYN_MAX_KIB, DYN_DECISIONS_SIZE_MOST_KIB },
        { DYN_UNKNOWN - 1, DYN_DECISIONS_SIZE_MOST_KIB },
        { DYN_UNKNOWN, DYN_UNKNOWN },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        DynDecision decision = distinct();
        DynDecision expected = distinct();
        uint64_t *const sizes[] = { &decision.from_kib,   &decision.to_kib,
                                    &decision.demand_kib, &decision.target_kib,
                                    &decision.available_kib, &decision.pool_kib };
        uint64_t *const expected_sizes[] = { &expected.from_kib,   &expected.to_kib,
                                             &expected.demand_kib, &expected.target_kib,
                                             &expected.available_kib, &expected.pool_kib };

        for (size_t j = 0; j < G_N_ELEMENTS(sizes); j++) {
            DynPackedDecision packed;
            DynDecision back;

            *sizes[j] = rows[i].kib;
            *expected_sizes[j] = rows[i].back_kib;
            packed = dyn_decision_pack(&decision, &web);
            back = dyn_decision_unpack(&packed, 0);
            assert_equal(&expected, &back);
        }
    }
}
END_TEST

START_TEST(test_decisions_pack_nobody)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_START, NULL);
    assert_round_trip(&decision, &nobody);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("decisions-pack");
    TCase *tcase = tcase_create("pack");

    tcase_add_test(tcase, test_decisions_pack_keeps_all);
    tcase_add_test(tcase, test_decisions_pack_limits);
    tcase_add_test(tcase, test_decisions_pack_bits);
    tcase_add_test(tcase, test_decisions_pack_words);
    tcase_add_test(tcase, test_decisions_pack_sizes);
    tcase_add_test(tcase, test_decisions_pack_nobody);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
