/* control_pci_fixture.h: a domain to be made in the world of control_world.h, and the functions of fake_pci.h.
 *
 * For the tests of functions that become a domain's (control_pci_test.c) and of those that are not kept apart (control_pci_group_test.c). What an
 * operation that was begun came to is in `told`.
 */
#ifndef TESTS_CONTROL_PCI_FIXTURE_H
#define TESTS_CONTROL_PCI_FIXTURE_H

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
#define CARD      0x0018u
#define USB       0x0020u
#define ALONE     0x0100u
#define BACK      "/local/domain/0/backend/pci/%u/0"
#define FRONT_PCI "/local/domain/%u/device/pci/0"

static struct {
	unsigned count;
	int err;
} told;

static inline void done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &told);
	told.count++;
	told.err = err;
}

static inline int setup(void **state)
{
	int err;

	fake_pci_reset();
	memset(&told, 0, sizeof(told));
	err = world_setup(state);
	fake_pci_reset(); /* what control_stop has noted */
	world_config.n_disks = 0;
	return err;
}

static inline void want(uint16_t bdf)
{
	world_config.pci[world_config.n_pci++] =
	    (struct config_pci){.bdf = bdf, .slot = CONFIG_PCI_ANY_SLOT};
}

static inline void expect_events(const char *wanted)
{
	assert_string_equal(fake_pci_events, wanted);
	fake_pci_events[0] = 0;
}

static inline void expect_told(unsigned count, int err)
{
	mock_run();
	assert_int_equal(told.count, count);
	assert_int_equal(told.err, err);
}

static inline void expect_refused(int err, const char *why)
{
	assert_int_equal(control_create(&world_config, &world_id), err);
	assert_string_equal(control_why(), why);
	mock_run();
	world_expect_nothing_left();
}

#endif
