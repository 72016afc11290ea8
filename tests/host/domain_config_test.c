/* domain_config_test.c: domain files as users write them are understood, and each fault in one is
 * told with line, column and the thing's name.
 *
 * Why: a domain file is the first thing a user gives us, and files written for xl must do. The
 * texts below are whole files; what is expected stands next to each. Not tested here: whether the
 * files they name exist. The tool and the service domain run this very code.
 * links: control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c
 * links: control/config_cpus.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/domain_config.h>
#include <amphi/xen.h>

static struct domain_config config;
static char said[4096], wrong[4096]; /* every line the parser said, each with its newline; errors */

static void say(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	strncat(said, text, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
	if (!is_error)
		return;
	strncat(wrong, text, sizeof(wrong) - strlen(wrong) - 2);
	strcat(wrong, "\n");
}

static int parse(const char *text)
{
	struct config_listener listener = {say, NULL};
	size_t len = strlen(text);
	char *exact = malloc(len + 1); /* no NUL behind it: reading one is a fault */
	int err;

	said[0] = wrong[0] = 0;
	memcpy(exact, text, len);
	exact = realloc(exact, len ? len : 1);
	err = domain_config_parse("f.cfg", exact, len, &listener, &config);
	free(exact);
	return err;
}

static void expect_error(const char *text, const char *message)
{
	assert_int_equal(parse(text), -XEN_EINVAL);
	if (!strstr(said, message))
		fail_msg("wanted: %s\nsaid:   %s", message, said);
}

/* As above, with a name and a kernel on the first line, so that nothing else is wrong. */
static void expect_line_error(const char *line, const char *message)
{
	char text[4096] = "name='g';kernel='k'\n";

	strncat(text, line, sizeof(text) - strlen(text) - 1);
	assert_int_equal(parse(text), -XEN_EINVAL);
	if (strcmp(wrong, message) != 0)
		fail_msg("line:   %s\nwanted: %ssaid:   %s", line, message, said);
}

static void expect_ok(const char *line)
{
	char text[4096] = "name='g';kernel='k'\n";

	strncat(text, line, sizeof(text) - strlen(text) - 1);
	if (parse(text) != 0)
		fail_msg("line: %s\nsaid: %s", line, said);
}

static void test_whole_file(void **state)
{
	assert_int_equal(
	    parse("# a guest\r\n"
		  "name = \"guest\"   # its name\n"
		  "kernel = '/boot/amphi'; ramdisk='r.img'\n"
		  "memory = 8\nmaxmem = 0x10\nvcpus = \"2\"\n"
		  "root = '/dev/xvda ro'\nextra = \"do=\\\"sha256 xvda\\\"\"\n"
		  "disk = [\n  'target=a.img,format=raw,vdev=xvda,access=ro',\n"
		  "  # the second\n  \"b.img,raw,xvdb,rw\",\n]\n"
		  "vif = ['mac=00:16:3e:00:00:02']\npci = [ '00:10.0', ]\n"
		  "cpu_weight=512\ncap=50\n"
		  "on_crash = 'preserve'\non_poweroff='restart'\non_reboot=\"destroy\""),
	    0);
	assert_string_equal(said, "");
	assert_string_equal(config.name, "guest");
	assert_string_equal(config.kernel, "/boot/amphi");
	assert_string_equal(config.ramdisk, "r.img");
	assert_string_equal(config.cmdline, "root=/dev/xvda ro do=\"sha256 xvda\"");
	assert_int_equal(config.memory_mib, 8);
	assert_int_equal(config.max_memory_mib, 16);
	assert_int_equal(config.vcpus, 2);
	assert_int_equal(config.cpu_weight, 512);
	assert_int_equal(config.cpu_cap, 50);
	assert_int_equal(config.on_crash, CONFIG_PRESERVE);
	assert_int_equal(config.on_poweroff, CONFIG_RESTART);
	assert_int_equal(config.on_reboot, CONFIG_DESTROY);
	assert_int_equal(config.n_disks, 2);
	assert_string_equal(config.disks[0].target, "a.img");
	assert_true(config.disks[0].readonly);
	assert_int_equal(config.disks[0].devid, 51712);
	assert_string_equal(config.disks[1].target, "b.img");
	assert_false(config.disks[1].readonly);
	assert_int_equal(config.disks[1].devid, 51728);
	assert_memory_equal(config.vifs[0].mac, "\x00\x16\x3e\x00\x00\x02", 6);
	assert_string_equal(config.vifs[0].bridge, "xenbr0");
	assert_int_equal(config.pci[0].bdf, 0x80);
}

static void test_defaults(void **state)
{
	expect_ok("");
	assert_int_equal(config.memory_mib, 32);
	assert_int_equal(config.max_memory_mib, 32);
	assert_int_equal(config.vcpus, 1);
	assert_int_equal(config.on_poweroff, CONFIG_DESTROY);
	assert_int_equal(config.on_reboot, CONFIG_RESTART);
	assert_int_equal(config.on_crash, CONFIG_DESTROY);
	assert_string_equal(config.cmdline, "");
	assert_int_equal(config.n_disks, 0);
}

/* ---- processors, ends ------------------------------------------------------------------------ */

static void test_vcpus(void **state)
{
	expect_ok("");
	assert_int_equal(config.max_vcpus, 1);
	expect_ok("vcpus=2");
	assert_int_equal(config.max_vcpus, 2);
	expect_ok("maxvcpus=4\nvcpus=2");
	assert_int_equal(config.vcpus, 2);
	assert_int_equal(config.max_vcpus, 4);
	expect_line_error("vcpus=3\nmaxvcpus=2",
			  "f.cfg:1:1: error: maxvcpus = 2 is less than vcpus = 3\n");
	expect_line_error("maxvcpus=33", "f.cfg:2:10: error: maxvcpus must be from 1 to 32\n");
	expect_line_error("vcpus=0", "f.cfg:2:7: error: vcpus must be from 1 to 32\n");
}

/* A text is for all vCPUs, a list's element for the one of its place. */
static void test_cpus(void **state)
{
	static const struct {
		const char *text;
		uint64_t first, second, last;
	} good[] = {
	    {"cpus='0'", 1, 1, 1},
	    {"cpus=3", 8, 8, 8},
	    {"cpus=\"0-2,5\"", 0x27, 0x27, 0x27},
	    {"cpus='0-3,^1'", 0xd, 0xd, 0xd},
	    {"cpus='0-7,^2-5'", 0xc3, 0xc3, 0xc3},
	    {"cpus='^1,0-1'", 3, 3, 3},
	    {"cpus='all'", 0, 0, 0},
	    {"cpus='all,^0'", ~1ull, ~1ull, ~1ull},
	    {"cpus='0-63'", 0, 0, 0},
	    {"cpus='63'", 1ull << 63, 1ull << 63, 1ull << 63},
	    {"cpus=['2','0-1']", 4, 3, 0},
	    {"cpus=[1, 'all']", 2, 0, 0},
	};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		expect_ok(good[i].text);
		assert_int_equal(config.cpus[0], good[i].first);
		assert_int_equal(config.cpus[1], good[i].second);
		assert_int_equal(config.cpus[CONFIG_MAX_VCPUS - 1], good[i].last);
	}
}

static void test_bad_cpus(void **state)
{
	static const char *const bad[] = {
	    "cpus=''",           "cpus='64'",      "cpus=64",        "cpus='2-1'",
	    "cpus='1-'",         "cpus='a'",       "cpus='1,,2'",    "cpus='1,'",
	    "cpus='^1'",         "cpus='1 ,2'",    "cpus='nodes:0'", "cpus='0-99999999999'",
	    "cpus='4294967296'", "cpus=['0','x']",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), "name='g';kernel='k'\n%s", bad[i]);
		expect_error(text, "error: cpus wants processors from 0 to 63 as in \"0-3,^1\"");
	}
}

static void test_ends(void **state)
{
	expect_ok("on_crash='rename-restart'\non_watchdog='restart'");
	assert_int_equal(config.on_crash, CONFIG_RENAME_RESTART);
	assert_int_equal(config.on_watchdog, CONFIG_RESTART);
	expect_line_error("on_crash='coredump-restart'",
			  "f.cfg:2:10: error: on_crash 'coredump-restart' is not supported: there "
			  "is no place to write a core to\n");
	expect_line_error("on_reboot='coredump-destroy'",
			  "f.cfg:2:11: error: on_reboot 'coredump-destroy' is not supported: there "
			  "is no place to write a core to\n");
}

static void test_strings(void **state)
{
	expect_ok("cmdline = 'a\\'b\\\\c\\x41\\t\\n#d'");
	assert_string_equal(config.cmdline, "a'b\\cA\t\n#d");
	expect_line_error("cmdline = 'open",
			  "f.cfg:2:11: error: a string without its closing quote\n");
	expect_line_error("cmdline = 'a\\qb'",
			  "f.cfg:2:11: error: a string with an unknown backslash escape\n");
	expect_line_error("cmdline = 'a\\x4'",
			  "f.cfg:2:11: error: a string with an unknown backslash escape\n");
	expect_line_error("cmdline = 'a\\",
			  "f.cfg:2:11: error: a string without its closing quote\n");
	expect_line_error("ramdisk = 'a\\x00b'",
			  "f.cfg:2:11: error: ramdisk is longer than 1023 characters\n");
}

static void test_longest_texts(void **state)
{
	char line[1100] = "ramdisk='";
	size_t start = strlen(line);

	memset(line + start, 'r', 1023);
	strcpy(line + start + 1023, "'");
	expect_ok(line);
	assert_int_equal(strlen(config.ramdisk), 1023);
	strcpy(line + start + 1023, "r'");
	expect_line_error(line, "f.cfg:2:9: error: ramdisk is longer than 1023 characters\n");
	assert_string_equal(config.ramdisk, "");
}

static void test_unused_keys_are_notes(void **state)
{
	expect_ok("tsc_mode = 'native'\ncpus_soft = ['0', '1']\nuuid = 5\n");
	assert_string_equal(said, "f.cfg:2:12: note: tsc_mode has no effect here\n"
				  "f.cfg:3:14: note: cpus_soft has no effect here\n"
				  "f.cfg:3:19: note: cpus_soft has no effect here\n"
				  "f.cfg:4:8: note: uuid has no effect here\n");
	expect_ok("type = 'pv'\nbuilder = 'generic'\ncmdline = 'a'\nextra = 'b'");
	assert_string_equal(config.cmdline, "a");
	assert_string_equal(said,
			    "f.cfg:1:1: note: cmdline is given: root and extra have no effect\n");
}

static void test_bad_statements(void **state)
{
	expect_line_error("  memroy = 8", "f.cfg:2:3: error: unknown key 'memroy'\n");
	expect_line_error("memory 8", "f.cfg:2:8: error: a number where '=' should be\n");
	expect_line_error("memory =",
			  "f.cfg:2:9: error: the end of the file where a value should be\n");
	expect_line_error("memory = 8 9",
			  "f.cfg:2:12: error: a number where the end of the line should be\n");
	expect_line_error("= 8", "f.cfg:2:1: error: '=' where a key should be\n");
	expect_line_error("memory += 8",
			  "f.cfg:2:8: error: a character that has no meaning here\n");
	expect_line_error("memory = 8\nvcpus = 1\nmemory = 9",
			  "f.cfg:4:1: error: key 'memory' given twice, first on line 2\n");
	expect_line_error("cpus = ['1' '2']",
			  "f.cfg:2:13: error: a string where ',' or ']' should be\n");
	expect_line_error("pci = [,]", "f.cfg:2:8: error: ',' where a string or ']' should be\n");
	expect_line_error("cpus = ['1'",
			  "f.cfg:2:12: error: the end of the file where ',' or ']' should be\n");
}

static void test_wrong_types(void **state)
{
	expect_line_error("ramdisk = 5", "f.cfg:2:11: error: ramdisk must be a string\n");
	expect_line_error("ramdisk = ['a']",
			  "f.cfg:2:11: error: ramdisk must be a string, not a list\n");
	expect_line_error("memory = [8]",
			  "f.cfg:2:10: error: memory must be a number, not a list\n");
	expect_line_error("memory = 'lots'", "f.cfg:2:10: error: memory must be a number\n");
	expect_line_error("memory = 12z", "f.cfg:2:10: error: not a number\n");
	expect_line_error("memory = 99999999999999999999",
			  "f.cfg:2:10: error: a number too large\n");
	expect_line_error("disk = 5", "f.cfg:2:8: error: disk must be a list of strings\n");
	expect_line_error("type = 'hvm'",
			  "f.cfg:2:8: error: type 'hvm' is not supported: only pv is\n");
	expect_line_error("builder = 'hvm'",
			  "f.cfg:2:11: error: builder 'hvm' is not supported: only generic is\n");
	expect_line_error("on_crash = 'coredump'",
			  "f.cfg:2:12: error: on_crash 'coredump' is none of "
			  "destroy, restart, preserve, rename-restart\n");
}

static void test_values_out_of_range(void **state)
{
	expect_line_error("memory = 3",
			  "f.cfg:2:10: error: memory = 3 MiB is too small: a guest needs 4\n");
	expect_line_error(
	    "memory = 2000000",
	    "f.cfg:2:10: error: memory = 2000000 MiB is too large: at most 1048576\n");
	expect_line_error("memory = 16\nmaxmem = 8",
			  "f.cfg:1:1: error: maxmem = 8 MiB is less than memory = 16 MiB\n");
	expect_line_error("vcpus = 0", "f.cfg:2:9: error: vcpus must be from 1 to 32\n");
	expect_line_error("cap = 70000", "f.cfg:2:7: error: cap must be below 65536\n");
	expect_line_error("ramdisk = ''", "f.cfg:2:11: error: ramdisk names no file\n");
}

static void test_name_and_kernel_are_needed(void **state)
{
	expect_error("", "f.cfg:1:1: error: no name: a domain needs name = \"...\"\n"
			 "f.cfg:1:1: error: no kernel: a domain needs kernel = \"FILE\"\n");
	expect_error("kernel='k'\nname='a/b'",
		     "f.cfg:2:6: error: name 'a/b' may hold only letters, digits and -_.+:@\n");
	expect_error("kernel='k'\nname=''",
		     "f.cfg:2:6: error: name '' cannot be that of a guest\n");
	expect_error("kernel='k'\nname='Domain-0'", "cannot be that of a guest");
}

static void test_goes_on_after_errors(void **state)
{
	expect_error("nmae='g'\nkernel='k'\nmemory=[1]\n'stray'\nvcpus=99\n",
		     "f.cfg:1:1: error: unknown key 'nmae'\n"
		     "f.cfg:3:8: error: memory must be a number, not a list\n"
		     "f.cfg:4:1: error: a string where a key should be\n"
		     "f.cfg:5:7: error: vcpus must be from 1 to 32\n"
		     "f.cfg:1:1: error: no name: a domain needs name = \"...\"\n");
}

static void test_disk_forms(void **state)
{
	static const struct {
		const char *spec, *target, *vdev;
		bool readonly;
	} forms[] = {
	    {"/dev/vg/g,raw,hda,r", "/dev/vg/g", "hda", true},
	    {"/dev/vg/g,,hda", "/dev/vg/g", "hda", false},
	    {"phy:/dev/vg/g,xvda,w", "/dev/vg/g", "xvda", false},
	    {"file:/a b.img,xvda,ro", "/a b.img", "xvda", true},
	    {"vdev=xvda, access=w, target=/a,b=c.img", "/a,b=c.img", "xvda", false},
	    {"format=raw,vdev=xvda,access=rw,target=x", "x", "xvda", false},
	    {"/x=y.img,raw,vdev=xvda", "/x=y.img", "xvda", false},
	    {"x.img,vdev=xvda,backendtype=phy,direct-io-safe,discard", "x.img", "xvda", false},
	    {"x.img,raw,xvda,devtype=disk,backend=0", "x.img", "xvda", false},
	};
	char line[256];

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(line, sizeof(line), "disk = ['%s']", forms[i].spec);
		expect_ok(line);
		assert_int_equal(config.n_disks, 1);
		assert_string_equal(config.disks[0].target, forms[i].target);
		assert_string_equal(config.disks[0].vdev, forms[i].vdev);
		assert_int_equal(config.disks[0].readonly, forms[i].readonly);
	}
	expect_ok("disk = 'x.img,raw,xvda'"); /* one string stands for a list of one */
	assert_int_equal(config.n_disks, 1);
}

static const struct config_disk *the_disk(const char *spec)
{
	char line[512];

	snprintf(line, sizeof(line), "disk = ['%s']", spec);
	expect_ok(line);
	assert_int_equal(config.n_disks, 1);
	return &config.disks[0];
}

/* What a disk is beyond its name: an empty CD-ROM too, and a slice, whose name is not looked into here. */
static void test_disk_kinds(void **state)
{
	const struct config_disk *d = the_disk("vdev=xvdd,devtype=cdrom");

	(void)state;
	assert_true(d->cdrom && d->readonly && !d->target[0]);
	d = the_disk("a.iso,raw,xvdd,cdrom");
	assert_true(d->cdrom && d->readonly);
	assert_string_equal(d->target, "a.iso");
	d = the_disk("x@1M+64M,,xvda,backend=drv,no-discard");
	assert_string_equal(d->target, "x@1M+64M");
	assert_string_equal(d->backend, "drv");
	assert_true(d->no_discard && !d->readonly && !d->cdrom);
	assert_false(the_disk("x,,xvda,no-discard,discard,direct-io-safe")->no_discard);
	assert_false(d->no_flush_cache || d->no_persistent);
	d = the_disk("x,,xvda,no-flush-cache,no-persistent");
	assert_true(d->no_flush_cache && d->no_persistent && !d->no_discard);
	assert_string_equal(the_disk("x,,xvda,backend=Domain-0")->backend, "");
}

static void test_disk_limits(void **state)
{
	const struct config_limit *l = &the_disk("x,,xvda")->limit;

	(void)state;
	assert_true(!l->iops && !l->bps && l->burst_ms == CONFIG_BURST_USUAL_MS);
	l = &the_disk("x,,xvda,w,iops=1500,bps=20M,burst=2s")->limit;
	assert_true(l->iops == 1500 && l->bps == 20 << 20 && l->burst_ms == 2000);
	l = &the_disk("x,,xvda,bps=3G,iops=2K,burst=250ms")->limit;
	assert_true(l->iops == 2048 && l->bps == 3ull << 30 && l->burst_ms == 250);
	assert_int_equal(the_disk("x,,xvda,burst=60")->limit.burst_ms, 60000);
	expect_line_error("disk=['x,,xvda,iops=many']",
			  "f.cfg:2:16: error: disk 'iops=many': not a number of requests per "
			  "second (K, M; 0: no limit)\n");
	expect_line_error("disk=['x,,xvda,iops=10M']",
			  "f.cfg:2:16: error: disk 'iops=10M': not a number of requests per "
			  "second (K, M; 0: no limit)\n");
	expect_line_error("disk=['x,,xvda,bps=']",
			  "f.cfg:2:16: error: disk 'bps=': not a number of bytes per second (K, M, "
			  "G; 0: no limit)\n");
	expect_line_error("disk=['x,,xvda,burst=61s']",
			  "f.cfg:2:16: error: disk 'burst=61s': not a time up to 60 s (2s, "
			  "200ms)\n");
}

static void test_bad_disks(void **state)
{
	expect_line_error("disk=['']", "f.cfg:2:8: error: disk without a target\n");
	expect_line_error("disk=['x.img']", "f.cfg:2:8: error: disk without a vdev\n");
	expect_line_error("disk=['x.img,qcow2,xvda']",
			  "f.cfg:2:14: error: disk format 'qcow2' is not supported: only raw is\n");
	expect_line_error("disk=['x.img,raw,sdz']",
			  "f.cfg:2:18: error: disk vdev 'sdz' is not one of "
			  "xvda, hda, sda and so on\n");
	expect_line_error("disk=['x.img,raw,xvda,rwx']",
			  "f.cfg:2:23: error: disk access 'rwx' is none of rw, w, ro, r\n");
	expect_line_error("disk=['x.img,vdve=xvda,vdev=xvdb']",
			  "f.cfg:2:14: error: unknown disk key 'vdve'\n");
	expect_line_error("disk=['x.img,raw,xvda,rw,more']",
			  "f.cfg:2:26: error: disk has a field 'more' too many\n");
	expect_line_error("disk=['x.img,vdev=xvda,backend=1']",
			  "f.cfg:2:24: error: disk backend '1' is a number: say the domain's "
			  "name\n");
	expect_line_error("disk=['x.img,vdev=xvda,devtype=tape']",
			  "f.cfg:2:24: error: disk devtype 'tape' is neither disk nor cdrom\n");
	expect_line_error("disk=['x.img,raw,xvda,w,cdrom']",
			  "f.cfg:2:8: error: a CD-ROM cannot be written to\n");
	expect_line_error("disk=['a,raw,xvda',\n 'b,raw,xvda']",
			  "f.cfg:3:3: error: disk vdev 'xvda' given twice\n");
}

static void test_too_many(void **state)
{
	char line[4096] = "disk=[";

	for (unsigned i = 0; i <= CONFIG_MAX_DISKS; i++)
		sprintf(line + strlen(line), "\n'x,raw,xvd%c',", 'a' + (int)i);
	strcat(line, "]");
	expect_line_error(line, "f.cfg:19:1: error: more than 16 disks\n");
	assert_int_equal(config.n_disks, CONFIG_MAX_DISKS);
	strcpy(line, "vif=[");
	for (unsigned i = 0; i <= CONFIG_MAX_VIFS; i++)
		strcat(line, "'',");
	strcat(line, "]");
	expect_line_error(line, "f.cfg:2:30: error: more than 8 vifs\n");
}

static void test_vif_forms(void **state)
{
	expect_ok("vif = ['', 'mac=00:16:3E:0a:0B:0c,bridge=br1,ip=10.0.0.2 fe80::1,rate=10Mb/s,"
		  "mtu=9000,trusted=0,backend=net,script=x,type=vif', ' bridge=b , mtu=68']\n");
	assert_int_equal(config.n_vifs, 3);
	assert_int_equal(config.vifs[0].devid, 0);
	assert_memory_equal(config.vifs[0].mac, "\x00\x16\x3e", 3);
	assert_int_equal(config.vifs[0].rate_bytes, 0);
	assert_int_equal(config.vifs[1].devid, 1);
	assert_memory_equal(config.vifs[1].mac, "\x00\x16\x3e\x0a\x0b\x0c", 6);
	assert_string_equal(config.vifs[1].bridge, "br1");
	assert_string_equal(config.vifs[1].ip, "10.0.0.2 fe80::1");
	assert_int_equal(config.vifs[1].rate_bytes, 62500); /* of 1,250,000 bytes/s in 50 ms */
	assert_int_equal(config.vifs[1].rate_us, 50000);
	assert_int_equal(config.vifs[1].mtu, 9000);
	assert_true(config.vifs[1].untrusted);
	assert_string_equal(config.vifs[1].backend, "net");
	assert_int_equal(config.vifs[2].mtu, 68);
	/* addresses that are not given differ, and are the same at the next start */
	assert_memory_not_equal(config.vifs[0].mac, config.vifs[2].mac, 6);
}

static void test_vif_rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		uint32_t us;
	} rates[] = {{"8Kb/s", 50, 50000},
		     {"1MB/s@20ms", 20000, 20000},
		     {"1GB/s@1s", 1000000000, 1000000},
		     {"3B/s@100us", 1, 100}};
	char line[64];

	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		snprintf(line, sizeof(line), "vif=['rate=%s']\n", rates[i].text);
		expect_ok(line);
		assert_int_equal(config.vifs[0].rate_bytes, rates[i].bytes);
		assert_int_equal(config.vifs[0].rate_us, rates[i].us);
	}
}

static void test_bad_vifs(void **state)
{
	static const char *const rates[] = {
	    "",         "10",         "10Mb",      "b/s",   "0b/s",
	    "1Mb/s@",   "1Mb/s@5",    "1Mb/s@0ms", "1Tb/s", "99999999999999999999b/s",
	    "2000GB/s", "1Mb/s@5000s"};
	char line[64], error[160];

	expect_line_error("vif=['mac=01:16:3e:00:00:01']",
			  "f.cfg:2:7: error: vif mac '01:16:3e:00:00:01' is no address like "
			  "00:16:3e:01:02:03\n");
	expect_line_error("vif=['bridge=a,mac=00:16:3e:00:00']",
			  "f.cfg:2:16: error: vif mac '00:16:3e:00:00' is no address like "
			  "00:16:3e:01:02:03\n");
	expect_line_error("vif=['bridge=0123456789abcdef']",
			  "f.cfg:2:7: error: vif bridge '0123456789abcdef' is no name of 1 to 15 "
			  "characters\n");
	expect_line_error("vif=['colour=red']", "f.cfg:2:7: error: unknown vif key 'colour'\n");
	expect_line_error("vif=['bridge']",
			  "f.cfg:2:7: error: vif field 'bridge' is not KEY=VALUE\n");
	expect_line_error("vif=['mtu=67']",
			  "f.cfg:2:7: error: vif mtu '67' is none of 68 to 65521\n");
	expect_line_error("vif=['type=ioemu']",
			  "f.cfg:2:7: error: vif type 'ioemu' is not supported: only vif is\n");
	expect_line_error("vif=['ip=a host']",
			  "f.cfg:2:7: error: vif ip 'a host' is no list of IPv4 "
			  "and IPv6 addresses\n");
	expect_line_error("vif=['backend=3']",
			  "f.cfg:2:7: error: vif backend '3' is a number: say the domain's name\n");
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		snprintf(line, sizeof(line), "vif=['rate=%s']", rates[i]);
		snprintf(error, sizeof(error),
			 "f.cfg:2:7: error: vif rate '%s' is no rate like 10Mb/s, 1GB/s or "
			 "10Mb/s@20ms\n",
			 rates[i]);
		expect_line_error(line, error);
	}
	assert_int_equal(config.n_vifs, 0);
}

static void test_vdev_numbers(void **state)
{
	/* From the table of xen-vbd-interface(7). */
	static const struct {
		const char *vdev;
		uint32_t devid;
	} good[] = {
	    {"xvda", 202 << 8},
	    {"xvda1", 202 << 8 | 1},
	    {"xvdp15", 202 << 8 | 255},
	    {"xvdq", 1 << 28 | 16 << 8},
	    {"xvdaa", 1 << 28 | 26 << 8},
	    {"xvda16", 1 << 28 | 16},
	    {"hda", 3 << 8},
	    {"hdb63", 3 << 8 | 64 | 63},
	    {"hdc", 22 << 8},
	    {"hdd1", 22 << 8 | 65},
	    {"sda", 8 << 8},
	    {"sdp15", 8 << 8 | 255},
	};
	static const char *const bad[] = {"",       "xvd",  "xvda0", "xvda01", "xvda256",
					  "xvda1x", "hde",  "hda64", "sdq",    "sda16",
					  "vda",    "xvdA", "xvda ", "x",      "xvdzzzzzzzzzzzz"};
	uint32_t devid;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(config_vdev_number(good[i].vdev, &devid));
		assert_int_equal(devid, good[i].devid);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_vdev_number(bad[i], &devid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_file),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_vcpus),
	    cmocka_unit_test(test_cpus),
	    cmocka_unit_test(test_bad_cpus),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_longest_texts),
	    cmocka_unit_test(test_unused_keys_are_notes),
	    cmocka_unit_test(test_bad_statements),
	    cmocka_unit_test(test_wrong_types),
	    cmocka_unit_test(test_values_out_of_range),
	    cmocka_unit_test(test_name_and_kernel_are_needed),
	    cmocka_unit_test(test_goes_on_after_errors),
	    cmocka_unit_test(test_disk_forms),
	    cmocka_unit_test(test_disk_kinds),
	    cmocka_unit_test(test_disk_limits),
	    cmocka_unit_test(test_bad_disks),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_vif_forms),
	    cmocka_unit_test(test_vif_rates),
	    cmocka_unit_test(test_bad_vifs),
	    cmocka_unit_test(test_vdev_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
