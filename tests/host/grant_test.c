/* grant_test.c: pages are offered and taken back, mapped and unmapped, and every counter comes back.
 *
 * Shows: offers fill the shared table as its layout says, never the builder's entries, until it is full;
 * then the table grows, while there is more; a grant in use cannot be ended and stays whole; a batch of maps is one hypercall with a status for each,
 * unmapping skips what was not mapped and works once; copies are cut into batches. Why: an entry freed
 * while the peer still maps it gives the peer somebody else's page.
 *
 * In a PVH domain the address is the window's number in physical memory, and the window is mapped only
 * while the frame is there.
 *
 * links: hypercall/grant.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/grant.h>
#include <amphi/hypercall.h>
#include "fake_hypercall.h"

#define ENTRIES 512u
#define FREE    (ENTRIES - GNTTAB_NR_RESERVED_ENTRIES)
#define MOST    1024u /* entries, grown */

static struct grant_entry_v1 table[MOST];
static int64_t answer;
static unsigned n_calls, last_count, last_cmd;
static uint64_t addresses[8]; /* of the last map or unmap */

static void map_one(struct gnttab_map_grant_ref *op, unsigned i)
{
	addresses[i % 8] = op->host_addr;
	if (op->ref == 666) {
		op->status = GNTST_bad_gntref;
		return;
	}
	op->status = GNTST_okay;
	op->handle = 100 + i;
	op->dev_bus_addr = (uint64_t)op->ref << PAGE_SHIFT;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	assert_int_equal(nr, __HYPERVISOR_grant_table_op);
	n_calls++;
	last_cmd = (unsigned)a1;
	last_count = (unsigned)a3;
	if (answer)
		return answer;
	for (unsigned i = 0; i < a3 && a1 == GNTTABOP_map_grant_ref; i++)
		map_one((struct gnttab_map_grant_ref *)(uintptr_t)a2 + i, i);
	for (unsigned i = 0; i < a3 && a1 == GNTTABOP_unmap_grant_ref; i++) {
		const struct gnttab_unmap_grant_ref *op = (void *)(uintptr_t)a2;

		assert_true(op[i].handle >= 100);
		addresses[i % 8] = op[i].host_addr;
	}
	return 0;
}

/* Runs first. */
static void natively_there_are_none(void **state)
{
	gref_t ref;

	assert_int_equal(grant_offer(1, (mfn_t){2}, false, &ref), -XEN_ENOSPC);
	assert_int_equal(grant_end((gref_t){20}), -XEN_EINVAL);
	grant_init(table, ENTRIES);
	assert_int_equal(grant_free(), FREE);
}

static void offers_until_full(void **state)
{
	gref_t refs[FREE + 1];

	for (unsigned i = 0; i < FREE; i++) {
		assert_int_equal(grant_offer(3, (mfn_t){1000 + i}, i & 1, &refs[i]), 0);
		assert_true(refs[i].v >= GNTTAB_NR_RESERVED_ENTRIES && refs[i].v < ENTRIES);
	}
	assert_int_equal(grant_offer(3, (mfn_t){1}, false, &refs[FREE]), -XEN_ENOSPC);
	for (unsigned i = 0; i < FREE; i++) {
		const struct grant_entry_v1 *e = &table[refs[i].v];

		assert_int_equal(e->frame, 1000 + i);
		assert_int_equal(e->domid, 3);
		assert_int_equal(e->flags, GTF_permit_access | (i & 1 ? GTF_readonly : 0));
	}
	for (unsigned ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++)
		assert_int_equal(table[ref].flags, 0);
	assert_int_equal(grant_used(), FREE);
	for (unsigned i = 0; i < FREE; i++)
		assert_int_equal(grant_end(refs[i]), 0);
	assert_int_equal(grant_used(), 0);
	assert_int_equal(grant_free(), FREE);
}

/* ---- growth ------------------------------------------------------------------------------ */

static uint16_t *links, *links_before;
static unsigned n_grown, length = ENTRIES;

static bool grow_by_half(void)
{
	n_grown++;
	if (length == MOST)
		return false;
	length = length == ENTRIES ? 3 * ENTRIES / 2 : MOST;
	links = calloc(length, sizeof(*links));
	links_before = grant_grown(links, length);
	return true;
}

/* A full table asks for more, keeps what is out and what is free, and is full again when there is no more. */
static void a_full_table_grows(void **state)
{
	static gref_t refs[MOST];
	static bool seen[MOST];
	unsigned n = 0;
	gref_t ref;

	grant_set_growth(grow_by_half);
	while (grant_offer(4, (mfn_t){2000 + n}, false, &refs[n]) == 0) {
		assert_true(refs[n].v < length && !seen[refs[n].v]);
		seen[refs[n].v] = true;
		assert_int_equal(table[refs[n].v].frame, 2000 + n);
		if (n++ == FREE) /* the first one that asked */
			assert_null(links_before);
		if (n == FREE + 5) {
			assert_int_equal(grant_end(refs[7]), 0);
			assert_int_equal(grant_offer(4, (mfn_t){2007}, false, &ref), 0);
			assert_int_equal(ref.v, refs[7].v);
		}
	}
	assert_int_equal(n, MOST - GNTTAB_NR_RESERVED_ENTRIES);
	assert_int_equal(n_grown, 3);
	assert_non_null(links_before);
	free(links_before);
	assert_int_equal(grant_free(), 0);
	while (n)
		assert_int_equal(grant_end(refs[--n]), 0);
	assert_int_equal(grant_free(), MOST - GNTTAB_NR_RESERVED_ENTRIES);
	assert_int_equal(grant_end((gref_t){MOST}), -XEN_EINVAL);
	assert_int_equal(grant_used(), 0);
	grant_set_growth(NULL);
}

static void a_grant_in_use_stays(void **state)
{
	gref_t ref, other;

	assert_int_equal(grant_offer(3, (mfn_t){9}, false, &ref), 0);
	table[ref.v].flags |= GTF_reading;
	assert_int_equal(grant_end(ref), -XEN_EBUSY);
	assert_int_equal(table[ref.v].flags, GTF_permit_access | GTF_reading);
	assert_int_equal(grant_offer(3, (mfn_t){10}, false, &other), 0);
	assert_true(other.v != ref.v);
	table[ref.v].flags |= GTF_writing;
	assert_int_equal(grant_end(ref), -XEN_EBUSY);
	table[ref.v].flags = GTF_permit_access;
	assert_int_equal(grant_end(ref), 0);
	assert_int_equal(table[ref.v].flags, 0);
	assert_int_equal(grant_end(other), 0);
	assert_int_equal(grant_end((gref_t){0}), -XEN_EINVAL);
	assert_int_equal(grant_end((gref_t){1 << 20}), -XEN_EINVAL);
}

static void a_batch_of_maps(void **state)
{
	struct grant_mapping maps[3] = {
	    {.owner = 2, .ref = {40}, .va = (void *)0x1000},
	    {.owner = 2, .ref = {666}, .va = (void *)0x2000},
	    {.owner = 2, .ref = {41}, .readonly = true, .va = (void *)0x3000},
	};

	n_calls = 0;
	assert_int_equal(grants_map(maps, 3), 0);
	assert_int_equal(n_calls, 1);
	assert_int_equal(maps[0].status, GNTST_okay);
	assert_int_equal(maps[0].mfn.v, 40);
	assert_int_equal(maps[1].status, GNTST_bad_gntref);
	assert_int_equal(maps[2].handle, 102);
	assert_int_equal(grant_mapped(), 2);
	grants_unmap(maps, 3);
	assert_int_equal(n_calls, 2);
	assert_int_equal(last_count, 2);
	assert_int_equal(grant_mapped(), 0);
	grants_unmap(maps, 3); /* nothing left to undo */
	assert_int_equal(n_calls, 2);
}

/* ---- places ------------------------------------------------------------------------------ */

static char happened[16];

static void note(char what)
{
	size_t len = strlen(happened);

	happened[len] = what;
	happened[len + 1] = '\0';
}

static uint64_t place_address(const void *va)
{
	return (uint64_t)(uintptr_t)va + 0x100000000;
}

static void place_enter(void *va, bool readonly)
{
	assert_true(n_calls == 1);
	note(readonly ? 'r' : 'w');
}

static void place_leave(void *va)
{
	assert_true(n_calls == 1); /* the frame is there still */
	note('l');
}

static void windows_follow_their_frames(void **state)
{
	static const struct grant_places places = {place_address, place_enter, place_leave};
	struct grant_mapping maps[3] = {
	    {.ref = {40}, .va = (void *)0x1000},
	    {.ref = {666}, .va = (void *)0x2000},
	    {.ref = {41}, .readonly = true, .va = (void *)0x3000},
	};

	grant_set_places(&places);
	n_calls = 0;
	assert_int_equal(grants_map(maps, 3), 0);
	assert_string_equal(happened, "wr");
	assert_true(addresses[0] == 0x100001000 && addresses[2] == 0x100003000);
	grants_unmap(maps, 3);
	assert_string_equal(happened, "wrll");
	assert_true(addresses[0] == 0x100001000 && addresses[1] == 0x100003000);
	answer = -XEN_EFAULT;
	assert_int_equal(grants_map(maps, 1), -XEN_EFAULT);
	assert_string_equal(happened, "wrll");
	answer = 0;
	grant_set_places(NULL);
	assert_int_equal(grant_mapped(), 0);
}

static void refused_batches(void **state)
{
	struct grant_mapping maps[GRANT_BATCH + 1] = {{.ref = {1}}};

	assert_int_equal(grants_map(maps, GRANT_BATCH + 1), -XEN_E2BIG);
	answer = -XEN_EFAULT;
	assert_int_equal(grants_map(maps, 1), -XEN_EFAULT);
	assert_int_equal(maps[0].status, GNTST_general_error);
	assert_int_equal(grant_mapped(), 0);
	answer = 0;
}

static void copies_in_batches(void **state)
{
	static struct gnttab_copy ops[GRANT_COPY_BATCH + 3];

	n_calls = 0;
	assert_int_equal(grants_copy(ops, GRANT_COPY_BATCH + 3), 0);
	assert_int_equal(n_calls, 2);
	assert_int_equal(last_cmd, GNTTABOP_copy);
	assert_int_equal(last_count, 3);
	assert_int_equal(grants_copy(ops, 0), 0);
	assert_int_equal(n_calls, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(natively_there_are_none),
	    cmocka_unit_test(offers_until_full),
	    cmocka_unit_test(a_grant_in_use_stays),
	    cmocka_unit_test(a_full_table_grows),
	    cmocka_unit_test(a_batch_of_maps),
	    cmocka_unit_test(windows_follow_their_frames),
	    cmocka_unit_test(refused_batches),
	    cmocka_unit_test(copies_in_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
