/* serial.c: a 16550 at 0x3f8, driven by polling out and by interrupt in.
 *
 * Caller: console.c, which holds its lock around output. The port stays ours while it is the
 * console: the first domain is refused its eight I/O ports. Not here: lines, rings (console.c).
 */
#include <amphi/types.h>

#include "acpi.h"
#include "apic.h"
#include "cpu.h"
#include "irq.h"
#include "lock.h"
#include "serial.h"

#define REG_DATA       0
#define REG_INTERRUPTS 1
#define REG_FIFO       2
#define REG_LINE       3
#define REG_MODEM      4
#define REG_STATUS     5
#define STATUS_READY   0x01u
#define STATUS_EMPTY   0x20u
#define DIVISOR_LATCH  0x80u
#define EIGHT_BITS     0x03u
#define FIFO_ON        0x07u
#define DTR_RTS_OUT2   0x0bu
#define COM1_IRQ       4u
#define DEBUG_PORT     0xe9
#define PATIENCE       100000u /* turns to wait for a port that may not be there */
#define FIFO_BYTES     16u

static enum serial_kind kind;
static void (*listener)(char c);

static uint32_t reg_in(unsigned reg)
{
	return port_in((uint16_t)(SERIAL_PORT + reg), 1);
}

static void reg_out(unsigned reg, uint32_t value)
{
	port_out((uint16_t)(SERIAL_PORT + reg), 1, value);
}

void serial_init(enum serial_kind want)
{
	kind = want;
	if (kind != SERIAL_COM1)
		return;
	reg_out(REG_INTERRUPTS, 0);
	reg_out(REG_LINE, DIVISOR_LATCH);
	reg_out(REG_DATA, 1); /* 115200 */
	reg_out(REG_INTERRUPTS, 0);
	reg_out(REG_LINE, EIGHT_BITS);
	reg_out(REG_FIFO, FIFO_ON);
	reg_out(REG_MODEM, DTR_RTS_OUT2);
}

/* With its FIFO on, an empty port takes 16 bytes after one look at its state. */
static void put_com1(const char *text, size_t n)
{
	while (n != 0) {
		size_t part = MIN(n, FIFO_BYTES);

		for (unsigned i = 0; i < PATIENCE && !(reg_in(REG_STATUS) & STATUS_EMPTY); i++)
			spin_relax();
		n -= part;
		while (part-- != 0)
			reg_out(REG_DATA, (uint8_t)*text++);
	}
}

void serial_put(const char *text, size_t n)
{
	if (kind == SERIAL_COM1)
		put_com1(text, n);
	else if (kind == SERIAL_DEBUG_PORT)
		while (n-- != 0)
			port_out(DEBUG_PORT, 1, (uint8_t)*text++);
}

static void received(void *ctx)
{
	for (unsigned i = 0; i < FIFO_BYTES && reg_in(REG_STATUS) & STATUS_READY; i++)
		listener((char)reg_in(REG_DATA));
}

void serial_listen(void (*fn)(char c))
{
	uint32_t gsi = acpi_info()->isa[COM1_IRQ].gsi;
	unsigned vector;

	if (kind != SERIAL_COM1)
		return;
	listener = fn;
	vector = irq_vector_alloc(received, NULL);
	if (vector == 0)
		return;
	ioapic_route(gsi, vector);
	ioapic_mask(gsi, false);
	reg_out(REG_INTERRUPTS, 1);
}

bool serial_owns_port(uint32_t port)
{
	return kind == SERIAL_COM1 && port - SERIAL_PORT < SERIAL_PORT_COUNT;
}
