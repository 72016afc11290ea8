/* ctl_netstat_test: the commands that look at networks: what they say of interfaces, and which words they understand.
 *
 * Why: scripts live by these keys; and a capture of the wrong interface, or of fewer frames than were asked for, is worse than none.
 * Expected: rows by interface and by queue, sums and reasons; a domain's name or an interface's chooses; every option of
 * pcap reaches who captures, and what is not understood is refused and captures nothing.
 *
 * links: control/ctl_netstat.c control/ctl_table.c control/json.c kernel/net.c lib/printf.c lib/text.c tests/host/fake_netback.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/control_net.h>
#include <amphi/host.h>
#include <amphi/host_net.h>

#include "control/ctl_run.h"
#include "fake_netback.h"

/* ---- control, with one domain ------------------------------------------------------------------------ */

static char why[CTL_WHY_MAX], text[CTL_ANSWER_MAX];
static struct domain_config config = {.name = "g", .n_vifs = 1, .vifs = {{.devid = 0}}};
static const struct control_domain domain = {.config = &config, .domid = 1};

int control_fail(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return err;
}
const struct control_domain *control_find(const char *name)
{
	return strcmp(name, "g") ? NULL : &domain;
}
const char *ctl_guest_name(domid_t domid)
{
	return domid == 1 ? "g" : "?";
}
void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	__builtin_unreachable();
}

static struct capture_want captured;
static unsigned captures;

static int hook_capture(void *ctx, const struct capture_want *want)
{
	(void)ctx;
	captured = *want;
	captures++;
	return !strcmp(want->name, "vif1.0") ? 0
	       : strcmp(want->name, "busy")  ? -XEN_ENODEV
					     : -XEN_EBUSY;
}

static struct ctl_hooks hooks = {.capture = hook_capture};

/* Runs the line's command; what it answers is in text. */
static int run(const char *line, bool json)
{
	static char copy[128];
	char *argv[CTL_WORDS_MAX + 1] = {0};
	struct ctl_answer answer = {.text = text, .cap = sizeof(text) - 1, .json = json};
	struct run r = {.hooks = &hooks, .argv = argv, .out = &answer};
	int err;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[r.argc++] = w;
	why[0] = 0;
	memset(text, 0, sizeof(text));
	err = strcmp(argv[0], "pcap") ? ctl_netstat(&r) : ctl_pcap(&r);
	assert_false(answer.cut);
	return err;
}

static void expect_part(const char *part)
{
	if (!strstr(text, part))
		fail_msg("wanted '%s' in:\n%s", part, text);
}

static void expect_refusal(const char *line, int err, const char *words)
{
	unsigned before = captures;

	assert_int_equal(run(line, false), err);
	assert_string_equal(why, words);
	if (err == -XEN_EINVAL)
		assert_int_equal(captures, before);
}

/* ---- tests ------------------------------------------------------------------------------------------- */

static struct net_device nic = {.name = "eth0", .n_queues = 1};

static int setup(void **state)
{
	(void)state;
	fake_vif.stats[0] = (struct net_stats){.frames_in = 5, .bytes_in = 500, .batches_in = 2};
	fake_vif.stats[1] = (struct net_stats){.frames_in = 7, .drops = {[NET_DROP_full] = 4}};
	fake_vif.stats[1].drops[NET_DROP_spoofed] = 1;
	return host_net_register(&fake_vif) | host_net_register(&nic);
}

static int teardown(void **state)
{
	(void)state;
	host_net_unregister(&fake_vif);
	host_net_unregister(&nic);
	return 0;
}

static void test_netstat(void **state)
{
	(void)state;
	assert_int_equal(run("netstat", false), 0);
	expect_part("\ng             vif1.0          -          12           500          2  ");
	expect_part("          33         5  full:4 spoofed:1\n");
	expect_part("\ng             vif1.0          1           7  ");
	expect_part("\n-             eth0            -           0  ");
	assert_null(strstr(strstr(text, "eth0") + 1, "eth0")); /* one queue is all of it */
	assert_int_equal(run("netstat eth0", false), 0);
	assert_null(strstr(text, "vif1.0"));
	assert_int_equal(run("netstat vif1.0", false), 0);
	assert_null(strstr(text, "eth0"));
	expect_refusal("netstat eth1", -XEN_ENOENT, "eth1: no such domain or interface");
}

static void test_netstat_for_scripts(void **state)
{
	(void)state;
	assert_int_equal(run("netstat g", true), 0);
	assert_null(strstr(text, "eth0"));
	expect_part("{\"name\":\"g\",\"interface\":\"vif1.0\",\"queue\":null,\"frames_in\":12,"
		    "\"bytes_in\":500,\"batches_in\":2,");
	expect_part("\"copy_calls\":33,\"dropped\":5,\"drops\":\"full:4 spoofed:1\"}\n");
	expect_part("\"queue\":0,\"frames_in\":5,");
	expect_part("\"copy_calls\":null,\"dropped\":0,\"drops\":\"\"}");
}

/* A domain that has none connected is none to be told of, and no fault. */
static void test_a_domain_without(void **state)
{
	(void)state;
	host_net_unregister(&fake_vif);
	assert_int_equal(run("netstat g", false), 0);
	assert_null(strstr(text, "vif1.0"));
	assert_int_equal(host_net_register(&fake_vif), 0);
}

static void test_pcap(void **state)
{
	(void)state;
	assert_int_equal(run("pcap g", false), 0);
	assert_string_equal(captured.name, "vif1.0");
	assert_int_equal(captured.count, 0);
	assert_int_equal(captured.snap_bytes, CAPTURE_SNAP_MAX);
	assert_true(captured.in && captured.out);
	assert_int_equal(run("pcap vif1.0 snap 60 in count 12", false), 0);
	assert_int_equal(captured.count, 12);
	assert_int_equal(captured.snap_bytes, 60);
	assert_true(captured.in && !captured.out);
	assert_int_equal(run("pcap vif1.0 out", false), 0);
	assert_true(!captured.in && captured.out);
}

static void test_pcap_refused(void **state)
{
	static const char *const wrong[] = {"count",  "count 0", "snap 65536",  "snap x",
					    "in out", "all",     "count 5 snap"};
	char line[64];

	(void)state;
	expect_refusal("pcap eth7", -XEN_ENODEV, "eth7: no interface that is connected");
	expect_refusal("pcap busy", -XEN_EBUSY, "busy: somebody looks on there already");
	expect_refusal("pcap a-name-that-is-longer-than-any", -XEN_ENODEV,
		       "a-name-that-is-longer-than-any: no interface that is connected");
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(line, sizeof(line), "pcap vif1.0 %s", wrong[i]);
		expect_refusal(line, -XEN_EINVAL,
			       "usage: pcap NAME [count N] [snap BYTES] [in|out]");
	}
	hooks.capture = NULL;
	expect_refusal("pcap vif1.0", -XEN_EOPNOTSUPP, "pcap: only by amphi-tool ctl");
	hooks.capture = hook_capture;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_netstat), TEST(test_netstat_for_scripts), TEST(test_a_domain_without),
	    TEST(test_pcap),    TEST(test_pcap_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
