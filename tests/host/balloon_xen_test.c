/* balloon_xen_test.c: pages go to the hypervisor and come back as the toolstack's target says, and nothing is
 * lost on the way.
 *
 * Shows: the first target is what the domain has and moves nothing; a lower one gives free pages, unmapped and
 * without a place in the p2m list, and leaves some; a higher one takes them back with other frames, up to what there
 * was; what the hypervisor refuses is undone and tried again a second later; a target that is no number is none.
 * Why: a page that is mapped and given, or free and given, is memory of another domain in our hands.
 *
 * links: kernel/balloon_xen.c hypercall/count.c tests/host/fake_hypercall.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host.h>
#include <amphi/hypercall.h>

#include "fake_hypercall.h"
#include "kernel/balloon_xen.h"
#include "kernel/console.h"
#include "kernel/host_iospace.h"
#include "kernel/mm.h"
#include "kernel/mm_parts.h"

static unsigned drains;

void iospace_drain(void)
{
	drains++;
}

#define PAGES    2048u
#define FRAME_AT 5000u

uint64_t mm_test_kernel_base, mm_test_direct_base;
uint64_t *mm_p2m_list;

static uint64_t p2m[PAGES];
static bool is_free[PAGES], is_mapped[PAGES];
static unsigned n_free, held; /* frames that the hypervisor counts as ours */
static uint64_t next_frame;
static int refuse_map, refuse_decrease, refuse_populate; /* so many calls */
static char target[24];
static host_watch_fn *watch_fn;
static struct host_work *queued;
static uint64_t delay;

/* ---- the hypervisor --------------------------------------------------------------------------- */

static bool refused(int *n)
{
	*n -= *n > 0;
	return *n > 0;
}

static uint64_t pfn_of(uint64_t va)
{
	uint64_t pfn = (va - mm_test_direct_base) / PAGE_SIZE;

	assert_true(pfn < PAGES);
	return pfn;
}

static int64_t memory_op(uint64_t cmd, struct xen_memory_reservation *r)
{
	if (cmd == XENMEM_current_reservation)
		return held;
	assert_int_equal(r->nr_extents, 1);
	if (cmd == XENMEM_decrease_reservation) {
		assert_true(drains > 0); /* no device has the page any more */
		drains = 0;
		if (refused(&refuse_decrease))
			return 0;
		for (unsigned i = 0; i < PAGES; i++) /* nothing leads to it any more */
			assert_true(p2m[i] != r->extent_start.p[0]);
		held--;
		return 1;
	}
	assert_int_equal(cmd, XENMEM_populate_physmap);
	assert_true(p2m[r->extent_start.p[0]] == ~0ull);
	if (refused(&refuse_populate))
		return 0;
	r->extent_start.p[0] = next_frame++;
	held++;
	return 1;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr == __HYPERVISOR_memory_op)
		return memory_op(a1, (void *)a2);
	assert_int_equal(nr, __HYPERVISOR_update_va_mapping);
	assert_int_equal(a3, UVMF_INVLPG | UVMF_ALL);
	if (refused(&refuse_map))
		return -XEN_EINVAL;
	if (a2)
		assert_int_equal(a2 >> PAGE_SHIFT, p2m[pfn_of(a1)]);
	is_mapped[pfn_of(a1)] = a2 != 0;
	return 0;
}

/* ---- the kernel ------------------------------------------------------------------------------- */

void mm_direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry)
{
	assert_false(readonly);
	*out_va = (uint64_t)(uintptr_t)pfn_to_virt(pfn);
	*out_entry = p2m[pfn.v] << PAGE_SHIFT | 3;
}
pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){pfn_of((uintptr_t)va)};
}
size_t pages_free_count(void)
{
	return n_free;
}
void *pages_alloc(unsigned n)
{
	unsigned i = 0;

	while (i < PAGES && !is_free[i])
		i++;
	if (i == PAGES)
		return NULL;
	assert_true(is_mapped[i] && p2m[i] != ~0ull);
	is_free[i] = false;
	n_free--;
	return memset(pfn_to_virt((pfn_t){i}), 0, PAGE_SIZE);
}
void pages_free(void *va, unsigned n)
{
	uint64_t pfn = pfn_of((uintptr_t)va);

	assert_true(is_mapped[pfn] && p2m[pfn] != ~0ull && !is_free[pfn]);
	is_free[pfn] = true;
	n_free++;
}
void klog(enum log_level level, const char *fmt, ...) {}
int host_store_read(uint32_t tx, const char *path, char *out, size_t cap)
{
	assert_string_equal(path, "memory/target");
	if (!target[0])
		return -XEN_ENOENT;
	strcpy(out, target);
	return (int)strlen(out);
}
int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out)
{
	watch_fn = fn;
	return 0;
}
void host_work_soon(struct host_work *work)
{
	queued = work;
	delay = 0;
}
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	queued = work;
	delay = delay_ns;
}
void host_work_cancel(struct host_work *work)
{
	queued = NULL;
}

/* ---- the test ---------------------------------------------------------------------------------- */

static void run(void)
{
	while (queued && !delay) {
		struct host_work *w = queued;

		queued = NULL;
		w->fn(w->ctx);
	}
}

static void set_target(unsigned pages)
{
	snprintf(target, sizeof(target), "%u", pages * 4);
	watch_fn(NULL, "memory/target");
	run();
}

/* Every page is mapped and has a frame, or neither; what has none is not free. */
static void check(unsigned expected)
{
	unsigned with_frame = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(is_mapped[i], p2m[i] != ~0ull);
		assert_true(is_mapped[i] || !is_free[i]);
		with_frame += is_mapped[i];
	}
	assert_int_equal(with_frame, held);
	assert_int_equal(held, expected);
}

/* The module keeps its state, as it does in the kernel: so all is one story. 1500 of the pages are free. */
static void a_story(void **state)
{
	mm_test_direct_base = (uintptr_t)aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
	mm_p2m_list = p2m;
	next_frame = FRAME_AT + PAGES;
	held = PAGES;
	n_free = 1500;
	for (unsigned i = 0; i < PAGES; i++) {
		p2m[i] = FRAME_AT + i;
		is_mapped[i] = true;
		is_free[i] = i >= PAGES - n_free;
	}
	assert_int_equal(balloon_xen_start(), 0);
	watch_fn(NULL, "memory/target"); /* no node */
	set_target(PAGES - 8);           /* eight of slack: nothing moves */
	check(PAGES);
	set_target(PAGES - 8 - 700);
	check(PAGES - 700);
	assert_true(n_free <= 1500 - 700); /* and the pages that remember them */
	strcpy(target, "1x");
	watch_fn(NULL, "memory/target");
	run();
	check(PAGES - 700);
	set_target(PAGES - 8 - 100);
	check(PAGES - 100);
	set_target(PAGES + 5000); /* no more than there was */
	check(PAGES);
	assert_int_equal(n_free, 1500);
	set_target(1); /* no less than can be */
	assert_in_range(n_free, 256, 257);
	check(held);
	set_target(PAGES - 8);
	check(PAGES);
	assert_int_equal(n_free, 1500);
}

static void refusals(void **state)
{
	refuse_map = 3;
	set_target(PAGES - 8 - 10);
	check(PAGES);
	assert_int_equal(delay, 1000000000);
	delay = 0;
	refuse_map = 0;
	refuse_decrease = 2;
	run();
	check(PAGES);
	delay = 0;
	run();
	check(PAGES - 10);
	refuse_populate = 2;
	set_target(PAGES - 8);
	check(PAGES - 10);
	assert_int_equal(delay, 1000000000);
	delay = 0;
	run();
	check(PAGES);
	assert_int_equal(n_free, 1500);
	free((void *)mm_test_direct_base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_story),
	    cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
