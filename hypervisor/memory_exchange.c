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

/* Either one given block of 2^n frames becomes 2^n single ones, or the other way round, or the
 * orders are equal: with the larger order as the chunk's size one side has exactly one extent. */
struct exchange {
	struct xen_memory_exchange x;
	struct domain *d;
	uint64_t in_count, out_count; /* extents in a chunk */
	uint64_t pages;               /* in a given extent */
	xen_pfn_t *in;                /* of this chunk: given frames, */
	struct page_info **out;       /* and the new ones */
};

/* ---- one chunk ---------------------------------------------------------------------- */

static mfn_t given(const struct exchange *e, uint64_t i)
{
	return (mfn_t){e->in[i / e->pages] + i % e->pages};
}

/* Frames found but never given to the domain: they are still as frames_alloc made them. */
static void free_out(struct exchange *e, uint64_t count)
{
	while (count--)
		frames_free(e->out[count], e->x.out.extent_order);
}

/* Owned, and referred to by nothing: no entry, no pin, no grant. A frame named twice would pass the
 * check twice, so each is marked as it passes. */
static bool can_give_all(struct exchange *e)
{
	uint64_t n = 0, pages = e->in_count * e->pages;
	bool ok = true;

	for (; ok && n < pages; n += ok) {
		mfn_t mfn = given(e, n);
		struct page_info *page = mfn_to_page(mfn);

		ok = mfn_valid(mfn) && page->owner == e->d && page->flags == PG_ALLOCATED &&
		     page->count == 1 && page->type_count == 0;
		if (ok)
			page->count++;
	}
	while (n--)
		mfn_to_page(given(e, n))->count--;
	return ok;
}

/* For a moment the domain has more frames than its limit; nobody can ask, the lock is held. Giving
 * up goes last: it cannot fail any more, can_give_all has seen to that. */
static int swap_frames(struct exchange *e)
{
	int error = mm_begin(e->d);

	if (error)
		return error;
	if (e->d->dying || !can_give_all(e))
		error = -XEN_EINVAL;
	for (uint64_t i = 0; !error && i < e->out_count; i++)
		frames_give_domain(e->d, e->out[i], e->x.out.extent_order);
	for (uint64_t i = 0; !error && i < e->in_count * e->pages; i++)
		frame_release(mfn_to_page(given(e, i)));
	mm_unlock();
	return error;
}

/* The list of given frames is copied once: what is checked must be what is given up, and it lies in
 * memory that the guest may write to meanwhile. New frames are found without mm's lock, which is
 * why that comes before anything is changed. */
static int exchange_chunk(struct exchange *e, uint64_t chunk)
{
	int error;

	if (handle_read_n(e->in, e->x.in.extent_start, chunk * e->in_count, e->in_count))
		return -XEN_EFAULT;
	for (uint64_t i = 0; i < e->out_count; i++) {
		e->out[i] = frames_alloc(e->x.out.extent_order, memory_limit(e->x.out.mem_flags));
		if (e->out[i])
			continue;
		free_out(e, i);
		return -XEN_ENOMEM;
	}
	error = swap_frames(e);
	if (error) {
		free_out(e, e->out_count);
		return error;
	}
	/* The frames are the guest's in any case; a list it cannot read back is its loss. */
	for (uint64_t i = 0; i < e->out_count; i++) {
		uint64_t at = chunk * e->out_count + i;
		xen_pfn_t pfn, mfn = page_to_mfn(e->out[i]).v;

		if (handle_read(&pfn, e->x.out.extent_start, at) ||
		    handle_write(e->x.out.extent_start, at, &mfn))
			return -XEN_EFAULT;
		for (uint64_t k = 0; k < 1ull << e->x.out.extent_order; k++)
			m2p_set((mfn_t){mfn + k}, pfn + k);
	}
	return 0;
}

/* ---- the call ----------------------------------------------------------------------- */

/* With fewer than 2^40 extents of at most 2^10 frames none of the sums here or below overflows. The
 * sizes agree, so that the whole is a whole number of chunks. */
static bool orders_ok(const struct xen_memory_exchange *x)
{
	const struct xen_memory_reservation *in = &x->in, *out = &x->out;

	return in->extent_order <= MM_MAX_ORDER && out->extent_order <= MM_MAX_ORDER &&
	       !(in->nr_extents >> 40) && !(out->nr_extents >> 40) && in->domid == out->domid &&
	       in->nr_extents << in->extent_order == out->nr_extents << out->extent_order &&
	       x->nr_exchanged <= in->nr_extents;
}

static int run_chunks(struct exchange *e)
{
	unsigned in = e->x.in.extent_order, out = e->x.out.extent_order;
	uint64_t first, chunk;
	int error = 0;

	e->pages = 1ull << in;
	e->in_count = 1ull << (MAX(in, out) - in);
	e->out_count = 1ull << (MAX(in, out) - out);
	e->in = hv_alloc(e->in_count * sizeof(*e->in));
	e->out = hv_alloc(e->out_count * sizeof(*e->out));
	if (!e->in || !e->out)
		error = -XEN_ENOMEM;
	/* By nr_exchanged a restart knows where to go on; Xen's ABI has the caller set it to 0. */
	first = chunk = e->x.nr_exchanged / e->in_count;
	while (!error && chunk < e->x.in.nr_extents / e->in_count) {
		if (chunk > first && hypercall_preempt())
			error = -XEN_ERESTART;
		else
			error = exchange_chunk(e, chunk);
		if (!error)
			e->x.nr_exchanged = ++chunk * e->in_count;
	}
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
	error = run_chunks(&e);
	domain_put(e.d);
	if (guest_write(arg_va + offsetof(struct xen_memory_exchange, nr_exchanged),
			&e.x.nr_exchanged))
		return -XEN_EFAULT;
	return error == -XEN_ERESTART ? hypercall_restart(cmd, arg_va, 0, 0) : error;
}
