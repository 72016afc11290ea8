/* pci_front_test: pcifront against a backend that is played: functions come, are asked, and go.
 *
 * Shows: configuration space by width and up to its end; interrupts turned on once and handed out, fewer where there are
 * fewer; functions that come and go while the connection stays; buses renamed where numbers are taken; AER answered. Why: a
 * guest's drivers ask this of another domain. What a bad backend gets: pci_front_bad_test.
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

/* ---- configuration space ------------------------------------------------------------------------------- */

static void test_functions_are_found(void **state)
{
	pb_begin_two();
	assert_int_equal(pcifront_settled(), 1);
	assert_int_equal(pb_user.n_added, 2);
	assert_int_equal(pb_user.added[0], 0x0000);
	assert_int_equal(pb_user.added[1], 0x0008);
	assert_int_equal(pcifront_count(), 2);
	assert_int_equal(pcifront_read(0, 0, 4), PB_NVME);
	assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
	assert_true(pb_end());
	assert_int_equal(pb_user.n_removed, 2);
	assert_int_equal(pb_user.id_at_removal, PB_NVME); /* a closing backend still answers */
}

static void test_widths_and_bounds(void **state)
{
	pb_begin_two();
	assert_true(pcifront_write(8, 0x44, 4, 0x12345678));
	assert_int_equal(pcifront_read(8, 0x44, 1), 0x78);
	assert_int_equal(pcifront_read(8, 0x46, 2), 0x1234);
	assert_true(pcifront_write(8, 0x45, 1, 0xab));
	assert_int_equal(pcifront_read(8, 0x44, 4), 0x1234ab78);
	assert_true(pcifront_write(8, 0xffc, 4, 7));
	assert_int_equal(pcifront_read(8, 0xffc, 4), 7);
	pb.n_ops = 0;
	assert_int_equal(pcifront_read(8, 4096, 4), 0xffffffff);
	assert_int_equal(pcifront_read(8, 2, 4), 0xffffffff);
	assert_int_equal(pcifront_read(8, 0, 3), 0xffffff);
	assert_int_equal(pcifront_read(8, 0, 0), 0xff);
	assert_int_equal(pcifront_read(8, 0, 8), 0xffffffff);
	assert_int_equal(pcifront_read(0x10, 0, 2), 0xffff);
	assert_false(pcifront_write(0x10, 0, 2, 0));
	assert_false(pcifront_write(8, 1, 2, 0));
	assert_int_equal(pb.n_ops, 0);
	assert_true(pb_end());
}

/* ---- interrupts ------------------------------------------------------------------------------------------ */

static void test_msix(void **state)
{
	uint32_t pirq = 0;

	pb_begin_two();
	assert_int_equal(pcifront_msix(0, 2, 65, &pirq), 0);
	assert_int_equal(pirq, PB_PIRQ + 2);
	pb.n_ops = 0;
	assert_int_equal(pcifront_msix(0, 0, 65, &pirq), 0);
	assert_int_equal(pirq, PB_PIRQ);
	assert_int_equal(pcifront_msix(0, PCIFRONT_VECTORS, 65, &pirq), -XEN_ENOSPC);
	assert_int_equal(pcifront_msi(0, 1, &pirq), -XEN_EBUSY);
	assert_int_equal(pb.n_ops, 0); /* all were turned on by the first */
	assert_int_equal(pb.dev[0].msix_on, PCIFRONT_VECTORS);
	pcifront_interrupts_off(0);
	assert_int_equal(pb.dev[0].msix_on, 0);
	pcifront_interrupts_off(0);
	assert_int_equal(pb.dev[0].off, 1);
	assert_int_equal(pcifront_msix(0, 0, 2, &pirq), 0);
	assert_int_equal(pb.dev[0].msix_on, 2);
	assert_int_equal(pcifront_msix(0x99, 0, 2, &pirq), -XEN_ENODEV);
	assert_true(pb_end());
	assert_int_equal(pb.dev[0].off, 2); /* with the function */
}

static void test_fewer_vectors(void **state)
{
	uint32_t pirq;

	pb_begin_two();
	pb.dev[0].max_vectors = 3;
	assert_int_equal(pcifront_msix(0, 1, 64, &pirq), 0);
	assert_int_equal(pb.dev[0].msix_on, 2);
	assert_int_equal(pcifront_msix(0, 2, 64, &pirq), -XEN_ENOSPC);
	pb.dev[1].max_vectors = 0;
	assert_true(pcifront_msix(8, 0, 5, &pirq) < 0);
	assert_true(pb_end());
}

static void test_msi(void **state)
{
	uint32_t pirq;

	pb_begin_two();
	assert_int_equal(pcifront_msi(8, 1, &pirq), 0);
	assert_int_equal(pirq, PB_PIRQ + 50);
	assert_int_equal(pcifront_msix(8, 0, 5, &pirq), -XEN_EBUSY);
	assert_int_equal(pcifront_msi(8, 1, &pirq), -XEN_EBUSY);
	assert_int_equal(pcifront_msi(0x20, 1, &pirq), -XEN_ENODEV);
	assert_true(pb_end());
}

/* As many as were asked for, in a row, or none; a row that leaves the numbers there can be is none. */
static void test_several_msi(void **state)
{
	uint32_t pirq;

	pb_begin_two();
	pb.dev[1].max_vectors = 5;
	assert_int_equal(pcifront_msi(8, 8, &pirq), -XEN_EIO);
	assert_int_equal(pb.dev[1].msi_on, 0);
	assert_int_equal(pcifront_msi(8, 4, &pirq), 0);
	assert_int_equal(pb.last.cmd, XEN_PCI_OP_enable_multi_msi);
	assert_int_equal(pirq, PB_PIRQ + 50);
	assert_int_equal(pb.dev[1].msi_on, 4);
	pcifront_interrupts_off(8);
	pb.bad = PB_LAST_PIRQ;
	assert_int_equal(pcifront_msi(8, 2, &pirq), -XEN_EIO);
	assert_int_equal(pb.dev[1].msi_on, 0);
	assert_int_equal(pcifront_msi(8, 1, &pirq), 0);
	assert_int_equal(pirq, 0xffff);
	assert_true(pb_end());
}

/* ---- coming and going ------------------------------------------------------------------------------------- */

static void test_hotplug(void **state)
{
	pb_begin_two();
	for (unsigned round = 0; round < 20; round++) {
		uint32_t pirq;

		mock_enter(1);
		assert_int_equal(pcifront_msix(0, 0, 4, &pirq), 0);
		pb_detach(0);
		assert_string_equal(pb_front("state"), "4");
		assert_int_equal(pcifront_count(), 1);
		assert_int_equal(pb_user.removed[round % 64], 0);
		assert_int_equal(pb_user.id_at_removal, PB_NVME);
		assert_int_equal(pb.dev[0].off, 1);
		mock_enter(1);
		assert_int_equal(pcifront_read(0, 0, 2), 0xffff);
		assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
		pb_function(0, "0000:00:00.00", PB_NVME);
		pb_hotplug(0);
		pb_put_back("num_devs", "2");
		assert_int_equal(pcifront_count(), 2);
		assert_string_equal(pb_front("state"), "4");
	}
	assert_int_equal(pb_user.n_added, 22);
	/* Another, beside those that stay. */
	pb_function(2, "0000:00:02.05", PB_NIC);
	pb_hotplug(2);
	assert_int_equal(pcifront_count(), 3);
	mock_enter(1);
	assert_int_equal(pcifront_read(0x15, 0, 4), PB_NIC);
	assert_true(pb_end());
}

/* Topologies as they are: segments that we have no number for, and two backends that say the same. */
static void test_buses_are_renamed(void **state)
{
	pb_reset();
	pb_function(0, "0000:03:1f.07", PB_NVME);
	pb_function(1, "0001:03:1f.07", PB_NIC);
	pb_function(2, "0001:03:00.00", PB_NIC + 1);
	pb_function(3, "abcd:ff:00.00", PB_NIC + 2);
	assert_true(pb_begin());
	mock_enter(1);
	assert_int_equal(pcifront_read(0x03ff, 0, 4), PB_NVME);
	assert_int_equal(pcifront_read(0xffff, 0, 4), PB_NIC);
	assert_int_equal(pcifront_read(0xff00, 0, 4), PB_NIC + 1);
	assert_int_equal(pcifront_read(0xfe00, 0, 4), PB_NIC + 2);
	assert_int_equal(pb.last.domain, 0xabcd);
	assert_true(pb_end());
}

static void test_buses_are_searched(void **state)
{
	pb_reset();
	pb.unnamed = true;
	pb_function(0, "0000:00:03.00", PB_NVME);
	pb_function(1, "0001:05:00.00", PB_NIC)->space[0x0e] = 0x80;
	pb_function(2, "0001:05:00.03", PB_NIC + 1);
	pb_function(3, "0000:00:1e.00", PB_NIC + 2)->space[0x0e] =
	    1; /* a bridge, which others lead to as well */
	pb.dev[3].space[0x19] = 7;
	pb_function(4, "0000:07:1f.00", PB_NIC + 3)->space[0x0e] = 1;
	pb.dev[4].space[0x19] = 7;
	pb_function(5, "0000:00:03.01",
		    PB_NIC); /* of a device that has but one function, as it says */
	pb_function(6, "0000:08:00.00", PB_NIC); /* on a bus that nothing leads to */
	pb_put_back("root_num", "4000000000");
	pb_put_back("root-0", "0000:00");
	pb_put_back("root-1", "0000");
	pb_put_back("root-2", "0001:05");
	pb_put_back("root-3", "0000:100");
	pb_put_back("root-4", "0000:00:00.0:00.0:00.0:00.0:00.0");
	assert_true(pb_begin());
	assert_int_equal(pcifront_count(), 5);
	assert_true(mock_logged("bus 0001:05, searched"));
	mock_enter(1);
	assert_int_equal(pcifront_read(0x0018, 0, 4), PB_NVME);
	assert_int_equal(pcifront_read(0xff00, 0, 4), PB_NIC); /* of another segment */
	assert_int_equal(pcifront_read(0xff03, 0, 4), PB_NIC + 1);
	assert_int_equal(pcifront_read(0x07f8, 0, 4), PB_NIC + 3);
	/* What no list tells of does not leave by one. */
	pb_put_back("state", "7");
	mock_run();
	pb_put_back("state", "8");
	mock_run();
	assert_int_equal(pcifront_count(), 5);
	assert_true(pb_end());
}

/* Names and buses: nobody is asked for what was not named. A bus of bridges without end is left at some point. */
static void test_buses_are_told(void **state)
{
	pb_begin_two();
	pb_put_back("root_num", "1");
	pb_put_back("root-0", "0000:00");
	pb_put_back("state", "7");
	mock_run();
	pb.n_reads = 0;
	pb_function(7, "0000:00:07.00", PB_NIC);
	pb_put_back("state", "8");
	mock_run();
	assert_true(mock_logged("bus 0000:00"));
	assert_int_equal(pb.n_reads, 0);
	assert_int_equal(pcifront_count(), 2);
	assert_true(pb_end());
	pb_reset();
	pb.unnamed = true;
	for (unsigned i = 0; i < 20; i++) {
		static char names[20][32];

		snprintf(names[i], sizeof(names[i]), "0000:%02x:00.00", i * 8);
		pb_function(i, names[i], PB_NIC)->space[0x0e] = 1;
		pb.dev[i].space[0x19] = (uint8_t)(i * 8 + 8);
	}
	pb_put_back("root_num", "32");
	for (unsigned i = 0; i < 32; i++) {
		char key[16];

		snprintf(key, sizeof(key), "root-%u", i);
		pb_put_back(key, "0000:00");
	}
	assert_true(pb_begin());
	assert_int_equal(pcifront_count(), 20);
	assert_true(pb.n_ops < 64 * 32 + 100);
	assert_true(pb_end());
}

/* By force: the toolstack does not wait for us, and its list is shorter. It is given back before we have looked, and is then another. */
static void test_taken_by_force(void **state)
{
	pb_begin_two();
	for (unsigned again = 0; again < 2; again++) {
		pb_put_back("vdev-0", "0000:00:01.00");
		mock_store_remove("/local/domain/0/backend/pci/1/0/vdev-1");
		pb_put_back("num_devs", again ? "2" : "1");
		pb_put_back("state-1", "1");
		pb_put_back("state", "7");
		mock_run();
		assert_int_equal(pcifront_count(), 1);
		assert_int_equal(pb_user.n_removed, again + 1);
		mock_enter(1);
		assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
		pb_publish(0, 3);
		pb_publish(1, 3);
		pb_put_back("num_devs", "2");
		pb_put_back("state", "8");
		mock_run();
		pb_put_back("state", "4");
		mock_run();
		assert_int_equal(pcifront_count(), 2);
		assert_int_equal(pb_user.n_added, again + 3);
	}
	assert_true(pb_end());
}

static void test_what_the_store_says(void **state)
{
	static const char *const nonsense[] = {"",
					       "0000:00:00",
					       "0000:00:20.00",
					       "0000:00:00.08",
					       "10000:00:00.00",
					       "0000:100:00.00",
					       ":::.",
					       "0000:00:00.00 ",
					       "g000:00:00.00",
					       "0000:00:00.0/"};

	for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
		pb_reset();
		pb_function(0, nonsense[i], PB_NVME);
		pb_function(1, "0000:00:01.00", PB_NIC);
		assert_true(pb_begin());
		assert_int_equal(pcifront_count(), 1);
		assert_true(pb_end());
	}
	pb_reset();
	for (unsigned i = 0; i < PB_DEVICES; i++) {
		static char names[PB_DEVICES][32];

		snprintf(names[i], sizeof(names[i]), "0000:%02x:00.00", i);
		pb_function(i, names[i], PB_NIC);
	}
	pb_function(3, NULL, 0);              /* a hole in the numbers */
	pb_function(4, "0000:04:00.00", ~0u); /* nobody answers there */
	assert_true(pb_begin());
	assert_int_equal(pcifront_count(), PCIFRONT_FUNCTIONS_MAX - 2);
	pb_put_back("num_devs", "4000000000");
	pb_put_back("state", "7");
	mock_run();
	pb_put_back("num_devs", "x");
	pb_put_back("state", "8");
	mock_run();
	assert_int_equal(pcifront_count(), PCIFRONT_FUNCTIONS_MAX - 2);
	assert_true(pb_end());
}

static void test_backend_replaced(void **state)
{
	pb_begin_two();
	for (unsigned round = 0; round < 3; round++) {
		pb_drop();
		pb_put_back("state", "6");
		mock_run();
		assert_int_equal(pcifront_count(), 0);
		assert_string_not_equal(pb_front("state"), "4"); /* Closed, and it may begin */
		pb_put_back("state", "2");
		mock_run();
		assert_int_equal(pcifront_settled(), 0);
		assert_true(pb_connect());
		assert_int_equal(pcifront_count(), 2);
	}
	assert_true(pb_end());
}

/* ---- AER ------------------------------------------------------------------------------------------------------ */

static void test_aer(void **state)
{
	pb_begin_two();
	assert_true(pb.page->flags & XEN_PCIB_AERHANDLER);
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_detected, 0, 8, 1), 2);
	assert_int_equal(pb.error_of, 8);
	assert_int_equal(pb.error, DRIVERS_ERROR_FOUND);
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_detected, 0, 8, 2), 3);
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_mmio, 0, 8, 1), 5);
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_slotreset, 0, 0, 1), 5);
	assert_int_equal(pb.n_errors, 2);
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_resume, 0, 0, 1), 5);
	assert_int_equal(pb.n_errors, 3);
	assert_int_equal(pb.error_of, 0);
	assert_int_equal(pb.error, DRIVERS_ERROR_OVER);
	/* Gone for good: the driver gives it up at once. */
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_detected, 0, 8, 3), 4);
	assert_int_equal(pb.error_of, 8);
	assert_int_equal(pb.error, DRIVERS_ERROR_GONE);
	/* Not a function, not a word: of no driver's concern. */
	assert_int_equal(pb_aer(XEN_PCI_OP_aer_detected, 0, 9, 1), 1);
	assert_int_equal(pb_aer(0x77, 0, 8, 1), 1);
	assert_int_equal(pb.n_errors, 4);
	assert_true(mock_logged("device 0000:00:01.0 has an error"));
	mock_enter(1);
	assert_int_equal(pcifront_read(8, 0, 4), PB_NIC);
	assert_true(pb_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_functions_are_found),
	    cmocka_unit_test(test_widths_and_bounds),
	    cmocka_unit_test(test_msix),
	    cmocka_unit_test(test_fewer_vectors),
	    cmocka_unit_test(test_msi),
	    cmocka_unit_test(test_several_msi),
	    cmocka_unit_test(test_hotplug),
	    cmocka_unit_test(test_buses_are_renamed),
	    cmocka_unit_test(test_buses_are_searched),
	    cmocka_unit_test(test_buses_are_told),
	    cmocka_unit_test(test_taken_by_force),
	    cmocka_unit_test(test_what_the_store_says),
	    cmocka_unit_test(test_backend_replaced),
	    cmocka_unit_test(test_aer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
