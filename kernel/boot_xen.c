/* boot_xen.c: the start of a Xen PV domain, on Xen or on amphi-hv.
 *
 * Entered from entry_xen.S on the builder's page tables with start_info's address. Tells the
 * hypervisor first where this vCPU's interrupt mask is; then traps, memory, events and grants, and goes on
 * to boot_finish(). Calls hypercalls before pvops are patched: the page the loader filled is
 * enough.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "boot_parse.h"
#include "boot_start.h"
#include "grant_frames.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "trap_parts.h"
#include "vcpu_xen.h"

static struct start_info info_copy;

/* Copied: the page goes to the allocator with all others that give_free() of mm_xen.c does not
 * name. The union of console has another member for dom0, so the port is read only where it is
 * one. A PV domain's memory is one range from 0, whatever frames are behind it. The module is
 * told by address or, when the builder did not map it, by frame number (<xen/xen.h>,
 * SIF_MOD_START_PFN). */
static void take_start_info(struct start_info *info)
{
	const char *wrong;

	info_copy = *info;
	boot.platform = BOOT_XEN_PV;
	boot.loader = "Xen PV";
	boot.start_info = &info_copy;
	boot.start_info_va = (uint64_t)(uintptr_t)info;
	boot.privileged = info->flags & SIF_PRIVILEGED;
	boot.store_port = info->store_evtchn;
	wrong = boot_check_xen(&info_copy, image_pfn(image_end));
	if (wrong)
		panic("what the domain's builder left (start_info) cannot be used: %s", wrong);
	if (!boot.privileged)
		boot.console_port = info->console.domU.evtchn;
	boot_set_cmdline(&boot, (const char *)info->cmd_line, sizeof(info->cmd_line));
	boot_add_range(&boot, 0, info->nr_pages << PAGE_SHIFT, 1);
	if (!info->mod_len)
		return;
	boot.ramdisk_len_bytes = info->mod_len;
	boot.ramdisk_start = info->flags & SIF_MOD_START_PFN ? info->mod_start << PAGE_SHIFT
							     : info->mod_start - KERNEL_BASE;
}

static void map_shared_page(void)
{
	uint64_t entry =
	    info_copy.shared_info | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
	int err = pv_set_fixmap(pv_shared_page, entry);

	if (err)
		panic("the shared page cannot be mapped (%d)", err);
	boot.shared_info = (struct shared_info *)pv_shared_page;
	boot.shared_info->vcpu_info[0].evtchn_upcall_mask = 1;
}

/* From here on the operations of pvops that touch the interrupt mask have one. The frame is looked up in
 * the builder's list: there is no memory of ours yet. */
static void start_vcpu(void)
{
	const uint64_t *p2m = (const uint64_t *)info_copy.mfn_list;
	struct percpu *self;
	int err;

	trap_percpu_init(0);
	self = this_cpu();
	err = vcpu_xen_register(self, 0, (mfn_t){p2m[image_pfn((const char *)self)]});
	if (err)
		panic("the vCPU's part of the shared memory is refused (%d)", err);
}

/* GNTTABOP_setup_table grows the table to what is asked and tells all of it; it fails as a whole above the domain's
 * limit. */
static bool add_grant_frames(void *window, unsigned from, unsigned to)
{
	xen_pfn_t frames[GRANT_FRAMES_MAX];
	mfn_t mfns[GRANT_FRAMES_MAX];
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = to};

	set_xen_guest_handle(setup.frame_list, frames);
	if (hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status != GNTST_okay)
		return false;
	for (unsigned i = from; i < to; i++)
		mfns[i] = (mfn_t){frames[i]};
	return !map_frames((char *)window + from * PAGE_SIZE, mfns + from, to - from, MM_WRITE,
			   DOMID_SELF);
}

/* After a suspend there must be as many as before: references in use point into all of them. */
void boot_xen_pv_map_grants(void)
{
	unsigned n;
	void *window = grant_frames_window(&n);

	if (n && !add_grant_frames(window, 0, n))
		panic("the grant table cannot be had again");
}

void boot_xen_pv_unmap_grants(void)
{
	unsigned n;
	void *window = grant_frames_window(&n);

	if (n)
		unmap_frames(window, n);
}

/* The order is not free: the interrupt mask, which operations of pvops touch, is found through gs, and gs
 * is loaded by an operation; traps are set by operations; and the grant table needs a window, so
 * memory. */
void boot_xen_pv_start(struct start_info *info)
{
	struct platform_found found = {.pv_entry = true};

	take_start_info(info);
	pvops_init_xen_pv(&boot_pvops_env);
	map_shared_page();
	start_vcpu();
	boot_choose_platform(&found);
	trap_init_xen_pv();
	event_init(boot.shared_info);
	mm_init_xen_pv();
	grant_frames_start(add_grant_frames);
	boot_finish();
}
