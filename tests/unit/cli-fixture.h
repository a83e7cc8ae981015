/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What most tests of the command begin with: libvirt's test driver, a host that acts, and a daemon
 * that can be had by fake_manager_serve(). */
#pragma once

#include "cli-run.h"
#include "fake-manager.h"

typedef struct Fixture {
    FakeManager *fake;
    virConnectPtr libvirt;
} Fixture;

static Fixture fixture;

static void
setup(void)
{
    fixture.fake = fake_manager_new();
    fixture.libvirt = cli_setup_libvirt("[host]\nMode=on\n");
}

static void
teardown(void)
{
    cli_teardown_libvirt(fixture.libvirt);
    fake_manager_free(fixture.fake);
}
