/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "prepare-job.h"

#include <stddef.h>
#include <string.h>

/* ---- prepare ------------------------------------------------------------------------------ */

/* Prepare @xml with the policy chosen. */
static DynPrepared *
prepare_text(const DynPrepareJob *job, const char *xml, GError **error)
{
    const DynEditTarget *target = job->edit->targets->pdata[0];
    unsigned long version = 0;
    DynPrepareRequest request = { .hot_add = job->hot_add, .policy = target->after };
    DynPrepared *prepared = NULL;

    if (virConnectGetLibVersion(virDomainGetConnect(job->handle), &version) == 0)
        request.libvirt_version = version;
    if (!dyn_prepare(xml, strlen(xml), &request, &prepared, error))
        return NULL;
    return prepared;
}

/* The policy that is asked for, and the domain's XML with it. */
static bool
choose(DynPrepareJob *job, const char *domain, GError **error)
{
    DynEditOptions options = job->options->edit;
    DynEditTarget *target;

    options.config = TRUE;
    job->edit = dyn_edit_open(job->cli, domain, &options, error);
    if (!job->edit || !dyn_edit_apply(job->edit, &options, error))
        return false;
    target = job->edit->targets->pdata[0];
    dyn_edit_fill_in(job->edit, target);
    job->prepared = prepare_text(job, job->shown, error);
    if (!job->prepared)
        return false;
    /* What it will be is what its policy has to fit. */
    g_clear_pointer(&target->domain, dyn_domain_free);
    if (!dyn_domain_parse(job->prepared->xml, strlen(job->prepared->xml), &target->domain, error))
        return false;
    return dyn_edit_check(job->edit, error);
}

/* What came of it, as libvirt writes it, is written beside the original. */
static bool
keep_produced(const DynPrepareJob *job, DynKept *kept, GError **error)
{
    g_autofree char *after = dyn_prepare_job_read(job, 0, error);
    g_autofree char *bare = after ? dyn_prepare_bare(after, error) : NULL;
    g_autofree char *element = NULL;
    g_autofree char *what = NULL;

    if (!bare)
        return false;
    g_free(kept->produced);
    kept->produced = dyn_cli_pack(bare);
    element = dyn_kept_format(kept);
    if (virDomainSetMetadata(job->handle, VIR_DOMAIN_METADATA_ELEMENT, element, "dynmem-prepare",
                             DYN_PREPARE_NAMESPACE, VIR_DOMAIN_AFFECT_CONFIG) == 0)
        return true;
    what = g_strdup_printf("cannot write the metadata of domain %s", job->name);
    dyn_virt_set_error(error, what);
    return false;
}

/* Of a domain that was edited since it was prepared, what that produced stays as it was: undo then
 * shows the edits, and does not take them for its own. */
static bool
write_prepared(const DynPrepareJob *job, GError **error)
{
    g_autoptr(DynPrepared) secret = prepare_text(job, job->secret, error);
    g_autoptr(DynKept) kept = g_new0(DynKept, 1);
    g_autoptr(GError) again = NULL;
    g_autofree char *xml = NULL;

    kept->original = job->kept ? g_strdup(job->kept->original) : dyn_cli_pack(job->shown);
    kept->produced = job->kept ? g_strdup(job->kept->produced) : NULL;
    xml = secret ? dyn_prepare_keep(secret->xml, kept, error) : NULL;
    if (!xml || !dyn_prepare_job_define(job, xml, error))
        return false;
    if (!dyn_prepare_job_is_untouched(job)) {
        dyn_cli_warn(job->cli, "domain %s was edited since it was prepared first; --undo will ask "
                     "before it takes these edits back too", job->name);
        return true;
    }
    if (keep_produced(job, kept, error))
        return true;
    if (!dyn_prepare_job_define(job, job->secret, &again))
        dyn_cli_warn(job->cli, "its former XML could not be put back: %s", again->message);
    return false;
}

static bool
run_prepare(DynPrepareJob *job, const char *domain, GError **error)
{
    static const char *const names[] = { "before", "prepared" };
    const bool dry_run = job->options->edit.dry_run;

    if (!dyn_prepare_job_open(job, domain, error) || !choose(job, domain, error))
        return false;
    job->difference = dyn_prepare_job_difference(job->shown, job->prepared->xml, names, error);
    if (!job->difference)
        return false;
    if (job->prepared->changes->len == 0) {
        dyn_prepare_job_print(job, "is prepared already; nothing to change", false);
        return true;
    }
    if (!dry_run && !write_prepared(job, error))
        return false;
    dyn_prepare_job_print(job, dry_run ? "would be prepared" : "prepared", true);
    dyn_edit_warn_of_host(job->edit);
    return true;
}

/* ---- the command -------------------------------------------------------------------------- */

static bool
has_values(const DynPrepareOptions *options)
{
    const DynEditOptions *edit = &options->edit;

    return edit->startup || edit->minimum || edit->maximum || edit->buffer || edit->priority ||
           edit->mode || edit->charge || edit->paging_directory || options->hot_add;
}

static bool
check_options(const DynPrepareOptions *options, DynHotAdd *ret_hot_add, GError **error)
{
    if (!dyn_edit_check_options(&options->edit, error))
        return false;
    if (options->undo && has_values(options)) {
        dyn_cli_usage_error(error, "--undo takes no other options than --force and --dry-run");
        return false;
    }
    if (options->force && !options->undo) {
        dyn_cli_usage_error(error, "--force goes with --undo only");
        return false;
    }
    if (g_strcmp0(options->edit.mode, "off") == 0) {
        dyn_cli_usage_error(error, "--mode: 'off' does not prepare; allowed are on and observe");
        return false;
    }
    if (options->hot_add && !dyn_hot_add_parse(options->hot_add, ret_hot_add)) {
        dyn_cli_usage_error(error, "--hot-add: '%s' is none of virtio-mem, dimm and none",
                            options->hot_add);
        return false;
    }
    return true;
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const DynPrepareOptions *options = data;
    g_auto(DynPrepareJob) job = { .cli = cli, .options = options };

    if (!check_options(options, &job.hot_add, error))
        return false;
    if (options->undo)
        return dyn_prepare_job_undo(&job, args[0], error);
    return run_prepare(&job, args[0], error);
}

static const DynCliOption *
get_options(void)
{
#define EDIT(field) offsetof(DynPrepareOptions, edit.field)
    static const DynCliOption options[] = {
        { "startup", 0, DYN_OPTION_TEXT, EDIT(startup), "memory a start must have", "SIZE" },
        { "minimum", 0, DYN_OPTION_TEXT, EDIT(minimum), "never less than this", "SIZE" },
        { "maximum", 0, DYN_OPTION_TEXT, EDIT(maximum), "never more than this", "SIZE" },
        { "hot-add", 0, DYN_OPTION_TEXT, offsetof(DynPrepareOptions, hot_add),
          "how it gets more than it starts with: virtio-mem, dimm or none (by balloon)", "KIND" },
        { "buffer", 0, DYN_OPTION_TEXT, EDIT(buffer), "spare memory in percent of demand",
          "PERCENT" },
        { "priority", 0, DYN_OPTION_TEXT, EDIT(priority), "share when memory is short, 0 to 100",
          "NUMBER" },
        { "mode", 0, DYN_OPTION_TEXT, EDIT(mode), "on or observe (report, never act)", "MODE" },
        { "charge", 0, DYN_OPTION_TEXT, EDIT(charge),
          "memory set aside for a start: auto, full or startup", "CHARGE" },
        { "smart-paging-directory", 0, DYN_OPTION_TEXT, EDIT(paging_directory),
          "where its paging files go, one of the host's", "DIRECTORY" },
        { "undo", 0, DYN_OPTION_FLAG, offsetof(DynPrepareOptions, undo),
          "bring back the XML from before", NULL },
        { "force", 0, DYN_OPTION_FLAG, offsetof(DynPrepareOptions, force),
          "undo also what others edited since", NULL },
        { "dry-run", 0, DYN_OPTION_FLAG, EDIT(dry_run), "show the difference, change nothing",
          NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };
#undef EDIT

    return options;
}

const DynCliCommand dyn_cli_cmd_prepare = {
    .name = "prepare",
    .summary = "Make a domain's XML fit for dynamic memory, or undo that",
    .syntax =
        "DOMAIN [--startup SIZE] [--minimum SIZE] [--maximum SIZE]\n"
        "           [--hot-add virtio-mem|dimm|none] [--buffer PERCENT] [--priority NUMBER]\n"
        "           [--mode on|observe] [--charge auto|full|startup]\n"
        "           [--smart-paging-directory DIRECTORY] [--dry-run]\n"
        "       DOMAIN --undo [--force] [--dry-run]",
    .details =
        "The configuration is changed, for the next start: sizes, balloon, hot-add, policy. What\n"
        "is changed is said and shown as a difference. Without sizes those of 'enable' hold.",
    .get_options = get_options,
    .options_size = sizeof(DynPrepareOptions),
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
