/* pv_grants.c: a PV kernel that grants to itself, in both versions of the table.
 *
 * Shows: mapping and copying, what the owner sees of it, each GNTST_* a wrong call gets and which of
 * several faults is told; parts of pages; the way from one version to the other and back; and measures
 * a map with its unmap and a copy. Run as the first domain, on amphi-hv or on Xen: both must print the
 * same, but for the numbers. Not asked: a transitive grant that leads somewhere, for which it takes two
 * domains (tests/host/hv_grant2_test.c).
 */
#include "pv.h"

#define REF    10u
#define ROUNDS 500u
#define FRAME  4096u

static struct start_info *info;
static uint8_t table[FRAME] __attribute__((aligned(4096)));
static uint8_t status_page[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t given[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t window[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t mine[FRAME] __attribute__((aligned(4096)));
static volatile struct grant_entry_v1 *const v1 = (volatile void *)table;
static volatile union grant_entry_v2 *const v2 = (volatile void *)table;
static volatile uint16_t *const status = (volatile void *)status_page;

static uint64_t frame(const volatile void *p)
{
	return ((const uint64_t *)info->mfn_list)[(uint64_t)p >> 12];
}

static long gnttab(unsigned command, void *arg)
{
	return hypercall(__HYPERVISOR_grant_table_op, command, (uint64_t)arg, 1, 0);
}

static long place(volatile void *at, uint64_t mfn)
{
	return hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)at, mfn ? mfn << 12 | 0x67 : 0,
			 UVMF_INVLPG, 0);
}

/* ---- what is asked --------------------------------------------------------------------- */

static uint32_t handle;

static int map_of(domid_t dom, uint32_t ref, uint32_t flags)
{
	struct gnttab_map_grant_ref a = {
	    .host_addr = (uint64_t)window, .flags = flags, .ref = ref, .dom = dom};

	if (gnttab(GNTTABOP_map_grant_ref, &a))
		return 1;
	handle = a.handle;
	return a.status;
}

static int map(uint32_t ref)
{
	return map_of(0, ref, GNTMAP_host_map);
}

static int unmap(void)
{
	struct gnttab_unmap_grant_ref a = {.host_addr = (uint64_t)window, .handle = handle};

	return gnttab(GNTTABOP_unmap_grant_ref, &a) ? 1 : a.status;
}

static int copy(struct gnttab_copy a)
{
	return gnttab(GNTTABOP_copy, &a) ? 1 : a.status;
}

/* len bytes at offset of what ref gives to the start of a page of ours, and the other way. */
static struct gnttab_copy from(uint32_t ref, uint16_t offset, uint16_t len)
{
	struct gnttab_copy a = {.source = {.u.ref = ref, .domid = 0, .offset = offset},
				.dest = {.u.gmfn = frame(mine), .domid = DOMID_SELF},
				.len = len,
				.flags = GNTCOPY_source_gref};

	return a;
}

static struct gnttab_copy to(uint32_t ref, uint16_t offset, uint16_t len)
{
	struct gnttab_copy a = {.source = {.u.gmfn = frame(mine), .domid = DOMID_SELF},
				.dest = {.u.ref = ref, .domid = DOMID_SELF, .offset = offset},
				.len = len,
				.flags = GNTCOPY_dest_gref};

	return a;
}

static long set_version(uint32_t version, uint32_t then)
{
	struct gnttab_set_version a = {.version = version};
	long rc = gnttab(GNTTABOP_set_version, &a);

	return a.version == then ? rc : 1;
}

static uint32_t get_version(void)
{
	struct gnttab_get_version a = {.dom = DOMID_SELF};

	return gnttab(GNTTABOP_get_version, &a) ? 0 : a.version;
}

static uint64_t list[4];

static int frames(unsigned command, uint32_t n, void *at)
{
	struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = n};
	struct gnttab_get_status_frames f = {.dom = DOMID_SELF, .nr_frames = n};

	s.frame_list.p = at;
	f.frame_list.p = at;
	if (gnttab(command, command == GNTTABOP_setup_table ? (void *)&s : (void *)&f))
		return 1;
	return command == GNTTABOP_setup_table ? s.status : f.status;
}

/* ---- version 1 ------------------------------------------------------------------------- */

static void offer(uint32_t ref, uint16_t flags)
{
	v1[ref].domid = 0;
	v1[ref].frame = (uint32_t)frame(given);
	v1[ref].flags = flags;
}

static void check_table(void)
{
	struct gnttab_query_size q = {.dom = DOMID_SELF};

	check("version 1 at first", get_version() == 1);
	check("query_size", gnttab(GNTTABOP_query_size, &q) == 0 && q.status == 0 &&
				q.nr_frames >= 1 && q.nr_frames <= q.max_nr_frames);
	check("setup_table", frames(GNTTABOP_setup_table, 1, list) == GNTST_okay);
	check("a list nowhere",
	      frames(GNTTABOP_setup_table, 1, (void *)0x123456789000) == GNTST_bad_virt_addr);
	check("a table too large",
	      frames(GNTTABOP_setup_table, 1 << 20, list) == GNTST_general_error);
	check("it can be mapped", place(table, list[0]) == 0);
	check("no status frames",
	      frames(GNTTABOP_get_status_frames, 0, list) == GNTST_okay &&
		  frames(GNTTABOP_get_status_frames, 1, list) == GNTST_general_error);
	check("unknown commands",
	      gnttab(13, list) == -XEN_ENOSYS && gnttab(99, list) == -XEN_ENOSYS);
}

static void check_map(void)
{
	uint16_t busy = GTF_reading | GTF_writing;

	offer(REF, GTF_permit_access);
	check("map", map(REF) == GNTST_okay && v1[REF].flags == (GTF_permit_access | busy));
	window[5] = 55;
	check("one memory", given[5] == 55);
	check("the version stays while one is in use", set_version(2, 1) == -XEN_EBUSY);
	check("unmap", unmap() == GNTST_okay && v1[REF].flags == GTF_permit_access);
	check("once", unmap() == GNTST_bad_handle);
	check("of nobody", map_of(DOMID_SELF, REF, GNTMAP_host_map) == GNTST_bad_domain &&
			       map_of(7777, REF, GNTMAP_host_map) == GNTST_bad_domain);
	check("for nothing", map_of(0, REF, 0) == GNTST_bad_gntref);
	check("beyond the table", map(1 << 20) == GNTST_bad_gntref);
	check("not offered", map(REF + 1) == GNTST_general_error);
	offer(REF, GTF_permit_access | GTF_readonly);
	check("to be read only", map(REF) == GNTST_general_error);
	check("read", map_of(0, REF, GNTMAP_host_map | GNTMAP_readonly) == GNTST_okay &&
			  v1[REF].flags == (GTF_permit_access | GTF_readonly | GTF_reading) &&
			  unmap() == GNTST_okay);
	offer(REF, GTF_permit_access | GTF_sub_page);
	check("a part is not mapped", map(REF) == GNTST_general_error);
	check("and is a page to copy", copy(from(REF, 4000, 96)) == GNTST_okay);
	offer(REF, GTF_permit_access);
	v1[REF].frame = 0xffffffff;
	check("a frame that is none",
	      map(REF) == GNTST_bad_page && v1[REF].flags == GTF_permit_access);
	offer(REF, GTF_transitive);
	check("nothing transitive",
	      map(REF) == GNTST_general_error && copy(from(REF, 0, 1)) == GNTST_general_error);
	offer(REF, GTF_permit_access);
}

static void check_copy(void)
{
	struct gnttab_copy a = from(REF, 4000, 97);

	given[9] = 99;
	check("copy from", copy(from(REF, 9, 1)) == GNTST_okay && mine[0] == 99);
	mine[0] = 98;
	check("copy to", copy(to(REF, 9, 1)) == GNTST_okay && given[9] == 98 &&
			     v1[REF].flags == GTF_permit_access);
	check("beyond the page", copy(a) == GNTST_bad_copy_arg);
	a.source.u.ref = REF + 1;
	check("and not offered", copy(a) == GNTST_general_error);
	a.dest.domid = 0;
	check("and onto a named one's frame", copy(a) == GNTST_general_error);
	a.source.u.ref = REF;
	check("that alone", copy(a) == GNTST_permission_denied);
	a.source.domid = 7777;
	check("and of nobody", copy(a) == GNTST_bad_domain);
	a = from(REF + 1, 0, 1);
	a.dest.domid = 7777;
	check("not offered, to nobody", copy(a) == GNTST_bad_domain);
	a = from(REF, 4090, 9);
	a.dest.u.gmfn = 1ull << 36;
	check("beyond the page, to no frame", copy(a) == GNTST_bad_page);
	a = from(REF, 0, 1);
	a.dest.u.gmfn = info->pt_base >> 12;
	a.dest.u.gmfn = ((const uint64_t *)info->mfn_list)[a.dest.u.gmfn];
	check("onto a page table", copy(a) == GNTST_general_error);
	a.dest.u.gmfn = 1ull << 36;
	check("to no frame", copy(a) == GNTST_bad_page);
}

static int swap(uint32_t a, uint32_t b)
{
	struct gnttab_swap_grant_ref op = {.ref_a = a, .ref_b = b};

	return gnttab(GNTTABOP_swap_grant_ref, &op) ? 1 : op.status;
}

/* In either version; REF is offered. */
static void check_swap(void)
{
	check("swap with the next", swap(REF, REF + 1) == GNTST_okay && map(REF + 1) == GNTST_okay);
	check("not while one is in use",
	      swap(REF, REF + 1) == GNTST_eagain && swap(REF + 1, REF) == GNTST_eagain);
	check("itself or not", swap(REF + 1, REF + 1) == GNTST_okay);
	check("beyond the table's end",
	      swap(REF, 1 << 20) == GNTST_bad_gntref && swap(1 << 20, REF) == GNTST_bad_gntref);
	check("and back again", unmap() == GNTST_okay && map(REF) == GNTST_general_error &&
				    swap(REF + 1, REF) == GNTST_okay && map(REF) == GNTST_okay &&
				    unmap() == GNTST_okay);
}

/* ---- to version 2 and back ------------------------------------------------------------- */

static void check_to_two(void)
{
	offer(1, GTF_permit_access);
	check("version 3", set_version(3, 1) == -XEN_EINVAL);
	check("a reserved one in use",
	      map_of(0, 1, GNTMAP_host_map | GNTMAP_readonly) == GNTST_okay);
	check("version 2", set_version(2, 2) == 0 && get_version() == 2);
	check("again", set_version(2, 2) == 0);
	check("status frames",
	      frames(GNTTABOP_get_status_frames, 1, list) == GNTST_okay &&
		  frames(GNTTABOP_get_status_frames, 99, list) == GNTST_general_error &&
		  place(status_page, list[0]) == 0);
	check("the reserved one is there", v2[1].hdr.flags == GTF_permit_access &&
					       status[1] == GTF_reading &&
					       v2[1].full_page.frame == frame(given));
	check("the rest is not", v2[REF / 2].full_page.frame == 0 && v2[REF].hdr.flags == 0);
	check("and let go", unmap() == GNTST_okay && status[1] == 0);
}

static void offer2(uint16_t flags, uint16_t start, uint16_t length)
{
	v2[REF].hdr.domid = 0;
	v2[REF].sub_page.page_off = start;
	v2[REF].sub_page.length = length;
	v2[REF].sub_page.frame = frame(given);
	v2[REF].hdr.flags = flags;
}

static void check_two(void)
{
	offer2(GTF_permit_access, 0, 0);
	check("map, version 2", map(REF) == GNTST_okay &&
				    status[REF] == (GTF_reading | GTF_writing) &&
				    v2[REF].hdr.flags == GTF_permit_access);
	check("unmap, version 2", unmap() == GNTST_okay && status[REF] == 0);
	check("copy, version 2", copy(from(REF, 4095, 1)) == GNTST_okay && status[REF] == 0);
	v2[REF].full_page.frame = 1ull << 40 | frame(given);
	check("a frame that is far off", map(REF) == GNTST_bad_page &&
					     copy(from(REF, 0, 1)) == GNTST_bad_page &&
					     status[REF] == 0);
	check("half as many", map(256) == GNTST_bad_gntref);
	offer2(GTF_permit_access | GTF_readonly, 0, 0);
	check("read only, version 2", map(REF) == GNTST_general_error &&
					  copy(to(REF, 0, 1)) == GNTST_general_error &&
					  status[REF] == 0);
}

static void check_parts(void)
{
	offer2(GTF_permit_access | GTF_sub_page, 100, 50);
	given[100] = 11;
	given[149] = 12;
	check("the part",
	      copy(from(REF, 100, 50)) == GNTST_okay && mine[0] == 11 && mine[49] == 12);
	mine[0] = 13;
	check("into the part", copy(to(REF, 149, 1)) == GNTST_okay && given[149] == 13);
	check("before it", copy(from(REF, 99, 2)) == GNTST_general_error &&
			       copy(to(REF, 99, 1)) == GNTST_general_error);
	check("behind it", copy(from(REF, 149, 2)) == GNTST_general_error &&
			       copy(to(REF, 150, 1)) == GNTST_general_error);
	check("nothing at its end", copy(from(REF, 150, 0)) == GNTST_okay);
	check("beyond the page as well", copy(from(REF, 4000, 200)) == GNTST_bad_copy_arg);
	check("no part is mapped", map(REF) == GNTST_general_error && status[REF] == 0);
	offer2(GTF_permit_access | GTF_sub_page, 4090, 0xffff);
	check("a part larger than the page", copy(from(REF, 4090, 6)) == GNTST_okay &&
						 copy(from(REF, 4090, 7)) == GNTST_bad_copy_arg);
}

static void check_transitive(void)
{
	offer2(GTF_transitive, 0, 0);
	v2[REF].transitive.gref = 1;
	check("transitive to oneself", copy(from(REF, 0, 1)) == GNTST_general_error);
	v2[REF].transitive.trans_domid = 7777;
	check("transitive to nobody", copy(from(REF, 0, 1)) == GNTST_general_error);
	v2[REF].transitive.trans_domid = DOMID_SELF;
	check("transitive to no number", copy(from(REF, 0, 1)) == GNTST_general_error);
	check("not to be mapped", map(REF) == GNTST_general_error && status[REF] == 0);
}

static void check_back(void)
{
	check("status frames in use", set_version(1, 2) == -XEN_EBUSY);
	place(status_page, 0);
	v2[3].hdr.flags = GTF_transitive;
	check("what version 1 cannot say", set_version(1, 2) == -XEN_ERANGE);
	v2[3].hdr.flags = GTF_permit_access;
	v2[3].full_page.frame = 1ull << 32;
	check("nor a frame so high", set_version(1, 2) == -XEN_ERANGE);
	v2[3].full_page.frame = 7;
	v2[3].hdr.domid = 5;
	v2[4].hdr.flags = GTF_accept_transfer;
	check("version 1 again", set_version(1, 1) == 0 && get_version() == 1);
	check("the reserved ones", v1[1].flags == GTF_permit_access &&
				       v1[1].frame == frame(given) && v1[3].frame == 7 &&
				       v1[3].domid == 5 && v1[4].flags == 0);
	offer(REF, GTF_permit_access);
	check("as before", map(REF) == GNTST_okay && v1[REF].flags & GTF_writing &&
			       unmap() == GNTST_okay && v1[REF].flags == GTF_permit_access);
}

static void measure(const char *mapped, const char *copied)
{
	uint64_t start = tsc();

	for (unsigned i = 0; i < ROUNDS; i++) {
		map(REF);
		unmap();
	}
	print_number(mapped, (tsc() - start) / ROUNDS);
	start = tsc();
	for (unsigned i = 0; i < ROUNDS; i++)
		copy(from(REF, 0, FRAME));
	print_number(copied, (tsc() - start) / ROUNDS);
}

void guest_main(struct start_info *si)
{
	info = si;
	print("pv_grants: a guest begins\n");
	check_table();
	check_map();
	check_copy();
	check_swap();
	measure("version 1: map and unmap, ns: ", "version 1: copy 4 KiB, ns: ");
	check_to_two();
	check_two();
	check_parts();
	check_transitive();
	offer2(GTF_permit_access, 0, 0);
	check_swap();
	measure("version 2: map and unmap, ns: ", "version 2: copy 4 KiB, ns: ");
	check_back();
	print("pv_grants: done\n");
	end(SHUTDOWN_reboot); /* where Xen would stay after a power-off */
}
