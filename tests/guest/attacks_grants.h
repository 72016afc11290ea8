/* attacks_grants.h: attempts by grants: the status is what counts.
 *
 * A part of pv_attacks.c, which includes it and has the words it is written in: one function for each attempt.
 */
#ifndef GUEST_ATTACKS_GRANTS_H
#define GUEST_ATTACKS_GRANTS_H

/* ---- grants: the status is what counts ------------------------------------------------------------- */

static long map_grant(uint64_t address, unsigned flags, grant_ref_t ref, domid_t domain)
{
	struct gnttab_map_grant_ref m = {
	    .host_addr = address, .flags = flags, .ref = ref, .dom = domain};
	long result = grant(GNTTABOP_map_grant_ref, &m, 1);

	return result ? result : m.status;
}

static long grant_of_dom0(void)
{
	return map_grant(WINDOW, GNTMAP_host_map, 8, 0);
}
static long grant_of_no_domain(void)
{
	return map_grant(WINDOW, GNTMAP_host_map, 8, 0x4321);
}
static long grant_ref_beyond(void)
{
	return map_grant(WINDOW, GNTMAP_host_map, ~0u, 0);
}
static long grant_without_map(void)
{
	return map_grant(WINDOW, 0, 8, 0);
}
static long grants_at_unmapped(void)
{
	return grant(GNTTABOP_map_grant_ref, (void *)UNMAPPED, 1);
}
static long grants_without_end(void)
{
	return grant(GNTTABOP_map_grant_ref, (void *)(UNMAPPED - 64), 0x7fffffff);
}
static long grant_unknown(void)
{
	return grant(99, data[0], 1);
}

static long unmap_grant(uint64_t address, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref u = {.host_addr = address, .handle = handle};
	long result = grant(GNTTABOP_unmap_grant_ref, &u, 1);

	return result ? result : u.status;
}

static long unmap_handle_0(void)
{
	return unmap_grant(WINDOW, 0);
}
static long unmap_handle_beyond(void)
{
	return unmap_grant(WINDOW, ~0u);
}

static long copy_grant(struct gnttab_copy c)
{
	long result = grant(GNTTABOP_copy, &c, 1);

	return result ? result : c.status;
}

static long copy_grant_of_dom0(void)
{
	return copy_grant(
	    (struct gnttab_copy){.source = {.u.ref = 8, .domid = 0},
				 .dest = {.u.gmfn = frame_of(data[0]), .domid = DOMID_SELF},
				 .len = 64,
				 .flags = GNTCOPY_source_gref});
}

static long copy_over_a_page_end(void)
{
	return copy_grant((struct gnttab_copy){
	    .source = {.u.gmfn = frame_of(data[0]), .domid = DOMID_SELF, .offset = 4000},
	    .dest = {.u.ref = 8, .domid = 0},
	    .len = 200,
	    .flags = GNTCOPY_dest_gref});
}

static long copy_without_grants(void)
{
	return copy_grant(
	    (struct gnttab_copy){.source = {.u.gmfn = foreign(), .domid = 0},
				 .dest = {.u.gmfn = frame_of(data[0]), .domid = DOMID_SELF},
				 .len = 64});
}

static long setup_another(void)
{
	static xen_pfn_t frames[1];
	struct gnttab_setup_table s = {.dom = 0, .nr_frames = 1};
	long result;

	set_xen_guest_handle(s.frame_list, frames);
	result = grant(GNTTABOP_setup_table, &s, 1);
	return result ? result : s.status;
}

static long setup_too_large(void)
{
	static xen_pfn_t frames[1];
	struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1u << 20};
	long result;

	set_xen_guest_handle(s.frame_list, frames);
	result = grant(GNTTABOP_setup_table, &s, 1);
	return result ? result : s.status;
}

static long query_another(void)
{
	struct gnttab_query_size q = {.dom = 0};
	long result = grant(GNTTABOP_query_size, &q, 1);

	return result ? result : q.status;
}

#endif
