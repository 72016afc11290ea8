/* hv_domctl_fuzz.c: the first domain asks anything of others' lives; nothing is left over.
 *
 * The input is a list of domctl, sysctl and platform_op commands with arguments of small numbers,
 * frames and addresses, interrupted anywhere. Why: the builder may be wrong, or made wrong by what
 * it reads; it must get errors, not a broken machine. Expected: no sanitizer report, the recount of
 * hv_world.c holds, each function reaches what its owner has, and when all domains are gone so is every page.
 *
 * links: tests/fuzz/hv_world.c tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c
 * lib/text.c links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c hypervisor/event_fifo.c links:
 * hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c hypervisor/grant_entry.c links:
 * hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c links:
 * hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c links:
 * hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c links: hypervisor/frame.c
 * lib/heap.c hypervisor/page_type.c hypervisor/pte.c links: hypervisor/mm_domain.c
 * hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c links:
 * hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c links: hypervisor/memory_op.c
 * hypervisor/memory_exchange.c links: hypervisor/iommu_device.c hypervisor/iommu_sender.c iommu/sender.c hypervisor/iommu_kept.c hypervisor/iommu_own.c hypervisor/iommu_quota.c hypervisor/iommu_lent.c hypervisor/iommu_assign.c
 * tests/host/fake_iommu.c lib/pci_cap.c
 */
#include <stdlib.h>
#include <string.h>

#include "hv_world.h"
#include "tests/host/fake_iommu.h"

/* Functions of the machine; the last is behind no unit. */
static const uint16_t functions[] = {0x0020, 0x0028, 0x0100, 0x0f00};

/* The union's members are words of 32 and of 64 bits; both are tried. */
static void fill_union(struct world_input *in, uint8_t *u, size_t size)
{
	uint64_t wide;
	uint32_t word;
	size_t at;

	for (at = 0; at + 8 <= size && in->at < in->end; at += 8) {
		wide = world_u64(in);
		memcpy(u + at, &wide, sizeof(wide));
		if (world_u8(in) & 1)
			continue;
		word = world_u32(in);
		memcpy(u + at, &word, sizeof(word));
	}
}

static bool domctl(struct world_input *in)
{
	struct xen_domctl op;

	memset(&op, 0, sizeof(op));
	op.cmd = world_u8(in) % 90;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = world_u8(in) % WORLD_IDS;
	fill_union(in, (uint8_t *)&op.u, sizeof(op.u));
	return world_call(__HYPERVISOR_domctl, FAKE_PUT(0, op), 0, 0, 0);
}

static bool create(struct world_input *in)
{
	struct xen_domctl op;

	memset(&op, 0, sizeof(op));
	op.cmd = XEN_DOMCTL_createdomain;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = world_u8(in) % WORLD_IDS;
	op.u.createdomain.max_vcpus = world_u8(in) % 4;
	op.u.createdomain.max_grant_frames = (int8_t)world_u8(in);
	op.u.createdomain.flags = world_u8(in) & 1 ? XEN_DOMCTL_CDF_iommu : 0;
	return world_call(__HYPERVISOR_domctl, FAKE_PUT(0, op), 0, 0, 0);
}

/* A context whose page tables are frames of somebody's. */
static bool context(struct world_input *in)
{
	struct vcpu_guest_context c;
	struct xen_domctl op;

	memset(&c, 0, sizeof(c));
	c.flags = world_u8(in);
	c.user_regs.rip = world_u8(in);
	c.ctrlreg[3] = world_u64(in);
	c.ctrlreg[1] = world_u64(in);
	c.gdt_ents = world_u32(in);
	c.gdt_frames[0] = world_u64(in);
	c.ldt_base = world_u64(in);
	c.ldt_ents = world_u32(in);
	memset(&op, 0, sizeof(op));
	op.cmd = world_u8(in) % 2 ? XEN_DOMCTL_setvcpucontext : XEN_DOMCTL_getvcpucontext;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = world_u8(in) % WORLD_IDS;
	op.u.vcpucontext.vcpu = world_u8(in) % 4;
	op.u.vcpucontext.ctxt.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 8192);
	FAKE_PUT(8192, c);
	return world_call(__HYPERVISOR_domctl, FAKE_PUT(0, op), 0, 0, 0);
}

/* A function goes to somebody, or comes back. */
static bool device(struct world_input *in)
{
	static const uint32_t commands[] = {XEN_DOMCTL_assign_device, XEN_DOMCTL_deassign_device,
					    XEN_DOMCTL_test_assign_device};
	uint8_t what = world_u8(in), id = world_u8(in);
	struct xen_domctl op;

	memset(&op, 0, sizeof(op));
	op.cmd = commands[what % ARRAY_SIZE(commands)];
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = id & 0x80 ? DOMID_IO : id % WORLD_IDS;
	op.u.assign_device.u.pci.machine_sbdf = functions[what / 4 % ARRAY_SIZE(functions)];
	return world_call(__HYPERVISOR_domctl, FAKE_PUT(0, op), 0, 0, 0);
}

/* A frame of the beginning gets a use and loses it again, or is given up. */
static bool use(struct world_input *in)
{
	uint8_t what = world_u8(in);
	mfn_t mfn = world_frame(what, what / 3);
	struct domain *d = mfn_to_page(mfn)->owner;
	struct page_info *page;

	if (!d || d->dying)
		return true;
	if (what & 0x80)
		(void)page_release_domain(d, mfn);
	else if (!page_get_and_type(mfn, d, what & 0x40 ? PT_SEG : PT_WRITABLE, &page))
		page_put_and_type(page);
	return true;
}

/* What a function of a domain with CDF_iommu reaches is what the domain may write; another's, nothing. */
static void check_devices(void)
{
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(functions); i++) {
		const struct io_device *dev = io_device_find(functions[i]);
		uint64_t n;

		if (dev->owner && dev->owner->privileged)
			continue;
		if (dev->owner && dev->owner->iommu.own_memory) {
			if (!fake_iommu_in_step(dev->owner, dev->bdf, &n))
				abort();
			continue;
		}
		for (n = 0; n < WORLD_FRAMES; n++)
			if (fake_iommu_reach(dev->bdf, world_frame(1, (unsigned)n)))
				abort();
	}
}

static bool sysctl(struct world_input *in)
{
	struct xen_sysctl op;

	memset(&op, 0, sizeof(op));
	op.cmd = world_u8(in) % 30;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	fill_union(in, (uint8_t *)&op.u, sizeof(op.u));
	return world_call(__HYPERVISOR_sysctl, FAKE_PUT(0, op), 0, 0, 0);
}

static bool platform(struct world_input *in)
{
	struct xen_platform_op op;

	memset(&op, 0, sizeof(op));
	op.cmd = world_u8(in) % 70;
	op.interface_version = XENPF_INTERFACE_VERSION;
	fill_union(in, (uint8_t *)&op.u, sizeof(op.u));
	return world_call(__HYPERVISOR_platform_op, FAKE_PUT(0, op), 0, 0, 0);
}

/* Domain 2's memory is what its devices see. */
static void devices_begin(void)
{
	struct domain *d = domain_find(2);

	fake_iommu_reset();
	d->iommu.own_memory = true;
	domain_put(d);
	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++) {
		fake_iommu_function(functions[i], 0x0108, false, 0, true);
		if (io_device_add(functions[i]))
			abort();
	}
}

/* Nobody's, then forgotten. */
static void devices_end(void)
{
	struct io_device *dev;

	while ((dev = io_device_each(NULL)))
		if (io_device_give(dev, NULL) || io_device_remove(dev->bdf))
			abort();
}

static bool step(struct world_input *in)
{
	static bool (*const steps[])(struct world_input * in) = {
	    domctl, domctl, domctl, create, context, sysctl, platform, device, device, use,
	};
	uint8_t what = world_u8(in);

	fake.preempt_after = what >= 128 ? what % 5 : -1;
	return steps[what % ARRAY_SIZE(steps)](in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_begin();
	devices_begin();
	world_play(data, size, step, check_devices);
	devices_end();
	world_end();
	return 0;
}
