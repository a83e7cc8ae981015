/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <stddef.h>

#include "conf-priv.h"
#include "conf-types-priv.h"

#define FIELD(name) offsetof(DynConf, name)

#define UNUSED "Read and checked, but not used by this version."

static const DynConfKey keys[] = {
    { "host", "Connect", &dyn_conf_type_connect, 0, "qemu:///system", 0, 0,
      "The libvirt whose guests are looked after." },
    { "host", "Reserve", &dyn_conf_type_size, FIELD(reserve_kib), "auto", 1, 0,
      "Memory kept free on the host: a size, or auto (384 MiB + 64 MiB per GiB up to 16 GiB, then\n"
      "16 MiB per GiB; at most 25 % of the host)." },
    { "host", "Pool", &dyn_conf_type_size, FIELD(pool_kib), "auto", 0, 0,
      "Most that may be assigned to all guests together: a size, or auto (what the host has less the\n"
      "reserve and less what others use)." },
    { "host", "Mode", &dyn_conf_type_mode, 0, "observe", 0, 0,
      "Ceiling of every guest's mode: observe (decide and report, never act) or on." },

    { "sampling", "IntervalSec", &dyn_conf_type_number, FIELD(interval_sec), "1", 1, 60,
      "Seconds between two looks at all guests, 1 to 60." },
    { "sampling", "OnDemandPerSec", &dyn_conf_type_number, FIELD(on_demand_per_sec), "50", 0, 1000,
      "How many times a second, at most, guests in which something happens and that have little to spare\n"
      "are read or asked for new statistics out of turn, 0 to 1000. 0: only once in IntervalSec." },

    { "balance", "IdleReclaim", &dyn_conf_type_idle, 0, "auto", 1, 86400,
      "When idle memory is taken back: when-needed (the pool is low, or another guest needs it), a number\n"
      "of seconds above target (1 to 86400), or auto (when needed, and after 300 seconds while all\n"
      "maxima together exceed the pool)." },
    { "balance", "BufferFloor", &dyn_conf_type_floor, 0, "10%", 0, 100,
      "Least buffer of every guest: percent of its maximum (0 % to 100 %, at most 1 GiB) or a size; 0\n"
      "means none, which is pure Hyper-V. Filled last: it never causes contention." },
    { "balance", "DeadBand", &dyn_conf_type_size, FIELD(dead_band_kib), "auto", 0, 0,
      "Changes smaller than this are not worth it while nobody is short: a size, or auto (16 MiB or\n"
      "0.25 % of what the guest holds, the larger)." },
    { "balance", "PinSec", &dyn_conf_type_number, FIELD(pin_sec), "600", 0, 86400,
      "Seconds for which a size set by others (virsh setmem) is respected, 0 to 86400." },
    { "balance", "StartGraceSec", &dyn_conf_type_number, FIELD(start_grace_sec), "45", 0, 600,
      "Seconds after a guest's first statistics in which nothing is taken from it, 0 to 600." },

    { "smart-paging", "Enabled", &dyn_conf_type_bool, FIELD(paging_enabled), "true", 0, 0,
      "Whether a restart that memory cannot cover may use a temporary swap file: true or false." },
    { "smart-paging", "Directories", &dyn_conf_type_directories, 0, "/var/lib/dynmem/paging", 0, 0,
      "Where such files may be: absolute paths, separated by semicolons. The first is the default." },
    { "smart-paging", "MaxTotal", &dyn_conf_type_size, FIELD(paging_max_total_kib), "auto", 1, 0,
      "Most that all such files may take: a size, or auto (10 % of the file system)." },
    { "smart-paging", "MaxPerGuest", &dyn_conf_type_size, FIELD(paging_max_guest_kib), "auto", 1, 0,
      "Most that the file of one guest may take: a size, or auto (what MaxTotal leaves)." },

    { "admission", "TimeoutSec", &dyn_conf_type_number, FIELD(admission_timeout_sec), "10", 1, 300,
      "Seconds the start of a guest waits for memory to be made free, 1 to 300." },
    { "admission", "WhenAbsent", &dyn_conf_type_absent, 0, "allow", 0, 0,
      "Whether guests may start while the daemon does not answer: allow or deny." },

    { "exporter", "Listen", &dyn_conf_type_listen, 0, "127.0.0.1:19709", 0, 0,
      "Where the Prometheus page is served: ADDRESS:PORT or [ADDRESS]:PORT." },
};

typedef struct {
    const char *group;
    const char *help;
} GroupHelp;

static const GroupHelp group_helps[] = {
    { "smart-paging", UNUSED },
    { "admission", UNUSED },
    { "exporter", "Read by dynmem-exporter(8) when it starts." },
    { "defaults",
      "What holds for a managed guest where neither its metadata nor its [domain] group says otherwise.\n"
      "These values alone manage no guest." },
};

typedef struct {
    const char *initial;
    const char *help;
} PolicyHelp;

static const PolicyHelp policy_helps[DYN_N_KEYS] = {
    [DYN_KEY_MODE] = { "on", "on, observe (decide and report, never act) or off." },
    [DYN_KEY_STARTUP] = { DYN_POLICY_UNSET,
                          "Memory a start or restart must have: a size from the minimum to the maximum, or\n"
                          "default (the domain's <currentMemory>)." },
    [DYN_KEY_CHARGE] = { "auto",
                         "What a starting guest is charged: auto (its learned boot peak + 10 %, until one is\n"
                         "known full), full (all its RAM) or startup." },
    [DYN_KEY_MINIMUM] = { DYN_POLICY_UNSET,
                          "Least memory it always holds: a size from 32M to the startup, or default (512 MiB,\n"
                          "or the startup if that is less)." },
    [DYN_KEY_MAXIMUM] = { DYN_POLICY_UNSET,
                          "Most memory it may hold: a size from the startup to what the domain can reach, or\n"
                          "default (what the domain can reach)." },
    [DYN_KEY_BUFFER] = { "20", "Memory kept for bursts, in percent of demand, 5 to 2000." },
    [DYN_KEY_PRIORITY] = { "50",
                           "Who gives when the host runs short, 0 to 100; weight = priority + 1." },
    [DYN_KEY_PAGING_DIRECTORY] = { DYN_POLICY_UNSET,
                                   "Where its smart paging file goes: one of the directories above, or default\n"
                                   "(the first of them)." },
};

const DynConfKey *
dyn_conf_keys(gsize *ret_n)
{
    *ret_n = G_N_ELEMENTS(keys);
    return keys;
}

const DynConfKey *
dyn_conf_find_key(const char *group, const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (g_str_equal(keys[i].group, group) && g_str_equal(keys[i].name, name))
            return &keys[i];
    }
    return NULL;
}

const char *
dyn_conf_policy_help(DynPolicyKey key)
{
    return policy_helps[key].help;
}

const char *
dyn_conf_policy_initial(DynPolicyKey key)
{
    return policy_helps[key].initial;
}

const char *
dyn_conf_group_help(const char *group)
{
    for (gsize i = 0; i < G_N_ELEMENTS(group_helps); i++) {
        if (g_str_equal(group_helps[i].group, group))
            return group_helps[i].help;
    }
    return NULL;
}
