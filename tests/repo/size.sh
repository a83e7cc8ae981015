#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files and functions stay small, and the check that says so can fail.
. "$(dirname "$0")/tap.sh"
check=$DYN_SRCDIR/scripts/check-size
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{.ci,conf,dbus,debian,docs,include,m4,man,monitoring,rpm,scripts,src,systemd,tests}
touch "$work"/{.gitignore,.shellcheckrc,configure.ac,Makefile.am,README.md,LICENSE}

bad() { # DESCRIPTION EXPECTED SOURCE
    printf '%s\n' "$3" >"$work/src/bad.c"
    tap_fails "$1" "$2" "$check" "$work"
}

long_body=$(for ((i = 0; i < 59; i++)); do echo "    x();"; done)
tap_ok "files and functions are within their limits" "$check"
bad "a function of 61 lines is refused" "f() has 61 lines" "static void
f(void)
{
$long_body
}"
bad "a file of 501 lines is refused" "501 lines" "$(for ((i = 0; i < 501; i++)); do echo "int x;"; done)"
bad "six parameters are refused" "more than 5 parameters" 'static void
f(int a, int b, int (*c)(int, int),
  int d, int e, int g)
{
}'
bad "a line of 101 columns is refused" "101 columns" "$(printf '/* %095d */' 0)"
bad "a brace behind a signature is refused" "line of its own" 'static void f(void) {
}'
printf '%s\n' 'static void' 'f(int a, int b, int (*c)(int, int), int d, int e)' '{' '}' >"$work/src/bad.c"
tap_ok "five parameters are fine" "$check" "$work"
printf '    "%0200d"\n' 0 >"$work/src/bad.c"
tap_ok "a long text is fine" "$check" "$work"
tap_done
