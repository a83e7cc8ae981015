/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "conf-types-priv.h"

#define DIGITS "0123456789"

/* No size of the host is smaller than this; a smaller one has lost its unit. */
#define LEAST_KIB DYN_KIB_PER_MIB

static bool
fail(const char *allowed, GError **error)
{
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "allowed is %s", allowed);
    return false;
}

static gpointer
field(DynConf *conf, const DynConfKey *key)
{
    return (char *)conf + key->offset;
}

static gconstpointer
const_field(const DynConf *conf, const DynConfKey *key)
{
    return (const char *)conf + key->offset;
}

static bool
is_digits(const char *value)
{
    return strspn(value, DIGITS) == strlen(value);
}

/* A size of the host. Digits alone are KiB, and almost certainly were not meant to be. */
static bool
parse_size(const char *value, bool zero, uint64_t *ret_kib, GError **error)
{
    uint64_t kib;

    if (!dyn_size_parse(value, &kib, error))
        return false;
    if (kib >= LEAST_KIB || (kib == 0 && zero)) {
        *ret_kib = kib;
        return true;
    }
    if (is_digits(value) && kib > 0)
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%" G_GUINT64_FORMAT " KiB is below the least allowed, 1 MiB (did you mean %" G_GUINT64_FORMAT
                    "M?)",
                    kib, kib);
    else
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "the least allowed is 1 MiB%s",
                    zero ? ", or 0" : "");
    return false;
}

static bool
set_size(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    uint64_t *target = field(conf, key);

    if (!g_str_equal(value, "auto")) {
        if (parse_size(value, key->least == 1, target, error))
            return true;
        g_prefix_error(error, "allowed is auto or a size: ");
        return false;
    }
    *target = DYN_SIZE_AUTO;
    return true;
}

static char *
get_size(const DynConf *conf, const DynConfKey *key)
{
    const uint64_t *source = const_field(conf, key);

    return *source == DYN_SIZE_AUTO ? g_strdup("auto") : dyn_size_format_exact(*source);
}

const DynConfType dyn_conf_type_size = { set_size, get_size };

static bool
set_number(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    guint64 number;
    g_autofree char *allowed = NULL;

    if (g_ascii_string_to_unsigned(value, 10, key->least, key->most, &number, NULL)) {
        *(uint32_t *)field(conf, key) = (uint32_t)number;
        return true;
    }
    allowed = g_strdup_printf("a whole number from %u to %u", key->least, key->most);
    return fail(allowed, error);
}

static char *
get_number(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup_printf("%u", *(const uint32_t *)const_field(conf, key));
}

const DynConfType dyn_conf_type_number = { set_number, get_number };

static bool
set_bool(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    bool yes = g_str_equal(value, "true") || g_str_equal(value, "yes") || g_str_equal(value, "1");
    bool no = g_str_equal(value, "false") || g_str_equal(value, "no") || g_str_equal(value, "0");

    if (!yes && !no)
        return fail("true or false", error);
    *(bool *)field(conf, key) = yes;
    return true;
}

static char *
get_bool(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup(*(const bool *)const_field(conf, key) ? "true" : "false");
}

const DynConfType dyn_conf_type_bool = { set_bool, get_bool };

static void
replace(char **target, const char *value)
{
    g_free(*target);
    *target = g_strdup(value);
}

static bool
set_connect(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    const char *colon = strchr(value, ':');

    if (colon == NULL || colon == value || strchr(value, ' ') != NULL ||
        dyn_text_has_control(value))
        return fail("a libvirt URI such as qemu:///system", error);
    replace(&conf->connect, value);
    return true;
}

static char *
get_connect(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup(conf->connect);
}

const DynConfType dyn_conf_type_connect = { set_connect, get_connect };

static bool
set_mode(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    DynMode mode;

    if (!dyn_mode_parse(value, &mode) || mode == DYN_MODE_OFF)
        return fail("observe or on", error);
    conf->mode = mode;
    return true;
}

static char *
get_mode(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup(dyn_mode_word(conf->mode));
}

const DynConfType dyn_conf_type_mode = { set_mode, get_mode };

static bool
set_idle(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    guint64 seconds = DYN_IDLE_RECLAIM_SEC;
    DynIdleReclaim idle = DYN_IDLE_SECONDS;

    if (g_str_equal(value, "auto"))
        idle = DYN_IDLE_AUTO;
    else if (g_str_equal(value, "when-needed"))
        idle = DYN_IDLE_WHEN_NEEDED;
    else if (!g_ascii_string_to_unsigned(value, 10, key->least, key->most, &seconds, NULL))
        return fail("auto, when-needed, or a number of seconds from 1 to 86400", error);
    conf->idle_reclaim = idle;
    conf->idle_reclaim_sec = (uint32_t)seconds;
    return true;
}

static char *
get_idle(const DynConf *conf, const DynConfKey *key)
{
    switch (conf->idle_reclaim) {
    case DYN_IDLE_WHEN_NEEDED:
        return g_strdup("when-needed");
    case DYN_IDLE_SECONDS:
        return g_strdup_printf("%u", conf->idle_reclaim_sec);
    case DYN_IDLE_AUTO:
        break;
    }
    return g_strdup("auto");
}

const DynConfType dyn_conf_type_idle = { set_idle, get_idle };

static bool
set_floor(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    g_autofree char *number = NULL;
    guint64 percent;

    if (!g_str_has_suffix(value, "%")) {
        if (!parse_size(value, true, &conf->buffer_floor_kib, error)) {
            g_prefix_error(error, "allowed is a percentage from 0%% to 100%%, or a size: ");
            return false;
        }
        conf->buffer_floor_is_size = true;
        return true;
    }
    number = g_strchomp(g_strndup(value, strlen(value) - 1));
    if (!g_ascii_string_to_unsigned(number, 10, key->least, key->most, &percent, NULL))
        return fail("a percentage from 0% to 100%, or a size", error);
    conf->buffer_floor_is_size = false;
    conf->buffer_floor_percent = (uint32_t)percent;
    conf->buffer_floor_kib = 0;
    return true;
}

static char *
get_floor(const DynConf *conf, const DynConfKey *key)
{
    if (!conf->buffer_floor_is_size)
        return g_strdup_printf("%u%%", conf->buffer_floor_percent);
    return conf->buffer_floor_kib == 0 ? g_strdup("0")
                                       : dyn_size_format_exact(conf->buffer_floor_kib);
}

const DynConfType dyn_conf_type_floor = { set_floor, get_floor };

/* Checked by the same rule as the directory in a policy, since the two are compared as text. */
static bool
set_directories(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(value, ";", -1);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DynPolicy) scratch = dyn_policy_new();

    for (char **part = parts; *part != NULL; part++) {
        const char *path = g_strstrip(*part);

        if (path[0] == '\0')
            continue;
        if (!dyn_policy_set(scratch, dyn_policy_key_name(DYN_KEY_PAGING_DIRECTORY), path, NULL) ||
            scratch->paging_directory == NULL)
            return fail("a list of absolute paths without '..', separated by semicolons", error);
        g_ptr_array_add(paths, g_strdup(path));
    }
    g_ptr_array_add(paths, NULL);
    g_strfreev(conf->paging_directories);
    conf->paging_directories = (char **)g_ptr_array_steal(paths, NULL);
    return true;
}

static char *
get_directories(const DynConf *conf, const DynConfKey *key)
{
    return g_strjoinv(";", conf->paging_directories);
}

const DynConfType dyn_conf_type_directories = { set_directories, get_directories };

static bool
set_absent(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    if (!g_str_equal(value, "allow") && !g_str_equal(value, "deny"))
        return fail("allow or deny", error);
    conf->admission_allow_absent = g_str_equal(value, "allow");
    return true;
}

static char *
get_absent(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup(conf->admission_allow_absent ? "allow" : "deny");
}

const DynConfType dyn_conf_type_absent = { set_absent, get_absent };

/* A host name would make the start depend on a resolver. */
static bool
is_address(const char *value)
{
    const char *colon = strrchr(value, ':');
    g_autofree char *host = colon != NULL ? g_strndup(value, (gsize)(colon - value)) : NULL;
    gsize length = host != NULL ? strlen(host) : 0;
    bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    guint64 port;

    if (host == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        return false;
    if (!bracketed)
        return g_str_equal(host, "localhost") ||
               (strchr(host, ':') == NULL && g_hostname_is_ip_address(host));
    host[length - 1] = '\0';
    return strchr(host + 1, ':') != NULL && g_hostname_is_ip_address(host + 1);
}

static bool
set_listen(DynConf *conf, const DynConfKey *key, const char *value, GError **error)
{
    if (!is_address(value))
        return fail("ADDRESS:PORT or [ADDRESS]:PORT with a numeric address, as 127.0.0.1:19709",
                    error);
    replace(&conf->exporter_listen, value);
    return true;
}

static char *
get_listen(const DynConf *conf, const DynConfKey *key)
{
    return g_strdup(conf->exporter_listen);
}

const DynConfType dyn_conf_type_listen = { set_listen, get_listen };
