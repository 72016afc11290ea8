/* host_look_test.c: what the kernel finds out about the hypervisor and its domains by asking around.
 *
 * Shows: the version of an interface is found whichever it is, with one call when it is ours and without an end-less
 * search when there is none; ports are counted over gaps, up to where there are none, and entries of a grant
 * table of either version in all its frames, each of which is unmapped again; a domain that is not there gives
 * an error. Why: a figure that is wrong misleads, a window that is left mapped keeps a dead domain's remains.
 *
 * links: kernel/host_versions.c kernel/host_usage.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/host_control.h>
#include <amphi/hypercall.h>

#include "fake_hypercall.h"

#define GUEST  7u
#define PORTS  300u
#define FRAMES 2u

static uint32_t their_domctl, their_sysctl; /* 0: none is right */
static int64_t refusal;                     /* instead, when not 0 */
static unsigned n_calls;
static uint16_t port_status[PORTS];
static uint32_t n_frames, table_version;
static union {
	uint8_t bytes[PAGE_SIZE];
	grant_entry_v1_t v1[PAGE_SIZE / sizeof(grant_entry_v1_t)];
	union grant_entry_v2 v2[PAGE_SIZE / sizeof(union grant_entry_v2)];
} table[FRAMES];
static unsigned mapped;
static int map_error;

/* ---- the hypervisor --------------------------------------------------------------------------- */

static int64_t versioned(uint32_t asked, uint32_t theirs)
{
	return refusal ? refusal : asked == theirs ? 0 : -XEN_EACCES;
}

static int64_t channel(uint64_t cmd, struct evtchn_status *op)
{
	assert_int_equal(cmd, EVTCHNOP_status);
	if (op->dom != GUEST)
		return -XEN_ESRCH;
	if (op->port >= PORTS)
		return -XEN_EINVAL;
	op->status = port_status[op->port];
	return 0;
}

static int64_t grant(uint64_t cmd, void *arg)
{
	struct gnttab_query_size *size = arg;
	struct gnttab_setup_table *setup = arg;

	switch (cmd) {
	case GNTTABOP_query_size:
		size->status = size->dom == GUEST ? GNTST_okay : GNTST_bad_domain;
		size->nr_frames = n_frames;
		return 0;
	case GNTTABOP_setup_table:
		assert_int_equal(setup->nr_frames, n_frames);
		for (uint32_t i = 0; i < n_frames; i++)
			setup->frame_list.p[i] = 1000 + i;
		setup->status = GNTST_okay;
		return 0;
	default:
		assert_int_equal(cmd, GNTTABOP_get_version);
		((struct gnttab_get_version *)arg)->version = table_version;
		return 0;
	}
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	n_calls++;
	switch (nr) {
	case __HYPERVISOR_domctl:
		return versioned(((struct xen_domctl *)a1)->interface_version, their_domctl);
	case __HYPERVISOR_sysctl:
		return versioned(((struct xen_sysctl *)a1)->interface_version, their_sysctl);
	case __HYPERVISOR_xen_version:
		return 4 << 16 | 19;
	case __HYPERVISOR_event_channel_op:
		return channel(a1, (void *)a2);
	case __HYPERVISOR_grant_table_op:
		return grant(a1, (void *)a2);
	default:
		fail_msg("hypercall %u", (unsigned)nr);
		return -1;
	}
}

/* ---- the rest of the kernel ------------------------------------------------------------------- */

domid_t host_own_domid(void)
{
	return 0;
}
unsigned grant_used(void)
{
	return 11;
}
unsigned event_bound(void)
{
	return 12;
}
int host_foreign_map(domid_t domid, const mfn_t *frames, unsigned count, void **out_va)
{
	assert_int_equal(domid, GUEST);
	assert_int_equal(count, 1);
	assert_in_range(frames->v, 1000, 1000 + FRAMES - 1);
	if (map_error)
		return map_error;
	mapped++;
	*out_va = &table[frames->v - 1000];
	return 0;
}
void host_foreign_unmap(const void *va, unsigned count)
{
	mapped--;
}

static int setup(void **state)
{
	their_domctl = XEN_DOMCTL_INTERFACE_VERSION;
	their_sysctl = XEN_SYSCTL_INTERFACE_VERSION;
	refusal = 0;
	n_calls = mapped = 0;
	n_frames = 1;
	table_version = 1;
	map_error = 0;
	memset(table, 0, sizeof(table));
	memset(port_status, 0, sizeof(port_status));
	return 0;
}

/* ---- versions --------------------------------------------------------------------------------- */

static void test_ours(void **state)
{
	struct host_versions v;

	host_read_versions(&v);
	assert_int_equal(v.domctl, XEN_DOMCTL_INTERFACE_VERSION);
	assert_int_equal(v.sysctl, XEN_SYSCTL_INTERFACE_VERSION);
	assert_int_equal(v.major, 4);
	assert_int_equal(v.minor, 19);
	assert_int_equal(n_calls, 3);
}

static void test_another(void **state)
{
	struct host_versions v;

	their_domctl = 0x17;
	their_sysctl = 0x14;
	host_read_versions(&v);
	assert_int_equal(v.domctl, 0x17);
	assert_int_equal(v.sysctl, 0x14);
}

static void test_none(void **state)
{
	struct host_versions v;

	their_domctl = their_sysctl = 0;
	host_read_versions(&v);
	assert_int_equal(v.domctl, 0);
	assert_true(n_calls < 200);
	refusal = -XEN_EPERM; /* not the first domain */
	host_read_versions(&v);
	assert_int_equal(v.domctl, 0);
	refusal = -XEN_EINVAL; /* of the question itself: the version was right */
	host_read_versions(&v);
	assert_int_equal(v.domctl, XEN_DOMCTL_INTERFACE_VERSION);
}

/* ---- ports and grants ------------------------------------------------------------------------- */

static void test_ports(void **state)
{
	struct host_usage u;

	port_status[1] = port_status[2] = EVTCHNSTAT_interdomain;
	port_status[5] = EVTCHNSTAT_virq;
	port_status[68] = EVTCHNSTAT_ipi; /* behind 62 that are closed */
	assert_int_equal(host_domain_usage(GUEST, &u), 0);
	assert_int_equal(u.ports, 4);
	for (unsigned i = 0; i < PORTS; i++)
		port_status[i] = EVTCHNSTAT_unbound;
	assert_int_equal(host_domain_usage(GUEST, &u), 0);
	assert_int_equal(u.ports, PORTS - 1);
}

static void test_grants(void **state)
{
	struct host_usage u;

	n_frames = 2;
	table[0].v1[1].flags = GTF_permit_access;
	table[0].v1[511].flags = GTF_permit_access | GTF_readonly;
	table[1].v1[0].flags = GTF_accept_transfer;
	table[1].v1[5].flags = GTF_readonly; /* of type 0: not in use */
	assert_int_equal(host_domain_usage(GUEST, &u), 0);
	assert_int_equal(u.grants, 3);
	assert_int_equal(mapped, 0);
}

static void test_grants_of_version_2(void **state)
{
	struct host_usage u;

	table_version = 2;
	table[0].v2[1].hdr.flags = GTF_permit_access;
	memset((uint8_t *)&table[0].v2[1] + 8, 0xff, 8); /* the rest of the entry is no other */
	table[0].v2[255].hdr.flags = GTF_transitive;
	assert_int_equal(host_domain_usage(GUEST, &u), 0);
	assert_int_equal(u.grants, 2);
}

static void test_what_cannot_be_asked(void **state)
{
	struct host_usage u;

	assert_int_equal(host_domain_usage(8, &u), -XEN_ESRCH);
	assert_int_equal(u.ports, 0);
	port_status[1] = EVTCHNSTAT_ipi;
	map_error = -XEN_ENOMEM;
	assert_int_equal(host_domain_usage(GUEST, &u), -XEN_ENOMEM);
	assert_int_equal(u.ports, 1);
	assert_int_equal(host_domain_usage(0, &u), 0); /* our own counters know */
	assert_int_equal(u.grants, 11);
	assert_int_equal(u.ports, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_ours),
	    TEST(test_another),
	    TEST(test_none),
	    TEST(test_ports),
	    TEST(test_grants),
	    TEST(test_grants_of_version_2),
	    TEST(test_what_cannot_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
