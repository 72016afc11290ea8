/* pci_group_test.c: which functions are one group, by how they hang together.
 *
 * Machines are drawn as tables of functions with their kind and access control; configuration space says just that. Why: two
 * functions that no unit keeps apart, in two domains, are a way from one into the other that no fault tells of. Expected: the groups that
 * Linux makes of the same machine (and a switch without access control in one, which it does not); access control is turned on where it is;
 * lists that loop and bridges that lead in circles end.
 *
 * links: control/pci_group.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "control/pci_group.h"

#define ROOT_PORT  4
#define UPSTREAM   5
#define DOWNSTREAM 6
#define TO_PCI     7
#define FROM_PCI   8
#define IN_ROOT    9
#define PLAIN      -1 /* conventional */

#define ACS       0x1fu
#define FUNCTIONS 12u

/* One row of a machine. */
struct row {
	uint16_t bdf;
	int8_t kind;
	uint8_t behind;
	uint16_t acs;      /* capability word; 0: it has none */
	uint16_t physical; /* of a virtual function; else 0 */
	int group;         /* what is expected: rows of one number are one group */
};

static struct {
	struct row row;
	uint8_t config[4096];
} machine[FUNCTIONS];
static unsigned n_functions;

static uint8_t *config_of(uint16_t bdf)
{
	for (unsigned i = 0; i < n_functions; i++)
		if (machine[i].row.bdf == bdf)
			return machine[i].config;
	return NULL;
}

uint32_t host_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	const uint8_t *config = config_of(bdf);
	uint32_t value = 0;

	assert_true(offset + width_bytes <= 4096);
	if (!config)
		return ~0u >> (32 - 8 * width_bytes);
	memcpy(&value, config + offset, width_bytes);
	return value;
}

void host_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	assert_true(offset + width_bytes <= 4096);
	memcpy(config_of(bdf) + offset, &value, width_bytes);
}

bool host_pci_nth(unsigned n, struct host_pci_function *out)
{
	const struct row *r = &machine[n].row;

	if (n >= n_functions)
		return false;
	*out = (struct host_pci_function){.bdf = r->bdf,
					  .physical = r->physical ? r->physical : r->bdf,
					  .class_code = r->behind ? 0x060400 : 0x010802,
					  .bridge = r->behind != 0};
	return true;
}

#define EXPRESS_AT 0x70u
#define ACS_AT     0x140u

static void add(const struct row *row)
{
	uint8_t *config = machine[n_functions].config;

	memset(config, 0, 4096);
	machine[n_functions++].row = *row;
	config[0x19] = row->behind;
	if (row->kind == PLAIN || row->physical)
		return;
	config[6] = 0x10;
	config[0x34] = 0x50; /* power management, then Express */
	config[0x50] = 1;
	config[0x51] = EXPRESS_AT;
	config[EXPRESS_AT] = 0x10;
	config[EXPRESS_AT + 2] = (uint8_t)(row->kind << 4 | 2);
	if (!row->acs)
		return;
	memcpy(config + 0x100, &(uint32_t){0x1 | 1 << 16 | ACS_AT << 20}, 4); /* AER before it */
	memcpy(config + ACS_AT, &(uint32_t){0xd | 1 << 16}, 4);
	memcpy(config + ACS_AT + 4, &row->acs, 2);
}

static void build(const struct row *rows, unsigned n)
{
	n_functions = 0;
	for (unsigned i = 0; i < n; i++)
		add(&rows[i]);
}

/* Two rows are together just when their numbers are the same. */
static void expect_groups(const struct row *rows, unsigned n)
{
	build(rows, n);
	pci_group_read();
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			if ((pci_group_number(rows[i].bdf) == pci_group_number(rows[k].bdf)) !=
			    (rows[i].group == rows[k].group))
				fail_msg("%x and %x: groups %d and %d", rows[i].bdf, rows[k].bdf,
					 pci_group_number(rows[i].bdf),
					 pci_group_number(rows[k].bdf));
}
#define EXPECT_GROUPS(rows) expect_groups(rows, ARRAY_SIZE(rows))

/* ---- one device ------------------------------------------------------------------------------- */

static void each_device_of_the_root_is_one(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0008, .kind = PLAIN, .group = 1},
	    {.bdf = 0x0010, .kind = 0, .group = 2},
	    {.bdf = 0x00f8, .kind = PLAIN, .group = 3},
	    {.bdf = 0x00fa, .kind = PLAIN, .group = 3},
	    {.bdf = 0x00fb, .kind = IN_ROOT, .group = 3},
	};
	struct host_pci_function f;

	EXPECT_GROUPS(rows);
	assert_false(pci_group_other(0x0008, 0, &f));
	assert_true(pci_group_other(0x00fa, 0, &f));
	assert_int_equal(f.bdf, 0x00f8);
	assert_true(pci_group_other(0x00fa, 1, &f));
	assert_int_equal(f.bdf, 0x00fb);
	assert_false(pci_group_other(0x00fa, 2, &f));
	assert_false(pci_group_other(0x0777, 0, &f));
	assert_int_equal(pci_group_number(0x0777), -1);
}

/* With access control each is apart; that of one alone does not help the other. */
static void functions_with_access_control_are_apart(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0010, .kind = 0, .acs = 0x8, .group = 1},
	    {.bdf = 0x0011, .kind = 0, .acs = 0xc, .group = 2},
	    {.bdf = 0x0018, .kind = 0, .acs = 0x8, .group = 3},
	    {.bdf = 0x0019, .kind = 0, .group = 3},
	};

	EXPECT_GROUPS(rows);
	assert_int_equal(host_pci_read(0x0010, ACS_AT + 6, 2), 0x8);
	assert_int_equal(host_pci_read(0x0011, ACS_AT + 6, 2), 0xc);
	host_pci_write(0x0010, ACS_AT + 6, 2, 0);
	pci_group_after_reset(0x0010);
	assert_int_equal(host_pci_read(0x0010, ACS_AT + 6, 2), 0x8);
}

/* A virtual function is alone, wherever its number falls. */
static void virtual_functions_are_apart(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0008, .kind = ROOT_PORT, .behind = 1, .acs = ACS, .group = 1},
	    {.bdf = 0x0100, .kind = 0, .group = 2},
	    {.bdf = 0x0101, .physical = 0x0100, .group = 3},
	    {.bdf = 0x0202, .physical = 0x0100, .group = 4},
	};

	EXPECT_GROUPS(rows);
	assert_int_equal(host_pci_read(0x0008, ACS_AT + 6, 2), 0x1d);
}

/* ---- ports and switches ----------------------------------------------------------------------- */

static void all_behind_a_port_without_access_control(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0008, .kind = ROOT_PORT, .behind = 1, .group = 1},
	    {.bdf = 0x0010, .kind = ROOT_PORT, .behind = 2, .group = 2},
	    {.bdf = 0x0100, .kind = 0, .group = 1},
	    {.bdf = 0x0101, .physical = 0x0100, .group = 1},
	    {.bdf = 0x0200, .kind = 0, .group = 2},
	};

	EXPECT_GROUPS(rows);
}

/* Ports that are functions of one device, and have none: all behind them is one. */
static void ports_of_one_device(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x00e0, .kind = ROOT_PORT, .behind = 1, .group = 1},
	    {.bdf = 0x00e1, .kind = ROOT_PORT, .behind = 2, .group = 1},
	    {.bdf = 0x0100, .kind = 0, .group = 1},
	    {.bdf = 0x0200, .kind = 0, .group = 1},
	};

	EXPECT_GROUPS(rows);
}

static const struct row a_switch[] = {
    {.bdf = 0x0008, .kind = ROOT_PORT, .behind = 1, .acs = ACS, .group = 1},
    {.bdf = 0x0100, .kind = UPSTREAM, .behind = 2, .group = 2},
    {.bdf = 0x0200, .kind = DOWNSTREAM, .behind = 3, .acs = ACS, .group = 3},
    {.bdf = 0x0208, .kind = DOWNSTREAM, .behind = 4, .acs = ACS, .group = 4},
    {.bdf = 0x0300, .kind = 0, .group = 5},
    {.bdf = 0x0400, .kind = 0, .group = 6},
    {.bdf = 0x0401, .physical = 0x0400, .group = 7},
};

static void behind_a_switch_with_access_control(void **state)
{
	EXPECT_GROUPS(a_switch);
}

/* One port that does not keep to the way up reaches what is behind the other. */
static void behind_a_switch_without(void **state)
{
	struct row rows[ARRAY_SIZE(a_switch)];

	memcpy(rows, a_switch, sizeof(rows));
	rows[2].acs = 0;
	for (unsigned i = 2; i < 7; i++)
		rows[i].group = 3;
	EXPECT_GROUPS(rows);
	rows[3].acs = 0;
	EXPECT_GROUPS(rows);
}

/* What goes up may come down again at the root port. */
static void below_a_port_without(void **state)
{
	struct row rows[ARRAY_SIZE(a_switch)];

	memcpy(rows, a_switch, sizeof(rows));
	rows[0].acs = 0;
	for (unsigned i = 0; i < 7; i++)
		rows[i].group = 1;
	EXPECT_GROUPS(rows);
}

/* A port whose register does not take what it says it has is none. */
static void access_control_that_does_not_work(void **state)
{
	struct row rows[ARRAY_SIZE(a_switch)];

	memcpy(rows, a_switch, sizeof(rows));
	build(rows, ARRAY_SIZE(rows));
	memcpy(config_of(0x0200) + 0x100, &(uint32_t){0x1 | 1 << 16 | 0x100 << 20}, 4); /* loops */
	config_of(0x0208)[0x51] = 0x50; /* so does this list: it is no Express port */
	pci_group_read();
	assert_int_equal(pci_group_number(0x0300), pci_group_number(0x0400));
}

/* ---- conventional buses ------------------------------------------------------------------------ */

static void all_behind_a_conventional_bridge(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0008, .kind = ROOT_PORT, .behind = 1, .acs = ACS, .group = 1},
	    {.bdf = 0x0100, .kind = TO_PCI, .behind = 2, .group = 2},
	    {.bdf = 0x0208, .kind = PLAIN, .group = 2},
	    {.bdf = 0x0210, .kind = PLAIN, .behind = 3, .group = 2},
	    {.bdf = 0x0308, .kind = PLAIN, .group = 2},
	    {.bdf = 0x00f0, .kind = PLAIN, .behind = 4, .group = 3},
	    {.bdf = 0x0400, .kind = PLAIN, .group = 3},
	    {.bdf = 0x0408, .kind = FROM_PCI, .behind = 5, .group = 3},
	    {.bdf = 0x0500, .kind = 0, .group = 3},
	};

	EXPECT_GROUPS(rows);
}

static void bridges_in_a_circle(void **state)
{
	static const struct row rows[] = {
	    {.bdf = 0x0100, .kind = DOWNSTREAM, .behind = 2, .acs = ACS, .group = 1},
	    {.bdf = 0x0200, .kind = DOWNSTREAM, .behind = 1, .acs = ACS, .group = 1},
	    {.bdf = 0x0208, .kind = 0, .group = 1},
	};

	EXPECT_GROUPS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_device_of_the_root_is_one),
	    cmocka_unit_test(functions_with_access_control_are_apart),
	    cmocka_unit_test(virtual_functions_are_apart),
	    cmocka_unit_test(all_behind_a_port_without_access_control),
	    cmocka_unit_test(ports_of_one_device),
	    cmocka_unit_test(behind_a_switch_with_access_control),
	    cmocka_unit_test(behind_a_switch_without),
	    cmocka_unit_test(below_a_port_without),
	    cmocka_unit_test(access_control_that_does_not_work),
	    cmocka_unit_test(all_behind_a_conventional_bridge),
	    cmocka_unit_test(bridges_in_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
