#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The unit is one systemd takes, and confines the daemon; the bus lets everybody read and only root
# change.
. "$(dirname "$0")/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# systemd-analyze wants every program a unit names to exist.
installed() { # UNIT: print where a copy of it is that starts something that does
    mkdir -p "$work/root/usr/lib/systemd/system"
    sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$DYN_BUILDDIR/systemd/$1" >"$work/root/usr/lib/systemd/system/$1"
    echo "$work/root/usr/lib/systemd/system/$1"
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

check_unit() { # UNIT LIMIT
    local unit
    unit=$(installed "$1")
    tap_ok "systemd takes $1 as it is" verify "$unit"
    sed 's/^ProtectSystem=strict/ProtectSystem=sideways/' "$unit" >"$work/dynmem-bad.service"
    tap_fails "a $1 with a wrong value is refused" "sideways" verify "$work/dynmem-bad.service"
    if ! systemd-analyze --help | grep -q -- --offline; then
        tap_skip "the exposure of $1" "this systemd-analyze (before 250) cannot tell offline"
        return
    fi
    tap_ok "systemd's exposure level of $1 is $2 tenths or better" exposure_at_most "$unit" "$2"
    sed '/^ProtectSystem=/d; /^CapabilityBoundingSet=/d; /^PrivateDevices=/d' "$unit" >"$work/dynmem-open.service"
    tap_fails "a $1 with less sandbox is refused" "exposure level" exposure_at_most "$work/dynmem-open.service" "$2"
}

if command -v systemd-analyze >/dev/null; then
    check_unit dynmemd.service 12
    check_unit dynmem-exporter.service 12
else
    tap_skip "the units" "systemd-analyze is not here (Debian: systemd)"
fi
tap_done
