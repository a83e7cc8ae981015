/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each change is made in the text (xml-draft-priv.h) and said in a line. */
#include "config.h"

#include <string.h>

#include <dynmem/text.h>

#include "prepare-priv.h"

static const char *const words[DYN_N_HOT_ADDS] = {
    [DYN_HOT_ADD_NONE] = "none",
    [DYN_HOT_ADD_VIRTIO_MEM] = "virtio-mem",
    [DYN_HOT_ADD_DIMM] = "dimm",
};

const char *
dyn_hot_add_word(DynHotAdd hot_add)
{
    return words[hot_add];
}

bool
dyn_hot_add_parse(const char *word, DynHotAdd *ret_hot_add)
{
    for (int i = 0; i < DYN_N_HOT_ADDS; i++) {
        if (strcmp(words[i], word) != 0)
            continue;
        *ret_hot_add = (DynHotAdd)i;
        return true;
    }
    return false;
}

void
dyn_preparing_changed(DynPreparing *work, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(work->changes, g_strdup_vprintf(format, args));
    va_end(args);
}

void
dyn_preparing_note(DynPreparing *work, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(work->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

bool
dyn_preparing_refuse(const DynPreparing *work, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED, "domain %s: %s", work->name, text);
    return false;
}

const xmlNode *
dyn_preparing_devices(DynPreparing *work)
{
    const xmlNode *root = dyn_xml_draft_root(work->draft);

    if (dyn_xml_child(root, "devices") == NULL)
        dyn_xml_draft_append(work->draft, root, "<devices/>");
    return dyn_xml_child(dyn_xml_draft_root(work->draft), "devices");
}

/* ---- what is refused ---------------------------------------------------------------------- */

static bool
check_sizes(const DynPreparing *work, GError **error)
{
    const DynPolicy *policy = work->request->policy;
    g_autofree char *minimum = dyn_size_format(policy->minimum_kib);
    g_autofree char *startup = dyn_size_format(policy->startup_kib);
    g_autofree char *maximum = dyn_size_format(policy->maximum_kib);

    if (policy->minimum_kib >= DYN_MINIMUM_LEAST_KIB &&
        policy->minimum_kib <= policy->startup_kib &&
        policy->startup_kib <= policy->maximum_kib && policy->maximum_kib <= DYN_MAX_KIB)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "domain %s: minimum %s, startup %s, maximum %s: needed is 32 MiB <= minimum <= "
                "startup <= maximum",
                work->name, minimum, startup, maximum);
    return false;
}

static bool
check_platform(const DynPreparing *work, GError **error)
{
    static const char *const types[] = { "kvm", "qemu", "hvf", "test", NULL };
    const xmlNode *root = dyn_xml_draft_root(work->draft);
    const xmlNode *os_type = dyn_xml_child(dyn_xml_child(root, "os"), "type");
    g_autofree char *type = dyn_xml_attr(root, "type");
    g_autofree char *arch = os_type ? dyn_xml_attr(os_type, "arch") : NULL;
    g_autofree char *machine = os_type ? dyn_xml_attr(os_type, "machine") : NULL;
    g_autofree char *quoted = dyn_text_quote(type ? type : "");
    g_autofree char *arch_shown = dyn_text_quote(arch ? arch : "");
    g_autofree char *machine_shown = dyn_text_quote(machine ? machine : "");

    if (type == NULL || !g_strv_contains(types, type))
        return dyn_preparing_refuse(work, error, "its type is %s; dynmem works with QEMU's guests "
                                    "(kvm, qemu)", quoted);
    if (work->request->hot_add == DYN_HOT_ADD_NONE)
        return true;
    if ((arch == NULL || strcmp(arch, "x86_64") == 0) &&
        (machine == NULL || g_str_has_prefix(machine, "pc") || g_str_has_prefix(machine, "q35")))
        return true;
    if (g_strcmp0(arch, "aarch64") == 0 &&
        (machine == NULL || strcmp(machine, "virt") == 0 || g_str_has_prefix(machine, "virt-")))
        return true;
    return dyn_preparing_refuse(work, error,
                                "no memory can be added to a machine %s of architecture %s while "
                                "it runs: x86_64 with pc or q35 and aarch64 with virt can; use "
                                "--hot-add none",
                                machine_shown, arch_shown);
}

/* What is in the way of its balloon, and makes dynmemd leave it alone: grown by virtio-mem alone it
 * would be worse off than with all its memory from the start. */
static bool
check_obstacle(const DynPreparing *work, GError **error)
{
    static const char *const remedies[DYN_N_OBSTACLES] = {
        [DYN_OBSTACLE_HUGEPAGES] = "remove <hugepages/> from its <memoryBacking> (virsh edit); "
                                   "transparent huge pages remain",
        [DYN_OBSTACLE_LOCKED] = "remove <locked/> from its <memoryBacking> (virsh edit)",
        [DYN_OBSTACLE_VFIO] = "give it virtio devices instead (virsh edit), or leave its memory "
                              "fixed",
        [DYN_OBSTACLE_ENCRYPTED] = "leave its memory fixed",
    };
    const uint32_t left = work->before->obstacles & ~DYN_PREPARING_MENDS;
    const DynObstacle first = left == 0 ? DYN_OBSTACLE_NONE : g_bit_nth_lsf(left, -1);
    const char *remedy = remedies[first];

    if (first == DYN_OBSTACLE_NONE)
        return true;
    return dyn_preparing_refuse(work, error, "%s: what is taken from it would not come back to the "
                                "host, and dynmem leaves such a guest alone; %s",
                                dyn_obstacle_text(first), remedy ? remedy : "virsh edit");
}

/* ---- without hot-add ---------------------------------------------------------------------- */

static bool
prepare_without(DynPreparing *work, GError **error)
{
    const DynDomain *before = work->before;
    const uint64_t maximum = work->request->policy->maximum_kib;
    g_autofree char *plugged = dyn_size_format(before->dimm_kib);
    g_autofree char *vmem = dyn_size_format(before->vmem_size_kib);

    if (before->vmem_devices > 0)
        return dyn_preparing_refuse(
            work, error, "it has a virtio-mem device (%s), of which --hot-add none makes no use; "
            "use --hot-add virtio-mem, 'dynmem prepare --undo' if that made it, or remove it "
            "(virsh detach-device --config)", vmem);
    if (before->dimm_kib >= maximum)
        return dyn_preparing_refuse(
            work, error, "its DIMMs (%s) leave nothing of the maximum to boot with; raise "
            "--maximum, or remove them (virsh detach-device --config)", plugged);
    if (!dyn_preparing_set_base(work, maximum - before->dimm_kib, error))
        return false;
    dyn_preparing_set_memory(work, maximum + work->other_kib,
                             "the maximum; what startup leaves of it is in the balloon");
    dyn_preparing_note(work, "until its balloon driver is loaded the guest can touch all of its "
                       "maximum: a start is charged for that (--charge)");
    return true;
}

/* What is no obstacle but gets in the way. */
static void
note_surroundings(DynPreparing *work)
{
    const xmlNode *root = dyn_xml_draft_root(work->draft);
    const xmlNode *allocation = dyn_xml_child(dyn_xml_child(root, "memoryBacking"), "allocation");
    const uint64_t limit_kib = work->before->hard_limit_kib;
    g_autofree char *shown = dyn_size_format_exact(limit_kib);

    if (dyn_xml_attr_is(allocation, "mode", "immediate"))
        dyn_preparing_note(work, "<allocation mode='immediate'/>: QEMU takes all memory the guest "
                           "boots with from the host at its start");
    if (limit_kib != 0 && limit_kib <= work->request->policy->maximum_kib)
        dyn_preparing_note(work, "<hard_limit> is %s, and QEMU needs more than the guest's "
                           "maximum: it would be killed; raise it (virsh memtune --config)", shown);
}

static bool
prepare_memory(DynPreparing *work, GError **error)
{
    note_surroundings(work);
    switch (work->request->hot_add) {
    case DYN_HOT_ADD_NONE:
        return prepare_without(work, error);
    case DYN_HOT_ADD_VIRTIO_MEM:
        return dyn_preparing_virtio_mem(work, error);
    case DYN_HOT_ADD_DIMM:
        return dyn_preparing_dimm(work, error);
    case DYN_N_HOT_ADDS:
        break;
    }
    g_assert_not_reached();
}

/* ---- the policy --------------------------------------------------------------------------- */

/* Whether @previous says what @wanted does, as dyn_policy_format() writes it. */
static bool
is_same_policy(const char *previous, const char *wanted, GError **error)
{
    g_autoptr(DynPolicy) policy = NULL;
    g_autofree char *text = NULL;

    if (!dyn_policy_parse(previous, strlen(previous), &policy, error))
        return false;
    text = dyn_policy_format(policy, previous, error);
    return text != NULL && strcmp(text, wanted) == 0;
}

static void
insert_metadata(DynXmlDraft *draft)
{
    static const char *const first[] = { "description", "title", "genid", "uuid", "name" };
    const xmlNode *root = dyn_xml_draft_root(draft);

    for (size_t i = 0; dyn_xml_child(root, "metadata") == NULL && i < G_N_ELEMENTS(first); i++) {
        const xmlNode *sibling = dyn_xml_child(root, first[i]);

        if (sibling == NULL)
            continue;
        dyn_xml_draft_insert_after(draft, sibling, "<metadata/>");
        return;
    }
}

static bool
prepare_policy(DynPreparing *work, GError **error)
{
    static const char tag[] = "<policy";
    const char *previous = work->before->policy_xml;
    g_autofree char *text = dyn_policy_format(work->request->policy, previous, error);
    g_autofree char *element = NULL;
    g_autoptr(GError) bad = NULL;

    if (text == NULL)
        return false;
    if (previous != NULL && is_same_policy(previous, text, &bad))
        return true;
    if (bad != NULL) {
        g_propagate_prefixed_error(error, g_steal_pointer(&bad), "domain %s: ", work->name);
        return false;
    }
    g_assert(g_str_has_prefix(text, tag));
    element = g_strconcat(tag, " xmlns=\"" DYN_POLICY_NAMESPACE "\"", text + strlen(tag), NULL);
    if (previous != NULL) {
        dyn_xml_draft_replace(work->draft,
                              dyn_preparing_metadata(work->draft, DYN_POLICY_NAMESPACE), element);
    } else {
        insert_metadata(work->draft);
        dyn_xml_draft_append(work->draft,
                             dyn_xml_child(dyn_xml_draft_root(work->draft), "metadata"), element);
    }
    dyn_preparing_changed(work, "policy: %s: what dynmemd balances it by",
                          previous ? "replaced" : "added");
    return true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static char *
prepare(DynPreparing *work, GError **error)
{
    if (!check_sizes(work, error) || !check_platform(work, error) || !check_obstacle(work, error))
        return NULL;
    dyn_preparing_balloon_model(work);
    if (!prepare_memory(work, error))
        return NULL;
    dyn_preparing_set_current(work);
    dyn_preparing_balloon(work);
    return prepare_policy(work, error) ? dyn_xml_draft_finish(work->draft, error) : NULL;
}

/* <memory> with what DynDomain leaves out of it. */
static uint64_t
read_other(const DynPreparing *work)
{
    const xmlNode *memory = dyn_xml_child(dyn_xml_draft_root(work->draft), "memory");

    return dyn_sat_sub(dyn_xml_kib(memory), work->before->memory_kib);
}

static void
work_clear(DynPreparing *work)
{
    dyn_xml_draft_free(work->draft);
    dyn_domain_free(work->before);
    g_free(work->name);
    g_clear_pointer(&work->changes, g_ptr_array_unref);
    g_clear_pointer(&work->notes, g_ptr_array_unref);
}

bool
dyn_prepare(const char *xml, size_t length, const DynPrepareRequest *request,
            DynPrepared **ret_prepared, GError **error)
{
    DynPreparing work = { .request = request };
    g_autofree char *prepared = NULL;

    if (!dyn_domain_parse(xml, length, &work.before, error))
        return false;
    work.draft = dyn_xml_draft_new(xml, length, &dyn_xml_domain, error);
    if (work.draft != NULL) {
        work.name = dyn_text_quote(work.before->name);
        work.other_kib = read_other(&work);
        work.changes = g_ptr_array_new_with_free_func(g_free);
        work.notes = g_ptr_array_new_with_free_func(g_free);
        prepared = prepare(&work, error);
    }
    if (prepared != NULL) {
        *ret_prepared = g_new0(DynPrepared, 1);
        (*ret_prepared)->xml = g_strdup(prepared);
        (*ret_prepared)->changes = g_steal_pointer(&work.changes);
        (*ret_prepared)->notes = g_steal_pointer(&work.notes);
    }
    work_clear(&work);
    return prepared != NULL;
}

void
dyn_prepared_free(DynPrepared *prepared)
{
    if (prepared == NULL)
        return;
    g_free(prepared->xml);
    g_ptr_array_unref(prepared->changes);
    g_ptr_array_unref(prepared->notes);
    g_free(prepared);
}
