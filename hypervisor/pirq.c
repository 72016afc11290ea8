/* pirq.c: device interrupts of domains: map, bind, deliver, end.
 *
 *   (none) --map--> mapped --bind--> bound --interrupt--> pending --eoi--> bound
 *                     ^---unbind-------'                 (level only: masked meanwhile)
 *
 * Callers: physdev.c (map, unmap, eoi), event (bind, unbind), irq.c (interrupts, by their handler). A source is
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

/* Whose an input of the board is. One domain's: a line that several hear would wait for the slowest of them. */
static struct domain_pirq *holders[IO_PIRQS];

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

/* Vectors for it and those that follow it: 0, or -XEN_ENOSPC. */
static int claim(struct domain_pirq *p, bool is_msi, unsigned count)
{
	unsigned vector = irq_vectors_alloc(deliver, p, sizeof(*p), count);

	for (unsigned i = 0; i < count && vector != 0; i++) {
		p[i].vector = (uint8_t)(vector + i);
		p[i].is_msi = is_msi;
		p[i].is_level = !is_msi && ioapic_is_level(p->number);
	}
	return vector != 0 ? 0 : -XEN_ENOSPC;
}

/* Their vectors: lost, when who sends them cannot be stopped. */
static void give_back(struct domain_pirq *p, unsigned count, bool lost)
{
	for (; count-- != 0; p++) {
		if (lost)
			irq_vector_lose(p->vector);
		else
			irq_vector_free(p->vector);
		p->vector = 0;
		p->bound = p->pending = false;
	}
}

/* How many are mapped and unmapped with it; 0: it is one of a row, and not the first. */
static unsigned row_of(const struct domain_pirq *p)
{
	return p->is_msi ? p->msi.messages : 1;
}

/* The first of a row. */
static void silence(struct domain_pirq *p)
{
	int rc = p->is_msi ? msi_disarm(&p->msi, p->vector) : ioapic_unroute(p->number);

	if (!p->is_msi)
		holders[p->number] = NULL;
	give_back(p, row_of(p), rc != 0);
}

/* Any that the last one has mapped and does not use is taken over: the first domain maps for others, and itself before that on Xen. */
static int route(struct domain_pirq *p)
{
	struct domain_pirq *holder = holders[p->number];
	int rc;

	if (holder != NULL && holder->bound)
		return -XEN_EBUSY;
	if (holder != NULL)
		silence(holder);
	rc = claim(p, false, 1);
	if (rc != 0)
		return rc;
	rc = ioapic_route(p->number, p->vector);
	if (rc == 0)
		holders[p->number] = p;
	else
		give_back(p, 1, rc == -XEN_EIO);
	return rc;
}

int pirq_map_gsi(struct domain *d, uint32_t gsi, int want)
{
	struct domain_pirq *p;
	int rc;

	if (gsi >= IO_PIRQS || !ioapic_has_gsi(gsi) || (want >= 0 && (uint32_t)want != gsi))
		return -XEN_EINVAL;
	rc = make_table(d);
	if (rc != 0)
		return rc;
	p = &d->io.pirq[gsi];
	if (p->vector != 0)
		return p->is_msi ? -XEN_EEXIST : (int)gsi;
	rc = route(p);
	return rc == 0 ? (int)gsi : rc;
}

/* Whether so many from there on are nobody's; those of GSIs are only for who names them. */
static bool row_free(const struct domain *d, int first, unsigned count, bool named)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t pirq = (uint32_t)first + i;

		if (pirq >= IO_PIRQS || d->io.pirq[pirq].vector != 0 ||
		    (!named && ioapic_has_gsi(pirq)))
			return false;
	}
	return true;
}

/* Any number is from the top down, where no GSI is in the way. */
int pirq_map_msi(struct domain *d, const struct msi_source *source, int want)
{
	bool named = want >= 0;
	struct domain_pirq *p;
	int rc = make_table(d);

	if (rc != 0)
		return rc;
	if (!named)
		for (want = IO_PIRQS - 1; want >= 0; want--)
			if (row_free(d, want, source->messages, false))
				break;
	if (want < 0 || !row_free(d, want, source->messages, named))
		return -XEN_ENOSPC;
	p = &d->io.pirq[want];
	if (claim(p, true, source->messages) != 0)
		return -XEN_ENOSPC;
	for (unsigned i = 0; i < source->messages; i++)
		p[i].msi = (struct msi_source){.bdf = source->bdf};
	p->msi = *source;
	rc = msi_arm(d, source, p->vector);
	if (rc == 0)
		return (int)p->number;
	give_back(p, source->messages, rc == -XEN_EIO);
	return rc;
}

/* Of another domain bound ones too: who has to give a device back is not asked. Its channel stays, and hears nothing. */
int pirq_unmap(struct domain *d, uint32_t pirq, bool bound_too)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL || row_of(p) == 0)
		return -XEN_EINVAL;
	for (unsigned i = 0; i < row_of(p); i++)
		if (p[i].bound && !bound_too)
			return -XEN_EBUSY;
	silence(p);
	return 0;
}

int io_pirq_bind(struct domain *d, uint32_t pirq)
{
	struct domain_pirq *p = mapped(d, pirq);

	if (p == NULL || (!p->is_msi && !d->io.pirq_permitted[pirq]))
		return -XEN_EPERM;
	if (p->bound)
		return -XEN_EBUSY;
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

void io_lose_function(struct domain *d, uint16_t bdf)
{
	for (uint32_t i = 0; d->io.pirq != NULL && i < IO_PIRQS; i++) {
		struct domain_pirq *p = &d->io.pirq[i];

		if (p->vector != 0 && p->is_msi && p->msi.bdf == bdf)
			silence(p);
	}
}

uint32_t io_pirqs_mapped(const struct domain *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; d->io.pirq != NULL && i < IO_PIRQS; i++)
		n += d->io.pirq[i].vector != 0;
	return n;
}

void pirq_restore_function(struct domain *d, uint16_t bdf)
{
	for (uint32_t i = 0; d->io.pirq != NULL && i < IO_PIRQS; i++) {
		struct domain_pirq *p = &d->io.pirq[i];

		if (p->vector != 0 && p->is_msi && row_of(p) != 0 && p->msi.bdf == bdf)
			msi_rearm(d, &p->msi, p->vector);
	}
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
