/* control_pci_error_test: a function of a guest has an error: the words that its guest is told, in their order, and what becomes of the function.
 *
 * Why: the order is Linux's, whose drivers count on it; a guest that does not follow must not keep a device that may do anything. Expected: an error
 * that is not fatal needs no reset if the guest says so, a fatal one always has one, behind which the function is as its guest left it; each
 * answer that is no good, no answer, and a function that does not come back end with it taken away; another error meanwhile is the same one.
 * The test is the guest, by its answers.
 *
 * links: control/control*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/save_*.c control/config_*.c control/domain_config.c control/domain_builder.c
 * links: control/builder_*.c lib/start_layout.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/control_pci.h>

#include "control_world.h"
#include "fake_control.h"
#include "fake_pci.h"
#include "mock_host.h"

#define NVME      0x0010u
#define USB       0x0020u
#define BACK      "/local/domain/0/backend/pci/%u/0"
#define FRONT_PCI "/local/domain/%u/device/pci/0"

/* Answers, as Linux numbers them. */
enum { NONE = 1, CAN_RECOVER, NEED_RESET, DISCONNECT, RECOVERED };

#define FOUND  "word 6 of 10, state 1\n"
#define FROZEN "word 6 of 10, state 2\n"
#define RESET  "quiet 10\nflr 10\nquiet 10\nrestore 10\n"
#define TAKEN                                                                                      \
	"release 10\nquiet 10\nmemory fe000+4 0\ndeassign 10\nquiet 10\nflr 10\nquiet "            \
	"10\nreclaim 10\nback 10\n"

static void expect_events(const char *wanted)
{
	assert_string_equal(fake_pci_events, wanted);
	fake_pci_events[0] = 0;
}

/* A guest with the NVMe, and the USB controller when there are to be two; both halves connected. */
static void begin(unsigned count)
{
	world_config.pci[0] = (struct config_pci){.bdf = NVME, .slot = CONFIG_PCI_ANY_SLOT};
	world_config.pci[1] = (struct config_pci){.bdf = USB, .slot = CONFIG_PCI_ANY_SLOT};
	world_config.n_pci = count;
	world_create();
	world_set_node(BACK "/state", "4");
	world_set_node(FRONT_PCI "/state", "4");
	mock_run();
	fake_pci_events[0] = 0;
}

static void end(void)
{
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	mock_run();
	fake_pci_events[0] = 0;
	world_expect_nothing_left();
}

static int setup(void **state)
{
	int err;

	fake_pci_reset();
	err = world_setup(state);
	fake_pci_reset();
	world_config.n_disks = 0;
	begin(1);
	return err;
}

static void answer(int result)
{
	assert_true(fake_pci_answer(result));
	mock_run();
}

static void expect_kept(void)
{
	assert_true(mock_logged("g: pci 00:02.0: goes on after an error"));
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_LENT);
	assert_false(fake_pci_answer(NONE));
	end();
}

/* By force, which the guest does not see coming: its half does not close. */
static void expect_taken(const char *first)
{
	char wanted[256];

	mock_run();
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_run();
	strcpy(wanted, first);
	strcat(wanted, TAKEN);
	expect_events(wanted);
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	assert_int_equal(control_find("g")->config->n_pci, 0);
	end();
}

/* ---- healed ---------------------------------------------------------------------------------- */

static void test_not_fatal(void **state)
{
	control_pci_error(NVME, world_id, false);
	expect_events(FOUND);
	answer(CAN_RECOVER);
	expect_events("word 7 of 10, state 1\n");
	answer(NONE); /* Linux's pcifront says so to the last word, whatever came of it */
	expect_events("");
	expect_kept();
}

static void test_guest_needs_a_reset(void **state)
{
	control_pci_error(NVME, world_id, false);
	expect_events(FOUND);
	answer(NEED_RESET);
	expect_events(RESET "word 9 of 10, state 1\n");
	answer(RECOVERED);
	expect_events("word 7 of 10, state 1\n");
	answer(RECOVERED);
	expect_kept();
}

/* What the guest says it needs does not matter: a link that cannot be relied on is reset. */
static void test_fatal(void **state)
{
	control_pci_error(NVME, world_id, true);
	expect_events(FROZEN);
	answer(CAN_RECOVER);
	expect_events(RESET "word 9 of 10, state 2\n");
	answer(RECOVERED);
	expect_events("word 7 of 10, state 2\n");
	answer(NONE);
	expect_kept();
}

static void test_another_meanwhile(void **state)
{
	control_pci_error(NVME, world_id, false);
	expect_events(FOUND);
	control_pci_error(NVME, world_id, true);
	expect_events("");
	answer(RECOVERED);
	expect_events(RESET "word 9 of 10, state 2\n");
	answer(RECOVERED);
	answer(NONE);
	expect_kept();
}

/* When the guest has said that it can go on without a reset, a fatal one is a new one. */
static void test_another_too_late(void **state)
{
	control_pci_error(NVME, world_id, false);
	answer(CAN_RECOVER);
	fake_pci_events[0] = 0;
	control_pci_error(NVME, world_id, true);
	control_pci_error(NVME, world_id, false);
	expect_events("");
	answer(NONE);
	expect_events(FROZEN);
	answer(NEED_RESET);
	expect_events(RESET "word 9 of 10, state 2\n");
	answer(RECOVERED);
	answer(NONE);
	expect_kept();
}

/* Two functions, and one word at a time to a guest. */
static void test_two_at_once(void **state)
{
	end();
	begin(2);
	control_pci_error(NVME, world_id, false);
	control_pci_error(USB, world_id, false);
	expect_events(FOUND);
	answer(RECOVERED);
	expect_events("word 7 of 10, state 1\n");
	answer(NONE);
	mock_advance(1000000000ull);
	mock_run();
	expect_events("word 6 of 20, state 1\n");
	answer(RECOVERED);
	answer(NONE);
	assert_true(mock_logged("g: pci 00:04.0: goes on after an error"));
	fake_pci_events[0] = 0;
	expect_kept();
}

/* A guest that does not run its half yet has nothing to heal, and keeps the function. */
static void test_no_front(void **state)
{
	fake_pci_aer_err = -XEN_ENOTCONN;
	control_pci_error(NVME, world_id, true);
	expect_events("");
	expect_kept();
}

/* ---- lost ------------------------------------------------------------------------------------ */

static void lost_by(int result, const char *before)
{
	answer(result);
	assert_true(mock_logged("g: pci 00:02.0: is taken from the guest, which does not heal it"));
	expect_taken(before);
}

static void test_no_driver(void **state)
{
	control_pci_error(NVME, world_id, false);
	fake_pci_events[0] = 0;
	lost_by(NONE, "quiet 10\nfailed 10\n");
}

static void test_disconnects(void **state)
{
	control_pci_error(NVME, world_id, true);
	fake_pci_events[0] = 0;
	lost_by(DISCONNECT, "quiet 10\nfailed 10\n");
}

static void test_nonsense(void **state)
{
	control_pci_error(NVME, world_id, true);
	fake_pci_events[0] = 0;
	lost_by(77, "quiet 10\nfailed 10\n");
}

static void test_no_answer(void **state)
{
	control_pci_error(NVME, world_id, false);
	answer(CAN_RECOVER);
	fake_pci_events[0] = 0;
	lost_by(-XEN_ETIMEDOUT, "quiet 10\nfailed 10\n");
}

static void test_deaf(void **state)
{
	fake_pci_aer_err = -XEN_ENODEV;
	control_pci_error(NVME, world_id, false);
	expect_taken("quiet 10\nfailed 10\n");
}

static void test_slot_is_no_good(void **state)
{
	control_pci_error(NVME, world_id, true);
	answer(NEED_RESET);
	fake_pci_events[0] = 0;
	lost_by(CAN_RECOVER, "quiet 10\nfailed 10\n");
}

static void test_does_not_come_back(void **state)
{
	control_pci_error(NVME, world_id, true);
	fake_pci_events[0] = 0;
	fake_pci_at(NVME)->dies = true;
	answer(NEED_RESET);
	assert_true(mock_logged("g: pci 00:02.0: does not come back from a reset"));
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_run();
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	assert_null(strstr(fake_pci_events, "reclaim")); /* nobody's, who reaches nothing */
}

static void test_not_restored(void **state)
{
	control_pci_error(NVME, world_id, true);
	fake_pci_events[0] = 0;
	fake_pci_restore_err = -XEN_ENOSYS;
	answer(NEED_RESET);
	expect_taken(RESET "quiet 10\nfailed 10\n");
}

static void test_no_way_to_reset(void **state)
{
	end();
	begin(2);
	control_pci_error(USB, world_id, true);
	answer(NEED_RESET);
	assert_true(mock_logged("g: pci 00:04.0: has an error, and there is no way to reset it"));
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_run();
	assert_int_equal(fake_pci_at(USB)->is.state, HOST_PCI_FREE);
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_LENT);
	assert_int_equal(control_find("g")->config->n_pci, 1);
}

/* ---- pulled out ------------------------------------------------------------------------------ */

static void test_pulled_out(void **state)
{
	fake_pci_at(NVME)->gone = true;
	control_pci_gone(NVME, world_id);
	expect_events("word 6 of 10, state 3\n");
	control_pci_gone(NVME, world_id);
	expect_events("");
	answer(DISCONNECT);
	assert_true(mock_logged("g: pci 00:02.0: is not there any more: taken from the guest"));
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_run();
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	assert_int_equal(control_find("g")->config->n_pci, 0);
	/* Until it is there again nobody gets it. */
	assert_int_equal(control_pci_attach("g", "00:02.0", NULL, NULL), -XEN_ENODEV);
	assert_string_equal(control_why(), "g: pci 00:02.0: is not there any more");
}

static void test_pulled_out_while_it_heals(void **state)
{
	control_pci_error(NVME, world_id, false);
	fake_pci_at(NVME)->gone = true;
	control_pci_gone(NVME, world_id);
	answer(CAN_RECOVER);
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_run();
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
}

static void test_guest_ends_meanwhile(void **state)
{
	control_pci_error(NVME, world_id, false);
	end();
	(void)fake_pci_answer(NONE); /* for nobody */
	control_pci_error(NVME, world_id, false);
	mock_run();
	expect_events("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_not_fatal, setup),
	    cmocka_unit_test_setup(test_guest_needs_a_reset, setup),
	    cmocka_unit_test_setup(test_fatal, setup),
	    cmocka_unit_test_setup(test_another_meanwhile, setup),
	    cmocka_unit_test_setup(test_another_too_late, setup),
	    cmocka_unit_test_setup(test_two_at_once, setup),
	    cmocka_unit_test_setup(test_no_front, setup),
	    cmocka_unit_test_setup(test_no_driver, setup),
	    cmocka_unit_test_setup(test_disconnects, setup),
	    cmocka_unit_test_setup(test_nonsense, setup),
	    cmocka_unit_test_setup(test_no_answer, setup),
	    cmocka_unit_test_setup(test_deaf, setup),
	    cmocka_unit_test_setup(test_slot_is_no_good, setup),
	    cmocka_unit_test_setup(test_does_not_come_back, setup),
	    cmocka_unit_test_setup(test_not_restored, setup),
	    cmocka_unit_test_setup(test_no_way_to_reset, setup),
	    cmocka_unit_test_setup(test_pulled_out, setup),
	    cmocka_unit_test_setup(test_pulled_out_while_it_heals, setup),
	    cmocka_unit_test_setup(test_guest_ends_meanwhile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
