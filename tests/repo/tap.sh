# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced by the tests of this directory: a test is a command that must succeed (or must fail).

tap_count=0

tap_report() { # STATUS DESCRIPTION OUTPUT
    tap_count=$((tap_count + 1))
    [ -z "$3" ] || printf '# %s\n' "${3//$'\n'/$'\n'# }"
    echo "$1 $tap_count - $2"
}

tap_ok() { # DESCRIPTION COMMAND...
    local description=$1 output
    shift
    if output=$("$@" 2>&1); then
        tap_report ok "$description" ""
    else
        tap_report "not ok" "$description" "$output"
    fi
}

tap_fails() { # DESCRIPTION EXPECTED-TEXT COMMAND...: the command must fail, and its output name the reason
    local description=$1 expected=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        tap_report "not ok" "$description" "succeeded, should have failed: $output"
    elif ! grep -qF -- "$expected" <<<"$output"; then
        tap_report "not ok" "$description" "failed without naming '$expected': $output"
    else
        tap_report ok "$description" ""
    fi
}

tap_skip() { # DESCRIPTION REASON
    tap_report ok "$1 # SKIP $2" ""
}

tap_done() {
    echo "1..$tap_count"
}
