#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What can be typed, called or read is in its manual; bash offers what the command knows.
. "$(dirname "$0")/tap.sh"
cd "$DYN_SRCDIR" || exit 1
dynmem=$DYN_BUILDDIR/src/cli/dynmem
dynmemd=$DYN_BUILDDIR/src/daemon/dynmemd
exporter=$DYN_BUILDDIR/src/exporter/dynmem-exporter

told() { # PAGE WORD...: each stands in the page
    local page=$1 word status=0
    shift
    [ $# -gt 5 ] || { echo "only $# words found to look for"; return 1; }
    for word in "$@"; do
        grep -qw -- "$word" "$page" || { echo "$page does not tell of $word"; status=1; }
    done
    return $status
}

words() { # REGEX FILE: what the group of the regular expression matches
    sed -nE "s/.*$1.*/\\1/p" "$2" | sort -u
}

daemon_options() {
    # shellcheck disable=SC2046 # words
    told man/dynmemd.8.rst $("$dynmemd" --help | grep -oE -- '--[a-z-]+' | sort -u)
}

exporter_options() {
    # shellcheck disable=SC2046 # words
    told man/dynmem-exporter.8.rst $("$exporter" --help | grep -oE -- '--[a-z-]+' | sort -u)
}

message_ids() {
    # shellcheck disable=SC2046 # words
    told man/dynmemd.8.rst $(words '"([0-9a-f]{32})"' include/dynmem/log.h) SIGHUP SIGTERM
}

bus_members() {
    # shellcheck disable=SC2046 # words
    told man/org.dynmem1.5.rst $(words '<[mps][a-z]+ name="([A-Za-z]+)"' dbus/org.dynmem1.xml)
}

stats_keys() {
    # shellcheck disable=SC2046 # words
    told man/org.dynmem1.5.rst $(grep -hoE '"[A-Z][A-Za-z]+"' src/core/stats.c src/core/stats-columns.c src/core/explain-dict.c \
        src/daemon/service-manager.c |
        tr -d '"' | sort -u)
}

# COMMAND-LINE-WORD... = EXPECTED: what bash offers for the last word.
offers() {
    local expected=${*: -1}
    COMP_WORDS=("${@:1:$#-1}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    PATH=$(dirname "$dynmem"):$PATH LIBVIRT_DEFAULT_URI=test:///default DBUS_SYSTEM_BUS_ADDRESS=unix:path=/none \
        _dynmem
    [ "${COMPREPLY[*]}" = "$expected" ] || { echo "offered '${COMPREPLY[*]}', not '$expected'"; return 1; }
}

broken_pipe() { # a reader that goes away is a failed write, not a silent success
    ! "$dynmem" help >/dev/full 2>&1
}

# shellcheck source=/dev/null
. conf/bash-completion/dynmem

tap_ok "every option of the daemon is in dynmemd(8)" daemon_options
tap_ok "every option of the exporter is in dynmem-exporter(8)" exporter_options
tap_ok "every message of the log is in dynmemd(8)" message_ids
tap_ok "every member on the bus is in org.dynmem1(5)" bus_members
tap_ok "every key of Stats is in org.dynmem1(5)" stats_keys
tap_ok "bash completes commands" offers dynmem rel "release"
tap_ok "bash completes options" offers dynmem set x --prio "--priority"
tap_ok "bash completes values behind =" offers dynmem set --charge = f "full"
tap_ok "bash completes domains" offers dynmem show te "test"
tap_ok "bash completes a name that is quoted already" offers dynmem show "'te" "test"
tap_ok "output that cannot be written is a failure" broken_pipe
tap_done
