/* config_vif_test: the VLANs of an interface, as a domain file says them, and as it is written again.
 *
 * Why: a guest in a wrong VLAN hears others' traffic. Expected: words behind the bridge's name, or `vlan=`, in either order; what is
 * said twice, or cannot be a VLAN's, is an error that points at its place. What a backend makes of it is bridge_vlan_test's.
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
#include <amphi/xen.h>

#include "../../control/config_text.h"

static struct domain_config config;
static char said[1024];

static void say(void *ctx, bool is_error, const char *line)
{
	(void)ctx;
	if (is_error)
		snprintf(said, sizeof(said), "%s", line);
}

static int parse(const char *vif)
{
	static const struct config_listener listener = {say, NULL};
	char file[512];

	snprintf(file, sizeof(file), "name='g'\nkernel='/k'\nmemory=8\nvif=[%s]\n", vif);
	said[0] = 0;
	return domain_config_parse("f", file, strlen(file), &listener, &config);
}

static void expect_error(const char *vif, const char *error)
{
	assert_int_equal(parse(vif), -XEN_EINVAL);
	assert_string_equal(said, error);
}

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(
	    parse("'bridge=xenbr0.5','bridge=br1:0:6:4094','vlan=7','vlan=4094,bridge=b',"
		  "'bridge=fifteen-letters.1:2:3:4:5:6:7:8:9'"),
	    0);
	assert_string_equal(config.vifs[0].bridge, "xenbr0.5");
	assert_string_equal(config.vifs[1].bridge, "br1:0:6:4094");
	assert_string_equal(config.vifs[2].bridge, "xenbr0.7");
	assert_string_equal(config.vifs[3].bridge, "b.4094");
	assert_string_equal(config.vifs[4].bridge, "fifteen-letters.1:2:3:4:5:6:7:8:9");
	assert_int_equal(config.vifs[3].vlan, 0); /* it stands in the bridge's word */
}

static void test_written_again(void **state)
{
	static const struct config_listener listener = {say, NULL};
	static struct domain_config first;
	static char text[65536];

	(void)state;
	assert_int_equal(parse("'mac=00:16:3e:00:00:01,vlan=5','bridge=br1:5:6'"), 0);
	first = config;
	(void)domain_config_text(&config, text, sizeof(text));
	assert_non_null(strstr(text, "bridge=xenbr0.5"));
	assert_int_equal(domain_config_parse("f", text, strlen(text), &listener, &config), 0);
	assert_memory_equal(&first, &config, sizeof(first));
}

static void test_errors(void **state)
{
	(void)state;
	expect_error("'vlan=7,bridge=br1.5'",
		     "f:4:6: error: vif vlan 7, and VLANs in bridge 'br1.5'");
	expect_error("'bridge=br1:5,vlan=7'",
		     "f:4:6: error: vif vlan 7, and VLANs in bridge 'br1:5'");
	expect_error("'vlan=4095'", "f:4:7: error: vif vlan '4095' is none of 1 to 4094");
	expect_error("'vlan=0'", "f:4:7: error: vif vlan '0' is none of 1 to 4094");
	expect_error("'mtu=1500,vlan=x'", "f:4:16: error: vif vlan 'x' is none of 1 to 4094");
	expect_error("'bridge=br1.x'",
		     "f:4:7: error: vif bridge 'br1.x' is no name with VLANs behind it like "
		     "xenbr0.5 or xenbr0:5:6");
	expect_error("'bridge=.5'",
		     "f:4:7: error: vif bridge '.5' is no name of 1 to 15 characters");
	expect_error("'bridge=sixteen-letters-.5'", "f:4:7: error: vif bridge 'sixteen-letters-.5' "
						    "is no name of 1 to 15 characters");
	expect_error("'bridge=b:1000:1001:1002:1003:1004:1005:1006:1007:1008:9'",
		     "f:4:7: error: vif bridge "
		     "'b:1000:1001:1002:1003:1004:1005:1006:1007:1008:9' has too many VLANs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_written_again),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
