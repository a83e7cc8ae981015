/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dynmem prepare --undo */
#include "config.h"

#include "prepare-job.h"

#include <dynmem/text.h>

#include <string.h>

/* A clone has the metadata of the domain it was made of. */
static bool
check_identity(const DynPrepareJob *job, const char *original, GError **error)
{
    g_autoptr(DynDomain) domain = NULL;
    g_autofree char *quoted = NULL;
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    if (!dyn_domain_parse_facts(original, strlen(original), &domain, error)) {
        g_prefix_error(error, "domain %s: what is kept of it: ", job->name);
        return false;
    }
    (void)virDomainGetUUIDString(job->handle, uuid); /* the handle has it; it cannot fail */
    quoted = dyn_text_quote(domain->name);
    if (strcmp(domain->uuid, uuid) != 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "domain %s: what is kept to be put back is of domain %s with the UUID %s, of "
                    "which this one seems to be a clone; remove it with 'virsh metadata --config "
                    "--remove --uri " DYN_PREPARE_NAMESPACE "'", job->name, quoted, domain->uuid);
        return false;
    }
    if (strcmp(domain->name, virDomainGetName(job->handle)) == 0)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "domain %s was named %s when it was prepared; rename it (virsh domrename) to undo "
                "that, and back afterwards", job->name, quoted);
    return false;
}

/* What was edited since is shown, and goes only with --force. */
static bool
check_edits(const DynPrepareJob *job, const char *original, GError **error)
{
    static const char *const names[] = { "prepared", "edited" };
    g_autofree char *present = dyn_prepare_bare(job->shown, error);
    g_autofree char *produced = NULL;
    g_autofree char *edits = NULL;

    if (!present)
        return false;
    if (job->options->force || dyn_prepare_job_is_untouched(job))
        return true;
    if (job->kept->produced)
        produced = dyn_cli_unpack(job->kept->produced, NULL);
    if (!produced)
        produced = dyn_prepare_bare(original, error);
    edits = produced ? dyn_cli_diff(produced, present, names, error) : NULL;
    if (!edits)
        return false;
    dyn_prepare_job_say_lines(job->cli, edits);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "domain %s was edited since it was prepared, and these edits would be lost; "
                "--force undoes all the same", job->name);
    return false;
}

/* A policy that 'dynmem enable' wrote stands in the text as it was written, which libvirt does only
 * with what was written by itself: so it is written again. */
static bool
rewrite_policy(const DynPrepareJob *job, const char *original, GError **error)
{
    g_autoptr(DynDomain) domain = NULL;
    g_autoptr(DynPolicy) policy = NULL;
    g_autofree char *text = NULL;

    if (!dyn_domain_parse(original, strlen(original), &domain, error))
        return false;
    if (!domain->policy_xml ||
        !dyn_policy_parse(domain->policy_xml, strlen(domain->policy_xml), &policy, NULL))
        return true;
    text = dyn_policy_format(policy, domain->policy_xml, error);
    return text && dyn_virt_policy_write(job->handle, text, VIR_DOMAIN_AFFECT_CONFIG, error);
}

static bool
write_original(const DynPrepareJob *job, const char *original, GError **error)
{
    static const char *const names[] = { "original", "undone" };
    g_autofree char *xml = dyn_prepare_with_secrets(original, job->secret, error);
    g_autofree char *after = NULL;
    g_autofree char *rest = NULL;

    if (!xml || !dyn_prepare_job_define(job, xml, error))
        return false;
    after = dyn_prepare_job_read(job, 0, error);
    if (after && strcmp(after, original) != 0 && dyn_prepare_is_same(after, original)) {
        g_free(after);
        after = rewrite_policy(job, original, error) ? dyn_prepare_job_read(job, 0, error) : NULL;
    }
    if (!after)
        return false;
    if (strcmp(after, original) == 0)
        return true;
    if (dyn_prepare_is_same(after, original)) {
        dyn_cli_say(job->cli, "White space in the <metadata> of domain %s is libvirt's own now.",
                    job->name);
        return true;
    }
    dyn_cli_warn(job->cli, "domain %s is not byte for byte what it was: libvirt writes the same "
                 "XML in another way now", job->name);
    rest = dyn_cli_diff(original, after, names, error);
    if (rest)
        dyn_prepare_job_say_lines(job->cli, rest);
    return rest != NULL;
}

bool
dyn_prepare_job_undo(DynPrepareJob *job, const char *domain, GError **error)
{
    static const char *const names[] = { "prepared", "original" };
    const bool dry_run = job->options->edit.dry_run;
    g_autofree char *original = NULL;

    if (!dyn_prepare_job_open(job, domain, error))
        return false;
    if (!job->kept) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "domain %s has nothing to undo: 'dynmem prepare' did not change it", job->name);
        return false;
    }
    original = dyn_cli_unpack(job->kept->original, error);
    if (!original) {
        g_prefix_error(error, "domain %s: ", job->name);
        return false;
    }
    if (!check_identity(job, original, error) || !check_edits(job, original, error))
        return false;
    job->difference = dyn_prepare_job_difference(job->shown, original, names, error);
    if (!job->difference || (!dry_run && !write_original(job, original, error)))
        return false;
    dyn_prepare_job_print(
        job, dry_run ? "would have its former XML again" : "has its former XML again", true);
    return true;
}
