/* iospace_fault.c: what a domain's functions tried in vain, kept until the domain asks.
 *
 * A short ring, the oldest first; what does not fit is lost, and that is said. The domain learns of the first by VIRQ_IOSPACE and
 * comes to ask; a device that faults without end costs its owner its own time, and us a few words. Called by iommu_fault.c in an
 * interrupt, and by iospace_op.c.
 */
#include "iospace_private.h"

/* What is mapped at the address now tells whose page it was about: a write where only reading was granted. */
static void add_grant(const struct iospace_context *c, struct iospace_fault *f, uint16_t *flags)
{
	const struct iospace_grant *g = iospace_grant_at(c, f->address);

	if (!g)
		return;
	f->granter = g->use.owner->id;
	f->ref = g->use.ref;
	*flags |= IOSPACE_GREF;
}

void iospace_fault(struct domain *d, const struct iommu_fault *fault)
{
	const struct io_device *dev = io_device_find(fault->bdf);
	struct domain_iospace *s = &d->iospace;
	struct iospace_fault f = {.address = fault->address, .sbdf = fault->bdf, .domain = d->id};
	uint16_t flags = fault->write ? IOSPACE_WRITE : IOSPACE_READ;
	uint32_t at;

	if (fault->interrupt)
		flags |= IOSPACE_INTERRUPT;
	if (dev && dev->context) {
		f.context = dev->context->number;
		if (!fault->interrupt)
			add_grant(dev->context, &f, &flags);
	}
	if (s->n_faults == IOSPACE_FAULTS) {
		s->faults_lost = true;
		return;
	}
	at = (s->first_fault + s->n_faults++) % IOSPACE_FAULTS;
	s->fault[at].what = f;
	s->fault[at].flags = flags;
	if (d->vcpu[0])
		event_send_virq(d->vcpu[0], VIRQ_IOSPACE);
}

/* Lost ones are later than those that are kept: the last of these says so. */
int iospace_next_fault(struct domain *d, struct iospace_op *op)
{
	struct domain_iospace *s = &d->iospace;

	if (!s->n_faults)
		return -XEN_ENOENT;
	op->u.fault = s->fault[s->first_fault].what;
	op->flags = s->fault[s->first_fault].flags;
	s->first_fault = (s->first_fault + 1) % IOSPACE_FAULTS;
	if (--s->n_faults == 0 && s->faults_lost) {
		op->flags |= IOSPACE_LOST;
		s->faults_lost = false;
	}
	return 0;
}
