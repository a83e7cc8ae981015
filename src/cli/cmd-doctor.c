/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "doctor-domain.h"
#include "doctor-host.h"
#include "json.h"
#include "text.h"

#include <dynmem/conffiles.h>

#include <string.h>

/* More names than this are counted. */
#define NAMES_MOST 10

/* All there is to tell. */
typedef struct Visit {
    DynCli *cli;
    GPtrArray *daemon, *host; /* of DynFinding; @host: NULL where only a domain was asked for */
    GPtrArray *patients;      /* of DynPatient */
    guint counts[DYN_N_SEVERITIES];
} Visit;

static void
visit_clear(Visit *visit)
{
    g_clear_pointer(&visit->daemon, g_ptr_array_unref);
    g_clear_pointer(&visit->host, g_ptr_array_unref);
    g_clear_pointer(&visit->patients, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Visit, visit_clear)

/* ---- looking ---- */

static GPtrArray *
look_at_daemon(DynCli *cli, DynDaemonStats **ret_stats)
{
    g_autoptr(DynConf) conf = NULL;
    g_autoptr(GError) conf_error = NULL;
    g_autoptr(GError) silence = NULL;
    g_auto(GStrv) warnings = NULL;
    DynDoctorDaemon facts = { .mode = DYN_MODE_ON };
    const char *mode;

    if (!dyn_conffiles_load("", dyn_cli_conf_file(), &conf, &warnings, &conf_error))
        facts.conf_error = conf_error->message;
    *ret_stats = dyn_daemon_read_stats(cli, &silence);
    if (!*ret_stats) {
        facts.silence = silence->message;
        return dyn_doctor_daemon(&facts);
    }
    mode = dyn_dict_get_string((*ret_stats)->host, "Mode");
    if (mode)
        dyn_mode_parse(mode, &facts.mode);
    facts.paused = dyn_dict_get_bool((*ret_stats)->host, "Paused");
    facts.connected = dyn_dict_get_bool((*ret_stats)->host, "Connected");
    facts.minima_short = dyn_dict_get_bool((*ret_stats)->host, "MinimaShort");
    return dyn_doctor_daemon(&facts);
}

static void
count(Visit *visit, const GPtrArray *findings)
{
    for (guint i = 0; findings && i < findings->len; i++)
        visit->counts[((const DynFinding *)findings->pdata[i])->severity]++;
}

/* ---- for people ---- */

/* The same of many domains. */
typedef struct Common {
    const DynFinding *finding;
    GPtrArray *names; /* borrowed */
} Common;

static void
common_free(Common *common)
{
    g_ptr_array_unref(common->names);
    g_free(common);
}

static bool
is_same(const DynFinding *a, const DynFinding *b)
{
    return a->severity == b->severity && strcmp(a->check, b->check) == 0 &&
           strcmp(a->text, b->text) == 0 && strcmp(a->remedy, b->remedy) == 0;
}

static Common *
common_of(GPtrArray *commons, const DynFinding *finding)
{
    Common *common;

    for (guint i = 0; i < commons->len; i++) {
        common = commons->pdata[i];
        if (is_same(common->finding, finding))
            return common;
    }
    common = g_new0(Common, 1);
    common->finding = finding;
    common->names = g_ptr_array_new();
    g_ptr_array_add(commons, common);
    return common;
}

static GPtrArray *
collect_commons(GPtrArray *patients)
{
    GPtrArray *commons = g_ptr_array_new_with_free_func((GDestroyNotify)common_free);

    for (guint p = 0; p < patients->len; p++) {
        const DynPatient *patient = patients->pdata[p];

        for (guint i = 0; i < patient->findings->len; i++)
            g_ptr_array_add(common_of(commons, patient->findings->pdata[i])->names, patient->name);
    }
    return commons;
}

static void
print_finding(FILE *out, const char *subject, const DynFinding *finding)
{
    g_autofree char *text = dyn_cli_sanitize(finding->text);
    const char *severity = dyn_severity_word(finding->severity);

    fprintf(out, "%s: %s: %s\n    Remedy: %s\n", subject, severity, text, finding->remedy);
}

static char *
list_names(const GPtrArray *names)
{
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < names->len && i < NAMES_MOST; i++) {
        g_autofree char *name = dyn_cli_cell(names->pdata[i]);

        g_string_append_printf(list, "%s%s", i > 0 ? ", " : "", name);
    }
    if (names->len > NAMES_MOST)
        g_string_append_printf(list, " and %u more", names->len - NAMES_MOST);
    return g_string_free(list, FALSE);
}

static void
print_host(const Visit *visit, const GPtrArray *findings)
{
    for (guint i = 0; findings && i < findings->len; i++)
        print_finding(visit->cli->out, "host", findings->pdata[i]);
}

static void
print_domains(const Visit *visit)
{
    g_autoptr(GPtrArray) commons = collect_commons(visit->patients);

    for (int severity = DYN_N_SEVERITIES - 1; severity >= 0; severity--)
        for (guint i = 0; i < commons->len; i++) {
            const Common *common = commons->pdata[i];
            g_autofree char *names = list_names(common->names);

            if ((int)common->finding->severity == severity)
                print_finding(visit->cli->out, names, common->finding);
        }
}

static char *
count_text(guint count, DynSeverity severity)
{
    return g_strdup_printf("%u %s%s", count, dyn_severity_word(severity), count == 1 ? "" : "s");
}

static void
say_counts(const Visit *visit)
{
    g_autofree char *problems = count_text(visit->counts[DYN_SEVERITY_PROBLEM],
                                           DYN_SEVERITY_PROBLEM);
    g_autofree char *warnings = count_text(visit->counts[DYN_SEVERITY_WARNING],
                                           DYN_SEVERITY_WARNING);
    g_autofree char *notes = count_text(visit->counts[DYN_SEVERITY_NOTE], DYN_SEVERITY_NOTE);
    const guint domains = visit->patients->len;

    dyn_cli_say(visit->cli, "Looked at %s%u domain%s: %s, %s, %s.",
                visit->host ? "the host and " : "", domains, domains == 1 ? "" : "s", problems,
                warnings, notes);
}

/* ---- for programs ---- */

static void
add_findings(DynJson *json, const DynPatient *patient, const GPtrArray *findings)
{
    for (guint i = 0; findings && i < findings->len; i++) {
        const DynFinding *finding = findings->pdata[i];

        dyn_json_open_object(json, NULL);
        dyn_json_add_string(json, "subject", patient ? "domain" : "host");
        dyn_json_add_string(json, "name", patient ? patient->name : NULL);
        dyn_json_add_string(json, "uuid", patient ? patient->uuid : NULL);
        dyn_json_add_string(json, "check", finding->check);
        dyn_json_add_string(json, "severity", dyn_severity_word(finding->severity));
        dyn_json_add_string(json, "text", finding->text);
        dyn_json_add_string(json, "remedy", finding->remedy);
        dyn_json_close(json);
    }
}

static void
print_json(const Visit *visit)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_open_array(json, "findings");
    add_findings(json, NULL, visit->daemon);
    add_findings(json, NULL, visit->host);
    for (guint i = 0; i < visit->patients->len; i++) {
        const DynPatient *patient = visit->patients->pdata[i];

        add_findings(json, patient, patient->findings);
    }
    dyn_json_close(json);
    dyn_json_add_uint(json, "domains", visit->patients->len);
    text = dyn_json_end(json);
    fputs(text, visit->cli->out);
}

/* ---- the command ---- */

static void
report(Visit *visit)
{
    count(visit, visit->daemon);
    count(visit, visit->host);
    for (guint i = 0; i < visit->patients->len; i++)
        count(visit, ((const DynPatient *)visit->patients->pdata[i])->findings);
    if (visit->cli->json) {
        print_json(visit);
    } else {
        print_host(visit, visit->daemon);
        print_host(visit, visit->host);
        print_domains(visit);
        say_counts(visit);
    }
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    g_autoptr(DynDaemonStats) stats = NULL;
    g_auto(Visit) visit = { .cli = cli };
    const guint *problems = &visit.counts[DYN_SEVERITY_PROBLEM];
    DynDoctorVisit look = { .domain = args[0] };
    DynDoctorHost host;
    bool seen;

    (void)data;
    visit.daemon = look_at_daemon(cli, &stats);
    dyn_doctor_read_host("", &host);
    if (!args[0])
        visit.host = dyn_doctor_host(&host);
    look.stats = stats;
    look.nodes = host.nodes;
    visit.patients = dyn_doctor_look(cli, &look, error);
    seen = visit.patients != NULL;
    if (!seen && args[0])
        return false;
    if (!seen) /* without libvirt there is still the host */
        visit.patients = g_ptr_array_new();
    report(&visit);
    if (seen && *problems > 0)
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%u problem%s found", *problems,
                    *problems == 1 ? "" : "s");
    return seen && *problems == 0;
}

const DynCliCommand dyn_cli_cmd_doctor = {
    .name = "doctor",
    .summary = "Say what keeps a host or a guest from dynamic memory, and what to do about it",
    .syntax = "[DOMAIN]",
    .details = "Nothing is changed. A problem is what keeps dynmem from what is wanted, a warning\n"
               "what makes it worse than it looks, a note what would be better otherwise. The exit\n"
               "status is 1 if there is a problem.",
    .most = 1,
    .takes_domain = true,
    .run = run,
};
