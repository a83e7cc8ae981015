/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "edit.h"

#include <dynmem/text.h>

#include <stddef.h>
#include <string.h>

/* Options that carry a value of the policy. */
typedef struct ValueOption {
    const char *option;
    DynPolicyKey key;
    size_t offset;
} ValueOption;

static const ValueOption value_options[] = {
    { "--startup", DYN_KEY_STARTUP, offsetof(DynEditOptions, startup) },
    { "--minimum", DYN_KEY_MINIMUM, offsetof(DynEditOptions, minimum) },
    { "--maximum", DYN_KEY_MAXIMUM, offsetof(DynEditOptions, maximum) },
    { "--buffer", DYN_KEY_BUFFER, offsetof(DynEditOptions, buffer) },
    { "--priority", DYN_KEY_PRIORITY, offsetof(DynEditOptions, priority) },
    { "--mode", DYN_KEY_MODE, offsetof(DynEditOptions, mode) },
    { "--charge", DYN_KEY_CHARGE, offsetof(DynEditOptions, charge) },
    { "--smart-paging-directory", DYN_KEY_PAGING_DIRECTORY,
      offsetof(DynEditOptions, paging_directory) },
};

const DynCliOption *
dyn_edit_option_list(void)
{
    static const DynCliOption options[] = {
        { "startup", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, startup),
          "memory a start must have; becomes <currentMemory> too", "SIZE" },
        { "minimum", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, minimum),
          "never less than this (32M up to startup)", "SIZE" },
        { "maximum", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, maximum),
          "never more than this (startup up to what the domain can reach)", "SIZE" },
        { "buffer", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, buffer),
          "spare memory in percent of demand, 5 to 2000", "PERCENT" },
        { "priority", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, priority),
          "share when memory is short, 0 to 100", "NUMBER" },
        { "mode", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, mode),
          "on, observe (report, never act) or off", "MODE" },
        { "charge", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, charge),
          "memory set aside for a start: auto, full or startup", "CHARGE" },
        { "smart-paging-directory", 0, DYN_OPTION_TEXT, offsetof(DynEditOptions, paging_directory),
          "where its paging files go, one of the host's", "DIRECTORY" },
        { "live", 0, DYN_OPTION_FLAG, offsetof(DynEditOptions, live), "change the running domain",
          NULL },
        { "config", 0, DYN_OPTION_FLAG, offsetof(DynEditOptions, config),
          "change the configuration, for the next start", NULL },
        { "current", 0, DYN_OPTION_FLAG, offsetof(DynEditOptions, current),
          "change the running domain if it runs, else the configuration", NULL },
        { "dry-run", 0, DYN_OPTION_FLAG, offsetof(DynEditOptions, dry_run),
          "check and print, change nothing", NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

static const char *
value_of(const DynEditOptions *options, const ValueOption *value)
{
    return *(char *const *)(gconstpointer)((const char *)options + value->offset);
}

bool
dyn_edit_check_options(const DynEditOptions *options, GError **error)
{
    g_autoptr(DynPolicy) scratch = dyn_policy_new();

    if (options->current && (options->live || options->config)) {
        dyn_cli_usage_error(error, "--current cannot be combined with --%s",
                            options->live ? "live" : "config");
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(value_options); i++) {
        const char *text = value_of(options, &value_options[i]);
        g_autoptr(GError) bad = NULL;

        if (text &&
            !dyn_policy_set(scratch, dyn_policy_key_name(value_options[i].key), text, &bad)) {
            dyn_cli_usage_error(error, "%s: %s", value_options[i].option, bad->message);
            return false;
        }
    }
    return true;
}

static void
target_free(gpointer data)
{
    DynEditTarget *target = data;

    dyn_domain_free(target->domain);
    g_free(target->before_xml);
    dyn_policy_free(target->before);
    dyn_effective_free(target->running);
    dyn_policy_free(target->after);
    if (target->held != target->wanted)
        dyn_effective_free(target->held);
    dyn_effective_free(target->wanted);
    g_free(target);
}

static bool
choose_targets(const DynEdit *edit, const DynEditOptions *options, unsigned *ret_flags,
               GError **error)
{
    if (options->live && !edit->active) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "--live: domain %s is not running; use --config, or none of the two",
                    edit->name);
        return false;
    }
    if (options->config && !edit->persistent) {
        g_set_error(
            error, DYN_ERROR, DYN_ERROR_INVALID,
            "--config: domain %s is transient and has no configuration; use --live, or none of "
            "the two",
            edit->name);
        return false;
    }
    if (options->live || options->config)
        *ret_flags = (options->live ? VIR_DOMAIN_AFFECT_LIVE : 0) |
                     (options->config ? VIR_DOMAIN_AFFECT_CONFIG : 0);
    else if (options->current)
        *ret_flags = edit->active ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG;
    else
        *ret_flags = (edit->active ? VIR_DOMAIN_AFFECT_LIVE : 0) |
                     (edit->persistent ? VIR_DOMAIN_AFFECT_CONFIG : 0);
    return true;
}

/* A running guest's <currentMemory> follows its balloon; what a start begins with stands in the
 * configuration. */
static bool
take_startup_from_config(const DynEdit *edit, DynDomain *domain, GError **error)
{
    g_autoptr(DynDomain) config = NULL;

    if (!edit->persistent)
        return true;
    config = dyn_cli_read_domain(edit->handle, true, error);
    if (!config)
        return false;
    domain->current_kib = config->current_kib;
    return true;
}

static bool
is_managed(const DynEdit *edit, const DynEditTarget *target)
{
    return target->before || dyn_conf_group_for(dyn_cli_conf(edit->cli), target->domain->name);
}

static GVariant *
find_stats(const DynEdit *edit, const DynDomain *domain)
{
    for (guint i = 0; edit->stats && i < edit->stats->guests->len; i++)
        if (g_strcmp0(dyn_dict_get_string(edit->stats->guests->pdata[i], "UUID"), domain->uuid) ==
            0)
            return edit->stats->guests->pdata[i];
    return NULL;
}

/* The metadata may hold what the run could not take: the daemon knows what is in force. */
static void
take_values_in_force(const DynEdit *edit, DynEditTarget *target)
{
    GVariant *guest = find_stats(edit, target->domain);
    DynPolicy *policy = &target->running->policy;
    uint64_t bytes;

    if (!guest || !dyn_dict_get_bool(guest, "Managed"))
        return;
    if (dyn_dict_get_uint(guest, "Startup", &bytes))
        policy->startup_kib = bytes / 1024;
    if (dyn_dict_get_uint(guest, "Minimum", &bytes))
        policy->minimum_kib = bytes / 1024;
    if (dyn_dict_get_uint(guest, "Maximum", &bytes))
        policy->maximum_kib = bytes / 1024;
}

static bool
add_target(DynEdit *edit, unsigned flag, GError **error)
{
    DynEditTarget *target = g_new0(DynEditTarget, 1);

    g_ptr_array_add(edit->targets, target);
    target->flag = flag;
    target->domain = dyn_cli_read_domain(edit->handle, flag == VIR_DOMAIN_AFFECT_CONFIG, error);
    if (!target->domain)
        return false;
    if (flag == VIR_DOMAIN_AFFECT_LIVE && !take_startup_from_config(edit, target->domain, error))
        return false;
    if (!dyn_virt_policy_read(edit->handle, flag, &target->before_xml, error) ||
        !dyn_cli_read_policy(target->domain, &target->before, error))
        return false;
    target->after = target->before ? dyn_policy_copy(target->before) : dyn_policy_new();
    if (!is_managed(edit, target))
        return true;
    edit->was_managed = true;
    if (flag == VIR_DOMAIN_AFFECT_LIVE) {
        target->running = dyn_cli_resolve(edit->cli, target->domain, target->before);
        take_values_in_force(edit, target);
    }
    return true;
}

static void
ask_daemon(DynEdit *edit)
{
    g_autoptr(GError) error = NULL;

    edit->stats = dyn_daemon_read_stats(edit->cli, &error);
    if (!edit->stats)
        edit->no_daemon = g_strdup(error->message);
}

DynEdit *
dyn_edit_open(DynCli *cli, const char *domain, const DynEditOptions *options, GError **error)
{
    g_autoptr(DynEdit) edit = g_new0(DynEdit, 1);
    unsigned flags;

    edit->cli = cli;
    edit->targets = g_ptr_array_new_with_free_func(target_free);
    edit->handle = dyn_cli_find_domain(cli, domain, true, error);
    if (!edit->handle)
        return NULL;
    edit->name = dyn_text_quote(virDomainGetName(edit->handle));
    edit->active = virDomainIsActive(edit->handle) == 1;
    edit->persistent = virDomainIsPersistent(edit->handle) == 1;
    if (!choose_targets(edit, options, &flags, error))
        return NULL;
    ask_daemon(edit);
    if ((flags & VIR_DOMAIN_AFFECT_LIVE) && !add_target(edit, VIR_DOMAIN_AFFECT_LIVE, error))
        return NULL;
    if ((flags & VIR_DOMAIN_AFFECT_CONFIG) && !add_target(edit, VIR_DOMAIN_AFFECT_CONFIG, error))
        return NULL;
    return g_steal_pointer(&edit);
}

void
dyn_edit_free(DynEdit *edit)
{
    if (!edit)
        return;
    g_ptr_array_unref(edit->targets);
    if (edit->handle)
        virDomainFree(edit->handle);
    dyn_daemon_stats_free(edit->stats);
    g_free(edit->no_daemon);
    g_free(edit->name);
    g_free(edit);
}

bool
dyn_edit_apply(DynEdit *edit, const DynEditOptions *options, GError **error)
{
    for (guint t = 0; t < edit->targets->len; t++) {
        DynEditTarget *target = edit->targets->pdata[t];

        for (size_t i = 0; i < G_N_ELEMENTS(value_options); i++) {
            const char *text = value_of(options, &value_options[i]);

            if (text && !dyn_policy_set(target->after, dyn_policy_key_name(value_options[i].key),
                                        text, error))
                return false;
        }
        if (options->startup && DYN_POLICY_HAS(target->after, DYN_KEY_STARTUP) &&
            target->flag == VIR_DOMAIN_AFFECT_CONFIG) {
            edit->startup_kib = target->after->startup_kib;
            edit->startup_before_kib = target->domain->current_kib;
        }
    }
    return true;
}

void
dyn_edit_fill_in(const DynEdit *edit, DynEditTarget *target)
{
    g_autoptr(DynEffective) chosen = NULL;
    DynPolicy *after = target->after;
    const DynPolicy *from;

    if (!DYN_POLICY_HAS(after, DYN_KEY_MODE) || after->mode == DYN_MODE_OFF)
        after->mode = DYN_MODE_ON;
    after->present |= 1u << DYN_KEY_MODE;
    chosen = dyn_cli_resolve(edit->cli, target->domain, after);
    from = &chosen->policy;
    after->startup_kib = from->startup_kib;
    after->minimum_kib = from->minimum_kib;
    after->maximum_kib = from->maximum_kib;
    after->buffer_percent = from->buffer_percent;
    after->priority = from->priority;
    after->present |= 1u << DYN_KEY_STARTUP | 1u << DYN_KEY_MINIMUM | 1u << DYN_KEY_MAXIMUM |
                      1u << DYN_KEY_BUFFER | 1u << DYN_KEY_PRIORITY;
}

/* A start cannot have more than the RAM it begins with, whatever could be plugged in later. */
static bool
check_startup(const DynEdit *edit, const DynEditTarget *target, GError **error)
{
    g_autofree char *startup = dyn_size_format(edit->startup_kib);
    g_autofree char *memory = dyn_size_format(target->domain->memory_kib);

    if (edit->startup_kib <= target->domain->memory_kib)
        return true;
    g_set_error(
        error, DYN_ERROR, DYN_ERROR_INVALID,
        "startup %s is more than the %s that domain %s starts with (<memory>); raise it with "
        "'virsh setmaxmem --config' first",
        startup, memory, edit->name);
    return false;
}

bool
dyn_edit_check(DynEdit *edit, GError **error)
{
    for (guint t = 0; t < edit->targets->len; t++) {
        DynEditTarget *target = edit->targets->pdata[t];

        target->wanted = dyn_cli_resolve(edit->cli, target->domain, target->after);
        if (!dyn_effective_validate(target->wanted, target->domain, error)) {
            g_prefix_error(error, "domain %s%s: ", edit->name,
                           target->flag == VIR_DOMAIN_AFFECT_LIVE ? " as it runs" : "");
            return false;
        }
        if (target->flag == VIR_DOMAIN_AFFECT_CONFIG && !check_startup(edit, target, error))
            return false;
        target->held = target->running
                           ? dyn_policy_live(target->running, target->wanted, &target->pending)
                           : target->wanted;
    }
    return true;
}

static const char *
remedy(DynObstacle obstacle)
{
    switch (obstacle) {
    case DYN_OBSTACLE_NO_BALLOON:
    case DYN_OBSTACLE_BALLOON_MODEL:
        return "give it <memballoon model='virtio'/> (virsh edit) and start it anew";
    case DYN_OBSTACLE_HUGEPAGES:
        return "remove <hugepages/> from its <memoryBacking> (virsh edit) and start it anew";
    case DYN_OBSTACLE_LOCKED:
        return "remove <locked/> from its <memoryBacking> (virsh edit) and start it anew";
    case DYN_OBSTACLE_VFIO:
        return "remove its host devices (virsh detach-device): memory a device may write to cannot "
               "be "
               "taken back";
    case DYN_OBSTACLE_ENCRYPTED:
        return "memory of a guest with <launchSecurity> cannot be taken back";
    case DYN_OBSTACLE_NONE:
    case DYN_N_OBSTACLES:
        break;
    }
    return "";
}

char *
dyn_edit_obstacle(const DynEdit *edit)
{
    for (guint t = 0; t < edit->targets->len; t++) {
        const DynEditTarget *target = edit->targets->pdata[t];
        DynObstacle obstacle = target->domain->obstacle;

        if (obstacle != DYN_OBSTACLE_NONE)
            return g_strdup_printf("domain %s cannot have dynamic memory: %s; %s", edit->name,
                                   dyn_obstacle_text(obstacle), remedy(obstacle));
    }
    return NULL;
}

bool
dyn_edit_is_empty(const DynEditTarget *target)
{
    return !target->before && target->after->present == 0;
}

/* Best effort on the way out of an error: the first failure is what the user has to read. */
static void
put_back(DynEdit *edit, guint n_written)
{
    for (guint t = n_written; t > 0; t--) {
        const DynEditTarget *target = edit->targets->pdata[t - 1];
        g_autoptr(GError) error = NULL;

        if (dyn_edit_is_empty(target))
            continue;
        if (!dyn_virt_policy_write(edit->handle, target->before_xml, target->flag, &error))
            dyn_cli_warn(edit->cli, "the former policy could not be put back: %s", error->message);
    }
    if (edit->startup_kib) {
        g_autoptr(GError) error = NULL;

        if (!dyn_virt_set_startup(edit->handle, edit->startup_before_kib, &error))
            dyn_cli_warn(edit->cli, "<currentMemory> could not be put back: %s", error->message);
    }
}

bool
dyn_edit_write(DynEdit *edit, GError **error)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (guint t = 0; t < edit->targets->len; t++) {
        const DynEditTarget *target = edit->targets->pdata[t];
        char *text = dyn_policy_format(target->after, target->before_xml, error);

        if (!text)
            return false;
        g_ptr_array_add(texts, text);
    }
    if (edit->startup_kib && !dyn_virt_set_startup(edit->handle, edit->startup_kib, error))
        return false;
    for (guint t = 0; t < edit->targets->len; t++) {
        const DynEditTarget *target = edit->targets->pdata[t];

        if (dyn_edit_is_empty(target))
            continue;
        if (!dyn_virt_policy_write(edit->handle, texts->pdata[t], target->flag, error)) {
            put_back(edit, t);
            return false;
        }
    }
    return true;
}

void
dyn_edit_warn_of_host(DynEdit *edit)
{
    const DynDaemonStats *stats = edit->stats;
    const char *word = stats ? dyn_dict_get_string(stats->host, "Mode") : NULL;
    const DynEditTarget *target = edit->targets->pdata[0];
    DynMode wanted = target->wanted->policy.mode;
    DynMode host = dyn_cli_conf(edit->cli)->mode;

    if (word && !dyn_mode_parse(word, &host))
        return;
    if (host < wanted)
        dyn_cli_warn(
            edit->cli,
            "the host's mode is '%s' and overrides the guest's '%s': what would be done is "
            "reported, nothing is done (Mode= in [host] of dynmem.conf)",
            dyn_mode_word(host), dyn_mode_word(wanted));
    if (!stats)
        dyn_cli_warn(edit->cli, "%s; until then the policy is only written down", edit->no_daemon);
    else if (dyn_dict_get_bool(stats->host, "Paused"))
        dyn_cli_warn(edit->cli, "dynmemd is paused and acts on nothing; 'dynmem resume' ends that");
}
