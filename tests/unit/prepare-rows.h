/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kinds of domains (tests/data/prepare/FILE.xml), and what prepare makes of them. */
#pragma once

#include <dynmem/prepare.h>

typedef struct PrepareRow {
    const char *file;
    DynHotAdd hot_add;
    unsigned minimum_mib, startup_mib, maximum_mib;
    const char *refusal; /* NULL: tests/data/prepare/FILE-HOTADD.diff is what comes of it */
} PrepareRow;

#define NONE DYN_HOT_ADD_NONE
#define VMEM DYN_HOT_ADD_VIRTIO_MEM
#define DIMM DYN_HOT_ADD_DIMM

static const PrepareRow prepare_rows[] = {
    /* machines */
    { "pc", NONE, 256, 512, 2048, NULL },
    { "pc", VMEM, 256, 512, 2048, NULL },
    { "pc", DIMM, 256, 512, 2048, NULL },
    { "q35", NONE, 256, 512, 2048, NULL },
    { "q35", VMEM, 256, 512, 2048, NULL },
    { "q35", DIMM, 256, 300, 2000, NULL }, /* rounded */
    { "aarch64", VMEM, 256, 512, 2048, NULL },
    { "s390x", NONE, 256, 512, 2048, NULL },
    { "s390x", VMEM, 256, 512, 2048, "architecture 's390x'" },
    { "s390x", DIMM, 256, 512, 2048, "use --hot-add none" },
    { "i686", NONE, 256, 512, 2048, NULL },
    { "i686", VMEM, 256, 512, 2048, "architecture 'i686'" },
    { "microvm", VMEM, 256, 512, 2048, "machine 'microvm'" },
    { "lxc", NONE, 256, 512, 2048, "its type is 'lxc'" },
    { "uefi", VMEM, 256, 512, 2048, NULL },
    { "windows", NONE, 256, 512, 2048, NULL },
    /* processors */
    { "host-model", VMEM, 256, 512, 2048, NULL },
    { "host-passthrough", VMEM, 256, 512, 2048, NULL },
    { "vcpus", DIMM, 256, 512, 2048, NULL },
    { "one-vcpu", VMEM, 100, 200, 512, NULL }, /* tiny */
    { "tuned", NONE, 256, 512, 4095, NULL },
    { "tuned", VMEM, 256, 512, 4096, NULL }, /* its <hard_limit> */
    /* NUMA cells */
    { "numa-one", NONE, 256, 512, 2048, NULL },
    { "numa-one", VMEM, 256, 400, 2048, NULL },
    { "numa-two", NONE, 256, 512, 2049, NULL },
    { "numa-two", VMEM, 256, 500, 2048, NULL },
    { "numa-two", DIMM, 256, 512, 2048, NULL },
    /* memory that can be added already */
    { "max-memory", NONE, 256, 512, 8192, NULL },
    { "max-memory", VMEM, 256, 512, 2048, NULL },
    { "max-memory", DIMM, 256, 512, 2048, NULL },
    { "dimms", NONE, 256, 512, 2048, NULL },
    { "dimms", NONE, 128, 200, 256, "leave nothing of the maximum" },
    { "dimms", VMEM, 256, 512, 2048, NULL },
    { "dimms", VMEM, 128, 256, 2048, "leave nothing of startup (256 MiB)" },
    { "dimms", DIMM, 256, 512, 2048, NULL },
    { "virtio-mem", VMEM, 256, 512, 1024, NULL },
    { "virtio-mem", VMEM, 256, 512, 4097, NULL },
    { "virtio-mem", NONE, 256, 512, 2048, "'dynmem prepare --undo' if that made it" },
    { "virtio-mem", DIMM, 256, 512, 2048, "use --hot-add virtio-mem" },
    { "virtio-mem-two", VMEM, 256, 512, 1024, NULL },
    { "virtio-mem-two", VMEM, 256, 512, 2048, "2 virtio-mem devices of 512 MiB together where" },
    { "nvdimm", VMEM, 256, 512, 2048, NULL },
    { "nvdimm", NONE, 256, 512, 2048, NULL },
    { "devices", VMEM, 256, 512, 2048, NULL },
    { "big", DIMM, 2048, 4096, 65536, NULL }, /* more steps than slots */
    /* what backs it */
    { "hugepages", VMEM, 256, 512, 2048, "transparent huge pages remain" },
    { "hugepages", NONE, 256, 512, 2048, "dynmem leaves such a guest alone" },
    { "hugepages", DIMM, 256, 512, 2048, "huge pages (<hugepages/>)" },
    { "hugepages-nodes", VMEM, 1024, 2048, 4000, "remove <hugepages/>" },
    { "locked", NONE, 256, 512, 2048, "remove <locked/>" },
    { "locked", VMEM, 256, 512, 2048, "dynmem leaves such a guest alone" },
    { "shared", VMEM, 256, 512, 2048, NULL },
    { "immediate", NONE, 256, 512, 2048, NULL },
    /* devices that pin it */
    { "vfio", VMEM, 256, 512, 2048, "dynmem leaves such a guest alone" },
    { "vfio", NONE, 256, 512, 2048, "give it virtio devices instead" },
    { "vfio", DIMM, 256, 512, 2048, "passed-through device" },
    { "mdev", NONE, 256, 512, 2048, "passed-through device" },
    { "interface-hostdev", NONE, 256, 512, 2048, "passed-through device" },
    { "sev", NONE, 256, 512, 2048, "<launchSecurity/>" },
    { "sev", VMEM, 256, 512, 2048, "leave its memory fixed" },
    /* balloons */
    { "balloon-none", NONE, 256, 512, 2048, NULL },
    { "balloon-transitional", NONE, 256, 512, 2048, NULL },
    { "balloon-complete", NONE, 256, 512, 2048, NULL },
    /* what others wrote */
    { "metadata", NONE, 256, 512, 2048, NULL },
    { "policy", NONE, 256, 300, 2048, NULL },
    { "commandline", VMEM, 256, 512, 2048, NULL },
    { "comments", VMEM, 256, 512, 2048, NULL },
    { "compact", VMEM, 256, 512, 2048, NULL },
    { "compact", NONE, 256, 512, 2048, NULL },
    { "compact", DIMM, 256, 512, 2048, "add <acpi/> to its <features>" },
    /* sizes */
    { "pc", NONE, 31, 512, 2048, "32 MiB <= minimum" },
    { "pc", NONE, 32, 32, 32, NULL },
    { "pc", NONE, 513, 512, 2048, "minimum 513 MiB, startup 512 MiB" },
    { "pc", NONE, 512, 512, 511, "startup 512 MiB, maximum 511 MiB" },
    { "pc", VMEM, 256, 512, 512, "there is nothing to add" },
    { "pc", DIMM, 256, 512, 512, "use --hot-add none" },
    { "pc", DIMM, 256, 260, 300, "within one DIMM" },
    { "numa-two", NONE, 32, 32, 32, NULL },
};

#undef NONE
#undef VMEM
#undef DIMM
