/* control_pci_line_test.c: the line of a function that has nothing else to interrupt by becomes a guest's.
 *
 * Why: who hears a line that others pull waits for them, or never hears again. Expected: it goes with the function and comes back with
 * it, all others on it are kept from pulling it, two functions of one guest share it, and it is refused where it cannot be one guest's alone, naming the other.
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

#include "control_world.h"
#include "fake_control.h"
#include "fake_pci.h"
#include "mock_host.h"

#define NVME 0x0010u
#define CARD 0x0018u
#define USB  0x0020u

static int setup(void **state)
{
	int err;

	fake_pci_reset();
	err = world_setup(state);
	fake_pci_reset(); /* what control_stop has noted */
	world_config.n_disks = 0;
	return err;
}

static void want(uint16_t bdf)
{
	world_config.pci[world_config.n_pci++] =
	    (struct config_pci){.bdf = bdf, .slot = CONFIG_PCI_ANY_SLOT};
}

static void expect_events(const char *wanted)
{
	assert_string_equal(fake_pci_events, wanted);
	fake_pci_events[0] = 0;
}

static void expect_refused(int err, const char *why)
{
	assert_int_equal(control_create(&world_config, &world_id), err);
	assert_string_equal(control_why(), why);
	mock_run();
	world_expect_nothing_left();
}

static void only_line(uint16_t bdf, uint8_t line)
{
	fake_pci_at(bdf)->is.line = line;
	fake_pci_at(bdf)->is.only_line = true;
}

/* A line goes with a function that has nothing else, and all others on it are kept from pulling it. */
static void test_line(void **state)
{
	only_line(USB, 11);
	fake_pci_at(CARD)->is.line = 11;
	fake_pci_at(NVME)->is.line = 10;
	want(USB);
	world_create();
	expect_events("let go 20\nquiet 20\nassign 20\nmemory fe300+16 1\nline 20\nirq 11 1\n");
	assert_int_equal(fake_pci_at(CARD)->config[5] & 4, 4);
	assert_int_equal(fake_pci_at(NVME)->config[5] & 4, 0); /* is on another */
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_non_null(strstr(fake_pci_events, "quiet 20\nline 20 off, last\nirq 11 0\nmemory "));
	world_expect_nothing_left();
}

/* Two of one guest share a line, which goes with the last. */
static void test_line_of_two(void **state)
{
	only_line(USB, 11);
	only_line(CARD, 11);
	want(USB);
	want(CARD);
	world_create();
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_non_null(strstr(fake_pci_events, "line 18 off\nmemory "));
	assert_non_null(strstr(fake_pci_events, "line 20 off, last\nirq 11 0\n"));
}

static void test_line_refused(void **state)
{
	only_line(USB, 11);
	only_line(CARD, 11);
	fake_pci_at(CARD)->is.state = HOST_PCI_LENT;
	fake_pci_at(CARD)->is.guest = 77;
	want(USB);
	expect_refused(-XEN_EBUSY, "g: pci 00:04.0: its interrupt line 11 is also that of 00:03.0, "
				   "which domain 77 has");
	expect_events("");
	fake_pci_at(CARD)->is.state = HOST_PCI_FREE;
	fake_pci_at(CARD)->pulls = true;
	expect_refused(-XEN_EBUSY, "g: pci 00:04.0: its interrupt line 11 is also that of 00:03.0, "
				   "which cannot be kept from it");
	assert_non_null(
	    strstr(fake_pci_events, "deassign 20\n")); /* it was the domain's for a moment */
	fake_pci_at(CARD)->pulls = false;
	fake_pci_line_err = -XEN_EBUSY;
	expect_refused(-XEN_EBUSY,
		       "g: pci 00:04.0: the domain cannot have its interrupt line 11: EBUSY");
	assert_int_equal(fake_pci_at(USB)->is.state, HOST_PCI_FREE);
	/* Nobody says which it is: it is given without. */
	only_line(USB, 0);
	fake_pci_events[0] = 0;
	world_create();
	assert_null(strstr(fake_pci_events, "line"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_line, setup),
	    cmocka_unit_test_setup(test_line_of_two, setup),
	    cmocka_unit_test_setup(test_line_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
