/* irq.h: interrupt vectors, and what happens when one comes.
 *
 * Private; pirq.c, serial.c, iommu_fault.c, smp.c and trap.c call. A vector has one handler, run with interrupts off and
 * the interrupt not yet acknowledged; irq_handle acknowledges after it. Vectors do not move.
 */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include <amphi/types.h>

#define VECTOR_FIRST    0x30u
#define VECTOR_LAST     0xdfu
#define VECTOR_TIMER    0xf0u
#define VECTOR_KICK     0xf1u /* come in and see (smp.h) */
#define VECTOR_SPURIOUS 0xffu

typedef void irq_fn(void *ctx);

/* A free vector for fn(ctx); 0: none left. */
unsigned irq_vector_alloc(irq_fn *fn, void *ctx);
/* count (a power of two) of them in a row, the first a multiple of count: vector i of them is for fn(ctx + i * stride). 0: no such row is left. */
unsigned irq_vectors_alloc(irq_fn *fn, void *ctx, size_t stride_bytes, unsigned count);
void irq_vector_free(unsigned vector);
/* Nobody hears it any more, and nobody else gets it: who sent it may still do so. */
void irq_vector_lose(unsigned vector);
/* How many are given out, lost ones among them. */
uint32_t irq_vectors_used(void);

/* From the entry code. */
void irq_handle(unsigned vector);

#endif
