/* machine.c: how the machine ends: power off, reset, or standstill.
 *
 * Callers: domain_end.c (the first domain has ended), console.c (panic). Each way is tried in turn,
 * from what ACPI says to what old boards have, since nobody is left to report to.
 */
#include <amphi/string.h>

#include "apic.h"
#include "boot.h"
#include "console.h"
#include "cpu.h"
#include "io.h"
#include "mm.h"
#include "percpu.h"

#define KEYBOARD_PORT  0x64
#define KEYBOARD_RESET 0xfe
#define CHIPSET_RESET  0xcf9
#define RESET_COLD     0x06
#define ATTEMPTS       1000000

static void wait_a_moment(void)
{
	for (unsigned i = 0; i < ATTEMPTS; i++)
		spin_relax();
}

static void report_end(void)
{
	uint64_t n[CNT_COUNT];
	struct mm_stats stats;

	for (unsigned i = 0; i < CNT_COUNT; i++)
		n[i] = count_all((enum hv_counter)i);

	mm_stats(&stats);
	hv_printk("@stat hypercalls=%lu upcalls=%lu exceptions=%lu interrupts=%lu switches=%lu "
		  "emulated=%lu memory_kib=%lu free_kib=%lu",
		  n[CNT_HYPERCALLS], n[CNT_UPCALLS], n[CNT_EXCEPTIONS], n[CNT_IRQS],
		  n[CNT_SWITCHES], n[CNT_EMULATED], (stats.hv_pages * 4), (stats.free_pages * 4));
}

void machine_off(void)
{
	const struct acpi_info *acpi = acpi_info();

	report_end();
	port_out(acpi->pm1a_control, 2, acpi->off_value);
	if (acpi->pm1b_control != 0)
		port_out(acpi->pm1b_control, 2, acpi->off_value);
	wait_a_moment();
	hv_printk("the machine does not go off; it may be switched off now");
	cpu_halt();
}

/* What ACPI says first; chipset and keyboard controller where that leads nowhere. */
void machine_reboot(void)
{
	port_out(acpi_info()->reset_port, 1, acpi_info()->reset_value);
	port_out(CHIPSET_RESET, 1, RESET_COLD);
	wait_a_moment();
	port_out(KEYBOARD_PORT, 1, KEYBOARD_RESET);
	wait_a_moment();
	cpu_halt();
}

void machine_stop(void)
{
	char how[8];

	apic_stop_others();
	if (boot_option("panic", how, sizeof(how)) && strcmp(how, "halt") == 0)
		cpu_halt();
	machine_reboot();
}
