/* irq.c: hands out interrupt vectors and runs their handlers.
 *
 * Callers: trap.c (irq_handle), pirq.c, serial.c and iommu_fault.c (vectors). One table for all CPUs, since every
 * interrupt goes to the CPU that asked for it. Not here: where interrupts come from (ioapic.c,
 * msi.c), and which domain hears of them (pirq.c).
 */
#include <amphi/types.h>

#include "apic.h"
#include "irq.h"
#include "lock.h"
#include "percpu.h"
#include "time.h"

struct handler {
	irq_fn *fn;
	void *ctx;
};

static struct handler handlers[256];
static spinlock_t lock;

static bool all_free(unsigned first, unsigned count)
{
	while (count != 0 && handlers[first + count - 1].fn == NULL)
		count--;
	return count == 0;
}

unsigned irq_vectors_alloc(irq_fn *fn, void *ctx, size_t stride_bytes, unsigned count)
{
	unsigned v = ROUND_UP(VECTOR_FIRST, count), found = 0;

	spin_lock(&lock);
	for (; v + count - 1 <= VECTOR_LAST && found == 0; v += count)
		if (all_free(v, count))
			found = v;
	for (unsigned i = 0; i < count && found != 0; i++)
		handlers[found + i] =
		    (struct handler){fn, (void *)((uintptr_t)ctx + i * stride_bytes)};
	spin_unlock(&lock);
	return found;
}

unsigned irq_vector_alloc(irq_fn *fn, void *ctx)
{
	return irq_vectors_alloc(fn, ctx, 0, 1);
}

void irq_vector_free(unsigned vector)
{
	spin_lock(&lock);
	handlers[vector].fn = NULL;
	spin_unlock(&lock);
}

static void nobody(void *ctx) {}

void irq_vector_lose(unsigned vector)
{
	spin_lock(&lock);
	handlers[vector] = (struct handler){nobody, NULL};
	spin_unlock(&lock);
}

uint32_t irq_vectors_used(void)
{
	uint32_t n = 0;

	for (unsigned v = VECTOR_FIRST; v <= VECTOR_LAST; v++)
		n += handlers[v].fn != NULL;
	return n;
}

/* A handler that was freed meanwhile leaves its interrupt unheard, but acknowledged. */
void irq_handle(unsigned vector)
{
	struct handler h = handlers[vector];

	count(CNT_IRQS);
	if (vector == VECTOR_SPURIOUS)
		return;
	if (vector == VECTOR_TIMER || vector == VECTOR_KICK) {
		apic_eoi();
		if (vector == VECTOR_TIMER)
			timers_run();
		return;
	}
	if (h.fn != NULL)
		h.fn(h.ctx);
	apic_eoi();
}
