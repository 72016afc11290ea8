/* host_iospace.c: host_iospace.h in a domain of amphi-hv: lists of pages as operations of the hypercall.
 *
 * Caller: iommu/dma_io.c, in the worker; iospace_start by who starts the drivers. Calls iospace.h's hypercall, mm.h, host_grant.h. Pages that are neighbours for the device and
 * in the machine are one operation. A list that fails in the middle is undone, so that the caller has none of it.
 *
 * A function that leaves its space must reach nothing: it goes to a context that stays empty, of which there is one for each unit. Context 0 would not do, as the first
 * domain's is all of memory.
 *
 * A function of which no unit can tell another of ours cannot have a space of its own: it is found out by asking, and goes where that one is.
 */
#include <amphi/dma.h>
#include <amphi/error_name.h>
#include <amphi/host_iospace.h>
#include <amphi/hypercall.h>
#include <amphi/iospace.h>
#include <amphi/machine.h>
#include <amphi/pcifront.h>

#include "console.h"
#include "host_grant.h"
#include "host_iospace.h"
#include "mm.h"

#define EMPTY_MAX 8u
#define NOWHERE   ~0u /* no segment has a unit's function by that number */

/* A page each at most, and a flush. */
static struct iospace_op ops[HOST_IOSPACE_BATCH + 1];
static struct made {
	uint32_t context;
	unsigned
	    users; /* calls of host_iospace_new that it was the answer to, and of _free none yet */
} made[IOSPACE_CONTEXTS];
static unsigned n_made;
static uint32_t empty[EMPTY_MAX];
static unsigned n_empty;
static bool is_started;

/* A function that another domain lends us goes by a number of its own here. */
static uint32_t sbdf_of(uint16_t bdf)
{
	uint32_t sbdf = bdf;

	if (!machine_has_devices() && !pcifront_machine(bdf, &sbdf))
		return NOWHERE;
	return sbdf;
}

static int one(struct iospace_op *op)
{
	int err;

	op->status = -XEN_EIO;
	err = (int)hypercall_iospace_op(op, 1);
	return err ? err : op->status;
}

/* ---- spaces ---------------------------------------------------------------------------------------- */

static int alloc(uint16_t bdf, uint32_t *out_context)
{
	struct iospace_op op = {.cmd = IOSPACE_alloc, .u.alloc = {.sbdf = sbdf_of(bdf)}};
	int err = one(&op);

	*out_context = op.u.alloc.context;
	return err;
}

static int attach(uint16_t bdf, uint32_t context)
{
	struct iospace_op op = {.cmd = IOSPACE_attach,
				.u.attach = {.sbdf = sbdf_of(bdf), .context = context}};

	return one(&op);
}

static int free_context(uint32_t context)
{
	struct iospace_op op = {.cmd = IOSPACE_free, .u.free = {.context = context}};

	return one(&op);
}

static void forget(struct made *m)
{
	*m = made[--n_made];
}

/* Those whose last function did not leave may have lost it since. */
static void sweep(void)
{
	for (unsigned i = n_made; i--;)
		if (!made[i].users && !free_context(made[i].context))
			forget(&made[i]);
}

int host_iospace_free(uint32_t space)
{
	struct made *m = made;
	int err;

	while (m < made + n_made && m->context != space)
		m++;
	if (m == made + n_made)
		return -XEN_ENOENT;
	if (m->users > 1) {
		m->users--;
		return 0;
	}
	err = free_context(space);
	if (err && err != -XEN_EBUSY)
		return err;
	m->users = 0;
	if (!err)
		forget(m);
	return 0;
}

/* The one that is refused a space of its own has a companion somewhere. Not in one of ours: it is in context 0, which is memory then, or it would be
 * nowhere; and there both work as they are. Where it was given up it is with those that reach nothing. */
static int join(uint16_t bdf, uint32_t *out_space)
{
	for (unsigned i = 0; i < n_made; i++) {
		int err = attach(bdf, made[i].context);

		if (err == -XEN_EBUSY || err == -XEN_EXDEV)
			continue;
		made[i].users += !err;
		*out_space = made[i].context;
		return err;
	}
	for (unsigned i = 0; i < n_empty; i++)
		if (!attach(bdf, empty[i]))
			return -XEN_EBUSY;
	return -XEN_ENODEV;
}

/* A function that is not ours to put anywhere goes as the hypervisor has it; so does one that no unit has. */
int host_iospace_new(uint16_t bdf, uint32_t *out_space)
{
	int err;

	sweep();
	err = alloc(bdf, out_space);
	if (err)
		return err == -XEN_EPERM ? -XEN_ENODEV : err;
	err = attach(bdf, *out_space);
	if (!err) {
		made[n_made++] = (struct made){.context = *out_space, .users = 1};
		return 0;
	}
	(void)free_context(*out_space);
	return err == -XEN_EBUSY ? join(bdf, out_space) : err;
}

bool host_iospace_reserved(uint16_t bdf, unsigned n, uint64_t *out_start, uint64_t *out_end)
{
	struct iospace_op op = {.cmd = IOSPACE_reserved,
				.u.reserved = {.sbdf = sbdf_of(bdf), .index = n}};
	int err = one(&op);

	*out_start = op.u.reserved.start;
	*out_end = op.u.reserved.end;
	return !err;
}

int host_iospace_leave(uint16_t bdf)
{
	int err = -XEN_EXDEV;

	for (unsigned i = 0; i < n_empty && err == -XEN_EXDEV; i++)
		err = attach(bdf, empty[i]);
	if (err != -XEN_EXDEV)
		return err;
	if (n_empty == EMPTY_MAX)
		return -XEN_ENOSPC;
	err = alloc(bdf, &empty[n_empty]);
	if (err)
		return err;
	return attach(bdf, empty[n_empty++]);
}

unsigned host_iospace_tables(uint16_t bdf)
{
	struct iospace_op op = {.cmd = IOSPACE_query, .u.query = {.sbdf = sbdf_of(bdf)}};

	return one(&op) ? 0 : op.u.query.tables;
}

/* ---- pages ----------------------------------------------------------------------------------------- */

static unsigned flags_of(unsigned rights)
{
	return (rights & HOST_IOSPACE_READ ? IOSPACE_READ : 0) |
	       (rights & HOST_IOSPACE_WRITE ? IOSPACE_WRITE : 0);
}

static void describe(struct iospace_op *op, uint32_t space, const struct host_iospace_page *page)
{
	const struct granted *g = granted_at(page->va);

	*op = (struct iospace_op){.cmd = IOSPACE_map,
				  .flags = (uint16_t)flags_of(page->rights),
				  .status = -XEN_EIO,
				  .u.map = {.context = space, .count = 1, .dma = page->dma}};
	if (!g) {
		op->u.map.frame = virt_to_maddr(page->va).v >> PAGE_SHIFT;
		return;
	}
	op->flags |= IOSPACE_GREF;
	op->u.map.grant.ref = g->ref;
	op->u.map.grant.domain = g->owner;
}

/* Whether op goes on where the one before it ends, both being of frames. Pages of one space are fewer than make a large one, so each can be undone by
 * itself. */
static bool goes_on(const struct iospace_op *before, const struct iospace_op *op)
{
	const struct iospace_map *a = &before->u.map, *b = &op->u.map;

	return before->flags == op->flags && !(op->flags & IOSPACE_GREF) &&
	       a->dma + a->count * PAGE_SIZE == b->dma && a->frame + a->count == b->frame;
}

static int first_error(unsigned n, int err)
{
	for (unsigned i = 0; i < n && !err; i++)
		err = ops[i].status;
	return err;
}

/* Those of n maps that were made; the flush is the call's. */
static void undo(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct iospace_map map = ops[i].u.map;

		if (ops[i].status)
			continue;
		ops[i].cmd = IOSPACE_unmap;
		ops[i].flags = 0;
		ops[i].u.unmap = (struct iospace_unmap){
		    .context = map.context, .count = map.count, .dma = map.dma};
		(void)one(&ops[i]);
	}
}

int host_iospace_map(uint32_t space, const struct host_iospace_page *pages, unsigned count)
{
	unsigned n = 0;
	int err;

	for (unsigned i = 0; i < count; i++) {
		describe(&ops[n], space, &pages[i]);
		if (n && goes_on(&ops[n - 1], &ops[n]))
			ops[n - 1].u.map.count++;
		else
			n++;
	}
	err = first_error(n, (int)hypercall_iospace_op(ops, n));
	if (err)
		undo(n);
	return err;
}

int host_iospace_unmap(uint32_t space, const uint64_t *dma, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		struct iospace_unmap *last = n ? &ops[n - 1].u.unmap : NULL;

		if (last && last->dma + last->count * PAGE_SIZE == dma[i]) {
			last->count++;
			continue;
		}
		ops[n++] =
		    (struct iospace_op){.cmd = IOSPACE_unmap,
					.flags = IOSPACE_NO_FLUSH,
					.status = -XEN_EIO,
					.u.unmap = {.context = space, .count = 1, .dma = dma[i]}};
	}
	ops[n++] = (struct iospace_op){
	    .cmd = IOSPACE_flush_all, .status = -XEN_EIO, .u.flush = {.context = space}};
	return first_error(n, (int)hypercall_iospace_op(ops, n));
}

/* ---- start ----------------------------------------------------------------------------------------- */

/* Any operation tells whether there is somebody to do it: the call itself fails where there is not. */
void iospace_start(enum dma_policy policy)
{
	struct iospace_op op = {.cmd = IOSPACE_query};

	if (policy == DMA_POLICY_DIRECT || hypercall_iospace_op(&op, 1))
		return;
	klog(LOG_INFO, "iospace: devices of ours have spaces of their own, %s",
	     policy == DMA_POLICY_LAZY ? "lazy" : "strict");
	iospace_watch_faults();
	dma_io_start(policy);
	is_started = true;
}

void iospace_drain(void)
{
	if (is_started)
		dma_io_drain();
}
