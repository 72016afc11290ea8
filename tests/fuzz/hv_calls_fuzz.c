/* hv_calls_fuzz.c: any hypercall of the table, by any domain, with any arguments.
 *
 * The input fills the guests' memory with words that are frames, addresses or numbers, and then
 * makes calls, alone or as a multicall, picked from the whole table (hypercalls.def). The other
 * fuzzers go deep; this one leaves none out. Expected: no sanitizer report, an answer or a dead
 * domain for each, the recount of hv_world.c, and every page back.
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

static void fill_memory(struct world_input *in)
{
	uint64_t *words = (uint64_t *)(void *)fake_arena;
	unsigned at = world_u8(in) % 64, n = world_u8(in) % 16;

	while (n-- > 0)
		words[at++] = world_u64(in);
}

/* The commands of these take a structure with a version in front. */
static void stamp_version(uint64_t op)
{
	uint32_t *words = (uint32_t *)(void *)fake_arena;

	if (op == __HYPERVISOR_domctl)
		words[1] = XEN_DOMCTL_INTERFACE_VERSION;
	if (op == __HYPERVISOR_sysctl)
		words[1] = XEN_SYSCTL_INTERFACE_VERSION;
	if (op == __HYPERVISOR_platform_op)
		words[1] = XENPF_INTERFACE_VERSION;
}

static uint64_t argument(struct world_input *in)
{
	uint8_t kind = world_u8(in);

	if (kind < 100)
		return kind % 20; /* a command, a count */
	if (kind < 180)
		return FAKE_GUEST_BASE + kind % 8 * 64;
	return world_u64(in);
}

static bool multicall(struct world_input *in)
{
	struct multicall_entry e[4];
	unsigned i, j, n = world_u8(in) % 4 + 1;

	memset(e, 0, sizeof(e));
	for (i = 0; i < n; i++) {
		e[i].op = world_u8(in) % HYPERCALL_MAX;
		for (j = 0; j < 4; j++)
			e[i].args[j] = argument(in);
	}
	return world_call(__HYPERVISOR_multicall, FAKE_PUT(16384, e), n, 0, 0);
}

static bool step(struct world_input *in)
{
	uint8_t op = world_u8(in);
	uint64_t a0, a1, a2, a3;

	fake.preempt_after = op >= 192 ? op % 4 : -1;
	fill_memory(in);
	if (op % HYPERCALL_MAX == __HYPERVISOR_multicall)
		return multicall(in);
	stamp_version(op % HYPERCALL_MAX);
	a0 = argument(in);
	a1 = argument(in);
	a2 = argument(in);
	a3 = argument(in);
	return world_call(op % HYPERCALL_MAX, a0, a1, a2, a3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_begin();
	world_play(data, size, step, NULL);
	world_end();
	return 0;
}
