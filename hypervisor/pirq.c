/* pirq.c: device interrupts of domains: map, bind, deliver, end.
 *
 *   (none) --map--> mapped --bind--> bound --interrupt--> pending --eoi--> bound
 *                     ^---unbind-------'                 (level only: masked meanwhile)
 *
 * Callers: physdev.c (map, unmap, eoi), event (bind, unbind), irq.c (interrupts). A source is
 * masked unless bound. A level interrupt stays masked from its arrival to the guest's end of
 * interrupt, so a guest that never ends it hurts nobody else; edges and messages need no such word.
 */
#include <amphi/types.h>

#include "apic.h"
#include "domain.h"
#include "irq.h"
#include "pirq.h"

struct domain_pirq {
	struct domain *d;
	uint32_t number;
	uint8_t vector; /* 0: not mapped */
	bool bound;
	bool is_msi, is_level;
	bool pending; /* level: masked until eoi */
	struct msi_source msi;
};

static struct domain_pirq *mapped(struct domain *d, uint32_t pirq)
{
	if (d->io.pirq == NULL || pirq >= IO_PIRQS || d->io.pirq[pirq].vector == 0)
		return NULL;
	return &d->io.pirq[pirq];
}

int io_irq_permit(struct domain *d, uint32_t pirq, bool allow)
{
	if (pirq >= IO_PIRQS)
		return -XEN_EINVAL;
	d->io.pirq_permitted[pirq] = allow;
	return 0;
}

static void deliver(void *ctx)
{
	struct domain_pirq *p = ctx;

	if (p->is_level) {
		ioapic_mask(p->number, true);
		p->pending = true;
	}
	event_send_pirq(p->d, p->number);
}

/* The table, made at the first need. */
static int make_table(struct domain *d)
{
	struct domain_pirq *table;

	if (d->io.pirq != NULL)
		return 0;
	table = hv_alloc(IO_PIRQS * sizeof(*table));
	if (table == NULL)
		return -XEN_ENOMEM;
	for (uint32_t i = 0; i < IO_PIRQS; i++) {
		table[i].d = d;
		table[i].number = i;
	}
	d->io.pirq = table;
	return 0;
}

/* A vector for it: 0, or -XEN_ENOSPC. */
static int claim(struct domain_pirq *p, bool is_msi)
{
	p->vector = (uint8_t)irq_vector_alloc(deliver, p);
	p->is_msi = is_msi;
	p->is_level = !is_msi && ioapic_is_level(p->number);
	return p->vector != 0 ? 0 : -XEN_ENOSPC;
}

int pirq_map_gsi(struct domain *d, uint32_t gsi, int want)
{
	struct domain_pirq *p;
	int rc;

	if (gsi >= IO_PIRQS || !ioapic_has_gsi(gsi) || (want >= 0 && (uint32_t)want != gsi))
		return -XEN_EINVAL;
	if (!d->io.pirq_permitted[gsi])
		return -XEN_EPERM;
	rc = make_table(d);
	if (rc != 0)
		return rc;
	p = &d->io.pirq[gsi];
	if (p->vector != 0)
		return p->is_msi ? -XEN_EEXIST : (int)gsi;
	rc = claim(p, false);
	if (rc != 0)
		return rc;
	ioapic_route(gsi, p->vector);
	return (int)gsi;
}

/* Any number is from the top down, where no GSI is in the way. */
int pirq_map_msi(struct domain *d, const struct msi_source *source, int want)
{
	struct domain_pirq *p;
	int rc = make_table(d);

	if (rc != 0)
		return rc;
	if (want < 0)
		for (want = IO_PIRQS - 1; want >= 0; want--)
			if (d->io.pirq[want].vector == 0 && !ioapic_has_gsi((uint32_t)want))
				break;
	if (want < 0 || want >= (int)IO_PIRQS)
		return -XEN_ENOSPC;
	p = &d->io.pirq[want];
	if (p->vector != 0 || claim(p, true) != 0)
		return -XEN_ENOSPC;
	p->msi = *source;
	rc = msi_arm(d, source, p->vector);
	if (rc == 0)
		return (int)p->number;
	irq_vector_free(p->vector);
	p->vector = 0;
	return rc;
}

static void silence(struct domain_pirq *p)
{
	if (p->is_msi)
		msi_disarm(&p->msi);
	else
		ioapic_mask(p->number, true);
	irq_vector_free(p->vector);
	p->vector = 0;
	p->bound = false;
	p->pending = false;
}

int pirq_unmap(struct domain *d, uint32_t pirq)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL || p->bound)
		return p == NULL ? -XEN_EINVAL : -XEN_EBUSY;
	silence(p);
	return 0;
}

int io_pirq_bind(struct domain *d, uint32_t pirq)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL || p->bound)
		return p == NULL ? -XEN_EPERM : -XEN_EBUSY;
	p->bound = true;
	p->pending = false;
	if (!p->is_msi)
		ioapic_mask(pirq, false);
	return 0;
}

void io_pirq_unbind(struct domain *d, uint32_t pirq)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL)
		return;
	p->bound = false;
	if (!p->is_msi)
		ioapic_mask(pirq, true);
}

int pirq_eoi(struct domain *d, uint32_t pirq)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL)
		return -XEN_EINVAL;
	if (p->pending && p->bound)
		ioapic_mask(pirq, false);
	p->pending = false;
	return 0;
}

bool pirq_needs_eoi(struct domain *d, uint32_t pirq)
{
	const struct domain_pirq *p = mapped(d, pirq);

	return p != NULL && p->is_level;
}

void pirq_domain_teardown(struct domain *d)
{
	if (d->io.pirq == NULL)
		return;
	for (uint32_t i = 0; i < IO_PIRQS; i++)
		if (d->io.pirq[i].vector != 0)
			silence(&d->io.pirq[i]);
	hv_free(d->io.pirq, IO_PIRQS * sizeof(struct domain_pirq));
	d->io.pirq = NULL;
}
