/* uart.h: a 16550 serial port, by polling out and by interrupt or polling in.
 *
 * Both sides: the consoles of the kernel and of the hypervisor call; lib/uart.c drives the
 * registers through the two functions it is given, since how a port is reached is each program's
 * affair. The caller serialises. Not here: lines, rings, interrupt routing.
 */
#ifndef AMPHI_UART_H
#define AMPHI_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_COM1       0x3f8u
#define UART_COM2       0x2f8u
#define UART_PORTS      8u
#define UART_COM1_IRQ   4u
#define UART_COM2_IRQ   3u
#define UART_FIFO_BYTES 16u

struct uart {
	uint16_t port; /* the first of UART_PORTS */
	uint8_t (*in)(uint16_t port);
	void (*out)(uint16_t port, uint8_t value);
};

/* 115200 bit/s, 8N1, FIFO on, interrupts off. False: there is none. */
bool uart_start(const struct uart *u);

/* Waits for room. A line that never empties loses text instead of stopping the caller. */
void uart_write(const struct uart *u, const char *text, size_t n);

/* Takes what has come, at most cap bytes; returns how many. */
size_t uart_read(const struct uart *u, uint8_t *out, size_t cap);

/* From now on an interrupt says when there is something to read. */
void uart_listen(const struct uart *u);

#endif
