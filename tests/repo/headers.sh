#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every public header compiles alone.
. "$(dirname "$0")/tap.sh"
tap_ok "each header of include/dynmem compiles alone" "$DYN_SRCDIR/scripts/check-headers"
tap_done
