/* control_test.c: domains live and end as xl's do, and every way of ending or failing takes back
 * everything: domain, frames, store nodes, console, connection to the store.
 *
 * Why: a service domain runs for months and makes and ends thousands of domains; what one leaves
 * behind adds up. The hypervisor is the fake of fake_control.c, the store that of the mock world;
 * the test plays backends and guests by writing their nodes.
 *
 * links: control/control_save.c control/save_*.c control/config_*.c control/domain_config.c control/control.c control/control_list.c control/control_store*.c control/control_block.c control/control_device.c control/control_net.c control/control_serve.c control/control_pci*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/domain_builder.c
 * links: control/control_ask.c control/control_version.c lib/start_layout.c control/builder_memory.c control/builder_start.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: control/builder_unpack.c unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/control.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"

/* ---- making ---------------------------------------------------------------------------------- */

static void test_create(void **state)
{
	const struct control_domain *d;

	world_create();
	assert_string_equal(world_events, "introduce 1:1\nconsole 1:2 g\ncreated g 8192\n");
	assert_false(fake_domain(world_id)->paused);
	d = control_find("g");
	assert_non_null(d);
	assert_int_equal(d->domid, world_id);
	assert_int_equal(d->state, CONTROL_RUNNING);
	assert_null(control_find("h"));
	assert_int_equal(control_count(), 1);
}

static void test_store_nodes(void **state)
{
	world_create();
	world_expect_node("/local/domain/%u/name", "g");
	world_expect_node("/local/domain/%u/domid", "1");
	world_expect_node("/vm/%u/name", "g");
	world_expect_node("/local/domain/%u/memory/target", "8192");
	world_expect_node("/local/domain/%u/cpu/0/availability", "online");
	world_expect_node("/local/domain/%u/console/port", "2");
	world_expect_node("/local/domain/%u/store/port", "1");
	world_expect_node("/local/domain/%u/control/shutdown", "");
	world_expect_node(FRONT "/backend", "/local/domain/0/backend/vbd/1/51712");
	world_expect_node(FRONT "/backend-id", "0");
	world_expect_node(FRONT "/virtual-device", "51712");
	world_expect_node(FRONT "/state", "1");
	world_expect_node(BACKEND "/frontend", "/local/domain/1/device/vbd/51712");
	world_expect_node(BACKEND "/frontend-id", "1");
	world_expect_node(BACKEND "/params", "serial=a.img");
	world_expect_node(BACKEND "/mode", "r");
	world_expect_node(BACKEND "/online", "1");
	world_expect_node(BACKEND "/dev", "xvda");
	world_expect_node(BACKEND "/type", "phy");
	world_expect_node(BACKEND "/device-type", "disk");
	world_expect_node(BACKEND "/state", "1");
}

static void expect_refusal(int err, const char *logged)
{
	assert_int_equal(control_create(&world_config, &world_id), err);
	mock_run();
	if (!mock_logged(logged))
		fail_msg("not logged: %s", logged);
	world_expect_nothing_left();
}

static void test_refusals_name_the_thing(void **state)
{
	strcpy(world_config.kernel, "/boot/none");
	expect_refusal(-XEN_ENOENT, "g: kernel '/boot/none': ENOENT");
	strcpy(world_config.kernel, "/boot/k");
	strcpy(world_config.ramdisk, "/boot/rd");
	expect_refusal(-XEN_ENOENT, "g: ramdisk '/boot/rd': ENOENT");
	world_config.ramdisk[0] = 0;
	strcpy(world_config.disks[0].target, "missing.img");
	expect_refusal(-XEN_ENOENT, "g: disk xvda 'missing.img': ENOENT");
	strcpy(world_config.disks[0].target, "a.img");
	world_kernel_text = "#!/bin/sh";
	expect_refusal(-XEN_ENOEXEC, "g: kernel '/boot/k' is not an ELF file");
	world_kernel_text = NULL;
	world_config.memory_mib = world_config.max_memory_mib = 1000;
	expect_refusal(-XEN_ENOMEM, "g: memory: 1024000 KiB asked for");
	world_config.memory_mib = world_config.max_memory_mib = 8;
	world_introduce_err = -XEN_EINVAL;
	expect_refusal(-XEN_EINVAL, "g: cannot be started: EINVAL");
	world_introduce_err = 0;
	world_console_err = -XEN_ENOMEM;
	world_events[0] = 0;
	expect_refusal(-XEN_ENOMEM, "g: cannot be started: ENOMEM");
	assert_non_null(strstr(world_events, "release"));
	assert_null(strstr(world_events, "no console"));
}

static void test_two_of_one_name(void **state)
{
	world_create();
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EEXIST);
	assert_true(mock_logged("g: a domain of this name is there already"));
	assert_int_equal(control_count(), 1);
	strcpy(world_config.name, "h");
	world_create();
	assert_int_equal(control_count(), 2);
	assert_int_equal(fake_domain_count(), 2);
}

/* Each call of the hypervisor fails once, then each thing that the host can lack. */
static void test_every_failure_unwinds(void **state)
{
	unsigned calls, failures = 0, nth;

	world_create();
	calls = fake_calls();
	for (nth = 1; nth <= calls; nth++) {
		world_setup(state);
		fake_fail_at(nth, -XEN_EPERM);
		if (control_create(&world_config, &world_id) == 0)
			continue;
		failures++;
		fake_fail_at(0, 0);
		mock_run();
		world_expect_nothing_left();
	}
	assert_true(failures > 20);
	for (nth = 1; nth < 200; nth++) {
		world_setup(state);
		mock_fail_after((int)nth);
		if (control_create(&world_config, &world_id) == 0)
			break;
		mock_fail_after(-1);
		mock_run();
		world_expect_nothing_left();
	}
	assert_in_range(nth, 8, 199);
	mock_fail_after(-1);
}

static void test_store_conflicts_are_tried_again(void **state)
{
	mock_tx_conflicts(3);
	world_create();
	world_expect_node(BACKEND "/state", "1");
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void test_poweroff(void **state)
{
	world_create();
	world_events[0] = 0;
	world_set_node("/local/domain/%u/data/exit-code", "3");
	fake_shutdown(world_id, SHUTDOWN_poweroff);
	mock_run();
	assert_string_equal(world_events, "no console 1\nrelease 1\nended g 3\n");
	world_expect_nothing_left();
}

static void test_exit_codes(void **state)
{
	static const struct {
		unsigned reason;
		const char *written, *expected;
	} ends[] = {
	    {SHUTDOWN_poweroff, NULL, "ended g 0\n"},  {SHUTDOWN_poweroff, "255", "ended g 255\n"},
	    {SHUTDOWN_poweroff, "256", "ended g 0\n"}, {SHUTDOWN_poweroff, "x", "ended g 0\n"},
	    {SHUTDOWN_crash, "0", "ended g 131\n"},    {SHUTDOWN_watchdog, NULL, "ended g 132\n"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		world_setup(state);
		world_create();
		if (ends[i].written)
			world_set_node("/local/domain/%u/data/exit-code", ends[i].written);
		fake_shutdown(world_id, ends[i].reason);
		mock_run();
		assert_non_null(strstr(world_events, ends[i].expected));
		world_expect_nothing_left();
	}
}

static void test_others_go_on(void **state)
{
	domid_t other;

	world_create();
	strcpy(world_config.name, "h");
	assert_int_equal(control_create(&world_config, &other), 0);
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_null(control_find("g"));
	assert_non_null(control_find("h"));
	assert_non_null(fake_domain(other));
	assert_non_null(world_node("/local/domain/%u/name", other));
	assert_non_null(world_node("/local/domain/0/backend/vbd/%u/51712/state", other));
}

static void test_restart(void **state)
{
	const struct control_domain *d;

	world_create();
	world_events[0] = 0;
	fake_shutdown(world_id, SHUTDOWN_reboot);
	mock_run();
	assert_string_equal(world_events, "no console 1\nrelease 1\nintroduce 2:1\nconsole 2:2 g\n"
					  "created g 8192\n");
	d = control_find("g");
	assert_non_null(d);
	assert_int_equal(d->domid, 2);
	assert_int_equal(d->restarts, 1);
	assert_int_equal(fake_domain_count(), 1);
	world_id = d->domid;
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	world_expect_nothing_left();
}

static void test_restart_that_fails_is_an_end(void **state)
{
	world_create();
	world_events[0] = 0;
	world_kernel_text = "no more";
	fake_shutdown(world_id, SHUTDOWN_reboot);
	mock_run();
	assert_non_null(strstr(world_events, "ended g 0\n"));
	world_expect_nothing_left();
}

static void test_preserve(void **state)
{
	world_config.on_crash = CONFIG_PRESERVE;
	world_create();
	world_events[0] = 0;
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_string_equal(world_events, "ended g 131\n");
	assert_int_equal(control_find("g")->state, CONTROL_PRESERVED);
	fake_shutdown(world_id, SHUTDOWN_crash); /* told again: nothing new */
	mock_run();
	assert_string_equal(world_events, "ended g 131\n");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_string_equal(world_events, "ended g 131\nno console 1\nrelease 1\n");
	world_expect_nothing_left();
}

static void test_destroy(void **state)
{
	assert_int_equal(control_destroy("g"), -XEN_ENOENT);
	world_create();
	world_events[0] = 0;
	assert_int_equal(control_destroy("g"), 0);
	assert_true(fake_domain(world_id)->paused);
	mock_run();
	assert_string_equal(world_events, "no console 1\nrelease 1\n");
	world_expect_nothing_left();
}

/* ---- backends ---------------------------------------------------------------------------------
 */

static void test_waits_for_a_backend(void **state)
{
	world_create();
	world_set_node(BACKEND "/state", "4");
	world_set_node(FRONT "/state", "4");
	fake_shutdown(world_id, SHUTDOWN_poweroff);
	mock_run();
	world_expect_node(BACKEND "/online", "0");
	world_expect_node(FRONT "/state", "6");
	assert_int_equal(control_find("g")->state, CONTROL_ENDING);
	assert_non_null(fake_domain(world_id));
	world_set_node(BACKEND "/state", "6");
	mock_run();
	world_expect_nothing_left();
}

static void test_a_backend_may_remove_itself(void **state)
{
	char path[256];

	world_create();
	world_set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_non_null(control_find("g"));
	snprintf(path, sizeof(path), BACKEND, world_id);
	mock_store_remove(path);
	mock_run();
	world_expect_nothing_left();
}

static void test_gives_up_on_a_backend(void **state)
{
	world_create();
	world_set_node(BACKEND "/state", "4");
	fake_shutdown(world_id, SHUTDOWN_poweroff);
	mock_run();
	mock_advance((CONTROL_BACKEND_WAIT_MS - 1) * 1000000ull);
	assert_non_null(control_find("g"));
	mock_advance(2000000);
	world_expect_nothing_left();
}

static void test_name_is_taken_until_gone(void **state)
{
	world_create();
	world_set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EEXIST);
	world_set_node("/local/domain/0/backend/vbd/1/51712/state", "6");
	mock_run();
	world_expect_nothing_left();
}

static void test_stop(void **state)
{
	world_create();
	world_set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();     /* it waits for its backend now */
	control_stop(); /* while it is ending */
	world_expect_nothing_left();
	assert_int_equal(mock_left(0).watches, 0);
	mock_run_some(100); /* what was queued for the watch that is gone */
	assert_int_equal(mock_left(0).works, 0);
}

static void test_many_cycles(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		world_events[0] = 0;
		world_create();
		if (i & 1)
			assert_int_equal(control_destroy("g"), 0);
		else
			fake_shutdown(world_id, i & 2 ? SHUTDOWN_crash : SHUTDOWN_poweroff);
		mock_run();
		world_expect_nothing_left();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_create, world_setup),
	    cmocka_unit_test_setup(test_store_nodes, world_setup),
	    cmocka_unit_test_setup(test_refusals_name_the_thing, world_setup),
	    cmocka_unit_test_setup(test_two_of_one_name, world_setup),
	    cmocka_unit_test_setup(test_every_failure_unwinds, world_setup),
	    cmocka_unit_test_setup(test_store_conflicts_are_tried_again, world_setup),
	    cmocka_unit_test_setup(test_poweroff, world_setup),
	    cmocka_unit_test_setup(test_exit_codes, world_setup),
	    cmocka_unit_test_setup(test_others_go_on, world_setup),
	    cmocka_unit_test_setup(test_restart, world_setup),
	    cmocka_unit_test_setup(test_restart_that_fails_is_an_end, world_setup),
	    cmocka_unit_test_setup(test_preserve, world_setup),
	    cmocka_unit_test_setup(test_destroy, world_setup),
	    cmocka_unit_test_setup(test_waits_for_a_backend, world_setup),
	    cmocka_unit_test_setup(test_a_backend_may_remove_itself, world_setup),
	    cmocka_unit_test_setup(test_gives_up_on_a_backend, world_setup),
	    cmocka_unit_test_setup(test_name_is_taken_until_gone, world_setup),
	    cmocka_unit_test_setup(test_stop, world_setup),
	    cmocka_unit_test_setup(test_many_cycles, world_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
