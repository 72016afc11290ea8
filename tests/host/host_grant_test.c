/* host_grant_test.c: the kernel's windows for grants are never lost, shared or outgrown.
 *
 * Shows: maps and unmaps in any mixture with refused grants keep every window free or in use and
 * never both; a second unmap does nothing; who gives pages to devices hears of an unmap before it is done; when there are no windows nothing is mapped; a ring is
 * mapped wholly or not at all. Why: a window given twice shows one guest another's data. The
 * hypervisor's part (grant.h) is a table here. Expected: all hold.
 *
 * links: kernel/host_grant.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/grant.h>
#include <amphi/host.h>
#include <amphi/host_iospace.h>
#include "kernel/host_grant.h"
#include "kernel/mm.h"

uint64_t mm_test_kernel_base, mm_test_direct_base;

/* ---- memory, windows, and a hypervisor that checks ---------------------------------- */

#define AREA_PAGES VMAP_PAGES
#define REF_BAD    666u

static char *const area = (char *)VMAP_BASE;
static unsigned area_used, area_limit, area_released;
static uint8_t mapped[AREA_PAGES];
static unsigned n_mapped;

void *kmalloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void kfree(void *p, size_t size_bytes)
{
	free(p);
}

void *vmap_reserve(unsigned n)
{
	if (area_used + n > area_limit)
		return NULL;
	area_used += n;
	return area + (area_used - n) * PAGE_SIZE;
}

void vmap_release(void *va, unsigned n)
{
	area_released += n;
}

maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va + 0x5000};
}

static unsigned page_of(const void *va)
{
	size_t offset = (size_t)((const char *)va - area);

	assert_int_equal(offset % PAGE_SIZE, 0);
	assert_true(offset / PAGE_SIZE < area_used);
	return (unsigned)(offset / PAGE_SIZE);
}

int grants_map(struct grant_mapping *maps, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		maps[i].status = GNTST_bad_gntref;
		if (maps[i].ref.v == REF_BAD)
			continue;
		assert_int_equal(mapped[page_of(maps[i].va)]++, 0);
		maps[i].status = GNTST_okay;
		maps[i].handle = page_of(maps[i].va) + 7;
		n_mapped++;
	}
	return 0;
}

void grants_unmap(struct grant_mapping *maps, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (maps[i].status != GNTST_okay)
			continue;
		assert_int_equal(maps[i].handle, page_of(maps[i].va) + 7);
		assert_int_equal(mapped[page_of(maps[i].va)]--, 1);
		maps[i].status = GNTST_general_error;
		n_mapped--;
	}
}

static mfn_t offered;

int grant_offer(domid_t peer, mfn_t frame, bool readonly, gref_t *out_ref)
{
	offered = frame;
	out_ref->v = peer * 2u + readonly;
	return 0;
}

int grant_end(gref_t ref)
{
	return ref.v == REF_BAD ? -XEN_EBUSY : 0;
}

int grants_copy(struct gnttab_copy *ops, unsigned n)
{
	return (int)n;
}

/* ---- tests -------------------------------------------------------------------------- */

static struct host_grant_map maps[400][HOST_GRANT_BATCH];

static void want(struct host_grant_map *m, unsigned n, bool some_bad)
{
	unsigned i;

	for (i = 0; i < n; i++)
		m[i] = (struct host_grant_map){
		    .owner = 1, .ref = {some_bad && rand() % 4 == 0 ? REF_BAD : 9 + i}};
}

static int setup(void **state)
{
	area_limit = AREA_PAGES;
	return 0;
}

static unsigned n_left;

static void leaves(const uint16_t *windows, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mapped[windows[i]], 1);
	n_left += count;
}

/* Devices hear of it while the page is there, and of the page which grant it is of. */
static void who_wants_to_know_is_told(void **state)
{
	struct host_grant_map m[3] = {{.owner = 4, .ref = {40}, .readonly = true},
				      {.owner = 5, .ref = {REF_BAD}},
				      {.owner = 6, .ref = {60}}};
	unsigned window;
	bool readonly;

	host_grants_leaving(leaves);
	assert_int_equal(host_grants_map(m, 3), 0);
	assert_true(host_grant_window((char *)m[0].page + 17, &window, &readonly));
	assert_int_equal(window, page_of(m[0].page));
	assert_true(readonly);
	assert_true(host_grant_window(m[2].page, &window, &readonly));
	assert_false(readonly);
	assert_int_equal(granted_at(m[0].page)->owner, 4);
	assert_int_equal(granted_at(m[2].page)->ref, 60);
	assert_null(granted_at(area + 10 * PAGE_SIZE)); /* nobody's */
	assert_null(granted_at(area + 30000 * PAGE_SIZE));
	assert_null(granted_at(&window));
	host_grants_unmap(m, 3);
	assert_int_equal(n_left, 2);
	assert_null(granted_at(area + window * PAGE_SIZE));
}

static void mixture_keeps_windows_apart(void **state)
{
	unsigned round, slot, i;
	bool used[16] = {false};

	srand(4);
	for (round = 0; round < 2000; round++) {
		slot = (unsigned)rand() % 16;
		if (used[slot]) {
			host_grants_unmap(maps[slot], HOST_GRANT_BATCH);
			host_grants_unmap(maps[slot], HOST_GRANT_BATCH); /* does nothing */
		} else {
			want(maps[slot], HOST_GRANT_BATCH, true);
			assert_int_equal(host_grants_map(maps[slot], HOST_GRANT_BATCH), 0);
			for (i = 0; i < HOST_GRANT_BATCH; i++)
				assert_int_equal(maps[slot][i].page != NULL,
						 maps[slot][i].ref.v != REF_BAD);
		}
		used[slot] = !used[slot];
	}
	for (slot = 0; slot < 16; slot++)
		host_grants_unmap(maps[slot], HOST_GRANT_BATCH);
	assert_int_equal(n_mapped, 0);
	assert_true(area_used <= 17 * HOST_GRANT_BATCH);
}

/* The stack of windows has 24576 places: more are refused, and all come back. */
static void no_more_than_there_is_room_for(void **state)
{
	unsigned n = 0, before;

	do {
		want(maps[n], HOST_GRANT_BATCH, false);
	} while (host_grants_map(maps[n], HOST_GRANT_BATCH) == 0 && ++n < 400);
	assert_int_equal(n, 24576 / HOST_GRANT_BATCH);
	assert_int_equal(n_mapped, 24576);
	before = area_used;
	while (n--)
		host_grants_unmap(maps[n], HOST_GRANT_BATCH);
	assert_int_equal(n_mapped, 0);
	want(maps[0], HOST_GRANT_BATCH, false);
	assert_int_equal(host_grants_map(maps[0], HOST_GRANT_BATCH), 0);
	host_grants_unmap(maps[0], HOST_GRANT_BATCH);
	assert_int_equal(area_used, before);
}

static void rings_are_all_or_nothing(void **state)
{
	gref_t refs[4] = {{1}, {2}, {3}, {4}};
	unsigned released = area_released;
	void *a, *b;

	assert_int_equal(host_ring_map(2, refs, 4, &a), 0);
	assert_int_equal(host_ring_map(2, refs, 1, &b), 0);
	assert_int_equal(n_mapped, 5);
	host_ring_unmap(a, 4);
	host_ring_unmap(a, 4); /* unknown now */
	assert_int_equal(n_mapped, 1);
	host_ring_unmap(b, 1);
	assert_int_equal(area_released, released + 5);
	refs[2].v = REF_BAD;
	assert_int_equal(host_ring_map(2, refs, 4, &a), -XEN_EINVAL);
	assert_int_equal(host_ring_map(2, refs, 0, &a), -XEN_EINVAL);
	assert_int_equal(host_ring_map(2, refs, HOST_GRANT_BATCH + 1, &a), -XEN_EINVAL);
	assert_int_equal(n_mapped, 0);
	assert_int_equal(area_released, released + 9);
	area_limit = area_used;
	assert_int_equal(host_ring_map(2, refs, 4, &a), -XEN_ENOMEM);
}

static void offers_name_the_frame(void **state)
{
	gref_t ref;

	assert_int_equal(host_grant_offer(3, (void *)0x7000, true, &ref), 0);
	assert_int_equal(offered.v, 0xc);
	assert_int_equal(ref.v, 7);
	assert_int_equal(host_grant_end((gref_t){REF_BAD}), -XEN_EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(who_wants_to_know_is_told, setup),
	    cmocka_unit_test_setup(mixture_keeps_windows_apart, setup),
	    cmocka_unit_test_setup(no_more_than_there_is_room_for, setup),
	    cmocka_unit_test_setup(rings_are_all_or_nothing, setup),
	    cmocka_unit_test_setup(offers_name_the_frame, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
