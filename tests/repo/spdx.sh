#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every file names its licence.
. "$(dirname "$0")/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{.ci,conf,dbus,debian,docs,include,m4,man,monitoring,rpm,scripts,src,systemd,tests}
echo 'int x;' >"$work/src/bad.c"
tap_ok "every file names its licence" "$DYN_SRCDIR/scripts/check-spdx"
tap_fails "a file without a licence line is refused" "src/bad.c: no line" "$DYN_SRCDIR/scripts/check-spdx" "$work"
tap_done
