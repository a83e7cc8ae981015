/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's part: what its XML says, and what became of it when it runs. */
#include "config.h"

#include <dynmem/units.h>

#include "doctor-priv.h"

#define NEXT_START "Shut it down and start it: that is mended in its configuration already."
#define AT_NEXT_START "; it takes effect when the domain is started next."

/* ---- what the XML says ---- */

typedef struct Check {
    DynRemark remark;
    bool (*applies)(const DynDomain *domain);
} Check;

static bool
has(const DynDomain *domain, DynObstacle obstacle)
{
    return (domain->obstacles & (1u << obstacle)) != 0;
}

static bool
no_balloon(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_NO_BALLOON);
}

static bool
other_balloon(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_BALLOON_MODEL);
}

static bool
in_huge_pages(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_HUGEPAGES);
}

static bool
is_locked(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_LOCKED);
}

static bool
has_vfio(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_VFIO);
}

static bool
is_encrypted(const DynDomain *domain)
{
    return has(domain, DYN_OBSTACLE_ENCRYPTED);
}

static bool
is_limited(const DynDomain *domain)
{
    return domain->hard_limit_kib != 0 && domain->hard_limit_kib <= dyn_domain_reach_kib(domain);
}

static bool
odd_vmem(const DynDomain *domain)
{
    return domain->vmem_devices > 0 && domain->vmem_block_kib == 0;
}

static bool
has_virtio_balloon(const DynDomain *domain)
{
    return !no_balloon(domain) && !other_balloon(domain);
}

static bool
no_reporting(const DynDomain *domain)
{
    return has_virtio_balloon(domain) && !domain->free_page_reporting;
}

static bool
no_autodeflate(const DynDomain *domain)
{
    return has_virtio_balloon(domain) && !domain->autodeflate;
}

static bool
no_max_memory(const DynDomain *domain)
{
    return domain->max_memory_kib == 0;
}

static const Check checks[] = {
    { { "no-balloon", DYN_SEVERITY_PROBLEM,
        "It has no balloon device, by which memory is taken and given, and statistics come.",
        "'dynmem prepare DOMAIN', or <memballoon model='virtio'/> among its <devices>"
        AT_NEXT_START }, no_balloon },
    { { "balloon-model", DYN_SEVERITY_PROBLEM, "Its balloon device is not a virtio one.",
        "'dynmem prepare DOMAIN', or model='virtio' in its <memballoon>" AT_NEXT_START },
      other_balloon },
    { { "hugepages", DYN_SEVERITY_PROBLEM,
        "Its memory is in huge pages (<hugepages/>): what its balloon takes does not come back to "
        "the host, as only whole huge pages could.",
        "Remove <hugepages/> from its <memoryBacking> (transparent huge pages remain), or 'dynmem "
        "disable DOMAIN'" AT_NEXT_START }, in_huge_pages },
    { { "locked", DYN_SEVERITY_PROBLEM,
        "Its memory is locked (<locked/>): what its balloon takes does not come back to the host.",
        "Remove <locked/> from its <memoryBacking>, or 'dynmem disable DOMAIN'" AT_NEXT_START },
      is_locked },
    { { "vfio", DYN_SEVERITY_PROBLEM,
        "A device is passed through to it (VFIO, vDPA or an NVMe disk), which pins all its memory: "
        "QEMU keeps what its balloon takes, and says nothing.",
        "Give it a virtio device instead, or 'dynmem disable DOMAIN' and leave its memory fixed"
        AT_NEXT_START }, has_vfio },
    { { "encrypted", DYN_SEVERITY_PROBLEM,
        "Its memory is encrypted (<launchSecurity/>), and cannot be taken from it.",
        "'dynmem disable DOMAIN' and leave its memory fixed." }, is_encrypted },
    { { "hard-limit", DYN_SEVERITY_WARNING,
        "The hard limit in its <memtune> is not above all it can hold, with what QEMU itself "
        "needs: the kernel kills it when it grows that far.",
        "'virsh memtune DOMAIN --hard-limit -1 --live --config' (without --live while it is shut "
        "off)." }, is_limited },
    { { "virtio-mem", DYN_SEVERITY_WARNING,
        "The sizes of a virtio-mem device of it make no sense: nothing is asked of any of them.",
        "<size> and <requested> have to be multiples of <block>, and that a power of two: 'virsh "
        "edit DOMAIN'" AT_NEXT_START }, odd_vmem },
    { { "free-page-reporting", DYN_SEVERITY_NOTE,
        "It does not report free pages: what it has freed stays with QEMU until its balloon takes "
        "it.",
        "'dynmem prepare DOMAIN', or freePageReporting='on' in its <memballoon> (QEMU 5.1, and "
        "Linux 5.7 in the guest)" AT_NEXT_START }, no_reporting },
    { { "autodeflate", DYN_SEVERITY_NOTE,
        "Its balloon does not deflate by itself: a guest that suddenly needs more kills processes "
        "unless dynmem is faster.",
        "'dynmem prepare DOMAIN', or autodeflate='on' in its <memballoon>" AT_NEXT_START },
      no_autodeflate },
    { { "max-memory", DYN_SEVERITY_NOTE,
        "It has no <maxMemory>: it cannot grow beyond what it boots with.",
        "If it should: 'dynmem prepare DOMAIN --maximum SIZE --hot-add virtio-mem'"
        AT_NEXT_START }, no_max_memory },
};

static const DynRemark node_bound = {
    "numa", DYN_SEVERITY_WARNING,
    "Its memory is bound to nodes of the host (<numatune>): dynmem counts the host as one pool, "
    "and may hand out what these nodes do not have.",
    "mode='preferred' in its <numatune>, or see that the maxima of the guests of each node fit "
    "into it."
};

static void
add_remark(GPtrArray *findings, const DynRemark *remark, bool mended)
{
    DynRemark pending = *remark;

    if (mended) {
        pending.severity = DYN_SEVERITY_NOTE;
        pending.remedy = NEXT_START;
    }
    dyn_findings_add(findings, &pending);
}

static void
check_xml(GPtrArray *findings, const DynDoctorDomain *facts)
{
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++)
        if (checks[i].applies(facts->domain))
            add_remark(findings, &checks[i].remark,
                       facts->next && !checks[i].applies(facts->next));
    if (facts->domain->node_bound && facts->nodes != 1)
        add_remark(findings, &node_bound, facts->next && !facts->next->node_bound);
}

/* ---- its policy ---- */

static const DynRemark no_policy = {
    "no-policy", DYN_SEVERITY_NOTE,
    "It has no policy: it is left alone.",
    "'dynmem enable DOMAIN' has it managed as it is; 'dynmem prepare DOMAIN' makes it fit first."
};
static const DynRemark policy_off = {
    "off", DYN_SEVERITY_NOTE, "Its policy says mode 'off': it is left alone.",
    "'dynmem enable DOMAIN' if it should not be."
};
static const DynRemark bad_policy = {
    "bad-policy", DYN_SEVERITY_PROBLEM, NULL,
    "'dynmem set DOMAIN' with values that fit, or 'dynmem enable DOMAIN' anew; 'dynmem disable "
    "DOMAIN' removes it."
};
static const DynRemark observed = {
    "observe", DYN_SEVERITY_NOTE,
    "Its policy says mode 'observe': what would be done to it is reported, nothing is done.",
    "'dynmem set DOMAIN --mode on' when 'dynmem explain DOMAIN' shows what you want."
};

static void
check_policy(GPtrArray *findings, const DynDoctorDomain *facts)
{
    if (facts->hold == DYN_HOLD_NO_POLICY)
        dyn_findings_add(findings, &no_policy);
    else if (facts->hold == DYN_HOLD_OFF)
        dyn_findings_add(findings, &policy_off);
    else if (facts->hold == DYN_HOLD_BAD_POLICY)
        dyn_findings_add_text(findings, &bad_policy, "Its policy cannot be used: %s.",
                              facts->hold_text);
    else if (facts->wanted && facts->mode == DYN_MODE_OBSERVE)
        dyn_findings_add(findings, &observed);
}

/* ---- what became of it ---- */

/* Of the holds that somebody can end; the others pass, or have a finding by their cause. */
static const DynRemark holds[DYN_N_HOLDS] = {
    [DYN_HOLD_NO_DRIVER] = { "no-driver", DYN_SEVERITY_PROBLEM,
        "The balloon driver in the guest has not answered since it started.",
        "Linux: 'modprobe virtio_balloon', and see that it is loaded at boot; Windows: install the "
        "VirtIO balloon driver (virtio-win)." },
    [DYN_HOLD_NO_STATS] = { "no-statistics", DYN_SEVERITY_PROBLEM,
        "The balloon driver in the guest is there, but sends no statistics: what it needs is not "
        "known.",
        "Windows: install the balloon service, too ('blnsvr.exe -i' in the driver's directory); "
        "Linux sends them by itself." },
    [DYN_HOLD_STALE] = { "statistics", DYN_SEVERITY_WARNING, NULL,
        "See whether the guest is alive ('virsh console DOMAIN'); in Windows, whether the balloon "
        "service runs." },
    [DYN_HOLD_BAD_STATS] = { "statistics", DYN_SEVERITY_WARNING, NULL,
        "See whether the guest's balloon driver is up to date; nothing is done to it until its "
        "numbers are possible." },
    [DYN_HOLD_HUNG] = { "hung", DYN_SEVERITY_PROBLEM, NULL,
        "See 'virsh domstate --reason DOMAIN', and the disks its QEMU waits for." },
    [DYN_HOLD_PINNED] = { "pinned", DYN_SEVERITY_NOTE, NULL,
        "If nobody did that by hand ('virsh setmem'), look for another program that balances "
        "guests; PinSec= in dynmem.conf(5) says how long it is respected." },
    [DYN_HOLD_STUCK] = { "stuck", DYN_SEVERITY_WARNING, NULL,
        "See whether the guest is alive; a guest that has nothing to give needs a higher minimum "
        "('dynmem set DOMAIN --minimum SIZE')." },
    [DYN_HOLD_OVER_MAXIMUM] = { "over-maximum", DYN_SEVERITY_WARNING, NULL,
        "'dynmem set DOMAIN --maximum SIZE' with what it needs, or have less run in it." },
};

static const DynRemark no_swap = {
    "guest-swap", DYN_SEVERITY_NOTE,
    "The guest has not been seen to swap: it is taken to have none, and then nothing it uses is "
    "ever taken from it, and a sudden need may kill a process in it.",
    "Give the guest some swap space, of its buffer's size or more."
};
static const DynRemark greedy = {
    "greedy", DYN_SEVERITY_WARNING, NULL,
    "Set a limit in that program (as max_server_memory, innodb_buffer_pool_size, shared_buffers "
    "or -Xmx), or lower the guest's maximum: 'dynmem set DOMAIN --maximum SIZE --config'."
};
static const DynRemark refusing = {
    "hot-add", DYN_SEVERITY_WARNING,
    "The guest has not plugged, or not unplugged, what it was asked to; it is asked again later.",
    "To plug it needs a driver (Linux 5.8, CONFIG_VIRTIO_MEM) and has to put new memory to use "
    "(memhp_default_state=online_movable on its kernel's command line, which also lets memory go "
    "again)."
};
static const DynRemark offline = {
    "offline", DYN_SEVERITY_WARNING, NULL,
    "memhp_default_state=online_movable on its kernel's command line, or a udev rule that brings "
    "memory online; for what is there, in the guest: 'echo online_movable "
    ">/sys/devices/system/memory/memoryN/state' for each that is offline."
};
static const DynRemark out_of_reach = {
    "maximum", DYN_SEVERITY_WARNING, NULL,
    "'dynmem prepare DOMAIN --maximum SIZE --hot-add virtio-mem', or a lower maximum: 'dynmem set "
    "DOMAIN --maximum SIZE --config'."
};

/* Nearly all of it: the maximum less what rounding to blocks and pages may leave. */
#define FULL_PERCENT 95
/* An idle guest's own housekeeping takes a few percent of one vCPU. */
#define IDLE_PERCENT 10

bool
dyn_doctor_is_full(const DynDoctorDomain *facts)
{
    const uint64_t maximum = facts->maximum_kib;

    return facts->told && facts->hold == DYN_HOLD_NONE && maximum != DYN_UNKNOWN &&
           facts->assigned_kib != DYN_UNKNOWN && facts->demand_kib != DYN_UNKNOWN &&
           facts->assigned_kib >= dyn_mul_div(maximum, FULL_PERCENT, 100) &&
           facts->demand_kib >= dyn_mul_div(maximum, 80, 100);
}

static void
check_demand(GPtrArray *findings, const DynDoctorDomain *facts)
{
    g_autofree char *maximum = NULL;

    if (!dyn_doctor_is_full(facts) || facts->busy_percent < 0 || facts->busy_percent > IDLE_PERCENT)
        return;
    maximum = dyn_size_format(facts->maximum_kib);
    dyn_findings_add_text(findings, &greedy,
                          "It holds its maximum of %s and says it needs that, while it does next "
                          "to nothing (%d %% of its CPUs): a program in it takes whatever memory "
                          "it sees, as databases do.", maximum, facts->busy_percent);
}

static void
check_reach(GPtrArray *findings, const DynDoctorDomain *facts)
{
    const uint64_t reach = dyn_domain_reach_kib(facts->domain);
    g_autofree char *maximum = NULL;
    g_autofree char *most = NULL;

    if (facts->maximum_kib == DYN_UNKNOWN || facts->maximum_kib <= reach)
        return;
    maximum = dyn_size_format(facts->maximum_kib);
    most = dyn_size_format(reach);
    dyn_findings_add_text(findings, &out_of_reach,
                          "Its maximum is %s, but its devices let it come to no more than %s.",
                          maximum, most);
}

static void
check_plugged(GPtrArray *findings, const DynDoctorDomain *facts)
{
    const bool unused = facts->offline_kib != DYN_UNKNOWN && facts->offline_kib > 0;
    g_autofree char *size = unused ? dyn_size_format(facts->offline_kib) : NULL;

    if (unused)
        dyn_findings_add_text(findings, &offline,
                              "The guest was given memory and does not put it to use: about %s. It "
                              "is given no more in that way.", size);
    if (facts->plug_rests)
        dyn_findings_add(findings, &refusing);
}

static void
check_guest(GPtrArray *findings, const DynDoctorDomain *facts)
{
    const DynRemark *remark = &holds[facts->hold];

    if (remark->check && remark->text)
        dyn_findings_add(findings, remark);
    else if (remark->check)
        dyn_findings_add_text(findings, remark, "Nothing is done to it now: %s.", facts->hold_text);
    if (!facts->told)
        return;
    check_plugged(findings, facts);
    if (!facts->swap && facts->hold == DYN_HOLD_NONE)
        dyn_findings_add(findings, &no_swap);
    check_demand(findings, facts);
}

GPtrArray *
dyn_doctor_domain(const DynDoctorDomain *facts)
{
    GPtrArray *findings = dyn_findings_new();

    check_policy(findings, facts);
    check_xml(findings, facts);
    if (facts->wanted)
        check_reach(findings, facts);
    check_guest(findings, facts);
    for (guint i = 0; !facts->wanted && i < findings->len; i++) {
        DynFinding *finding = findings->pdata[i];

        /* a policy that cannot be used was meant to be */
        if (facts->hold != DYN_HOLD_BAD_POLICY)
            finding->severity = DYN_SEVERITY_NOTE;
    }
    dyn_findings_sort(findings);
    return findings;
}
