#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The units are such as systemd takes, and confine what they start.
. "$(dirname "$0")/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# systemd-analyze wants every program a unit names to exist.
installed_unit() { # NAME
    mkdir -p "$work/root/usr/lib/systemd/system"
    sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$DYN_BUILDDIR/systemd/$1" >"$work/root/usr/lib/systemd/system/$1"
}

verify() { # systemd-analyze warns and succeeds: a warning about our unit is a failure
    local output
    output=$(systemd-analyze verify --man=no "$1" 2>&1) || { echo "$output"; return 1; }
    ! grep -F "$(basename "$1")" <<<"$output"
}

exposure() { # UNIT: print systemd's exposure level times ten
    systemd-analyze security --offline=yes "$1" |
        sed -nE 's/.*Overall exposure level for .*: ([0-9]+)\.([0-9]).*/\1\2/p'
}

exposure_at_most() { # UNIT LIMIT
    local level
    level=$(exposure "$1")
    echo "exposure level: $level tenths, at most $2"
    [ "$level" -le "$2" ]
}

if command -v systemd-analyze >/dev/null; then
    installed_unit dynmemd.service
    installed_unit dynmem-exporter.service
    unit=$work/root/usr/lib/systemd/system/dynmemd.service
    exporter=${unit%/*}/dynmem-exporter.service
    tap_ok "systemd takes the unit as it is" verify "$unit"
    tap_ok "systemd takes the exporter's unit as it is" verify "$exporter"
    sed 's/^ProtectSystem=strict/ProtectSystem=sideways/' "$unit" >"$work/dynmem-bad.service"
    tap_fails "a unit with a wrong value is refused" "sideways" verify "$work/dynmem-bad.service"
    if systemd-analyze --help | grep -q -- --offline; then
        tap_ok "systemd's exposure level is 1.2 or better" exposure_at_most "$unit" 12
        tap_ok "that of the exporter is 1.2 or better" exposure_at_most "$exporter" 12
        sed '/^ProtectSystem=/d; /^CapabilityBoundingSet=/d' "$unit" >"$work/dynmem-open.service"
        tap_fails "a unit with less sandbox is refused" "exposure level" \
            exposure_at_most "$work/dynmem-open.service" 12
    else
        tap_skip "the unit's exposure level" "this systemd-analyze (before 250) cannot tell offline"
    fi
else
    tap_skip "the unit" "systemd-analyze is not here (Debian: systemd)"
fi
tap_done
