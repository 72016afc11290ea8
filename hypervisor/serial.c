/* serial.c: where the hypervisor's console comes out: the first serial port.
 *
 * Caller: console.c, which holds its lock around output. The port stays ours while it is the
 * console: the first domain is refused its eight I/O ports. Not here: the 16550 itself
 * (lib/uart.c), lines and rings (console.c).
 */
#include <amphi/uart.h>

#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "irq.h"
#include "serial.h"

static bool on;
static void (*listener)(char c);

static uint8_t in8(uint16_t port)
{
	return (uint8_t)port_in(port, 1);
}

static void out8(uint16_t port, uint8_t value)
{
	port_out(port, 1, value);
}

static const struct uart com1 = {UART_COM1, in8, out8};

void serial_init(bool wanted)
{
	on = wanted && uart_start(&com1);
}

void serial_put(const char *text, size_t n)
{
	if (on)
		uart_write(&com1, text, n);
}

static void received(void *ctx)
{
	uint8_t bytes[UART_FIFO_BYTES];
	size_t n = uart_read(&com1, bytes, sizeof(bytes));

	for (size_t i = 0; i < n; i++)
		listener((char)bytes[i]);
}

void serial_listen(void (*fn)(char c))
{
	uint32_t gsi = acpi_info()->isa[UART_COM1_IRQ].gsi;
	unsigned vector = on ? irq_vector_alloc(received, NULL) : 0;

	if (vector == 0)
		return;
	listener = fn;
	if (ioapic_route(gsi, vector))
		return;
	ioapic_mask(gsi, false);
	uart_listen(&com1);
}

bool serial_owns_port(uint32_t port)
{
	return on && port - UART_COM1 < UART_PORTS;
}
