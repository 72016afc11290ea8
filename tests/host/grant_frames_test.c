/* grant_frames_test.c: the grant table begins with four frames and doubles to what the hypervisor lets it have.
 *
 * Shows: how many frames are asked for and when, with a hypervisor that has many, few, one or none, that does not say
 * how many, or that refuses what it said; memory for the links comes and goes. Why: a domain with many disks needs
 * more entries than most, and one that asks for what it cannot have must go on with what it has. Expected: all hold.
 *
 * links: kernel/grant_frames.c hypercall/grant.c hypercall/count.c tests/host/fake_hypercall.c
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
#include "kernel/grant_frames.h"
#include "kernel/mm.h"

#define PER_FRAME 512u
#define RESERVED  GNTTAB_NR_RESERVED_ENTRIES

static struct grant_entry_v1 table[GRANT_FRAMES_MAX * PER_FRAME];
static unsigned limit, told, n_have, n_adds, reserved;
static size_t kept_bytes;
static bool no_memory;

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	struct gnttab_query_size *query = (void *)(uintptr_t)a2;

	assert_int_equal(nr, __HYPERVISOR_grant_table_op);
	assert_int_equal(a1, GNTTABOP_query_size);
	query->max_nr_frames = told;
	query->status = GNTST_okay;
	return told ? 0 : -XEN_ENOSYS;
}

void *vmap_reserve(unsigned n)
{
	reserved = n;
	return table;
}

void *kmalloc(size_t size_bytes)
{
	kept_bytes += no_memory ? 0 : size_bytes;
	return no_memory ? NULL : calloc(1, size_bytes);
}

void kfree(void *p, size_t size_bytes)
{
	kept_bytes -= size_bytes;
	free(p);
}

static bool add(void *window, unsigned from, unsigned to)
{
	n_adds++;
	assert_ptr_equal(window, table);
	assert_int_equal(from, n_have);
	assert_true(to <= reserved);
	if (to > limit)
		return false;
	n_have = to;
	return true;
}

/* How many grants there are until it is full; each has another reference. */
static unsigned offer_all(void)
{
	static bool seen[GRANT_FRAMES_MAX * PER_FRAME];
	unsigned n = 0;
	gref_t ref;

	memset(seen, 0, sizeof(seen));
	for (; grant_offer(1, (mfn_t){n}, false, &ref) == 0; n++) {
		assert_true(ref.v < n_have * PER_FRAME && !seen[ref.v]);
		seen[ref.v] = true;
	}
	for (unsigned i = RESERVED; i < n_have * PER_FRAME; i++)
		assert_int_equal(seen[i] && grant_end((gref_t){i}), 0);
	return n;
}

/* There is one table in a kernel, and it only grows: so do the tests, in this order. */
static void without_a_hypervisor_there_is_none(void **state)
{
	unsigned n;

	told = limit = 0;
	grant_frames_start(add);
	(void)grant_frames_window(&n);
	assert_int_equal(n, 0);
	assert_int_equal(offer_all(), 0);
}

static void it_doubles_to_the_limit(void **state)
{
	unsigned n;

	told = limit = 10;
	n_adds = 0;
	grant_frames_start(add);
	assert_int_equal(reserved, 10);
	assert_int_equal(n_have, 4);
	no_memory = true;
	assert_int_equal(offer_all(), 4 * PER_FRAME - RESERVED);
	no_memory = false;
	assert_int_equal(offer_all(), 10 * PER_FRAME - RESERVED);
	assert_ptr_equal(grant_frames_window(&n), table);
	assert_int_equal(n, 10);
	assert_int_equal(n_adds, 3); /* 4, 8, 10 */
	assert_int_equal(kept_bytes, 10 * PER_FRAME * sizeof(uint16_t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_hypervisor_there_is_none),
	    cmocka_unit_test(it_doubles_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
