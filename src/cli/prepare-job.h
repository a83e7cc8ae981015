/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One run of 'dynmem prepare', of which prepare and its undo are two files. Two texts of the domain
 * are at work: one with its secrets, which is what is defined, and one without, which is shown and
 * kept. Both are changed by the same rules. */
#pragma once

#include "edit.h"
#include "prepare.h"

#include <dynmem/prepare.h>

G_BEGIN_DECLS

typedef struct DynPrepareOptions {
    DynEditOptions edit;
    char *hot_add;
    gboolean undo, force;
} DynPrepareOptions;

typedef struct DynPrepareJob {
    DynCli *cli;
    const DynPrepareOptions *options;
    virDomainPtr handle;
    char *name;   /* quoted */
    char *shown;  /* as libvirt shows it to everybody */
    char *secret; /* with its secrets */
    DynKept *kept;
    DynEdit *edit;         /* NULL: undo */
    DynPrepared *prepared; /* of @shown; NULL: undo */
    DynHotAdd hot_add;
    char *difference;
} DynPrepareJob;

/* Find the domain and read it; transient ones are refused. */
bool
dyn_prepare_job_open(DynPrepareJob *job, const char *domain, GError **error);
void
dyn_prepare_job_clear(DynPrepareJob *job);

/* The XML for its next start; @flags: VIR_DOMAIN_XML_SECURE or 0. */
char *
dyn_prepare_job_read(const DynPrepareJob *job, unsigned flags, GError **error);
/* Make @xml that. */
bool
dyn_prepare_job_define(const DynPrepareJob *job, const char *xml, GError **error);
/* Whether it is as prepare left it; also where it was never prepared. */
bool
dyn_prepare_job_is_untouched(const DynPrepareJob *job);

/* The difference between two texts of the domain, what is kept left out. */
char *
dyn_prepare_job_difference(const char *before, const char *after, const char *const names[2],
                           GError **error);
void
dyn_prepare_job_say_lines(DynCli *cli, const char *text);
/* What was done, as sentences or as JSON: "Domain NAME @what.", changes, difference, notes. */
void
dyn_prepare_job_print(const DynPrepareJob *job, const char *what, bool changed);

/* ---- undo.c ---- */
bool
dyn_prepare_job_undo(DynPrepareJob *job, const char *domain, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DynPrepareJob, dyn_prepare_job_clear)

G_END_DECLS
