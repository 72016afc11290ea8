/* host_usage.c: host_domain_usage() of host_control.h: what a domain holds of ports and grants.
 *
 * Neither is in getdomaininfo, so it is counted: ports by asking for each one's state, grants by a look
 * into the domain's table, whose frames are mapped for the moment. The table is the guest's and may change
 * meanwhile: a figure for people and not a proof. Caller: control/, in the worker context. Calls
 * hypercall.h, host_control.h, event.h and grant.h for this domain's own.
 */
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/host_control.h>
#include <amphi/hypercall.h>

#define FRAMES_MAX 64u
/* Ports are given out from the lowest that is free, so behind so many closed ones there are hardly any. */
#define CLOSED_RUN 64u

static int count_ports(domid_t domid, uint64_t *out)
{
	unsigned closed = 0;

	for (uint32_t port = 1; closed < CLOSED_RUN; port++) { /* ends at the table's end at last */
		struct evtchn_status op = {.dom = domid, .port = port};
		int64_t err = hypercall_event_channel_op(EVTCHNOP_status, &op);

		/* Above the ports that there are, or of a domain that there is not. */
		if (err)
			return port == 1 ? (int)err : 0;
		closed = op.status == EVTCHNSTAT_closed ? closed + 1 : 0;
		*out += !closed;
	}
	return 0;
}

/* Entries of both versions begin with their flags (xen/grant_table.h). */
static uint64_t used_entries(const uint8_t *page, size_t entry_bytes)
{
	uint64_t used = 0;

	for (size_t at = 0; at < PAGE_SIZE; at += entry_bytes) {
		uint16_t flags = *(const volatile uint16_t *)(page + at);

		used += (flags & GTF_type_mask) != GTF_invalid;
	}
	return used;
}

static int list_frames(domid_t domid, xen_pfn_t *frames, uint32_t *out_n)
{
	struct gnttab_query_size size = {.dom = domid};
	struct gnttab_setup_table setup = {.dom = domid};
	int64_t err = hypercall_grant_table_op(GNTTABOP_query_size, &size, 1);

	if (err || size.status != GNTST_okay)
		return err ? (int)err : -XEN_ESRCH;
	setup.nr_frames = *out_n = MIN(size.nr_frames, FRAMES_MAX);
	set_xen_guest_handle(setup.frame_list, frames);
	err = hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	return err ? (int)err : setup.status == GNTST_okay ? 0 : -XEN_EPERM;
}

static int count_grants(domid_t domid, uint64_t *out)
{
	struct gnttab_get_version version = {.dom = domid};
	xen_pfn_t frames[FRAMES_MAX];
	uint32_t n = 0;
	int err = list_frames(domid, frames, &n);

	if (hypercall_grant_table_op(GNTTABOP_get_version, &version, 1))
		version.version = 1;
	for (uint32_t i = 0; !err && i < n; i++) {
		mfn_t frame = {frames[i]};
		void *va;

		err = host_foreign_map(domid, &frame, 1, &va);
		if (err)
			break;
		*out += used_entries(va, version.version == 2 ? sizeof(union grant_entry_v2)
							      : sizeof(struct grant_entry_v1));
		host_foreign_unmap(va, 1);
	}
	return err;
}

int host_domain_usage(domid_t domid, struct host_usage *out)
{
	int ports_err, grants_err;

	*out = (struct host_usage){0};
	if (domid == host_own_domid()) {
		*out = (struct host_usage){.grants = grant_used(), .ports = event_bound()};
		return 0;
	}
	ports_err = count_ports(domid, &out->ports);
	grants_err = count_grants(domid, &out->grants);
	return ports_err ? ports_err : grants_err;
}
