/* hv_domctl_fuzz.c: the first domain asks anything of others' lives; nothing is left over.
 *
 * The input is a list of domctl, sysctl and platform_op commands with arguments of small numbers,
 * frames and addresses, interrupted anywhere. Why: the builder may be wrong, or made wrong by what
 * it reads; it must get errors, not a broken machine. Expected: no sanitizer report, the recount of
 * hv_world.c holds, and when all domains are gone so is every page.
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
 * hypervisor/memory_exchange.c
 */
#include <string.h>

#include "hv_world.h"

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

static bool step(struct world_input *in)
{
	static bool (*const steps[])(struct world_input * in) = {
	    domctl, domctl, domctl, create, context, sysctl, platform,
	};
	uint8_t what = world_u8(in);

	fake.preempt_after = what >= 128 ? what % 5 : -1;
	return steps[what % ARRAY_SIZE(steps)](in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world_input in = {data, data + MIN(size, 2048)};
	bool on = true;

	world_begin();
	while (on && in.at < in.end) {
		if (!world_run(world_u8(&in), in.at < in.end ? *in.at : 0))
			continue;
		on = step(&in);
		world_check();
	}
	world_end();
	return 0;
}
