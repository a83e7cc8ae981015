/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "cli-run.h"

#include "../../src/cli/cli.h"

#include <check.h>
#include <dynmem/virt.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

void
cli_run_free(CliRun *run)
{
    free(run->out); /* from open_memstream() */
    free(run->err);
    g_free(run);
}

static CliRun *
run_words(GPtrArray *words)
{
    CliRun *run = g_new0(CliRun, 1);
    size_t out_size, err_size;
    FILE *out = open_memstream(&run->out, &out_size);
    FILE *err = open_memstream(&run->err, &err_size);

    run->status = dyn_cli_main((int)words->len, (char **)words->pdata, out, err);
    fclose(out);
    fclose(err);
    return run;
}

static void
add_words(GPtrArray *words, const char *first, va_list args)
{
    for (const char *word = first; word; word = va_arg(args, const char *))
        g_ptr_array_add(words, g_strdup(word));
}

CliRun *
cli_run(const char *first, ...)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    va_list args;

    g_ptr_array_add(words, g_strdup("dynmem"));
    g_ptr_array_add(words, g_strdup("--session"));
    g_ptr_array_add(words, g_strdup("-c"));
    g_ptr_array_add(words, g_strdup("test:///default"));
    va_start(args, first);
    add_words(words, first, args);
    va_end(args);
    return run_words(words);
}

CliRun *
cli_run_bare(const char *first, ...)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    va_list args;

    g_ptr_array_add(words, g_strdup("dynmem"));
    va_start(args, first);
    add_words(words, first, args);
    va_end(args);
    return run_words(words);
}

void
cli_assert_error(const CliRun *run, int status, ...)
{
    const char *text;
    va_list args;

    ck_assert_msg(run->status == status, "status %d, not %d: %s", run->status, status, run->err);
    ck_assert_str_eq(run->out, "");
    ck_assert_msg(g_str_has_prefix(run->err, "error: ") || strstr(run->err, "\nerror: "), "%s",
                  run->err);
    va_start(args, status);
    while ((text = va_arg(args, const char *)) != NULL)
        ck_assert_msg(strstr(run->err, text) != NULL, "'%s' is not in: %s", text, run->err);
    va_end(args);
}

void
cli_assert_golden(const char *name, const char *text)
{
    const char *source = g_getenv("DYN_SRCDIR");
    g_autofree char *path = g_build_filename(source ? source : ".", "tests/data/cli", name, NULL);
    g_autofree char *golden = NULL;
    g_autoptr(GError) error = NULL;

    if (g_strcmp0(g_getenv("DYN_REGENERATE"), "1") == 0) {
        ck_assert_msg(g_file_set_contents(path, text, -1, &error), "%s",
                      error ? error->message : "");
        return;
    }
    ck_assert_msg(g_file_get_contents(path, &golden, NULL, &error), "%s",
                  error ? error->message : "");
    ck_assert_str_eq(text, golden);
}

virConnectPtr
cli_setup_libvirt(const char *conf)
{
    g_autofree char *directory = g_dir_make_tmp("dynmem-cli-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "dynmem.conf", NULL);
    virConnectPtr connection;

    ck_assert(g_file_set_contents(path, conf, -1, NULL));
    g_setenv("DYNMEM_CONF", path, TRUE);
    g_setenv("TZ", "UTC", TRUE);
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
    dyn_virt_init();
    connection = virConnectOpen("test:///default");
    ck_assert_ptr_nonnull(connection);
    return connection;
}

void
cli_teardown_libvirt(virConnectPtr connection)
{
    const char *path = g_getenv("DYNMEM_CONF");
    g_autofree char *directory = g_path_get_dirname(path);

    virConnectClose(connection);
    g_unlink(path);
    g_rmdir(directory);
}

virDomainPtr
cli_define_with(virConnectPtr connection, const char *name, const char *top, const char *devices)
{
    g_autofree char *xml = g_markup_printf_escaped("<domain type='test'><name>%s</name>", name);
    g_autofree char *all = g_strconcat(xml, top, "<os><type>hvm</type></os><devices>", devices,
                                       "</devices></domain>", NULL);
    virDomainPtr domain = virDomainDefineXML(connection, all);

    ck_assert_ptr_nonnull(domain);
    return domain;
}

virDomainPtr
cli_define(virConnectPtr connection, const char *name, unsigned memory_mib, unsigned current_mib)
{
    g_autofree char *top = NULL;

    top = g_strdup_printf(
        "<memory unit='MiB'>%u</memory><currentMemory unit='MiB'>%u</currentMemory>", memory_mib,
        current_mib);
    return cli_define_with(connection, name, top, "<memballoon model='virtio'/>");
}

char *
cli_policy(virDomainPtr domain, unsigned flags)
{
    char *xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DYN_POLICY_NAMESPACE,
                                     flags);
    char *copy = g_strdup(xml ? xml : "");

    free(xml);
    return copy;
}

void
cli_assert_done(CliRun *run)
{
    ck_assert_msg(run->status == 0, "status %d: %s", run->status, run->err);
    cli_run_free(run);
}

void
cli_assert_policy_has(virDomainPtr domain, unsigned flags, const char *part)
{
    g_autofree char *policy = cli_policy(domain, flags);

    ck_assert_msg(strstr(policy, part) != NULL, "'%s' is not in: %s", part, policy);
}

unsigned long
cli_config_current_mib(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    const char *value = strstr(xml, "<currentMemory unit='KiB'>");
    unsigned long kib;

    ck_assert_ptr_nonnull(value);
    kib = strtoul(value + strlen("<currentMemory unit='KiB'>"), NULL, 10);
    free(xml);
    return kib / 1024;
}
