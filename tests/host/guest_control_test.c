/* guest_control_test.c: what the toolstack writes to control/ is taken once, acknowledged, and done.
 *
 * Shows: a request is emptied in the transaction that read it, and carried out once; one that is withdrawn meanwhile
 * is not obeyed; a conflict is tried again; an end flushes every disk first, also when one fails or goes meanwhile, and a second request
 * changes nothing; a refused suspend leaves its reason in the store; features are announced at the start and in
 * each new world, and suspend only where it is possible; keys of sysrq become commands. Why: a toolstack that sees no
 * acknowledgement kills the domain.
 *
 * links: kernel/guest_control.c kernel/guest_control_words.c kernel/block_use.c lib/text.c lib/printf.c lib/error_name.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host.h>
#include <amphi/host_block.h>

#include "kernel/block.h"
#include "kernel/console.h"
#include "kernel/guest_control.h"
#include "kernel/power.h"
#include "kernel/shell.h"
#include "kernel/suspend.h"
#include "kernel/thread.h"
#include "kernel/worker.h"

static char story[256];
static jmp_buf ended;

static void say(const char *what)
{
	strcat(story, what);
	strcat(story, " ");
}

/* ---- a store of two nodes, and what is written elsewhere -------------------------------------- */

static struct {
	const char *path;
	char value[32], in_tx[32];
	host_watch_fn *fn;
} nodes[] = {{"control/shutdown"}, {"control/sysrq"}};
static bool in_tx, withdrawn;
static int conflicts;
static char refused_why[96];

static unsigned node_of(const char *path)
{
	return !strcmp(path, nodes[0].path) ? 0 : !strcmp(path, nodes[1].path) ? 1 : 2;
}

int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out_watch)
{
	nodes[node_of(path)].fn = fn;
	return 0;
}

int host_store_begin(uint32_t *out_tx)
{
	assert_false(in_tx);
	in_tx = true;
	*out_tx = 7;
	for (unsigned i = 0; i < 2; i++)
		strcpy(nodes[i].in_tx, nodes[i].value);
	return 0;
}

int host_store_end(uint32_t tx, bool commit)
{
	assert_true(in_tx && tx == 7);
	in_tx = false;
	if (!commit)
		return 0;
	if (withdrawn)
		strcpy(nodes[0].value, "");
	if (conflicts > 0 || withdrawn) {
		conflicts--;
		withdrawn = false;
		return -XEN_EAGAIN;
	}
	for (unsigned i = 0; i < 2; i++)
		strcpy(nodes[i].value, nodes[i].in_tx);
	return 0;
}

int host_store_read(uint32_t tx, const char *path, char *out, size_t cap)
{
	assert_true(in_tx && tx == 7);
	strcpy(out, nodes[node_of(path)].in_tx);
	return (int)strlen(out);
}

int host_store_write(uint32_t tx, const char *path, const char *value)
{
	if (node_of(path) < 2) {
		assert_true(in_tx && tx == 7);
		strcpy(nodes[node_of(path)].in_tx, value);
	} else if (!strcmp(path, "data/suspend-refused")) {
		strcpy(refused_why, value);
	} else {
		assert_string_equal(value, "1");
		say(path + strlen("control/feature-"));
	}
	return 0;
}

/* ---- the kernel around it ------------------------------------------------------------------- */

static struct block_device disks[2] = {{.name = "xvda"}, {.name = "xvdb"}};
static bool is_gone[2], goes;
static struct host_block_watch *watch;
static int disk_error;
static struct suspend_report report;
static bool possible;
static void (*thread_fn)(void *ctx);
static void *thread_ctx;

struct block_device *block_next(struct block_device *prev)
{
	unsigned n = prev ? (unsigned)(prev - disks) + 1 : 0;

	assert_true(!prev || !is_gone[prev - disks]);
	while (n < 2 && is_gone[n])
		n++;
	return n < 2 ? &disks[n] : NULL;
}

void host_block_watch(struct host_block_watch *w)
{
	assert_null(watch);
	watch = w;
}

void host_block_unwatch(struct host_block_watch *w)
{
	assert_ptr_equal(watch, w);
	watch = NULL;
}

int worker_call(int (*fn)(void *ctx), void *ctx)
{
	return fn(ctx);
}

int block_flush(struct block_device *dev)
{
	say(dev->name);
	if (goes && dev == &disks[0]) {
		is_gone[0] = dev->gone = true;
		watch->fn(watch->ctx, dev);
		memset(dev, 0xdd, sizeof(*dev));
		return -XEN_ENODEV;
	}
	return dev == &disks[0] ? disk_error : 0;
}

void power_halt(int code)
{
	assert_int_equal(code, 0);
	say("OFF");
	longjmp(ended, 1);
}

void power_reboot(void)
{
	say("REBOOT");
	longjmp(ended, 1);
}

void console_drain(void) {}
void console_printf(const char *fmt, ...) {}
void klog(enum log_level level, const char *fmt, ...) {}

struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx)
{
	say(name);
	thread_fn = fn;
	thread_ctx = ctx;
	return (struct thread *)story;
}

int shell_line(char *line)
{
	say(line);
	line[0] = '!'; /* as the shell does, it is cut to pieces */
	return 0;
}

struct suspend_report suspend_domain(void)
{
	assert_false(in_tx);
	assert_string_equal(nodes[0].value, "");
	say("SUSPEND");
	return report;
}

bool suspend_possible(void)
{
	return possible;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void write_node(unsigned i, const char *value)
{
	story[0] = '\0';
	strcpy(nodes[i].value, value);
	nodes[i].fn(NULL, nodes[i].path);
	assert_false(in_tx);
}

static int fresh(void **state)
{
	possible = true;
	conflicts = disk_error = 0;
	withdrawn = false;
	report = (struct suspend_report){.end = SUSPEND_NEW_WORLD};
	story[0] = refused_why[0] = '\0';
	return 0;
}

static void what_is_understood(void **state)
{
	assert_int_equal(guest_control_start(), 0);
	assert_string_equal(story, "poweroff reboot suspend ");
	story[0] = '\0';
	possible = false;
	assert_int_equal(guest_control_start(), 0);
	assert_string_equal(story, "poweroff reboot ");
	write_node(0, "");
	assert_string_equal(story, "");
}

static void suspends(void **state)
{
	write_node(0, "suspend");
	assert_string_equal(story, "SUSPEND poweroff reboot suspend ");
	assert_string_equal(nodes[0].value, "");
	assert_string_equal(refused_why, "");
	report = (struct suspend_report){.step = "last look", .why = "it cannot"};
	write_node(0, "suspend");
	assert_string_equal(refused_why, "last look: it cannot");
	report.why = NULL;
	write_node(0, "suspend");
	assert_string_equal(refused_why, "");
}

static void another_writes_meanwhile(void **state)
{
	conflicts = 3;
	write_node(0, "suspend");
	assert_string_equal(story, "SUSPEND poweroff reboot suspend ");
	withdrawn = true;
	write_node(0, "suspend");
	assert_string_equal(story, "");
	conflicts = 1000; /* without end */
	write_node(0, "suspend");
	assert_string_equal(story, "");
}

static void nonsense(void **state)
{
	write_node(0, "dance");
	assert_string_equal(story, "");
	assert_string_equal(nodes[0].value, "");
}

static void keys(void **state)
{
	write_node(1, "m");
	assert_string_equal(story, "sysrq ");
	assert_string_equal(nodes[1].value, "");
	thread_fn(thread_ctx);
	assert_string_equal(story, "sysrq mem ");
	thread_fn(thread_ctx); /* the line is whole for the next time */
	assert_string_equal(story, "sysrq mem mem ");
	write_node(1, "z");
	assert_string_equal(story, "");
}

/* Last: after the first request to end there is no way back. */
static void ends_once(void **state)
{
	write_node(0, "poweroff");
	assert_string_equal(story, "shutdown ");
	disk_error = -XEN_EIO;
	if (!setjmp(ended))
		thread_fn(thread_ctx);
	assert_string_equal(story, "shutdown xvda xvdb OFF ");
	assert_null(watch);
	goes = true;
	if (!setjmp(ended))
		thread_fn(thread_ctx);
	assert_string_equal(story, "shutdown xvda xvdb OFF xvda xvdb OFF ");
	assert_null(watch);
	write_node(0, "reboot");
	assert_string_equal(story, "");
	assert_string_equal(nodes[0].value, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_is_understood, fresh),
	    cmocka_unit_test_setup(suspends, fresh),
	    cmocka_unit_test_setup(another_writes_meanwhile, fresh),
	    cmocka_unit_test_setup(nonsense, fresh),
	    cmocka_unit_test_setup(keys, fresh),
	    cmocka_unit_test_setup(ends_once, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
