/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only elements that libvirt itself writes are looked for, each where libvirt puts it: the <name>
 * of a network or of a disk's secret is never taken for the domain's. What is not understood is
 * left alone; a guest is refused only where a wrong guess would move its memory wrongly. */
#include "config.h"

#include <string.h>

#include <dynmem/domain.h>
#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "xml-priv.h"

const DynXmlKind dyn_xml_domain = { "domain XML", DYN_DOMAIN_XML_MAX_BYTES };

/* The size in @node (<memory unit='KiB'>1048576</memory>). */
static bool
read_size(const xmlNode *node, uint64_t *ret_kib, GError **error)
{
    g_autofree char *number = dyn_xml_text(node);
    g_autofree char *unit = dyn_xml_attr(node, "unit");

    if (dyn_size_parse_unit(number, unit, ret_kib, error))
        return true;
    g_prefix_error(error, "<%s>: ", (const char *)node->name);
    return false;
}

/* As read_size() for a child element; 0 if @parent has none of that @name. */
static bool
read_child_size(const xmlNode *parent, const char *name, uint64_t *ret_kib, GError **error)
{
    const xmlNode *node = dyn_xml_child(parent, name);

    *ret_kib = 0;
    return node == NULL || read_size(node, ret_kib, error);
}

/* A count in text; @otherwise if there is no text. */
static bool
read_count(const char *text, const char *name, uint32_t otherwise, uint32_t *ret_count,
           GError **error)
{
    guint64 value = otherwise;
    g_autofree char *quoted = NULL;

    if (text == NULL || g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &value, NULL)) {
        *ret_count = (uint32_t)value;
        return true;
    }
    quoted = dyn_text_quote(text);
    return dyn_xml_fail(error, "%s %s is not a number up to %u", name, quoted, G_MAXUINT32);
}

static bool
read_identity(DynDomain *domain, const xmlNode *root, GError **error)
{
    const xmlNode *name = dyn_xml_child(root, "name");
    const xmlNode *uuid = dyn_xml_child(root, "uuid");
    g_autofree char *uuid_text = uuid != NULL ? dyn_xml_text(uuid) : NULL;
    g_autofree char *quoted = NULL;

    if (name != NULL) {
        xmlChar *content = xmlNodeGetContent(name);

        /* Not stripped: a name may begin with a space. */
        domain->name = g_strdup((const char *)content);
        xmlFree(content);
    }
    if (domain->name == NULL || domain->name[0] == '\0')
        return dyn_xml_fail(error, "the domain has no <name>");
    if (uuid_text == NULL)
        return dyn_xml_fail(error, "the domain has no <uuid>");
    domain->uuid = g_ascii_strdown(uuid_text, -1);
    if (g_uuid_string_is_valid(domain->uuid))
        return true;
    quoted = dyn_text_quote(uuid_text);
    return dyn_xml_fail(error, "<uuid> %s is not a UUID", quoted);
}

/* Numbers that libvirt or QEMU would not take may be asked of nobody. */
static bool
makes_sense(const DynVmem *vmem)
{
    const uint64_t block = vmem->block_kib;

    return block >= DYN_KIB_PER_MIB && (block & (block - 1)) == 0 && block <= vmem->size_kib &&
           vmem->size_kib % block == 0 && vmem->requested_kib % block == 0 &&
           vmem->requested_kib <= vmem->size_kib;
}

/* What it has plugged has to be known; the rest is needed only to ask it for something. */
static bool
read_vmem(DynDomain *domain, const xmlNode *target, uint64_t size_kib, GError **error)
{
    const xmlNode *node = dyn_xml_child(target, "node");
    g_autofree char *cell = node != NULL ? dyn_xml_text(node) : NULL;
    DynVmem vmem = { .size_kib = size_kib, .node = -1 };
    gint64 number;

    if (!read_child_size(target, "current", &vmem.current_kib, error))
        return false;
    vmem.block_kib = dyn_xml_kib(dyn_xml_child(target, "block"));
    if (!read_child_size(target, "requested", &vmem.requested_kib, NULL))
        vmem.block_kib = 0;
    if (cell != NULL && g_ascii_string_to_signed(cell, 10, 0, INT32_MAX, &number, NULL))
        vmem.node = (int32_t)number;
    vmem.current_kib = MIN(vmem.current_kib, size_kib);
    domain->vmem_devices++;
    domain->vmem_size_kib = dyn_sat_add(domain->vmem_size_kib, size_kib);
    domain->vmem_current_kib = dyn_sat_add(domain->vmem_current_kib, vmem.current_kib);
    domain->vmem_requested_kib =
        dyn_sat_add(domain->vmem_requested_kib, MIN(vmem.requested_kib, size_kib));
    g_array_append_val(domain->vmems, vmem);
    return true;
}

uint64_t
dyn_vmem_block_kib(const GArray *vmems)
{
    uint64_t largest_kib = 0;

    if (vmems->len > DYN_SLOTS_MOST)
        return 0;
    for (guint i = 0; i < vmems->len; i++) {
        const DynVmem *vmem = &g_array_index(vmems, DynVmem, i);

        if (!makes_sense(vmem))
            return 0;
        largest_kib = MAX(largest_kib, vmem->block_kib);
    }
    return largest_kib;
}

/* One <memory model=...> of <devices>. *ret_other_kib grows by what is no RAM to the guest. */
static bool
read_memory_device(DynDomain *domain, const xmlNode *node, uint64_t *ret_other_kib, GError **error)
{
    const xmlNode *target = dyn_xml_child(node, "target");
    g_autofree char *model = dyn_xml_attr(node, "model");
    uint64_t size_kib;

    if (!read_child_size(target, "size", &size_kib, error))
        return false;
    if (g_strcmp0(model, "dimm") == 0) {
        domain->dimm_kib = dyn_sat_add(domain->dimm_kib, size_kib);
    } else if (g_strcmp0(model, "virtio-mem") == 0) {
        if (!read_vmem(domain, target, size_kib, error))
            return false;
    } else {
        /* nvdimm, virtio-pmem: storage; sgx-epc: no ordinary RAM. libvirt counts them in
         * <memory>. */
        *ret_other_kib = dyn_sat_add(*ret_other_kib, size_kib);
    }
    /* libvirt 9.0 counts virtio devices too, although they need no slot ("memory device count '2'
     * exceeds slots count '1'"). Where a later one does not, this only says too little. */
    domain->slots_used += g_strcmp0(model, "sgx-epc") != 0;
    return true;
}

static bool
read_memory(DynDomain *domain, const xmlNode *root, GError **error)
{
    const xmlNode *max_memory = dyn_xml_child(root, "maxMemory");
    const xmlNode *devices = dyn_xml_child(root, "devices");
    g_autofree char *slots = max_memory != NULL ? dyn_xml_attr(max_memory, "slots") : NULL;
    uint64_t other_kib = 0, plugged_kib;

    if (!read_child_size(root, "memory", &domain->memory_kib, error) ||
        !read_child_size(root, "currentMemory", &domain->current_kib, error) ||
        !read_child_size(root, "maxMemory", &domain->max_memory_kib, error) ||
        !read_count(slots, "<maxMemory slots>", 0, &domain->slots, error))
        return false;
    if (domain->memory_kib == 0)
        return dyn_xml_fail(error, "the domain has no <memory>");
    for (const xmlNode *node = dyn_xml_child(devices, "memory"); node != NULL;
         node = dyn_xml_next(node, "memory")) {
        if (!read_memory_device(domain, node, &other_kib, error))
            return false;
    }
    domain->vmem_block_kib = dyn_vmem_block_kib(domain->vmems);
    plugged_kib = dyn_sat_add(domain->dimm_kib, domain->vmem_size_kib);
    if (dyn_sat_add(plugged_kib, other_kib) >= domain->memory_kib)
        return dyn_xml_fail(
            error, "the memory devices leave nothing of <memory> (%" G_GUINT64_FORMAT " KiB)",
            domain->memory_kib);
    domain->memory_kib -= other_kib;
    domain->max_memory_kib = dyn_sat_sub(domain->max_memory_kib, other_kib);
    domain->base_kib = domain->memory_kib - plugged_kib;
    if (domain->current_kib == 0 || domain->current_kib > domain->memory_kib)
        domain->current_kib = domain->memory_kib;
    return true;
}

static bool
read_vcpus(DynDomain *domain, const xmlNode *root, GError **error)
{
    const xmlNode *vcpu = dyn_xml_child(root, "vcpu");
    g_autofree char *all = vcpu != NULL ? dyn_xml_text(vcpu) : NULL;
    g_autofree char *current = vcpu != NULL ? dyn_xml_attr(vcpu, "current") : NULL;

    return read_count(all, "<vcpu>", 1, &domain->vcpus, error) &&
           read_count(current, "<vcpu current>", domain->vcpus, &domain->vcpus, error);
}

static bool
read_balloon(DynDomain *domain, const xmlNode *balloon, GError **error)
{
    const xmlNode *stats = dyn_xml_child(balloon, "stats");
    g_autofree char *period = stats != NULL ? dyn_xml_attr(stats, "period") : NULL;

    domain->autodeflate = dyn_xml_attr_is(balloon, "autodeflate", "on");
    domain->free_page_reporting = dyn_xml_attr_is(balloon, "freePageReporting", "on");
    return read_count(period, "<stats period>", 0, &domain->stats_period_sec, error);
}

/* Devices for which QEMU pins guest memory and switches discarding off: VFIO in all its spellings,
 * and vDPA, which does the same. vfio-ap and vfio-ccw tell QEMU that a balloon is fine. */
static bool
is_pinning(const xmlNode *device)
{
    if (dyn_xml_is(device, "hostdev", NULL)) {
        if (dyn_xml_attr_is(device, "type", "mdev"))
            return !dyn_xml_attr_is(device, "model", "vfio-ap") &&
                   !dyn_xml_attr_is(device, "model", "vfio-ccw");
        return dyn_xml_attr_is(device, "type", "pci");
    }
    if (dyn_xml_is(device, "interface", NULL))
        return dyn_xml_attr_is(device, "type", "hostdev") ||
               dyn_xml_attr_is(device, "type", "vdpa");
    if (dyn_xml_is(device, "disk", NULL))
        return dyn_xml_attr_is(device, "type", "nvme");
    return false;
}

static bool
has_pinning_device(const xmlNode *devices)
{
    const xmlNode *device = devices != NULL ? devices->children : NULL;

    while (device != NULL && !is_pinning(device))
        device = device->next;
    return device != NULL;
}

static uint32_t
find_obstacles(const xmlNode *root, const xmlNode *balloon)
{
    const xmlNode *backing = dyn_xml_child(root, "memoryBacking");
    g_autofree char *model = balloon != NULL ? dyn_xml_attr(balloon, "model") : NULL;
    const bool present[DYN_N_OBSTACLES] = {
        [DYN_OBSTACLE_NO_BALLOON] = balloon == NULL || g_strcmp0(model, "none") == 0,
        [DYN_OBSTACLE_BALLOON_MODEL] =
            balloon != NULL && g_strcmp0(model, "none") != 0 &&
            (model == NULL || !g_str_has_prefix(model, "virtio")),
        [DYN_OBSTACLE_HUGEPAGES] = dyn_xml_child(backing, "hugepages") != NULL,
        [DYN_OBSTACLE_LOCKED] = dyn_xml_child(backing, "locked") != NULL,
        [DYN_OBSTACLE_VFIO] = has_pinning_device(dyn_xml_child(root, "devices")),
        [DYN_OBSTACLE_ENCRYPTED] = dyn_xml_child(root, "launchSecurity") != NULL,
    };
    uint32_t obstacles = 0;

    for (unsigned i = 0; i < DYN_N_OBSTACLES; i++)
        obstacles |= (uint32_t)present[i] << i;
    return obstacles;
}

/* QEMU takes memory from certain nodes alone with "strict", which is libvirt's default, and
 * "restrictive"; with the other modes it takes it elsewhere when they have none. */
static bool
binds(const xmlNode *node)
{
    g_autofree char *mode = dyn_xml_attr(node, "mode");

    return mode == NULL || strcmp(mode, "strict") == 0 || strcmp(mode, "restrictive") == 0;
}

static bool
is_node_bound(const xmlNode *root)
{
    const xmlNode *numatune = dyn_xml_child(root, "numatune");
    const xmlNode *node = dyn_xml_child(numatune, "memory");

    if (node != NULL && binds(node))
        return true;
    for (node = dyn_xml_child(numatune, "memnode"); node != NULL;
         node = dyn_xml_next(node, "memnode"))
        if (binds(node))
            return true;
    return false;
}

/* What is no part of its sizes and decides all the same what becomes of them. */
static void
read_conditions(DynDomain *domain, const xmlNode *root, const xmlNode *balloon)
{
    const xmlNode *limit = dyn_xml_child(dyn_xml_child(root, "memtune"), "hard_limit");

    domain->obstacles = find_obstacles(root, balloon);
    domain->obstacle = domain->obstacles == 0
                           ? DYN_OBSTACLE_NONE
                           : (DynObstacle)g_bit_nth_lsf(domain->obstacles, -1);
    domain->node_bound = is_node_bound(root);
    /* libvirt's "unlimited" is larger than any size here, and is none */
    if (limit == NULL || !read_size(limit, &domain->hard_limit_kib, NULL))
        domain->hard_limit_kib = 0;
}

/* Whatever element stands in our namespace is taken, also one that is no <policy>: reading it as a
 * policy then says what is wrong with it, where silence would leave its author wondering. */
static bool
read_policy(DynDomain *domain, const xmlNode *root, GError **error)
{
    const xmlNode *metadata = dyn_xml_child(root, "metadata");
    const xmlNode *found = NULL;

    for (const xmlNode *node = metadata ? metadata->children : NULL; node != NULL;
         node = node->next) {
        if (node->type != XML_ELEMENT_NODE || node->ns == NULL ||
            g_strcmp0((const char *)node->ns->href, DYN_POLICY_NAMESPACE) != 0)
            continue;
        if (found != NULL)
            return dyn_xml_fail(error, "<metadata> has more than one policy (" DYN_POLICY_NAMESPACE
                               "): remove all but one");
        found = node;
    }
    if (found != NULL)
        domain->policy_xml = dyn_xml_to_string(found);
    return true;
}

static bool
read_facts(DynDomain *domain, const xmlNode *root, GError **error)
{
    const xmlNode *balloon = dyn_xml_child(dyn_xml_child(root, "devices"), "memballoon");

    if (!dyn_xml_is(root, "domain", NULL)) {
        g_autofree char *quoted = dyn_text_quote((const char *)root->name);

        return dyn_xml_fail(error, "the outermost element is %s, not 'domain'", quoted);
    }
    read_conditions(domain, root, balloon);
    return read_identity(domain, root, error) && read_memory(domain, root, error) &&
           read_vcpus(domain, root, error) && read_balloon(domain, balloon, error);
}

DynDomain *
dyn_domain_new(void)
{
    DynDomain *domain = g_new0(DynDomain, 1);

    domain->vmems = g_array_new(FALSE, FALSE, sizeof(DynVmem));
    return domain;
}

static bool
parse(const char *xml, size_t length, bool with_policy, DynDomain **ret_domain, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autoptr(DynDomain) domain = dyn_domain_new();
    const xmlNode *root;

    if (!dyn_xml_parse(xml, length, &dyn_xml_domain, &doc, error))
        return false;
    root = xmlDocGetRootElement(doc);
    if (!read_facts(domain, root, error) || (with_policy && !read_policy(domain, root, error))) {
        g_prefix_error(error, "%s: ", dyn_xml_domain.what);
        return false;
    }
    *ret_domain = g_steal_pointer(&domain);
    return true;
}

bool
dyn_domain_parse(const char *xml, size_t length, DynDomain **ret_domain, GError **error)
{
    return parse(xml, length, true, ret_domain, error);
}

bool
dyn_domain_parse_facts(const char *xml, size_t length, DynDomain **ret_domain, GError **error)
{
    return parse(xml, length, false, ret_domain, error);
}

DynDomain *
dyn_domain_copy(const DynDomain *domain)
{
    DynDomain *copy = g_memdup2(domain, sizeof *domain);

    copy->uuid = g_strdup(domain->uuid);
    copy->name = g_strdup(domain->name);
    copy->policy_xml = g_strdup(domain->policy_xml);
    copy->vmems = g_array_copy(domain->vmems);
    return copy;
}

void
dyn_domain_free(DynDomain *domain)
{
    if (domain == NULL)
        return;
    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain->policy_xml);
    g_array_unref(domain->vmems);
    g_free(domain);
}

uint64_t
dyn_domain_reach_kib(const DynDomain *domain)
{
    if (domain->slots > domain->slots_used)
        return MAX(domain->memory_kib, domain->max_memory_kib);
    return domain->memory_kib;
}

const char *
dyn_obstacle_text(DynObstacle obstacle)
{
    switch (obstacle) {
    case DYN_OBSTACLE_NO_BALLOON:
        return "no balloon device (<memballoon model='virtio'/>)";
    case DYN_OBSTACLE_BALLOON_MODEL:
        return "its balloon device is not a virtio one";
    case DYN_OBSTACLE_HUGEPAGES:
        return "its memory is in huge pages (<hugepages/>)";
    case DYN_OBSTACLE_LOCKED:
        return "its memory is locked (<locked/>)";
    case DYN_OBSTACLE_VFIO:
        return "a passed-through device (VFIO) pins its memory";
    case DYN_OBSTACLE_ENCRYPTED:
        return "its memory is encrypted (<launchSecurity/>)";
    case DYN_OBSTACLE_NONE:
    case DYN_N_OBSTACLES:
        break;
    }
    return "";
}
