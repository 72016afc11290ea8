/* config_text_test.c: a domain's file, written again from what was understood of it, says the same.
 *
 * Why: a saved domain is made again of this text, by us or by xl; what is lost in it (a disk, a pinning, what becomes of
 * a crash) the restored domain lacks. Expected: the text read again gives the same struct, every byte; quotes, backslashes and
 * bytes that are no ASCII survive in strings; a text that does not fit says how long it is.
 *
 * links: control/config_text.c control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c
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

#include "../../control/config_text.h"

static struct domain_config first, second;
static char text[65536];

static void say(void *ctx, bool is_error, const char *line)
{
	if (is_error)
		fail_msg("%s", line);
}

static void parse(const char *from, struct domain_config *out)
{
	static const struct config_listener listener = {say, NULL};

	memset(out, 0, sizeof(*out));
	assert_int_equal(domain_config_parse("f", from, strlen(from), &listener, out), 0);
}

static void expect_same(const char *file)
{
	size_t len;

	parse(file, &first);
	len = domain_config_text(&first, text, sizeof(text));
	assert_int_equal(len, strlen(text));
	parse(text, &second);
	assert_memory_equal(&first, &second, sizeof(first));
}

static void expect_line(const char *line)
{
	if (!strstr(text, line))
		fail_msg("wanted '%s' in:\n%s", line, text);
}

static void test_smallest(void **state)
{
	expect_same("name='g'\nkernel='/k'\nmemory=8\n");
	expect_line("name = \"g\"\ntype = \"pv\"\nkernel = \"/k\"\nmemory = 8\n");
	assert_null(strstr(text, "disk"));
	assert_null(strstr(text, "ramdisk"));
	assert_null(strstr(text, "cpus = ["));
	assert_null(strstr(text, "cap"));
}

static void test_all(void **state)
{
	expect_same(
	    "name='g-1'\nkernel='/k'\nramdisk='/r'\nmemory=8\nmaxmem=64\nvcpus=2\nmaxvcpus=3\n"
	    "root='/dev/xvda'\nextra='ro'\ncpus=['0-2','5','all']\ncpu_weight=512\ncap=50\n"
	    "on_poweroff='preserve'\non_reboot='destroy'\non_crash='rename-restart'\n"
	    "on_watchdog='restart'\n"
	    "disk=['/a b.img,raw,xvda,w','vdev=hdc,access=ro,target=/dev/x,y=z',"
	    "'vdev=xvdd,cdrom','x@1M+2M,,xvde,w,backend=d,no-discard,no-flush-cache,"
	    "no-persistent,iops=5,bps=1K,burst=3s']\n"
	    "vif=['bridge=a,mac=00:16:3e:00:00:01,ip=10.0.0.2,rate=1MB/s@20ms,mtu=9000,trusted=0,"
	    "backend=net','']\npci=['0000:00:04.0']\n");
	expect_line("cpus = [\"0,1,2\", \"5\", \"all\"]\n");
	expect_line("disk = [\"vdev=xvda,access=rw,format=raw,target=/a b.img\", "
		    "\"vdev=hdc,access=ro,format=raw,target=/dev/x,y=z\", "
		    "\"vdev=xvdd,access=ro,format=raw,devtype=cdrom,target=\", "
		    "\"vdev=xvde,access=rw,format=raw,no-discard,no-flush-cache,no-persistent,"
		    "backend=d,iops=5,bps=1024,burst=3000ms,target=x@1M+2M\"]\n");
	expect_line("on_crash = \"rename-restart\"\n");
	expect_line("vif = [\"mac=00:16:3e:00:00:01,bridge=a,ip=10.0.0.2,"
		    "rate=1000000B/s@20000us,mtu=9000,trusted=0,backend=net\", \"mac=00:16:3e:");
}

static void test_strings(void **state)
{
	expect_same("name='g'\nkernel='/k\\\\ \"x\"'\nmemory=8\n"
		    "cmdline='do=\"a \\'b\\' \\x01\\xff\\t\" # ; = [ ]'\n"
		    "disk=['vdev=xvda,target=/with \"quotes\"']\n");
	expect_line("kernel = \"/k\\\\ \\\"x\\\"\"\n");
	expect_line("\\x01\\xff\\x09\\\"");
}

/* Room for all but the NUL, and for nearly nothing: never a byte too many, and always ended. */
static void test_too_long(void **state)
{
	size_t len;
	char *exact;

	parse("name='g'\nkernel='/k'\nmemory=8\n", &first);
	len = domain_config_text(&first, text, sizeof(text));
	for (size_t cap = 1; cap <= len + 1; cap += len > cap + 9 ? 7 : 1) {
		exact = malloc(cap);
		assert_int_equal(domain_config_text(&first, exact, cap), len);
		assert_int_equal(strlen(exact), cap - 1);
		assert_memory_equal(exact, text, cap - 1);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_smallest),
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
