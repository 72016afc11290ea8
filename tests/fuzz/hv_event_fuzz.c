/* hv_event_fuzz.c: three domains do anything with event channels; both ends always agree.
 *
 * The input is a list of EVTCHNOP_* by any vCPU of any of the domains, with small numbers for
 * arguments, polls, masks and moves of vcpu_info in between, and pages for FIFO that they write to. Why: ports are named by guests and
 * connect two of them. Expected: no sanitizer report, the recount of hv_world.c holds after each
 * call, and when all domains are gone so is every page.
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

/* The argument's fields are 16 and 32 bits wide: small numbers in each half make sense often. */
static void fill_argument(struct world_input *in)
{
	uint32_t words[6];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = world_u32(in);
	if (world_u8(in) & 1) /* two domain ids in one word, as alloc_unbound has */
		words[0] = (world_u8(in) % 4) | (uint32_t)(world_u8(in) % 4) << 16;
	FAKE_PUT(0, words);
}

static bool poll(struct world_input *in)
{
	struct sched_poll p = {.nr_ports = world_u8(in) % 4};
	uint32_t ports[4], i;

	for (i = 0; i < ARRAY_SIZE(ports); i++)
		ports[i] = world_u32(in);
	p.ports.p = (evtchn_port_t *)(uintptr_t)(FAKE_GUEST_BASE + 256);
	FAKE_PUT(256, ports);
	return world_call(__HYPERVISOR_sched_op, SCHEDOP_poll, FAKE_PUT(0, p), 0, 0);
}

static bool move_info(struct world_input *in)
{
	struct vcpu_register_vcpu_info r = {.mfn = world_u64(in), .offset = world_u32(in)};

	return world_call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, world_u8(in) % 3,
			  FAKE_PUT(0, r), 0);
}

/* Gives FIFO what it needs: a frame of the world's, its own or not, for a control block or array. */
static bool give_page(struct world_input *in, uint8_t what)
{
	struct evtchn_init_control c = {.control_gfn = world_u64(in), .vcpu = what / 8 % 3};
	struct evtchn_expand_array a = {.array_gfn = c.control_gfn};

	c.offset = world_u8(in) * 8u;
	if (what & 4)
		return world_call(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control,
				  FAKE_PUT(0, c), 0, 0);
	return world_call(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, FAKE_PUT(0, a), 0,
			  0);
}

/* Writes to a frame of its own that it could have mapped. */
static bool scribble(struct world_input *in)
{
	unsigned id = current_domain()->id % WORLD_DOMAINS, n = world_u8(in);
	mfn_t frame = world_frame(id, n);
	uint32_t at = world_u8(in) % 64, word = (uint32_t)world_u8(in) << 24;

	if (mfn_to_page(frame)->owner != current_domain() ||
	    mfn_to_page(frame)->type != PT_WRITABLE)
		return true;
	((uint32_t *)mfn_to_virt(frame))[at] = word | world_u8(in);
	return true;
}

static bool step(struct world_input *in)
{
	uint8_t what = world_u8(in);

	switch (what % 24) {
	case 16:
		return poll(in);
	case 17:
		return move_info(in);
	case 18:
		memset(current_domain()->events.shared->evtchn_mask, what, 512);
		return true;
	case 19:
		event_send_virq(current_vcpu(), what);
		event_send_pirq(current_domain(), what / 8);
		return true;
	case 20:
	case 21:
		return give_page(in, what);
	case 22:
	case 23:
		return scribble(in);
	default:
		fill_argument(in);
		return world_call(__HYPERVISOR_event_channel_op, what % 24, FAKE_GUEST_BASE, 0, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_begin();
	world_play(data, size, step, NULL);
	world_end();
	return 0;
}
