/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration's files: which ones hold, in which order, and their text. What the text means
 * is conf.h's business. Shared by the daemon and `dynmem config`. */
#pragma once

#include <dynmem/conf.h>

G_BEGIN_DECLS

/* Where a distribution ships its own settings; below it everything is as in /etc/dynmem. */
#define DYN_CONFFILES_VENDOR_DIRECTORY "/usr/lib/dynmem"

/* A configuration file larger than this is refused: somebody named the wrong file. */
#define DYN_CONFFILES_MAX_BYTES (1u << 20)

/* One file as read. */
typedef struct DynConfFile {
    char *name; /* its path, as messages should show it */
    char *text;
    size_t length;
} DynConfFile;

/* Read the files that hold, lowest first, as systemd does it for its own:
 *   1. /usr/lib/dynmem/dynmem.conf, then /etc/dynmem/dynmem.conf;
 *   2. *.conf of dynmem.conf.d/ in /usr/lib/dynmem, /run/dynmem and /etc/dynmem, sorted by their
 *      own name; of two with the same name only the one in /etc, else in /run, is read; one that is
 *      empty or a link to /dev/null switches off the ones it hides.
 * With @file given it and FILE.d are read instead of all that, and it must exist; otherwise every
 * file may be missing. @root: prefix of all default directories ("" but in tests).
 * Errors: DYN_ERROR_INVALID (not a regular file, too large), DYN_ERROR_FAILED (cannot be read).
 * Returns a GPtrArray of DynConfFile that frees them, or NULL. */
GPtrArray *
dyn_conffiles_read(const char *root, const char *file, GError **error);

/* The same for a reader that can do without some of them: what of the default files and of all
 * drop-ins cannot be read is passed over, and said in @problems (texts, owned by it). Only for
 * @file itself it fails. */
GPtrArray *
dyn_conffiles_read_some(const char *root, const char *file, GPtrArray *problems, GError **error);

/* Read and parse (dyn_conf_parse()) in one. */
bool
dyn_conffiles_load(const char *root, const char *file, DynConf **ret_conf, char ***ret_warnings,
                   GError **error);

G_END_DECLS
