/* pvops_native_test.c: a program's ports and segments on bare metal, where they are stores.
 *
 * Shows: the bitmap of ports is copied when its contents are not in the TSS yet and only then, is in force by its
 * offset alone, and ends with a byte of ones that no copy touches; three TLS entries are written, no
 * more; an LDT's descriptor holds base and limit. Why: a bit too many or a stale copy gives one program
 * another's devices. What needs ring 0 (lldt, debug registers) is tested by programs under QEMU.
 *
 * links: pvops/native_cpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/x86_tables.h>
#include "../../pvops/native_parts.h"

static void ports(void **state)
{
	static struct x86_tss_ports tss = {.end = 0xff};
	static struct pv_ports a = {.version = 1}, b = {.version = 2};

	memset(a.denied, 0xff, sizeof(a.denied));
	memset(b.denied, 0xff, sizeof(b.denied));
	a.denied[0x60 / 8] = 0xfe, b.denied[PV_PORTS / 8 - 1] = 0x7f;
	native_invalidate_io_bitmap(&tss);
	assert_true(tss.tss.iomap > X86_TSS_PORTS_LIMIT);
	native_update_io_bitmap(&tss, &a);
	assert_int_equal(tss.tss.iomap, sizeof(struct x86_tss));
	assert_memory_equal(tss.denied, a.denied, sizeof(a.denied));
	native_invalidate_io_bitmap(&tss);
	tss.denied[0] = 0x55; /* the same contents are not copied again */
	native_update_io_bitmap(&tss, &a);
	assert_int_equal(tss.denied[0], 0x55);
	assert_int_equal(tss.tss.iomap, sizeof(struct x86_tss));
	native_update_io_bitmap(&tss, &b);
	assert_memory_equal(tss.denied, b.denied, sizeof(b.denied));
	assert_int_equal(tss.end, 0xff);
	assert_int_equal(X86_TSS_PORTS_LIMIT, 104 + 8192);
}

static void tls(void **state)
{
	uint64_t gdt[5] = {9, 9, 9, 9, 9};
	const uint64_t descriptors[] = {1, 2, 3, 4};

	native_load_tls(&gdt[1], descriptors);
	assert_true(gdt[0] == 9 && gdt[1] == 1 && gdt[2] == 2 && gdt[3] == 3 && gdt[4] == 9);
}

static void ldt_descriptor(void **state)
{
	assert_true(x86_ldt_descriptor(0xffff880012345000, 16) == 0x120082345000007full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ports),
	    cmocka_unit_test(tls),
	    cmocka_unit_test(ldt_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
