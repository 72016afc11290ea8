/* irq.c: interrupt vectors natively: the old controllers' lines and those of message-signalled and local
 * interrupts.
 *
 * Vectors 32..47 are the two 8259s (datasheet 8259A), 48..239 are given out; the highest is the local
 * APIC's spurious one. Called by trap.c, and by those who want interrupts. On PV all of it answers
 * -XEN_ENOSYS: there interrupts are events.
 */
#include <amphi/pvops.h>
#include <amphi/xen.h>

#include "io.h"
#include "lapic.h"
#include "panic.h"
#include "trap_parts.h"

#define PIC_MASTER   0x20u
#define PIC_SLAVE    0xa0u
#define PIC_EOI      0x20u
#define LEGACY_FIRST 32u
#define LEGACY_END   48u
#define VECTOR_END   240u

/* By vector. A handler is never taken out again: drivers are not either, so dispatch needs no
 * lock. */
struct irq_handler {
	irq_fn *fn;
	void *ctx;
};
static struct irq_handler handlers[VECTOR_END];
/* A set bit holds the line back; a line is let through when somebody binds it. */
static uint16_t pic_mask = 0xffff;

static void pic_set_mask(void)
{
	io_out8(PIC_MASTER + 1, (uint8_t)pic_mask);
	io_out8(PIC_SLAVE + 1, (uint8_t)(pic_mask >> 8));
}

/* ICW1..ICW4: edge triggered, cascade on line 2, 8086 mode. */
void irq_init_legacy(void)
{
	static const uint8_t words[][2] = {
	    {0x11, 0x11}, {LEGACY_FIRST, LEGACY_FIRST + 8}, {1 << 2, 2}, {1, 1}};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		io_out8(PIC_MASTER + (i ? 1 : 0), words[i][0]);
		io_out8(PIC_SLAVE + (i ? 1 : 0), words[i][1]);
	}
	pic_set_mask();
}

static void run_handler(unsigned vector)
{
	struct irq_handler *h = &handlers[vector];

	if (h->fn)
		h->fn(h->ctx);
}

/* A line above 7 came through both chips and is ended at both. The handler runs first and with
 * interrupts off; so a spurious 7 or 15, which should not be ended, can be without harm:
 * handlers do not nest, and no other line is in service that the write could end instead. */
static void legacy_dispatch(unsigned vector)
{
	run_handler(vector);
	if (vector >= LEGACY_FIRST + 8)
		io_out8(PIC_SLAVE, PIC_EOI);
	io_out8(PIC_MASTER, PIC_EOI);
}

/* A spurious interrupt (the top vector) wants no end-of-interrupt. */
void irq_dispatch(unsigned vector)
{
	if (vector < LEGACY_END) {
		legacy_dispatch(vector);
	} else if (vector < VECTOR_END) {
		run_handler(vector);
		pv_eoi();
	}
}

/* Any vector will do. The local APIC would give higher ones precedence, but there is only ever
 * one in service. */
int irq_vector_alloc(irq_fn *fn, void *ctx, uint8_t *out_vector)
{
	return irq_vectors_alloc(fn, &ctx, 1, out_vector);
}

static bool all_free(unsigned first, unsigned count)
{
	while (count && !handlers[first + count - 1].fn)
		count--;
	return !count;
}

int irq_vectors_alloc(irq_fn *fn, void *const *ctx, unsigned count, uint8_t *out_first)
{
	unsigned first = ROUND_UP(LEGACY_END, count);

	if (!trap_is_native)
		return -XEN_ENOSYS;
	while (first + count <= VECTOR_END && !all_free(first, count))
		first += count;
	if (first + count > VECTOR_END)
		return -XEN_ENOSPC;
	for (unsigned i = 0; i < count; i++)
		handlers[first + i] = (struct irq_handler){fn, ctx[i]};
	*out_first = (uint8_t)first;
	return 0;
}

int irq_legacy_bind(unsigned irq, irq_fn *fn, void *ctx)
{
	if (!trap_is_native)
		return -XEN_ENOSYS;
	/* Line 2 is where the second chip comes in; it is let through with the first of that
	 * chip's lines. */
	if (irq >= 16 || irq == 2)
		return -XEN_EINVAL;
	if (handlers[LEGACY_FIRST + irq].fn)
		return -XEN_EBUSY;
	handlers[LEGACY_FIRST + irq] = (struct irq_handler){fn, ctx};
	pic_mask &= (uint16_t) ~(1u << irq);
	if (irq >= 8)
		pic_mask &= (uint16_t) ~(1u << 2);
	pic_set_mask();
	return 0;
}
