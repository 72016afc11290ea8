/* ctl_test.c: the control port's lines: bytes become requests, commands become answers, for people and as
 * JSON, and every refusal names what is wrong.
 *
 * Why: scripts of others live by these keys and by the protocol's three endings; whoever types a wrong
 * word must be told which. Expected: what amphi/ctl.h promises, letter by letter where scripts read it.
 *
 * links: control/ctl.c control/ctl_commands.c control/ctl_block.c control/ctl_device.c control/ctl_net.c control/ctl_pci.c control/ctl_blkstat.c control/ctl_blktrace.c control/ctl_netstat.c kernel/net.c protocol/blktrace.c control/ctl_table.c
 * links: control/control_save.c control/save_*.c control/config_*.c control/domain_config.c control/control.c control/control_list.c control/control_store*.c control/control_block.c control/control_device.c control/control_net.c control/control_serve.c control/control_pci*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/domain_builder.c
 * links: control/control_ask.c control/control_version.c lib/start_layout.c control/builder_memory.c control/builder_start.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: control/builder_unpack.c unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c tests/host/fake_blkback.c tests/host/fake_netback.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/ctl.h>

#include "control_world.h"
#include "fake_blkback.h"
#include "fake_control.h"
#include "mock_host.h"

static char text[CTL_ANSWER_MAX], created[64], reply[2 * CTL_ANSWER_MAX];
static struct ctl_answer answer;

static int hook_create(void *ctx, const char *name)
{
	strcpy(created, name);
	return strcmp(name, "none") ? 0
				    : control_fail(-XEN_ENOENT, "none: not in the boot archive");
}
static int hook_console(void *ctx, const char *name)
{
	return !strcmp(name, "busy") ? -XEN_EBUSY : strcmp(name, "g") ? -XEN_ENOENT : 0;
}
static int hook_config(void *ctx, const char *name, struct domain_config *out)
{
	strcpy(out->name, name);
	return strcmp(name, "none") ? 0
				    : control_fail(-XEN_ENOENT, "none: not in the boot archive");
}
static unsigned n_done;
static void hook_done(void *ctx, int err, const char *name)
{
	n_done++;
}
static const struct ctl_hooks hooks = {
    .create = hook_create, .console = hook_console, .done = hook_done, .config = hook_config};

/* In place of restore.c: what was asked for, and whom to tell. */
static char restored[128];
static control_done_fn *restore_done;

int control_restore(const char *disk, const struct domain_config *config, control_done_fn *done,
		    void *ctx)
{
	snprintf(restored, sizeof(restored), "%s as %s", disk, config ? config->name : "itself");
	restore_done = done;
	return strcmp(disk, "none") ? 0 : control_fail(-XEN_ENOENT, "no disk 'none'");
}

/* Runs a line as the port would, without its tag. */
static int run(const char *line)
{
	static char copy[CTL_LINE_MAX];
	struct ctl_request r;
	char why[CTL_WHY_MAX];

	snprintf(copy, sizeof(copy), "t %s", line);
	memset(text, 0, sizeof(text));
	answer = (struct ctl_answer){.text = text, .cap = sizeof(text) - 1};
	assert_int_equal(ctl_parse(copy, &r, why), 0);
	ctl_run(&hooks, r.argc, r.argv, &answer);
	return answer.err;
}

static void expect_refusal(const char *line, int err, const char *why)
{
	assert_int_equal(run(line), err);
	if (strcmp(answer.why, why) != 0)
		fail_msg("%s: wanted '%s', said '%s'", line, why, answer.why);
	assert_int_equal(answer.len, 0);
}

static void expect_text(const char *line, const char *wanted)
{
	assert_int_equal(run(line), 0);
	if (strcmp(text, wanted) != 0)
		fail_msg("%s: wanted:\n%s\nsaid:\n%s", line, wanted, text);
	assert_int_equal(answer.len, strlen(wanted));
}

static void expect_part(const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("wanted '%s' in:\n%s", wanted, text);
}

/* ---- lines from bytes ------------------------------------------------------------------------ */

static unsigned feed(struct ctl_input *in, const char *bytes)
{
	unsigned lines = 0;

	for (; *bytes; bytes++)
		lines += ctl_input_byte(in, (uint8_t)*bytes);
	return lines;
}

static void test_input(void **state)
{
	struct ctl_input in = {.len = 0};

	assert_int_equal(feed(&in, "\n\r\n"), 0); /* nothing is no line */
	assert_int_equal(feed(&in, "a li"), 0);
	assert_int_equal(feed(&in, "st\r\n"), 1);
	assert_string_equal(in.line, "a list");
	assert_int_equal(feed(&in, "b top\n"), 1);
	assert_string_equal(in.line, "b top");
	assert_int_equal(feed(&in, "half of\x1d"
				   "c list\n"),
			 1);
	assert_string_equal(in.line, "c list");
}

static void test_input_too_long(void **state)
{
	struct ctl_input in = {.len = 0};

	for (unsigned i = 0; i < CTL_LINE_MAX - 1; i++)
		assert_false(ctl_input_byte(&in, 'x'));
	assert_false(in.too_long);
	assert_true(ctl_input_byte(&in, '\n')); /* just fits */
	assert_false(in.too_long);
	for (unsigned i = 0; i < 3 * CTL_LINE_MAX; i++)
		assert_false(ctl_input_byte(&in, 'y'));
	assert_true(ctl_input_byte(&in, '\n'));
	assert_true(in.too_long);
	assert_int_equal(strlen(in.line), CTL_LINE_MAX - 1);
	assert_int_equal(feed(&in, "d list\n"), 1);
	assert_false(in.too_long);
	assert_string_equal(in.line, "d list");
}

/* ---- requests -------------------------------------------------------------------------------- */

static void parse_bad(const char *line, int err, const char *tag, const char *wanted)
{
	char copy[CTL_LINE_MAX], why[CTL_WHY_MAX];
	struct ctl_request r;

	strcpy(copy, line);
	assert_int_equal(ctl_parse(copy, &r, why), err);
	assert_string_equal(r.tag, tag);
	assert_string_equal(why, wanted);
}

static void test_parse(void **state)
{
	char line[] = "a1  mem-set   g 12 ", why[CTL_WHY_MAX];
	struct ctl_request r;

	assert_int_equal(ctl_parse(line, &r, why), 0);
	assert_string_equal(r.tag, "a1");
	assert_int_equal(r.argc, 3);
	assert_string_equal(r.argv[0], "mem-set");
	assert_string_equal(r.argv[2], "12");
	assert_null(r.argv[3]);
	parse_bad("a", -XEN_EINVAL, "a", "no command; try help");
	parse_bad("", -XEN_EINVAL, "?", "a line begins with a tag of letters and digits");
	parse_bad(" list", -XEN_EINVAL, "?", "a line begins with a tag of letters and digits");
	parse_bad("a-b list", -XEN_EINVAL, "?", "a line begins with a tag of letters and digits");
	parse_bad("a2345678901234567 list", -XEN_EINVAL, "?",
		  "a line begins with a tag of letters and digits");
	parse_bad("a list\tg", -XEN_EINVAL, "a", "a line may hold printable ASCII only");
	parse_bad("a list \xc3\xa4", -XEN_EINVAL, "a", "a line may hold printable ASCII only");
	parse_bad("a 1 2 3 4 5 6 7 8 9", -XEN_E2BIG, "a", "too many words");
}

/* ---- replies --------------------------------------------------------------------------------- */

static void collect(void *ctx, const char *bytes, size_t len)
{
	strncat(reply, bytes, len);
}

static void test_reply(void **state)
{
	char lines[] = "one\n\nthree\n";
	struct ctl_answer a = {.text = lines, .len = strlen(lines)};

	reply[0] = 0;
	ctl_reply("7x", &a, collect, NULL);
	assert_string_equal(reply, "7x> one\n7x> \n7x> three\n7x.\n");
	reply[0] = 0;
	a = (struct ctl_answer){.text = lines, .err = -XEN_ENOENT, .why = "g: no such domain"};
	ctl_reply("7x", &a, collect, NULL);
	assert_string_equal(reply, "7x! ENOENT g: no such domain\n");
}

/* ---- commands: looking ----------------------------------------------------------------------- */

static void test_list(void **state)
{
	expect_text("list --json",
		    "[\n{\"name\":\"Domain-0\",\"id\":0,\"state\":\"gone\",\"vcpus\":0,"
		    "\"max_vcpus\":0,\"cpu_time_ns\":0,\"memory_kib\":0,"
		    "\"grants\":0,\"events\":0,\"restarts\":0}\n]\n");
	world_config.max_vcpus = 2;
	world_create();
	fake_domain(world_id)->cpu_time_ns = 12345678901;
	expect_text("list g",
		    "NAME                 ID  STATE     VCPUS   OF     CPU s       KIB  GRANTS  "
		    "EVENTS  RESTARTS\n"
		    "g                     1  runnable      1    2    12.345      8192       2  "
		    "     2         0\n");
	expect_text("--json list g",
		    "[\n{\"name\":\"g\",\"id\":1,\"state\":\"runnable\",\"vcpus\":1,"
		    "\"max_vcpus\":2,\"cpu_time_ns\":12345678901,\"memory_kib\":8192,"
		    "\"grants\":2,\"events\":2,\"restarts\":0}\n]\n");
	expect_refusal("list h", -XEN_ENOENT, "h: no such domain");
	assert_int_equal(run("list --json"), 0);
	assert_non_null(strstr(text, "}\n,{\"name\":\"g\""));
}

/* While its backends let go, the hypervisor calls it paused; to the user it is ending. */
static void test_list_while_ending(void **state)
{
	world_create();
	world_set_node(BACKEND "/state", "4");
	assert_int_equal(run("destroy g"), 0);
	assert_string_equal(answer.ending, "g");
	assert_int_equal(run("list g"), 0);
	assert_non_null(strstr(text, " ending "));
}

static void test_top(void **state)
{
	world_create();
	mock_advance(1000000000);
	assert_int_equal(run("top --json g"), 0);
	assert_non_null(strstr(text, "\"cpu_percent\":null}"));
	fake_domain(world_id)->cpu_time_ns += 250000000;
	mock_advance(1000000000);
	assert_int_equal(run("top --json g"), 0);
	assert_non_null(strstr(text, "\"cpu_percent\":25.0}"));
	mock_advance(1000000000);
	assert_int_equal(run("top g"), 0);
	assert_non_null(strstr(text, "  0.0\n"));
	fake_domain(world_id)->cpu_time_ns = 0; /* another domain of that number */
	mock_advance(1000000000);
	assert_int_equal(run("top --json g"), 0);
	assert_non_null(strstr(text, "\"cpu_percent\":null}"));
}

static void test_vcpu_list(void **state)
{
	world_config.max_vcpus = 2;
	world_config.cpus[0] = 2;
	world_create();
	expect_text("vcpu-list --json g",
		    "[\n{\"name\":\"g\",\"id\":1,\"vcpu\":0,\"cpu\":1,\"state\":\"blocked\","
		    "\"cpu_time_ns\":0,\"affinity\":\"0x2\"}\n"
		    ",{\"name\":\"g\",\"id\":1,\"vcpu\":1,\"cpu\":null,\"state\":\"offline\","
		    "\"cpu_time_ns\":0,\"affinity\":\"0xf\"}\n]\n");
	assert_int_equal(run("vcpu-list"), 0);
	expect_refusal("vcpu-list h", -XEN_ENOENT, "h: no such domain");
}

/* ---- commands: changing ----------------------------------------------------------------------- */

static void test_create(void **state)
{
	expect_text("create some/where/guest.cfg", "");
	assert_string_equal(created, "guest");
	expect_text("create guest", "");
	assert_string_equal(created, "guest");
	expect_text("create --json g.cfg.cfg", "{\"ok\":true}\n");
	assert_string_equal(created, "g.cfg");
	expect_refusal("create none", -XEN_ENOENT, "none: not in the boot archive");
	assert_true(answer.logged);
	expect_refusal("create a/", -XEN_ENOENT, "'a/' cannot be a domain's name");
	assert_false(answer.logged);
	expect_refusal("create", -XEN_EINVAL, "usage: create NAME");
	expect_refusal("create a b", -XEN_EINVAL, "usage: create NAME");
	expect_refusal(
	    "create nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", -XEN_ENOENT,
	    "'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' cannot be a "
	    "domain's name");
}

static void test_each_command_does_its_thing(void **state)
{
	world_config.max_memory_mib = 16;
	world_config.max_vcpus = 2;
	world_create();
	expect_text("pause g", "");
	assert_true(fake_domain(world_id)->paused);
	expect_text("unpause g", "");
	assert_false(fake_domain(world_id)->paused);
	expect_text("shutdown g", "");
	world_expect_node("/local/domain/%u/control/shutdown", "poweroff");
	expect_text("reboot g", "");
	world_expect_node("/local/domain/%u/control/shutdown", "reboot");
	expect_text("mem-set g 16", "");
	world_expect_node("/local/domain/%u/memory/target", "16384");
	expect_text("vcpu-set g 2", "");
	world_expect_node("/local/domain/%u/cpu/1/availability", "online");
	expect_text("console g", "");
}

/* Attaching and detaching are done when `done` is told. */
static void test_disks(void **state)
{
	world_create();
	n_done = 0;
	expect_text("block-attach g b.img, raw, xvdb, r, iops=50", "");
	assert_true(answer.begun);
	world_set_node("/local/domain/0/backend/vbd/%u/51728/state", "4");
	mock_run();
	assert_int_equal(n_done, 1);
	expect_text("block-limit g xvdb bps=2M", "");
	expect_text("block-list", "NAME              DISK     DEVID  STATE      IOPS          BPS  "
				  "BURST ms  KIND   MODE  "
				  "TARGET\n"
				  "g                 xvda     51712      1         -            -  "
				  "       -  disk   r     "
				  "a.img\n"
				  "g                 xvdb     51728      4        50      2097152  "
				  "     100  disk   r     "
				  "b.img\n");
	expect_text(
	    "--json block-list g",
	    "[\n{\"name\":\"g\",\"disk\":\"xvda\",\"devid\":51712,\"state\":1,\"iops\":null,"
	    "\"bps\":null,\"burst_ms\":null,\"kind\":\"disk\",\"mode\":\"r\",\"target\":"
	    "\"a.img\"}\n,{\"name\":\"g\",\"disk\":\"xvdb\",\"devid\":51728,\"state\":4,"
	    "\"iops\":50,\"bps\":2097152,\"burst_ms\":100,\"kind\":\"disk\",\"mode\":\"r\","
	    "\"target\":\"b.img\"}\n]\n");
	expect_text("block-detach --force g xvdb", "");
	assert_true(answer.begun);
	world_set_node("/local/domain/0/backend/vbd/%u/51728/state", "6");
	mock_run();
	assert_int_equal(n_done, 2);
	expect_text("block-attach g vdev=xvdd,cdrom", "");
	expect_refusal("cd-insert g xvdd a.img", -XEN_EBUSY, "g: disk xvdd is being attached");
	world_set_node("/local/domain/0/backend/vbd/%u/51760/state", "2");
	mock_run();
	expect_text("cd-insert g xvdd a.img", "");
	expect_text("cd-eject g xvdd", "");
	expect_refusal("block-limit g xvda iops=x", -XEN_EINVAL,
		       "iops=x: not a number of requests per second (K, M; 0: no limit)");
	expect_refusal("block-limit g xvda", -XEN_EINVAL,
		       "usage: block-limit NAME DISK [iops=N] [bps=N] [burst=T]");
	expect_refusal("block-detach g --force", -XEN_EINVAL,
		       "usage: block-detach NAME DISK [--force]");
	expect_refusal("block-list h", -XEN_ENOENT, "h: no such domain");
}

/* A row for each disk and one for each ring; fake_blkback.c has the figures. */
static void test_blkstat(void **state)
{
	world_create();
	assert_int_equal(run("blkstat g"), 0);
	expect_part("\ng                1  xvda      -        100          4096  ");
	expect_part("  7       8       9       10  ");
	expect_part("  8192        8192  10:1 12:98 13:1\n");
	expect_part("\ng                1  xvda      1          1             0  ");
	expect_part("  16384       16384  13:1\n");
	expect_refusal("blkstat h", -XEN_ENOENT, "h: no such domain");
	assert_int_equal(run("--json blkstat"), 0);
	assert_non_null(
	    strstr(text, "{\"name\":\"g\",\"id\":1,\"disk\":\"xvda\",\"queue\":0,\"requests\":99,"
			 "\"bytes_read\":2048,"));
	expect_part("\"merged\":80,\"parts\":null,");
	expect_part("\"segments\":180,\"merged\":81,");
	expect_part("\"waited\":7,\"held\":8,\"errors\":9,\"refused\":10,");
	expect_part("\"latency\":\"10:1 12:98\"}");
}

#define BACK_ALONE                                                                                 \
	"     0        14  write              8      4096  ok                   -         -      " \
	"   "                                                                                      \
	"-         -            1000        10        20          -         -         60         " \
	"-         -          -\n"

/* What a guest told stands beside the backend's steps; what cannot be so is nothing. */
static void test_blktrace_of_both_halves(void **state)
{
	static const char *const untrue[] = {
	    "",
	    "51712 0 14 1 0 8 4096 900 910 950 1100",
	    "51712 0 14 1 0 8 4096 900 910 950 1100 1200 ",
	    "51712 0 14 1 0 8 4096 900 910 950 1100 99999999999999999999",
	    "51712 0 14 1 0 8 4096 910 900 950 1100 1200",
	    "51712 0 14 1 0 8 4096 900 910 1001 1100 1200", /* told after it was taken */
	    "51712 0 14 1 0 8 4096 900 910 950 1059 1200",  /* seen before it was answered */
	    "51712 0 14 1 0 9 4096 900 910 950 1100 1200",
	    "51712 0 14 0 0 8 4096 900 910 950 1100 1200",
	    "51712 0 21 1 0 8 4096 900 910 950 1100 1200",
	    "51712 1 14 1 0 8 4096 900 910 950 1100 1200",
	    "51728 0 14 1 0 8 4096 900 910 950 1100 1200",
	};

	world_create();
	mock_store_put("/local/domain/1/data/blktrace/0",
		       "51712 0 7 1 0 8 4096 800 810 850 1000 1010");
	mock_store_put("/local/domain/1/data/blktrace/1",
		       "51712 0 14 1 0 8 4096 900 910 950 1100 1200");
	assert_int_equal(run("blktrace"), 0);
	expect_part(
	    "  ok                 900        10        40        50            1000        "
	    "10        20          -         -         60        40       100        300\n");
	for (unsigned i = 0; i < ARRAY_SIZE(untrue); i++) {
		mock_store_put("/local/domain/1/data/blktrace/1", untrue[i]);
		assert_int_equal(run("blktrace"), 0);
		expect_part(BACK_ALONE);
	}
}

static void test_blktrace(void **state)
{
	world_create();
	expect_text("blktrace 5 g xvda", "");
	assert_string_equal(mock_store_get("/local/domain/1/control/blktrace"), "5 51712");
	assert_string_equal(fake_traced, "domain 1 disk 51712 every 5");
	expect_text("blktrace 1", "");
	assert_string_equal(fake_traced, "domain 32756 disk 0 every 1");
	assert_string_equal(mock_store_get("/local/domain/1/control/blktrace"), "1");
	assert_int_equal(run("blktrace"), 0);
	expect_part(BACK_ALONE);
	expect_text("blktrace off", "");
	assert_string_equal(fake_traced, "domain 32756 disk 0 every 0");
	assert_string_equal(mock_store_get("/local/domain/1/control/blktrace"), "0");
	expect_refusal("blktrace 0", -XEN_EINVAL, "'0' is neither off nor a number");
	expect_refusal("blktrace 1 g", -XEN_EINVAL, "usage: blktrace [off | EVERY [NAME DISK]]");
	expect_refusal("blktrace 1 g xvdz", -XEN_ENOENT, "g: has no disk 'xvdz'");
}

static void test_refusals_name_the_thing(void **state)
{
	world_create();
	expect_refusal("frobnicate g", -XEN_ENOENT, "frobnicate: no such command; try help");
	expect_refusal("--json", -XEN_EINVAL, "no command; try help");
	expect_refusal("mem-set g 12x", -XEN_EINVAL, "'12x' is not a number");
	expect_refusal("mem-set g", -XEN_EINVAL, "usage: mem-set NAME MIB");
	expect_refusal("mem-set g 99", -XEN_ERANGE, "g: memory must be from 4 to 8 MiB");
	expect_refusal("vcpu-set g -1", -XEN_EINVAL, "'-1' is not a number");
	expect_refusal("vcpu-set g 9", -XEN_ERANGE, "g: vCPUs must be from 1 to 1");
	expect_refusal("pause h", -XEN_ENOENT, "h: no such domain");
	expect_refusal("console h", -XEN_ENOENT, "h: no such domain");
	expect_refusal("unpause g", -XEN_EBUSY, "g: it is not paused");
	expect_refusal("destroy h", -XEN_ENOENT, "h: no such domain");
	assert_string_equal(answer.ending, "");
}

/* An error of one command is not told of the next. */
static void test_an_error_is_forgotten(void **state)
{
	expect_refusal("pause h", -XEN_ENOENT, "h: no such domain");
	expect_text("create guest", "");
	assert_string_equal(answer.why, "");
	expect_refusal("pause h", -XEN_ENOENT, "h: no such domain");
	expect_refusal("console busy", -XEN_EBUSY, "EBUSY");
}

static void test_help_lists_all(void **state)
{
	const struct ctl_command *c;

	assert_int_equal(run("help"), 0);
	for (unsigned i = 0; (c = ctl_command(i)); i++) {
		assert_non_null(strstr(text, c->name));
		assert_non_null(strstr(text, c->help));
	}
	assert_null(strstr(text, " \n"));
}

/* A buffer too small: refused, and nothing written beyond it. */
static void test_answer_too_long(void **state)
{
	char help[] = "help", *words[] = {help, NULL}, small[64];

	memset(small, 'z', sizeof(small));
	answer = (struct ctl_answer){.text = small, .cap = 40};
	ctl_run(&hooks, 1, words, &answer);
	assert_int_equal(answer.err, -XEN_EMSGSIZE);
	assert_string_equal(answer.why, "help: the answer is too long");
	assert_true(answer.len <= 40);
	assert_int_equal(small[40], 'z');
}

/* What takes its time is done when its hook is called. */
static void test_restore(void **state)
{
	assert_int_equal(run("restore d"), 0);
	assert_true(answer.begun);
	assert_string_equal(restored, "d as itself");
	assert_ptr_equal(restore_done, hook_done);
	assert_int_equal(run("--json restore d g"), 0);
	assert_string_equal(restored, "d as g");
	assert_string_equal(text, "{\"ok\":true}\n");
	expect_refusal("restore none", -XEN_ENOENT, "no disk 'none'");
	expect_refusal("restore d none", -XEN_ENOENT, "none: not in the boot archive");
	assert_false(answer.begun);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, world_setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_input),
	    TEST(test_input_too_long),
	    TEST(test_parse),
	    TEST(test_reply),
	    TEST(test_list),
	    TEST(test_list_while_ending),
	    TEST(test_top),
	    TEST(test_vcpu_list),
	    TEST(test_create),
	    TEST(test_restore),
	    TEST(test_each_command_does_its_thing),
	    TEST(test_disks),
	    TEST(test_blkstat),
	    TEST(test_blktrace),
	    TEST(test_blktrace_of_both_halves),
	    TEST(test_refusals_name_the_thing),
	    TEST(test_an_error_is_forgotten),
	    TEST(test_help_lists_all),
	    TEST(test_answer_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
