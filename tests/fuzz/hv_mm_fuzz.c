/* hv_mm_fuzz.c: two domains do anything to memory, and every count stays right.
 *
 * The input is a program of four-byte instructions: who acts, on which frame, as what. Reachable are
 * mmu_update, update_va_mapping (own and the other's frames), mmuext_op, set_gdt,
 * update_descriptor, memory_op, grant mappings, LDT faults, trapped table writes and address-space
 * switches, all with a budget so small that everything is stopped in the middle. Why: this is where
 * a guest could get hold of another's memory. Expected: no sanitizer report, a recount after every
 * few steps agrees, after no step a TLB that forgot nothing could do harm, and when both domains are
 * gone all frames are back.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c tests/host/hv_mm_check.c
 * links: lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c hypervisor/grant_entry.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/hv_mm_check.h"
#include "hypervisor/hypercall.h"
#include "hypervisor/mm_private.h"

struct step {
	uint8_t what, frame, index, extra;
};

static struct domain *both[2];
static struct tables space[2];
static uint64_t free_before;

/* Mostly frames of the two, sometimes others. */
static mfn_t frame_of(uint8_t n)
{
	const struct tables *t = &space[n & 1];

	n >>= 1;
	if (n < TABLES_FRAMES * 8)
		return t->frame[n % TABLES_FRAMES];
	if (n < 120)
		return (mfn_t){FAKE_FIRST_FRAME + FAKE_FRAMES - 1 - (n & 31)};
	return (mfn_t){n == 120 ? 0xfee00 : n == 121 ? 0 : n == 122 ? 1ull << 51 : 0x50};
}

static unsigned index_of(uint8_t n)
{
	return n < 32 ? n : n < 64 ? 240u + n - 32 : 480u + (n & 31);
}

static uint64_t pte_of(const struct step *s)
{
	static const uint64_t flags[] = {
	    0, 1, 3, 5, 7, 0x67, 0x63, 0x25, 0x87, 0x107, 0x1f, 0x67 | PTE_NX, 0x7 | 1ull << 52,
	    2, 7, 7};

	return pte_make(frame_of(s->extra), flags[s->index & 15]);
}

static uint32_t who(const struct step *s)
{
	static const uint32_t ids[] = {DOMID_SELF, DOMID_SELF, 0, 1,
				       DOMID_IO,   DOMID_XEN,  7, DOMID_SELF};

	return ids[s->what >> 5];
}

/* ---- one function a kind of step --------------------------------------------------------- */

static void do_update(const struct step *s)
{
	struct mmu_update u = {.ptr = (frame_of(s->frame).v << 12) + 8 * index_of(s->index) +
				      (s->what >> 5 & 3),
			       .val = pte_of(s)};

	mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 1, 0, DOMID_SELF);
}

static void do_update_foreign(const struct step *s)
{
	struct mmu_update u[2] = {
	    {.ptr = (frame_of(s->frame).v << 12) + 8 * index_of(s->index), .val = pte_of(s)},
	    {.ptr = (frame_of(s->extra).v << 12) | MMU_MACHPHYS_UPDATE, .val = s->index}};
	uint64_t tables = s->index & 64 ? 2 : 0;

	mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 2, FAKE_GUEST_BASE + 512,
		who(s) | tables << 16);
}

static void do_ext(const struct step *s)
{
	struct mmuext_op op = {.cmd = s->index % 22};

	op.arg1.mfn = frame_of(s->frame).v;
	op.arg2.src_mfn = frame_of(s->extra).v;
	mm_call(__HYPERVISOR_mmuext_op, FAKE_PUT(0, op), 1, 0, who(s));
}

static void do_pin(const struct step *s)
{
	struct mmuext_op op[3] = {{.cmd = s->index % 6}, {.cmd = s->index / 6 % 6}, {.cmd = 15}};

	op[0].arg1.mfn = frame_of(s->frame).v;
	op[1].arg1.mfn = frame_of(s->extra).v;
	mm_call(__HYPERVISOR_mmuext_op, FAKE_PUT(0, op), s->index & 128 ? 3 : 2,
		FAKE_GUEST_BASE + 512, DOMID_SELF);
}

static void do_ldt(const struct step *s)
{
	struct mmuext_op op = {.cmd = MMUEXT_SET_LDT};
	struct vcpu *v = current_vcpu();

	op.arg1.linear_addr = TABLES_VA + (s->frame % 16) * PAGE_SIZE + (s->frame == 255);
	op.arg2.nr_ents = s->index * 16u;
	mm_call(__HYPERVISOR_mmuext_op, FAKE_PUT(0, op), 1, 0, DOMID_SELF);
	mm_page_fault(v, mm_gdt_base(v) + HV_LDT_OFFSET + (s->extra & 15) * PAGE_SIZE, 0);
}

static void do_va(const struct step *s)
{
	mm_call(__HYPERVISOR_update_va_mapping_otherdomain,
		TABLES_VA + (s->frame & 63) * PAGE_SIZE + ((uint64_t)(s->frame >> 6) << 39),
		pte_of(s), s->index & 7, who(s));
}

static void do_gdt(const struct step *s)
{
	uint64_t frames[14];

	for (unsigned i = 0; i < 14; i++)
		frames[i] = frame_of((uint8_t)(s->frame + i * 2 * (s->extra & 3))).v;
	mm_call(__HYPERVISOR_set_gdt, FAKE_PUT(0, frames), s->index * 32u, 0, 0);
}

static void do_descriptor(const struct step *s)
{
	static const uint64_t d[] = {0, 0x00af9b000000ffff, 0x00cff3000000ffff, 0x0000890000000067};

	mm_call(__HYPERVISOR_update_descriptor,
		(frame_of(s->frame).v << 12) + 8 * index_of(s->index), d[s->extra & 3], 0, 0);
}

static void do_reserve(const struct step *s)
{
	struct xen_memory_reservation r = {.nr_extents = 1 + (s->extra & 3),
					   .extent_order = s->index & 3,
					   .domid = (domid_t)who(s)};
	xen_pfn_t list[4];
	static const unsigned cmds[] = {0, 1, 6, 1, 3, 4, 9, 14};

	for (unsigned i = 0; i < 4; i++)
		list[i] = frame_of((uint8_t)(s->frame + 2 * i)).v;
	r.extent_start.p = (void *)FAKE_PUT(512, list);
	mm_call(__HYPERVISOR_memory_op, cmds[s->index >> 5], FAKE_PUT(0, r), 0, 0);
}

static void do_exchange(const struct step *s)
{
	struct xen_memory_exchange x = {0};
	xen_pfn_t list[4];

	for (unsigned i = 0; i < 4; i++)
		list[i] = frame_of((uint8_t)(s->frame + 2 * i * (s->extra & 1))).v;
	x.in.extent_start.p = (void *)FAKE_PUT(512, list);
	x.out.extent_start.p = (void *)FAKE_PUT(640, list);
	x.in.nr_extents = 4 >> (s->index & 1);
	x.in.extent_order = s->index & 1;
	x.out.nr_extents = 1;
	x.out.extent_order = 2;
	x.in.domid = x.out.domid = DOMID_SELF;
	mm_call(__HYPERVISOR_memory_op, XENMEM_exchange, FAKE_PUT(0, x), 0, 0);
}

/* The grant tables' use of mm, without the grant tables. */
static void do_grant(const struct step *s)
{
	struct mm_grant_map map = {
	    .contains_pte = s->index & 1,
	    .readonly = s->index & 2,
	    .owner = both[s->extra & 1],
	    .frame = frame_of(s->extra),
	    .pte_bits = s->index & 4 ? 0xe00 : 0,
	};

	map.host_addr = map.contains_pte ? (frame_of(s->frame).v << 12) + 8 * (s->index & 31)
					 : TABLES_VA + (s->frame & 63) * PAGE_SIZE;
	if (s->index < 128)
		mm_grant_map_pte(&map);
	else if (s->index < 224)
		mm_grant_unmap_pte(&map);
	else
		mm_grant_replace_pte(&map, TABLES_VA + (s->index & 31) * PAGE_SIZE);
	if (s->index >= 128)
		hw_flush();
}

static void do_trapped(const struct step *s)
{
	uint64_t expected = 0;

	mm_write_table(current_vcpu(),
		       TABLES_VA + (s->frame & 31) * PAGE_SIZE + 8 * index_of(s->index), pte_of(s),
		       s->index & 64, &expected);
}

static void do_mode(const struct step *s)
{
	struct vcpu *v = current_vcpu();

	v->pv.kernel_mode = false;
	mm_toggle_user(v);
	v->pv.kernel_mode = true;
	mm_activate(v);
}

static void do_budget(const struct step *s)
{
	mm_budget_full = 4 + s->frame * (s->index & 7);
	fake.preempt_after = s->extra & 1 ? s->extra >> 4 : -1;
}

static void do_fill(const struct step *s)
{
	struct tables *t = &space[s->frame & 1];

	for (unsigned i = 0; i < TABLES_FRAMES; i++)
		if (mfn_to_page(t->frame[i])->type_count || mfn_to_page(t->frame[i])->owner != t->d)
			return;
	hw_flush(); /* a guest would have written it by a mapping, and flushed for that */
	tables_fill(t);
}

static void (*const kinds[32])(const struct step *s) = {
    do_update,
    do_update,
    do_update,
    do_update_foreign,
    do_ext,
    do_pin,
    do_pin,
    do_pin,
    do_ldt,
    do_va,
    do_va,
    do_gdt,
    do_descriptor,
    do_reserve,
    do_exchange,
    do_grant,
    do_grant,
    do_trapped,
    do_mode,
    do_budget,
    do_fill,
    do_update,
    do_update_foreign,
    do_ext,
};

/* ---- a run ------------------------------------------------------------------------------- */

static void start(void)
{
	static bool started;

	if (!started)
		fake_start();
	started = true;
	free_before = fake_free_pages();
	mm_budget_full = 4096;
	for (unsigned i = 0; i < 2; i++) {
		both[i] = fake_domain(1, 64);
		both[i]->vcpu[0]->pv.kernel_mode = true;
		tables_build(&space[i], both[i]);
		mm_set_boot_root(both[i]->vcpu[0], space[i].frame[0]);
	}
}

static void run_as(unsigned i)
{
	fake_run(both[i]->vcpu[0]);
	hv_test_percpu.loaded = both[i]->vcpu[0];
	mm_activate(both[i]->vcpu[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step s;
	size_t n = 0;

	start();
	run_as(0);
	mm_tlb_start();
	for (; n + sizeof(s) <= size && n < 400; n += sizeof(s)) {
		memcpy(&s, data + n, sizeof(s));
		if ((s.what & 31) >= 24)
			run_as(s.what >> 5 & 1);
		else
			kinds[s.what & 31](&s);
		mm_tlb_look();
		if (n % 32 == 0)
			mm_check(both, 2, NULL);
	}
	fake.preempt_after = -1;
	mm_check(both, 2, NULL);
	fake.on_flush = NULL;
	hv_test_percpu.loaded = NULL;
	for (unsigned i = 2; i-- > 0;)
		fake_domain_end(both[i]);
	mm_check(NULL, 0, NULL);
	if (fake_free_pages() != free_before)
		abort();
	return 0;
}
