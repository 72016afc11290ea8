/* console_sinks.h: the places a console's output can go.
 *
 * Caller: console.c, which picks one. Implemented by console_serial.c, console_xen.c and
 * console_screen.c. A sink's
 * start is called with interrupts off, as early as anything; its listen once interrupts and
 * events work.
 */
#ifndef KERNEL_CONSOLE_SINKS_H
#define KERNEL_CONSOLE_SINKS_H

#include "console.h"

struct console_port {
	struct console_sink sink;
	/* Makes output work; false when the device is not there. */
	bool (*start)(void);
	/* Makes console_input_ready() be called when there is input. 0 or a negative XEN_Exxx. */
	int (*listen)(void);
	/* After a suspend: takes up the port anew. NULL: nothing to do. Interrupts off. */
	void (*resume)(void);
	/* See console_drain(); NULL: output is complete at once. */
	void (*drain)(void);
};

extern const struct console_port console_serial; /* 16550 at the first port: natively */
extern const struct console_port console_screen; /* what the firmware shows: natively */
extern const struct console_port console_ring;   /* the ring of a domain that is not the first */
extern const struct console_port console_hypervisor; /* HYPERVISOR_console_io */

#endif
