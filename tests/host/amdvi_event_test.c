/* amdvi_event_test.c: what an AMD-Vi unit refused, as it stands in the event log: read once, in order, and the log goes round.
 *
 * Why: QEMU's unit writes no events (docs/iommu.md, "What is not there"), so nothing else shows that faults of a real one would be told, with
 * function, address and reason. Numbers are those of the manual (AMD 2.5.2, 2.5.3; 3.4 for the registers), not of iommu/amdvi.h.
 *
 * links: iommu/iommu.c iommu/interrupt.c iommu/vtd.c iommu/vtd_queue.c iommu/vtd_fault.c iommu/vtd_interrupt.c iommu/amdvi.c iommu/amdvi_queue.c
 * iommu/amdvi_interrupt.c iommu/dmar.c iommu/ivrs.c iommu/firmware_table.c iommu/io_table.c lib/printf.c lib/text.c tests/host/iommu_world.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/iommu.h>
#include <xen/errno.h>
#include "tests/host/firmware_bytes.h"
#include "tests/host/iommu_world.h"

enum { COMMANDS = 0x08, EVENTS = 0x10, CONTROL = 0x18, COMMAND_TAIL = 0x2008 };
enum { EVENT_HEAD = 0x2010, EVENT_TAIL = 0x2018, STATUS = 0x2020 };
#define PLACE      0xffffffffff000ull /* of a buffer, in its register */
#define ENTRIES    256u               /* of 16 bytes, in a page */
#define PAGE_FAULT (2ull << 60)
#define INTERRUPT  (1ull << 51)
#define PRESENT    (1ull << 52)
#define WRITE      (1ull << 53)
#define DISK       0x18u
#define CARD       0x29u

static uint8_t regs[0x4000];
static unsigned head; /* of the commands */

static uint64_t reg(unsigned at)
{
	uint64_t v;

	memcpy(&v, regs + at, sizeof(v));
	return v;
}

static uint64_t *memory(uint64_t where)
{
	return (uint64_t *)(uintptr_t)where;
}

static uint64_t model_read(unsigned at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, regs + at, size);
	return v;
}

/* Of the commands only the one that says when all before it are done; STATUS is cleared by ones. */
static void model_write(unsigned at, unsigned size, uint64_t v)
{
	const uint64_t *buffer;

	if (at == STATUS)
		v = reg(STATUS) & ~v;
	memcpy(regs + at, &v, size);
	if (at == CONTROL && !(v & 1u << 12))
		head = 0;
	if (at != COMMAND_TAIL)
		return;
	buffer = memory(reg(COMMANDS) & PLACE);
	for (; head != v / 16; head = (head + 1) % ENTRIES)
		if (buffer[2 * head] >> 60 == 1)
			*memory(buffer[2 * head] & 0xffffffffffff8) = buffer[2 * head + 1];
}

static const struct iommu_model model = {model_read, model_write};

static int begin(void **state)
{
	static uint8_t ivrs[48 + 24] = {'I', 'V', 'R', 'S', 72, [38] = 0x18};
	static const uint8_t block[24] = {0x10, 0, 24, 0, 8, 0, 0x40, 0, 0, 0, 0xd8, 0xfe};

	memcpy(ivrs + 48, block, sizeof(block));
	firmware_seal(ivrs, sizeof(ivrs));
	memset(regs, 0, sizeof(regs));
	head = 0;
	iommu_world_model = &model;
	assert_int_equal(iommu_start(ivrs, sizeof(ivrs)), 1);
	return 0;
}

static int end(void **state)
{
	assert_int_equal(iommu_start("none", 4), -XEN_EINVAL);
	assert_int_equal(iommu_world_pages(), 0);
	return 0;
}

/* The unit writes an event behind those that are there. */
static void event(uint64_t low, uint64_t high)
{
	uint64_t *log = memory(reg(EVENTS) & PLACE), tail = reg(EVENT_TAIL) / 16;

	log[2 * tail + 1] = high;
	log[2 * tail] = low;
	tail = (tail + 1) % ENTRIES * 16;
	memcpy(regs + EVENT_TAIL, &tail, sizeof(tail));
}

static void each_is_told_once_and_whole(void **state)
{
	struct iommu_fault f;
	bool lost = false;

	assert_false(iommu_fault(&f, &lost));
	event(PAGE_FAULT | WRITE | CARD, 0x12345678);
	event(PAGE_FAULT | PRESENT | DISK, 0x1000);
	assert_true(iommu_fault(&f, &lost));
	assert_true(f.write && !f.interrupt);
	assert_int_equal(f.bdf, CARD);
	assert_int_equal(f.address, 0x12345678);
	assert_string_equal(f.why, "nothing is mapped");
	assert_true(iommu_fault(&f, &lost));
	assert_true(!f.write);
	assert_int_equal(f.bdf, DISK);
	assert_int_equal(f.address, 0x1000);
	assert_string_equal(f.why, "no right to it");
	assert_false(iommu_fault(&f, &lost));
	assert_false(lost);
	assert_int_equal(reg(EVENT_HEAD), 2 * 16);
}

static void the_log_goes_round(void **state)
{
	struct iommu_fault f;
	bool lost = false;

	for (unsigned i = 0; i < 2 * ENTRIES + 3; i++) {
		event(PAGE_FAULT | INTERRUPT | DISK, i);
		assert_true(iommu_fault(&f, &lost));
		assert_true(f.interrupt);
		assert_int_equal(f.address, i);
		assert_false(iommu_fault(&f, &lost));
	}
	assert_int_equal(reg(EVENT_HEAD), 3 * 16);
}

/* The unit stops writing when there is no room, and goes on when that is cleared. */
static void those_that_were_lost_are_said(void **state)
{
	struct iommu_fault f;
	bool lost = false;

	event(PAGE_FAULT | CARD, 0);
	regs[STATUS] = 3;
	assert_true(iommu_fault(&f, &lost));
	assert_true(lost);
	assert_int_equal(reg(STATUS), 0);
	lost = false;
	assert_false(iommu_fault(&f, &lost));
	assert_false(lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_is_told_once_and_whole, begin, end),
	    cmocka_unit_test_setup_teardown(the_log_goes_round, begin, end),
	    cmocka_unit_test_setup_teardown(those_that_were_lost_are_said, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
