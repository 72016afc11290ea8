/* uart.c: drives a 16550: its start, polled output, input.
 *
 * Callers: console_serial.c of the kernel, serial.c of the hypervisor. Calls the port functions of
 * its struct uart and nothing else. The data sheet is the PC16550D's; the divisor is that of a PC's
 * 1.8432 MHz crystal.
 */
#include <amphi/types.h>
#include <amphi/uart.h>

#define REG_DATA         0
#define REG_DIVISOR_LOW  0 /* these two with LINE_DIVISOR set */
#define REG_DIVISOR_HIGH 1
#define REG_INTERRUPTS   1
#define REG_FIFO         2
#define REG_LINE         3
#define REG_MODEM        4
#define REG_STATUS       5
#define REG_SCRATCH      7

#define FIFO_ON_CLEAR   0x07
#define LINE_8N1        0x03
#define LINE_DIVISOR    0x80
#define MODEM_READY     0x0b /* DTR, RTS, and OUT2, which lets the interrupt through */
#define STATUS_INPUT    0x01
#define STATUS_ROOM     0x20
#define IRQ_RECEIVED    0x01
#define SCRATCH_PATTERN 0x5a
#define PATIENCE        100000u /* polls; a full FIFO empties within 2 ms */

static void set(const struct uart *u, unsigned reg, unsigned value)
{
	u->out((uint16_t)(u->port + reg), (uint8_t)value);
}

static unsigned get(const struct uart *u, unsigned reg)
{
	return u->in((uint16_t)(u->port + reg));
}

/* A register without a meaning of its own tells whether a chip is there: an empty port reads as
 * ones. The divisor 1 is 115200 baud; OUT2 has to be set on a PC, or the interrupt stays inside the
 * chip. */
bool uart_start(const struct uart *u)
{
	set(u, REG_SCRATCH, SCRATCH_PATTERN);
	if (get(u, REG_SCRATCH) != SCRATCH_PATTERN)
		return false;
	set(u, REG_INTERRUPTS, 0);
	set(u, REG_LINE, LINE_DIVISOR);
	set(u, REG_DIVISOR_LOW, 1);
	set(u, REG_DIVISOR_HIGH, 0);
	/* Takes the divisor's registers away again: they share their ports with data and
	 * interrupts. */
	set(u, REG_LINE, LINE_8N1);
	set(u, REG_FIFO, FIFO_ON_CLEAR);
	set(u, REG_MODEM, MODEM_READY);
	return true;
}

/* With its FIFO on, an empty port takes 16 bytes after one look at its state. */
void uart_write(const struct uart *u, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned polls = 0; i % UART_FIFO_BYTES == 0 && polls < PATIENCE; polls++)
			if (get(u, REG_STATUS) & STATUS_ROOM)
				break;
		set(u, REG_DATA, (uint8_t)text[i]);
	}
}

size_t uart_read(const struct uart *u, uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (n < cap && (get(u, REG_STATUS) & STATUS_INPUT))
		out[n++] = (uint8_t)get(u, REG_DATA);
	return n;
}

void uart_listen(const struct uart *u)
{
	set(u, REG_INTERRUPTS, IRQ_RECEIVED);
}
