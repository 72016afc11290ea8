/* pci_back_bad_test: pciback against fronts that ask nonsense, ask without end, lie or are silent, and a host short of things.
 *
 * Shows: each nonsense is an error of its operation and reaches no device; an operation is copied once; events without cause and
 * operations without end cost a budget; words about errors of devices answered, late, wrongly and never; each shortage
 * undone. Why: a front is a guest's kernel, which need not be the one that was started.
 *
 * links: tests/host/pci_pair.c tests/host/mock_pci.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c
 * links: protocol/grant_retire.c protocol/pci_name.c drivers-front/pcifront*.c drivers-back/pciback*.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci_pair.h"
#include "peer_recorder.h"

/* ---- errors of devices -------------------------------------------------------------------------------------------- */

static int aer_said, aer_times;

static void aer_result(void *ctx, int result)
{
	(void)ctx;
	aer_said = result;
	aer_times++;
}

static int aer(uint16_t bdf, uint32_t cmd, int32_t how)
{
	int err;

	aer_times = 0;
	mock_enter(0);
	err = pciback_aer(bdf, cmd, how, aer_result, NULL);
	mock_run();
	return err;
}

static void test_aer(void **state)
{
	pair_two();
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), 0);
	assert_int_equal(aer_said, 2);
	assert_int_equal(aer(0x0408, XEN_PCI_OP_aer_detected, 2), 0);
	assert_int_equal(aer_said, 3);
	assert_int_equal(aer(0x0408, XEN_PCI_OP_aer_slotreset, 2), 0);
	assert_int_equal(aer_said, 5);
	assert_int_equal(aer_times, 1);
	assert_int_equal(aer(0x0999, XEN_PCI_OP_aer_detected, 1), -XEN_ENODEV);
	/* One that does not answer in time, and then does. */
	mock_freeze(1, true);
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), 0);
	assert_int_equal(aer_times, 0);
	mock_enter(0);
	assert_int_equal(pciback_aer(0x0408, XEN_PCI_OP_aer_mmio, 1, aer_result, NULL), -XEN_EBUSY);
	mock_advance(PCIBACK_AER_NS);
	assert_int_equal(aer_times, 1);
	assert_int_equal(aer_said, -XEN_ETIMEDOUT);
	assert_false(pair_page()->flags & XEN_PCIB_active);
	mock_freeze(1, false);
	mock_run();
	assert_int_equal(aer_times, 1);
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), 0);
	assert_int_equal(aer_said, 2);
	/* The connection goes while it is asked. */
	mock_freeze(1, true);
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), 0);
	mock_enter(0);
	pciback_exit();
	assert_int_equal(aer_said, -XEN_ENOTCONN);
	mock_freeze(1, false);
	assert_true(pair_end());
}

/* The function a word is about is taken away: nobody waits for the answer, and one that comes late is for nobody. */
static void test_aer_of_what_is_taken(void **state)
{
	pair_two();
	mock_freeze(1, true);
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 2), 0);
	mock_enter(0);
	assert_int_equal(pciback_take(0x0408), 0);
	assert_int_equal(aer_times, 0);
	assert_int_equal(pciback_take(0x0300), 0);
	assert_int_equal(aer_times, 1);
	assert_int_equal(aer_said, -XEN_ENOTCONN);
	assert_false(pair_page()->flags & XEN_PCIB_active);
	mock_freeze(1, false);
	mock_run();
	assert_int_equal(aer_times, 1);
	assert_true(pair_end());
}

/* A reset has taken from the device what its guest had it do. */
static void test_restore(void **state)
{
	struct xen_pci_op op = {.value = 2, .msix_entries = {{.entry = 0}, {.entry = 1}}};

	pair_two();
	mock_enter(1);
	assert_true(pcifront_write(0, 4, 2, 6));
	assert_int_equal(pair_ask(XEN_PCI_OP_enable_msix, 0, &op), 0);
	mock_pci_put(pair_nvme, 4, 2, 0);
	mock_enter(0);
	assert_int_equal(pciback_restore(pair_nvme->bdf), 0);
	assert_int_equal(mock_pci_get(pair_nvme, 4, 2) & 4, 4);
	assert_int_equal(pair_nvme->n_again, 1);
	pciback_tell_failed(pair_nvme->bdf);
	assert_string_equal(pair_back("aerState"), "aerfail");
	assert_int_equal(pciback_restore(0x0999), 0);
	pciback_tell_failed(0x0999);
	mock_enter(1);
	assert_true(pair_end());
}

static void test_aer_of_a_front_that_is_deaf_or_lies(void **state)
{
	pair_two();
	pair_page()->flags = 0;
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), -XEN_ENODEV);
	pair_page()->flags = XEN_PCIB_AERHANDLER;
	mock_freeze(1, true);
	assert_int_equal(aer(0x0300, XEN_PCI_OP_aer_detected, 1), 0);
	pair_page()->aer_op.err = 0x7fffffff;
	pair_page()->flags = XEN_PCIB_AERHANDLER;
	mock_enter(1);
	host_event_notify(pair_port());
	mock_run();
	assert_int_equal(aer_said, 1);
	mock_freeze(1, false);
	assert_true(pair_end());
}

/* ---- bad fronts --------------------------------------------------------------------------------------------------- */

static void test_operations_of_nonsense(void **state)
{
	static const struct {
		struct xen_pci_op op;
		int32_t err;
	} ops[] = {
	    {{.cmd = 0, .size = 4, .offset = 4096}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = 4, .offset = -4}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 1, .size = 4, .offset = 2}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = 3, .offset = 3}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = 0, .offset = 0}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 1, .size = -1, .offset = 0}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = INT32_MIN, .offset = INT32_MIN}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = 8, .offset = 0}, XEN_PCI_ERR_invalid_offset},
	    {{.cmd = 0, .size = 4, .domain = 1}, XEN_PCI_ERR_dev_not_found},
	    {{.cmd = 0, .size = 4, .bus = 1}, XEN_PCI_ERR_dev_not_found},
	    {{.cmd = 0, .size = 4, .bus = 256}, XEN_PCI_ERR_dev_not_found},
	    {{.cmd = 0, .size = 4, .devfn = 0x10}, XEN_PCI_ERR_dev_not_found},
	    {{.cmd = 0, .size = 4, .devfn = 0x100}, XEN_PCI_ERR_dev_not_found},
	    {{.cmd = XEN_PCI_OP_aer_detected}, XEN_PCI_ERR_not_implemented},
	    {{.cmd = 11}, XEN_PCI_ERR_not_implemented},
	    {{.cmd = 0xffffffff}, XEN_PCI_ERR_not_implemented},
	    {{.cmd = 0, .size = 4, .offset = 0}, 0},
	};

	pair_two();
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		struct xen_pci_op op = ops[i].op;
		unsigned writes = pair_nvme->n_writes + pair_nic->n_writes;

		assert_int_equal(pair_ask(op.cmd, op.devfn, &op), ops[i].err);
		assert_int_equal(pair_nvme->n_writes + pair_nic->n_writes, writes);
	}
	assert_true(pair_end());
}

/* Every byte of an operation is fetched once: what changes afterwards is not seen. */
static void test_copied_once(void **state)
{
	struct xen_pci_op op = {.cmd = XEN_PCI_OP_enable_msix, .value = 65};

	pair_two();
	for (uint16_t i = 0; i < 65; i++)
		op.msix_entries[i].entry = i;
	pair_page()->op = op;
	pair_page()->flags |= XEN_PCIF_active;
	mock_enter(0);
	peer_recorder_begin(mock_last_ring(), PAGE_SIZE, true);
	mock_enter(1);
	host_event_notify(pair_port());
	mock_run();
	assert_int_equal(peer_recorder_doubles(), 0);
	assert_true(peer_recorder_fetched() > 65 * sizeof(op.msix_entries[0]));
	peer_recorder_end();
	assert_int_equal(pair_nvme->n_on, 65);
	assert_int_equal(pair_page()->op.err, 0);
	assert_int_equal(pair_page()->flags & XEN_PCIF_active, 0);
	assert_true(pair_end());
}

/* Events without an operation are no work; operations without end wait for the next span of time, and are served then. */
static void test_rings_without_end(void **state)
{
	uint64_t spurious, t0;

	pair_two();
	spurious = mock_calls.spurious;
	mock_enter(1);
	host_event_notify(pair_port());
	mock_run();
	assert_int_equal(mock_calls.spurious, spurious + 1);

	mock_advance(PCIBACK_SPAN_NS);
	mock_enter(1);
	t0 = host_time_ns();
	for (unsigned i = 0; i < PCIBACK_OPS; i++)
		assert_int_equal(pcifront_read(0, 0, 4), PAIR_NVME);
	assert_true(host_time_ns() - t0 < PCIBACK_SPAN_NS);
	pair_page()->op = (struct xen_pci_op){.cmd = 0, .size = 4};
	pair_page()->flags |= XEN_PCIF_active;
	spurious = mock_calls.spurious;
	for (unsigned i = 0; i < 5; i++) {
		mock_enter(1);
		host_event_notify(pair_port());
		mock_run();
	}
	assert_true(pair_page()->flags & XEN_PCIF_active);
	assert_int_equal(mock_calls.spurious, spurious + 4); /* it waits, and is told so */
	mock_advance(PCIBACK_SPAN_NS);
	assert_false(pair_page()->flags & XEN_PCIF_active);
	assert_int_equal(pair_page()->op.value, PAIR_NVME);
	mock_enter(1);
	assert_int_equal(pcifront_read(8, 0, 4), PAIR_NIC);
	assert_true(pair_end());
}

/* It goes while its operation waits. */
static void test_ends_while_it_waits(void **state)
{
	pair_two();
	mock_advance(PCIBACK_SPAN_NS);
	mock_enter(1);
	for (unsigned i = 0; i < PCIBACK_OPS; i++)
		(void)pcifront_read(0, 0, 4);
	pair_page()->flags |= XEN_PCIF_active;
	host_event_notify(pair_port());
	mock_run();
	pair_page()->flags &= ~XEN_PCIF_active;
	assert_true(pair_end());
}

/* Each call that can lack something does so once: what was begun is undone. */
static void test_shortage(void **state)
{
	for (int n = 0; n < 60; n++) {
		uint32_t pirq;

		pair_reset();
		pair_nvme = mock_pci_add(0x0300, PAIR_NVME, 1);
		mock_pci_cap(pair_nvme, 0x40, 0x11, 0);
		mock_pci_put(pair_nvme, 0x42, 2, 64);
		pair_function(0, "0000:03:00.0", NULL);
		mock_fail_after(n);
		pair_make(1);
		if (pair_connect())
			(void)pcifront_msix(0, 0, 4, &pirq);
		assert_true(pair_end());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_aer),
	    cmocka_unit_test(test_aer_of_what_is_taken),
	    cmocka_unit_test(test_restore),
	    cmocka_unit_test(test_aer_of_a_front_that_is_deaf_or_lies),
	    cmocka_unit_test(test_operations_of_nonsense),
	    cmocka_unit_test(test_copied_once),
	    cmocka_unit_test(test_rings_without_end),
	    cmocka_unit_test(test_ends_while_it_waits),
	    cmocka_unit_test(test_shortage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
