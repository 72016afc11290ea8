/* power.c: the end of this kernel, told to whatever is beneath it.
 *
 * Callers: see power.h. Calls hypercalls, the store (power_halt only), or on a bare machine
 * ports: isa-debug-exit of QEMU at 0xf4, whose code n becomes exit status 2n+1, and those for power
 * and reset that ACPI named (acpi.h).
 */
#include <amphi/host.h>
#include <amphi/hypercall.h>
#include <amphi/printf.h>
#include <amphi/pvops.h>
#include "boot.h"
#include "console.h"
#include "io.h"
#include "power.h"
#include "time.h"
#include "worker.h"

#define DEBUG_EXIT    0xf4
#define ACPI_SOFT_OFF 0x2000
#define ACPI_WAIT_US  500000u
#define CRASH_CODE    127

/* Returns only when the hypervisor refuses. */
static void shutdown(unsigned reason)
{
	struct sched_shutdown how = {.reason = reason};

	(void)hypercall_sched_op(SCHEDOP_shutdown, &how);
}

/* For the first domain of real Xen: its shutdown only halts the machine, for ACPI is dom0's affair.
 * The registers are found by Xen itself, the value is the one of the machines named above. */
static void xen_soft_off(void)
{
	struct xen_platform_op op = {.cmd = XENPF_enter_acpi_sleep,
				     .interface_version = XENPF_INTERFACE_VERSION};

	op.u.enter_acpi_sleep.val_a = ACPI_SOFT_OFF;
	op.u.enter_acpi_sleep.sleep_state = 5;
	(void)hypercall_platform_op(&op);
}

/* Interrupts off and halted: under a hypervisor that did not stop us this costs no processor. */
static void stop_for_good(void) __attribute__((noreturn));
static void stop_for_good(void)
{
	pv_irq_disable();
	for (;;)
		pv_halt();
}

/* Natively with a code: the exit port first, because only it can tell the code; where it is
 * absent the write goes nowhere, and ACPI follows. With 0, ACPI first: an emulator then ends as
 * a machine does. */
void power_off(int code)
{
	pv_irq_disable();
	if (boot_on_xen()) {
		if (boot.privileged)
			xen_soft_off();
		shutdown(SHUTDOWN_poweroff);
		stop_for_good();
	}
	if (code)
		io_out8(DEBUG_EXIT, (uint8_t)code);
	io_out16(boot.acpi.pm1a_control, boot.acpi.off_value);
	if (boot.acpi.power_told)
		time_delay_us(ACPI_WAIT_US); /* it takes its time; the exit port would come first */
	io_out8(DEBUG_EXIT, (uint8_t)code);
	stop_for_good();
}

/* SHUTDOWN_crash is what lets a toolstack keep the domain for a look; natively only the code
 * tells. */
void power_crash(void)
{
	pv_irq_disable();
	if (!boot_on_xen())
		power_off(CRASH_CODE);
	shutdown(SHUTDOWN_crash);
	stop_for_good();
}

void power_reboot(void)
{
	pv_irq_disable();
	if (boot_on_xen())
		shutdown(SHUTDOWN_reboot);
	else
		io_out8(boot.acpi.reset_port, boot.acpi.reset_value);
	stop_for_good();
}

/* data/ is the part of its own directory that a guest may write. */
static int write_exit_code(void *ctx)
{
	char text[16];

	fmt_text(text, sizeof(text), "%d", *(int *)ctx);
	return host_store_write(HOST_TX_NONE, "data/exit-code", text);
}

/* The store first, as it needs threads and interrupts; then the line for whoever reads the
 * console, which must be out before the machine goes. */
void power_halt(int code)
{
	if (boot.store_page && worker_call(write_exit_code, &code))
		klog(LOG_WARN, "the exit code could not be written to the store");
	console_printf("@exit %d\n", code);
	console_drain();
	power_off(code);
}
