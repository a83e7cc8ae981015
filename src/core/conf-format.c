/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/text.h>

#include "conf-priv.h"

static const char heading[] =
    "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
    "# The configuration of dynmem on this host: dynmem.conf(5). Every key stands here, commented out, at\n"
    "# its default. Change it here or, better, in a file of its own in dynmem.conf.d, which wins; then\n"
    "# `systemctl reload dynmemd`. `dynmem config` shows what holds and where each value comes from.\n"
    "# Sizes are as in virsh: 512M, 4G; digits alone are KiB.\n";

static const char example[] =
    "# Guests to manage by their name (* and ? as in the shell), with the keys of [defaults]. A guest's own\n"
    "# metadata wins over this; of several groups that match, the last one holds.\n"
    "#[domain \"web-*\"]\n"
    "#Startup=512M\n"
    "#Maximum=4G\n";

/* How the text comes out: every key commented out with its help, or every key with its origin. */
typedef struct {
    const DynConf *conf;
    GString *text;
    bool commented;
} Writing;

static void
write_comment(const Writing *writing, const char *lines)
{
    g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);

    for (char **part = parts; *part != NULL; part++)
        g_string_append_printf(writing->text, "# %s\n", *part);
}

/* Escaped as GKeyFile reads it. */
static char *
escape_value(const char *value)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    g_key_file_set_string(file, "g", "k", value);
    return g_key_file_get_value(file, "g", "k", NULL);
}

static void
write_key(const Writing *writing, const char *group, const char *key, const char *value)
{
    g_autofree char *path = g_strdup_printf("%s/%s", group, key);
    const char *origin = g_hash_table_lookup(writing->conf->origins, path);
    g_autofree char *safe_origin = origin != NULL ? dyn_text_escape(origin, 0) : NULL;
    g_autofree char *escaped = escape_value(value);

    if (!writing->commented)
        g_string_append_printf(writing->text, "# %s%s\n", origin ? "from " : "default",
                               origin ? safe_origin : "");
    g_string_append_printf(writing->text, "%s%s=%s\n", writing->commented ? "#" : "", key, escaped);
}

static void
write_group(const Writing *writing, const char *group)
{
    const char *help = dyn_conf_group_help(group);

    g_string_append(writing->text, writing->text->len > 0 ? "\n" : "");
    if (writing->commented && help != NULL)
        write_comment(writing, help);
    g_string_append_printf(writing->text, "[%s]\n", group);
}

static void
write_host_groups(const Writing *writing)
{
    gsize n;
    const DynConfKey *keys = dyn_conf_keys(&n);
    const char *group = "";

    for (gsize i = 0; i < n; i++) {
        g_autofree char *value = keys[i].type->get(writing->conf, &keys[i]);

        if (strcmp(keys[i].group, group) != 0)
            write_group(writing, keys[i].group);
        group = keys[i].group;
        if (writing->commented)
            write_comment(writing, keys[i].help);
        write_key(writing, group, keys[i].name, value);
    }
}

static void
write_defaults(const Writing *writing)
{
    write_group(writing, "defaults");
    for (int i = 0; i < DYN_N_KEYS; i++) {
        DynPolicyKey key = (DynPolicyKey)i;
        g_autofree char *value = dyn_policy_value(writing->conf->defaults, key);

        if (writing->commented)
            write_comment(writing, dyn_conf_policy_help(key));
        write_key(writing, "defaults", dyn_policy_key_name(key),
                  value != NULL ? value : dyn_conf_policy_initial(key));
    }
}

/* An empty [domain] group manages guests, so its heading is commented out as well. */
static void
write_domains(const Writing *writing)
{
    const GPtrArray *groups = writing->conf->groups;

    if (writing->commented && groups->len == 0)
        g_string_append_printf(writing->text, "\n%s", example);
    for (guint i = 0; i < groups->len; i++) {
        const DynConfGroup *group = g_ptr_array_index(groups, i);
        g_autofree char *name = g_strdup_printf("domain \"%s\"", group->glob);

        g_string_append_printf(writing->text, "\n%s[%s]\n", writing->commented ? "#" : "", name);
        for (int key = 0; key < DYN_N_KEYS; key++) {
            g_autofree char *value = dyn_policy_value(group->policy, (DynPolicyKey)key);

            if (value != NULL)
                write_key(writing, name, dyn_policy_key_name((DynPolicyKey)key), value);
        }
    }
}

char *
dyn_conf_format(const DynConf *conf, bool commented)
{
    GString *text = g_string_new(commented ? heading : NULL);
    const Writing writing = { conf, text, commented };

    write_host_groups(&writing);
    write_defaults(&writing);
    write_domains(&writing);
    return g_string_free(text, FALSE);
}
