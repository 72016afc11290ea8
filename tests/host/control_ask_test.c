/* control_ask_test.c: what is asked of a running domain reaches the hypervisor and the store, and what
 * cannot be is refused with the domain's name; domains that end do as their file says.
 *
 * Why: these are the commands a user gives while a guest runs; one that is half done (a limit without
 * its target) leaves a guest that cannot do what it was told. Expected values are those of Xen's
 * xenstore-paths and xl.cfg(5).
 *
 * links: control/control_save.c control/save_*.c control/config_*.c control/domain_config.c control/control.c control/control_list.c control/control_store*.c control/control_block.c control/control_device.c control/control_net.c control/control_serve.c control/control_pci*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/domain_builder.c
 * links: control/control_ask.c control/control_version.c lib/start_layout.c control/builder_memory.c control/builder_start.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: control/builder_unpack.c unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
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
#include "mock_host.h"

static void expect_why(const char *text)
{
	if (strcmp(control_why(), text) != 0)
		fail_msg("wanted '%s', said '%s'", text, control_why());
	assert_true(mock_logged(text));
}

/* ---- pause ----------------------------------------------------------------------------------- */

/* Once is once: the hypervisor counts, and a second pause would want a second unpause. */
static void test_pause(void **state)
{
	world_create();
	assert_int_equal(control_unpause("g"), -XEN_EBUSY);
	expect_why("g: it is not paused");
	assert_int_equal(control_pause("g"), 0);
	assert_int_equal(fake_domain(world_id)->paused_times, 1);
	assert_int_equal(control_pause("g"), -XEN_EBUSY);
	expect_why("g: it is paused already");
	assert_int_equal(fake_domain(world_id)->paused_times, 1);
	assert_int_equal(control_unpause("g"), 0);
	assert_false(fake_domain(world_id)->paused);
}

/* ---- requests in the store ------------------------------------------------------------------- */

static void test_shutdown_and_reboot(void **state)
{
	world_create();
	assert_int_equal(control_ask_poweroff("g"), 0);
	world_expect_node("/local/domain/%u/control/shutdown", "poweroff");
	assert_int_equal(control_ask_reboot("g"), 0);
	world_expect_node("/local/domain/%u/control/shutdown", "reboot");
}

static void test_memory(void **state)
{
	world_config.max_memory_mib = 16;
	world_create();
	assert_int_equal(fake_domain(world_id)->map_end, 16 << 20);
	assert_int_equal(control_set_memory("g", 12), 0);
	world_expect_node("/local/domain/%u/memory/target", "12288");
	assert_int_equal(fake_domain(world_id)->max_pages, (12 * 1024 + 1024) / 4);
	assert_int_equal(control_set_memory("g", 16), 0);
	assert_int_equal(control_set_memory("g", 17), -XEN_ERANGE);
	expect_why("g: memory must be from 4 to 16 MiB");
	assert_int_equal(control_set_memory("g", 3), -XEN_ERANGE);
	assert_int_equal(control_set_memory("g", ~0ull), -XEN_ERANGE);
	world_expect_node("/local/domain/%u/memory/target", "16384");
}

/* The hypervisor refuses: the guest must not be told of memory that it cannot get. */
static void test_memory_that_is_refused(void **state)
{
	world_create();
	fake_fail_at(1, -XEN_EPERM);
	assert_int_equal(control_set_memory("g", 8), -XEN_EPERM);
	expect_why("g: memory cannot be set: EPERM");
	world_expect_node("/local/domain/%u/memory/target", "8192");
}

static void test_vcpus(void **state)
{
	world_config.vcpus = 2;
	world_config.max_vcpus = 3;
	world_create();
	assert_int_equal(fake_domain(world_id)->max_vcpus, 3);
	world_expect_node("/local/domain/%u/cpu/0/availability", "online");
	world_expect_node("/local/domain/%u/cpu/1/availability", "online");
	world_expect_node("/local/domain/%u/cpu/2/availability", "offline");
	assert_int_equal(control_set_vcpus("g", 1), 0);
	world_expect_node("/local/domain/%u/cpu/0/availability", "online");
	world_expect_node("/local/domain/%u/cpu/1/availability", "offline");
	assert_int_equal(control_set_vcpus("g", 3), 0);
	world_expect_node("/local/domain/%u/cpu/2/availability", "online");
	/* A node that says so already is not written again: that would wake the guest. */
	world_set_node("/local/domain/%u/cpu/1/availability", "on.");
	assert_int_equal(control_set_vcpus("g", 2), 0);
	world_expect_node("/local/domain/%u/cpu/1/availability", "on.");
	assert_int_equal(control_set_vcpus("g", 0), -XEN_ERANGE);
	expect_why("g: vCPUs must be from 1 to 3");
	assert_int_equal(control_set_vcpus("g", 4), -XEN_ERANGE);
}

static void test_pinning(void **state)
{
	world_config.vcpus = world_config.max_vcpus = 3;
	world_config.cpus[0] = 1u << 2;
	world_config.cpus[2] = ~0ull << 1;
	world_create();
	assert_int_equal(fake_domain(world_id)->affinity[0], 4);
	assert_int_equal(fake_domain(world_id)->affinity[1], 0); /* nobody asked */
	assert_int_equal(fake_domain(world_id)->affinity[2], 0xe);
	world_config.cpus[1] = 1ull << 40;
	strcpy(world_config.name, "h");
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EINVAL);
	expect_why("h: cpus: vCPU 1 cannot be pinned: no such processors");
}

/* ---- who can be asked ------------------------------------------------------------------------ */

static void test_nobody_there(void **state)
{
	assert_int_equal(control_pause("x"), -XEN_ENOENT);
	expect_why("x: no such domain");
	assert_int_equal(control_ask_reboot("x"), -XEN_ENOENT);
	assert_int_equal(control_set_memory("x", 8), -XEN_ENOENT);
	assert_int_equal(control_set_vcpus("x", 1), -XEN_ENOENT);
	assert_int_equal(control_destroy("x"), -XEN_ENOENT);
	control_forget_why();
	assert_string_equal(control_why(), "");
}

static void test_who_has_ended_is_not_asked(void **state)
{
	world_config.on_crash = CONFIG_PRESERVE;
	world_create();
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_int_equal(control_pause("g"), -XEN_ESRCH);
	expect_why("g: it has ended");
	assert_int_equal(control_ask_poweroff("g"), -XEN_ESRCH);
	assert_int_equal(control_set_memory("g", 8), -XEN_ESRCH);
	assert_int_equal(control_set_vcpus("g", 1), -XEN_ESRCH);
}

/* ---- figures --------------------------------------------------------------------------------- */

static void test_figures(void **state)
{
	struct control_figures f;

	world_config.max_memory_mib = 16;
	world_config.max_vcpus = 2;
	world_create();
	fake_domain(world_id)->cpu_time_ns = 1234;
	assert_int_equal(control_look(world_id, &f), 0);
	assert_string_equal(f.state, "runnable");
	assert_int_equal(f.vcpus, 1);
	assert_int_equal(f.max_vcpus, 2);
	assert_int_equal(f.cpu_time_ns, 1234);
	assert_int_equal(f.memory_kib, 8192);
	assert_int_equal(f.max_memory_kib, 17 * 1024);
	assert_int_equal(f.grants, 2); /* store and console */
	assert_int_equal(f.ports, 2);
	assert_int_equal(control_pause("g"), 0);
	assert_int_equal(control_look(world_id, &f), 0);
	assert_string_equal(f.state, "paused");
	assert_int_equal(control_look(99, &f), -XEN_ESRCH);
}

/* ---- rename-restart -------------------------------------------------------------------------- */

static void test_rename_restart(void **state)
{
	const struct control_domain *d;

	world_config.on_crash = CONFIG_RENAME_RESTART;
	world_create();
	world_events[0] = 0;
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_string_equal(world_events, "no console 1\nrelease 1\nintroduce 2:1\nconsole 2:2 g\n"
					  "created g 8192\n");
	d = control_find("g-1");
	assert_non_null(d);
	assert_int_equal(d->state, CONTROL_PRESERVED);
	assert_int_equal(d->domid, 1);
	assert_int_equal(d->exit_code, 131);
	assert_string_equal(world_node("/local/domain/1/name"), "g-1");
	assert_string_equal(world_node("/vm/1/name"), "g-1");
	d = control_find("g");
	assert_int_equal(d->state, CONTROL_RUNNING);
	assert_int_equal(d->domid, 2);
	assert_int_equal(d->restarts, 1);
	/* Each ends by itself: the remains without a word, the other as any. */
	assert_int_equal(control_destroy("g-1"), 0);
	mock_run();
	assert_null(control_find("g-1"));
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	world_expect_nothing_left();
}

/* A backend may hold on to the old one's pages and to the disk: the new one waits for it. */
static void test_rename_restart_waits_for_backends(void **state)
{
	world_config.on_crash = CONFIG_RENAME_RESTART;
	world_create();
	world_set_node(BACKEND "/state", "4");
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_int_equal(control_count(), 1);
	world_set_node(BACKEND "/state", "6");
	mock_run();
	assert_int_equal(control_count(), 2);
}

static void test_rename_restart_that_fails(void **state)
{
	world_config.on_crash = CONFIG_RENAME_RESTART;
	world_create();
	world_events[0] = 0;
	world_kernel_text = "no more";
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_non_null(strstr(world_events, "ended g 131\n"));
	assert_null(control_find("g"));
	assert_non_null(control_find("g-1"));
	assert_int_equal(control_destroy("g-1"), 0);
	mock_run();
	assert_null(strstr(world_events, "ended g-1"));
	world_expect_nothing_left();
}

/* The longest name there is gets its number all the same. */
static void test_rename_of_a_long_name(void **state)
{
	memset(world_config.name, 'n', CONFIG_NAME_MAX - 1);
	world_config.on_crash = CONFIG_RENAME_RESTART;
	world_create();
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	world_config.name[CONFIG_NAME_MAX - 3] = '-';
	world_config.name[CONFIG_NAME_MAX - 2] = '1';
	assert_non_null(control_find(world_config.name));
}

static void test_the_watchdog_has_its_own_word(void **state)
{
	world_config.on_watchdog = CONFIG_RESTART;
	world_create();
	fake_shutdown(world_id, SHUTDOWN_watchdog);
	mock_run();
	assert_int_equal(control_find("g")->restarts, 1);
}

/* ---- another hypervisor ----------------------------------------------------------------------- */

static void test_another_version_is_refused(void **state)
{
	static const struct control_hooks none;

	control_stop();
	fake_versions(0x18, 0);
	assert_int_equal(control_start(&none), -XEN_EOPNOTSUPP);
	expect_why("Xen 4.17 speaks version 0x18 of domctl, and we speak 0x15: domains cannot be "
		   "managed here");
	fake_versions(0, 0x14);
	assert_int_equal(control_start(&none), -XEN_EOPNOTSUPP);
	expect_why("Xen 4.17 speaks version 0x14 of sysctl, and we speak 0x15: domains cannot be "
		   "managed here");
	fake_versions(0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, world_setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_pause),
	    TEST(test_shutdown_and_reboot),
	    TEST(test_memory),
	    TEST(test_memory_that_is_refused),
	    TEST(test_vcpus),
	    TEST(test_pinning),
	    TEST(test_nobody_there),
	    TEST(test_who_has_ended_is_not_asked),
	    TEST(test_figures),
	    TEST(test_rename_restart),
	    TEST(test_rename_restart_waits_for_backends),
	    TEST(test_rename_restart_that_fails),
	    TEST(test_rename_of_a_long_name),
	    TEST(test_the_watchdog_has_its_own_word),
	    TEST(test_another_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
