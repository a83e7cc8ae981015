/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The facts of domains for doctor.h, from libvirt and from what the daemon tells. */
#pragma once

#include "daemon.h"

#include <dynmem/doctor.h>

/* One domain that was looked at, and what came of it. */
typedef struct DynPatient {
    char *uuid;
    char *name;
    virDomainPtr handle;
    DynDomain *domain, *next; /* what @facts points to */
    DynDoctorDomain facts;
    GVariant *told;           /* a{sv}: the words the texts of @facts are borrowed from */
    GPtrArray *findings;      /* of DynFinding */
} DynPatient;

void
dyn_patient_free(DynPatient *patient);

/* What is looked at, and with what. */
typedef struct DynDoctorVisit {
    const char *domain;          /* a name or UUID; NULL: all */
    const DynDaemonStats *stats; /* NULL: the daemon is silent */
    unsigned nodes;              /* of the host */
} DynDoctorVisit;

/* The domains, each with its findings: a GPtrArray of DynPatient, by name. Takes a second where a
 * guest holds all it may, to see whether it works. NULL with @error. */
GPtrArray *
dyn_doctor_look(DynCli *cli, const DynDoctorVisit *visit, GError **error);
