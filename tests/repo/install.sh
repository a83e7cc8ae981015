#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# "make install" puts every file where distributions expect it, keeps an administrator's
# configuration, and "make uninstall" takes away all but that.
. "$(dirname "$0")/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make_it() { # TARGET
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$DYN_BUILDDIR" "$1" DESTDIR="$work" prefix=/usr \
        exec_prefix=/usr sysconfdir=/etc localstatedir=/var systemdsystemunitdir=/lib/systemd/system
}

installed_files() {
    (cd "$work" && find . ! -type d | sed 's|^\./||' | sort)
}

expected_files() {
    printf '%s\n' \
        etc/dynmem/dynmem.conf \
        lib/systemd/system/dynmem-exporter.service \
        lib/systemd/system/dynmemd.service \
        usr/bin/dynmem \
        usr/lib/sysusers.d/dynmem-exporter.conf \
        usr/lib/tmpfiles.d/dynmem.conf \
        usr/sbin/dynmem-exporter \
        usr/sbin/dynmemd \
        usr/share/bash-completion/completions/dynmem \
        usr/share/dbus-1/interfaces/org.dynmem1.xml \
        usr/share/dbus-1/system-services/org.dynmem1.service \
        usr/share/dbus-1/system.d/org.dynmem1.conf \
        usr/share/doc/dynmem/examples/50-dynmem.rules \
        usr/share/doc/dynmem/monitoring.md \
        usr/share/doc/dynmem/runbook.md \
        usr/share/dynmem/monitoring/alerts/dynmem.rules.yml \
        usr/share/dynmem/monitoring/dashboards/dynmem-fleet.json \
        usr/share/dynmem/monitoring/dashboards/dynmem-guest.json \
        usr/share/dynmem/monitoring/dashboards/dynmem-host.json \
        usr/share/dynmem/schemas/policy.rng \
        usr/share/polkit-1/actions/org.dynmem1.policy
    local page
    for page in "$DYN_SRCDIR"/man/*.rst; do
        page=$(basename "$page" .rst)
        echo "usr/share/man/man${page##*.}/$page"
    done
}

same_files() {
    diff <(expected_files | sort) <(installed_files)
}

unit_starts_what_is_installed() { # the paths in it are those of the configured prefix
    local program
    program=$(sed -n 's/^ExecStart=//p' "$work/lib/systemd/system/dynmemd.service")
    [ "${program##*/}" = dynmemd ] || { echo "ExecStart=$program"; return 1; }
}

keeps_configuration() {
    echo '# mine' >"$work/etc/dynmem/dynmem.conf"
    make_it install >/dev/null 2>&1 || return 1
    [ "$(cat "$work/etc/dynmem/dynmem.conf")" = '# mine' ]
}

leaves_only_configuration() {
    make_it uninstall >/dev/null 2>&1 || return 1
    diff <(echo etc/dynmem/dynmem.conf) <(installed_files)
}

tap_ok "make install works" make_it install
tap_ok "every file is where it belongs, and no other" same_files
tap_ok "the unit starts the daemon" unit_starts_what_is_installed
tap_ok "the directory for drop-ins is there" test -d "$work/etc/dynmem/dynmem.conf.d"
tap_ok "a changed configuration survives another install" keeps_configuration
tap_ok "uninstalling leaves only a changed configuration" leaves_only_configuration
tap_done
