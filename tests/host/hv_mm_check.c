/* hv_mm_check.c: the second opinion on every count of memory management; see hv_mm_check.h.
 *
 * The recount is written from the rules in mm.h, not from page_type.c, and uses no function of mm: it
 * reads frames and tables directly. Ends the program with a message on the first difference.
 */
#include "hv_mm_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/hypercall.h"
#include "hypervisor/mm_private.h"

#define END (FAKE_FIRST_FRAME + FAKE_FRAMES)

static struct {
	uint32_t count, type_count;
	unsigned as; /* bit n: used as enum page_type n */
} want[END];

static void wrong(uint64_t frame, const char *what)
{
	const struct page_info *p = mfn_to_page((mfn_t){frame});

	fprintf(stderr,
		"frame %#lx: %s; has count %u type %u x%u flags %#x done %u, wants %u x%u as %#x\n",
		frame, what, p->count, p->type, p->type_count, p->flags, p->done, want[frame].count,
		want[frame].type_count, want[frame].as);
	abort();
}

static bool ours(uint64_t frame)
{
	return frame >= FAKE_FIRST_FRAME && frame < END;
}

static void use(uint64_t frame, unsigned type)
{
	want[frame].count++;
	want[frame].type_count++;
	want[frame].as |= 1u << type;
}

/* ---- what frames say --------------------------------------------------------------- */

static void add_entry(const struct page_info *table, unsigned level, uint64_t pte)
{
	uint64_t frame = (pte & PTE_FRAME_MASK) >> 12;

	if (!(pte & PTE_PRESENT) || (level == 1 && !ours(frame)))
		return;
	if (!ours(frame))
		wrong(page_to_mfn(table).v, "an upper entry names no RAM");
	if (!(pte & PTE_USER) || (pte & PTE_GLOBAL))
		wrong(page_to_mfn(table).v, "an entry without U or with G");
	if (level > 1)
		use(frame, level - 1);
	else if (pte & PTE_RW)
		use(frame, PT_WRITABLE);
	else
		want[frame].count++;
	if (!mfn_to_page((mfn_t){frame})->owner)
		wrong(frame, "mapped, but nobody's");
}

static void add_table(const struct page_info *page)
{
	const uint64_t *entry = page_to_virt(page);
	unsigned level = page->type, end = page->flags & PG_VALID ? 512 : page->done;

	for (unsigned i = 0; i < end; i++)
		if (level != 4 || i < 256 || i > 271)
			add_entry(page, level, entry[i]);
}

static void add_frame(const struct page_info *page)
{
	uint64_t frame = page_to_mfn(page).v;
	unsigned states = page->flags & (PG_VALID | PG_PARTIAL | PG_UNDO);

	if (states & (states - 1))
		wrong(frame, "in two states");
	if (states && (page->type < PT_L1 || page->type > PT_L4))
		wrong(frame, "a table's state without a table's type");
	if (page->flags & PG_ALLOCATED)
		want[frame].count++;
	if (page->flags & PG_PINNED)
		use(frame, page->type);
	if (page->flags & PG_SHARED)
		use(frame, page->type);
	if (page->flags & (PG_PARTIAL | PG_UNDO))
		use(frame, page->type);
	if (states)
		add_table(page);
}

static void add_vcpu(const struct vcpu *v)
{
	if (v->mm.root.v)
		use(v->mm.root.v, PT_L4);
	if (v->mm.root_user.v)
		use(v->mm.root_user.v, PT_L4);
	for (unsigned i = 0; i < HV_GDT_GUEST_PAGES; i++)
		if (v->mm.gdt[i])
			use(v->mm.gdt[i], PT_SEG);
	for (unsigned i = 0; i < HV_LDT_PAGES; i++)
		if (v->mm.ldt[i])
			use(v->mm.ldt[i], PT_SEG);
}

/* ---- comparing --------------------------------------------------------------------- */

static void compare(const struct page_info *page)
{
	uint64_t frame = page_to_mfn(page).v;
	unsigned as = want[frame].as;

	if (page->count != want[frame].count)
		wrong(frame, "references");
	if (page->type_count != want[frame].type_count)
		wrong(frame, "uses");
	if (as & (as - 1))
		wrong(frame, "used as two things");
	if (as && as != 1u << page->type)
		wrong(frame, "used as what it is not");
	if (as >= 1u << PT_L1 && as <= 1u << PT_L4 &&
	    !(page->flags & (PG_VALID | PG_PARTIAL | PG_UNDO)))
		wrong(frame, "a table in no state");
}

/* A use by more than the table itself needs a table that is valid. */
static void compare_validity(const struct page_info *page)
{
	if ((page->flags & (PG_PARTIAL | PG_UNDO)) && page->type_count > 1)
		wrong(page_to_mfn(page).v, "used before it is valid");
}

static void check_domain(const struct domain *d)
{
	uint32_t listed = 0, allocated = 0, owned = 0, undo = 0, undo_listed = 0, prev = 0;

	for (uint32_t n = d->mm.pages; n; n = mfn_to_page((mfn_t){n})->next) {
		if (mfn_to_page((mfn_t){n})->prev != prev || listed++ > FAKE_FRAMES)
			wrong(n, "list of frames");
		prev = n;
	}
	for (uint32_t n = d->mm.undo; n; n = mfn_to_page((mfn_t){n})->stamp)
		if (undo_listed++ > FAKE_FRAMES || !(mfn_to_page((mfn_t){n})->flags & PG_UNDO))
			wrong(n, "list of tables given up");
	for (uint64_t n = FAKE_FIRST_FRAME; n < END; n++) {
		const struct page_info *p = mfn_to_page((mfn_t){n});

		if (p->owner != d)
			continue;
		owned++;
		allocated += (p->flags & PG_ALLOCATED) != 0;
		undo += (p->flags & PG_UNDO) != 0;
	}
	if (listed != allocated || allocated != d->mm.nr_pages || owned != d->mm.nr_frames ||
	    undo != undo_listed)
		wrong(0x100, "a domain's totals");
}

void mm_check(struct domain *const *domains, unsigned count, const struct page_info *extra)
{
	memset(want, 0, sizeof(want));
	if (extra)
		want[page_to_mfn(extra).v].count++;
	for (uint64_t n = FAKE_FIRST_FRAME; n < END; n++)
		if (mfn_to_page((mfn_t){n})->owner)
			add_frame(mfn_to_page((mfn_t){n}));
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < domains[i]->max_vcpus; k++)
			add_vcpu(domains[i]->vcpu[k]);
	for (uint64_t n = FAKE_FIRST_FRAME; n < END; n++) {
		const struct page_info *page = mfn_to_page((mfn_t){n});

		if (!page->owner)
			continue;
		compare(page);
		compare_validity(page);
	}
	for (unsigned i = 0; i < count; i++)
		check_domain(domains[i]);
}

/* ---- the worst TLB ------------------------------------------------------------------ */

enum { SEEN_READ = 1, SEEN_WRITE = 2 }; /* as data; bit 2 + n: as a table of level n */

static struct {
	const struct domain *owner; /* when first seen */
	unsigned seen;
} cached[END];

static void see(uint64_t frame, unsigned as);

static void see_table(uint64_t frame, unsigned level)
{
	const uint64_t *entry = mfn_to_virt((mfn_t){frame});

	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = __atomic_load_n(&entry[i], __ATOMIC_RELAXED);
		uint64_t next = (pte & PTE_FRAME_MASK) >> 12;

		if (!(pte & PTE_PRESENT) || !ours(next) || (level == 4 && i >= 256 && i <= 271))
			continue;
		if (level > 1)
			see(next, 2u << (level - 1));
		else
			see(next, pte & PTE_RW ? SEEN_READ | SEEN_WRITE : SEEN_READ);
	}
}

/* Levels go down by one with each step, so this ends; a frame known as a table is looked at again,
 * its entries may be new. */
static void see(uint64_t frame, unsigned as)
{
	if (!cached[frame].seen)
		cached[frame].owner = mfn_to_page((mfn_t){frame})->owner;
	cached[frame].seen |= as;
	for (unsigned level = 1; level <= 4; level++)
		if (as & 2u << level)
			see_table(frame, level);
}

/* What the CPU has loaded is reachable whether or not it is cached. */
static void look_from_root(void)
{
	uint64_t top = fake_root().v;

	if (hv_test_percpu.loaded && ours(top) && top != mm_hv_root().v)
		see(top, 2u << 4);
}

static void tlb_forget(void)
{
	memset(cached, 0, sizeof(cached));
	look_from_root();
}

void mm_tlb_start(void)
{
	fake.on_flush = tlb_forget;
	tlb_forget();
}

static bool is_free(uint64_t frame)
{
	for (unsigned order = 0; order <= MM_MAX_ORDER; order++) {
		uint64_t head = frame & ~((1ull << order) - 1);
		const struct page_info *p = mfn_to_page((mfn_t){head});

		if (ours(head) && (p->flags & PG_FREE) && p->done >= order)
			return true;
	}
	return false;
}

/* A frame that nobody uses may be in any TLB: only its next use is a danger, and must flush. */
static void tlb_frame(uint64_t frame)
{
	const struct page_info *p = mfn_to_page((mfn_t){frame});
	unsigned seen = cached[frame].seen;

	if (p->owner && p->owner != cached[frame].owner)
		wrong(frame, "still in a TLB, and somebody else's");
	if (!p->owner && !is_free(frame))
		wrong(frame, "still in a TLB, and ours");
	if (!p->owner || !p->type_count)
		return;
	if ((seen & SEEN_WRITE) && p->type != PT_WRITABLE)
		wrong(frame, "still writable by a TLB");
	for (unsigned level = 1; level <= 4; level++)
		if ((seen & 2u << level) && p->type != level)
			wrong(frame, "still a table to a TLB");
}

void mm_tlb_look(void)
{
	look_from_root();
	for (uint64_t n = FAKE_FIRST_FRAME; n < END; n++)
		for (unsigned level = 1; level <= 4; level++)
			if (cached[n].seen & 2u << level)
				see_table(n, level);
	for (uint64_t n = FAKE_FIRST_FRAME; n < END; n++)
		if (cached[n].seen)
			tlb_frame(n);
}

/* ---- a small address space ---------------------------------------------------------- */

uint64_t *tables_entry(const struct tables *t, unsigned i, unsigned index)
{
	return (uint64_t *)mfn_to_virt(t->frame[i]) + index;
}

void tables_fill(struct tables *t)
{
	const uint64_t rw = PTE_PRESENT | PTE_RW | PTE_USER;

	for (unsigned i = 0; i < 4; i++)
		memset(mfn_to_virt(t->frame[i]), 0, PAGE_SIZE);
	*tables_entry(t, 0, 1) = pte_make(t->frame[1], rw);
	*tables_entry(t, 1, 0) = pte_make(t->frame[2], rw);
	*tables_entry(t, 2, 0) = pte_make(t->frame[3], rw);
	for (unsigned i = 0; i < TABLES_FRAMES; i++)
		*tables_entry(t, 3, i) = pte_make(t->frame[i], i < 4 ? rw & ~PTE_RW : rw);
}

void tables_build(struct tables *t, struct domain *d)
{
	t->d = d;
	for (unsigned i = 0; i < TABLES_FRAMES; i++)
		t->frame[i] = fake_frame(d);
	tables_fill(t);
}

uint64_t tables_maddr(const struct tables *t, unsigned i, unsigned index)
{
	return (t->frame[i].v << PAGE_SHIFT) + index * 8;
}

unsigned tables_uses(const struct tables *t, unsigned i)
{
	return mfn_to_page(t->frame[i])->type_count;
}

/* ---- two domains ---------------------------------------------------------------------- */

struct pair pair;
static uint64_t free_before;

void pair_run_as(struct domain *d)
{
	fake_run(d->vcpu[0]);
	hv_test_percpu.loaded = d->vcpu[0];
}

int pair_setup(void **state)
{
	free_before = fake_free_pages();
	mm_budget_full = 4096;
	fake.preempt_after = -1;
	fake.on_flush = NULL;
	pair.both[0] = pair.first = fake_domain(2, 128);
	pair.both[1] = pair.guest = fake_domain(1, 128);
	tables_build(&pair.own, pair.first);
	tables_build(&pair.other, pair.guest);
	pair.first->vcpu[0]->pv.kernel_mode = pair.guest->vcpu[0]->pv.kernel_mode = true;
	if (mm_set_boot_root(pair.first->vcpu[0], pair.own.frame[0]) ||
	    mm_set_boot_root(pair.guest->vcpu[0], pair.other.frame[0]))
		return -1;
	pair_run_as(pair.guest);
	return 0;
}

int pair_teardown(void **state)
{
	fake.preempt_after = -1;
	mm_check(pair.both, 2, NULL);
	fake_domain_end(pair.guest);
	fake_domain_end(pair.first);
	hv_test_percpu.loaded = NULL;
	return fake_free_pages() == free_before ? 0 : -1;
}

uint64_t pair_va(unsigned i)
{
	return TABLES_VA + i * PAGE_SIZE;
}

long pair_map(uint64_t va, uint64_t pte, uint64_t flags)
{
	return mm_call(__HYPERVISOR_update_va_mapping, va, pte, flags, 0);
}

void pair_make_read_only(struct tables *t, unsigned i)
{
	memset(mfn_to_virt(t->frame[i]), 0, PAGE_SIZE);
	if (pair_map(pair_va(i), pte_make(t->frame[i], RO), UVMF_TLB_FLUSH))
		wrong(t->frame[i].v, "not mapped read-only");
}

/* ---- hypercalls ---------------------------------------------------------------------- */

static unsigned restarts;

unsigned mm_call_restarts(void)
{
	return restarts;
}

long mm_call(unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct vcpu *v = current_vcpu();
	uint64_t arg[6] = {a0, a1, a2, a3};
	long result;

	for (restarts = 0;; restarts++) {
		result = hypercall_run(op, arg);
		if (!v->call.restart)
			return result;
		if (restarts > 100000)
			wrong(0x100, "a hypercall that never ends");
		memcpy(arg, v->call.arg, sizeof(v->call.arg));
	}
}
