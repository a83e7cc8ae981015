/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What 'dynmem prepare' needs besides the core: packing what is kept, showing a difference. */
#pragma once

#include "cli.h"

G_BEGIN_DECLS

/* @text so that it fits into a metadata element: zlib, then base64. */
char *
dyn_cli_pack(const char *text);
/* What dyn_cli_pack() made @packed of. DYN_ERROR_INVALID: it made no such thing, or it is larger
 * than a domain's XML may be (DYN_DOMAIN_XML_MAX_BYTES). */
char *
dyn_cli_unpack(const char *packed, GError **error);

/* The difference as diff(1) shows it (-u), with the labels @names; "" where there is none. */
char *
dyn_cli_diff(const char *before, const char *after, const char *const names[2], GError **error);

G_END_DECLS
