/* host_control.c: host_control.h for the kernel: the hypercalls of a privileged domain.
 *
 * Callers: control/ and service*.c, in the worker context. Calls hypercall.h, event.h, grant.h,
 * mm.h. Natively, and in a domain without the right, every call answers with the error the
 * hypervisor would give.
 */
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/host_control.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>
#include "mm.h"
#include "worker.h"

/* The first domain is the only one that builds others. */
domid_t host_own_domid(void)
{
	return 0;
}

/* The interface's version goes with each call, because these two families are not stable between
 * versions of Xen; one that does not fit is refused with EACCES and not misread. */
int host_domctl(struct xen_domctl *op)
{
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return (int)hypercall_domctl(op);
}

int host_sysctl(struct xen_sysctl *op)
{
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return (int)hypercall_sysctl(op);
}

long host_memory_op(unsigned cmd, void *arg)
{
	return hypercall_memory_op(cmd, arg);
}

int host_mmu_update(struct mmu_update *updates, unsigned count, domid_t domid)
{
	return (int)hypercall_mmu_update(updates, count, NULL, domid);
}

int host_mmuext(struct mmuext_op *ops, unsigned count, domid_t domid)
{
	return (int)hypercall_mmuext_op(ops, count, NULL, domid);
}

/* ---- frames of other domains ---------------------------------------------------------- */

/* Frames of others are mapped by ordinary page-table updates that name their owner; a hypervisor
 * lets only a privileged domain do so. */
static int foreign_map(domid_t domid, const mfn_t *frames, unsigned count, unsigned flags,
		       void **out_va)
{
	void *va = vmap_reserve(count);
	int err;

	if (!va)
		return -XEN_ENOMEM;
	err = map_frames(va, frames, count, flags, domid);
	if (err) {
		vmap_release(va, count);
		return err;
	}
	*out_va = va;
	return 0;
}

int host_foreign_map(domid_t domid, const mfn_t *frames, unsigned count, void **out_va)
{
	return foreign_map(domid, frames, count, MM_WRITE, out_va);
}

int host_foreign_view(domid_t domid, const mfn_t *frames, unsigned count, const void **out_va)
{
	return foreign_map(domid, frames, count, MM_READ, (void **)(uintptr_t)out_va);
}

/* At once and for each page: another look at the frame through an old entry would be at memory that
 * may have a new owner. */
void host_foreign_unmap(const void *view, unsigned count)
{
	void *va = (void *)(uintptr_t)view;

	unmap_frames(va, count);
	vmap_release(va, count);
}

pfn_t host_frame_number(mfn_t frame)
{
	return mm_machine_number(frame);
}

/* setup_table makes the table if need be, so a domain that has not run yet has one too. */
int host_grant_table_frame(domid_t domid, mfn_t *out_frame)
{
	xen_pfn_t frame = ~0ul;
	struct gnttab_setup_table op = {.dom = domid, .nr_frames = 1};
	int64_t err;

	set_xen_guest_handle(op.frame_list, &frame);
	err = hypercall_grant_table_op(GNTTABOP_setup_table, &op, 1);
	if (err)
		return (int)err;
	*out_frame = (mfn_t){frame};
	return op.status == GNTST_okay ? 0 : -XEN_EPERM;
}

/* ---- events ---------------------------------------------------------------------------- */

int host_event_alloc_for(domid_t of, domid_t peer, uint32_t *out_port)
{
	return event_alloc_for(of, peer, out_port);
}

/* The upcall marks; the worker calls fn. An upcall runs with events masked and may not wait or
 * allocate. */
static void virq_upcall(void *ctx)
{
	worker_post(ctx);
}

int host_virq_bind(unsigned virq, host_event_fn *fn, void *ctx, port_t *out_port)
{
	struct host_work *work = kmalloc(sizeof(*work));
	int err;

	if (!work)
		return -XEN_ENOMEM;
	work->fn = fn;
	work->ctx = ctx;
	err = event_bind_virq(virq, virq_upcall, work, out_port);
	if (err)
		kfree(work, sizeof(*work));
	return err; /* else bound for good, with its work */
}

/* ---- counts ---------------------------------------------------------------------------- */

/* Pages of slabs count by their blocks: a slab that stays because one block in it lives is no leak
 * of a page. */
static uint64_t used_bytes(void)
{
	size_t slab_pages, small = heap_used_bytes(&slab_pages);

	return (pages_total_count() - pages_free_count() - slab_pages) * PAGE_SIZE + small;
}

/* amphi-hv tells as Xen's performance counters what it has in use. A hypervisor that has more of them than there is room for is another, and
 * its counters only grow: the answer would be longer than told, so the number is asked for first. */
static void read_held(struct host_held *out)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_perfc_op,
				.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query};
	struct xen_sysctl_perfc_op *p = &op.u.perfc_op;
	struct xen_sysctl_perfc_desc desc[HOST_HELD_MAX];
	uint32_t n[HOST_HELD_MAX];

	if (host_sysctl(&op) || p->nr_counters > HOST_HELD_MAX || p->nr_vals != p->nr_counters)
		return;
	set_xen_guest_handle(p->desc, desc);
	set_xen_guest_handle(p->val, n);
	if (host_sysctl(&op))
		return;
	for (unsigned i = 0; i < p->nr_counters; i++) {
		(void)str_copy(out[i].name, sizeof(out[i].name), desc[i].name);
		out[i].n = n[i];
	}
}

/* Without the right to ask, free_pages and what is held stay 0 on both sides of a comparison. */
void host_read_counts(struct host_counts *out)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo};

	*out = (struct host_counts){
	    .own_used_bytes = used_bytes(),
	    .grants_offered = grant_used(),
	    .grants_mapped = grant_mapped(),
	    .ports = event_bound(),
	};
	if (host_sysctl(&op) == 0)
		out->free_pages = op.u.physinfo.free_pages;
	read_held(out->held);
}
