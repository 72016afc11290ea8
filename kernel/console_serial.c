/* console_serial.c: the console on a 16550 at the first serial port.
 *
 * Caller: console.c. Calls the ports themselves; output waits by polling, input comes by
 * interrupt 4. Natively, or in a first domain that asked for the ports.
 */
#include "console_sinks.h"
#include "io.h"
#include "trap.h"

#define PORT         0x3f8
#define DATA         (PORT + 0)
#define DIVISOR_LOW  (PORT + 0)
#define IRQ_ENABLE   (PORT + 1)
#define DIVISOR_HIGH (PORT + 1)
#define FIFO         (PORT + 2)
#define LINE         (PORT + 3)
#define MODEM        (PORT + 4)
#define STATUS       (PORT + 5)
#define SCRATCH      (PORT + 7)

#define IRQ_RECEIVED   0x01
#define FIFO_ON_CLEAR  0x07
#define LINE_8N1       0x03
#define LINE_DIVISOR   0x80
#define MODEM_READY    0x0b /* DTR, RTS, and OUT2, which lets the interrupt through */
#define STATUS_INPUT   0x01
#define STATUS_ROOM    0x20
#define LEGACY_IRQ     4
#define BYTES_PER_ROOM 16u /* an empty transmitter takes a whole FIFO */
#define POLLS_MAX      1000000u

static bool serial_start(void)
{
	io_out8(SCRATCH, 0x5a);
	if (io_in8(SCRATCH) != 0x5a)
		return false;
	io_out8(IRQ_ENABLE, 0);
	io_out8(LINE, LINE_DIVISOR);
	io_out8(DIVISOR_LOW, 1); /* 115200 */
	io_out8(DIVISOR_HIGH, 0);
	io_out8(LINE, LINE_8N1);
	io_out8(FIFO, FIFO_ON_CLEAR);
	io_out8(MODEM, MODEM_READY);
	return true;
}

/* A line that never empties (nobody at the other end of real hardware's flow control) loses text
 * instead of stopping the machine. */
static void wait_for_room(void)
{
	unsigned polls;

	for (polls = 0; polls < POLLS_MAX; polls++)
		if (io_in8(STATUS) & STATUS_ROOM)
			return;
}

static void serial_write(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (i % BYTES_PER_ROOM == 0)
			wait_for_room();
		io_out8(DATA, (uint8_t)text[i]);
	}
}

static size_t serial_read(uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (n < cap && (io_in8(STATUS) & STATUS_INPUT))
		out[n++] = io_in8(DATA);
	return n;
}

static void serial_irq(void *ctx)
{
	console_input_ready();
}

static int serial_listen(void)
{
	int error = irq_legacy_bind(LEGACY_IRQ, serial_irq, NULL);

	if (error)
		return error;
	io_out8(IRQ_ENABLE, IRQ_RECEIVED);
	console_input_ready();
	return 0;
}

const struct console_port console_serial = {
    .sink = {"serial", serial_write, serial_read, true},
    .start = serial_start,
    .listen = serial_listen,
};
