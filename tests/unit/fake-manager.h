/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private bus and on it, if wanted, an org.dynmem1 that answers what it is told to. */
#pragma once

#include <dynmem/report.h>
#include <gio/gio.h>

typedef struct FakeManager FakeManager;

/* Start a bus; DBUS_SESSION_BUS_ADDRESS points to it. */
FakeManager *
fake_manager_new(void);
void
fake_manager_free(FakeManager *fake);

/* Own org.dynmem1 and answer Stats with @report (takes ownership). */
void
fake_manager_serve(FakeManager *fake, DynReport *report);

/* Answer Release with these; @error NULL, or the D-Bus error's last word. */
void
fake_manager_set_release(FakeManager *fake, uint64_t given, uint64_t missing, const char *error);

/* The calls so far but Stats, as "Release(x) Pause()". Free with g_free(). */
char *
fake_manager_calls(FakeManager *fake);
