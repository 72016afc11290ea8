/* memory_op.c: how much memory a domain has, and what the machine's memory looks like.
 *
 * Decoding of the memory_op hypercall: one function a command, found by a table. Commands on lists
 * of extents may be cut between two and continued by a restart, with the number done so far in the
 * command's upper bits, as Xen's ABI has it. XENMEM_exchange is memory_exchange.c's; what a frame
 * is and whose, mm_domain.c's. Caller: dispatch.
 */
#include "hypercall.h"
#include "domain.h"
#include "guest.h"
#include "memory_op.h"
#include "mm_private.h"
#include "percpu.h"

/* Commands are below 64; what is above is ours, but a guest sees it in a restarted call. */
#define MEMOP_EXTENT_SHIFT 6
#define CMD_MASK           ((1ull << MEMOP_EXTENT_SHIFT) - 1)

/* 0 bits means no wish (Xen's memory.h), and widths below a page's leave no frame at all. */
uint64_t memory_limit(uint32_t mem_flags)
{
	unsigned bits = XENMEMF_get_address_bits(mem_flags);

	if (bits == 0 || bits >= 64)
		return ~0ull;
	return bits <= PAGE_SHIFT ? 0 : 1ull << (bits - PAGE_SHIFT);
}

/* ---- lists of extents -------------------------------------------------------------- */

struct extents {
	struct xen_memory_reservation r;
	struct domain *d;
	unsigned which; /* populate_physmap: the list names guest frames, which the m2p gets */
};

/* These two do extent i; false ends the list there, and the caller learns how many were done. */
static bool remove_extent(const struct extents *e, xen_pfn_t mfn)
{
	for (uint64_t k = 0; k < 1ull << e->r.extent_order; k++)
		if (page_release_domain(e->d, (mfn_t){mfn + k}))
			return false;
	return true;
}

static bool add_extent(const struct extents *e, uint64_t i)
{
	bool populate = e->which == XENMEM_populate_physmap;
	struct page_info *page;
	xen_pfn_t pfn = 0, mfn;

	if (populate && handle_read(&pfn, e->r.extent_start, i))
		return false;
	page = frames_alloc_domain(e->d, e->r.extent_order, memory_limit(e->r.mem_flags));
	if (!page)
		return false;
	mfn = page_to_mfn(page).v;
	for (uint64_t k = 0; populate && k < 1ull << e->r.extent_order; k++)
		m2p_set((mfn_t){mfn + k}, pfn + k);
	if (handle_null(e->r.extent_start) || !handle_write(e->r.extent_start, i, &mfn))
		return true;
	/* A frame whose number the caller was not told would be lost to it until it dies. */
	remove_extent(e, mfn);
	return false;
}

/* increase_reservation, decrease_reservation, populate_physmap. The answer is the number of
 * extents done, from the list's start; callers take a short count for "no more". So bad orders,
 * frames and domains are no errors, they end the list. A restart carries the number in the command's upper
 * bits; the argument is read again, and who changed it meanwhile gets what the new one says. */
static long reservation(uint64_t cmd, uint64_t arg_va)
{
	uint64_t i, start = cmd >> MEMOP_EXTENT_SHIFT;
	struct extents e = {.which = cmd & CMD_MASK};
	bool stop = false, more = true;
	xen_pfn_t mfn;
	int error;

	if (guest_read(&e.r, arg_va))
		return -XEN_EFAULT;
	/* More extents than the command's upper bits can count could not be continued. */
	if (e.r.extent_order > MM_MAX_ORDER || e.r.nr_extents > ~0ull >> MEMOP_EXTENT_SHIFT)
		return (long)start;
	e.d = domain_named(e.r.domid, &error);
	if (!e.d)
		return (long)start;
	for (i = start; i < e.r.nr_extents && more; i += more) {
		stop = i > start && hypercall_preempt();
		if (stop)
			break;
		if (e.which == XENMEM_decrease_reservation)
			more = !handle_read(&mfn, e.r.extent_start, i) && remove_extent(&e, mfn);
		else
			more = add_extent(&e, i);
	}
	domain_put(e.d);
	if (stop)
		return hypercall_restart(e.which | i << MEMOP_EXTENT_SHIFT, arg_va, 0, 0);
	return (long)i;
}

/* ---- numbers ------------------------------------------------------------------------ */

/* Answers a number of a frame, not of how many there are. */
static long maximum_ram_page(uint64_t cmd, uint64_t arg_va)
{
	return (long)frames_highest();
}

/* The guest keeps its own count of guest frames, in shared_info. */
static long domain_number(uint64_t cmd, uint64_t arg_va)
{
	struct xen_memory_domain which;
	struct domain *d;
	int error;
	long n;

	if (guest_read(&which, arg_va))
		return -XEN_EFAULT;
	d = domain_named(which.domid, &error);
	if (!d)
		return error;
	if ((cmd & CMD_MASK) == XENMEM_current_reservation)
		n = d->mm.nr_pages;
	else if ((cmd & CMD_MASK) == XENMEM_maximum_reservation)
		n = d->mm.max_pages;
	else
		n = d->events.shared ? (long)d->events.shared->arch.max_pfn - 1 : -XEN_EINVAL;
	domain_put(d);
	return n;
}

/* All that there could be, as on every Xen, and not what this machine has: a guest keeps the answer for its life, and
 * wakes up on a larger machine when it was saved. Where there is no memory there is a hole, and kernels look with care. */
static long machphys_mapping(uint64_t cmd, uint64_t arg_va)
{
	struct xen_machphys_mapping out = {
	    .v_start = HV_M2P_VIRT,
	    .v_end = MACH2PHYS_VIRT_END,
	    .max_mfn = MACH2PHYS_NR_ENTRIES - 1,
	};

	return guest_write(arg_va, &out);
}

/* ---- maps --------------------------------------------------------------------------- */

struct e820_entry {
	uint64_t start, size;
	uint32_t type;
} __attribute__((packed));

/* The machine's map is for the first domain; a guest's own frames, numbered from 0, are all RAM. */
static long memory_map(uint64_t cmd, uint64_t arg_va)
{
	const struct mm_range all = {0, (uint64_t)current_domain()->mm.max_pages << PAGE_SHIFT,
				     MM_RANGE_RAM};
	const struct mm_range *map = &all;
	struct xen_memory_map m;
	unsigned count = 1;

	if ((cmd & CMD_MASK) == XENMEM_machine_memory_map) {
		if (!current_domain()->privileged)
			return -XEN_EPERM;
		map = mm_machine_map(&count);
	}
	if (guest_read(&m, arg_va))
		return -XEN_EFAULT;
	/* A map cut short would be taken for the whole one. */
	if (m.nr_entries < count)
		return -XEN_EINVAL;
	for (unsigned i = 0; i < count; i++) {
		struct e820_entry e = {map[i].start, map[i].end - map[i].start, map[i].kind};

		if (guest_write((uint64_t)m.buffer.p + i * sizeof(e), &e))
			return -XEN_EFAULT;
	}
	m.nr_entries = count;
	return guest_write(arg_va, &m);
}

/* A PV guest keeps its own map from guest frames to machine frames. */
static long not_translated(uint64_t cmd, uint64_t arg_va)
{
	return -XEN_EACCES;
}

/* What is not here is -XEN_ENOSYS: memory sharing, paging, populate on demand and the calls that
 * translated guests live by. not_translated rows differ in that callers know their errors. */
static long (*const commands[])(uint64_t cmd, uint64_t arg_va) = {
    [XENMEM_increase_reservation] = reservation,
    [XENMEM_decrease_reservation] = reservation,
    [XENMEM_populate_physmap] = reservation,
    [XENMEM_maximum_ram_page] = maximum_ram_page,
    [XENMEM_current_reservation] = domain_number,
    [XENMEM_maximum_reservation] = domain_number,
    [XENMEM_maximum_gpfn] = domain_number,
    [XENMEM_add_to_physmap] = not_translated,
    [XENMEM_add_to_physmap_batch] = not_translated,
    [XENMEM_remove_from_physmap] = not_translated,
    [XENMEM_memory_map] = memory_map,
    [XENMEM_machine_memory_map] = memory_map,
    [XENMEM_exchange] = memory_exchange,
    [XENMEM_acquire_resource] = grant_acquire_resource,
    [XENMEM_machphys_mapping] = machphys_mapping,
};

long hc_memory_op(uint64_t cmd, uint64_t arg_va)
{
	uint64_t which = cmd & CMD_MASK;

	if (which >= ARRAY_SIZE(commands) || !commands[which])
		return -XEN_ENOSYS;
	return commands[which](cmd, arg_va);
}
