/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a domain's policy: what set, enable and disable share. Everything is read and checked
 * before anything is written, and what was written is put back where a later write fails. */
#pragma once

#include "daemon.h"
#include "json.h"
#include "libvirt.h"

G_BEGIN_DECLS

/* Options of set and enable. */
typedef struct DynEditOptions {
    char *startup, *minimum, *maximum, *buffer, *priority, *mode, *charge, *paging_directory;
    gboolean live, config, current, dry_run;
} DynEditOptions;

const DynCliOption *
dyn_edit_option_list(void);

/* The policy in one place: of the running domain, or of its configuration. */
typedef struct DynEditTarget {
    unsigned flag; /* VIR_DOMAIN_AFFECT_LIVE or _CONFIG */
    DynDomain *domain;
    char *before_xml;      /* as libvirt gives and takes it; NULL: none */
    DynPolicy *before;     /* NULL: none */
    DynEffective *running; /* LIVE: what holds for the run so far; NULL if it was not managed */
    DynPolicy *after;
    DynEffective *wanted; /* what @after comes to */
    DynEffective *held;   /* LIVE: what will hold at once; else @wanted (borrowed) */
    uint32_t pending;     /* LIVE: bit per DynPolicyKey that waits for the next start */
} DynEditTarget;

typedef struct DynEdit {
    DynCli *cli;
    virDomainPtr handle;
    char *name; /* quoted and escaped, for messages */
    bool active, persistent;
    bool was_managed;      /* by metadata or by the configuration */
    DynDaemonStats *stats; /* NULL where no daemon answers, and then ... */
    char *no_daemon;       /* ... why */
    GPtrArray *targets;    /* of DynEditTarget, one or two; the running domain first */
    uint64_t startup_kib;  /* to become <currentMemory> of the configuration; 0: leave it */
    uint64_t startup_before_kib;
} DynEdit;

/* Values that are wrong for every domain: a usage error naming the option. */
bool
dyn_edit_check_options(const DynEditOptions *options, GError **error);

/* Find the domain, choose the targets and read them. */
DynEdit *
dyn_edit_open(DynCli *cli, const char *domain, const DynEditOptions *options, GError **error);
void
dyn_edit_free(DynEdit *edit);

/* Put the options' values into every target's @after. */
bool
dyn_edit_apply(DynEdit *edit, const DynEditOptions *options, GError **error);

/* Write down in @target's @after what was chosen, managed: sizes derived from the domain must not
 * move when its XML does, and the policy goes with the guest to hosts that have other defaults. */
void
dyn_edit_fill_in(const DynEdit *edit, DynEditTarget *target);

/* Resolve and validate every target against its domain, with the live rules. */
bool
dyn_edit_check(DynEdit *edit, GError **error);

/* The first target's reason why this domain's memory cannot be moved, and what to do about it; NULL
 * if there is none. Free with g_free(). */
char *
dyn_edit_obstacle(const DynEdit *edit);

/* There was no policy and there would be none: an empty one would make the guest managed. */
bool
dyn_edit_is_empty(const DynEditTarget *target);

/* Write every target that is not empty, or nothing. */
bool
dyn_edit_write(DynEdit *edit, GError **error);

/* As JSON, that nothing was changed. */
void
dyn_edit_print_unchanged(DynEdit *edit);

/* The object @member with the values of a policy; sizes in bytes. */
void
dyn_edit_add_policy(DynJson *json, const char *member, const DynEffective *effective);

/* Show what holds now and after the next start, as a table or as JSON, with the line @what above.
 */
bool
dyn_edit_print(DynEdit *edit, const char *what, bool dry_run, GError **error);

/* Warn of what keeps the policy from taking effect: the host's mode, the pause, a missing daemon.
 */
void
dyn_edit_warn_of_host(DynEdit *edit);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynEdit, dyn_edit_free)

G_END_DECLS
