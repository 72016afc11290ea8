/* hv_iommu_fixture.h: the first domain, one without and one with XEN_DOMCTL_CDF_iommu, and two functions on a fake unit.
 *
 * For the tests of whose a function is (hv_iommu_test.c) and of a domain's memory as its devices see it (hv_iommu_own_test.c). The
 * first function, NVME, is the one that is looked at; `stock` is the domain whose memory is its context 0.
 */
#ifndef TESTS_HV_IOMMU_FIXTURE_H
#define TESTS_HV_IOMMU_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_iommu.h"
#include "hv_fake.h"

#define NVME   0x0020u
#define NIC    0x0028u
#define BRIDGE 0x0030u
#define FAR    0x0f00u /* behind no unit */
#define BEHIND 0x0200u /* behind a bridge to conventional PCI */
#define ALL    (IOMMU_READ | IOMMU_WRITE)
#define FRAMES 48u

static struct domain *first, *plain, *stock;
static mfn_t frame[FRAMES]; /* of stock */
static uint64_t free_before;
static struct xen_domctl op;

static inline void function(uint16_t bdf, uint16_t class_code)
{
	fake_iommu_function(bdf, class_code, false, 0, true);
	assert_int_equal(io_device_add(bdf), 0);
}

static inline int setup(void **state)
{
	fake_iommu_reset();
	fake.preempt_after = -1;
	fake.log[0] = '\0';
	free_before = fake_free_pages();
	first = fake_domain(1, 64);
	plain = fake_domain(1, 64);
	stock = fake_domain(1, 256);
	stock->iommu.own_memory = true;
	for (unsigned i = 0; i < FRAMES; i++)
		frame[i] = fake_frame(stock);
	function(NVME, 0x0108);
	function(NIC, 0x0200);
	fake_run(first->vcpu[0]);
	return 0;
}

static inline int teardown(void **state)
{
	struct io_device *dev;

	fake_iommu.broken = false;
	fake_domain_end(stock);
	fake_domain_end(plain);
	assert_int_equal(fake_iommu.spaces, 0);
	while ((dev = io_device_each(NULL)))
		assert_int_equal(io_device_remove(dev->bdf), 0);
	assert_int_equal(first->iommu.n_devices, 0);
	fake_domain_end(first);
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

static inline long device_op_with(uint32_t cmd, domid_t id, uint32_t sbdf, uint32_t flags)
{
	long result;

	memset(&op, 0, sizeof(op));
	op.cmd = cmd;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = id;
	op.u.assign_device.u.pci.machine_sbdf = sbdf;
	op.u.assign_device.flags = flags;
	do {
		first->vcpu[0]->call.restart = false;
		result = hc_domctl(FAKE_PUT(0, op));
	} while (first->vcpu[0]->call.restart);
	return result;
}

static inline long device_op(uint32_t cmd, domid_t id, uint32_t sbdf)
{
	return device_op_with(cmd, id, sbdf, 0);
}

static inline long assign(struct domain *d, uint32_t sbdf)
{
	return device_op(XEN_DOMCTL_assign_device, d ? d->id : DOMID_IO, sbdf);
}

static inline long deassign(struct domain *d, uint32_t sbdf)
{
	return device_op(XEN_DOMCTL_deassign_device, d ? d->id : DOMID_IO, sbdf);
}

static inline int take(unsigned i, enum page_type type)
{
	struct page_info *page;

	return page_get_and_type(frame[i], stock, type, &page);
}

static inline void give(unsigned i)
{
	page_put_and_type(mfn_to_page(frame[i]));
}

static inline unsigned reach(unsigned i)
{
	return fake_iommu_reach(NVME, frame[i]);
}

static inline void in_step(void)
{
	uint64_t n;

	if (!fake_iommu_in_step(stock, NVME, &n))
		fail_msg("frame %lx of type %u: reach %u", n, mfn_to_page((mfn_t){n})->type,
			 fake_iommu_reach(NVME, (mfn_t){n}));
}

/* An empty L1. */
static inline void clear(unsigned i)
{
	memset(mfn_to_virt(frame[i]), 0, PAGE_SIZE);
}

#endif
