/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept of a guest beyond its run. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define CONF_ON "[host]\nMode=on\n"
#define POLICY                                                                                     \
    "<policy xmlns='urn:dynmem:policy:1'><minimum unit='MiB'>64</minimum>"                         \
    "<startup unit='MiB'>128</startup><maximum unit='MiB'>512</maximum></policy>"

static uint64_t
stored_peak_kib(const Fake *fake, const FakeGuest *guest)
{
    const DynRecord *record = g_hash_table_lookup(fake->store, guest->uuid);

    return record ? record->boot_peak_kib : 0;
}

/* What a boot takes outlives the run, the policy and the daemon, but not the domain. */
START_TEST(test_record_keeps_the_boot_peak)
{
    g_auto(Fake) fake = { 0 };
    DynRecord *record;
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", POLICY);
    guest->running = false;
    record = dyn_record_new(guest->uuid, "100:0");
    record->boot_peak_kib = 200 * FAKE_MIB;
    g_hash_table_insert(fake.store, g_strdup(guest->uuid), record);
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_eq(stored_peak_kib(&fake, guest), 200 * FAKE_MIB);
    guest->running = true;
    fake_event(&fake, DYN_EVENT_STARTED, guest->uuid);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_ge(stored_peak_kib(&fake, guest), 200 * FAKE_MIB);
    g_clear_pointer(&guest->policy, g_free);
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_ge(stored_peak_kib(&fake, guest), 200 * FAKE_MIB);
    guest->running = false;
    fake_event(&fake, DYN_EVENT_STOPPED, guest->uuid);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_ge(stored_peak_kib(&fake, guest), 200 * FAKE_MIB);
    fake_kill(&fake);
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_ge(stored_peak_kib(&fake, guest), 200 * FAKE_MIB);
    guest->defined = false;
    fake_event(&fake, DYN_EVENT_UNDEFINED, guest->uuid);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_eq(g_hash_table_size(fake.store), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-record");
    TCase *tcase = tcase_create("engine-record");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_test(tcase, test_record_keeps_the_boot_peak);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
