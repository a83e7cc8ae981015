/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's part. */
#include "config.h"

#include <dynmem/units.h>

#include "doctor-priv.h"

/* ---- findings ---- */

void
dyn_finding_free(DynFinding *finding)
{
    g_free(finding->text);
    g_free(finding->remedy);
    g_free(finding);
}

GPtrArray *
dyn_findings_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)dyn_finding_free);
}

void
dyn_findings_add(GPtrArray *findings, const DynRemark *remark)
{
    dyn_findings_add_text(findings, remark, "%s", remark->text);
}

void
dyn_findings_add_text(GPtrArray *findings, const DynRemark *remark, const char *format, ...)
{
    DynFinding *finding = g_new0(DynFinding, 1);
    va_list words;

    finding->check = remark->check;
    finding->severity = remark->severity;
    finding->remedy = g_strdup(remark->remedy);
    va_start(words, format);
    finding->text = g_strdup_vprintf(format, words);
    va_end(words);
    g_ptr_array_add(findings, finding);
}

void
dyn_findings_sort(GPtrArray *findings)
{
    GPtrArray *sorted = g_ptr_array_sized_new(findings->len);

    for (int severity = DYN_N_SEVERITIES - 1; severity >= 0; severity--)
        for (guint i = 0; i < findings->len; i++) {
            const DynFinding *finding = findings->pdata[i];

            if ((int)finding->severity == severity)
                g_ptr_array_add(sorted, findings->pdata[i]);
        }
    for (guint i = 0; i < findings->len; i++)
        findings->pdata[i] = sorted->pdata[i];
    g_ptr_array_unref(sorted);
}

const char *
dyn_severity_word(DynSeverity severity)
{
    static const char *const words[DYN_N_SEVERITIES] = {
        [DYN_SEVERITY_NOTE] = "note",
        [DYN_SEVERITY_WARNING] = "warning",
        [DYN_SEVERITY_PROBLEM] = "problem",
    };

    return words[severity];
}

/* ---- the daemon ---- */

static const DynRemark conf_error = {
    "configuration", DYN_SEVERITY_PROBLEM, NULL,
    "Correct the line it names; 'dynmem config --check' says whether that was all."
};
static const DynRemark silent = {
    "daemon", DYN_SEVERITY_PROBLEM, NULL,
    "'systemctl enable --now dynmemd'; if it does not stay up, 'journalctl -u dynmemd' says why."
};
static const DynRemark disconnected = {
    "libvirt", DYN_SEVERITY_PROBLEM,
    "dynmemd has no connection to libvirt: no guest is looked at.",
    "See 'systemctl status libvirtd' (or virtqemud), and Connect= in dynmem.conf(5)."
};
static const DynRemark paused = {
    "paused", DYN_SEVERITY_WARNING,
    "dynmem is paused: guests are looked at, nothing is done to any.", "'dynmem resume'."
};
static const DynRemark observing = {
    "observe", DYN_SEVERITY_WARNING,
    "The host's mode is 'observe', as packages install it: what would be done is reported, nothing "
    "is done.",
    "When 'dynmem explain DOMAIN' shows what you want: Mode=on in the [host] section of "
    "/etc/dynmem/dynmem.conf, then 'systemctl reload dynmemd'."
};
static const DynRemark mode_off = {
    "observe", DYN_SEVERITY_WARNING, "The host's mode is 'off': no guest is managed.",
    "Mode=observe or Mode=on in the [host] section of /etc/dynmem/dynmem.conf, then 'systemctl "
    "reload dynmemd'."
};
static const DynRemark minima_short = {
    "minima", DYN_SEVERITY_WARNING,
    "The minima of the guests that run do not fit into the pool: nobody can be given more, and a "
    "guest that grows by itself takes what the host keeps for itself.",
    "Lower minima ('dynmem set DOMAIN --minimum SIZE'), stop a guest or move one away; 'dynmem "
    "host' shows the sums."
};

GPtrArray *
dyn_doctor_daemon(const DynDoctorDaemon *facts)
{
    GPtrArray *findings = dyn_findings_new();

    if (facts->conf_error)
        dyn_findings_add_text(findings, &conf_error, "The configuration cannot be used: %s.",
                              facts->conf_error);
    if (facts->silence) {
        dyn_findings_add_text(findings, &silent,
                              "Nothing is balanced, and what guests tell of themselves cannot be "
                              "looked at: %s.", facts->silence);
        return findings;
    }
    if (!facts->connected)
        dyn_findings_add(findings, &disconnected);
    if (facts->paused)
        dyn_findings_add(findings, &paused);
    if (facts->mode == DYN_MODE_OBSERVE)
        dyn_findings_add(findings, &observing);
    else if (facts->mode == DYN_MODE_OFF)
        dyn_findings_add(findings, &mode_off);
    if (facts->minima_short)
        dyn_findings_add(findings, &minima_short);
    dyn_findings_sort(findings);
    return findings;
}

/* ---- the host ---- */

/* A ZFS cache with less than this, and less than 1/32 of the host, to give is not worth a word. */
#define ARC_WORTH_KIB (UINT64_C(256) * DYN_KIB_PER_MIB)

#define ANOTHER_BALANCER                                                                           \
    "It sets the balloons of guests, too: each takes the other's orders for somebody's wish and "  \
    "lets the guest rest, or undoes them."

typedef struct Program {
    const char *name;
    DynRemark remark;
} Program;

static const Program programs[DYN_N_PROGRAMS] = {
    [DYN_PROGRAM_KSMTUNED] = { "ksmtuned",
        { "ksmtuned", DYN_SEVERITY_WARNING,
          "It has pages merged when the host is nearly full, which is when dynmem balances it: "
          "merging takes CPU time, and merged pages that are written to take memory nobody "
          "counted.",
          "'systemctl disable --now ksmtuned'; then, while memory is free, 'echo 2 "
          ">/sys/kernel/mm/ksm/run'." } },
    [DYN_PROGRAM_EARLYOOM] = { "earlyoom",
        { "earlyoom", DYN_SEVERITY_WARNING,
          "It kills the process with the most memory when little is left: on this host, a guest.",
          "Add --avoid '^qemu' to EARLYOOM_ARGS in /etc/default/earlyoom and restart it, or "
          "'systemctl disable --now earlyoom'." } },
    [DYN_PROGRAM_NOHANG] = { "nohang",
        { "nohang", DYN_SEVERITY_WARNING,
          "It kills processes with much memory when little is left or waiting for it gets long: on "
          "this host, a guest.",
          "Lower the badness of qemu in /etc/nohang/nohang.conf, or 'systemctl disable --now "
          "nohang'." } },
    [DYN_PROGRAM_SYSTEMD_OOMD] = { "systemd-oomd",
        { "systemd-oomd", DYN_SEVERITY_WARNING,
          "Where ManagedOOMSwap= or ManagedOOMMemoryPressure= say 'kill' it kills whole cgroups "
          "when memory is short, those of guests as readily as others.",
          "See 'oomctl'; for guests: 'systemctl set-property machine.slice ManagedOOMSwap=auto "
          "ManagedOOMMemoryPressure=auto', or 'systemctl disable --now systemd-oomd'." } },
    [DYN_PROGRAM_MOM] = { "momd",
        { "balancer", DYN_SEVERITY_PROBLEM, ANOTHER_BALANCER,
          "Keep one of them: 'systemctl disable --now momd' (or mom-vdsm), or 'systemctl disable "
          "--now dynmemd'." } },
    [DYN_PROGRAM_PVESTATD] = { "pvestatd",
        { "balancer", DYN_SEVERITY_PROBLEM, ANOTHER_BALANCER,
          "Proxmox VE balances its guests itself, and without libvirt: 'systemctl disable --now "
          "dynmemd'." } },
    [DYN_PROGRAM_SQUEEZED] = { "squeezed",
        { "balancer", DYN_SEVERITY_PROBLEM, ANOTHER_BALANCER,
          "Keep one of them: 'systemctl disable --now squeezed', or 'systemctl disable --now "
          "dynmemd'." } },
};

static const DynRemark ksm = {
    "ksm", DYN_SEVERITY_NOTE,
    "The kernel merges equal pages (KSM): guests then need less than they hold, until they write, "
    "which takes memory nobody counted.",
    "While memory is free, 'echo 2 >/sys/kernel/mm/ksm/run', and see that nothing starts it again."
};
static const DynRemark arc = {
    "zfs", DYN_SEVERITY_WARNING, NULL,
    "Limit it: 'options zfs zfs_arc_max=BYTES' in /etc/modprobe.d/zfs.conf, and now 'echo BYTES "
    ">/sys/module/zfs/parameters/zfs_arc_max'."
};
static const DynRemark no_stall = {
    "psi", DYN_SEVERITY_NOTE,
    "The kernel does not tell how long the host waits for memory (/proc/pressure/memory), so "
    "dynmem does not see it wait.",
    "Boot the host with psi=1 on its kernel's command line."
};
static const DynRemark cgroup_v1 = {
    "cgroup", DYN_SEVERITY_NOTE,
    "The host's memory controller is that of cgroup version 1: guests have no pressure figures "
    "and no memory.reclaim of their own there.",
    "Boot the host with systemd.unified_cgroup_hierarchy=1 on its kernel's command line."
};
static const DynRemark no_cgroup = {
    "cgroup", DYN_SEVERITY_NOTE, "The host has no memory cgroups, neither version 1 nor 2.",
    "Boot the host with systemd, and without cgroup_disable=memory on its kernel's command line."
};

const char *
dyn_program_name(DynProgram program)
{
    return programs[program].name;
}

static void
add_programs(GPtrArray *findings, const DynDoctorHost *facts)
{
    for (int i = 0; i < DYN_N_PROGRAMS; i++)
        if (facts->pids[i] != 0)
            dyn_findings_add_text(findings, &programs[i].remark, "%s runs (process %d). %s",
                                  programs[i].name, facts->pids[i], programs[i].remark.text);
}

static void
add_arc(GPtrArray *findings, const DynDoctorHost *facts)
{
    const uint64_t spare_kib = dyn_sat_sub(facts->arc_kib, facts->arc_least_kib);
    g_autofree char *held = dyn_size_format(facts->arc_kib);
    g_autofree char *spare = dyn_size_format(spare_kib);

    if (spare_kib < ARC_WORTH_KIB ||
        (facts->total_kib != DYN_UNKNOWN && spare_kib < facts->total_kib / 32))
        return;
    dyn_findings_add_text(findings, &arc,
                          "The cache of ZFS holds %s. It would give %s of that to whoever needs "
                          "memory, but the kernel does not count that as available, so dynmem does "
                          "not hand it out.", held, spare);
}

GPtrArray *
dyn_doctor_host(const DynDoctorHost *facts)
{
    GPtrArray *findings = dyn_findings_new();

    add_programs(findings, facts);
    add_arc(findings, facts);
    if (facts->ksm)
        dyn_findings_add(findings, &ksm);
    if (!facts->stall_known)
        dyn_findings_add(findings, &no_stall);
    if (facts->cgroup != DYN_CGROUP_V2)
        dyn_findings_add(findings, facts->cgroup == DYN_CGROUP_V1 ? &cgroup_v1 : &no_cgroup);
    dyn_findings_sort(findings);
    return findings;
}
