/* io_table_test.c: trees of I/O page tables, by the formats of both makers.
 *
 * Shows: what is mapped is found, with its rights, at both ends of every size of page; large pages are used where they fit and nowhere
 * else; a map over something, or one that runs out of tables, changes nothing; an unmap takes whole maps only, and all of it or
 * nothing; one is taken out and told; pieces are told in order; empty tables are found; and after any order of all that, the tree says what a plain list of pages says, and no
 * page is lost. Why: one wrong entry is a device in another's memory.
 *
 * links: iommu/io_table.c tests/host/iommu_world.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/iommu.h>
#include <xen/errno.h>
#include "iommu/io_table.h"
#include "tests/host/iommu_world.h"

#define M2 (512ull * PAGE_SIZE)
#define G1 (512ull * M2)
#define RW (IOMMU_READ | IOMMU_WRITE)

/* As VT-d 9.8 and AMD's 2.2.3 say, written here again on purpose. */
static const struct io_format formats[] = {
    {.read = 1, .write = 2, .present = 3, .table = 3, .kind = 1 << 7, .large = 1 << 7},
    {.read = 1ull << 61,
     .write = 1ull << 62,
     .present = 1,
     .leaf = 1 | 1ull << 60,
     .table = 1 | 3ull << 61,
     .kind = 7 << 9,
     .next_shift = 9},
};

static struct io_table t;

static void begin(unsigned format, unsigned levels, unsigned large)
{
	t = (struct io_table){.format = &formats[format],
			      .levels = (uint8_t)levels,
			      .large_levels = (uint8_t)large,
			      .max_pages = 1000};
	assert_int_equal(io_table_init(&t), 0);
}

static void end(void)
{
	io_table_free(&t);
	assert_int_equal(t.n_pages, 0);
	assert_int_equal(iommu_world_pages(), 0);
}

static void leads(uint64_t dma, uint64_t to, unsigned rights)
{
	maddr_t got;
	unsigned got_rights;

	assert_int_equal(io_table_lookup(&t, dma, &got, &got_rights), 0);
	assert_int_equal(got.v, to);
	assert_int_equal(got_rights, rights);
}

static void nowhere(uint64_t dma)
{
	maddr_t got;
	unsigned rights;

	assert_int_equal(io_table_lookup(&t, dma, &got, &rights), -XEN_ENOENT);
}

static void one_page(void **state)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned levels = 3; levels < 5; levels++) {
			begin(f, levels, 0);
			assert_int_equal(
			    io_table_map(&t, 0x7000, (maddr_t){0x123000}, PAGE_SIZE, RW), 0);
			assert_int_equal(t.n_pages, levels);
			leads(0x7000, 0x123000, RW);
			leads(0x7fff, 0x123fff, RW);
			nowhere(0x6fff);
			nowhere(0x8000);
			assert_int_equal(io_table_unmap(&t, 0x7000, PAGE_SIZE), 0);
			nowhere(0x7000);
			end();
		}
}

static void rights_are_kept(void **state)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		begin(f, 4, 0);
		for (unsigned r = 1; r < 4; r++) {
			assert_int_equal(
			    io_table_map(&t, r * PAGE_SIZE, (maddr_t){0}, PAGE_SIZE, r), 0);
			leads(r * PAGE_SIZE, 0, r);
		}
		assert_int_equal(io_table_map(&t, 0, (maddr_t){0}, PAGE_SIZE, 0), -XEN_EINVAL);
		end();
	}
}

/* A page below a border, a whole gigabyte, and a page behind it. */
static void large_pages_where_they_fit(void **state)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		begin(f, 4, 1 << 1 | 1 << 2);
		assert_int_equal(io_table_map(&t, G1 - PAGE_SIZE, (maddr_t){3 * G1 - PAGE_SIZE},
					      G1 + M2 + 2 * PAGE_SIZE, RW),
				 0);
		/* root, one of 512 GiB, and the two of 2 MiB and of pages on either side. */
		assert_int_equal(t.n_pages, 1 + 1 + 2 + 2);
		leads(G1 - 1, 3 * G1 - 1, RW);
		leads(G1, 3 * G1, RW);
		leads(G1 + 0x12345678, 3 * G1 + 0x12345678, RW);
		leads(2 * G1 + M2 - 1, 4 * G1 + M2 - 1, RW);
		leads(2 * G1 + M2, 4 * G1 + M2, RW);
		nowhere(2 * G1 + M2 + PAGE_SIZE);
		assert_int_equal(io_table_unmap(&t, G1, PAGE_SIZE), -XEN_EINVAL);
		assert_int_equal(io_table_unmap(&t, G1 - PAGE_SIZE, PAGE_SIZE + M2), -XEN_EINVAL);
		leads(G1 - PAGE_SIZE, 3 * G1 - PAGE_SIZE, RW);
		assert_int_equal(io_table_unmap(&t, G1 - PAGE_SIZE, G1 + M2 + 2 * PAGE_SIZE), 0);
		nowhere(G1);
		end();
	}
}

static void not_aligned_is_small(void **state)
{
	begin(0, 3, 1 << 1);
	assert_int_equal(io_table_map(&t, M2, (maddr_t){M2 + PAGE_SIZE}, M2, RW), 0);
	leads(2 * M2 - 1, 2 * M2 + PAGE_SIZE - 1, RW);
	assert_int_equal(io_table_unmap(&t, M2 + PAGE_SIZE, PAGE_SIZE), 0);
	end();
}

static void all_or_nothing(void **state)
{
	begin(0, 3, 1 << 1);
	assert_int_equal(io_table_map(&t, M2 + 5 * PAGE_SIZE, (maddr_t){0}, PAGE_SIZE, RW), 0);
	assert_int_equal(io_table_map(&t, M2, (maddr_t){0}, 6 * PAGE_SIZE, RW), -XEN_EEXIST);
	nowhere(M2);
	/* Over it as a whole: small pages around it would do, but one is taken. */
	assert_int_equal(io_table_map(&t, M2, (maddr_t){0}, M2, RW), -XEN_EEXIST);
	nowhere(M2);
	assert_int_equal(io_table_unmap(&t, M2 + 4 * PAGE_SIZE, 2 * PAGE_SIZE), -XEN_ENOENT);
	leads(M2 + 5 * PAGE_SIZE, 0, RW);
	assert_int_equal(io_table_unmap(&t, M2 + 5 * PAGE_SIZE, PAGE_SIZE), 0);
	/* The empty table stays, so the next is made of small pages. */
	assert_int_equal(io_table_map(&t, M2, (maddr_t){4 * M2}, M2, RW), 0);
	leads(M2 + 511 * PAGE_SIZE, 4 * M2 + 511 * PAGE_SIZE, RW);
	assert_int_equal(io_table_unmap(&t, M2, M2), 0);
	end();
}

static void tables_have_a_bound(void **state)
{
	begin(1, 4, 0);
	t.max_pages = 5;
	assert_int_equal(io_table_map(&t, 0, (maddr_t){0}, PAGE_SIZE, RW), 0);
	assert_int_equal(io_table_map(&t, G1, (maddr_t){0}, PAGE_SIZE, RW), -XEN_ENOMEM);
	nowhere(G1);
	t.max_pages = 1000;
	iommu_world_memory(1);
	assert_int_equal(io_table_map(&t, 4 * G1, (maddr_t){0}, PAGE_SIZE, RW), -XEN_ENOMEM);
	iommu_world_memory(~0u);
	assert_int_equal(io_table_map(&t, 4 * G1, (maddr_t){0}, PAGE_SIZE, RW), 0);
	end();
}

static void nonsense(void **state)
{
	static const struct {
		uint64_t dma, to, len;
	} bad[] = {
	    {0x10, 0, PAGE_SIZE},
	    {0, 0x10, PAGE_SIZE},
	    {0, 0, 0x10},
	    {0, 0, 0},
	    {512ull * G1, 0, PAGE_SIZE},
	    {512ull * G1 - PAGE_SIZE, 0, 2 * PAGE_SIZE},
	    {~0xfffull, 0, PAGE_SIZE},
	    {~0xfffull, 0, 2 * PAGE_SIZE},
	    {0, 1ull << 52, PAGE_SIZE},
	    {0, (1ull << 52) - PAGE_SIZE, 2 * PAGE_SIZE},
	};

	begin(0, 3, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(io_table_map(&t, bad[i].dma, (maddr_t){bad[i].to}, bad[i].len, RW),
				 -XEN_EINVAL);
	assert_int_equal(io_table_unmap(&t, 0x10, PAGE_SIZE), -XEN_EINVAL);
	assert_int_equal(io_table_unmap(&t, 512ull * G1, PAGE_SIZE), -XEN_EINVAL);
	end();
}

static void empty_tables_are_found(void **state)
{
	void *cut[8];
	unsigned n, total = 0;

	begin(0, 3, 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(io_table_map(&t, i * M2, (maddr_t){0}, PAGE_SIZE, RW), 0);
	for (unsigned i = 1; i < 20; i++)
		assert_int_equal(io_table_unmap(&t, i * M2, PAGE_SIZE), 0);
	assert_int_equal(t.n_pages, 1 + 1 + 20);
	do {
		n = io_table_cut_empty(&t, cut, 8);
		for (unsigned i = 0; i < n; i++)
			iommu_world_free(cut[i]);
		total += n;
	} while (n == 8);
	assert_int_equal(total, 19);
	assert_int_equal(t.n_pages, 1 + 1 + 1);
	leads(0, 0, RW);
	nowhere(M2);
	assert_int_equal(io_table_map(&t, M2, (maddr_t){M2}, PAGE_SIZE, RW), 0);
	end();
}

/* Anything in any order, beside a list of 2048 pages that cannot be wrong. */
#define PAGES 2048u
static uint64_t model[PAGES]; /* 0: nothing, else where to, plus 1 */

static void random_steps(void **state)
{
	srandom(7);
	begin(random() % 2, 3, 1 << 1);
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 4000; step++) {
		unsigned at = (unsigned)random() % PAGES, n = 1 + (unsigned)random() % 3;
		uint64_t to = (uint64_t)(random() % 4096) * PAGE_SIZE;
		bool busy = false, whole = true;
		int err;

		if (random() % 4 == 0) {
			at &= ~511u;
			n = 512;
			to &= ~(M2 - 1);
		}
		n = MIN(n, PAGES - at);
		for (unsigned i = 0; i < n; i++) {
			busy |= model[at + i] != 0;
			whole &= model[at + i] != 0;
		}
		if (random() % 2) {
			err = io_table_map(&t, at * PAGE_SIZE, (maddr_t){to}, n * PAGE_SIZE, RW);
			assert_int_equal(err, busy ? -XEN_EEXIST : 0);
			for (unsigned i = 0; i < n && !err; i++)
				model[at + i] = to + i * PAGE_SIZE + 1;
		} else {
			err = io_table_unmap(&t, at * PAGE_SIZE, n * PAGE_SIZE);
			assert_true(whole ? !err || err == -XEN_EINVAL
					  : err == -XEN_ENOENT || err == -XEN_EINVAL);
			for (unsigned i = 0; i < n && !err; i++)
				model[at + i] = 0;
		}
	}
	for (unsigned i = 0; i < PAGES; i++)
		if (model[i])
			leads(i * PAGE_SIZE, model[i] - 1, RW);
		else
			nowhere(i * PAGE_SIZE);
	end();
}

/* A page, a large one behind it, and one at the end of all addresses, for tables that have ends and for those of all 64 bits. */
static void pieces_are_told_in_order(void **state)
{
	for (unsigned levels = 3; levels <= 6; levels++) {
		uint64_t last = (levels > 5 ? 0 : 1ull << (12 + 9 * levels)) - PAGE_SIZE;
		struct iommu_piece p = {.dma = 0};

		begin(0, levels, 2);
		assert_false(io_table_next(&t, &p));
		assert_int_equal(
		    io_table_map(&t, 5 * PAGE_SIZE, (maddr_t){0x123000}, PAGE_SIZE, RW), 0);
		assert_int_equal(io_table_map(&t, 3 * M2, (maddr_t){8 * M2}, M2, IOMMU_READ), 0);
		assert_int_equal(
		    io_table_map(&t, last, (maddr_t){0x124000}, PAGE_SIZE, IOMMU_WRITE),
		    levels > 5 ? -XEN_EINVAL : 0);
		assert_true(io_table_next(&t, &p));
		assert_int_equal(p.dma, 5 * PAGE_SIZE);
		assert_int_equal(p.to.v, 0x123000);
		assert_int_equal(p.len, PAGE_SIZE);
		assert_int_equal(p.rights, RW);
		/* From within, it is told from its start. */
		p.dma = 3 * M2 + 7 * PAGE_SIZE;
		assert_true(io_table_next(&t, &p));
		assert_int_equal(p.dma, 3 * M2);
		assert_int_equal(p.to.v, 8 * M2);
		assert_int_equal(p.len, M2);
		assert_int_equal(p.rights, IOMMU_READ);
		p.dma += p.len;
		assert_int_equal(io_table_next(&t, &p), levels < 6);
		assert_true(levels > 5 || (p.dma == last && p.rights == IOMMU_WRITE));
		p.dma = last + PAGE_SIZE;
		assert_int_equal(io_table_next(&t, &p), levels > 5);
		end();
	}
}

static void one_page_is_taken(void **state)
{
	unsigned rights;
	maddr_t to;

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		begin(f, 4, 2);
		assert_int_equal(
		    io_table_map(&t, 0x7000, (maddr_t){0x123000}, PAGE_SIZE, IOMMU_WRITE), 0);
		assert_int_equal(io_table_map(&t, M2, (maddr_t){M2}, M2, RW), 0);
		assert_int_equal(io_table_take(&t, 0x7008, &to, &rights), -XEN_EINVAL);
		assert_int_equal(io_table_take(&t, M2, &to, &rights), -XEN_EINVAL);
		leads(M2, M2, RW);
		assert_int_equal(io_table_take(&t, 0x8000, &to, &rights), -XEN_ENOENT);
		assert_int_equal(io_table_take(&t, 0x7000, &to, &rights), 0);
		assert_int_equal(to.v, 0x123000);
		assert_int_equal(rights, IOMMU_WRITE);
		nowhere(0x7000);
		assert_int_equal(io_table_take(&t, 0x7000, &to, &rights), -XEN_ENOENT);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_page),
	    cmocka_unit_test(rights_are_kept),
	    cmocka_unit_test(large_pages_where_they_fit),
	    cmocka_unit_test(not_aligned_is_small),
	    cmocka_unit_test(all_or_nothing),
	    cmocka_unit_test(tables_have_a_bound),
	    cmocka_unit_test(nonsense),
	    cmocka_unit_test(empty_tables_are_found),
	    cmocka_unit_test(pieces_are_told_in_order),
	    cmocka_unit_test(one_page_is_taken),
	    cmocka_unit_test(random_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
