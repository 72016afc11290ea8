/* iommu_sender_test.c: which numbers a function's requests may come as.
 *
 * Shows: behind a bridge to conventional PCI it is the bridge's, by the rule of its kind, and of several the one next to the unit's; behind any other, and on a root bus of
 * its own, the function's own; firmware's word goes first, and a bridge that says otherwise counts as well; bridges that lie about their buses
 * end the search. Why: a number that is missed is another owner's DMA. (What is done with them: hv_iommu_test, dma_sender_test.)
 *
 * links: iommu/sender.c lib/pci_cap.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host_iommu.h>
#include <amphi/iommu.h>

/* ---- configuration space --------------------------------------------------------------------------- */

#define NO_EXPRESS 0xffu
enum { PORT = 4, TO_PCI = 7, FROM_PCI = 8 };

static struct function {
	uint16_t bdf;
	uint8_t type, first, last; /* first 0: no bridge */
	bool several;
} functions[8];
static unsigned n_functions, n_reads;
static struct iommu_alias aliases[3];
static unsigned n_aliases;

static const struct function *find(uint16_t bdf)
{
	for (unsigned i = 0; i < n_functions; i++)
		if (functions[i].bdf == bdf)
			return &functions[i];
	return NULL;
}

uint32_t host_iommu_config(uint16_t bdf, unsigned offset)
{
	const struct function *f = find(bdf);

	n_reads++;
	if (!f)
		return ~0u;
	switch (offset) {
	case 0x04:
		return f->type == NO_EXPRESS ? 0 : 0x10u << 16;
	case 0x0c:
		return (uint32_t)f->several << 23 | (f->first ? 1u : 0) << 16;
	case 0x34:
		return 0x40;
	case 0x40:
		return 0x10 | (uint32_t)f->type << 20;
	default:
		return 0;
	}
}

bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	const struct function *f = find(bdf);

	*out_first_bus = f ? f->first : 0xff;
	*out_last_bus = f ? f->last : 0xff;
	return f && f->first;
}

const struct iommu_alias *iommu_alias(unsigned n)
{
	return n < n_aliases ? &aliases[n] : NULL;
}

static void bridge(uint16_t bdf, uint8_t type, uint8_t first, uint8_t last)
{
	functions[n_functions++] = (struct function){bdf, type, first, last, false};
}

static int none(void **state)
{
	n_functions = n_aliases = 0;
	return 0;
}

/* All of them, in order; ~0u: no more. */
static void is_known_as(uint16_t bdf, unsigned first, unsigned second, unsigned third)
{
	const unsigned want[] = {first, second, third};
	struct iommu_names names;
	unsigned n = 0;

	iommu_names(bdf, &names);
	for (; n < 3 && want[n] != ~0u; n++)
		assert_int_equal(n < names.n ? names.name[n] : ~0u, want[n]);
	assert_int_equal(names.n, n);
	assert_int_equal(iommu_sender(bdf), first);
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static void behind_bridges(void **state)
{
	bridge(0x30, PORT, 1, 2);
	bridge(0x100, TO_PCI, 2, 2);
	bridge(0x38, NO_EXPRESS, 3, 5);
	bridge(0x308, NO_EXPRESS, 4, 4);
	bridge(0x40, FROM_PCI, 6, 7);
	is_known_as(0x28, 0x28, ~0u, ~0u);
	is_known_as(0x100, 0x100, ~0u, ~0u);
	is_known_as(0x208, 0x200, 0x208, ~0u);
	is_known_as(0x200, 0x200, ~0u, ~0u);
	is_known_as(0x310, 0x38, 0x310, ~0u);
	is_known_as(0x400, 0x38, 0x400, ~0u);
	is_known_as(0x500, 0x38, 0x500, ~0u); /* nobody leads to it from bus 3 */
	is_known_as(0x700, 0x40, 0x700, ~0u);
	assert_false(iommu_lends(0x30));
	assert_false(iommu_lends(0x100));
	assert_true(iommu_lends(0x38));
	assert_true(iommu_lends(0x308));
}

/* As the virtual functions of a device that has more than its bus holds. */
static void a_bus_beyond(void **state)
{
	bridge(0x30, PORT, 1, 3);
	bridge(0x38, TO_PCI, 4, 6);
	is_known_as(0x300, 0x300, ~0u, ~0u);
	is_known_as(0x508, 0x400, 0x508, ~0u);
}

/* A second root begins where no bridge of the first leads. */
static void another_root(void **state)
{
	bridge(0x30, PORT, 1, 1);
	bridge(0x8010, NO_EXPRESS, 0x81, 0x82);
	is_known_as(0x8010, 0x8010, ~0u, ~0u);
	is_known_as(0x8200, 0x8010, 0x8200, ~0u);
	is_known_as(0xff00, 0xff00, ~0u, ~0u);
}

/* The others of a device are asked only where the first says that there are some: a device may answer for all eight. */
static void several_functions(void **state)
{
	functions[0] = (struct function){.bdf = 0x30, .type = NO_EXPRESS};
	functions[1] = (struct function){0x32, NO_EXPRESS, 2, 2, false};
	n_functions = 2;
	is_known_as(0x208, 0x208, ~0u, ~0u);
	functions[0].several = true;
	is_known_as(0x208, 0x32, 0x208, ~0u);
	n_functions = 0;
	n_reads = 0;
	is_known_as(0x100, 0x100, ~0u, ~0u);
	assert_int_equal(n_reads, 64); /* two calls, 32 devices */
}

static void bridges_that_lie(void **state)
{
	bridge(0x30, PORT, 1, 9);
	bridge(0x100, PORT, 1, 9); /* to where it is itself */
	bridge(0x108, NO_EXPRESS, 3, 2);
	bridge(0x110, NO_EXPRESS, 9, 9);
	is_known_as(0x208, 0x208, ~0u, ~0u);
	is_known_as(0x900, 0x110, 0x900, ~0u);
}

static void firmwares_word(void **state)
{
	bridge(0x30, TO_PCI, 2, 2);
	bridge(0x38, NO_EXPRESS, 3, 3);
	aliases[0] = (struct iommu_alias){0x210, 0x2ff, 0x30};
	aliases[1] = (struct iommu_alias){0x48, 0x4f, 0x48};
	aliases[2] = (struct iommu_alias){0x300, 0x3ff, 0x38};
	n_aliases = 3;
	is_known_as(0x208, 0x200, 0x208, ~0u);
	is_known_as(0x210, 0x30, 0x200, 0x210);
	is_known_as(0x2ff, 0x30, 0x200, 0x2ff);
	is_known_as(0x308, 0x38, 0x308, ~0u);
	is_known_as(0x49, 0x48, 0x49, ~0u);
	is_known_as(0x50, 0x50, ~0u, ~0u);
	assert_true(iommu_lends(0x30));
	n_aliases = 0;
	assert_false(iommu_lends(0x30));
}

static void names_that_meet(void **state)
{
	const struct iommu_names a = {2, {1, 2}}, b = {3, {4, 3, 2}}, c = {1, {4}},
				 none_at_all = {0};

	assert_true(iommu_names_meet(&a, &b));
	assert_true(iommu_names_meet(&b, &a));
	assert_true(iommu_names_meet(&b, &c));
	assert_false(iommu_names_meet(&a, &c));
	assert_false(iommu_names_meet(&a, &none_at_all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(behind_bridges, none),
	    cmocka_unit_test_setup(a_bus_beyond, none),
	    cmocka_unit_test_setup(another_root, none),
	    cmocka_unit_test_setup(several_functions, none),
	    cmocka_unit_test_setup(bridges_that_lie, none),
	    cmocka_unit_test_setup(firmwares_word, none),
	    cmocka_unit_test_setup(names_that_meet, none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
