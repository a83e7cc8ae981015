#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No shell script of the tree gives shellcheck anything to say.
. "$(dirname "$0")/tap.sh"
cd "$DYN_SRCDIR" || exit 1

shell_scripts() {
    local file
    scripts/source-files | while read -r file; do
        if [ -f "$file" ] && head -n 1 "$file" | grep -qE '^#!/bin/(ba|da)?sh|^#!/usr/bin/env bash'; then
            echo "$file"
        fi
    done
}

check_all() {
    local scripts
    mapfile -t scripts < <(shell_scripts)
    [ ${#scripts[@]} -gt 10 ] || { echo "found only ${#scripts[@]} scripts"; return 1; }
    shellcheck "${scripts[@]}"
}

if command -v shellcheck >/dev/null; then
    tap_ok "shellcheck finds nothing in the scripts" check_all
else
    tap_skip "shell scripts" "shellcheck is not here"
fi
tap_done
