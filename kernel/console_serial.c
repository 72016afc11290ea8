/* console_serial.c: the console on a 16550 at the first serial port.
 *
 * Caller: console.c. Calls lib/uart.c; output waits by polling, input comes by interrupt 4.
 * Natively, or in a first domain that asked for the ports.
 */
#include <amphi/uart.h>

#include "console_sinks.h"
#include "io.h"
#include "trap.h"

/* Port functions are given to it because the hypervisor drives the same chip with its own. */
static const struct uart com1 = {UART_COM1, io_in8, io_out8};

/* False where nothing answers at the port: a machine need not have one. */
static bool serial_start(void)
{
	return uart_start(&com1);
}

static void serial_write(const char *text, size_t len)
{
	uart_write(&com1, text, len);
}

static size_t serial_read(uint8_t *out, size_t cap)
{
	return uart_read(&com1, out, cap);
}

static void serial_irq(void *ctx)
{
	console_input_ready();
}

/* The handler is bound before the chip may interrupt; what came before that is fetched by hand. */
static int serial_listen(void)
{
	int error = irq_legacy_bind(UART_COM1_IRQ, serial_irq, NULL);

	if (error)
		return error;
	uart_listen(&com1);
	console_input_ready();
	return 0;
}

const struct console_port console_serial = {
    .sink = {"serial", serial_write, serial_read, true},
    .start = serial_start,
    .listen = serial_listen,
};
