/* suspend_xen_pv.c: what a PV domain's memory may hold while it is carried to another machine.
 *
 * The toolstack copies memory and turns the frame numbers in page tables into the domain's own and back; it
 * knows no others. So the shared page and the grant table leave our tables before, and come back after. A
 * copy of start_info tells it where the rings are and is filled in anew (<xen/xen.h>, "on initial boot
 * and on resume"). Called by suspend.c with interrupts off; calls hypercalls, mm_xen.c, boot_xen.c.
 */
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "boot.h"
#include "boot_start.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "suspend.h"
#include "vcpu_xen.h"

/* The toolstack finds it by its frame in the third argument of the call, and writes to it. */
static union {
	struct start_info info;
	char page[PAGE_SIZE];
} carried __attribute__((aligned(PAGE_SIZE)));

static void map_shared(uint64_t maddr)
{
	uint64_t entry = maddr | mm_flags.leaf | mm_flags.no_execute | PTE_WRITE;
	int err = pv_set_fixmap(pv_shared_page, entry);

	if (err)
		panic("the shared page cannot be mapped (%d)", err);
}

/* The page of the image whose place the shared page has. */
static pfn_t page_below(void)
{
	return virt_to_pfn(pv_shared_page);
}

/* Events stay masked in what the new vCPU begins with. The page below is given the shared one's contents,
 * so that whoever looks at it in between (the clock, for a panic) finds what was there last. */
const char *suspend_xen_pv_stop(void)
{
	carried.info = *boot.start_info;
	carried.info.store_mfn = virt_to_pfn(boot.store_page).v;
	carried.info.console.domU.mfn = virt_to_pfn(boot.console_page).v;
	boot.shared_info->vcpu_info[0].evtchn_upcall_mask = 1;
	boot_xen_pv_unmap_grants();
	memcpy(pfn_to_virt(page_below()), pv_shared_page, PAGE_SIZE);
	map_shared(pfn_to_mfn(page_below()).v << PAGE_SHIFT);
	return NULL;
}

/* SCHEDOP_shutdown has a third argument for this reason alone (<xen/sched.h>). */
int64_t suspend_xen_pv_leave(void)
{
	struct sched_shutdown how = {.reason = SHUTDOWN_suspend};

	return HYPERCALL_RAW(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &how,
			     maddr_to_mfn(virt_to_maddr(&carried)).v, 0);
}

/* Which members are told anew: those of the first half of struct start_info. */
static void take_start_info(void)
{
	struct start_info *info = boot.start_info;

	info->shared_info = carried.info.shared_info;
	info->store_mfn = carried.info.store_mfn;
	info->store_evtchn = carried.info.store_evtchn;
	info->console.domU = carried.info.console.domU;
	boot.store_port = info->store_evtchn;
	boot.console_port = info->console.domU.evtchn;
}

/* A new vCPU's mask and pending bits are in the shared page until it is told of another place. Ours is masked in
 * both. */
static void start_vcpu(void)
{
	int err = vcpu_xen_register(this_cpu(), 0, maddr_to_mfn(virt_to_maddr(this_cpu())));

	if (err)
		panic("the vCPU's part of the shared memory is refused (%d)", err);
}

void suspend_xen_pv_go_on(enum suspend_end end)
{
	if (end == SUSPEND_NEW_WORLD)
		take_start_info();
	map_shared(boot.start_info->shared_info);
	if (end == SUSPEND_NEW_WORLD) {
		start_vcpu();
		pv_activate_mm(virt_to_maddr(mm_top).v, 0); /* as it is, but for its number */
	}
	mm_xen_tell_p2m();
	boot_xen_pv_map_grants();
}
