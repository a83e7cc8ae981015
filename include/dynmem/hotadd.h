/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hotadd: what libvirt has to be told so that a guest gets memory beyond what it booted with, or
 * gives it back. Pure: the XML of a running domain in, the XML of devices out. When and how much is
 * decided elsewhere: resize.h. */
#pragma once

#include <dynmem/domain.h>

G_BEGIN_DECLS

/* Spread @total_kib over @vmems (of DynVmem): @ret_requested_kib has room for one each.
 *
 * All are moved by the largest block W among them, which every other block divides: one W at a time
 * goes to the device that is then filled least for its size, the first of equals, so that NUMA
 * cells grow alike to within a W. When no device has room for a W, the odd ends of those with
 * smaller blocks follow in the order of the XML. Hence
 * - a share is a multiple of its device's block and at most its size;
 * - the sum is at most @total_kib, and less than W short of it or of all there is;
 * - a larger total lowers no share.
 *
 * False, and nothing is written: there is no device, one whose block is 0, or more than
 * DYN_SLOTS_MOST. */
bool
dyn_vmem_spread(const GArray *vmems, uint64_t total_kib, uint64_t *ret_requested_kib);

/* The virtio-mem devices of the running domain @xml whose <requested> has to change for @total_kib
 * in all: their elements with the new one, as virDomainUpdateDeviceFlags() takes them; those that
 * shrink first. GPtrArray of strings, empty if all is as it should be. DYN_ERROR_INVALID where the
 * domain has no such device, one whose numbers make no sense, or not so much room. */
GPtrArray *
dyn_hotadd_updates(const char *xml, size_t length, uint64_t total_kib, GError **error);

/* One of those, for messages: "virtio-mem device 'virtiomem0' for 131072 KiB". Free with
 * g_free(). */
char *
dyn_hotadd_update_name(const char *update);

/* A DIMM of @size_kib for the running domain @xml, as virDomainAttachDeviceFlags() takes it, in the
 * NUMA cell that has least. DYN_ERROR_INVALID where no slot is free, or <maxMemory> would be
 * exceeded. Free with g_free(). */
char *
dyn_hotadd_dimm(const char *xml, size_t length, uint64_t size_kib, GError **error);

G_END_DECLS
