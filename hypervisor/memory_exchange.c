/* memory_exchange.c: a guest gives frames and gets as many others, contiguous or low ones.
 *
 * For DMA: a PV guest's frames are scattered, and a device wants a contiguous buffer or one below
 * 4 GiB. Goes by chunks of the larger of the two orders: takes a copy of the chunk's list, finds
 * the new frames, then, under the lock, checks that each old frame is nothing but owned, and swaps.
 * A chunk is exchanged wholly or not at all. Caller: memory_op.c.
 */
#include "memory_op.h"
#include "hypercall.h"
#include "domain.h"
#include "guest.h"
#include "mm_private.h"

struct exchange {
	struct xen_memory_exchange x;
	struct domain *d;
	unsigned order;			/* of a chunk */
	uint64_t in_count, out_count;	/* extents in a chunk */
	xen_pfn_t *in;			/* of this chunk: given frames, */
	struct page_info **out;		/* and the new ones */
};

static uint64_t extent_pages(const struct xen_memory_reservation *r)
{
	return 1ull << r->extent_order;
}

/* ---- one chunk ---------------------------------------------------------------------- */

static void free_out(struct exchange *e, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		frames_free(e->out[i], e->x.out.extent_order);
}

static int find_out(struct exchange *e)
{
	for (uint64_t i = 0; i < e->out_count; i++) {
		e->out[i] = frames_alloc(e->x.out.extent_order, memory_limit(e->x.out.mem_flags));
		if (e->out[i])
			continue;
		free_out(e, i);
		return -XEN_ENOMEM;
	}
	return 0;
}

/* Owned, and referred to by nothing: no entry, no pin, no grant. */
static bool can_give(struct domain *d, mfn_t mfn)
{
	const struct page_info *page = mfn_to_page(mfn);

	return mfn_valid(mfn) && page->owner == d && page->flags == PG_ALLOCATED &&
	       page->count == 1 && page->type_count == 0;
}

/* A frame named twice would pass the check twice, so each is marked as it passes. */
static bool claim_all(struct exchange *e)
{
	uint64_t pages = extent_pages(&e->x.in), claimed = 0;
	bool ok = true;

	for (uint64_t i = 0; ok && i < e->in_count * pages; i++) {
		mfn_t mfn = {e->in[i / pages] + i % pages};

		ok = can_give(e->d, mfn);
		if (ok)
			mfn_to_page(mfn)->count++;
		claimed += ok;
	}
	for (uint64_t i = 0; i < claimed; i++)
		mfn_to_page((mfn_t){e->in[i / pages] + i % pages})->count--;
	return ok;
}

static void swap_frames(struct exchange *e)
{
	uint64_t pages = extent_pages(&e->x.in);

	for (uint64_t i = 0; i < e->out_count; i++)
		frames_give_domain(e->d, e->out[i], e->x.out.extent_order);
	for (uint64_t i = 0; i < e->in_count * pages; i++)
		frame_release(mfn_to_page((mfn_t){e->in[i / pages] + i % pages}));
}

/* After the swap the frames are the guest's in any case; a list it cannot read back is its loss. */
static int tell_guest(struct exchange *e, uint64_t chunk)
{
	for (uint64_t i = 0; i < e->out_count; i++) {
		uint64_t at = chunk * e->out_count + i;
		xen_pfn_t pfn, mfn = page_to_mfn(e->out[i]).v;

		if (handle_read(&pfn, e->x.out.extent_start, at) ||
		    handle_write(e->x.out.extent_start, at, &mfn))
			return -XEN_EFAULT;
		for (uint64_t k = 0; k < extent_pages(&e->x.out); k++)
			m2p_set((mfn_t){mfn + k}, pfn + k);
	}
	return 0;
}

static int exchange_chunk(struct exchange *e, uint64_t chunk)
{
	bool ok;
	int error;

	if (handle_read_n(e->in, e->x.in.extent_start, chunk * e->in_count, e->in_count))
		return -XEN_EFAULT;
	error = find_out(e);
	if (error)
		return error;
	error = mm_begin(e->d);
	if (error) {
		free_out(e, e->out_count);
		return error;
	}
	ok = !e->d->dying && claim_all(e);
	if (ok)
		swap_frames(e);
	mm_unlock();
	if (ok)
		return tell_guest(e, chunk);
	free_out(e, e->out_count);
	return -XEN_EINVAL;
}

/* ---- the call ----------------------------------------------------------------------- */

static bool orders_ok(const struct xen_memory_exchange *x)
{
	uint64_t in, out;

	if (x->in.extent_order > MM_MAX_ORDER || x->out.extent_order > MM_MAX_ORDER)
		return false;
	if (x->in.nr_extents >> 40 || x->out.nr_extents >> 40 || x->in.domid != x->out.domid)
		return false;
	in = x->in.nr_extents << x->in.extent_order;
	out = x->out.nr_extents << x->out.extent_order;
	return in == out && x->nr_exchanged <= x->in.nr_extents;
}

static int run_chunks(struct exchange *e)
{
	uint64_t chunk = e->x.nr_exchanged / e->in_count;
	uint64_t chunks = e->x.in.nr_extents / e->in_count;
	int error = 0;

	for (bool first = true; chunk < chunks && !error; first = false) {
		if (!first && hypercall_preempt())
			return -XEN_ERESTART;
		error = exchange_chunk(e, chunk);
		if (!error)
			e->x.nr_exchanged = ++chunk * e->in_count;
	}
	return error;
}

static int with_buffers(struct exchange *e)
{
	int error = -XEN_ENOMEM;

	e->order = MAX(e->x.in.extent_order, e->x.out.extent_order);
	e->in_count = 1ull << (e->order - e->x.in.extent_order);
	e->out_count = 1ull << (e->order - e->x.out.extent_order);
	e->in = hv_alloc(e->in_count * sizeof(*e->in));
	e->out = hv_alloc(e->out_count * sizeof(*e->out));
	if (e->in && e->out)
		error = run_chunks(e);
	hv_free(e->in, e->in_count * sizeof(*e->in));
	hv_free(e->out, e->out_count * sizeof(*e->out));
	return error;
}

long memory_exchange(uint64_t cmd, uint64_t arg_va)
{
	struct exchange e = {0};
	int error;

	if (guest_read(&e.x, arg_va))
		return -XEN_EFAULT;
	if (!orders_ok(&e.x))
		return -XEN_EINVAL;
	e.d = domain_named(e.x.in.domid, &error);
	if (!e.d)
		return error;
	error = with_buffers(&e);
	domain_put(e.d);
	if (guest_write(arg_va + offsetof(struct xen_memory_exchange, nr_exchanged),
			&e.x.nr_exchanged))
		return -XEN_EFAULT;
	return error == -XEN_ERESTART ? hypercall_restart(cmd, arg_va, 0, 0) : error;
}
