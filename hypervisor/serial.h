/* serial.h: the first serial port as the hypervisor's console.
 *
 * Private; console.c calls. Output waits for the port. Input comes by interrupt, through the
 * function given to serial_listen, with interrupts off.
 */
#ifndef HV_SERIAL_H
#define HV_SERIAL_H

#include <amphi/types.h>

/* Starts the port when it is wanted and there. */
void serial_init(bool wanted);
void serial_put(const char *text, size_t n);
void serial_listen(void (*fn)(char c));
/* Whether the hypervisor keeps these ports for itself. */
bool serial_owns_port(uint32_t port);

#endif
