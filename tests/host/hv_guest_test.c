/* hv_guest_test.c: the one file that touches guest memory stops at every fault and at our hole.
 *
 * Shows: which ranges are a guest's to name; that a copy of any length, at any offset before an
 * unmapped page, either is right or says -XEN_EFAULT; that only the copying instructions have a
 * fixup. Faults are real: the page is protected, and a signal handler does what trap.c does. Why:
 * each hypercall reads through this, and a wrong edge is a read of the hypervisor's memory.
 * Expected: all hold.
 *
 * links: hypervisor/guest.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cmocka.h>

#include <xen/errno.h>

#include "hypervisor/guest.h"
#include "hypervisor/layout.h"

#define PAGE 4096u

static uint8_t *two_pages; /* the second is not there */
static unsigned faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	uint64_t to = guest_fixup((uint64_t)c->uc_mcontext.gregs[REG_RIP]);

	if (!to) {
		signal(sig, SIG_DFL);
		return;
	}
	faults++;
	c->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
}

/* In each test anew: the test library sets handlers of its own around them. */
static void catch_faults(void)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &act, NULL);
}

static int setup(void **state)
{
	two_pages =
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mprotect(two_pages + PAGE, PAGE, PROT_NONE);
}

static void test_ranges(void **state)
{
	assert_true(guest_range_ok(0, 1));
	assert_true(guest_range_ok(0x7ffffffffff0, 0x10));
	assert_false(guest_range_ok(0x7ffffffffff0, 0x11));
	assert_false(guest_range_ok(0x800000000000, 1));
	assert_false(guest_range_ok(HV_HOLE_START, 1));
	assert_false(guest_range_ok(HV_HOLE_END - 1, 1));
	assert_false(guest_range_ok(HV_HOLE_START - 1, 2));
	assert_false(guest_range_ok(0, HV_HOLE_END + 1)); /* around it all */
	assert_true(guest_range_ok(HV_HOLE_END, 8));
	assert_true(guest_range_ok(~0ull, 1));
	assert_false(guest_range_ok(~0ull, 2));
	assert_false(guest_range_ok(1, ~0ull));
	assert_true(guest_range_ok(HV_HOLE_START, 0));
}

static void test_hole_is_never_touched(void **state)
{
	uint64_t word = 0;

	catch_faults();
	faults = 0;
	assert_int_equal(guest_copy_from(&word, HV_DIRECT_VIRT, 8), -XEN_EFAULT);
	assert_int_equal(guest_copy_to(HV_IMAGE_VIRT, &word, 8), -XEN_EFAULT);
	assert_int_equal(guest_clear(HV_M2P_VIRT, 8), -XEN_EFAULT);
	assert_int_equal(faults, 0);
	assert_int_equal(guest_copy_from(&word, HV_DIRECT_VIRT, 0), 0);
}

static void test_copies_before_an_edge(void **state)
{
	uint8_t buffer[64], want[64];

	catch_faults();
	for (unsigned i = 0; i < PAGE; i++)
		two_pages[i] = (uint8_t)(i * 7);
	for (unsigned before = 0; before <= 40; before++)
		for (unsigned n = 0; n <= 40; n++) {
			uint64_t va = (uint64_t)two_pages + PAGE - before;
			int result = guest_copy_from(buffer, va, n);

			assert_int_equal(result, n > before ? -XEN_EFAULT : 0);
			if (result)
				continue;
			memcpy(want, two_pages + PAGE - before, n);
			assert_memory_equal(buffer, want, n);
		}
}

static void test_writes_before_an_edge(void **state)
{
	uint8_t from[64];

	catch_faults();
	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i + 1);
	for (unsigned before = 0; before <= 40; before++)
		for (unsigned n = 0; n <= 40; n++) {
			uint8_t *at = two_pages + PAGE - before;

			memset(two_pages + PAGE - 64, 0xee, 64);
			assert_int_equal(guest_copy_to((uint64_t)at, from, n),
					 n > before ? -XEN_EFAULT : 0);
			assert_int_equal(at[-1], 0xee);
			if (n <= before)
				assert_memory_equal(at, from, n);
			if (n < before)
				assert_int_equal(at[n], 0xee);
			assert_int_equal(guest_clear((uint64_t)at, n),
					 n > before ? -XEN_EFAULT : 0);
			if (n && n <= before)
				assert_int_equal(at[n - 1], 0);
		}
}

static void test_handles(void **state)
{
	struct {
		uint64_t *p;
	} h = {(uint64_t *)two_pages};
	uint64_t value = 42, list[3] = {0};

	catch_faults();
	assert_int_equal(handle_write(h, 2, &value), 0);
	assert_int_equal(handle_read(&list[0], h, 2), 0);
	assert_int_equal(list[0], 42);
	assert_int_equal(handle_read_n(list, h, 510, 3), -XEN_EFAULT);
	assert_int_equal(handle_write_n(h, 509, list, 3), 0);
	assert_int_equal(guest_read(&value, (uint64_t)(two_pages + PAGE)), -XEN_EFAULT);
	assert_int_equal(guest_write((uint64_t)(two_pages + PAGE), &value), -XEN_EFAULT);
}

static void test_no_other_fixups(void **state)
{
	assert_int_equal(guest_fixup(0), 0);
	assert_int_equal(guest_fixup((uint64_t)guest_copy_to), 0);
	assert_int_equal(guest_fixup((uint64_t)guest_fixup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_hole_is_never_touched),
	    cmocka_unit_test(test_copies_before_an_edge),
	    cmocka_unit_test(test_writes_before_an_edge),
	    cmocka_unit_test(test_handles),
	    cmocka_unit_test(test_no_other_fixups),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
