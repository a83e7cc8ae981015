/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The facts of a host for doctor.h, read from /proc and /sys. */
#pragma once

#include <dynmem/doctor.h>

/* @root: before /proc and /sys, "" but in tests. What cannot be read is left as not known. */
void
dyn_doctor_read_host(const char *root, DynDoctorHost *ret_facts);
