/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scenarios that cannot be used: what is said of them can be shown on a terminal. */
#include "config.h"

#include "suite.h"

#include <dynmem/sim.h>
#include <string.h>

static const struct {
    const char *line;
    const char *part; /* of the message */
} rows[] = {
    { "Model=\033[31mred", "'\\x1b[31mred' is no model: use one of ideal, " },
    { "Autodeflate=\033[31mred", "'\\x1b[31mred' is neither on nor off" },
    { "Start=\033[31mred", "'\\x1b[31mred' is not a time such as" },
    { "Period=\033[31mred", "'\\x1b[31mred' is not a number from 0 to 3600" },
    { "Faults=\033[31mred", "'\\x1b[31mred' is nothing that befalls a guest" },
    { "Events=\033[31mred", "'\\x1b[31mred' is not \"TIME EVENT [VALUE]\"" },
    { "Use=\033[31mred", "'\\x1b[31mred' is not a size" },
    { "Period=3601", "'3601' is not a number from 0 to 3600" },
    { "Priority=\033[31mred", "\\x1b[31mred" },
};

START_TEST(test_sim_keys_quote_what_is_wrong)
{
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=8G\n[guest \"a\"]\nBase=1G\n%s\n", rows[_i].line);
    g_autoptr(GError) error = NULL;
    DynSim *sim = dyn_sim_new("test", text, strlen(text), &error);

    ck_assert_ptr_null(sim);
    ck_assert_msg(strstr(error->message, rows[_i].part) != NULL, "%s", error->message);
    ck_assert_msg(!strchr(error->message, '\033'), "%s", error->message);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim-keys");
    TCase *tcase = tcase_create("keys");

    tcase_add_loop_test(tcase, test_sim_keys_quote_what_is_wrong, 0, G_N_ELEMENTS(rows));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
