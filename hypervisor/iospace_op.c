/* iospace_op.c: IOSPACE_*: what guests ask of IO spaces, decoded; a list of operations by batches, with one flush each.
 *
 * Operations are copied in by batches, done, and what they have unmapped is flushed before the batch is copied back, so that no
 * status says more than is true; between batches the call may stop and restart. Called by dispatch.c. Calls iospace.c,
 * iospace_map.c, iospace_fault.c, and iommu_device.c for whose a function is.
 */
#include "iospace_private.h"

#include "guest.h"
#include "percpu.h"

/* The caller's function. Segments other than 0 have none. */
static int function(const struct domain *d, uint32_t sbdf, struct io_device **out)
{
	*out = sbdf >> 16 ? NULL : io_device_of(d, (uint16_t)sbdf);
	if (!*out)
		return -XEN_EPERM;
	return (*out)->unit ? 0 : -XEN_ENODEV;
}

/* ---- operations of functions ----------------------------------------------------------------------- */

static int do_query(struct domain *d, struct iospace_op *op)
{
	struct iospace_query *q = &op->u.query;
	const struct iommu_traits *traits;
	struct io_device *dev;
	int error = function(d, q->sbdf, &dev);

	if (error)
		return error;
	traits = iommu_traits(dev->unit);
	q->address_bits = traits->address_bits;
	q->contexts_left = (uint16_t)(IOSPACE_CONTEXTS - 1 - d->iospace.n_contexts);
	q->page_sizes = PAGE_SIZE | (traits->large_2m ? 1ull << 21 : 0);
	q->tables_left = iospace_left(d);
	q->tables = d->iospace.n_tables;
	return 0;
}

static int do_alloc(struct domain *d, struct iospace_op *op)
{
	struct iospace_context *c;
	struct io_device *dev;
	int error = function(d, op->u.alloc.sbdf, &dev) ?: iospace_new(d, dev->unit, &c);

	if (!error)
		op->u.alloc.context = c->number;
	return error;
}

/* One that is closing is found here, and nowhere else: the freeing goes on. */
static int do_free(struct domain *d, struct iospace_op *op)
{
	uint32_t number = op->u.free.context;
	struct iospace_context *c = number < IOSPACE_CONTEXTS ? d->iospace.context[number] : NULL;

	return c ? iospace_end(c) : -XEN_ENOENT;
}

/* After an error it is where it was, or nowhere. */
static int do_attach(struct domain *d, struct iospace_op *op)
{
	const struct iospace_attach *a = &op->u.attach;
	struct iospace_context *c = iospace_find(d, a->context);
	struct iommu_space *before;
	struct io_device *dev;
	int error = function(d, a->sbdf, &dev);

	if (error)
		return error;
	if (a->context && !c)
		return -XEN_ENOENT;
	if (c && c->unit != dev->unit)
		return -XEN_EXDEV;
	before = dev->space;
	error = io_device_enter(dev, c ? c->space : NULL);
	if (!error || dev->space != before)
		dev->context = error ? NULL : c;
	if (c)
		iospace_count(c);
	return error;
}

static int do_reserved(struct domain *d, struct iospace_op *op)
{
	struct iospace_reserved *r = &op->u.reserved;
	struct iospace_range range;
	struct io_device *dev;
	int error = function(d, r->sbdf, &dev);

	if (error)
		return error;
	if (!iospace_window(dev->unit, r->index, &range))
		return -XEN_ENOENT;
	r->start = range.start;
	r->end = range.end;
	op->flags = (uint16_t)range.rights;
	return 0;
}

/* ---- operations of contexts ------------------------------------------------------------------------ */

/* All of them have its number first. */
_Static_assert(offsetof(struct iospace_map, context) == 0 &&
		   offsetof(struct iospace_unmap, context) == 0 &&
		   offsetof(struct iospace_lookup, context) == 0 &&
		   offsetof(struct iospace_flush, context) == 0,
	       "one place");

static int of_context(struct domain *d, const struct iospace_op *op, struct iospace_context **out)
{
	uint32_t number = op->u.flush.context;

	*out = iospace_find(d, number);
	return *out ? 0 : number ? -XEN_ENOENT : -XEN_EACCES;
}

static int do_map(struct domain *d, struct iospace_op *op)
{
	struct iospace_context *c;

	return of_context(d, op, &c) ?: iospace_do_map(c, op);
}

/* The flush comes with the batch: here only what it has to reach. */
static int do_unmap(struct domain *d, struct iospace_op *op)
{
	const struct iospace_unmap *u = &op->u.unmap;
	uint64_t end = u->dma + ((uint64_t)u->count << PAGE_SHIFT);
	struct iospace_context *c;
	int error = of_context(d, op, &c) ?: iospace_do_unmap(c, op);

	if (error || (op->flags & IOSPACE_NO_FLUSH))
		return error;
	c->owing_from = c->owing ? MIN(c->owing_from, u->dma) : u->dma;
	c->owing_to = c->owing ? MAX(c->owing_to, end) : end;
	c->owing = true;
	return 0;
}

static int do_lookup(struct domain *d, struct iospace_op *op)
{
	struct iospace_context *c;

	return of_context(d, op, &c) ?: iospace_do_lookup(c, op);
}

static int flush_len(struct domain *d, const struct iospace_op *op, uint64_t count)
{
	const struct iospace_flush *f = &op->u.flush;
	struct iospace_context *c;
	int error = of_context(d, op, &c);

	if (error)
		return error == -XEN_EACCES ? 0 : error;
	if ((f->dma & ~PAGE_MASK) || f->dma + (count << PAGE_SHIFT) < f->dma)
		return -XEN_EINVAL;
	return iospace_flush(c, f->dma, count << PAGE_SHIFT);
}

static int do_flush_entry(struct domain *d, struct iospace_op *op)
{
	return flush_len(d, op, 1);
}

static int do_flush_range(struct domain *d, struct iospace_op *op)
{
	return op->u.flush.count ? flush_len(d, op, op->u.flush.count) : -XEN_EINVAL;
}

static int do_flush_all(struct domain *d, struct iospace_op *op)
{
	op->u.flush.dma = 0;
	return flush_len(d, op, 0);
}

/* ---- the list -------------------------------------------------------------------------------------- */

static const struct {
	int (*fn)(struct domain *d, struct iospace_op *op);
	uint16_t flags; /* that it knows */
} ops[] = {
    [IOSPACE_query] = {do_query, 0},
    [IOSPACE_alloc] = {do_alloc, 0},
    [IOSPACE_free] = {do_free, 0},
    [IOSPACE_attach] = {do_attach, 0},
    [IOSPACE_map] = {do_map, IOSPACE_READ | IOSPACE_WRITE | IOSPACE_HANDLE | IOSPACE_GREF |
				 IOSPACE_NO_FLUSH},
    [IOSPACE_unmap] = {do_unmap, IOSPACE_NO_FLUSH},
    [IOSPACE_lookup] = {do_lookup, 0},
    [IOSPACE_flush_entry] = {do_flush_entry, 0},
    [IOSPACE_flush_range] = {do_flush_range, 0},
    [IOSPACE_flush_all] = {do_flush_all, 0},
    [IOSPACE_next_fault] = {iospace_next_fault, 0},
    [IOSPACE_reserved] = {do_reserved, 0},
};

static int run(struct domain *d, struct iospace_op *op)
{
	if (op->cmd >= ARRAY_SIZE(ops) || !ops[op->cmd].fn)
		return -XEN_ENOSYS;
	if (op->flags & ~ops[op->cmd].flags)
		return -XEN_EINVAL;
	return ops[op->cmd].fn(d, op);
}

/* One flush for what a batch has unmapped in a context. Those whose pages could not be had back say so. */
static void settle(struct domain *d, struct iospace_op *op, unsigned n)
{
	for (unsigned k = 1; k < IOSPACE_CONTEXTS; k++) {
		struct iospace_context *c = d->iospace.context[k];

		if (c)
			c->pruned = false;
		if (!c || !c->owing)
			continue;
		c->owing = false;
		if (!iospace_flush(c, c->owing_from, c->owing_to - c->owing_from))
			continue;
		for (unsigned i = 0; i < n; i++)
			if (op[i].cmd == IOSPACE_unmap && op[i].u.unmap.context == k &&
			    !op[i].status && !(op[i].flags & IOSPACE_NO_FLUSH))
				op[i].status = -XEN_EIO;
	}
}

/* out_done: how many of the n, unless it fails; fewer when the next has to go on in another call. */
static int batch(struct domain *d, uint64_t at, unsigned n, unsigned *out_done)
{
	struct iospace_op op[IOSPACE_BATCH];
	unsigned done;

	if (guest_copy_from(op, at, n * sizeof(op[0])))
		return -XEN_EFAULT;
	for (done = 0; done < n; done++) {
		op[done].status = run(d, &op[done]);
		if (op[done].status == -XEN_ERESTART)
			break;
	}
	settle(d, op, done);
	*out_done = done;
	return guest_copy_to(at, op, done * sizeof(op[0]));
}

long hc_iospace_op(uint64_t list_va, uint64_t count)
{
	struct domain *d = current_domain();
	uint64_t done = 0;
	unsigned n, got;
	int error;

	if (!iommu_is_on())
		return -XEN_ENODEV;
	if (count > INT32_MAX)
		return -XEN_EINVAL;
	while (done < count && !(done && hypercall_preempt())) {
		n = (unsigned)MIN(count - done, (uint64_t)IOSPACE_BATCH);
		error = batch(d, list_va + done * sizeof(struct iospace_op), n, &got);
		if (error)
			return error;
		done += got;
		if (got < n)
			break;
	}
	if (done < count)
		return hypercall_restart(list_va + done * sizeof(struct iospace_op), count - done,
					 0, 0);
	return 0;
}
