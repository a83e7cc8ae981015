/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "edit.h"
#include "table.h"
#include "text.h"

#include <string.h>

enum { COLUMN_SETTING, COLUMN_VALUE, COLUMN_ORIGIN, COLUMN_NEXT, N_COLUMNS };

static const DynTableColumn columns[N_COLUMNS] = {
    [COLUMN_SETTING] = { "Setting", 0, NULL, NULL, 0 },
    [COLUMN_VALUE] = { "Value", DYN_COLUMN_RIGHT, NULL, NULL, 0 },
    [COLUMN_ORIGIN] = { "Origin", 0, NULL, NULL, 0 },
    [COLUMN_NEXT] = { "Next start", 0, NULL, NULL, 0 },
};

/* A size for people, everything else as its text; NULL where there is none. */
static char *
show_value(const DynCli *cli, const DynPolicy *policy, DynPolicyKey key)
{
    switch (key) {
    case DYN_KEY_STARTUP:
        return dyn_cli_size(policy->startup_kib * 1024, cli->bytes);
    case DYN_KEY_MINIMUM:
        return dyn_cli_size(policy->minimum_kib * 1024, cli->bytes);
    case DYN_KEY_MAXIMUM:
        return dyn_cli_size(policy->maximum_kib * 1024, cli->bytes);
    case DYN_KEY_BUFFER:
        return g_strdup_printf("%u %%", policy->buffer_percent);
    case DYN_KEY_PRIORITY:
    case DYN_KEY_MODE:
    case DYN_KEY_CHARGE:
    case DYN_KEY_PAGING_DIRECTORY:
    case DYN_N_KEYS:
        return dyn_policy_value(policy, key);
    }
    return NULL;
}

/* The policy that the next start will find: the configuration's where it was changed too, else what
 * the running one could not take. */
static const DynEffective *
next_start(const DynEdit *edit)
{
    const DynEditTarget *last = edit->targets->pdata[edit->targets->len - 1];

    return last->wanted;
}

static void
add_row(const DynEdit *edit, DynTable *table, DynPolicyKey key)
{
    const DynEditTarget *target = edit->targets->pdata[0];
    g_autofree char *value = show_value(edit->cli, &target->held->policy, key);
    g_autofree char *later = show_value(edit->cli, &next_start(edit)->policy, key);
    bool same = g_strcmp0(value, later) == 0;
    g_autofree char *next = same ? NULL : g_strdup_printf("%s (pending)", later);
    const char *cells[N_COLUMNS] = {
        [COLUMN_SETTING] = dyn_policy_key_name(key),
        [COLUMN_VALUE] = value,
        [COLUMN_ORIGIN] = value ? dyn_origin_word(target->held->origin[key]) : NULL,
        [COLUMN_NEXT] = next,
    };

    if (value || later)
        dyn_table_add(table, cells);
}

static bool
print_table(DynEdit *edit, const char *what, GError **error)
{
    g_autoptr(DynTable) table = dyn_table_new(edit->cli, columns, N_COLUMNS, error);

    if (!table)
        return false;
    for (int key = 0; key < DYN_N_KEYS; key++)
        add_row(edit, table, key);
    if (edit->cli->quiet)
        return true;
    dyn_cli_say(edit->cli, "%s", what);
    return dyn_table_print(table, error);
}

void
dyn_edit_add_policy(DynJson *json, const char *member, const DynEffective *effective)
{
    const DynPolicy *policy = &effective->policy;

    dyn_json_open_object(json, member);
    dyn_json_add_string(json, "mode", dyn_mode_word(policy->mode));
    dyn_json_add_uint(json, "startup", policy->startup_kib * 1024);
    dyn_json_add_string(json, "charge", dyn_charge_word(policy->charge));
    dyn_json_add_uint(json, "minimum", policy->minimum_kib * 1024);
    dyn_json_add_uint(json, "maximum", policy->maximum_kib * 1024);
    dyn_json_add_uint(json, "buffer", policy->buffer_percent);
    dyn_json_add_uint(json, "priority", policy->priority);
    dyn_json_add_string(json, "smartPagingDirectory", policy->paging_directory);
    dyn_json_close(json);
}

static DynJson *
new_json(const DynEdit *edit, bool dry_run)
{
    DynJson *json = dyn_json_new();
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    (void)virDomainGetUUIDString(edit->handle, uuid); /* the handle has it; it cannot fail */
    dyn_json_add_string(json, "name", virDomainGetName(edit->handle));
    dyn_json_add_string(json, "uuid", uuid);
    dyn_json_add_bool(json, "dryRun", dry_run);
    dyn_json_open_array(json, "changed");
    return json;
}

void
dyn_edit_print_unchanged(DynEdit *edit)
{
    g_autoptr(DynJson) json = new_json(edit, false);
    g_autofree char *text = dyn_json_end(json);

    if (edit->cli->json)
        fputs(text, edit->cli->out);
}

static void
print_json(const DynEdit *edit, bool dry_run)
{
    g_autoptr(DynJson) json = new_json(edit, dry_run);
    const DynEditTarget *first = edit->targets->pdata[0];
    g_autofree char *text = NULL;

    for (guint t = 0; t < edit->targets->len; t++) {
        const DynEditTarget *target = edit->targets->pdata[t];

        dyn_json_add_string(json, NULL, target->flag == VIR_DOMAIN_AFFECT_LIVE ? "live" : "config");
    }
    dyn_json_close(json);
    dyn_edit_add_policy(json, "policy", first->held);
    dyn_edit_add_policy(json, "nextStart", next_start(edit));
    text = dyn_json_end(json);
    fputs(text, edit->cli->out);
}

bool
dyn_edit_print(DynEdit *edit, const char *what, bool dry_run, GError **error)
{
    if (!edit->cli->json)
        return print_table(edit, what, error);
    print_json(edit, dry_run);
    return true;
}
