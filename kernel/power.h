/* power.h: how this kernel ends.
 *
 * Callers: the shell, panic.c, service.c. In a Xen domain by SCHEDOP_shutdown, natively by QEMU's
 * debug exit port, ACPI's fixed power-off port, at last by halting. Not the shutdown of the
 * devices: the caller has flushed what it wants kept.
 */
#ifndef KERNEL_POWER_H
#define KERNEL_POWER_H

/* Writes data/exit-code to the store when there is one, prints "@exit CODE", powers off.
 * Thread context ([waits] for the store). */
void power_halt(int code) __attribute__((noreturn));

/* Any context; say nothing, only end. */
void power_off(int code) __attribute__((noreturn));
void power_crash(void) __attribute__((noreturn));
void power_reboot(void) __attribute__((noreturn));

#endif
