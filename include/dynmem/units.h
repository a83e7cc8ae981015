/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and exact integer arithmetic. Inside dynmem every amount of memory is KiB (libvirt's
 * unit). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

#define DYN_KIB_PER_MIB UINT64_C(1024)
#define DYN_KIB_PER_GIB UINT64_C(1048576)

/* "Not reported": guests and kernels leave values out. Never an amount. */
#define DYN_UNKNOWN UINT64_MAX

/* Largest size accepted anywhere: 2^44 KiB = 16 PiB, so that sums over 10,000 guests stay far from
 * 2^64 and products fit in 128 bits. */
#define DYN_MAX_KIB (UINT64_C(1) << 44)

/* Parse @text as virsh does (scaled integer, case-insensitive): "512" is 512 KiB; suffixes b/byte,
 * k/KiB, M/MiB, G/GiB, T/TiB, P/PiB, E/EiB are powers of 1024, KB MB GB TB PB EB powers of 1000;
 * one optional space before the suffix. Rounded up to KiB. No sign, no fraction. The result is at
 * most DYN_MAX_KIB. Errors: DYN_ERROR_INVALID. */
bool
dyn_size_parse(const char *text, uint64_t *ret_kib, GError **error);

/* As dyn_size_parse(), the number and its unit apart, as libvirt's XML writes them
 * (<memory unit='MiB'>512</memory>). @unit NULL means KiB. */
bool
dyn_size_parse_unit(const char *number, const char *unit, uint64_t *ret_kib, GError **error);

/* @kib for people: the largest unit of KiB, MiB, GiB, TiB that shows at most one decimal without
 * losing more than 0.5 %: "512 MiB", "1.5 GiB", "300 KiB"; "unknown" for DYN_UNKNOWN. Free with
 * g_free(). */
char *
dyn_size_format(uint64_t kib);
/* Always in MiB, with at most one decimal, for texts whose sizes are added up; KiB where that would
 * be nothing. */
char *
dyn_size_format_mib(uint64_t kib);

/* @kib exactly, in the largest of KiB, MiB, GiB, TiB that divides it: "512 MiB", "1536 MiB". What
 * dyn_size_parse() reads back. Free with g_free(). */
char *
dyn_size_format_exact(uint64_t kib);

/* The two halves of dyn_size_format_exact(): the number, and its unit in @ret_unit (static). */
uint64_t
dyn_size_split(uint64_t kib, const char **ret_unit);

/* @a + @b and @a - @b, stopping at UINT64_MAX and 0. Inline, as the next two: planning calls them
 * some hundred thousand times for ten thousand guests. */
static inline uint64_t
dyn_sat_add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t
dyn_sat_sub(uint64_t a, uint64_t b)
{
    uint64_t rest;

    return __builtin_sub_overflow(a, b, &rest) ? 0 : rest;
}

/* floor(@a * @b / @c) in 128 bits, stopping at UINT64_MAX; @c must not be 0. In 64 bits it is
 * several times faster, with a constant @c faster still, and nearly always enough. */
uint64_t
dyn_mul_div_wide(uint64_t a, uint64_t b, uint64_t c);

static inline uint64_t
dyn_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? dyn_mul_div_wide(a, b, c) : product / c;
}

/* @value rounded up to a multiple of @unit, which must not be 0. */
static inline uint64_t
dyn_round_up(uint64_t value, uint64_t unit)
{
    return dyn_sat_add(value, unit - 1) / unit * unit;
}

/* @value brought into [@lo, @hi]; where @lo > @hi, @hi wins. */
static inline uint64_t
dyn_clamp(uint64_t value, uint64_t lo, uint64_t hi)
{
    return MIN(MAX(value, lo), hi);
}

G_END_DECLS
