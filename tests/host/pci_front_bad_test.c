/* pci_front_bad_test: pcifront against a backend that is played, and bad in each of the named ways.
 *
 * Shows: one that is silent, or wrong, is an error of the call or the end of the connection, in bounded time; what it writes
 * is looked at once; want of anything leaves nothing behind. Why: a guest's drivers ask a domain that they need not trust.
 *
 * links: tests/host/pci_plain_back.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/pci_name.c
 * links: drivers-front/pcifront*.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci_plain_back.h"
#include "peer_recorder.h"

/* The call that met it ends in time, those behind it at once, and the connection is closed. */
static void loses_its_connection(enum pb_bad bad)
{
	uint64_t before;

	pb_begin_two();
	pb.bad = bad;
	before = host_time_ns();
	assert_int_equal(pcifront_read(8, 0, 4), 0xffffffff);
	assert_in_range(host_time_ns() - before, PCIFRONT_ANSWER_NS, 2 * PCIFRONT_ANSWER_NS);
	before = host_time_ns();
	for (unsigned i = 0; i < 100; i++)
		assert_false(pcifront_write(0, 4, 2, 0));
	assert_int_equal(host_time_ns(), before);
	mock_run();
	assert_int_equal(pcifront_count(), 0);
	assert_int_equal(host_time_ns(), before);
	assert_int_equal(pb_user.n_removed, 2);
	assert_string_equal(pb_front("state"), "6");
	assert_true(mock_logged("does not answer"));
	assert_true(pb_end());
}

static void test_silent(void **state)
{
	loses_its_connection(PB_SILENT);
}

/* Domain 0 is made to notify for ever: each wait of the frontend ends at once. */
static struct host_work storm;
static void again(void *ctx)
{
	if (pb.bad != PB_NOTIFIES)
		return;
	host_event_notify(pb.port);
	mock_pass(1000000);
	host_work_soon(&storm);
}

static void test_notifies_without_an_answer(void **state)
{
	pb_begin_two();
	pb.bad = PB_NOTIFIES;
	storm = (struct host_work){.fn = again};
	mock_enter(0);
	host_work_soon(&storm);
	mock_enter(1);
	assert_int_equal(pcifront_read(8, 0, 4), 0xffffffff);
	pb.bad = PB_SILENT;
	mock_run();
	assert_string_equal(pb_front("state"), "6");
	assert_true(pb_end());
}

static void test_silent_from_the_start(void **state)
{
	pb_reset();
	pb_function(0, "0000:00:00.00", PB_NVME);
	pb.bad = PB_SILENT;
	assert_true(pb_begin());
	assert_int_equal(pb_user.n_added, 0);
	assert_string_equal(pb_front("state"), "6");
	assert_int_equal(pcifront_settled(), 1); /* nobody waits for it */
	assert_true(pb_end());
}

static void test_wrong_answers(void **state)
{
	uint32_t pirq;

	pb_begin_two();
	pb.bad = PB_ERRS;
	assert_int_equal(pcifront_read(8, 0, 2), 0xffff);
	assert_false(pcifront_write(8, 0x40, 2, 1));
	assert_true(pcifront_msi(8, 1, &pirq) < 0);
	pb.dev[1].msi_on = 0;
	pb.bad = PB_WIDE;
	assert_int_equal(pcifront_read(8, 0, 2), 0x8086);
	assert_int_equal(pcifront_read(8, 0, 1), 0x86);
	pb.bad = PB_ANOTHER;
	assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
	assert_int_equal(pcifront_read(0, 0, 4), PB_NVME);
	pb.bad = PB_FLAGS;
	assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
	mock_run();
	assert_string_equal(pb_front("state"), "4");
	pb.bad = PB_GOOD;
	assert_true(pb_end());
}

static void test_wrong_interrupts(void **state)
{
	uint32_t pirq = 0;

	pb_begin_two();
	pb.bad = PB_NO_VECTOR;
	assert_int_equal(pcifront_msix(0, 0, 8, &pirq), -XEN_EIO);
	assert_int_equal(pb.dev[0].msix_on, 0); /* those it gave went back */
	assert_int_equal(pcifront_msi(0, 1, &pirq), -XEN_EIO);
	assert_int_equal(pb.dev[0].msi_on, 0);
	pb.bad = PB_HUGE_PIRQ;
	assert_int_equal(pcifront_msi(0, 1, &pirq), -XEN_EIO);
	pb.bad = PB_FEWER;
	assert_true(pcifront_msix(0, 0, 8, &pirq) < 0);
	pb.dev[0].msix_on = 0;
	assert_int_equal(pirq, 0);
	pb.bad = PB_ENTRIES;
	assert_int_equal(pcifront_msix(0, 3, 8, &pirq), 0);
	assert_int_equal(pirq, PB_PIRQ + 3);
	assert_true(pb_end());
}

static void test_storm_of_errors(void **state)
{
	pb_begin_two();
	pb.bad = PB_AER_AT_ONCE;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
	mock_run();
	assert_false(pb.page->flags & XEN_PCIB_active);
	pb.bad = PB_GOOD;
	mock_enter(0);
	for (unsigned i = 0; i < 9; i++) {
		host_event_notify(pb.port);
		mock_run();
	}
	assert_true(mock_calls.spurious >= 8); /* events without a cause */
	assert_true(pb_end());
}

/* Answers change after their first fetch; flags alone is looked at again, as it is what one waits for. */
static void test_fetched_once(void **state)
{
	struct xen_pci_sharedinfo *page;
	uint32_t pirq;

	pb_begin_two();
	page = pf_find(8)->dev->page;
	for (unsigned flip = 0; flip < 2; flip++) {
		peer_recorder_begin(&page->op, PAGE_SIZE - sizeof(page->flags), flip);
		assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
		assert_true(peer_recorder_fetched() >= 8);
		assert_int_equal(peer_recorder_doubles(), 0);
		peer_recorder_begin(&page->op, PAGE_SIZE - sizeof(page->flags), flip);
		assert_int_equal(pcifront_msix(0, 3, 8, &pirq), 0);
		assert_int_equal(peer_recorder_doubles(), 0);
		pcifront_interrupts_off(0);
		peer_recorder_begin(&page->op, PAGE_SIZE - sizeof(page->flags), flip);
		assert_int_equal(pb_aer(XEN_PCI_OP_aer_detected, 0, 8, 1), 2);
		assert_int_equal(peer_recorder_doubles(), 0);
		mock_enter(1);
	}
	peer_recorder_end();
	assert_true(pb_end());
}

/* Each call that may fail for want of something fails once. */
static void test_shortages(void **state)
{
	for (int n = 1; n < 40; n++) {
		pb_reset();
		pb_function(0, "0000:00:00.00", PB_NVME);
		mock_fail_after(n);
		(void)pb_begin();
		mock_fail_after(-1);
		mock_run();
		assert_true(pb_end());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_notifies_without_an_answer),
	    cmocka_unit_test(test_silent_from_the_start),
	    cmocka_unit_test(test_wrong_answers),
	    cmocka_unit_test(test_wrong_interrupts),
	    cmocka_unit_test(test_storm_of_errors),
	    cmocka_unit_test(test_fetched_once),
	    cmocka_unit_test(test_shortages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
