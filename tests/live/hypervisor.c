/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hypervisor URI [PROC]: the libvirt hypervisor by hand, for live tests and for looking. Reads
 * commands, a line each, and runs every one on a thread of its own; answers come as "NUMBER USEC
 * RESULT" in the order in which they end, NUMBER counting commands from 1; events as "event TYPE
 * UUID VALUE". Ends at end of input.
 *
 *   connect | list | read UUID | probe UUID | balloon UUID KIB | period UUID SEC
 *   sample UUID... | exact UUID... | ask UUID... | policy UUID XML */
#include "config.h"

#include <dynmem/virt.h>

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <dynmem/error.h>

typedef struct Session {
    DynHypervisor *hypervisor;
    GThreadPool *pool;
    GMainLoop *loop;
    unsigned commands;
} Session;

typedef struct Command {
    unsigned number;
    char **word;
} Command;

static const char *const event_names[DYN_N_EVENTS] = {
    "started",   "stopped",  "suspended", "pmsuspended", "resumed",  "reboot",    "defined",
    "undefined", "metadata", "balloon",   "vmem",        "job-done", "agent",
    "connected", "disconnected",
};

static void
on_event(const DynEvent *event, gpointer user_data)
{
    printf("event %s %s %" PRIu64 "\n", event_names[event->type], event->uuid, event->value_kib);
    fflush(stdout);
}

static void
add_found(GString *text, const DynFound *found)
{
    g_string_append_printf(text,
                           "[%s active=%d persistent=%d run=%d incarnation=%s memory=%" PRIu64
                           " current=%" PRIu64 " vmem=%" PRIu64 " period=%u policy=%d problem=%s]",
                           found->domain->uuid, found->active, found->persistent, found->run,
                           found->incarnation ? found->incarnation : "-", found->domain->memory_kib,
                           found->domain->current_kib, found->domain->vmem_current_kib,
                           found->domain->stats_period_sec, found->domain->policy_xml != NULL,
                           found->problem ? found->problem : "-");
}

static void
add_value(GString *text, const char *name, uint64_t value)
{
    if (value == DYN_UNKNOWN)
        g_string_append_printf(text, " %s=?", name);
    else
        g_string_append_printf(text, " %s=%" PRIu64, name, value);
}

static void
add_guest(GString *text, const DynGuestSample *guest)
{
    g_string_append_printf(text, "[%s run=%d hung=%d job=%d stats=%d exact=%d answered=%d off=%d",
                           guest->uuid, guest->run, guest->hung, guest->job, guest->has_stats,
                           guest->exact, guest->answered, guest->period_off);
    add_value(text, "balloon", guest->balloon_kib);
    add_value(text, "vmem", guest->vmem_kib);
    add_value(text, "total", guest->stats.total_kib);
    add_value(text, "available", guest->stats.available_kib);
    add_value(text, "free", guest->stats.free_kib);
    add_value(text, "swap_in", guest->stats.swap_in_kib);
    add_value(text, "swap_out", guest->stats.swap_out_kib);
    add_value(text, "major", guest->stats.major_faults);
    add_value(text, "minor", guest->stats.minor_faults);
    add_value(text, "cache", guest->stats.cache_kib);
    add_value(text, "updated", guest->stats.last_update_sec);
    add_value(text, "rss", guest->rss_kib);
    add_value(text, "host_swap", guest->host_swap_kib);
    g_string_append_c(text, ']');
}

static bool
run_list(DynHypervisor *hypervisor, GString *text, GError **error)
{
    g_autoptr(GPtrArray) list = hypervisor->ops->list(hypervisor, error);

    for (guint i = 0; list && i < list->len; i++)
        add_found(text, g_ptr_array_index(list, i));
    return list != NULL;
}

static bool
run_read(DynHypervisor *hypervisor, const char *uuid, GString *text, GError **error)
{
    g_autoptr(DynFound) found = hypervisor->ops->read(hypervisor, uuid, error);

    if (found)
        add_found(text, found);
    return found != NULL;
}

/* "sample", "exact", or "ask": a quick one of new statistics, period 1. */
static bool
run_sample(DynHypervisor *hypervisor, char **word, GString *text, GError **error)
{
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(DynSnapshot) snapshot = NULL;

    request->quick = strcmp(word[0], "ask") == 0;
    request->period_sec = 1;
    for (char **uuid = word + 1; *uuid; uuid++) {
        dyn_sample_request_add(request, *uuid, word[0][0] != 's', false);
        g_array_index(request->asks, DynAsk, request->asks->len - 1).fresh = request->quick;
    }
    snapshot = hypervisor->ops->sample(hypervisor, request, error);
    for (guint i = 0; snapshot && i < snapshot->guests->len; i++)
        add_guest(text, &g_array_index(snapshot->guests, DynGuestSample, i));
    return snapshot != NULL;
}

static bool
run_probe(DynHypervisor *hypervisor, const char *uuid, GString *text, GError **error)
{
    DynProbe probe;

    if (!hypervisor->ops->probe(hypervisor, uuid, &probe, error))
        return false;
    g_string_append_printf(text, "hung=%d paused=%d job=%d busy=%d", probe.hung, probe.paused,
                           probe.job, probe.control_busy);
    return true;
}

static bool
run_one(DynHypervisor *hypervisor, char **word, GString *text, GError **error)
{
    const char *uuid = word[1] ? word[1] : "";
    const char *value = word[1] && word[2] ? word[2] : "";

    if (strcmp(word[0], "connect") == 0)
        return hypervisor->ops->connect(hypervisor, error);
    if (strcmp(word[0], "list") == 0)
        return run_list(hypervisor, text, error);
    if (strcmp(word[0], "read") == 0)
        return run_read(hypervisor, uuid, text, error);
    if (strcmp(word[0], "sample") == 0 || strcmp(word[0], "exact") == 0 ||
        strcmp(word[0], "ask") == 0)
        return run_sample(hypervisor, word, text, error);
    if (strcmp(word[0], "probe") == 0)
        return run_probe(hypervisor, uuid, text, error);
    if (strcmp(word[0], "balloon") == 0)
        return hypervisor->ops->set_balloon(hypervisor, uuid, g_ascii_strtoull(value, NULL, 10),
                                            error);
    if (strcmp(word[0], "period") == 0)
        return hypervisor->ops->set_stats_period(
            hypervisor, uuid, (uint32_t)g_ascii_strtoull(value, NULL, 10), error);
    if (strcmp(word[0], "policy") == 0)
        return hypervisor->ops->write_policy(hypervisor, uuid, value, error);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "no command '%s'", word[0]);
    return false;
}

static void
run_command(gpointer data, gpointer user_data)
{
    Command *command = data;
    Session *session = user_data;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    int64_t begin_usec = g_get_monotonic_time();

    if (!run_one(session->hypervisor, command->word, text, &error))
        g_string_printf(text, "error %s: %s", dyn_error_word((DynError)error->code),
                        error->message);
    printf("%u %" PRId64 " %s\n", command->number, g_get_monotonic_time() - begin_usec, text->str);
    fflush(stdout);
    g_strfreev(command->word);
    g_free(command);
}

static void
on_line(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Session *session = user_data;
    GDataInputStream *input = G_DATA_INPUT_STREAM(source);
    char *line = g_data_input_stream_read_line_finish_utf8(input, result, NULL, NULL);
    Command *command;

    if (!line) {
        g_main_loop_quit(session->loop);
        return;
    }
    command = g_new0(Command, 1);
    command->number = ++session->commands;
    command->word = g_strsplit(line, " ", 0);
    g_free(line);
    g_thread_pool_push(session->pool, command, NULL);
    g_data_input_stream_read_line_async(input, G_PRIORITY_DEFAULT, NULL, on_line, session);
}

int
main(int argc, char **argv)
{
    g_autoptr(GInputStream) raw = g_unix_input_stream_new(STDIN_FILENO, FALSE);
    g_autoptr(GDataInputStream) input = g_data_input_stream_new(raw);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Session session = {.loop = loop};

    if (!dyn_virt_loop_register(NULL))
        return 1;
    dyn_virt_init();
    session.hypervisor =
        dyn_virt_new(argc > 1 ? argv[1] : "qemu:///system", argc > 2 ? argv[2] : "/proc");
    session.hypervisor->on_event = on_event;
    session.pool = g_thread_pool_new(run_command, &session, 16, FALSE, NULL);
    g_data_input_stream_read_line_async(input, G_PRIORITY_DEFAULT, NULL, on_line, &session);
    g_main_loop_run(loop);
    g_thread_pool_free(session.pool, FALSE, TRUE);
    dyn_hypervisor_free(session.hypervisor);
    /* Lets libvirt's event loop free what it removed. */
    while (g_main_context_iteration(NULL, FALSE))
        ;
    return 0;
}
