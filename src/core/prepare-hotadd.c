/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is plugged in while the guest runs. libvirt 9.0 wants a NUMA cell for it, and counts
 * a virtio-mem device against the slots although QEMU does not. */
#include "config.h"

#include <string.h>

#include <dynmem/resize.h>

#include "prepare-priv.h"

#define VIRTIO_MEM_SINCE (UINT64_C(7009000)) /* libvirt 7.9 */
/* Below this the 64 MiB of a bounce buffer, which Linux sets up wherever memory may come above
 * 4 GiB, are too much of a guest (tried). */
#define TINY_KIB (UINT64_C(256) * 1024)

/* ---- common ------------------------------------------------------------------------------- */

static bool
check_room(const DynPreparing *work, uint64_t *ret_need_kib, GError **error)
{
    const DynPolicy *policy = work->request->policy;
    g_autofree char *startup = dyn_size_format(policy->startup_kib);
    g_autofree char *plugged = dyn_size_format(work->before->dimm_kib);

    *ret_need_kib = policy->maximum_kib - policy->startup_kib;
    if (*ret_need_kib == 0)
        return dyn_preparing_refuse(work, error, "startup is the maximum (%s): there is nothing to "
                                    "add; raise --maximum, or use --hot-add none", startup);
    if (work->before->dimm_kib >= policy->startup_kib)
        return dyn_preparing_refuse(
            work, error, "its DIMMs (%s) leave nothing of startup (%s) to boot with; raise "
            "--startup, or remove them (virsh detach-device --config)", plugged, startup);
    return true;
}

static void
note_guest(DynPreparing *work, const char *driver)
{
    dyn_preparing_note(work, "the guest needs %s, and has to take new memory by itself: "
                       "memhp_default_state=online_movable on a Linux kernel's command line, or "
                       "its distribution's udev rule", driver);
    if (work->request->policy->startup_kib < TINY_KIB)
        dyn_preparing_note(work, "with <maxMemory> Linux sets 64 MiB aside at its start for a "
                           "bounce buffer: a startup of 256 MiB or more, or swiotlb=noforce on "
                           "the kernel's command line, is better");
}

/* ---- virtio-mem --------------------------------------------------------------------------- */

static const xmlNode *
find_device(const DynPreparing *work)
{
    const xmlNode *devices = dyn_xml_child(dyn_xml_draft_root(work->draft), "devices");
    const xmlNode *node = dyn_xml_child(devices, "memory");

    while (node != NULL && !dyn_xml_attr_is(node, "model", "virtio-mem"))
        node = dyn_xml_next(node, "memory");
    return node;
}

static const xmlNode *
device_child(const DynPreparing *work, const char *name)
{
    const xmlNode *device = find_device(work);

    return device ? dyn_xml_child(dyn_xml_child(device, "target"), name) : NULL;
}

static void
add_device(DynPreparing *work, uint64_t size_kib)
{
    g_autofree char *size = dyn_size_format_exact(size_kib);
    g_autofree char *block = dyn_size_format_exact(DYN_PREPARE_BLOCK_KIB);
    g_autofree char *element = NULL;

    element = g_strdup_printf("<memory model='virtio-mem'>\n"
                              "  <target>\n"
                              "    <size unit='KiB'>%" G_GUINT64_FORMAT "</size>\n"
                              "    <node>%u</node>\n"
                              "    <block unit='KiB'>%" G_GUINT64_FORMAT "</block>\n"
                              "    <requested unit='KiB'>0</requested>\n"
                              "  </target>\n"
                              "</memory>",
                              size_kib, dyn_preparing_first_cell(work), DYN_PREPARE_BLOCK_KIB);
    dyn_xml_draft_append(work->draft, dyn_preparing_devices(work), element);
    dyn_preparing_changed(work, "virtio-mem: %s in blocks of %s: added: what lies between startup "
                          "and maximum is plugged in when it is needed", size, block);
}

/* One element of the device's <target> becomes @kib; true if it was not. */
static bool
write_target(DynPreparing *work, const char *name, uint64_t kib)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, kib);

    if (device_child(work, name) == NULL || dyn_xml_kib(device_child(work, name)) == kib)
        return false;
    if (!dyn_xml_attr_is(device_child(work, name), "unit", "KiB"))
        dyn_xml_draft_set_attr(work->draft, device_child(work, name), "unit", "KiB");
    dyn_xml_draft_set_text(work->draft, device_child(work, name), number);
    return true;
}

/* The device that is there serves where it can be made to fit; of several only their sum counts. */
static bool
reuse_device(DynPreparing *work, uint64_t need_kib, uint64_t *ret_size_kib, GError **error)
{
    const uint64_t block = MAX(dyn_xml_kib(device_child(work, "block")), 1);
    const uint64_t wanted = dyn_round_up(need_kib, block);
    g_autofree char *is = dyn_size_format_exact(wanted);
    g_autofree char *was = dyn_size_format_exact(work->before->vmem_size_kib);

    if (work->before->vmem_devices > 1) {
        *ret_size_kib = work->before->vmem_size_kib;
        if (*ret_size_kib == need_kib)
            return true;
        return dyn_preparing_refuse(
            work, error, "it has %u virtio-mem devices of %s together where %s are needed, and "
            "which of them to change cannot be told; remove all but one (virsh detach-device "
            "--config), or choose sizes that fit", work->before->vmem_devices, was, is);
    }
    *ret_size_kib = wanted;
    if (write_target(work, "size", wanted))
        dyn_preparing_changed(work, "virtio-mem: %s (was %s): what lies between startup and "
                              "maximum", is, was);
    if (write_target(work, "requested", 0))
        dyn_preparing_changed(work, "virtio-mem: nothing requested at the start: it boots with "
                              "startup");
    return true;
}

bool
dyn_preparing_virtio_mem(DynPreparing *work, GError **error)
{
    const DynDomain *before = work->before;
    const uint64_t startup = work->request->policy->startup_kib;
    const uint64_t version = work->request->libvirt_version;
    unsigned devices = before->slots_used;
    uint64_t need, size;

    if (version != 0 && version < VIRTIO_MEM_SINCE)
        return dyn_preparing_refuse(work, error, "virtio-mem needs libvirt 7.9; use --hot-add dimm "
                                    "or none");
    if (!check_room(work, &need, error))
        return false;
    dyn_preparing_need_cell(work, startup - before->dimm_kib);
    if (!dyn_preparing_set_base(work, startup - before->dimm_kib, error))
        return false;
    if (before->vmem_devices > 0) {
        if (!reuse_device(work, need, &size, error))
            return false;
    } else {
        size = dyn_round_up(need, DYN_PREPARE_BLOCK_KIB);
        add_device(work, size);
        devices++;
    }
    dyn_preparing_set_max(work, startup + size + work->other_kib, devices,
                          "startup and all that can be plugged in");
    dyn_preparing_set_memory(work, startup + size + work->other_kib,
                             "startup and the virtio-mem device, which libvirt counts in");
    note_guest(work, "the virtio_mem driver (Linux 5.8, or viomem of Windows)");
    return true;
}

/* ---- DIMMs -------------------------------------------------------------------------------- */

/* Steps of which the slots that are left take all of @need. */
static uint64_t
choose_step(DynPreparing *work, uint64_t need_kib, unsigned left)
{
    uint64_t step = DYN_RESIZE_DIMM_KIB;
    g_autofree char *size = NULL;

    while ((need_kib + step - 1) / step > left)
        step *= 2;
    size = dyn_size_format_exact(step);
    if (step != DYN_RESIZE_DIMM_KIB)
        dyn_preparing_note(work, "QEMU takes %u slots at most: DIMMs have to be of %s each to "
                           "reach the maximum", DYN_SLOTS_MOST, size);
    return step;
}

bool
dyn_preparing_dimm(DynPreparing *work, GError **error)
{
    const DynDomain *before = work->before;
    const xmlNode *features = dyn_xml_child(dyn_xml_draft_root(work->draft), "features");
    const uint64_t startup = work->request->policy->startup_kib;
    const uint64_t boot = dyn_round_up(startup, DYN_RESIZE_DIMM_KIB);
    const uint64_t maximum = MAX(work->request->policy->maximum_kib, boot);
    g_autofree char *vmem = dyn_size_format(before->vmem_size_kib);
    g_autofree char *why = NULL;
    uint64_t need, step, steps, total;

    if (!check_room(work, &need, error))
        return false;
    if (before->vmem_devices > 0)
        return dyn_preparing_refuse(work, error, "it has a virtio-mem device (%s); use --hot-add "
                                    "virtio-mem, or remove it (virsh detach-device --config)",
                                    vmem);
    if (dyn_xml_child(features, "acpi") == NULL)
        return dyn_preparing_refuse(work, error, "it has no ACPI, by which DIMMs are plugged in; "
                                    "add <acpi/> to its <features> (virsh edit), or use "
                                    "--hot-add virtio-mem");
    if (before->slots_used >= DYN_SLOTS_MOST)
        return dyn_preparing_refuse(work, error, "all %u slots that QEMU takes are in use",
                                    DYN_SLOTS_MOST);
    step = choose_step(work, maximum - boot, DYN_SLOTS_MOST - before->slots_used);
    steps = (maximum - boot + step - 1) / step;
    if (steps == 0)
        return dyn_preparing_refuse(work, error, "startup and maximum lie within one DIMM of 128 "
                                    "MiB: there is nothing to add; raise --maximum, or use "
                                    "--hot-add none");
    total = boot + steps * step + work->other_kib;
    why = g_strdup_printf("%" G_GUINT64_FORMAT " DIMMs of %" G_GUINT64_FORMAT " MiB reach the "
                          "maximum", steps, step / DYN_KIB_PER_MIB);
    dyn_preparing_need_cell(work, boot - before->dimm_kib);
    if (!dyn_preparing_set_base(work, boot - before->dimm_kib, error))
        return false;
    dyn_preparing_set_max(work, total, before->slots_used + (unsigned)steps, why);
    dyn_preparing_set_memory(work, boot + work->other_kib,
                             boot != startup ? "startup, rounded up to whole DIMMs of 128 MiB"
                                             : "startup; DIMMs add to it");
    if (total - work->other_kib != work->request->policy->maximum_kib)
        dyn_preparing_note(work, "memory comes in DIMMs: <maxMemory> is rounded up, the policy's "
                           "maximum holds");
    note_guest(work, "memory hotplug");
    return true;
}
