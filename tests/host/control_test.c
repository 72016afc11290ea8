/* control_test.c: domains live and end as xl's do, and every way of ending or failing takes back
 * everything: domain, frames, store nodes, console, connection to the store.
 *
 * Why: a service domain runs for months and makes and ends thousands of domains; what one leaves
 * behind adds up. The hypervisor is the fake of fake_control.c, the store that of the mock world;
 * the test plays backends and guests by writing their nodes.
 *
 * links: control/control.c control/control_store.c control/domain_builder.c
 * links: lib/start_layout.c control/builder_memory.c control/builder_start.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: tests/host/fake_control.c tests/host/mock_host.c tests/host/mock_share.c
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

#include "fake_control.h"
#include "mock_host.h"

static struct domain_config config;
static domid_t id;
static char events[512]; /* what the hooks were told, in order */
static unsigned nodes_before;
static int introduce_err, console_err;
static const char *kernel_text; /* instead of the good kernel */

/* ---- hooks --------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t n = strlen(events);
	va_list args;

	va_start(args, fmt);
	vsnprintf(events + n, sizeof(events) - n, fmt, args);
	va_end(args);
}

static int hook_file(void *ctx, const char *path, const void **out, size_t *out_len)
{
	if (strcmp(path, "/boot/k") != 0)
		return -XEN_ENOENT;
	*out = kernel_text ? kernel_text : fake_kernel(out_len);
	if (kernel_text)
		*out_len = strlen(kernel_text);
	return 0;
}
static int hook_disk(void *ctx, const char *target, char *out_params, size_t cap)
{
	snprintf(out_params, cap, "serial=%s", target);
	return strcmp(target, "missing.img") ? 0 : -XEN_ENOENT;
}
static int hook_introduce(void *ctx, domid_t domid, uint32_t port)
{
	note("introduce %u:%u\n", domid, port);
	return introduce_err;
}
static void hook_release(void *ctx, domid_t domid)
{
	note("release %u\n", domid);
}
static int hook_attach(void *ctx, domid_t domid, const char *name, uint32_t port)
{
	note("console %u:%u %s\n", domid, port, name);
	return console_err;
}
static void hook_detach(void *ctx, domid_t domid)
{
	note("no console %u\n", domid);
}
static void hook_created(void *ctx, const struct control_domain *d)
{
	note("created %s %llu\n", d->config->name, (unsigned long long)d->memory_kib);
}
static void hook_ended(void *ctx, const char *name, int exit_code)
{
	note("ended %s %d\n", name, exit_code);
}

static const struct control_hooks hooks = {
    .file = hook_file,
    .disk = hook_disk,
    .introduce = hook_introduce,
    .release = hook_release,
    .console_attach = hook_attach,
    .console_detach = hook_detach,
    .created = hook_created,
    .ended = hook_ended,
};

/* ---- the world ------------------------------------------------------------------------------ */

static void expect_nothing_left(void)
{
	assert_int_equal(control_count(), 0);
	fake_expect_nothing_left();
	assert_int_equal(mock_store_count("/local") + mock_store_count("/vm"), nodes_before);
	assert_int_equal(mock_left(0).allocs, 0);
	assert_int_equal(mock_left(0).pages, 0);
	assert_int_equal(mock_left(0).transactions, 0);
}

static int setup(void **state)
{
	control_stop(); /* what a test before left */
	mock_reset();
	fake_reset(4096);
	memset(&config, 0, sizeof(config));
	strcpy(config.name, "g");
	strcpy(config.kernel, "/boot/k");
	strcpy(config.cmdline, "role=guest");
	config.memory_mib = config.max_memory_mib = 8;
	config.vcpus = 1;
	config.on_reboot = CONFIG_RESTART;
	config.n_disks = 1;
	strcpy(config.disks[0].target, "a.img");
	strcpy(config.disks[0].vdev, "xvda");
	config.disks[0].devid = 51712;
	config.disks[0].readonly = true;
	events[0] = 0;
	introduce_err = console_err = 0;
	kernel_text = NULL;
	assert_int_equal(control_start(&hooks), 0);
	mock_run();
	nodes_before = mock_store_count("/local") + mock_store_count("/vm");
	return 0;
}

static void create_ok(void)
{
	assert_int_equal(control_create(&config, &id), 0);
	mock_run();
}

static const char *node(const char *fmt, ...)
{
	char path[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return mock_store_get(path);
}

static void expect_node(const char *path, const char *value)
{
	char full[256];
	const char *got;

	snprintf(full, sizeof(full), path, id);
	got = mock_store_get(full);
	if (!got || strcmp(got, value) != 0)
		fail_msg("%s: wanted '%s', got '%s'", full, value, got ? got : "(none)");
}

static void set_node(const char *path, const char *value)
{
	char full[256];

	snprintf(full, sizeof(full), path, id);
	mock_store_put(full, value);
}

#define BACKEND "/local/domain/0/backend/vbd/%u/51712"
#define FRONT   "/local/domain/%u/device/vbd/51712"

/* ---- making ---------------------------------------------------------------------------------- */

static void test_create(void **state)
{
	const struct control_domain *d;

	create_ok();
	assert_string_equal(events, "introduce 1:1\nconsole 1:2 g\ncreated g 8192\n");
	assert_false(fake_domain(id)->paused);
	d = control_find("g");
	assert_non_null(d);
	assert_int_equal(d->domid, id);
	assert_int_equal(d->state, CONTROL_RUNNING);
	assert_null(control_find("h"));
	assert_int_equal(control_count(), 1);
}

static void test_store_nodes(void **state)
{
	create_ok();
	expect_node("/local/domain/%u/name", "g");
	expect_node("/local/domain/%u/domid", "1");
	expect_node("/vm/%u/name", "g");
	expect_node("/local/domain/%u/memory/target", "8192");
	expect_node("/local/domain/%u/cpu/0/availability", "online");
	expect_node("/local/domain/%u/console/port", "2");
	expect_node("/local/domain/%u/store/port", "1");
	expect_node("/local/domain/%u/control/shutdown", "");
	expect_node(FRONT "/backend", "/local/domain/0/backend/vbd/1/51712");
	expect_node(FRONT "/backend-id", "0");
	expect_node(FRONT "/virtual-device", "51712");
	expect_node(FRONT "/state", "1");
	expect_node(BACKEND "/frontend", "/local/domain/1/device/vbd/51712");
	expect_node(BACKEND "/frontend-id", "1");
	expect_node(BACKEND "/params", "serial=a.img");
	expect_node(BACKEND "/mode", "r");
	expect_node(BACKEND "/online", "1");
	expect_node(BACKEND "/dev", "xvda");
	expect_node(BACKEND "/type", "phy");
	expect_node(BACKEND "/device-type", "disk");
	expect_node(BACKEND "/state", "1");
}

static void expect_refusal(int err, const char *logged)
{
	assert_int_equal(control_create(&config, &id), err);
	mock_run();
	if (!mock_logged(logged))
		fail_msg("not logged: %s", logged);
	expect_nothing_left();
}

static void test_refusals_name_the_thing(void **state)
{
	strcpy(config.kernel, "/boot/none");
	expect_refusal(-XEN_ENOENT, "g: kernel '/boot/none': ENOENT");
	strcpy(config.kernel, "/boot/k");
	strcpy(config.ramdisk, "/boot/rd");
	expect_refusal(-XEN_ENOENT, "g: ramdisk '/boot/rd': ENOENT");
	config.ramdisk[0] = 0;
	strcpy(config.disks[0].target, "missing.img");
	expect_refusal(-XEN_ENOENT, "g: disk xvda 'missing.img': ENOENT");
	strcpy(config.disks[0].target, "a.img");
	kernel_text = "#!/bin/sh";
	expect_refusal(-XEN_ENOEXEC, "g: kernel '/boot/k' is not an ELF file");
	kernel_text = NULL;
	config.memory_mib = config.max_memory_mib = 1000;
	expect_refusal(-XEN_ENOMEM, "g: memory: 1024000 KiB asked for");
	config.memory_mib = config.max_memory_mib = 8;
	introduce_err = -XEN_EINVAL;
	expect_refusal(-XEN_EINVAL, "g: cannot be started: EINVAL");
	introduce_err = 0;
	console_err = -XEN_ENOMEM;
	events[0] = 0;
	expect_refusal(-XEN_ENOMEM, "g: cannot be started: ENOMEM");
	assert_non_null(strstr(events, "release"));
	assert_null(strstr(events, "no console"));
}

static void test_two_of_one_name(void **state)
{
	create_ok();
	assert_int_equal(control_create(&config, &id), -XEN_EEXIST);
	assert_true(mock_logged("g: a domain of this name is there already"));
	assert_int_equal(control_count(), 1);
	strcpy(config.name, "h");
	create_ok();
	assert_int_equal(control_count(), 2);
	assert_int_equal(fake_domain_count(), 2);
}

/* Each call of the hypervisor fails once, then each thing that the host can lack. */
static void test_every_failure_unwinds(void **state)
{
	unsigned calls, failures = 0, nth;

	create_ok();
	calls = fake_calls();
	for (nth = 1; nth <= calls; nth++) {
		setup(state);
		fake_fail_at(nth, -XEN_EPERM);
		if (control_create(&config, &id) == 0)
			continue;
		failures++;
		fake_fail_at(0, 0);
		mock_run();
		expect_nothing_left();
	}
	assert_true(failures > 20);
	for (nth = 1; nth < 200; nth++) {
		setup(state);
		mock_fail_after((int)nth);
		if (control_create(&config, &id) == 0)
			break;
		mock_fail_after(-1);
		mock_run();
		expect_nothing_left();
	}
	assert_in_range(nth, 8, 199);
	mock_fail_after(-1);
}

static void test_store_conflicts_are_tried_again(void **state)
{
	mock_tx_conflicts(3);
	create_ok();
	expect_node(BACKEND "/state", "1");
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void test_poweroff(void **state)
{
	create_ok();
	events[0] = 0;
	set_node("/local/domain/%u/data/exit-code", "3");
	fake_shutdown(id, SHUTDOWN_poweroff);
	mock_run();
	assert_string_equal(events, "no console 1\nrelease 1\nended g 3\n");
	expect_nothing_left();
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
		setup(state);
		create_ok();
		if (ends[i].written)
			set_node("/local/domain/%u/data/exit-code", ends[i].written);
		fake_shutdown(id, ends[i].reason);
		mock_run();
		assert_non_null(strstr(events, ends[i].expected));
		expect_nothing_left();
	}
}

static void test_others_go_on(void **state)
{
	domid_t other;

	create_ok();
	strcpy(config.name, "h");
	assert_int_equal(control_create(&config, &other), 0);
	fake_shutdown(id, SHUTDOWN_crash);
	mock_run();
	assert_null(control_find("g"));
	assert_non_null(control_find("h"));
	assert_non_null(fake_domain(other));
	assert_non_null(node("/local/domain/%u/name", other));
	assert_non_null(node("/local/domain/0/backend/vbd/%u/51712/state", other));
}

static void test_restart(void **state)
{
	const struct control_domain *d;

	create_ok();
	events[0] = 0;
	fake_shutdown(id, SHUTDOWN_reboot);
	mock_run();
	assert_string_equal(events, "no console 1\nrelease 1\nintroduce 2:1\nconsole 2:2 g\n"
				    "created g 8192\n");
	d = control_find("g");
	assert_non_null(d);
	assert_int_equal(d->domid, 2);
	assert_int_equal(d->restarts, 1);
	assert_int_equal(fake_domain_count(), 1);
	id = d->domid;
	fake_shutdown(id, SHUTDOWN_crash);
	mock_run();
	expect_nothing_left();
}

static void test_restart_that_fails_is_an_end(void **state)
{
	create_ok();
	events[0] = 0;
	kernel_text = "no more";
	fake_shutdown(id, SHUTDOWN_reboot);
	mock_run();
	assert_non_null(strstr(events, "ended g 0\n"));
	expect_nothing_left();
}

static void test_preserve(void **state)
{
	config.on_crash = CONFIG_PRESERVE;
	create_ok();
	events[0] = 0;
	fake_shutdown(id, SHUTDOWN_crash);
	mock_run();
	assert_string_equal(events, "ended g 131\n");
	assert_int_equal(control_find("g")->state, CONTROL_PRESERVED);
	fake_shutdown(id, SHUTDOWN_crash); /* told again: nothing new */
	mock_run();
	assert_string_equal(events, "ended g 131\n");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_string_equal(events, "ended g 131\nno console 1\nrelease 1\n");
	expect_nothing_left();
}

static void test_destroy(void **state)
{
	assert_int_equal(control_destroy("g"), -XEN_ENOENT);
	create_ok();
	events[0] = 0;
	assert_int_equal(control_destroy("g"), 0);
	assert_true(fake_domain(id)->paused);
	mock_run();
	assert_string_equal(events, "no console 1\nrelease 1\n");
	expect_nothing_left();
}

/* ---- backends ---------------------------------------------------------------------------------
 */

static void test_waits_for_a_backend(void **state)
{
	create_ok();
	set_node(BACKEND "/state", "4");
	set_node(FRONT "/state", "4");
	fake_shutdown(id, SHUTDOWN_poweroff);
	mock_run();
	expect_node(BACKEND "/online", "0");
	expect_node(FRONT "/state", "6");
	assert_int_equal(control_find("g")->state, CONTROL_ENDING);
	assert_non_null(fake_domain(id));
	set_node(BACKEND "/state", "6");
	mock_run();
	expect_nothing_left();
}

static void test_a_backend_may_remove_itself(void **state)
{
	char path[256];

	create_ok();
	set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_non_null(control_find("g"));
	snprintf(path, sizeof(path), BACKEND, id);
	mock_store_remove(path);
	mock_run();
	expect_nothing_left();
}

static void test_gives_up_on_a_backend(void **state)
{
	create_ok();
	set_node(BACKEND "/state", "4");
	fake_shutdown(id, SHUTDOWN_poweroff);
	mock_run();
	mock_advance((CONTROL_BACKEND_WAIT_MS - 1) * 1000000ull);
	assert_non_null(control_find("g"));
	mock_advance(2000000);
	expect_nothing_left();
}

static void test_name_is_taken_until_gone(void **state)
{
	create_ok();
	set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_int_equal(control_create(&config, &id), -XEN_EEXIST);
	set_node("/local/domain/0/backend/vbd/1/51712/state", "6");
	mock_run();
	expect_nothing_left();
}

static void test_stop(void **state)
{
	create_ok();
	set_node(BACKEND "/state", "4");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();     /* it waits for its backend now */
	control_stop(); /* while it is ending */
	expect_nothing_left();
	assert_int_equal(mock_left(0).watches, 0);
	mock_run_some(100); /* what was queued for the watch that is gone */
	assert_int_equal(mock_left(0).works, 0);
}

static void test_many_cycles(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		events[0] = 0;
		create_ok();
		if (i & 1)
			assert_int_equal(control_destroy("g"), 0);
		else
			fake_shutdown(id, i & 2 ? SHUTDOWN_crash : SHUTDOWN_poweroff);
		mock_run();
		expect_nothing_left();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_create, setup),
	    cmocka_unit_test_setup(test_store_nodes, setup),
	    cmocka_unit_test_setup(test_refusals_name_the_thing, setup),
	    cmocka_unit_test_setup(test_two_of_one_name, setup),
	    cmocka_unit_test_setup(test_every_failure_unwinds, setup),
	    cmocka_unit_test_setup(test_store_conflicts_are_tried_again, setup),
	    cmocka_unit_test_setup(test_poweroff, setup),
	    cmocka_unit_test_setup(test_exit_codes, setup),
	    cmocka_unit_test_setup(test_others_go_on, setup),
	    cmocka_unit_test_setup(test_restart, setup),
	    cmocka_unit_test_setup(test_restart_that_fails_is_an_end, setup),
	    cmocka_unit_test_setup(test_preserve, setup),
	    cmocka_unit_test_setup(test_destroy, setup),
	    cmocka_unit_test_setup(test_waits_for_a_backend, setup),
	    cmocka_unit_test_setup(test_a_backend_may_remove_itself, setup),
	    cmocka_unit_test_setup(test_gives_up_on_a_backend, setup),
	    cmocka_unit_test_setup(test_name_is_taken_until_gone, setup),
	    cmocka_unit_test_setup(test_stop, setup),
	    cmocka_unit_test_setup(test_many_cycles, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
