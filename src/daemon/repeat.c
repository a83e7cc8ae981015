/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "repeat.h"

typedef struct DynSubject {
    char *text;
    int64_t said_usec;
    int64_t burst_usec; /* when the current burst began */
    guint burst;
    guint left_out;
} DynSubject;

struct DynRepeat {
    GHashTable *subjects; /* char* -> DynSubject* */
};

static void
subject_free(gpointer data)
{
    DynSubject *subject = data;

    g_free(subject->text);
    g_free(subject);
}

DynRepeat *
dyn_repeat_new(void)
{
    DynRepeat *repeat = g_new0(DynRepeat, 1);

    repeat->subjects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, subject_free);
    return repeat;
}

void
dyn_repeat_free(DynRepeat *repeat)
{
    if (!repeat)
        return;
    g_hash_table_unref(repeat->subjects);
    g_free(repeat);
}

static bool
is_news(DynSubject *subject, const char *text, int64_t now_usec)
{
    if (g_strcmp0(subject->text, text) == 0 && now_usec - subject->said_usec < DYN_REPEAT_SAME_USEC)
        return false;
    if (now_usec - subject->burst_usec >= DYN_REPEAT_BURST_USEC)
        subject->burst = 0;
    return subject->burst < DYN_REPEAT_BURST;
}

bool
dyn_repeat_allows(DynRepeat *repeat, const char *subject, const char *text, int64_t now_usec,
                  guint *ret_left_out)
{
    DynSubject *known = g_hash_table_lookup(repeat->subjects, subject);

    if (!known) {
        known = g_new0(DynSubject, 1);
        g_hash_table_insert(repeat->subjects, g_strdup(subject), known);
    }
    if (!is_news(known, text, now_usec)) {
        known->left_out++;
        return false;
    }
    if (known->burst++ == 0)
        known->burst_usec = now_usec;
    if (ret_left_out)
        *ret_left_out = known->left_out;
    known->left_out = 0;
    known->said_usec = now_usec;
    g_free(known->text);
    known->text = g_strdup(text);
    return true;
}

void
dyn_repeat_end(DynRepeat *repeat, const char *subject)
{
    DynSubject *known = g_hash_table_lookup(repeat->subjects, subject);

    if (known)
        g_clear_pointer(&known->text, g_free);
}

void
dyn_repeat_forget(DynRepeat *repeat, const char *subject)
{
    g_hash_table_remove(repeat->subjects, subject);
}
