/* tsc_told_test.c: the TSC's rate is taken from whoever tells it, and nonsense is not believed.
 *
 * Shows: the hypervisor's leaf before the processor's; the crystal's ratio before the base frequency; leaves
 * that are not there are not read; rates that no processor has count as not told. Why: a machine
 * without a clock to measure by is no machine a test can borrow. The processor is a table here.
 *
 * links: kernel/tsc_told.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/tsc_told.h"

static struct {
	uint32_t highest, hv_highest, hv_khz, crystal[3], base_mhz;
	bool hypervisor;
} cpu;

static void cpuid(uint32_t *regs)
{
	uint32_t leaf = regs[0];

	memset(regs, 0xff, 4 * sizeof(*regs)); /* what is not there answers with anything */
	if (leaf == 0) {
		regs[0] = cpu.highest;
	} else if (leaf == 1) {
		regs[2] = cpu.hypervisor ? 1u << 31 : 0;
	} else if (leaf == 0x40000000) {
		regs[0] = cpu.hv_highest;
	} else if (leaf == 0x40000010) {
		regs[0] = cpu.hv_khz;
	} else if (leaf == 0x15) {
		memcpy(regs, cpu.crystal, sizeof(cpu.crystal));
	} else if (leaf == 0x16) {
		regs[0] = cpu.base_mhz;
	}
}

static int fresh(void **state)
{
	memset(&cpu, 0, sizeof(cpu));
	cpu.highest = 0x16;
	cpu.hypervisor = true;
	cpu.hv_highest = 0x40000010;
	cpu.hv_khz = 2900123;
	cpu.crystal[0] = 2;
	cpu.crystal[1] = 250;
	cpu.crystal[2] = 24000000;
	cpu.base_mhz = 2800;
	return 0;
}

static void in_order(void **state)
{
	assert_int_equal(tsc_told_hz(cpuid), 2900123000);
	cpu.hv_khz = 0;
	assert_int_equal(tsc_told_hz(cpuid), 3000000000);
	cpu.crystal[2] = 0;
	assert_int_equal(tsc_told_hz(cpuid), 2800000000);
	cpu.base_mhz = 0;
	assert_int_equal(tsc_told_hz(cpuid), 0);
}

static void absent_leaves_are_not_read(void **state)
{
	cpu.hypervisor = false;
	assert_int_equal(tsc_told_hz(cpuid), 3000000000);
	cpu.hypervisor = true;
	cpu.hv_highest = 0x40000001;
	assert_int_equal(tsc_told_hz(cpuid), 3000000000);
	cpu.hv_highest = 0xffffffff;
	assert_int_equal(tsc_told_hz(cpuid), 3000000000);
	cpu.highest = 0x15;
	cpu.crystal[0] = 0; /* no ratio is told */
	assert_int_equal(tsc_told_hz(cpuid), 0);
	cpu.highest = 0x14;
	cpu.crystal[0] = 2;
	assert_int_equal(tsc_told_hz(cpuid), 0);
}

static void nonsense_is_not_believed(void **state)
{
	cpu.hv_khz = 12;
	assert_int_equal(tsc_told_hz(cpuid), 3000000000);
	cpu.hv_khz = 0xffffffff;
	cpu.crystal[1] = 0xffffffff;
	cpu.base_mhz = 1;
	assert_int_equal(tsc_told_hz(cpuid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(in_order, fresh),
	    cmocka_unit_test_setup(absent_leaves_are_not_read, fresh),
	    cmocka_unit_test_setup(nonsense_is_not_believed, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
