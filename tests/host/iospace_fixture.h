/* iospace_fixture.h: two domains, one with devices, and the words in which tests say what it asks of its IO spaces.
 *
 * `back` has three functions, two behind one unit and one behind another (io_unit.h); `front` grants it pages. A test's setup and teardown
 * are here, too: the latter counts every page. Included by hv_iospace_test.c and hv_iospace_grant_test.c.
 */
#ifndef TESTS_IOSPACE_FIXTURE_H
#define TESTS_IOSPACE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"
#include "hypervisor/iommu_device.h"
#include "hypervisor/iospace_private.h"
#include "tests/host/io_unit.h"
#include "tests/host/iommu_world.h"

#define DEV   0x18u  /* behind unit 0 */
#define OTHER 0x20u  /* the same */
#define FAR   0x118u /* behind unit 1 */
#define REF   9u
#define DMA   0x40000000ull
#define RW    (IOSPACE_READ | IOSPACE_WRITE)

static struct domain *back, *front; /* back has the devices, front grants */
static uint64_t free_before;
static unsigned pages_before;
static struct iospace_op ops[80];
static mfn_t page; /* back's own */

/* ---- words --------------------------------------------------------------------------------------- */

static inline long call(unsigned n)
{
	uint64_t arg[6] = {fake_put(0, ops, n * sizeof(ops[0])), n};
	struct vcpu_hypercall *c = &current_vcpu()->call;
	unsigned turns = 0;
	long result;

	for (;;) {
		result = hypercall_run(__HYPERVISOR_iospace_op, arg);
		if (!c->restart)
			break;
		assert_true(++turns < 100);
		memcpy(arg, c->arg, sizeof(c->arg));
	}
	memcpy(ops, fake_guest_ptr(FAKE_GUEST_BASE), n * sizeof(ops[0]));
	return result;
}

static inline int one(struct iospace_op op)
{
	op.status = 77;
	ops[0] = op;
	assert_int_equal(call(1), 0);
	return ops[0].status;
}

static inline uint32_t alloc(uint32_t sbdf)
{
	assert_int_equal(one((struct iospace_op){.cmd = IOSPACE_alloc, .u.alloc.sbdf = sbdf}), 0);
	return ops[0].u.alloc.context;
}

static inline int attach(uint32_t sbdf, uint32_t context)
{
	return one((struct iospace_op){.cmd = IOSPACE_attach, .u.attach = {sbdf, context}});
}

static inline int release(uint32_t context)
{
	return one((struct iospace_op){.cmd = IOSPACE_free, .u.free = {context}});
}

static inline struct iospace_op map_op(uint32_t context, uint64_t dma, uint64_t frame,
				       uint16_t flags)
{
	return (struct iospace_op){
	    .cmd = IOSPACE_map,
	    .flags = flags,
	    .u.map = {.context = context, .count = 1, .dma = dma, .frame = frame}};
}

static inline int map(uint32_t context, uint64_t dma, uint64_t frame, uint16_t flags)
{
	return one(map_op(context, dma, frame, flags));
}

static inline int map_ref(uint32_t context, uint64_t dma, uint16_t flags)
{
	struct iospace_op op = map_op(context, dma, 0, flags | IOSPACE_GREF);

	op.u.map.grant.ref = REF;
	op.u.map.grant.domain = front->id;
	return one(op);
}

static inline struct iospace_op unmap_op(uint32_t context, uint64_t dma, uint16_t flags)
{
	return (struct iospace_op){.cmd = IOSPACE_unmap,
				   .flags = flags,
				   .u.unmap = {.context = context, .count = 1, .dma = dma}};
}

static inline int unmap(uint32_t context, uint64_t dma, uint16_t flags)
{
	return one(unmap_op(context, dma, flags));
}

static inline int flush(uint16_t how, uint32_t context, uint64_t dma, uint32_t count)
{
	return one((struct iospace_op){.cmd = how, .u.flush = {context, count, dma}});
}

static inline uint32_t refs(mfn_t mfn)
{
	return mfn_to_page(mfn)->count;
}

static inline uint16_t *entry_flags(void)
{
	return &((struct grant_entry_v1 *)front->grants.shared[0])[REF].flags;
}

static inline mfn_t grant(uint16_t flags)
{
	struct grant_entry_v1 *e = &((struct grant_entry_v1 *)front->grants.shared[0])[REF];
	mfn_t mfn = fake_frame(front);

	e->domid = back->id;
	e->frame = (uint32_t)mfn.v;
	e->flags = GTF_permit_access | flags;
	return mfn;
}

static inline int setup(void **state)
{
	pages_before = iommu_world_pages();
	free_before = fake_free_pages();
	back = fake_domain(1, 1600);
	front = fake_domain(1, 64);
	io_unit_give(DEV, back);
	io_unit_give(OTHER, back);
	io_unit_give(FAR, back);
	page = fake_frame(back);
	fake_run(back->vcpu[0]);
	iospace_limit(4 << 20);
	io_unit.flushes = 0;
	return 0;
}

static inline void end(struct domain **d)
{
	if (*d) {
		io_unit_take(*d);
		while (iospace_teardown(*d) == -XEN_ERESTART)
			;
		fake_domain_end(*d);
	}
	*d = NULL;
}

static inline int teardown(void **state)
{
	io_unit.silent = io_unit.remembers_nothing = false;
	end(&front);
	end(&back);
	fake.preempt_after = -1;
	return fake_free_pages() == free_before && iommu_world_pages() == pages_before ? 0 : -1;
}

#endif
