/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "doctor-domain.h"
#include "guests.h"
#include "libvirt.h"

#include <dynmem/units.h>

#include <string.h>

/* How long CPU time is watched: an idle guest's timers fire many times in that. */
#define WATCH_USEC G_USEC_PER_SEC

void
dyn_patient_free(DynPatient *patient)
{
    g_free(patient->uuid);
    g_free(patient->name);
    g_clear_pointer(&patient->handle, virDomainFree);
    dyn_domain_free(patient->domain);
    dyn_domain_free(patient->next);
    g_clear_pointer(&patient->told, g_variant_unref);
    g_clear_pointer(&patient->findings, g_ptr_array_unref);
    g_free(patient);
}

static DynHold
read_hold(GVariant *guest)
{
    const char *word = dyn_dict_get_string(guest, "Hold");

    for (int hold = 0; word && hold < DYN_N_HOLDS; hold++)
        if (strcmp(word, dyn_hold_word(hold)) == 0)
            return hold;
    return DYN_HOLD_NONE; /* or one of a later daemon */
}

static uint64_t
read_kib(GVariant *guest, const char *key)
{
    uint64_t bytes;

    return dyn_dict_get_uint(guest, key, &bytes) ? bytes / 1024 : DYN_UNKNOWN;
}

/* What is kept of @bare, libvirt's words, and @known, the daemon's of the same guest (or NULL). */
static void
take_words(DynPatient *patient, GVariant *bare, GVariant *known)
{
    DynDoctorDomain *facts = &patient->facts;
    const char *mode = dyn_dict_get_string(bare, "PolicyMode");
    uint64_t rests = 0;

    patient->told = g_variant_ref(known ? known : bare);
    facts->mode = DYN_MODE_OFF;
    if (mode)
        dyn_mode_parse(mode, &facts->mode);
    facts->hold = read_hold(patient->told);
    facts->hold_text = dyn_dict_get_string(patient->told, "Reason");
    facts->wanted = mode && facts->mode != DYN_MODE_OFF && facts->hold != DYN_HOLD_NO_POLICY;
    facts->maximum_kib = read_kib(patient->told, "Maximum");
    facts->assigned_kib = read_kib(patient->told, "Assigned");
    facts->demand_kib = read_kib(patient->told, "Demand");
    facts->offline_kib = read_kib(patient->told, "Offline");
    facts->swap = dyn_dict_get_bool(patient->told, "Swap");
    facts->plug_rests = dyn_dict_get_uint(patient->told, "PlugRestSeconds", &rests) && rests > 0;
    facts->told = known && facts->assigned_kib != DYN_UNKNOWN;
    facts->busy_percent = -1;
}

static DynPatient *
examine(DynCli *cli, virDomainPtr handle, const DynDaemonStats *stats, GError **error)
{
    g_autoptr(GVariant) bare = dyn_cli_describe_domain(cli, handle, false, error);
    g_autoptr(DynDomain) domain = bare ? dyn_cli_read_domain(handle, false, error) : NULL;
    DynPatient *patient;

    if (!domain)
        return NULL;
    patient = g_new0(DynPatient, 1);
    patient->uuid = g_strdup(domain->uuid);
    patient->name = g_strdup(domain->name);
    patient->handle = handle;
    virDomainRef(handle);
    patient->domain = g_steal_pointer(&domain);
    if (virDomainIsActive(handle) == 1 && virDomainIsPersistent(handle) == 1)
        patient->next = dyn_cli_read_domain(handle, true, NULL);
    patient->facts.domain = patient->domain;
    patient->facts.next = patient->next;
    take_words(patient, bare, stats ? dyn_guests_by_uuid(stats->guests, patient->uuid) : NULL);
    return patient;
}

static int
compare_patients(gconstpointer a, gconstpointer b)
{
    const DynPatient *first = *(DynPatient *const *)a, *second = *(DynPatient *const *)b;

    return strcmp(first->name, second->name);
}

static bool
examine_all(DynCli *cli, const DynDaemonStats *stats, GPtrArray *patients, GError **error)
{
    virConnectPtr connection = dyn_cli_connect(cli, false, error);
    virDomainPtr *handles = NULL;
    int n;

    if (!connection)
        return false;
    n = virConnectListAllDomains(connection, &handles, 0);
    if (n < 0) {
        dyn_virt_set_error(error, "cannot list the domains");
        return false;
    }
    for (int i = 0; i < n; i++) {
        g_autoptr(GError) why = NULL;
        DynPatient *patient = examine(cli, handles[i], stats, &why);

        if (patient)
            g_ptr_array_add(patients, patient);
        else if (!g_error_matches(why, DYN_ERROR, DYN_ERROR_GONE)) /* gone since it was listed */
            dyn_cli_warn(cli, "%s", why->message);
        virDomainFree(handles[i]);
    }
    free(handles);
    g_ptr_array_sort(patients, compare_patients);
    return true;
}

static bool
examine_one(DynCli *cli, const char *name_or_uuid, const DynDaemonStats *stats,
            GPtrArray *patients, GError **error)
{
    g_autoptr(virDomain) handle = dyn_cli_find_domain(cli, name_or_uuid, false, error);
    DynPatient *patient = handle ? examine(cli, handle, stats, error) : NULL;

    if (!patient)
        return false;
    g_ptr_array_add(patients, patient);
    return true;
}

/* ---- whether they work ---- */

typedef struct Reading {
    unsigned long long cpu_nsec; /* UINT64_MAX: none */
    int64_t when_usec;
} Reading;

static Reading
read_cpu(const DynPatient *patient)
{
    virDomainInfo info;
    Reading reading = { .cpu_nsec = UINT64_MAX };

    if (dyn_doctor_is_full(&patient->facts) && virDomainGetInfo(patient->handle, &info) == 0)
        reading.cpu_nsec = info.cpuTime;
    reading.when_usec = g_get_monotonic_time();
    return reading;
}

static int
busy_percent(const DynPatient *patient, const Reading *from, const Reading *to)
{
    const int64_t passed_usec = to->when_usec - from->when_usec;
    const unsigned vcpus = MAX(patient->domain->vcpus, 1);

    if (from->cpu_nsec == UINT64_MAX || to->cpu_nsec == UINT64_MAX ||
        to->cpu_nsec < from->cpu_nsec || passed_usec <= 0)
        return -1;
    return (int)MIN((double)(to->cpu_nsec - from->cpu_nsec) / 10 / (double)passed_usec / vcpus,
                    100);
}

static void
watch_cpus(GPtrArray *patients)
{
    g_autofree Reading *before = g_new(Reading, patients->len);
    bool any = false;

    for (guint i = 0; i < patients->len; i++) {
        before[i] = read_cpu(patients->pdata[i]);
        any = any || before[i].cpu_nsec != UINT64_MAX;
    }
    if (!any)
        return;
    g_usleep(WATCH_USEC);
    for (guint i = 0; i < patients->len; i++) {
        DynPatient *patient = patients->pdata[i];
        const Reading after = read_cpu(patient);

        patient->facts.busy_percent = busy_percent(patient, &before[i], &after);
    }
}

GPtrArray *
dyn_doctor_look(DynCli *cli, const DynDoctorVisit *visit, GError **error)
{
    g_autoptr(GPtrArray) patients =
        g_ptr_array_new_with_free_func((GDestroyNotify)dyn_patient_free);

    if (visit->domain ? !examine_one(cli, visit->domain, visit->stats, patients, error)
                      : !examine_all(cli, visit->stats, patients, error))
        return NULL;
    watch_cpus(patients);
    for (guint i = 0; i < patients->len; i++) {
        DynPatient *patient = patients->pdata[i];

        patient->facts.nodes = visit->nodes;
        patient->findings = dyn_doctor_domain(&patient->facts);
    }
    return g_steal_pointer(&patients);
}
