/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "prepare-job.h"

#include <dynmem/text.h>
#include <libvirt/virterror.h>

#include <stdio.h>
#include <string.h>

void
dyn_prepare_job_clear(DynPrepareJob *job)
{
    dyn_edit_free(job->edit);
    dyn_prepared_free(job->prepared);
    dyn_kept_free(job->kept);
    if (job->handle)
        virDomainFree(job->handle);
    g_free(job->name);
    g_free(job->shown);
    g_free(job->secret);
    g_free(job->difference);
}

/* ---- libvirt ------------------------------------------------------------------------------ */

char *
dyn_prepare_job_read(const DynPrepareJob *job, unsigned flags, GError **error)
{
    char *xml = virDomainGetXMLDesc(job->handle, VIR_DOMAIN_XML_INACTIVE | flags);
    char *copy = g_strdup(xml);

    if (!xml) {
        g_autofree char *what = g_strdup_printf("cannot read the XML of domain %s", job->name);

        dyn_virt_set_error(error, what);
    }
    free(xml);
    return copy;
}

bool
dyn_prepare_job_define(const DynPrepareJob *job, const char *xml, GError **error)
{
    virDomainPtr defined = virDomainDefineXML(virDomainGetConnect(job->handle), xml);
    g_autofree char *what = NULL;

    if (defined) {
        virDomainFree(defined);
        return true;
    }
    what = g_strdup_printf("libvirt does not take the XML for domain %s, which stays as it is",
                           job->name);
    dyn_virt_set_error(error, what);
    return false;
}

bool
dyn_prepare_job_open(DynPrepareJob *job, const char *domain, GError **error)
{
    job->handle = dyn_cli_find_domain(job->cli, domain, true, error);
    if (!job->handle)
        return false;
    job->name = dyn_text_quote(virDomainGetName(job->handle));
    if (virDomainIsPersistent(job->handle) != 1) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED,
                    "domain %s is transient: it has no configuration to prepare; give it one "
                    "first (virsh define)", job->name);
        return false;
    }
    job->shown = dyn_prepare_job_read(job, 0, error);
    job->secret = job->shown ? dyn_prepare_job_read(job, VIR_DOMAIN_XML_SECURE, error) : NULL;
    if (job->secret && dyn_prepare_kept(job->shown, strlen(job->shown), &job->kept, error))
        return true;
    g_prefix_error(error, "domain %s: ", job->name);
    return false;
}

bool
dyn_prepare_job_is_untouched(const DynPrepareJob *job)
{
    g_autofree char *produced = NULL;
    g_autofree char *present = NULL;

    if (!job->kept)
        return true;
    if (job->kept->produced)
        produced = dyn_cli_unpack(job->kept->produced, NULL);
    present = dyn_prepare_bare(job->shown, NULL);
    return produced && present && strcmp(produced, present) == 0;
}

/* ---- showing ------------------------------------------------------------------------------ */

void
dyn_prepare_job_say_lines(DynCli *cli, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && (line[0][0] || line[1]); line++)
        dyn_cli_say(cli, "%s", *line);
}

char *
dyn_prepare_job_difference(const char *before, const char *after, const char *const names[2],
                           GError **error)
{
    g_autofree char *from = dyn_prepare_shown(before, error);
    g_autofree char *to = from ? dyn_prepare_shown(after, error) : NULL;

    return to ? dyn_cli_diff(from, to, names, error) : NULL;
}

static void
add_texts(DynJson *json, const char *member, GPtrArray *texts)
{
    dyn_json_open_array(json, member);
    for (guint i = 0; texts && i < texts->len; i++)
        dyn_json_add_string(json, NULL, texts->pdata[i]);
    dyn_json_close(json);
}

static void
print_json(const DynPrepareJob *job, bool changed)
{
    g_autoptr(DynJson) json = dyn_json_new();
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    g_autofree char *text = NULL;

    (void)virDomainGetUUIDString(job->handle, uuid); /* the handle has it; it cannot fail */
    dyn_json_add_string(json, "name", virDomainGetName(job->handle));
    dyn_json_add_string(json, "uuid", uuid);
    dyn_json_add_bool(json, "dryRun", job->options->edit.dry_run);
    dyn_json_add_bool(json, "undo", job->options->undo);
    dyn_json_add_bool(json, "running", virDomainIsActive(job->handle) == 1);
    dyn_json_open_array(json, "changed");
    if (changed)
        dyn_json_add_string(json, NULL, "config");
    dyn_json_close(json);
    if (job->prepared) {
        const DynEditTarget *target = job->edit->targets->pdata[0];

        dyn_json_add_string(json, "hotAdd", dyn_hot_add_word(job->hot_add));
        add_texts(json, "changes", job->prepared->changes);
        add_texts(json, "notes", job->prepared->notes);
        dyn_edit_add_policy(json, "policy", target->wanted);
    }
    dyn_json_add_string(json, "difference", job->difference);
    text = dyn_json_end(json);
    fputs(text, job->cli->out);
}

static void
print_text(const DynPrepareJob *job, const char *what)
{
    const DynPrepared *prepared = job->prepared;

    dyn_cli_say(job->cli, "Domain %s %s%s", job->name, what,
                job->options->edit.dry_run ? " (dry run)." : ".");
    for (guint i = 0; prepared && i < prepared->changes->len; i++)
        dyn_cli_say(job->cli, "  %s", (const char *)prepared->changes->pdata[i]);
    dyn_prepare_job_say_lines(job->cli, job->difference);
    for (guint i = 0; prepared && i < prepared->notes->len; i++)
        dyn_cli_say(job->cli, "Note: %s.", (const char *)prepared->notes->pdata[i]);
    if (virDomainIsActive(job->handle) == 1)
        dyn_cli_say(job->cli, "It runs: this takes effect at its next start, not at a reboot.");
    else if (virDomainHasManagedSaveImage(job->handle, 0) == 1)
        dyn_cli_say(job->cli, "It has a managed save image, which its next start resumes as it "
                    "was saved.");
    if (prepared && prepared->changes->len > 0 && !job->options->edit.dry_run)
        dyn_cli_say(job->cli, "Its former XML is kept in its metadata; 'dynmem prepare --undo' "
                    "brings it back.");
}

void
dyn_prepare_job_print(const DynPrepareJob *job, const char *what, bool changed)
{
    if (job->cli->json)
        print_json(job, changed);
    else
        print_text(job, what);
}
