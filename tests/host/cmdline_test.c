/* cmdline_test.c: the kernel command line means what cmdline.h says.
 *
 * Shows: every key, quoting, defaults, and that a wrong or unknown word is named and changes
 * nothing. Why: a typing error in a domain file's extra= must be seen, and must not stop a
 * domain. Expected: all hold.
 *
 * links: kernel/cmdline.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/string.h>
#include "kernel/cmdline.h"

static char complaints[512];

static void complain(const char *why, const char *word, size_t len)
{
	size_t used = strlen(complaints);

	snprintf(complaints + used, sizeof(complaints) - used, "%s: %.*s;", why, (int)len, word);
}

static struct cmdline parse(const char *text)
{
	struct cmdline c;

	complaints[0] = '\0';
	cmdline_parse(text, &c, complain);
	return c;
}

static void defaults(void **state)
{
	struct cmdline c = parse(" \t ");

	assert_int_equal(c.role, ROLE_UNSET);
	assert_int_equal(c.console, CONSOLE_AUTO);
	assert_int_equal(c.loglevel, 1);
	assert_int_equal(c.pvops, PVOPS_AUTO);
	assert_false(c.stay);
	assert_string_equal(c.commands, "");
	assert_string_equal(complaints, "");
}

static void memory_of_devices(void **state)
{
	struct cmdline c = parse("dma_mask=30 swiotlb=256,4M dma_untrusted dma_debug");

	assert_int_equal(c.dma_debug, DMA_DEBUG_SAY);
	assert_int_equal(parse("dma_debug dma_panic").dma_debug, DMA_DEBUG_STOP);
	assert_int_equal(parse("").dma_debug, DMA_DEBUG_OFF);
	c = parse("dma_mask=30 swiotlb=256,4M dma_untrusted dma_debug");
	assert_true(c.dma_untrusted);
	assert_int_equal(c.dma_mask_bits, 30);
	assert_int_equal(c.pool_first, 256 << 10);
	assert_int_equal(c.pool_max, 4 << 20);
	assert_string_equal(complaints, "");
	c = parse("swiotlb=512K");
	assert_int_equal(c.pool_first, 512 << 10);
	assert_int_equal(c.pool_max, 512 << 10);
	assert_int_equal(parse("").pool_max, 0);
	assert_int_equal(parse("swiotlb=2M,1M").pool_max, 0);
	assert_string_equal(complaints,
			    "not SIZE[,MOST], with K or M, that is not 0: swiotlb=2M,1M;");
	for (unsigned i = 0; i < 6; i++) {
		static const char *const bad[] = {"swiotlb=0", "swiotlb=,1M", "swiotlb=1M,",
						  "swiotlb=M", "swiotlb=1G",  "swiotlb="};

		assert_int_equal(parse(bad[i]).pool_max, 0);
	}
	assert_int_equal(parse("dma_mask=20").dma_mask_bits, 0);
	assert_int_equal(parse("dma_mask=64").dma_mask_bits, 0);
	assert_string_equal(complaints, "not a number of bits from 21 to 63: dma_mask=64;");
}

static void pages_that_are_kept(void **state)
{
	assert_false(parse("").disk_old_keys || parse("").disk_large_sectors);
	assert_true(parse("blkfront=old-keys").disk_old_keys);
	assert_false(parse("blkfront=old-keys").disk_large_sectors);
	assert_true(parse("blkfront=large-sectors,old-keys").disk_large_sectors);
	assert_true(parse("blkfront=large-sectors,old-keys").disk_old_keys);
	assert_false(parse("blkfront=old-keys,").disk_old_keys);
	assert_false(parse("blkfront=,old-keys").disk_old_keys);
	assert_false(parse("blkfront=old-keys,new").disk_old_keys);
	assert_false(parse("blkfront= blkfront=old").disk_old_keys);
	assert_false(parse("").persistent_set);
	assert_true(parse("persistent=100,2000").persistent_set);
	assert_int_equal(parse("persistent=100,2000").persistent_queue, 100);
	assert_int_equal(parse("persistent=100,2000").persistent_all, 2000);
	assert_true(parse("persistent=0,0").persistent_set);
	assert_false(parse("persistent= persistent=1 persistent=1, persistent=,1").persistent_set);
	assert_false(parse("persistent=1,2,3 persistent=-1,1 persistent=1,123456").persistent_set);
	assert_string_equal(complaints, "not PAGES,PAGES: persistent=1,2,3;"
					"not PAGES,PAGES: persistent=-1,1;"
					"not PAGES,PAGES: persistent=1,123456;");
}

static void numbers_of_cpus(void **state)
{
	assert_int_equal(parse("").maxcpus, 0);
	assert_int_equal(parse("maxcpus=1").maxcpus, 1);
	assert_int_equal(parse("maxcpus=0064").maxcpus, 64);
	assert_int_equal(parse("maxcpus=2 maxcpus=0").maxcpus, 2);
	assert_string_equal(complaints, "no such number of CPUs: maxcpus=0;");
	assert_int_equal(parse("maxcpus=2x maxcpus= maxcpus=-1 maxcpus=10000").maxcpus, 0);
	assert_true(parse("iommu=strict").iommu == DMA_POLICY_STRICT &&
		    parse("iommu=strict").intremap);
	assert_true(parse("iommu=lazy,nointremap").iommu == DMA_POLICY_LAZY &&
		    !parse("iommu=lazy,nointremap").intremap);
	assert_true(parse("iommu=,nointremap").intremap);
	assert_string_equal(complaints, "neither off, strict nor lazy: iommu=,nointremap;");
	assert_int_equal(parse("vfs=3").vfs, 3);
	assert_int_equal(parse("vfs=3 vfs=0").vfs, 0);
	assert_int_equal(parse("vfs=x").vfs, 0);
	assert_string_equal(complaints, "no such number of functions: vfs=x;");
	parse("maxcpus");
	assert_string_equal(complaints, "needs a value: maxcpus;");
}

/* What opens the machine to a network is taken when it is said exactly, and else not at all. */
static void the_control_port(void **state)
{
	static const char *const wrong[] = {
	    "ctl=tcp",      "ctl=tcp:",     "ctl=tcp:0",       "ctl=tcp:65536", "ctl=tcp:123456",
	    "ctl=tcp:1,al", "ctl=tcp:1any", "ctl=tcp:1,any,x", "ctl=udp:1",     "ctl=,any",
	    "ctl=tcp:,any", "ctl=7000",     "ctl=tcp:7000,",
	};

	assert_int_equal(parse("role=service").ctl_port, 0);
	assert_int_equal(parse("ctl=tcp:7000").ctl_port, 7000);
	assert_false(parse("ctl=tcp:7000").ctl_any);
	assert_int_equal(parse("ctl=tcp:65535,any").ctl_port, 65535);
	assert_true(parse("ctl=tcp:1,any").ctl_any);
	assert_false(parse("ctl=tcp:1,any ctl=tcp:2").ctl_any);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct cmdline c = parse(wrong[i]);

		assert_int_equal(c.ctl_port, 0);
		assert_false(c.ctl_any);
		assert_non_null(strstr(complaints, "not tcp:PORT[,any]: "));
	}
}

static const char *const no_ports[] = {
    "ports=61-60", "ports=60",      "ports=-60",     "ports=60-",
    "ports=6g-70", "ports=0-10000", "ports=\x10-20", "ports=1-2-3",
};

static void every_key(void **state)
{
	struct cmdline c = parse("role=service console=interactive loglevel=warn name=d1 stay "
				 "do=\"sha256 xvda; halt 3\"");

	assert_int_equal(c.role, ROLE_SERVICE);
	assert_int_equal(c.console, CONSOLE_INTERACTIVE);
	assert_int_equal(c.loglevel, 2);
	assert_true(c.stay);
	assert_string_equal(c.name, "d1");
	assert_string_equal(c.commands, "sha256 xvda; halt 3");
	assert_string_equal(complaints, "");
	assert_int_equal(parse("loglevel=0").loglevel, 0);
	assert_int_equal(parse("role=guest").role, ROLE_GUEST);
	assert_int_equal(parse("role=guest role=native").role, ROLE_NATIVE);
	assert_true(parse("").port_first > parse("").port_last);
	assert_int_equal(parse("ports=60-Cf8").port_first, 0x60);
	assert_int_equal(parse("ports=60-Cf8").port_last, 0xcf8);
	assert_int_equal(parse("ports=0-ffff").port_last, 0xffff);
	for (unsigned i = 0; i < sizeof(no_ports) / sizeof(no_ports[0]); i++)
		assert_true(parse(no_ports[i]).port_first > parse(no_ports[i]).port_last);
	assert_false(parse("").fpu_lazy);
	assert_true(parse("fpu=lazy").fpu_lazy);
	assert_false(parse("fpu=lazy fpu=eager").fpu_lazy);
	assert_false(parse("fpu=never").fpu_lazy);
	assert_int_equal(parse("pvops=native").pvops, PVOPS_NATIVE);
	assert_int_equal(parse("pvops=kvm").pvops, PVOPS_KVM);
	assert_int_equal(parse("pvops=xen-pv").pvops, PVOPS_XEN_PV);
	assert_int_equal(parse("pvops=xen-pvh").pvops, PVOPS_XEN_PVH);
	assert_int_equal(parse("pvops=native pvops=auto").pvops, PVOPS_AUTO);
}

static void quotes(void **state)
{
	assert_string_equal(parse("do='a \"b\" c' stay").commands, "a \"b\" c");
	assert_true(parse("do='a' stay").stay);
	assert_string_equal(parse("do=\"no end; x").commands, "no end; x");
	assert_string_equal(parse("do=").commands, "");
	assert_string_equal(parse("do=\"").commands, "");
}

static void wrong_words_are_named(void **state)
{
	struct cmdline c =
	    parse("rolle=guest role=king quiet role stay=1 console=vga pvops=xen name=ok");

	assert_int_equal(c.role, ROLE_UNSET);
	assert_false(c.stay);
	assert_string_equal(c.name, "ok");
	assert_string_equal(
	    complaints, "unknown word: rolle=guest;no such role: role=king;unknown word: quiet;"
			"needs a value: role;takes no value: stay=1;no such console: console=vga;"
			"no such platform: pvops=xen;");
	cmdline_parse("rolle=guest", &c, NULL);
}

static void lengths(void **state)
{
	char text[CMDLINE_DO_MAX + 16];
	struct cmdline c;

	memset(text, 'x', sizeof(text));
	memcpy(text, "do=", 3);
	text[3 + CMDLINE_DO_MAX - 1] = '\0';
	c = parse(text);
	assert_int_equal(strlen(c.commands), CMDLINE_DO_MAX - 1);
	text[3 + CMDLINE_DO_MAX - 1] = 'x';
	text[3 + CMDLINE_DO_MAX] = '\0';
	c = parse(text);
	assert_string_equal(c.commands, "");
	assert_true(str_starts(complaints, "too long"));
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(every_key),
	    cmocka_unit_test(numbers_of_cpus),
	    cmocka_unit_test(pages_that_are_kept),
	    cmocka_unit_test(quotes),
	    cmocka_unit_test(wrong_words_are_named),
	    cmocka_unit_test(the_control_port),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(memory_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
