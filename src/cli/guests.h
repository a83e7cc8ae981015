/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests as the command shows them: the daemon's words laid over what libvirt knows. */
#pragma once

#include "daemon.h"

G_BEGIN_DECLS

typedef enum {
    DYN_GUESTS_RUNNING,
    DYN_GUESTS_ALL, /* also shut off; the daemon leaves out those of them that have no policy */
} DynGuestsScope;

/* All guests of @scope, each a GVariant a{sv} with the keys of stats.h. The daemon alone is asked
 * where it can tell everything, since listing through libvirt blocks while any guest sits in a
 * start hook. Asked for another connection (--connect), or without a daemon, libvirt says which
 * domains there are and the daemon, if it runs, what it knows of them. NULL with @error. */
GPtrArray *
dyn_guests_collect(DynCli *cli, DynGuestsScope scope, GError **error);

/* One of them, by name or UUID; always looks at libvirt for what its configuration says of the next
 * start ("Pending"), and does without where libvirt does not answer. */
GVariant *
dyn_guests_find(DynCli *cli, const char *name_or_uuid, GError **error);

/* The one of that UUID among @guests, GVariants as above. Borrowed; NULL: there is none. */
GVariant *
dyn_guests_by_uuid(GPtrArray *guests, const char *uuid);

G_END_DECLS
