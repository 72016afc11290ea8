/* pci_back_test: pciback against pcifront: functions lent, renumbered, added and taken away; interrupts.
 *
 * Shows: what the store says in each step, so that stock fronts follow; functions quiet before and after; interrupts once and of the
 * right shape; the topologies; hot-plug; fronts that begin anew, do not follow or are dead. Why: who lends a device
 * must get it back.
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

/* ---- the store ------------------------------------------------------------------------------------------- */

static void test_what_is_published(void **state)
{
	pair_two_made();
	assert_string_equal(pair_back("state"), "2");
	assert_string_equal(pair_back("vdev-0"), "0000:00:00.00");
	assert_string_equal(pair_back("vdev-1"), "0000:00:01.00");
	assert_string_equal(pair_back("state-0"), "3");
	assert_string_equal(pair_back("state-1"), "3");
	assert_string_equal(pair_back("root_num"), "1");
	assert_string_equal(pair_back("root-0"), "0000:00");
	assert_true(pair_connect());
	assert_int_equal(pair_user.n_added, 2);
	assert_int_equal(pcifront_read(0, 0, 4), PAIR_NVME);
	assert_int_equal(pcifront_read(8, 0, 4), PAIR_NIC);
	assert_true(pair_end());
	assert_int_equal(pair_user.n_removed, 2);
	assert_int_equal(pair_nvme->n_releases, 1);
	assert_int_equal(pair_nic->n_releases, 1);
}

static void count_permissive(const struct pciback_info *info, void *ctx)
{
	unsigned *seen = ctx;

	assert_int_equal(info->guest, 1);
	assert_true(info->connected);
	assert_int_equal(info->permissive, info->bdf == 0x0408);
	assert_int_equal(info->guest_devfn, info->bdf == 0x0408 ? 8 : 0);
	assert_int_equal(info->masters, info->bdf == 0x0300);
	assert_int_equal(info->vectors, info->bdf == 0x0408 ? 1 : 0);
	++*seen;
}

static void test_info(void **state)
{
	unsigned seen = 0;
	uint32_t pirq;

	pair_two();
	assert_true(pcifront_write(0, 4, 2, 6));
	assert_int_equal(pcifront_msi(8, 1, &pirq), 0);
	pciback_for_each(count_permissive, &seen);
	assert_int_equal(seen, 2);
	assert_true(pair_end());
}

/* Functions that are not to be had are named, and the others come. */
static void test_what_cannot_be_lent(void **state)
{
	static const char *const devs[] = {"0000:05:00.0", "0001:03:00.0", "nonsense",
					   "0000:06:00.0", "0000:03:00.0", "0000:07:00.0"};

	pair_two_made();
	mock_pci_add(0x0600, PAIR_NIC, 2); /* another's */
	mock_pci_add(0x0700, PAIR_NIC, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(devs); i++)
		pair_function(2 + i, devs[i], NULL);
	pair_put("num_devs", "8");
	pair_put("state", "7");
	mock_run();
	assert_string_equal(pair_back("state"), "2");
	assert_string_equal(pair_back("state-2"), "6");
	assert_string_equal(pair_back("state-5"), "6");
	assert_string_equal(pair_back("vdev-7"), "0000:00:02.00");
	assert_true(pair_connect());
	assert_int_equal(pcifront_count(), 3);
	assert_true(mock_logged("pci 05:00.0 cannot be lent"));
	assert_true(mock_logged("dev-3 is no function"));
	assert_true(pair_end());
}

static void test_bad_fronts_keys(void **state)
{
	static const char *const bad[][2] = {
	    {"magic", "8"},          {"magic", ""},          {"pci-op-ref", "x"},
	    {"pci-op-ref", "77777"}, {"event-channel", "0"}, {"event-channel", "60"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		pair_two_made();
		pair_put_front("magic", "7");
		pair_put_front("pci-op-ref", "8");
		pair_put_front("event-channel", "1");
		pair_put_front(bad[i][0], bad[i][1]);
		pair_put_front("state", "3");
		mock_run();
		assert_string_equal(pair_back("state"), "6");
		/* It begins again, and does it right. */
		pair_put_front("state", "1");
		mock_run();
		assert_string_equal(pair_back("state"), "2");
		assert_true(pair_connect());
		assert_int_equal(pcifront_count(), 2);
		assert_true(pair_end());
	}
}

/* All is as it should be, but for the word by which both know that they speak of the same page. */
static void test_no_magic(void **state)
{
	pair_two_made();
	mock_store_hide("magic");
	pair_put_front("magic", "8");
	assert_false(pair_connect());
	assert_string_equal(pair_back("state"), "6");
	mock_store_hide(NULL);
	assert_true(pair_end());
}

/* ---- the list changes while nobody is there -------------------------------------------------------------- */

static void test_added_before_it_connects(void **state)
{
	pair_two_made();
	pair_add_nic(0x0500);
	pair_function(2, "0000:05:00.0", NULL);
	pair_put("num_devs", "3");
	assert_true(pair_connect());
	assert_int_equal(pcifront_count(), 3);
	assert_true(pair_end());
}

/* The front has closed, as when its module is taken out. */
static void test_changed_while_closed(void **state)
{
	pair_two_made();
	pair_put_front("state", "5");
	mock_run();
	pair_put_front("state", "6");
	mock_run();
	assert_string_equal(pair_back("state"), "6");
	pair_add_nic(0x0500);
	pair_function(2, "0000:05:00.0", NULL);
	pair_put("num_devs", "3");
	pair_put("state-0", "5");
	pair_put("state", "7");
	mock_run();
	assert_string_equal(pair_back("state"), "6");
	assert_string_equal(pair_back("state-2"), "3");
	assert_string_equal(pair_back("vdev-2"), "0000:00:00.00");
	assert_int_equal(pair_nvme->claimed_by, DOMID_INVALID);
	pair_put_front("state", "1");
	mock_run();
	assert_true(pair_connect());
	assert_int_equal(pcifront_count(), 2);
	assert_true(pair_end());
}

/* What is lent already, and announced as new: its nodes are written again. The front, to which it had no name meanwhile, begins anew with it. */
static void test_announced_twice(void **state)
{
	pair_two();
	pair_put("vdev-1", "lost");
	pair_put("state-1", "1");
	assert_true(pair_hotplug(2));
	assert_string_equal(pair_back("state-1"), "3");
	assert_string_equal(pair_back("vdev-1"), "0000:00:01.00");
	assert_int_equal(pair_nic->n_claims, 1);
	assert_int_equal(pair_user.n_added, 3);
	assert_int_equal(pcifront_count(), 2);
	assert_true(pair_end());
}

/* ---- topologies ---------------------------------------------------------------------------------------------- */

static void test_slots(void **state)
{
	pair_reset();
	pair_add_nic(0x0302);
	pair_add_nic(0x0811);
	pair_add_nic(0x0300);
	pair_add_nic(0x0313)->info.always_decodes = true;
	pair_add_nic(0x0810);
	pair_add_nic(0x0900);
	pair_add_nic(0x0a00);
	pair_function(0, "0000:03:00.2", NULL);
	pair_function(1, "0000:08:02.1", NULL);
	pair_function(2, "0000:03:00.0", NULL);
	pair_function(3, "0000:03:02.3", NULL); /* a virtual one */
	pair_function(4, "0000:08:02.0", NULL);
	pair_function(5, "0000:09:00.0", NULL);
	pair_function(6, "0000:0a:00.0", NULL);
	pair_put("vdevfn-5", "0x48");
	pair_put("vdevfn-6", "48"); /* taken by then */
	pair_make(7);
	assert_string_equal(pair_back("vdev-0"), "0000:00:00.02");
	assert_string_equal(pair_back("vdev-2"), "0000:00:00.00");
	assert_string_equal(pair_back("vdev-1"), "0000:00:01.01");
	assert_string_equal(pair_back("vdev-4"), "0000:00:01.00");
	assert_string_equal(pair_back("vdev-3"), "0000:00:02.00");
	assert_string_equal(pair_back("vdev-5"), "0000:00:09.00");
	assert_string_equal(pair_back("vdev-6"), "0000:00:03.00");
	assert_true(pair_connect());
	assert_int_equal(pcifront_count(), 7);
	assert_true(pair_end());
}

static void test_as_it_is(void **state)
{
	pair_reset();
	pair_add_nic(0x03ff);
	pair_add_nic(0x1e08);
	pair_add_nic(0x0300);
	pair_put("topology", "passthrough");
	pair_function(0, "0000:03:1f.7", NULL);
	pair_function(1, "0000:1e:01.0", NULL);
	pair_function(2, "0000:03:00.0", NULL);
	pair_make(3);
	assert_string_equal(pair_back("vdev-0"), "0000:03:1f.07");
	assert_string_equal(pair_back("root_num"), "2");
	assert_string_equal(pair_back("root-0"), "0000:03");
	assert_string_equal(pair_back("root-1"), "0000:1e");
	assert_true(pair_connect());
	assert_int_equal(pcifront_read(0x1e08, 0, 4), PAIR_NIC);
	assert_true(pair_end());
}

static void test_as_many_as_there_are(void **state)
{
	char dev[16];

	pair_reset();
	for (unsigned n = 0; n < PCIBACK_FUNCTIONS_MAX + 3; n++) {
		pair_add_nic((uint16_t)(n << 8));
		snprintf(dev, sizeof(dev), "0000:%02x:00.0", n);
		pair_function(n, dev, NULL);
	}
	pair_make(PCIBACK_FUNCTIONS_MAX + 3);
	assert_true(pair_connect());
	assert_int_equal(pcifront_count(), PCIBACK_FUNCTIONS_MAX);
	assert_string_equal(pair_back("vdev-31"), "0000:00:1f.00");
	assert_true(pair_end());
}

/* ---- interrupts ------------------------------------------------------------------------------------------------ */

static void test_msix(void **state)
{
	uint32_t pirq[2];

	pair_two();
	assert_int_equal(pcifront_msix(0, 1, 65, &pirq[0]), 0);
	assert_int_equal(pair_nvme->n_on, PCIFRONT_VECTORS);
	assert_int_equal(pair_nvme->kind, HOST_PCI_MSIX);
	assert_int_equal(pair_nvme->entries[7], 7);
	assert_int_equal(pcifront_msix(0, 0, 65, &pirq[1]), 0);
	assert_int_equal(pirq[0], pirq[1] + 1);
	pcifront_interrupts_off(0);
	assert_int_equal(pair_nvme->n_on, 0);
	/* Again, with fewer than it wants. */
	pair_nvme->vectors_left = 3;
	assert_int_equal(pcifront_msix(0, 0, 65, &pirq[0]), 0);
	assert_int_equal(pair_nvme->n_on, 2);
	assert_true(pcifront_msi(8, 1, &pirq[0]) == 0);
	assert_int_equal(pair_nic->kind, HOST_PCI_MSI);
	assert_true(pair_end());
	assert_int_equal(pair_nvme->n_offs, 2);
	assert_int_equal(pair_nic->n_offs, 1);
}

static int32_t ask_msix(unsigned n, const uint16_t *entries)
{
	struct xen_pci_op op = {.value = n};

	for (unsigned i = 0; i < n && i < SH_INFO_MAX_VEC; i++)
		op.msix_entries[i].entry = entries ? entries[i] : (uint16_t)i;
	return pair_ask(XEN_PCI_OP_enable_msix, 0, &op);
}

static void test_msix_as_it_must_not_be(void **state)
{
	static const uint16_t twice[] = {3, 4, 3}, outside[] = {1, 65};
	struct xen_pci_op op = {0};

	pair_two();
	assert_int_equal(ask_msix(0, NULL), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_msix(66, NULL), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_msix(129, NULL), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_msix(0xffffffff, NULL), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_msix(3, twice), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_msix(2, outside), XEN_PCI_ERR_op_failed);
	assert_int_equal(pair_ask(XEN_PCI_OP_enable_msi, 0, &op), XEN_PCI_ERR_op_failed);
	assert_int_equal(pair_ask(XEN_PCI_OP_enable_msix, 8, &op), XEN_PCI_ERR_op_failed);
	assert_int_equal(pair_nvme->n_on, 0);
	assert_int_equal(ask_msix(65, NULL), 0);
	assert_int_equal(ask_msix(65, NULL), XEN_PCI_ERR_op_failed);
	/* Linux takes MSI-X back by MSI's name. */
	assert_int_equal(pair_ask(XEN_PCI_OP_disable_msi, 0, &op), 0);
	assert_int_equal(pair_nvme->n_on, 0);
	assert_int_equal(pair_ask(XEN_PCI_OP_disable_msix, 0, &op), 0);
	assert_int_equal(ask_msix(1, NULL), 0);
	assert_true(pair_end());
}

static int32_t ask_multi(unsigned n, uint32_t *out_value)
{
	struct xen_pci_op op = {.info = n};
	int32_t err = pair_ask(XEN_PCI_OP_enable_multi_msi, 8, &op);

	*out_value = op.value;
	return err;
}

static void test_several_msi(void **state)
{
	struct xen_pci_op op = {0};
	uint32_t value;

	pair_two();
	assert_int_equal(ask_multi(16, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(value, 8); /* as many as it has */
	assert_int_equal(ask_multi(0, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(ask_multi(3, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(value, 0);
	pair_nic->vectors_left = 5;
	assert_int_equal(ask_multi(8, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(value, 4); /* so many may do */
	assert_int_equal(ask_multi(4, &value), 0);
	assert_in_range(value, 1, 0xffff);
	assert_int_equal(pair_nic->n_on, 4);
	assert_int_equal(ask_multi(4, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(pair_ask(XEN_PCI_OP_disable_msi, 8, &op), 0);
	/* More than a message can count. */
	mock_pci_put(pair_nic, 0x52, 2, 7 << 1);
	pair_nic->vectors_left = 256;
	assert_int_equal(ask_multi(64, &value), XEN_PCI_ERR_op_failed);
	assert_int_equal(value, 32);
	assert_true(pair_end());
}

/* ---- coming and going -------------------------------------------------------------------------------------------- */

static void test_hotplug(void **state)
{
	pair_two();
	for (unsigned round = 0; round < 20; round++) {
		uint32_t pirq;

		mock_enter(1);
		assert_int_equal(pcifront_msix(0, 0, 4, &pirq), 0);
		assert_true(pcifront_write(0, 4, 2, 6));
		assert_true(pair_detach(0));
		assert_int_equal(pair_user.id_at_removal, PAIR_NVME);
		assert_int_equal(pcifront_count(), 1);
		assert_int_equal(pair_nvme->claimed_by, DOMID_INVALID);
		assert_int_equal(pair_nvme->n_on, 0);
		assert_int_equal(mock_pci_get(pair_nvme, 4, 2), 0x500);
		assert_string_equal(pair_back("state-0"), "6");
		assert_int_equal(pcifront_read(0, 0, 2), 0xffff);
		assert_int_equal(pcifront_read(8, 0, 4), PAIR_NIC);
		pair_function(0, "0000:03:00.0", NULL);
		assert_true(pair_hotplug(2));
		assert_string_equal(pair_back("state-0"), "3");
		assert_int_equal(pcifront_count(), 2);
		assert_int_equal(pcifront_read(0, 0, 4), PAIR_NVME);
	}
	assert_int_equal(pair_user.n_added, 22);
	assert_true(pair_end());
}

/* Told of the front's word before the backend is. */
static void join_another(void *ctx, const char *path)
{
	bool *joined = ctx;

	(void)path;
	if (*joined || strcmp(pair_front("state"), "4") != 0 || pcifront_count() < 3)
		return;
	*joined = true;
	pair_function(3, "0000:06:00.0", NULL);
	pair_put("num_devs", "4");
	pair_put("state", "7");
}

/* The toolstack does not wait: one function has just come, and the front is asked to look for the next. */
static void test_asked_anew(void **state)
{
	struct host_watch *watch;
	bool joined = false;

	pair_two();
	pair_add_nic(0x0500);
	pair_add_nic(0x0600);
	pair_function(2, "0000:05:00.0", NULL);
	mock_enter(0);
	assert_int_equal(host_store_watch(PAIR_FRONT "/state", join_another, &joined, &watch), 0);
	assert_true(pair_hotplug(3));
	assert_true(joined);
	assert_string_equal(pair_back("state-3"), "3");
	assert_int_equal(pcifront_count(), 4);
	mock_enter(0);
	host_store_unwatch(watch);
	assert_true(pair_end());
}

/* The toolstack moves what is behind down by one, as xl does. */
static void test_numbers_move(void **state)
{
	pair_two();
	assert_true(pair_detach(0));
	pair_put("dev-0", "0000:04:01.0");
	pair_put("vdev-0", "0000:00:01.00");
	pair_put("state-0", "3");
	pair_add_nic(0x0500);
	pair_function(1, "0000:05:00.0", NULL);
	assert_true(pair_hotplug(2));
	assert_string_equal(pair_back("vdev-0"), "0000:00:01.00");
	assert_string_equal(pair_back("vdev-1"), "0000:00:00.00");
	assert_int_equal(pcifront_count(), 2);
	assert_int_equal(pcifront_read(8, 0, 4), PAIR_NIC);
	assert_true(pair_detach(0));
	assert_int_equal(pair_nic->claimed_by, DOMID_INVALID);
	assert_true(pair_end());
}

/* A guest whose kernel starts anew, without a word: it finds its functions as they were given. */
static void test_front_begins_again(void **state)
{
	uint32_t pirq;

	pair_two();
	assert_true(pcifront_write(0, 4, 2, 6));
	assert_int_equal(pcifront_msix(0, 0, 4, &pirq), 0);
	pair_kill_front();
	pair_put_front("state", "1");
	mock_run();
	assert_int_equal(pair_nvme->n_on, 0);
	assert_int_equal(mock_pci_get(pair_nvme, 4, 2), 0x500);
	assert_int_equal(pair_nvme->claimed_by, 1);
	assert_string_equal(pair_back("state"), "2");
	assert_string_equal(pair_back("vdev-0"), "0000:00:00.00");
	assert_true(pair_connect());
	assert_int_equal(pair_nvme->n_claims, 1);
	assert_int_equal(pcifront_msix(0, 0, 4, &pirq), 0);
	/* The page of the kernel that is gone stays granted, as it is nobody's now. */
	(void)pair_end();
	assert_int_equal(mock_pci_claimed(), 0);
	assert_true(mock_nothing_left(0));
}

/* It does not follow, or is dead: nobody waits for it beyond the time. */
static void test_front_that_is_gone(void **state)
{
	uint32_t pirq;

	pair_two();
	assert_int_equal(pcifront_msi(8, 1, &pirq), 0);
	mock_freeze(1, true);
	assert_false(pair_detach(1));
	assert_int_equal(pair_nic->claimed_by, 1);
	mock_enter(0);
	assert_int_equal(pciback_take(0x0408), 0);
	assert_int_equal(pciback_take(0x0408), -XEN_ENODEV);
	assert_int_equal(pair_nic->claimed_by, DOMID_INVALID);
	assert_string_equal(pair_back("state-1"), "6");
	assert_string_equal(pair_back("vdev-1"), "");
	pair_put("online", "0");
	pair_put("state", "5");
	mock_run();
	assert_int_equal(pair_nvme->claimed_by, 1);
	mock_advance(6000000000ull);
	assert_int_equal(mock_pci_claimed(), 0);
	mock_freeze(1, false);
	assert_true(pair_end());
}

static void test_directory_is_removed(void **state)
{
	pair_two();
	pair_kill_front();
	mock_store_remove(PAIR_FRONT);
	mock_store_remove(PAIR_BACK);
	mock_run();
	assert_int_equal(mock_pci_claimed(), 0);
	mock_enter(0);
	pciback_exit();
	mock_run();
	assert_true(mock_nothing_left(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_published),
	    cmocka_unit_test(test_info),
	    cmocka_unit_test(test_what_cannot_be_lent),
	    cmocka_unit_test(test_bad_fronts_keys),
	    cmocka_unit_test(test_no_magic),
	    cmocka_unit_test(test_added_before_it_connects),
	    cmocka_unit_test(test_changed_while_closed),
	    cmocka_unit_test(test_announced_twice),
	    cmocka_unit_test(test_slots),
	    cmocka_unit_test(test_as_it_is),
	    cmocka_unit_test(test_as_many_as_there_are),
	    cmocka_unit_test(test_msix),
	    cmocka_unit_test(test_msix_as_it_must_not_be),
	    cmocka_unit_test(test_several_msi),
	    cmocka_unit_test(test_hotplug),
	    cmocka_unit_test(test_asked_anew),
	    cmocka_unit_test(test_numbers_move),
	    cmocka_unit_test(test_front_begins_again),
	    cmocka_unit_test(test_front_that_is_gone),
	    cmocka_unit_test(test_directory_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
