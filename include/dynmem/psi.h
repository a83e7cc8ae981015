/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PSI: the kernel's word that somebody on this host waits for memory (Documentation/accounting/psi
 * of Linux). A hint that makes us look at once, never what is decided on: kernels boot with psi=0,
 * and a host can run out of memory without anybody waiting before it is too late. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Told of when somebody waited for memory for this part of the window, once a window at most.
 * Without CAP_SYS_RESOURCE only windows in multiples of 2 s are allowed (measured, Linux 6.1 and
 * 6.18: 1 s gives EINVAL), so that one is what is asked for if a second is refused. */
#define DYN_PSI_WINDOW_USEC 1000000u
#define DYN_PSI_WINDOW_ALLOWED_USEC 2000000u
#define DYN_PSI_STALL_PERCENT 10u

/* A trigger: poll the descriptor for G_IO_PRI; G_IO_ERR means that it will never tell any more.
 * *@ret_window_usec (may be NULL): what was granted. -1 on error: DYN_ERROR_GONE or
 * DYN_ERROR_UNSUPPORTED where there is no PSI. Close it with close(). */
int
dyn_psi_open(const char *proc_root, guint *ret_window_usec, GError **error);

G_END_DECLS
