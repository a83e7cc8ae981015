/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring as text, a line an entry:
 *
 *   dynmem-decisions 1 BOOT-ID OFFSET SINCE NEXT
 *   N UUID NAME                       of the guest, escaped as in C; to the end of the line
 *   E SEQ STEADY WALL UUID KIND REASON OUTCOME HOLD STATUS CONTENTION COUNT SPAN
 *     FROM TO DEMAND TARGET AVAILABLE POOL          (on the same line)
 *
 * REASON is followed by "/MEANS" where that is no balloon ("grow-demand/DIMM"). Times in
 * microseconds, sizes in KiB, "-" where there is none. Seqs count up by one; an entry that
 * is there already is replaced (more was counted in it). NEXT is the seq that an empty ring begins
 * with. A line is whole when its end is there: what a kill or a full disk cut off has none. */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>

#include "decisions-priv.h"

#define MAGIC "dynmem-decisions 1 "
#define NOBODY "-"
/* Far beyond any clock (year 10,000), far from overflow. */
#define TIME_MOST (INT64_C(253402300800) * G_USEC_PER_SEC)

enum {
    FIELD_E,
    FIELD_SEQ,
    FIELD_STEADY,
    FIELD_WALL,
    FIELD_UUID,
    FIELD_KIND,
    FIELD_REASON,
    FIELD_OUTCOME,
    FIELD_HOLD,
    FIELD_STATUS,
    FIELD_CONTENTION,
    FIELD_COUNT,
    FIELD_SPAN,
    FIELD_SIZES,
    N_SIZES = 6,
    N_FIELDS = FIELD_SIZES + N_SIZES
};

const char *
dyn_decision_word(DynDecisionKind kind)
{
    static const char *const words[DYN_N_DECISIONS] = {
        [DYN_DECISION_ACTION] = "action",
        [DYN_DECISION_WOULD] = "would",
        [DYN_DECISION_STATE] = "state",
        [DYN_DECISION_START] = "start",
    };

    return (guint)kind < DYN_N_DECISIONS ? words[kind] : "?";
}

static const char *
kind_word(guint n)
{
    return dyn_decision_word((DynDecisionKind)n);
}

static const char *
reason_word(guint n)
{
    return dyn_reason_word((DynReason)n);
}

static const char *
means_word(guint n)
{
    return dyn_means_word((DynMeans)n);
}

static const char *
outcome_word(guint n)
{
    return dyn_outcome_word((DynOutcomeResult)n);
}

/* No hold has an empty word, which would not survive between spaces. */
static const char *
hold_word(guint n)
{
    return n == DYN_HOLD_NONE ? "none" : dyn_hold_word((DynHold)n);
}

static const char *
status_word(guint n)
{
    return dyn_status_word((DynStatus)n);
}

static void
append_size(GString *out, uint64_t kib)
{
    if (kib == DYN_UNKNOWN)
        g_string_append(out, " -");
    else
        g_string_append_printf(out, " %" G_GUINT64_FORMAT, kib);
}

static void
append_entry(GString *out, const DynDecision *entry)
{
    const uint64_t sizes[N_SIZES] = { entry->from_kib,   entry->to_kib,        entry->demand_kib,
                                      entry->target_kib, entry->available_kib, entry->pool_kib };
    const bool is_balloon = entry->means == DYN_MEANS_BALLOON;

    g_string_append_printf(out,
                           "E %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           " %s %s %s%s%s %s %s %s %u %u %u",
                           entry->seq, entry->steady_usec, entry->wall_usec,
                           *entry->uuid ? entry->uuid : NOBODY, kind_word(entry->kind),
                           reason_word(entry->reason), is_balloon ? "" : "/",
                           is_balloon ? "" : means_word(entry->means), outcome_word(entry->outcome),
                           hold_word(entry->hold), status_word(entry->status), entry->contention,
                           entry->count, entry->span_sec);
    for (size_t i = 0; i < N_SIZES; i++)
        append_size(out, sizes[i]);
    g_string_append_c(out, '\n');
}

static void
append_name(GString *out, const DynDecider *decider)
{
    g_autofree char *escaped = g_strescape(decider->name, NULL);

    g_string_append_printf(out, "N %s %s\n", decider->uuid, escaped);
}

char *
dyn_decisions_format(const DynDecisions *ring)
{
    GString *out = g_string_new(MAGIC);
    GHashTableIter iter;
    gpointer value;

    g_string_append_printf(
        out, "%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT "\n", ring->boot_id,
        ring->offset_usec, ring->since_usec, ring->first);
    g_hash_table_iter_init(&iter, ring->deciders);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (((const DynDecider *)value)->name)
            append_name(out, value);
    }
    for (size_t i = 0; i < dyn_decisions_count(ring); i++) {
        const DynDecision entry = dyn_decisions_get(ring, i);

        append_entry(out, &entry);
    }
    return g_string_free(out, FALSE);
}

char *
dyn_decisions_take_unsaved(DynDecisions *ring)
{
    uint64_t first = ring->next;
    GString *out;

    if (ring->unsaved == 0)
        return NULL;
    for (size_t left = ring->unsaved; left > 0;)
        left -= dyn_decisions_slot(ring, --first)->unsaved;
    out = g_string_new(NULL);
    for (uint64_t seq = first; seq < ring->next; seq++) {
        DynPackedDecision *slot = dyn_decisions_slot(ring, seq);
        const DynDecision entry = dyn_decision_unpack(slot, seq);

        if (!slot->unsaved)
            continue;
        slot->unsaved = 0;
        if (slot->decider->name && slot->decider->name_unsaved)
            append_name(out, slot->decider);
        slot->decider->name_unsaved = false;
        append_entry(out, &entry);
    }
    ring->unsaved = 0;
    return g_string_free(out, FALSE);
}

static bool
parse_time(const char *text, int64_t least, int64_t *ret_usec)
{
    gint64 value = 0;

    if (!g_ascii_string_to_signed(text, 10, least, TIME_MOST, &value, NULL))
        return false;
    *ret_usec = value;
    return true;
}

static bool
parse_number(const char *text, uint64_t most, uint64_t *ret_value)
{
    guint64 value = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 0, most, &value, NULL))
        return false;
    *ret_value = value;
    return true;
}

static bool
parse_size(const char *text, uint64_t *ret_kib)
{
    if (strcmp(text, "-") != 0)
        return parse_number(text, DYN_MAX_KIB, ret_kib);
    *ret_kib = DYN_UNKNOWN;
    return true;
}

static bool
parse_word(const char *text, const char *(*word)(guint), guint n, uint8_t *ret_value)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(text, word(i)) == 0) {
            *ret_value = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool
parse_uuid(const char *text, char uuid[DYN_UUID_SIZE])
{
    if (strcmp(text, NOBODY) == 0) {
        uuid[0] = '\0';
        return true;
    }
    if (!g_uuid_string_is_valid(text))
        return false;
    g_strlcpy(uuid, text, DYN_UUID_SIZE);
    return true;
}

/* Cuts @text at its "/". */
static bool
parse_reason(char *text, DynDecision *entry)
{
    char *slash = strchr(text, '/');

    if (slash)
        *slash = '\0';
    return parse_word(text, reason_word, DYN_N_REASONS, &entry->reason) &&
           (!slash || parse_word(slash + 1, means_word, DYN_N_MEANS, &entry->means));
}

static bool
parse_words(char **fields, DynDecision *entry)
{
    return parse_word(fields[FIELD_KIND], kind_word, DYN_N_DECISIONS, &entry->kind) &&
           parse_reason(fields[FIELD_REASON], entry) &&
           parse_word(fields[FIELD_OUTCOME], outcome_word, DYN_N_OUTCOMES, &entry->outcome) &&
           parse_word(fields[FIELD_HOLD], hold_word, DYN_N_HOLDS, &entry->hold) &&
           parse_word(fields[FIELD_STATUS], status_word, DYN_N_STATUSES, &entry->status);
}

static bool
parse_numbers(char **fields, DynDecision *entry)
{
    uint64_t contention = 0;
    uint64_t count = 0;
    uint64_t span = 0;

    if (!parse_number(fields[FIELD_SEQ], UINT64_MAX / 2, &entry->seq) ||
        !parse_time(fields[FIELD_STEADY], 0, &entry->steady_usec) ||
        !parse_time(fields[FIELD_WALL], 0, &entry->wall_usec) ||
        !parse_number(fields[FIELD_CONTENTION], 1, &contention) ||
        !parse_number(fields[FIELD_COUNT], UINT16_MAX, &count) || count == 0 ||
        !parse_number(fields[FIELD_SPAN], UINT16_MAX, &span))
        return false;
    entry->contention = (uint8_t)contention;
    entry->count = (uint16_t)count;
    entry->span_sec = (uint16_t)span;
    return true;
}

static bool
parse_entry(const char *line, DynDecision *ret_entry)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", N_FIELDS + 1);
    uint64_t *const sizes[N_SIZES] = { &ret_entry->from_kib,      &ret_entry->to_kib,
                                       &ret_entry->demand_kib,    &ret_entry->target_kib,
                                       &ret_entry->available_kib, &ret_entry->pool_kib };

    if (g_strv_length(fields) != N_FIELDS || !parse_uuid(fields[FIELD_UUID], ret_entry->uuid) ||
        !parse_words(fields, ret_entry) || !parse_numbers(fields, ret_entry))
        return false;
    for (size_t i = 0; i < N_SIZES; i++) {
        if (!parse_size(fields[FIELD_SIZES + i], sizes[i]))
            return false;
    }
    return (*ret_entry->uuid == '\0') == (ret_entry->kind == DYN_DECISION_START);
}

/* Into the ring, if it continues what is there. */
static bool
take_entry(DynDecisions *ring, const char *line)
{
    DynDecision entry = { 0 };
    const DynPackedDecision *old;

    if (!parse_entry(line, &entry))
        return false;
    if (entry.seq < ring->next) {
        if (entry.seq < ring->first)
            return true; /* dropped for want of room */
        old = dyn_decisions_slot(ring, entry.seq);
        if (strcmp(old->decider->uuid, entry.uuid) != 0 || old->kind != entry.kind ||
            old->steady_usec != entry.steady_usec)
            return false;
        dyn_decisions_replace(ring, &entry);
        return true;
    }
    if (entry.seq != ring->next ||
        (ring->next > ring->first &&
         entry.steady_usec < dyn_decisions_slot(ring, ring->next - 1)->steady_usec))
        return false;
    dyn_decisions_append(ring, &entry);
    return true;
}

/* g_strcompress() complains, where nobody should, of a backslash that nothing follows. */
static bool
ends_in_escape(const char *text)
{
    size_t n = 0;

    for (const char *end = text + strlen(text); end > text && end[-1] == '\\'; end--)
        n++;
    return n % 2 == 1;
}

static bool
take_name(GHashTable *names, const char *line)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", 3);

    if (g_strv_length(fields) != 3 || !g_uuid_string_is_valid(fields[1]) ||
        ends_in_escape(fields[2]))
        return false;
    g_hash_table_replace(names, g_strdup(fields[1]), g_strcompress(fields[2]));
    return true;
}

static bool
take_line(DynDecisions *ring, GHashTable *names, const char *line)
{
    if (g_str_has_prefix(line, "N "))
        return take_name(names, line);
    return g_str_has_prefix(line, "E ") && take_entry(ring, line);
}

/* The ring's clock goes on from where it was: exactly on the same boot, by the wall clock on
 * another. */
static void
resume_clock(DynDecisions *ring, const DynDecisionClock *clock)
{
    const char *boot_id = clock->boot_id && *clock->boot_id ? clock->boot_id : "-";
    const bool same_boot = strcmp(boot_id, "-") != 0 && strcmp(ring->boot_id, boot_id) == 0;
    const DynPackedDecision *last =
        ring->next > ring->first ? dyn_decisions_slot(ring, ring->next - 1) : NULL;

    if (!same_boot)
        ring->offset_usec = (last ? last->steady_usec + MAX(clock->wall_usec - last->wall_usec, 0)
                                  : 0) -
                            clock->now_usec;
    g_strlcpy(ring->boot_id, boot_id, sizeof ring->boot_id);
}

static bool
take_header(DynDecisions *ring, const char *line)
{
    g_auto(GStrv) fields = NULL;

    if (!g_str_has_prefix(line, MAGIC))
        return false;
    fields = g_strsplit(line + strlen(MAGIC), " ", 5);
    if (g_strv_length(fields) != 4 ||
        (strcmp(fields[0], "-") != 0 && !g_uuid_string_is_valid(fields[0])) ||
        !parse_time(fields[1], -TIME_MOST, &ring->offset_usec) ||
        !parse_time(fields[2], 0, &ring->since_usec) ||
        !parse_number(fields[3], UINT64_MAX / 2, &ring->next))
        return false;
    g_strlcpy(ring->boot_id, fields[0], sizeof ring->boot_id);
    ring->first = ring->next;
    return true;
}

static void
give_names(DynDecisions *ring, GHashTable *names)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, ring->deciders);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynDecider *decider = value;

        dyn_decisions_set_name(decider, g_hash_table_lookup(names, decider->uuid));
        decider->name_unsaved = false;
    }
}

/* A reader of lines. */
typedef struct Lines {
    const char *text;
    size_t length, begin;
    unsigned number; /* of the line read last, from 1 */
} Lines;

/* The next whole line; NULL at the end, or where it was torn. */
static char *
next_line(Lines *lines)
{
    const char *begin = lines->text + lines->begin;
    const char *end = lines->begin < lines->length
                          ? memchr(begin, '\n', lines->length - lines->begin)
                          : NULL;

    if (!end)
        return NULL;
    lines->begin += (size_t)(end - begin) + 1;
    lines->number++;
    /* a zero, as a power cut leaves, would hide the rest of the line */
    return memchr(begin, '\0', (size_t)(end - begin)) ? g_strdup("\\0")
                                                     : g_strndup(begin, (size_t)(end - begin));
}

static unsigned
count_rest(Lines *lines)
{
    unsigned n = 0;

    for (char *line = next_line(lines); line; line = next_line(lines)) {
        g_free(line);
        n++;
    }
    return n;
}

static char *
describe_loss(Lines *lines, const char *line)
{
    const unsigned number = lines->number;
    const unsigned lost = 1 + count_rest(lines);
    g_autofree char *quoted = dyn_text_quote(line);

    return g_strdup_printf("line %u is not a decision: %s; what is before it was kept, %u %s lost",
                           number, quoted, lost, lost == 1 ? "line was" : "lines were");
}

DynDecisions *
dyn_decisions_parse(const char *text, size_t length, const DynDecisionClock *clock,
                    char **ret_loss, GError **error)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(DYN_DECISIONS_MOST, NULL, clock->now_usec);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Lines lines = { text, length, 0, 0 };
    g_autofree char *line = next_line(&lines);

    *ret_loss = NULL;
    if (!line || !take_header(ring, line)) {
        g_autofree char *first = g_strndup(text, MIN(length, DYN_TEXT_QUOTE_MAX));
        g_autofree char *quoted = dyn_text_quote(line ? line : first);

        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "line 1 is not that of decisions: %s",
                    quoted);
        return NULL;
    }
    while (!*ret_loss) {
        g_free(line);
        line = next_line(&lines);
        if (!line)
            break;
        if (!take_line(ring, names, line))
            *ret_loss = describe_loss(&lines, line);
    }
    give_names(ring, names);
    resume_clock(ring, clock);
    dyn_decisions_expire(ring, clock->now_usec);
    return g_steal_pointer(&ring);
}
