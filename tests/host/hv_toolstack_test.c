/* hv_toolstack_test.c: what stock xl asks before it makes a domain gets answers it can go on with.
 *
 * Shows: the one CPU pool, the one memory node, the empty CPUID policy with room enough, settings
 * that are accepted, and a builder's way to another's grant table. Why: libxl gives up at the first
 * of these that fails. Expected: answers as in xen/sysctl.h and xen/memory.h, errors for what is
 * not there, and every page back at the end.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant_entry.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"

#define BUFFER (FAKE_GUEST_BASE + 8192)

static struct domain *dom0, *guest;
static uint64_t free_before;
static struct xen_sysctl sys;
static struct xen_domctl dom;

static int setup(void **state)
{
	free_before = fake_free_pages();
	dom0 = fake_domain(1, 64);
	guest = fake_domain(1, 64);
	fake_run(dom0->vcpu[0]);
	memset(&sys, 0, sizeof(sys));
	memset(&dom, 0, sizeof(dom));
	memset(fake_arena, 0xee, 16384);
	return 0;
}

static int teardown(void **state)
{
	fake_domain_end(guest);
	fake_domain_end(dom0);
	return fake_free_pages() == free_before ? 0 : -1;
}

static long sysctl(uint32_t cmd)
{
	long result;

	sys.cmd = cmd;
	sys.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	result = hc_sysctl(FAKE_PUT(0, sys));
	memcpy(&sys, fake_arena, sizeof(sys));
	return result;
}

static long domctl(uint32_t cmd)
{
	dom.cmd = cmd;
	dom.domain = guest->id;
	dom.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return hc_domctl(FAKE_PUT(0, dom));
}

static void there_is_one_pool(void **state)
{
	struct xen_sysctl_cpupool_op *p = &sys.u.cpupool_op;

	p->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
	p->cpumap.nr_bits = 12;
	p->cpumap.bitmap.p = (uint8_t *)(uintptr_t)BUFFER;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op), 0);
	assert_int_equal(p->n_dom, 2);
	assert_int_equal(p->sched_id, XEN_SCHEDULER_CREDIT);
	assert_int_equal(fake_arena[8192], 1);
	assert_int_equal(fake_arena[8193], 0);
	assert_int_equal(fake_arena[8194], 0xee);
	p->cpupool_id = 1;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
	p->op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op), -XEN_EOPNOTSUPP);
}

static void there_is_one_node(void **state)
{
	struct xen_sysctl_numainfo *n = &sys.u.numainfo;
	xen_sysctl_meminfo_t mem;

	assert_int_equal(sysctl(XEN_SYSCTL_numainfo), 0); /* how many? */
	assert_int_equal(n->num_nodes, 1);
	n->meminfo.p = (void *)(uintptr_t)BUFFER;
	n->distance.p = (void *)(uintptr_t)(BUFFER + 64);
	assert_int_equal(sysctl(XEN_SYSCTL_numainfo), 0);
	memcpy(&mem, fake_arena + 8192, sizeof(mem));
	assert_int_equal(mem.memsize, FAKE_FRAMES * PAGE_SIZE);
	assert_int_equal(mem.memfree, fake_free_pages() * PAGE_SIZE);
	assert_int_equal(*(uint32_t *)(void *)(fake_arena + 8192 + 64), 10);
	n->meminfo.p = (void *)(uintptr_t)0x10;
	assert_int_equal(sysctl(XEN_SYSCTL_numainfo), -XEN_EFAULT);
}

static void a_policy_has_room_and_says_nothing(void **state)
{
	struct xen_sysctl_cpu_policy *p = &sys.u.cpu_policy;
	xen_cpuid_leaf_t leaf;

	p->index = XEN_SYSCTL_cpu_policy_pv_default;
	assert_int_equal(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
	assert_int_equal(p->nr_leaves, 64);
	assert_int_equal(p->nr_msrs, 8);
	p->leaves.p = (void *)(uintptr_t)BUFFER;
	assert_int_equal(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
	memcpy(&leaf, fake_arena + 8192 + 63 * sizeof(leaf), sizeof(leaf));
	assert_int_equal(leaf.leaf, 0);
	assert_int_equal(leaf.subleaf, XEN_CPUID_NO_SUBLEAF);
	assert_int_equal(fake_arena[8192 + 64 * sizeof(leaf)], 0xee);
	p->nr_leaves = 63;
	assert_int_equal(sysctl(XEN_SYSCTL_get_cpu_policy), -XEN_ENOBUFS);
	assert_int_equal(sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
	assert_int_equal(sys.u.cpu_featureset.nr_features, 0);
}

static void settings_without_choice_are_accepted(void **state)
{
	assert_int_equal(domctl(XEN_DOMCTL_setnodeaffinity), 0);
	assert_int_equal(domctl(XEN_DOMCTL_set_cpu_policy), 0);
	dom.u.tsc_info.tsc_mode = 2; /* never emulated */
	assert_int_equal(domctl(XEN_DOMCTL_settscinfo), 0);
	dom.u.tsc_info.tsc_mode = 1; /* always */
	assert_int_equal(domctl(XEN_DOMCTL_settscinfo), -XEN_EINVAL);
}

static long acquire(struct xen_mem_acquire_resource r)
{
	return hc_memory_op(XENMEM_acquire_resource, FAKE_PUT(0, r));
}

static void a_builder_reaches_the_grant_table(void **state)
{
	struct xen_mem_acquire_resource r = {
	    .domid = guest->id, .type = XENMEM_resource_grant_table, .nr_frames = 2};
	xen_pfn_t frames[2];

	assert_int_equal(acquire(r), 0); /* how many? */
	memcpy(&r, fake_arena, sizeof(r));
	assert_int_equal(r.nr_frames, GRANT_MAX_FRAMES);
	r.nr_frames = 2;
	r.frame_list.p = (void *)(uintptr_t)BUFFER;
	assert_int_equal(acquire(r), 0);
	memcpy(frames, fake_arena + 8192, sizeof(frames));
	assert_int_equal(guest->grants.n_frames, 2);
	assert_ptr_equal(mfn_to_virt((mfn_t){frames[1]}), guest->grants.shared[1]);
	r.frame = 31;
	assert_int_equal(acquire(r), -XEN_EINVAL); /* one of two is beyond the end */
	r.frame = ~0ull;
	assert_int_equal(acquire(r), -XEN_EINVAL);
	r.frame = 0;
	r.nr_frames = 33;
	assert_int_equal(acquire(r), -XEN_EINVAL);
	r.nr_frames = 1;
	r.id = XENMEM_resource_grant_table_id_status;
	assert_int_equal(acquire(r), -XEN_EINVAL); /* version 1 has none */
	r.id = 2;
	assert_int_equal(acquire(r), -XEN_EOPNOTSUPP);
	r.id = 0;
	r.domid = 99;
	assert_int_equal(acquire(r), -XEN_ESRCH);
	r.domid = 0;
	fake_run(guest->vcpu[0]);
	assert_int_equal(acquire(r), -XEN_EPERM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(there_is_one_pool),
	    TEST(there_is_one_node),
	    TEST(a_policy_has_room_and_says_nothing),
	    TEST(settings_without_choice_are_accepted),
	    TEST(a_builder_reaches_the_grant_table),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
