/* xen_queue.c: hypercalls that may wait, and go out together: lazy mode and switches of programs.
 *
 * Called by the operations of xen_mmu.c and xen_pv.c and through mmu.lazy_mode_* and cpu.*_context_switch. One
 * queue a CPU, a page of memory taken when the CPU first wants to put something off; without it calls are
 * made at once, which is slow and right. What may not happen in between is said in amphi/pvops.def.
 *
 *   lazy_mode_enter ... set_pte, set_pte, flush_tlb_one ... leave:  multicall {mmu_update {2}, mmuext_op {1}}
 *   start_context_switch ... load_sp0, activate_mm ... end:         multicall {stack_switch, mmuext_op {2}}
 */
#include <amphi/percpu.h>

#include "impl.h"
#include "xen_parts.h"

#define UPDATES 96u
#define EXT_OPS 16u

struct xen_queue {
	unsigned
	    modes; /* enum xen_mode; what CPU state and page tables put off goes out in one order */
	unsigned n_updates, n_ops;
	struct hypercall_batch batch;
	/* What the calls in it point to. Begins anew after each flush. */
	struct mmu_update updates[UPDATES];
	struct mmuext_op ops[EXT_OPS];
};
_Static_assert(sizeof(struct xen_queue) <= PAGE_SIZE, "alloc_page");

static struct xen_queue *queues[CPUS_MAX];

void xen_must(const char *op, int64_t result)
{
	if (result < 0)
		pvops_refused(op, result);
}

struct xen_queue *xen_queue(enum xen_mode mode)
{
	struct xen_queue *queue = queues[this_cpu()->cpu];

	return queue && queue->modes & mode ? queue : NULL;
}

/* A refusal is told by the hypercall's name: who asked for it has long gone on. */
static void flush(struct xen_queue *queue)
{
	const char *name;

	if (hypercall_batch_flush(&queue->batch) < 0) {
		name = hypercall_name(queue->batch.failed);
		pvops_refused(name ? name : "a multicall", queue->batch.first_error);
	}
	queue->n_updates = queue->n_ops = 0;
}

struct hypercall_batch *xen_queue_room(struct xen_queue *queue)
{
	if (queue->batch.n == HYPERCALL_BATCH)
		flush(queue);
	return &queue->batch;
}

/* The last call queued, when it is of that number: then its array ends where ours goes on. */
static struct multicall_entry *last_call(struct xen_queue *queue, uint64_t nr)
{
	struct multicall_entry *last;

	if (!queue->batch.n)
		return NULL;
	last = &queue->batch.entries[queue->batch.n - 1];
	return last->op == nr ? last : NULL;
}

void xen_queue_update(struct xen_queue *queue, const struct mmu_update *req)
{
	struct multicall_entry *last;
	struct hypercall_batch *batch;

	if (queue->n_updates == UPDATES)
		flush(queue);
	last = last_call(queue, __HYPERVISOR_mmu_update);
	batch = last ? NULL : xen_queue_room(queue);
	queue->updates[queue->n_updates] = *req;
	if (last)
		last->args[1]++;
	else
		batch_mmu_update(batch, &queue->updates[queue->n_updates], 1, NULL, DOMID_SELF);
	queue->n_updates++;
}

static void queue_ext_op(struct xen_queue *queue, const struct mmuext_op *op)
{
	struct multicall_entry *last;
	struct hypercall_batch *batch;

	if (queue->n_ops == EXT_OPS)
		flush(queue);
	last = last_call(queue, __HYPERVISOR_mmuext_op);
	batch = last ? NULL : xen_queue_room(queue);
	queue->ops[queue->n_ops] = *op;
	if (last)
		last->args[1]++;
	else
		batch_mmuext_op(batch, &queue->ops[queue->n_ops], 1, NULL, DOMID_SELF);
	queue->n_ops++;
}

void xen_ext_op(enum xen_mode mode, const char *name, const struct mmuext_op *op)
{
	struct xen_queue *queue = xen_queue(mode);

	if (queue)
		queue_ext_op(queue, op);
	else
		xen_must(name, hypercall_mmuext_op(op, 1, NULL, DOMID_SELF));
}

/* ---- in and out ------------------------------------------------------------------------ */

static void begin(enum xen_mode mode)
{
	struct xen_queue **queue = &queues[this_cpu()->cpu];

	if (!*queue && pv_env->alloc_page)
		*queue = pv_env->alloc_page();
	if (*queue)
		(*queue)->modes |= mode;
}

static void end(enum xen_mode mode)
{
	struct xen_queue *queue = xen_queue(mode);

	if (!queue)
		return;
	flush(queue);
	queue->modes &= ~(unsigned)mode;
}

void xen_lazy_enter(void)
{
	begin(XEN_MMU);
}

void xen_lazy_leave(void)
{
	end(XEN_MMU);
}

void xen_lazy_flush(void)
{
	struct xen_queue *queue = xen_queue(XEN_MMU);

	if (queue)
		flush(queue);
}

void xen_start_context_switch(void)
{
	begin(XEN_CPU);
}

void xen_end_context_switch(void)
{
	end(XEN_CPU);
}
