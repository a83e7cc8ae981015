#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The core is pure, and the check that says so can fail.
. "$(dirname "$0")/tap.sh"
check=$DYN_SRCDIR/scripts/check-purity
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

impure() { # NAME SOURCE: an object that uses NAME must be refused, by name
    printf '%s\n' "$2" >"$work/$1.c"
    # shellcheck disable=SC2086 # both are lists of words
    $CC -std=gnu11 -w $TEST_CPPFLAGS -c "$work/$1.c" -o "$work/$1.o" || exit 1
    tap_fails "an object that needs $1 is refused" "needs $1" "$check" "$work/$1.o"
}

tap_ok "src/core is pure" "$check" "$DYN_BUILDDIR/.libs/libdynmem-core.a"
impure open 'int open(const char *, int, ...); int f(void); int f(void) { return open("/", 0); }'
impure clock_gettime '#include <time.h>
long f(struct timespec *t); long f(struct timespec *t) { return clock_gettime(0, t); }'
impure g_get_monotonic_time '#include <glib.h>
gint64 f(void); gint64 f(void) { return g_get_monotonic_time(); }'
impure g_log '#include <glib.h>
void f(void); void f(void) { g_message("x"); }'
impure g_key_file_load_from_file '#include <glib.h>
int f(GKeyFile *k); int f(GKeyFile *k) { return g_key_file_load_from_file(k, "x", 0, NULL); }'
impure xmlReadFile '#include <libxml/parser.h>
void *f(void); void *f(void) { return xmlReadFile("x", NULL, 0); }'
impure virDomainSetMemory '#include <libvirt/libvirt.h>
int f(virDomainPtr d); int f(virDomainPtr d) { return virDomainSetMemory(d, 1); }'
: >"$work/empty.c"
# shellcheck disable=SC2086
$CC -c "$work/empty.c" -o "$work/empty.o"
tap_fails "an object without symbols proves nothing" "nothing was checked" "$check" "$work/empty.o"
tap_done
