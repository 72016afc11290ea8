/* grant_op.c: GNTTABOP_*: what guests ask of grant tables, decoded.
 *
 * Lists (map, unmap, replace, copy) go to the files that do them and may stop between elements; the
 * rest take one argument each and are small. The one thing all have in common is that the outcome
 * for the guest is a GNTST_* in its argument, and the hypercall's own result says only whether the
 * argument could be read and written.
 *
 * Called by dispatch.c. Calls grant.c, grant_map.c, grant_copy.c.
 */
#include <amphi/string.h>

#include "grant_pins.h"
#include "guest.h"
#include "percpu.h"

/* The domain an operation is about, referenced; NULL with the reason. */
static struct domain *target(domid_t id, int16_t *out_status)
{
	struct domain *self = current_domain();
	struct domain *d;

	*out_status = GNTST_permission_denied;
	if (id != DOMID_SELF && id != self->id && !self->privileged)
		return NULL;
	d = domain_get(id);
	*out_status = d ? GNTST_okay : GNTST_bad_domain;
	return d;
}

static int write_frames(struct domain *d, const struct gnttab_setup_table *op)
{
	xen_pfn_t frame;
	uint32_t i;

	for (i = 0; i < op->nr_frames; i++) {
		frame = virt_to_mfn(d->grants.shared[i]).v;
		if (handle_write(op->frame_list, i, &frame))
			return -XEN_EFAULT;
	}
	return 0;
}

static long setup_table(uint64_t arg_va)
{
	struct gnttab_setup_table op;
	struct domain *d;
	long error = 0;

	if (guest_read(&op, arg_va))
		return -XEN_EFAULT;
	d = target(op.dom, &op.status);
	if (d && op.nr_frames > d->grants.max_frames)
		op.status = GNTST_general_error;
	else if (d && grant_grow(d, op.nr_frames))
		op.status = GNTST_general_error;
	else if (d)
		error = write_frames(d, &op);
	if (d)
		domain_put(d);
	if (error)
		return error;
	return guest_write(arg_va + offsetof(struct gnttab_setup_table, status), &op.status);
}

static long query_size(uint64_t arg_va)
{
	struct gnttab_query_size op;
	struct domain *d;

	if (guest_read(&op, arg_va))
		return -XEN_EFAULT;
	d = target(op.dom, &op.status);
	if (d) {
		op.nr_frames = d->grants.n_frames;
		op.max_nr_frames = d->grants.max_frames;
		domain_put(d);
	}
	return guest_write(arg_va, &op);
}

static long set_version(uint64_t arg_va)
{
	struct gnttab_set_version op;
	uint32_t asked;

	if (guest_read(&op, arg_va))
		return -XEN_EFAULT;
	asked = op.version;
	op.version = 1;
	if (asked == 1)
		return guest_write(arg_va, &op);
	return asked == 2 ? -XEN_ENOSYS : -XEN_EINVAL;
}

static long get_version(uint64_t arg_va)
{
	struct gnttab_get_version op;
	struct domain *d;
	int16_t status;

	if (guest_read(&op, arg_va))
		return -XEN_EFAULT;
	d = target(op.dom, &status);
	if (!d)
		return status == GNTST_bad_domain ? -XEN_ESRCH : -XEN_EPERM;
	domain_put(d);
	op.version = 1;
	return guest_write(arg_va, &op);
}

/* A builder gets at the table of a domain before that runs. Frames it does not have yet are made.
 */
long grant_acquire_resource(uint64_t cmd, uint64_t arg_va)
{
	struct xen_mem_acquire_resource r;
	struct domain *d;
	xen_pfn_t frame;
	mfn_t mfn;
	uint32_t i;
	int16_t status;
	int error = 0;

	if (guest_read(&r, arg_va))
		return -XEN_EFAULT;
	if (r.type != XENMEM_resource_grant_table || r.id != XENMEM_resource_grant_table_id_shared)
		return -XEN_EOPNOTSUPP;
	if (r.pad || r.frame > GRANT_MAX_FRAMES || r.nr_frames > GRANT_MAX_FRAMES)
		return -XEN_EINVAL;
	d = target(r.domid, &status);
	if (!d)
		return status == GNTST_bad_domain ? -XEN_ESRCH : -XEN_EPERM;
	for (i = 0; !error && !handle_null(r.frame_list) && i < r.nr_frames; i++) {
		error = grant_frame(d, (uint32_t)r.frame + i, &mfn);
		frame = mfn.v;
		if (!error && handle_write(r.frame_list, i, &frame))
			error = -XEN_EFAULT;
	}
	if (handle_null(r.frame_list)) {
		r.nr_frames = d->grants.max_frames;
		error = guest_write(arg_va, &r);
	}
	domain_put(d);
	return error;
}

/* ---- the table ------------------------------------------------------------------------- */

static const struct grant_op {
	long (*list)(uint64_t list_va, uint64_t count);
	long (*one)(uint64_t arg_va);
	uint32_t element_bytes;
} ops[] = {
    [GNTTABOP_map_grant_ref] = {.list = grant_map_list,
				.element_bytes = sizeof(struct gnttab_map_grant_ref)},
    [GNTTABOP_unmap_grant_ref] = {.list = grant_unmap_list,
				  .element_bytes = sizeof(struct gnttab_unmap_grant_ref)},
    [GNTTABOP_unmap_and_replace] = {.list = grant_replace_list,
				    .element_bytes = sizeof(struct gnttab_unmap_and_replace)},
    [GNTTABOP_copy] = {.list = grant_copy_list, .element_bytes = sizeof(struct gnttab_copy)},
    [GNTTABOP_setup_table] = {.one = setup_table},
    [GNTTABOP_query_size] = {.one = query_size},
    [GNTTABOP_set_version] = {.one = set_version},
    [GNTTABOP_get_version] = {.one = get_version},
};

long hc_grant_table_op(uint64_t cmd, uint64_t list_va, uint64_t count)
{
	const struct grant_op *op;
	long done;

	if (cmd >= ARRAY_SIZE(ops) || (!ops[cmd].list && !ops[cmd].one))
		return -XEN_ENOSYS;
	op = &ops[cmd];
	if (count > INT32_MAX || (op->one && count != 1))
		return -XEN_EINVAL;
	if (op->one)
		return op->one(list_va);
	done = op->list(list_va, count);
	if (done < 0 || (uint64_t)done == count)
		return done < 0 ? done : 0;
	return hypercall_restart(cmd, list_va + (uint64_t)done * op->element_bytes,
				 count - (uint64_t)done, 0);
}
