/* grant_op.c: GNTTABOP_*: what guests ask of grant tables, decoded.
 *
 * Arguments, one or a list, are copied in, done and copied back here, unmaps by batches; between
 * such steps a list may stop. The outcome for the guest is a GNTST_* in its argument; the
 * hypercall's own result says only whether that could be read and written, and what is refused.
 *
 * Called by dispatch.c. Calls grant.c, grant_map.c, grant_copy.c.
 */
#include <amphi/string.h>

#include "grant_pins.h"
#include "guest.h"
#include "percpu.h"

#define BATCH 16u /* unmaps for one flush */

/* Frames first.. of d's table, or of its status, into a list at va; those it does not have yet are
 * made. */
static int list_frames(struct domain *d, bool status, uint32_t first, uint32_t n, uint64_t va)
{
	int error = 0;
	mfn_t mfn;
	uint32_t i;

	for (i = 0; !error && i < n; i++) {
		error = status ? grant_status_frame(d, first + i, &mfn)
			       : grant_frame(d, first + i, &mfn);
		if (!error)
			error = guest_write(va + i * sizeof(mfn.v), &mfn.v);
	}
	return error;
}

static int16_t list_status(int error)
{
	return !error                 ? GNTST_okay
	       : error == -XEN_EFAULT ? GNTST_bad_virt_addr
				      : GNTST_general_error;
}

/* The domain an operation is about, referenced; NULL with the reason. */
static struct domain *target(domid_t id, int16_t *out_status)
{
	struct domain *d;
	int error;

	d = domain_named(id, &error);
	*out_status = d                     ? GNTST_okay
		      : error == -XEN_EPERM ? GNTST_permission_denied
					    : GNTST_bad_domain;
	return d;
}

static int setup_table(struct grant_item *item)
{
	struct gnttab_setup_table *op = &item->arg.setup;
	struct domain *d = target(op->dom, &op->status);
	int error = -XEN_EINVAL;

	if (!d)
		return 0;
	if (op->nr_frames <= d->grants.max_frames)
		error = list_frames(d, false, 0, op->nr_frames, handle_at(op->frame_list, 0));
	domain_put(d);
	op->status = list_status(error);
	return 0;
}

/* Only of those that are there: with version 1 none. */
static int get_status_frames(struct grant_item *item)
{
	struct gnttab_get_status_frames *op = &item->arg.status_frames;
	struct domain *d = target(op->dom, &op->status);
	int error = -XEN_EINVAL;

	if (!d)
		return 0;
	if (op->nr_frames <= d->grants.n_status)
		error = list_frames(d, true, 0, op->nr_frames, handle_at(op->frame_list, 0));
	domain_put(d);
	op->status = list_status(error);
	return 0;
}

static int query_size(struct grant_item *item)
{
	struct gnttab_query_size *op = &item->arg.query;
	struct domain *d = target(op->dom, &op->status);

	if (!d)
		return 0;
	op->nr_frames = d->grants.n_frames;
	op->max_nr_frames = d->grants.max_frames;
	domain_put(d);
	return 0;
}

/* The version there is now goes back whatever happens. */
static int set_version(struct grant_item *item)
{
	struct domain *d = current_domain();
	uint32_t version = item->arg.set.version;
	int error = 0;

	item->arg.set.version = d->grants.version;
	if (version != 1 && version != 2)
		return -XEN_EINVAL;
	if (version == 2 && d->grants.max_version < 2)
		return -XEN_ENOSYS;
	if (version != d->grants.version)
		error = grant_set_version(d, version);
	item->arg.set.version = d->grants.version;
	return error;
}

static int get_version(struct grant_item *item)
{
	struct domain *d;
	int error;

	d = domain_named(item->arg.get.dom, &error);
	if (!d)
		return error;
	item->arg.get.version = d->grants.version;
	domain_put(d);
	return 0;
}

static int swap_grant_ref(struct grant_item *item)
{
	struct gnttab_swap_grant_ref *op = &item->arg.swap;

	op->status = grant_swap(current_domain(), op->ref_a, op->ref_b);
	return 0;
}

/* A builder gets at the table of a domain before that runs. */
long grant_acquire_resource(uint64_t cmd, uint64_t arg_va)
{
	struct xen_mem_acquire_resource r;
	struct domain *d;
	bool status;
	int error;

	if (guest_read(&r, arg_va))
		return -XEN_EFAULT;
	status = r.id == XENMEM_resource_grant_table_id_status;
	if (r.type != XENMEM_resource_grant_table ||
	    (!status && r.id != XENMEM_resource_grant_table_id_shared))
		return -XEN_EOPNOTSUPP;
	if (r.pad || r.frame > GRANT_MAX_FRAMES || r.nr_frames > GRANT_MAX_FRAMES)
		return -XEN_EINVAL;
	d = domain_named(r.domid, &error);
	if (!d)
		return error;
	if (handle_null(r.frame_list)) {
		r.nr_frames = d->grants.max_frames;
		if (status)
			r.nr_frames = grant_status_frames(r.nr_frames);
		error = guest_write(arg_va, &r);
	} else {
		error = list_frames(d, status, (uint32_t)r.frame, r.nr_frames,
				    handle_at(r.frame_list, 0));
	}
	domain_put(d);
	return error;
}

/* ---- the table ------------------------------------------------------------------------- */

static const struct grant_op {
	int (*fn)(struct grant_item *item);
	void (*end)(struct grant_item *item); /* after the flush; may be NULL */
	int (*list)(uint64_t at, uint32_t n); /* instead of both: copies in and out itself */
	uint8_t bytes;                        /* of the argument */
	uint8_t batch; /* so many between two looks whether to stop; 0: exactly one */
} ops[] = {
#define OP(name, fn, end, batch)                                                                   \
	[GNTTABOP_##name] = {fn, end, NULL, sizeof(struct gnttab_##name), batch}
    OP(map_grant_ref, grant_map, NULL, 1),
    OP(unmap_grant_ref, grant_unmap, grant_unmap_end, BATCH),
    OP(unmap_and_replace, grant_unmap, grant_unmap_end, BATCH),
    [GNTTABOP_copy] = {NULL, NULL, grant_copy, sizeof(struct gnttab_copy), GRANT_COPY_LIST},
    OP(setup_table, setup_table, NULL, 0),
    OP(query_size, query_size, NULL, 0),
    OP(set_version, set_version, NULL, 0),
    OP(get_version, get_version, NULL, 0),
    OP(get_status_frames, get_status_frames, NULL, 0),
    OP(swap_grant_ref, swap_grant_ref, NULL, 1),
#undef OP
};

/* All n are done, one flush, and only then what may come after it. Those before the first that
 * cannot be read are done, and say so; so does one that fails the call. */
static int run(const struct grant_op *op, uint32_t cmd, uint64_t at, uint32_t n)
{
	struct grant_item items[BATCH];
	uint8_t gone = 0;
	int error = 0, failed = 0;
	uint32_t i, got;

	for (got = 0; got < n && !failed;) {
		memset(&items[got], 0, sizeof(items[got]));
		items[got].cmd = cmd;
		failed = guest_copy_from(&items[got].arg, at + got * op->bytes, op->bytes);
		if (failed)
			break;
		failed = op->fn(&items[got]);
		gone |= items[got++].gone;
	}
	if (gone & GNTMAP_host_map)
		tlb_flush_vcpus(current_domain(), TLB_ALL_VCPUS);
	for (i = 0; i < got; i++) {
		if (op->end)
			op->end(&items[i]);
		error |= guest_copy_to(at + i * op->bytes, &items[i].arg, op->bytes);
	}
	return failed ? failed : error;
}

long hc_grant_table_op(uint64_t cmd, uint64_t list_va, uint64_t count)
{
	const struct grant_op *op = &ops[MIN(cmd, ARRAY_SIZE(ops) - 1)];
	uint64_t done = 0;
	uint32_t n;
	int error;

	if (cmd >= ARRAY_SIZE(ops) || (!op->fn && !op->list))
		return -XEN_ENOSYS;
	if (count > INT32_MAX || (!op->batch && count != 1))
		return -XEN_EINVAL;
	while (done < count && !(done && hypercall_preempt())) {
		n = (uint32_t)MIN(count - done, MAX(op->batch, 1u));
		error = op->list ? op->list(list_va + done * op->bytes, n)
				 : run(op, (uint32_t)cmd, list_va + done * op->bytes, n);
		if (error)
			return error;
		done += n;
	}
	if (done < count)
		return hypercall_restart(cmd, list_va + done * op->bytes, count - done, 0);
	return 0;
}
