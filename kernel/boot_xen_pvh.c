/* boot_xen_pvh.c: what a PVH domain of Xen has beyond a bare machine: hypercalls, events, grants, rings.
 *
 * Called by boot_native.c, which has done the rest of the start: such a domain has page tables, gates and
 * interrupts of its own, and of the operations of pvops only the clock's are not native. Frames of the
 * hypervisor are put into our physical memory by XENMEM_add_to_physmap: the shared page in the place of a
 * page of the image, the grant table where guest_frames.c has numbers to spare. Calls hypercalls; the
 * parameters are those of <xen/hvm/params.h>. Not for PV domains: boot_xen.c.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

#include "boot_parse.h"
#include "boot_start.h"
#include "grant_frames.h"
#include "guest_frames.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "suspend.h"
#include "trap.h"
#include "vcpu_xen.h"

#define CALLBACK_TYPE_SHIFT 56u

/* As a BIOS would tell it (ACPI specification, "System Address Map Interfaces"). */
struct e820_entry {
	uint64_t start, size_bytes;
	uint32_t type;
} __attribute__((packed));

/* The first domain is started without a memory map (version 0 of the start information) and asks. */
static void ask_for_memory_map(void)
{
	struct e820_entry entries[BOOT_RANGES];
	struct xen_memory_map map = {.nr_entries = BOOT_RANGES};

	set_xen_guest_handle(map.buffer, (void *)entries);
	if (hypercall_memory_op(XENMEM_memory_map, &map))
		return;
	for (unsigned i = 0; i < MIN(map.nr_entries, BOOT_RANGES); i++)
		boot_add_range(&boot, entries[i].start, entries[i].size_bytes, entries[i].type);
}

/* The page is filled by the hypervisor while it answers the write. The feature map is asked here because
 * from now on the domain's own consoles are used, and who owns the machine has another one. */
void boot_xen_pvh_enter(const struct platform_found *found)
{
	struct xen_feature_info features = {.submap_idx = 0};

	pv_write_msr(found->xen_page_msr, image_pfn(hypercall_page) << PAGE_SHIFT);
	if (hypercall_xen_version(XENVER_get_features, &features))
		panic("Xen's hypercall page does not work");
	boot.privileged = features.submap & 1u << XENFEAT_dom0;
	if (!(features.submap & 1u << XENFEAT_hvm_callback_vector))
		panic("this Xen cannot tell a domain of events by a vector");
	if (!boot.n_ranges)
		ask_for_memory_map();
}

/* 0 when there is no such parameter. */
static uint64_t hvm_param(uint32_t index)
{
	struct xen_hvm_param param = {.domid = DOMID_SELF, .index = index};

	return hypercall_hvm_op(HVMOP_get_param, &param) ? 0 : param.value;
}

/* A ring's page is one of our physical memory, outside what the memory map calls memory. */
static void *ring_page(uint32_t index)
{
	uint64_t pfn = hvm_param(index);

	return pfn && pfn != ~0ull ? map_io((maddr_t){pfn << PAGE_SHIFT}, PAGE_SIZE, MM_WRITE)
				   : NULL;
}

/* What has no number is not there: the first domain has no store or console of another's. */
static void find_rings(void)
{
	boot.store_page = ring_page(HVM_PARAM_STORE_PFN);
	boot.store_port = (uint32_t)hvm_param(HVM_PARAM_STORE_EVTCHN);
	boot.console_page = ring_page(HVM_PARAM_CONSOLE_PFN);
	boot.console_port = (uint32_t)hvm_param(HVM_PARAM_CONSOLE_EVTCHN);
}

/* Puts a frame of the hypervisor at gpfn. What was there before is no longer ours to use. */
static int add_frame(unsigned space, unsigned index, uint64_t pfn)
{
	struct xen_add_to_physmap add = {
	    .domid = DOMID_SELF, .space = space, .idx = index, .gpfn = pfn};

	return (int)hypercall_memory_op(XENMEM_add_to_physmap, &add);
}

/* The page of the image that was there goes back to Xen. */
static void map_shared_page(void)
{
	int err = add_frame(XENMAPSPACE_shared_info, 0, image_pfn(pv_shared_page));

	if (err)
		panic("the shared page cannot be mapped (%d)", err);
	boot.shared_info = (struct shared_info *)pv_shared_page;
	err = vcpu_xen_register(this_cpu(), 0, (mfn_t){virt_to_pfn(this_cpu()).v});
	if (err)
		panic("the vCPU's part of the shared memory is refused (%d)", err);
}

/* The upcall comes as an interrupt by this vector, which the processor holds back by its flag:
 * no mask byte is needed. */
static void set_callback(void)
{
	struct xen_hvm_param callback = {
	    .domid = DOMID_SELF,
	    .index = HVM_PARAM_CALLBACK_IRQ,
	    .value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << CALLBACK_TYPE_SHIFT |
		     TRAP_VECTOR_HVM_UPCALL,
	};
	int64_t err = hypercall_hvm_op(HVMOP_set_param, &callback);

	if (err)
		panic("Xen refuses the vector for events (%d)", (int)err);
}

/* A frame that was put at its number without the others stays there, until it is asked for again. */
static bool add_grant_frames(void *window, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char *page = (char *)window + i * PAGE_SIZE;

		if (add_frame(XENMAPSPACE_grant_table, i, guest_frame_of(page).v))
			return false;
		guest_frame_enter(page, false);
	}
	return true;
}

/* The toolstack has carried the contents of these frames as if they were memory, and put pages of memory where
 * they were; the hypervisor takes those back when its own frames come to the same numbers again. */
static void map_grants_again(void)
{
	unsigned n;
	char *window = grant_frames_window(&n);

	for (unsigned i = 0; i < n; i++)
		if (add_frame(XENMAPSPACE_grant_table, i, guest_frame_of(window + i * PAGE_SIZE).v))
			panic("the grant table cannot be had again");
}

/* vCPUs that the toolstack holds back for now (maxvcpus above vcpus) are disabled in the MADT, as on a bare
 * machine those are that are not there. Xen knows better, and gives the APIC of vCPU n the id 2n; a table that
 * says otherwise is not added to. */
static void find_held_back(void)
{
	struct acpi_info *acpi = &boot.acpi;

	for (unsigned n = 0; n < acpi->n_cpus; n++)
		if (acpi->cpu[n] != 2 * n)
			return;
	while (acpi->n_cpus && acpi->n_cpus < ARRAY_SIZE(acpi->cpu) &&
	       hypercall_vcpu_op(VCPUOP_is_up, acpi->n_cpus, NULL) >= 0) {
		acpi->cpu[acpi->n_cpus] = 2 * acpi->n_cpus;
		acpi->n_cpus++;
	}
}

/* After mm_init_native(): the shared page is mapped with the image, grants need windows. */
void boot_xen_pvh_join(void)
{
	find_rings();
	map_shared_page();
	event_init(boot.shared_info);
	set_callback();
	guest_frames_init();
	grant_frames_start(add_grant_frames);
	find_held_back();
}

/* ---- suspend.h ------------------------------------------------------------------------------ */

int64_t suspend_xen_pvh_leave(void)
{
	struct sched_shutdown how = {.reason = SHUTDOWN_suspend};

	return hypercall_sched_op(SCHEDOP_shutdown, &how);
}

/* Physical memory is the same to the number, the rings' pages among it; only the hypervisor's own frames
 * have to be asked for again. */
void suspend_xen_pvh_go_on(enum suspend_end end)
{
	if (end == SUSPEND_SAME_WORLD)
		return;
	boot.store_port = (uint32_t)hvm_param(HVM_PARAM_STORE_EVTCHN);
	boot.console_port = (uint32_t)hvm_param(HVM_PARAM_CONSOLE_EVTCHN);
	map_shared_page();
	set_callback();
	map_grants_again();
}
