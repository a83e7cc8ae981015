/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest's record as a key file:
 *
 *   [record]
 *   Incarnation=1234:99686
 *   PeriodBefore=0
 *   MinimumKiB=262144
 *   MaximumKiB=4194304
 *   StartupKiB=524288
 *   Charge=auto
 *   BootPeakKiB=253952
 *   Version=1
 *
 * A key that is missing means that there is nothing to say; the four limits go together. Keys of a
 * later version are passed over. */
#include "config.h"

#include "store-priv.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/units.h>

#define KEY_INCARNATION "Incarnation"
#define KEY_PERIOD "PeriodBefore"
#define KEY_MINIMUM "MinimumKiB"
#define KEY_MAXIMUM "MaximumKiB"
#define KEY_STARTUP "StartupKiB"
#define KEY_CHARGE "Charge"
#define KEY_BOOT_PEAK "BootPeakKiB"
#define KEY_VERSION "Version" /* of this form; always written, so that an empty file is no record */

char *
dyn_record_format(const DynRecord *record, size_t *ret_length)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    if (record->incarnation)
        g_key_file_set_string(file, DYN_STORE_GROUP, KEY_INCARNATION, record->incarnation);
    if (record->has_period)
        g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_PERIOD, record->period_before);
    if (record->has_limits) {
        g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_MINIMUM, record->minimum_kib);
        g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_MAXIMUM, record->maximum_kib);
        g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_STARTUP, record->startup_kib);
        g_key_file_set_string(file, DYN_STORE_GROUP, KEY_CHARGE, dyn_charge_word(record->charge));
    }
    if (record->boot_peak_kib != 0)
        g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_BOOT_PEAK, record->boot_peak_kib);
    g_key_file_set_uint64(file, DYN_STORE_GROUP, KEY_VERSION, 1);
    return g_key_file_to_data(file, ret_length, NULL);
}

static bool
has(GKeyFile *file, const char *key)
{
    return g_key_file_has_key(file, DYN_STORE_GROUP, key, NULL);
}

/* The text at @key. GKeyFile returns one and an error both, where an escape is wrong. */
static char *
get_text(GKeyFile *file, const char *key, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *text = g_key_file_get_string(file, DYN_STORE_GROUP, key, &problem);

    if (!problem)
        return g_steal_pointer(&text);
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
}

/* The number at @key, at most @most. GKeyFile's own reader takes "-1" for 2^64 - 1. */
static bool
get_number(GKeyFile *file, const char *key, uint64_t most, uint64_t *ret_value, GError **error)
{
    g_autofree char *text = get_text(file, key, error);
    g_autoptr(GError) problem = NULL;
    guint64 value;

    if (!text)
        return false;
    if (!g_ascii_string_to_unsigned(text, 10, 0, most, &value, &problem)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: %s", key, problem->message);
        return false;
    }
    *ret_value = value;
    return true;
}

static bool
get_charge(GKeyFile *file, DynCharge *ret_charge, GError **error)
{
    g_autofree char *text = get_text(file, KEY_CHARGE, error);

    if (!text)
        return false;
    for (int charge = 0; charge < DYN_N_CHARGES; charge++) {
        if (strcmp(text, dyn_charge_word((DynCharge)charge)) == 0) {
            *ret_charge = (DynCharge)charge;
            return true;
        }
    }
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: '%s' is not auto, full or startup",
                KEY_CHARGE, text);
    return false;
}

static bool
parse_limits(GKeyFile *file, DynRecord *record, GError **error)
{
    record->has_limits = has(file, KEY_MINIMUM) || has(file, KEY_MAXIMUM) ||
                         has(file, KEY_STARTUP) || has(file, KEY_CHARGE);
    if (!record->has_limits)
        return true;
    if (!get_number(file, KEY_MINIMUM, DYN_MAX_KIB, &record->minimum_kib, error) ||
        !get_number(file, KEY_MAXIMUM, DYN_MAX_KIB, &record->maximum_kib, error) ||
        !get_number(file, KEY_STARTUP, DYN_MAX_KIB, &record->startup_kib, error) ||
        !get_charge(file, &record->charge, error))
        return false;
    if (record->minimum_kib <= record->maximum_kib)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s exceeds %s", KEY_MINIMUM, KEY_MAXIMUM);
    return false;
}

static bool
parse_period(GKeyFile *file, DynRecord *record, GError **error)
{
    uint64_t period;

    record->has_period = has(file, KEY_PERIOD);
    if (!record->has_period)
        return true;
    if (!get_number(file, KEY_PERIOD, G_MAXINT32, &period, error))
        return false;
    record->period_before = (uint32_t)period;
    return true;
}

static bool
parse_keys(GKeyFile *file, DynRecord *record, GError **error)
{
    uint64_t version;

    if (!get_number(file, KEY_VERSION, 1, &version, error))
        return false;
    if (has(file, KEY_INCARNATION)) {
        record->incarnation = get_text(file, KEY_INCARNATION, error);
        if (!record->incarnation)
            return false;
    }
    if (!parse_period(file, record, error) || !parse_limits(file, record, error))
        return false;
    if (has(file, KEY_BOOT_PEAK) &&
        !get_number(file, KEY_BOOT_PEAK, DYN_MAX_KIB, &record->boot_peak_kib, error))
        return false;
    return true;
}

DynRecord *
dyn_record_parse(const char *uuid, const char *text, size_t length, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(DynRecord) record = dyn_record_new(uuid, NULL);
    g_autoptr(GError) problem = NULL;

    /* An empty text is a key file to GLib; Version, which is always written, tells it from a
     * record. */
    if (length > 0 && g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &problem) &&
        parse_keys(file, record, &problem))
        return g_steal_pointer(&record);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s",
                problem ? problem->message : "it is empty");
    return NULL;
}
