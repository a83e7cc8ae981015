#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nothing is forgotten: every source file is built, every unit test runs, every man page is
# installed.
. "$(dirname "$0")/tap.sh"
cd "$DYN_SRCDIR" || exit 1

named() { # FRAGMENTS FILE...: each is named in one of the fragments
    local fragments=$1 file status=0
    shift
    for file in "$@"; do
        [ -e "$file" ] || continue
        # shellcheck disable=SC2086 # a list of files
        grep -qE "(^|[[:space:]=])${file//./\\.}([[:space:]]|\$)" $fragments || { echo "$file is in no Makefile"; status=1; }
    done
    return $status
}

listed_tests() {
    local file status=0
    for file in tests/unit/test-*.c; do
        grep -qE "(^|[[:space:]=])${file%.c}([[:space:]]|\$)" tests/unit/*.am || { echo "$file is not run"; status=1; }
    done
    return $status
}

listed_pages() {
    local file status=0
    for file in man/*.rst; do
        [ -e "$file" ] || continue
        grep -qE "(^|[[:space:]=])${file%.rst}([[:space:]]|\$)" man/Makemodule.am || { echo "$file is not installed"; status=1; }
    done
    return $status
}

tap_ok "every source file is built" named "$(echo src/*/Makemodule.am)" src/*/*.[ch]
tap_ok "every unit test runs" listed_tests
tap_ok "every man page is installed" listed_pages
tap_done
