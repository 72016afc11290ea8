/* serial.h: the first serial port, or the emulator's debug port, as the hypervisor's console.
 *
 * Private; console.c calls. Output waits for the port. Input comes by interrupt, through the
 * function given to serial_listen, with interrupts off.
 */
#ifndef HV_SERIAL_H
#define HV_SERIAL_H

#include <amphi/types.h>

enum serial_kind { SERIAL_NONE, SERIAL_COM1, SERIAL_DEBUG_PORT };

void serial_init(enum serial_kind kind);
void serial_put(const char *text, size_t n);
void serial_listen(void (*fn)(char c));
/* Whether the hypervisor keeps these ports for itself. */
bool serial_owns_port(uint32_t port);

#endif
