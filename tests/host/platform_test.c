/* platform_test.c: a hypervisor is found where it shows itself, and a wish is followed where it can be.
 *
 * Shows: Xen and KVM are found at their own leaves and behind another hypervisor's; a bare processor, a
 * stranger, and runs of leaves that are too short, too long or without a hypercall page are none of them;
 * every wish on every platform is followed or refused with a reason, and then the platform found is used.
 * Why: the first wrong guess writes to a register that is not there. The processor is a table here.
 *
 * links: kernel/platform.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/platform.h"

#define XEN        "XenVMMXenVMM"
#define KVM        "KVMKVMKVM\0\0\0"
#define TCG        "TCGTCGTCGTCG"
#define HYPERVISOR (1u << 31)

/* What the processor answers: rows of leaf, eax, ebx, ecx, edx; zeros for all others. */
static uint32_t rows[16][5];
static unsigned n_rows, n_asked;

static void leaf(uint32_t nr, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	uint32_t row[5] = {nr, eax, ebx, ecx, edx};

	memcpy(rows[n_rows++], row, sizeof(row));
}

static void run_of(uint32_t base, uint32_t highest, const char *letters)
{
	uint32_t word[3];

	memcpy(word, letters, sizeof(word));
	leaf(base, highest, word[0], word[1], word[2]);
}

static void cpuid(uint32_t *regs)
{
	uint32_t asked = regs[0];

	n_asked++;
	memset(regs, 0, 4 * sizeof(regs[0]));
	for (unsigned i = 0; i < n_rows; i++)
		if (rows[i][0] == asked)
			memcpy(regs, rows[i] + 1, 4 * sizeof(regs[0]));
}

static int fresh(void **state)
{
	n_rows = n_asked = 0;
	leaf(1, 0, 0, HYPERVISOR, 0);
	return 0;
}

static struct platform_found look(void)
{
	struct platform_found found = {0};

	platform_look(cpuid, &found);
	return found;
}

static void add_xen(uint32_t base)
{
	run_of(base, base + 5, XEN);
	leaf(base + 2, 1, 0x40000000, 0, 0);
}

static void add_kvm(uint32_t base)
{
	run_of(base, base + 1, KVM);
	leaf(base + 1, 0x01007efb, 0, 0, 0);
}

/* ---- found or not ----------------------------------------------------------------------- */

static void xen_is_found(void **state)
{
	struct platform_found found;

	add_xen(0x40000000);
	found = look();
	assert_int_equal(found.xen_base, 0x40000000);
	assert_int_equal(found.xen_page_msr, 0x40000000);
	assert_int_equal(found.kvm_base, 0);
}

static void xen_behind_another(void **state)
{
	struct platform_found found;

	run_of(0x40000000, 0x4000000a, "Microsoft Hv");
	add_xen(0x40000100);
	found = look();
	assert_int_equal(found.xen_base, 0x40000100);
	fresh(NULL);
	run_of(0x40000000, 0x4000000a, "Microsoft Hv");
	add_kvm(0x40000100);
	found = look();
	assert_int_equal(found.kvm_base, 0x40000100);
	assert_int_equal(found.kvm_features, 0x01007efb);
	assert_int_equal(found.xen_base, 0);
}

static void old_kvm_says_nothing_of_its_highest(void **state)
{
	run_of(0x40000000, 0, KVM);
	leaf(0x40000001, 3, 0, 0, 0);
	assert_int_equal(look().kvm_base, 0x40000000);
	assert_int_equal(look().kvm_features, 3);
}

/* A processor without a hypervisor answers these leaves with what it likes. */
static void a_bare_processor_is_not_asked(void **state)
{
	n_rows = 0;
	add_xen(0x40000000);
	assert_int_equal(look().xen_base, 0);
	assert_int_equal(n_asked, 1);
}

static void strangers_and_nonsense(void **state)
{
	static const uint32_t highest[] = {0, 0x40000001, 0x3fffffff, 0x40000100, 0xffffffff};

	run_of(0x40000000, 0x40000001, TCG);
	assert_int_equal(look().xen_base + look().kvm_base, 0);
	for (unsigned i = 0; i < sizeof(highest) / sizeof(highest[0]); i++) {
		fresh(NULL);
		run_of(0x40000000, highest[i], XEN);
		leaf(0x40000002, 1, 0x40000000, 0, 0);
		assert_int_equal(look().xen_base, 0);
	}
	fresh(NULL);
	run_of(0x40000000, 0x40000005, XEN); /* no hypercall page */
	assert_int_equal(look().xen_base, 0);
	fresh(NULL);
	run_of(0x40000000, 0x50000000, KVM);
	leaf(0x40000001, 3, 0, 0, 0);
	assert_int_equal(look().kvm_base, 0);
	fresh(NULL);
	run_of(0x40000000, 0x40000001, "KVMKVMKVMKVM");
	assert_int_equal(look().kvm_base, 0);
}

/* ---- wishes ----------------------------------------------------------------------------- */

static enum boot_platform choose(struct platform_found found, enum pvops_choice wish, bool refused)
{
	const char *why = "left from before";
	enum boot_platform p = platform_choose(&found, wish, &why);

	assert_int_equal(why != NULL, refused);
	return p;
}

static const struct platform_found bare = {.pvh_entry = true},
				   pv = {.pv_entry = true, .xen_base = 0x40000000},
				   pvh = {.pvh_entry = true, .xen_base = 0x40000000},
				   hvm = {.xen_base = 0x40000000},
				   kvm = {.pvh_entry = true, .kvm_base = 0x40000000};

static void without_a_wish(void **state)
{
	assert_int_equal(choose(bare, PVOPS_AUTO, false), BOOT_NATIVE);
	assert_int_equal(choose(pv, PVOPS_AUTO, false), BOOT_XEN_PV);
	assert_int_equal(choose(pvh, PVOPS_AUTO, false), BOOT_XEN_PVH);
	assert_int_equal(choose(hvm, PVOPS_AUTO, false), BOOT_NATIVE);
	assert_int_equal(choose(kvm, PVOPS_AUTO, false), BOOT_KVM);
}

/* Rows: the platform; columns: native, kvm, xen-pv, xen-pvh. */
static void every_wish_everywhere(void **state)
{
	static const struct {
		const struct platform_found *found;
		enum boot_platform is;
		bool refused[4];
	} rules[] = {
	    {&bare, BOOT_NATIVE, {false, true, true, true}},
	    {&pv, BOOT_XEN_PV, {true, true, false, true}},
	    {&pvh, BOOT_XEN_PVH, {true, true, true, false}},
	    {&hvm, BOOT_NATIVE, {false, true, true, true}},
	    {&kvm, BOOT_KVM, {false, false, true, true}},
	};
	static const enum boot_platform meant[] = {BOOT_NATIVE, BOOT_KVM, BOOT_XEN_PV,
						   BOOT_XEN_PVH};

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		for (unsigned w = 0; w < 4; w++) {
			bool no = rules[i].refused[w];

			assert_int_equal(choose(*rules[i].found, PVOPS_NATIVE + w, no),
					 no ? rules[i].is : meant[w]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(xen_is_found, fresh),
	    cmocka_unit_test_setup(xen_behind_another, fresh),
	    cmocka_unit_test_setup(old_kvm_says_nothing_of_its_highest, fresh),
	    cmocka_unit_test_setup(a_bare_processor_is_not_asked, fresh),
	    cmocka_unit_test_setup(strangers_and_nonsense, fresh),
	    cmocka_unit_test(without_a_wish),
	    cmocka_unit_test(every_wish_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
