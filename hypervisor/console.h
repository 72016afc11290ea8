/* console.h: the start of the console, and the last words of the machine.
 *
 * Private to the files that start and end the machine; output itself is hv_printk of io.h.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <amphi/types.h>

/* As console= and guest_console of the command line say. Before it nothing is printed. */
void console_init(void);
/* Once interrupts are set up: input. */
void console_listen(void);

/* machine.c: after a panic: the machine is reset, or stands still with panic=halt. */
void machine_stop(void) __attribute__((noreturn));

#endif
