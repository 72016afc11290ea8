/* hv_option_test.c: the words of the hypervisor's command line: what they mean, and what is said of those that mean nothing.
 *
 * hypervisor/boot_option.c on texts as a loader passes them. Why: a misspelt iommu=required starts a machine that its owner takes for safe, and
 * nothing would show that it is not. Expected: each value that cannot be one, each word that nobody knows, and a value where none
 * belongs, is one line that names it, and leaves what would be without; what is right is said nothing of.
 *
 * links: hypervisor/boot_option.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hypervisor/boot.h"
#include "hypervisor/io.h"

static struct boot_info info;
static char said[1024];

const struct boot_info *boot_info(void)
{
	return &info;
}

void hv_printk(const char *fmt, ...)
{
	size_t n = strlen(said);
	va_list args;

	va_start(args, fmt);
	vsnprintf(said + n, sizeof(said) - n, fmt, args);
	va_end(args);
	strncat(said, ";", sizeof(said) - strlen(said) - 1);
}

static void give(const char *text)
{
	snprintf(info.cmdline, sizeof(info.cmdline), "%s", text);
	said[0] = '\0';
}

#define SAYS(text, words)                                                                          \
	do {                                                                                       \
		give(text);                                                                        \
		boot_options_check();                                                              \
		assert_string_equal(said, words);                                                  \
	} while (0)

static void words_and_values(void **state)
{
	char text[8];

	give("dom0_mem=32M guest_console iommu=required");
	assert_true(boot_option("dom0_mem", text, sizeof(text)));
	assert_string_equal(text, "32M");
	assert_true(boot_option("guest_console", text, sizeof(text)));
	assert_string_equal(text, "");
	assert_true(boot_option("iommu", text, sizeof(text)));
	assert_string_equal(text, "require");
	assert_false(boot_option("dom0", text, sizeof(text)));
	assert_false(boot_option("iommu_faults", text, sizeof(text)));
}

static void numbers(void **state)
{
	static const char *const bad[] = {
	    "",
	    "many",
	    "-1",
	    "3x",
	    "0x",
	    "3,4",
	    "18446744073709551616",
	    "200000000000000000000000000000000000000000000000000000000000"};
	char text[100], line[160];
	uint64_t n = 7;

	give("maxcpus=2");
	assert_false(boot_option_number("iommu_faults", &n));
	assert_int_equal(n, 7);
	assert_true(boot_option_number("maxcpus", &n));
	assert_int_equal(n, 2);
	assert_string_equal(said, "");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "iommu_faults=%s maxcpus=5", bad[i]);
		give(text);
		assert_false(boot_option_number("iommu_faults", &n));
		assert_int_equal(n, 2);
		boot_options_check();
		snprintf(line, sizeof(line),
			 "command line: iommu_faults=%.47s is not a number: not heeded;", bad[i]);
		assert_string_equal(said, line);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"4", 4u << 20},
		    {"4M", 4u << 20},
		    {"64k", 64u << 10},
		    {"1G", 1u << 30},
		    {"640M,max:640M", 640u << 20},
		    {"0x10", 16u << 20}};
	static const char *const bad[] = {"", "M", "4MM", "12X", ",max:4M", "4 0", "17179869184"};
	uint64_t bytes = 0;
	char text[60];

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(boot_read_size(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(boot_read_size(bad[i], &bytes));
	snprintf(text, sizeof(text), "iospace_tables=12X");
	give(text);
	assert_false(boot_option_size("iospace_tables", &bytes));
	boot_options_check();
	assert_string_equal(
	    said, "command line: iospace_tables=12X is not a size (such as 32M): not heeded;");
	assert_int_equal(bytes, 16u << 20);
}

static void what_is_right_is_not_spoken_of(void **state)
{
	SAYS("", "");
	SAYS("dom0_mem=32M,max:32M  maxcpus=2 dom0_max_vcpus=4 iommu=on iommu_faults=300 "
	     "iospace_tables=1M",
	     "");
	SAYS(" console=com1 guest_console iommu=required,nointremap panic=halt ", "");
	SAYS("iommu=off console=none panic=reboot", "");
}

static void what_is_wrong_is_named(void **state)
{
#define IOMMU                                                                                      \
	" is none of on off no required on,nointremap off,nointremap no,nointremap "               \
	"required,nointremap: not heeded;"
	SAYS("iommu=requierd", "command line: iommu=requierd" IOMMU);
	SAYS("iommu=nointremap", "command line: iommu=nointremap" IOMMU);
	SAYS("iommu", "command line: iommu=" IOMMU);
	SAYS("iommu= maxcpus=1", "command line: iommu=" IOMMU);
	SAYS("console=vga panic=hal",
	     "command line: console=vga is none of com1 none: not heeded;"
	     "command line: panic=hal is none of halt reboot: not heeded;");
	SAYS("guest_console=no", "command line: guest_console takes no value;");
	SAYS("iommu_fault=3 dom0=pvh nonsense",
	     "command line: unknown word: iommu_fault=3;command line: unknown word: dom0=pvh;"
	     "command line: unknown word: nonsense;");
	SAYS("=x", "command line: unknown word: =x;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_and_values),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(what_is_right_is_not_spoken_of),
	    cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
