/* config_pci_test.c: pci = [...] of a domain file: what is taken from it, and how what is wrong with it is named.
 *
 * Why: files written for xl must mean the same here; a function that is read wrong is another's. Expected: the fields of
 * xl-pci-configuration(5), and an error that points at the field.
 *
 * links: control/config_text.c control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c
 * links: control/config_cpus.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/domain_config.h>

#include "control/config_text.h"

static struct domain_config config;
static char said[2048];

static void say(void *ctx, bool is_error, const char *text)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

static int parse(const char *lines)
{
	const struct config_listener listener = {.say = say};
	char text[2048];

	said[0] = 0;
	snprintf(text, sizeof(text), "name='g';kernel='k'\n%s", lines);
	return domain_config_parse("f.cfg", text, strlen(text), &listener, &config);
}

static void expect_ok(const char *lines)
{
	if (parse(lines) != 0 || said[0])
		fail_msg("lines: %s\nsaid: %s", lines, said);
}

/* The element's error: it begins in column 8 of line 2, behind the quote. */
static void expect_error(const char *spec, unsigned column, const char *what)
{
	char line[512], wanted[512];

	snprintf(line, sizeof(line), "pci = ['%s']", spec);
	snprintf(wanted, sizeof(wanted), "f.cfg:2:%u: error: %s\n", column, what);
	assert_int_not_equal(parse(line), 0);
	assert_string_equal(said, wanted);
	assert_int_equal(config.n_pci, 0);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		uint16_t segment, bdf;
		uint8_t slot;
	} good[] = {
	    {"03:00.0", 0, 0x300, CONFIG_PCI_ANY_SLOT},
	    {"0000:03:00.0", 0, 0x300, CONFIG_PCI_ANY_SLOT},
	    {"1:ff:1f.7", 1, 0xffff, CONFIG_PCI_ANY_SLOT},
	    {"aB:0C.3@1f", 0, 0xab63, 0x1f},
	    {"  00:02.1@4", 0, 0x11, 4},
	    {"bdf=00:02.1,vslot=5", 0, 0x11, 5},
	    {"vslot=6,bdf=2:2.1", 0, 0x211, 6},
	};
	char line[128];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "pci = ['%s']", good[i].text);
		expect_ok(line);
		assert_int_equal(config.n_pci, 1);
		assert_int_equal(config.pci[0].segment, good[i].segment);
		assert_int_equal(config.pci[0].bdf, good[i].bdf);
		assert_int_equal(config.pci[0].slot, good[i].slot);
	}
}

static void test_options(void **state)
{
	expect_ok("pci = ['03:00.0,permissive=1,power_mgmt=1,msitranslate=0,seize=1,"
		  "rdm_policy=strict', '04:00.0', "
		  "'05:00.0,permissive=0,rdm_policy=relaxed,group_policy=relaxed']\n"
		  "pci_permissive = 1\npci_msitranslate = 0\npci_power_mgmt = 0\n");
	assert_int_equal(config.n_pci, 3);
	assert_int_equal(config.pci[0].flags, CONFIG_PCI_PERMISSIVE | CONFIG_PCI_POWER);
	assert_int_equal(config.pci[1].flags, CONFIG_PCI_PERMISSIVE);
	assert_int_equal(config.pci[2].flags, CONFIG_PCI_RELAXED | CONFIG_PCI_APART);
	assert_ptr_equal(config_find_pci(&config, 0, 0x400), &config.pci[1]);
	assert_null(config_find_pci(&config, 1, 0x400));
}

/* It is the file's word that a driver of ours lets go, unless it says that it is not. */
static void test_seize(void **state)
{
	expect_ok("pci = ['03:00.0', '04:00.0,seize=0', '05:00.0,seize=1']\n");
	assert_int_equal(config.pci[0].flags, 0);
	assert_int_equal(config.pci[1].flags, CONFIG_PCI_ASK);
	assert_int_equal(config.pci[2].flags, 0);
	expect_ok("pci = ['03:00.0', '04:00.0,seize=0', '05:00.0,seize=1']\npci_seize = 0\n");
	assert_int_equal(config.pci[0].flags, CONFIG_PCI_ASK);
	assert_int_equal(config.pci[1].flags, CONFIG_PCI_ASK);
	assert_int_equal(config.pci[2].flags, 0);
	expect_ok("pci_seize = 1\npci = ['03:00.0']\n");
	assert_int_equal(config.pci[0].flags, 0);
}

static void test_errors(void **state)
{
	expect_error("", 8, "pci names no function");
	expect_error("permissive=1", 8, "pci names no function");
	expect_error("3.0", 9, "pci bdf '3.0' is no function like 0000:03:00.0 or 03:00.0");
	expect_error("03:20.0", 9, "pci bdf '03:20.0' is no function like 0000:03:00.0 or 03:00.0");
	expect_error("03:00.8", 9, "pci bdf '03:00.8' is no function like 0000:03:00.0 or 03:00.0");
	expect_error("103:00.1", 9,
		     "pci bdf '103:00.1' is no function like 0000:03:00.0 or 03:00.0");
	expect_error("03:00.0x", 9,
		     "pci bdf '03:00.0x' is no function like 0000:03:00.0 or 03:00.0");
	expect_error("03:00.*", 9, "pci bdf '03:00.*' names all functions of a device: name each");
	expect_error("03:00.0@20", 9, "pci bdf '03:00.0@20' is no slot from 0 to 1f");
	expect_error("03:00.0,vslot=x", 17, "pci vslot 'x' is no slot from 0 to 1f");
	expect_error("03:00.0, permissive=2", 18, "pci permissive '2' is neither 0 nor 1");
	expect_error("03:00.0,group_policy=no", 17,
		     "pci group_policy 'no' is neither strict nor relaxed");
	expect_error("03:00.0,rdm_policy=no", 17,
		     "pci rdm_policy 'no' is neither strict nor relaxed");
	expect_error("03:00.0,msitranslate=1", 17,
		     "pci msitranslate '1' is for guests with a device model: a PV guest asks for "
		     "its messages");
	expect_error("03:00.0,msitranslate=2", 17, "pci msitranslate '2' is neither 0 nor 1");
	expect_error("03:00.0,seize=2", 17, "pci seize '2' is neither 0 nor 1");
	expect_error("03:00.0,fast=1", 17, "unknown pci key 'fast'");
	expect_error("03:00.0,04:00.0", 17, "pci field '04:00.0' is not KEY=VALUE");
	expect_error("name=disk", 9,
		     "pci name 'disk' is not supported: functions have no names here");
	assert_int_not_equal(parse("pci = ['03:00.0', '0:3:0.0']"), 0);
	assert_string_equal(said, "f.cfg:2:19: error: pci 0000:03:00.0 given twice\n");
	assert_int_not_equal(parse("pci_seize = 2"), 0);
	assert_string_equal(said, "f.cfg:2:13: error: pci_seize must be 0 or 1\n");
	assert_int_not_equal(parse("pci_msitranslate = 1"), 0);
	assert_non_null(strstr(said, "pci_msitranslate '1' is for guests with a device model"));
}

static void test_too_many(void **state)
{
	assert_int_not_equal(parse("pci = ['0:1.0','0:2.0','0:3.0','0:4.0','0:5.0','0:6.0',"
				   "'0:7.0','0:8.0','0:9.0']"),
			     0);
	assert_non_null(strstr(said, "more than 8 PCI functions"));
}

static void test_passthrough(void **state)
{
	expect_ok("");
	assert_false(config.passthrough);
	expect_ok("pci = ['03:00.0']"); /* nothing mapped, unless it is said */
	assert_false(config.passthrough);
	expect_ok("passthrough = 'enabled'");
	assert_true(config.passthrough);
	expect_ok("passthrough = 'sync_pt'");
	assert_true(config.passthrough);
	expect_ok("passthrough = 'default'");
	assert_false(config.passthrough);
	expect_ok("passthrough = 'disabled'");
	assert_false(config.passthrough);
	assert_int_not_equal(parse("passthrough = 'share_pt'"), 0);
	assert_string_equal(said, "f.cfg:2:15: error: passthrough 'share_pt' is none of disabled, "
				  "enabled, sync_pt, default\n");
}

static void test_topology(void **state)
{
	expect_ok("pci = ['03:00.0']");
	assert_false(config.pci_as_is);
	expect_ok("pci_topology = 'passthrough'");
	assert_true(config.pci_as_is);
	expect_ok("pci_topology = 'vpci'");
	assert_false(config.pci_as_is);
	assert_int_not_equal(parse("pci_topology = 'real'"), 0);
	assert_string_equal(
	    said, "f.cfg:2:16: error: pci_topology 'real' is none of vpci, passthrough\n");
}

/* What is written of a configuration is read as the same. */
static void test_text(void **state)
{
	const struct config_listener listener = {.say = say};
	static struct domain_config second;
	char text[4096];
	size_t len;

	expect_ok("passthrough='enabled'\n"
		  "pci=['1:02:03.4@5,permissive=1,seize=0','06:07.0,rdm_policy=relaxed,group_"
		  "policy=relaxed']\n"
		  "pci_power_mgmt=1\npci_topology='passthrough'\n");
	len = domain_config_text(&config, text, sizeof(text));
	assert_non_null(strstr(text, "\npci = [\"0001:02:03.4@5,permissive=1,power_mgmt=1,"
				     "seize=0,rdm_policy=strict\", \"0000:06:07.0,permissive=0,"));
	assert_int_equal(domain_config_parse("t", text, len, &listener, &second), 0);
	assert_true(second.passthrough);
	assert_true(second.pci_as_is);
	assert_int_equal(second.n_pci, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(second.pci[i].bdf, config.pci[i].bdf);
		assert_int_equal(second.pci[i].segment, config.pci[i].segment);
		assert_int_equal(second.pci[i].slot, config.pci[i].slot);
		assert_int_equal(second.pci[i].flags, config.pci[i].flags);
	}
}

static void test_address_alone(void **state)
{
	uint16_t segment, bdf;

	assert_true(config_pci_address("0001:02:03.4", &segment, &bdf));
	assert_int_equal(segment, 1);
	assert_int_equal(bdf, 0x21c);
	assert_false(config_pci_address("02:03.4@1", &segment, &bdf));
	assert_false(config_pci_address("02:03", &segment, &bdf));
	assert_false(config_pci_address("", &segment, &bdf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),   cmocka_unit_test(test_options),
	    cmocka_unit_test(test_errors),      cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_passthrough), cmocka_unit_test(test_topology),
	    cmocka_unit_test(test_text),        cmocka_unit_test(test_address_alone),
	    cmocka_unit_test(test_seize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
