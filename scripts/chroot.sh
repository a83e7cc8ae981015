# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced by what needs another Debian or Ubuntu: a tree made by debootstrap. Its user has say(),
# die() and the variables top (this tree) and work (a directory of its own). The mirror is
# $DYN_MIRROR, else the first one this machine's apt takes that has the suite.

has_suite() { # MIRROR SUITE
    /usr/lib/apt/apt-helper -q download-file "$1/dists/$2/Release" "${work:?}/Release" >/dev/null 2>&1
}

find_mirror() { # SUITE: print the first of apt's mirrors that has it
    local site
    if [ -n "${DYN_MIRROR:-}" ]; then
        has_suite "$DYN_MIRROR" "$1" || return 1
        echo "$DYN_MIRROR"
        return
    fi
    # shellcheck disable=SC2016 # apt's variable
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '!seen[$0]++' >"$work/sites"
    while read -r site; do
        if has_suite "${site%/}" "$1"; then
            echo "${site%/}"
            return
        fi
    done <"$work/sites"
    return 1
}

make_chroot() { # SUITE DIRECTORY
    local mirror components=main script=sid
    mirror=$(find_mirror "$1") ||
        die "no mirror with '$1': name one that is reachable in DYN_MIRROR (tried: $(paste -sd' ' "$work/sites" 2>/dev/null))"
    if grep -q '^Origin: Ubuntu' "$work/Release"; then
        components=main,universe
        script=gutsy # what every later Ubuntu's script is a link to
    fi
    say "installing $1 into $2 (some minutes) ..."
    rm -rf "$2.part"
    debootstrap --variant=minbase --components="$components" "$1" "$2.part" "$mirror" "$script" \
        >"$2.log" 2>&1 || { tail -n 20 "$2.log"; die "debootstrap failed; all of it: $2.log"; }
    mv "$2.part" "$2"
}

# How this machine reaches its mirror (proxies, retries) holds in the chroot, too.
copy_settings() { # DIRECTORY
    local file
    cp -L /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null || true
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy*; do
        [ ! -f "$file" ] || cp "$file" "$1/$file"
    done
}

copy_tree() { # DIRECTORY
    rm -rf "$1/dynmem"
    mkdir -p "$1/dynmem"
    (cd "${top:?}" && scripts/source-files | while read -r file; do
        [ ! -f "$file" ] || printf '%s\0' "$file"
    done | tar -c --null -T -) | tar -x --no-same-owner -C "$1/dynmem"
}
