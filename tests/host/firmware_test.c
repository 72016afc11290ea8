/* firmware_test: what the readers of a board's firmware and serial port make of good and bad ones.
 *
 * Why: acpi.c decides how a machine goes off and where its interrupts come in, from tables
 * anybody's firmware wrote; uart.c must not wait for ever for a port that is not there. Expected:
 * facts of a whole set of tables are found, by search and by address; a table that is cut off,
 * changed or out of sight counts as absent, and its facts have their defaults. links: lib/acpi.c
 * lib/uart.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/acpi.h>
#include <amphi/uart.h>

/* ---- tables ---------------------------------------------------------------------------- */

#define BYTES 0x100000u
#define RSDP  0xf0010u
#define RSDT  0xf1000u
#define MADT  0xf2000u
#define FADT  0xf3000u
#define HPET  0xf4000u
#define MCFG  0xf4800u
#define DSDT  0xf5000u

static uint8_t memory[BYTES];

static const void *view(void *ctx, uint64_t address, uint64_t len)
{
	return address <= BYTES && len <= BYTES - address ? memory + address : NULL;
}

static void put32(uint32_t at, uint32_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static void seal(uint32_t at, uint32_t n, uint32_t sum_at)
{
	uint8_t sum = 0;

	memory[sum_at] = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += memory[at + i];
	memory[sum_at] = (uint8_t)-sum;
}

static void table(uint32_t at, const char *name, uint32_t length)
{
	memcpy(memory + at, name, 4);
	put32(at + 4, length);
	seal(at, length, at + 9);
}

static int board(void **state)
{
	static const uint8_t s5[] = {'_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0, 0};

	memset(memory, 0, sizeof(memory));
	memcpy(memory + RSDP, "RSD PTR ", 8);
	put32(RSDP + 16, RSDT);
	seal(RSDP, 20, RSDP + 8);
	put32(RSDT + 36, MADT);
	put32(RSDT + 40, FADT);
	put32(RSDT + 44, HPET);
	put32(RSDT + 48, MCFG);
	table(RSDT, "RSDT", 52);
	memcpy(memory + MADT + 44, (uint8_t[]){1, 12, 5, 0}, 4);
	put32(MADT + 48, 0xfec10000);
	put32(MADT + 52, 24);
	memcpy(memory + MADT + 56, (uint8_t[]){2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0}, 10);
	table(MADT, "APIC", 66);
	put32(FADT + 40, DSDT);
	put32(FADT + 64, 0xb004);
	put32(FADT + 76, 0x608);
	memory[FADT + 91] = 4;
	memory[FADT + 108] = 0x32;
	put32(FADT + 112, 1u << 10 | 1u << 8);
	memory[FADT + 116] = 1;
	put32(FADT + 120, 0x64);
	memory[FADT + 128] = 0xfe;
	table(FADT, "FACP", 132);
	memcpy(memory + DSDT + 40, s5, sizeof(s5));
	table(DSDT, "DSDT", 80);
	put32(HPET + 44, 0xfed00000);
	table(HPET, "HPET", 56);
	put32(MCFG + 44, 0xb0000000);
	memory[MCFG + 55] = 0x7f;
	table(MCFG, "MCFG", 60);
	return 0;
}

static void assert_facts(const struct acpi_info *a)
{
	assert_int_equal(a->hpet, 0xfed00000);
	assert_int_equal(a->ecam, 0xb0000000);
	assert_int_equal(a->ecam_last_bus, 0x7f);
	assert_int_equal(a->n_ioapics, 1);
	assert_int_equal(a->ioapic[0].address, 0xfec10000);
	assert_int_equal(a->ioapic[0].first_gsi, 24);
	assert_int_equal(a->ioapic[0].id, 5);
	assert_int_equal(a->isa[9].gsi, 20);
	assert_true(a->isa[9].level && a->isa[9].active_low);
	assert_int_equal(a->isa[4].gsi, 4);
	assert_int_equal(a->pm1a_control, 0xb004);
	assert_int_equal(a->off_value, 5 << 10 | 1 << 13);
	assert_int_equal(a->reset_port, 0x64);
	assert_int_equal(a->reset_value, 0xfe);
	assert_true(a->power_told);
	assert_int_equal(a->pm_timer, 0x608);
	assert_true(a->pm_timer_wide);
	assert_int_equal(a->rtc_century, 0x32);
	assert_false(a->no_rtc);
}

static void assert_power_defaults(const struct acpi_info *a)
{
	assert_int_equal(a->pm1a_control, 0x604);
	assert_int_equal(a->off_value, 1 << 13);
	assert_false(a->power_told);
}

static void facts_are_found(void **state)
{
	struct acpi_info a;

	acpi_read(view, NULL, 0, &a);
	assert_facts(&a);
	/* Told where: what lies in the BIOS's area does not matter then. */
	memcpy(memory + 0x8000, memory + RSDP, 20);
	memset(memory + RSDP, 0, 20);
	acpi_read(view, NULL, 0x8000, &a);
	assert_facts(&a);
	/* Else it may be in the first KiB of the BIOS's own memory. */
	memcpy(memory + 0x40e, (uint8_t[]){0x00, 0x08}, 2);
	acpi_read(view, NULL, 0, &a);
	assert_facts(&a);
}

/* In both forms, some twice, one that is not enabled, and one that only says that there is none. */
static void cpus_are_found(void **state)
{
	struct acpi_info a;
	uint8_t *p = memory + MADT + 66;
	static const uint8_t records[] = {0, 8, 0, 4,   1, 0, 0, 0, 0, 8, 1, 6, 0, 0, 0, 0,
					  0, 8, 2, 255, 1, 0, 0, 0, 0, 8, 3, 5, 1, 0, 0, 0};
	static const uint8_t wide[] = {9, 16, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};

	acpi_read(view, NULL, 0, &a);
	assert_int_equal(a.n_cpus, 0);
	memcpy(p, records, sizeof(records));
	p += sizeof(records);
	memcpy(p, wide, sizeof(wide));
	memcpy(p + 16, wide, sizeof(wide));
	p[21] = 1; /* id 0x105 */
	table(MADT, "APIC", 66 + sizeof(records) + 2 * sizeof(wide));
	acpi_read(view, NULL, 0, &a);
	assert_facts(&a);
	assert_int_equal(a.n_cpus, 3);
	assert_int_equal(a.cpu[0], 4);
	assert_int_equal(a.cpu[1], 5);
	assert_int_equal(a.cpu[2], 0x105);
}

/* What there is no room for is left out. */
static void more_cpus_than_room(void **state)
{
	unsigned n = ACPI_MAX_CPUS + 5;
	struct acpi_info a;

	for (unsigned i = 0; i < n; i++)
		memcpy(memory + MADT + 66 + i * 8, (uint8_t[]){0, 8, 0, (uint8_t)i, 1, 0, 0, 0}, 8);
	table(MADT, "APIC", 66 + n * 8);
	acpi_read(view, NULL, 0, &a);
	assert_int_equal(a.n_cpus, ACPI_MAX_CPUS);
	assert_int_equal(a.cpu[ACPI_MAX_CPUS - 1], ACPI_MAX_CPUS - 1);
}

static void nothing_gives_defaults(void **state)
{
	struct acpi_info a;

	memset(memory, 0, sizeof(memory));
	acpi_read(view, NULL, 0, &a);
	assert_power_defaults(&a);
	assert_int_equal(a.hpet, 0);
	assert_int_equal(a.n_ioapics, 1);
	assert_int_equal(a.ioapic[0].address, 0xfec00000);
	assert_int_equal(a.reset_port, 0xcf9);
	assert_int_equal(a.pm_timer, 0);
	assert_false(a.no_rtc);
	acpi_read(view, NULL, 0x7fffffff, &a);
	assert_power_defaults(&a);
}

static void bad_tables_are_absent(void **state)
{
	struct acpi_info a;

	memory[FADT + 70]++; /* a wrong sum */
	acpi_read(view, NULL, 0, &a);
	assert_power_defaults(&a);
	assert_int_equal(a.hpet, 0xfed00000);
	board(NULL);
	put32(HPET + 4, 0x7fffff); /* longer than what can be seen */
	acpi_read(view, NULL, 0, &a);
	assert_int_equal(a.hpet, 0);
	board(NULL);
	memory[MADT + 57] = 200; /* a record that ends behind its table */
	seal(MADT, 66, MADT + 9);
	acpi_read(view, NULL, 0, &a);
	assert_int_equal(a.isa[9].gsi, 9);
	board(NULL);
	memory[DSDT + 44] = 0; /* no package: soft-off is not known, so QEMU's ports serve */
	seal(DSDT, 80, DSDT + 9);
	acpi_read(view, NULL, 0, &a);
	assert_power_defaults(&a);
	assert_int_equal(a.reset_port, 0x64);
}

/* ---- the serial port ------------------------------------------------------------------- */

static struct {
	bool absent, full;
	uint8_t regs[8], input[4];
	char out[64];
	unsigned sent, left, polls;
} port;

static uint8_t in(uint16_t at)
{
	unsigned reg = at - UART_COM1;

	assert_true(reg < UART_PORTS);
	if (port.absent)
		return 0xff;
	if (reg == 5) {
		port.polls++;
		return (uint8_t)((port.full ? 0 : 0x20) | (port.left ? 1 : 0));
	}
	return reg == 0 ? port.input[--port.left] : port.regs[reg];
}

static void out(uint16_t at, uint8_t value)
{
	unsigned reg = at - UART_COM1;

	assert_true(reg < UART_PORTS);
	if (reg == 0 && !(port.regs[3] & 0x80) && port.sent < sizeof(port.out))
		port.out[port.sent++] = (char)value;
	port.regs[reg] = value;
}

static const struct uart com1 = {UART_COM1, in, out};

static void serial_port_works(void **state)
{
	uint8_t got[8];

	memset(&port, 0, sizeof(port));
	assert_true(uart_start(&com1));
	assert_int_equal(port.regs[3], 0x03);
	assert_int_equal(port.regs[1], 0);
	uart_write(&com1, "a line that is longer than one FIFO\n", 36);
	assert_int_equal(port.sent, 36);
	assert_memory_equal(port.out, "a line that is longer than one FIFO\n", 36);
	assert_int_equal(port.polls, 3); /* once for each FIFO */
	port.left = 3;
	memcpy(port.input, "bac", 3);
	assert_int_equal(uart_read(&com1, got, 1), 1);
	assert_int_equal(got[0], 'c');
	assert_int_equal(uart_read(&com1, got, sizeof(got)), 2);
	assert_memory_equal(got, "ab", 2);
	uart_listen(&com1);
	assert_int_equal(port.regs[1], 1);
	port.absent = true;
	assert_false(uart_start(&com1));
}

static void full_port_loses_text(void **state)
{
	memset(&port, 0, sizeof(port));
	port.full = true;
	uart_write(&com1, "x", 1);
	assert_int_equal(port.sent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(facts_are_found, board),
	    cmocka_unit_test_setup(cpus_are_found, board),
	    cmocka_unit_test_setup(more_cpus_than_room, board),
	    cmocka_unit_test_setup(nothing_gives_defaults, board),
	    cmocka_unit_test_setup(bad_tables_are_absent, board),
	    cmocka_unit_test(serial_port_works),
	    cmocka_unit_test(full_port_loses_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
