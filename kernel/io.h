/* io.h: the processor's I/O ports.
 *
 * Callers: kernel files for devices that sit at fixed ports (serial line, timer chip, debug exit).
 * Native, or in a PV domain that was given the right to the port; elsewhere it faults.
 */
#ifndef KERNEL_IO_H
#define KERNEL_IO_H

#include <stdint.h>

static inline uint8_t io_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %w1, %b0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void io_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %b0, %w1" ::"a"(value), "Nd"(port));
}

static inline void io_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %w0, %w1" ::"a"(value), "Nd"(port));
}

static inline void io_out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %w1" ::"a"(value), "Nd"(port));
}

static inline uint16_t io_in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %w1, %w0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t io_in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#endif
