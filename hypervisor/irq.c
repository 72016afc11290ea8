/* irq.c: hands out interrupt vectors and runs their handlers.
 *
 * Callers: trap.c (irq_handle), io.c and serial.c (vectors). One table for all CPUs, since every
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

unsigned irq_vector_alloc(irq_fn *fn, void *ctx)
{
	unsigned found = 0;

	spin_lock(&lock);
	for (unsigned v = VECTOR_FIRST; v <= VECTOR_LAST && found == 0; v++)
		if (handlers[v].fn == NULL)
			found = v;
	if (found != 0)
		handlers[found] = (struct handler){fn, ctx};
	spin_unlock(&lock);
	return found;
}

void irq_vector_free(unsigned vector)
{
	spin_lock(&lock);
	handlers[vector].fn = NULL;
	spin_unlock(&lock);
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
