/* control_world.c: the world of control_world.h.
 *
 * Hooks note what they are told; the file is the fake's kernel; the test plays backends and guests by
 * writing their nodes. Callers: control_test, control_ask_test, ctl_test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"

struct domain_config world_config;
domid_t world_id;
char world_events[512];
static unsigned nodes_before;
int world_introduce_err, world_console_err;
const char *world_kernel_text;

/* ---- hooks --------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t n = strlen(world_events);
	va_list args;

	va_start(args, fmt);
	vsnprintf(world_events + n, sizeof(world_events) - n, fmt, args);
	va_end(args);
}

static int hook_file(void *ctx, const char *path, const void **out, size_t *out_len)
{
	if (strcmp(path, "/boot/k") != 0)
		return -XEN_ENOENT;
	*out = world_kernel_text ? world_kernel_text : fake_kernel(out_len);
	if (world_kernel_text)
		*out_len = strlen(world_kernel_text);
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
	return world_introduce_err;
}
static void hook_release(void *ctx, domid_t domid)
{
	note("release %u\n", domid);
}
static int hook_attach(void *ctx, domid_t domid, const char *name, uint32_t port)
{
	note("console %u:%u %s\n", domid, port, name);
	return world_console_err;
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

void world_expect_nothing_left(void)
{
	assert_int_equal(control_count(), 0);
	fake_expect_nothing_left();
	assert_int_equal(mock_store_count("/local") + mock_store_count("/vm"), nodes_before);
	assert_int_equal(mock_left(0).allocs, 0);
	assert_int_equal(mock_left(0).pages, 0);
	assert_int_equal(mock_left(0).transactions, 0);
}

int world_setup(void **state)
{
	control_stop(); /* what a test before left */
	mock_reset();
	fake_reset(4096);
	memset(&world_config, 0, sizeof(world_config));
	strcpy(world_config.name, "g");
	strcpy(world_config.kernel, "/boot/k");
	strcpy(world_config.cmdline, "role=guest");
	world_config.memory_mib = world_config.max_memory_mib = 8;
	world_config.vcpus = world_config.max_vcpus = 1;
	world_config.on_reboot = CONFIG_RESTART;
	world_config.n_disks = 1;
	strcpy(world_config.disks[0].target, "a.img");
	strcpy(world_config.disks[0].vdev, "xvda");
	world_config.disks[0].devid = 51712;
	world_config.disks[0].readonly = true;
	world_events[0] = 0;
	world_introduce_err = world_console_err = 0;
	world_kernel_text = NULL;
	assert_int_equal(control_start(&hooks), 0);
	mock_run();
	nodes_before = mock_store_count("/local") + mock_store_count("/vm");
	return 0;
}

void world_create(void)
{
	assert_int_equal(control_create(&world_config, &world_id), 0);
	mock_run();
}

const char *world_node(const char *fmt, ...)
{
	char path[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return mock_store_get(path);
}

void world_expect_node(const char *path, const char *value)
{
	char full[256];
	const char *got;

	snprintf(full, sizeof(full), path, world_id);
	got = mock_store_get(full);
	if (!got || strcmp(got, value) != 0)
		fail_msg("%s: wanted '%s', got '%s'", full, value, got ? got : "(none)");
}

void world_set_node(const char *path, const char *value)
{
	char full[256];

	snprintf(full, sizeof(full), path, world_id);
	mock_store_put(full, value);
}
