/* pvops_patch_test.c: the writer of text writes what was planned, where it should, and nothing else.
 *
 * Shows: a page of made-up call sites, mapped read-only with a writable alias elsewhere as in the kernel,
 * becomes what the operations are; a site with other bytes than the compiler's is left alone and named; an
 * alias that does not reach the text is noticed; an operation provided late is written over what was
 * there; the count of indirect calls finds one that no record tells of. Why: this is the one function that
 * changes the running kernel.
 *
 * links: pvops/plan.c pvops/fill.c pvops/patch.c pvops/report.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <amphi/xen.h>
#include "pvops/impl.h"
#include "pvops/lock.h"

#define SITES     6u
#define STEP      32u
#define TEXT_SIZE 8192u

/* The kernel's linker marks, here around arrays of this test. Text and records lie in one image so that
 * offsets of 32 bits reach. */
uint8_t fake_text[TEXT_SIZE] __attribute__((aligned(4096)));
struct pv_site fake_sites[SITES];
__asm__(".globl pv_sites_start, pv_sites_end, text_start, text_end\n"
	".globl pv_operands_start, pv_operands_end\n"
	".set pv_operands_start, fake_sites\n .set pv_operands_end, fake_sites\n"
	".set pv_sites_start, fake_sites\n .set pv_sites_end, fake_sites + 6 * 8\n"
	".set text_start, fake_text\n .set text_end, fake_text + 8192\n");

static const struct {
	enum pv_op op;
	uint8_t class;
} layout[SITES] = {
    {PV_irq_irq_disable, PV_BARE}, {PV_mmu_read_cr2, PV_THIN},     {PV_mmu_write_cr3, PV_FULL},
    {PV_cpu_iret, PV_JUMP},        {PV_time_sched_clock, PV_FULL}, {PV_cpu_load_tr, PV_FULL},
};

static uint8_t *alias;
static bool alias_is_wrong;
static uint8_t elsewhere[TEXT_SIZE];

static void *text_alias(const void *text)
{
	size_t offset = (size_t)((const uint8_t *)text - fake_text);

	assert_true(offset < TEXT_SIZE);
	return (alias_is_wrong ? elsewhere : alias) + offset;
}

static const struct pvops_env env = {.text_alias = text_alias};

/* Two calls and a function for time.sched_clock; near enough to be called. */
void pv_unfilled(void) {}
void lock_slow_sleeping(struct spinlock *lock, spin_serve_fn *serve) {}
void lock_unlock_waking(struct spinlock *lock) {}
static void thin_function(void) {}
static void clock_function(void) {}

static struct pv_impl table[PV_OP_COUNT];

static void fill_table(void)
{
	memset(table, 0, sizeof(table));
	table[PV_irq_irq_disable] =
	    (struct pv_impl){.kind = PV_CALL, .thin = true, PV_FN(thin_function)};
	table[PV_mmu_read_cr2] =
	    (struct pv_impl){.kind = PV_CALL, .thin = true, PV_FN(thin_function)};
	table[PV_mmu_write_cr3] = (struct pv_impl){.kind = PV_HYPERCALL, PV_FN(thin_function)};
	table[PV_cpu_iret] = (struct pv_impl){.kind = PV_CALL, PV_FN(thin_function)};
	pv_fill(table, &env);
	/* An inline form without a function to copy from. */
	pv_impls[PV_irq_irq_disable].kind = PV_INLINE;
	pv_impls[PV_irq_irq_disable].code_len = 1;
	pv_impls[PV_irq_irq_disable].code[0] = 0xfa;
}

/* Site i lies at 32 * i + 4; the last one across the page's end, where an alias must be right twice. */
static uint8_t *site_at(unsigned i)
{
	return fake_text + (i == SITES - 1 ? 4093 : STEP * i + 4);
}

static struct pv_place place(unsigned i)
{
	return (struct pv_place){(uintptr_t)site_at(i), (uintptr_t)&pv_ops + 8u * layout[i].op,
				 pv_room[layout[i].op], layout[i].class};
}

/* Prefixes fill a site from the front: what it does is at its end. len: bytes of that. */
static const uint8_t *code_at(unsigned i, unsigned len)
{
	return site_at(i) + place(i).room - len;
}

static void make_text(void)
{
	memset(alias, 0xf4, TEXT_SIZE);
	for (unsigned i = 0; i < SITES; i++) {
		struct pv_place at = place(i);
		uint8_t code[PV_ROOM_MAX];

		assert_int_equal(pv_plan_original(&at, code), 0);
		memcpy(alias + (site_at(i) - fake_text), code, at.room);
		fake_sites[i] =
		    (struct pv_site){(int32_t)(site_at(i) - (uint8_t *)&fake_sites[i].offset),
				     layout[i].op, at.room, layout[i].class};
	}
}

static int map_text(void **state)
{
	int fd = memfd_create("text", 0);

	if (fd < 0 || ftruncate(fd, TEXT_SIZE))
		return -1;
	alias = mmap(NULL, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mmap(fake_text, TEXT_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != fake_text)
		return -1;
	close(fd);
	return alias == MAP_FAILED;
}

static int fresh(void **state)
{
	alias_is_wrong = false;
	fill_table();
	make_text();
	return 0;
}

static void all_sites_are_written(void **state)
{
	unsigned counts[4];

	assert_int_equal(pvops_count_indirect(), SITES);
	assert_int_equal(pvops_verify(NULL, NULL), SITES);
	assert_int_equal(pvops_patch(NULL), 0);
	assert_int_equal(pvops_count_indirect(), 0);
	assert_int_equal(pvops_verify(NULL, NULL), 0);
	assert_int_equal(*code_at(0, 1), 0xfa);
	assert_int_equal(*code_at(1, 5), 0xe8);
	assert_int_equal(site_at(3)[0], 0xe9);
	assert_int_equal(site_at(3)[5], 0xcc);
	assert_memory_equal(site_at(4), "\x0f\x0b", 2); /* nobody fills the clock yet */
	assert_memory_equal(site_at(5), "\x0f\x0b", 2);
	pvops_count_sites(counts);
	assert_int_equal(counts[PV_INLINE], 1);
	assert_int_equal(counts[PV_CALL], 2);
	assert_int_equal(counts[PV_HYPERCALL], 1);
	assert_int_equal(counts[PV_UNFILLED], 2);
}

static void nothing_between_the_sites_changes(void **state)
{
	unsigned untouched = TEXT_SIZE;

	assert_int_equal(pvops_patch(NULL), 0);
	for (unsigned i = 0; i < SITES; i++) {
		uint8_t *end = site_at(i) + place(i).room;

		assert_int_equal(site_at(i)[-1], 0xf4);
		assert_int_equal(*end, 0xf4);
		untouched -= place(i).room;
	}
	for (unsigned i = 0; i < TEXT_SIZE; i++)
		untouched -= fake_text[i] == 0xf4;
	assert_int_equal(untouched, 0);
}

static void a_strange_site_is_left_alone(void **state)
{
	struct pv_bad_site bad = {0};
	uint8_t before[8];

	alias[site_at(2) - fake_text + 1] ^= 1;
	memcpy(before, site_at(2), sizeof(before));
	assert_int_equal(pvops_patch(&bad), -XEN_EINVAL);
	assert_ptr_equal(bad.site, site_at(2));
	assert_string_equal(bad.group, "mmu");
	assert_string_equal(bad.name, "write_cr3");
	assert_int_equal(bad.len_bytes, place(2).room);
	assert_memory_equal(bad.found, before, bad.len_bytes);
	assert_int_equal(bad.expected[0], 0xff);
	assert_int_equal(bad.expected[1] ^ 1, bad.found[1]);
	assert_memory_equal(site_at(2), before, sizeof(before));
}

static void an_alias_that_does_not_reach_is_noticed(void **state)
{
	struct pv_bad_site bad = {0};

	alias_is_wrong = true;
	assert_int_equal(pvops_patch(&bad), -XEN_EINVAL);
	assert_ptr_equal(bad.site, site_at(0));
}

static void a_record_of_no_operation_is_refused(void **state)
{
	fake_sites[1].op = PV_OP_COUNT;
	assert_int_equal(pvops_patch(NULL), -XEN_EINVAL);
	assert_true(pvops_verify(NULL, NULL) > 0);
}

static void a_class_the_filling_cannot_keep_is_refused(void **state)
{
	pv_impls[PV_mmu_read_cr2].thin = false;
	assert_int_equal(pvops_patch(NULL), -XEN_EINVAL);
}

static void note_bad(void *ctx, const struct pv_bad_site *bad)
{
	*(struct pv_bad_site *)ctx = *bad;
}

static void what_runs_is_told_of_by_name(void **state)
{
	struct pv_bad_site bad = {0};

	assert_int_equal(pvops_patch(NULL), 0);
	assert_int_equal(pvops_verify(note_bad, &bad), 0);
	assert_null(bad.site);
	alias[site_at(1) - fake_text + 2] = 0xcc;
	assert_int_equal(pvops_verify(note_bad, &bad), 1);
	assert_ptr_equal(bad.site, site_at(1));
	assert_string_equal(bad.name, "read_cr2");
	assert_int_equal(bad.found[2], 0xcc);
	assert_int_not_equal(bad.expected[2], 0xcc);
	fake_sites[1].op = PV_OP_COUNT;
	assert_int_equal(pvops_verify(note_bad, &bad), 1);
	assert_string_equal(bad.name, "?");
}

static void late_fillings_are_written_over(void **state)
{
	struct pv_op_report report;

	assert_int_equal(pvops_patch(NULL), 0);
	assert_int_equal(pvops_provide(PV_time_sched_clock, PV_CALL, (void *)clock_function), 0);
	assert_int_equal(*code_at(4, 5), 0xe8);
	assert_ptr_equal((void *)pv_ops.time.sched_clock, (void *)clock_function);
	assert_int_equal(pvops_verify(NULL, NULL), 0);
	pvops_report(PV_time_sched_clock, &report);
	assert_string_equal(report.group, "time");
	assert_string_equal(report.name, "sched_clock");
	assert_int_equal(report.sites, 1);
	assert_string_equal(pvops_kind_name(report.kind), "call");
	/* and again, over itself */
	assert_int_equal(pvops_provide(PV_time_sched_clock, PV_HYPERCALL, (void *)thin_function),
			 0);
	assert_int_equal(pvops_verify(NULL, NULL), 0);
	/* but not over something else */
	alias[site_at(4) - fake_text] = 0x90;
	assert_int_equal(pvops_provide(PV_time_sched_clock, PV_CALL, (void *)clock_function),
			 -XEN_EINVAL);
}

static void put_disp(unsigned at, uint8_t first, uint8_t second, unsigned op)
{
	int32_t disp = (int32_t)((uintptr_t)&pv_ops + 8 * op - (uintptr_t)(fake_text + at + 6));

	alias[at] = first, alias[at + 1] = second;
	memcpy(alias + at + 2, &disp, sizeof(disp));
}

static void a_call_without_a_record_is_counted(void **state)
{
	assert_int_equal(pvops_patch(NULL), 0);
	put_disp(1000, 0xff, 0x15, 3);
	put_disp(TEXT_SIZE - 7, 0xff, 0x25, PV_OP_COUNT - 1);
	put_disp(2000, 0xff, 0x15, PV_OP_COUNT); /* leads behind the table */
	put_disp(3000, 0xff, 0x35, 3);           /* a push */
	assert_int_equal(pvops_count_indirect(), 2);
	assert_int_equal(pvops_verify(NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(all_sites_are_written, fresh),
	    cmocka_unit_test_setup(nothing_between_the_sites_changes, fresh),
	    cmocka_unit_test_setup(a_strange_site_is_left_alone, fresh),
	    cmocka_unit_test_setup(an_alias_that_does_not_reach_is_noticed, fresh),
	    cmocka_unit_test_setup(a_record_of_no_operation_is_refused, fresh),
	    cmocka_unit_test_setup(a_class_the_filling_cannot_keep_is_refused, fresh),
	    cmocka_unit_test_setup(what_runs_is_told_of_by_name, fresh),
	    cmocka_unit_test_setup(late_fillings_are_written_over, fresh),
	    cmocka_unit_test_setup(a_call_without_a_record_is_counted, fresh),
	};

	return cmocka_run_group_tests(tests, map_text, NULL);
}
