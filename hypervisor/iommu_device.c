/* iommu_device.c: the list of the machine's functions: whose each is, and which space it is in.
 *
 * Callers: iommu_boot.c and physdev.c (what there is), domctl (who gets it), iospace*.c (which space), domain_end.c. Calls
 * iommu.h, iommu_own.c, iommu_sender.c, iommu_kept.c, pirq.c. A change of owner goes by way of nowhere: out of the old space, flushed, interrupts silent, and only
 * then to the new owner. The list is short and names in it come from the first domain or from configuration space, so it
 * is walked; a guest's hypercall walks it once.
 */
#include "iommu_device.h"

#include "domain.h"
#include "pirq.h"

/* As many as sixteen full buses: no machine's, but the first domain's mistake ends there. */
#define DEVICES_MAX 4096u

static struct io_device *devices;
static unsigned n_devices;

/* ---- the list -------------------------------------------------------------------------- */

static struct io_device **place_of(uint16_t bdf)
{
	struct io_device **at = &devices;

	while (*at && (*at)->bdf < bdf)
		at = &(*at)->next;
	return at;
}

struct io_device *io_device_find(uint16_t bdf)
{
	struct io_device *dev = *place_of(bdf);

	return dev && dev->bdf == bdf ? dev : NULL;
}

struct io_device *io_device_of(const struct domain *d, uint16_t bdf)
{
	struct io_device *dev = io_device_find(bdf);

	return dev && dev->owner == d ? dev : NULL;
}

struct io_device *io_device_next(const struct domain *d, const struct io_device *after)
{
	struct io_device *dev = after ? after->next : devices;

	while (dev && dev->owner != d)
		dev = dev->next;
	return dev;
}

struct io_device *io_device_each(const struct io_device *after)
{
	return after ? after->next : devices;
}

/* ---- where it is ----------------------------------------------------------------------- */

static bool is_somewhere(const struct io_device *dev)
{
	return dev->space || dev->passed;
}

/* Whether another that has this number, too, is somewhere: then the number is there already, and stays when dev leaves. */
static bool is_held(const struct io_device *dev, uint16_t number)
{
	const struct io_device *other = NULL;

	while ((other = io_sender_next(dev, other)))
		if (is_somewhere(other) && iommu_is_name(&other->names, number))
			return true;
	return false;
}

/* space NULL: out of being passed. */
static int take_out(struct iommu_space *space, uint16_t number)
{
	return space ? iommu_detach(space, number) : iommu_pass(number, false);
}

static int put_in(struct iommu_space *space, uint16_t number)
{
	return space ? iommu_attach(space, number) : iommu_pass(number, true);
}

/* Out of where it is: from the return on it reaches nothing. The last that has a number takes it along; after a unit that did not
 * answer all but the last of them may be gone already. */
static int leave(struct io_device *dev)
{
	const struct iommu_names *names = &dev->names;
	int error = 0;

	if (!is_somewhere(dev))
		return 0;
	for (unsigned i = 0; i < names->n && (!error || error == -XEN_ENOENT); i++)
		error = is_held(dev, names->name[i]) ? 0 : take_out(dev->space, names->name[i]);
	if (error)
		return error;
	dev->space = NULL;
	dev->passed = false;
	return 0;
}

/* Of one that is nowhere, and has no number in common with one that is elsewhere. */
static int enter(struct io_device *dev, struct iommu_space *space)
{
	const struct iommu_names *names = &dev->names;
	unsigned i;
	int error = 0;

	for (i = 0; i < names->n && !error; i++)
		error = is_held(dev, names->name[i]) ? 0 : put_in(space, names->name[i]);
	for (i -= !!error; error && i--;)
		if (!is_held(dev, names->name[i]))
			(void)take_out(space, names->name[i]);
	if (error)
		return error;
	dev->space = space;
	dev->passed = !space;
	return 0;
}

static bool may_enter(const struct io_device *dev, const struct iommu_space *space)
{
	const struct io_device *other = NULL;

	while ((other = io_sender_next(dev, other)))
		if (is_somewhere(other) && other->space != space)
			return false;
	return true;
}

static int enter_space(struct io_device *dev, struct iommu_space *space)
{
	if (!may_enter(dev, space))
		return -XEN_EBUSY;
	return io_kept_map(space, &dev->names) ?: leave(dev) ?: enter(dev, space);
}

/* Context 0 of d, which may not be the owner yet. */
static int enter_home(struct io_device *dev, struct domain *d)
{
	struct iommu_space *own;
	int error;

	if (d && d->iommu.own_memory) {
		error = iommu_own_space(d, dev->unit, &own);
		return error ? error : enter_space(dev, own);
	}
	if (!d || !d->privileged || dev->lends)
		return leave(dev);
	return may_enter(dev, NULL) ? leave(dev) ?: enter(dev, NULL) : -XEN_EBUSY;
}

int io_device_enter(struct io_device *dev, struct iommu_space *space)
{
	if (!dev->unit)
		return space ? -XEN_EXDEV : 0;
	return space ? enter_space(dev, space) : enter_home(dev, dev->owner);
}

/* ---- whose it is ----------------------------------------------------------------------- */

static void disown(struct io_device *dev)
{
	struct domain *old = dev->owner;

	if (dev->context)
		iospace_lose(dev);
	dev->owner = NULL;
	if (!old)
		return;
	io_lose_function(old, dev->bdf);
	/* What a unit does not forget now is asked for again at the domain's end. */
	if (--old->iommu.n_devices == 0 && !old->dying)
		(void)iommu_own_end(old);
}

/* Context 0 is made whole first, since that may have to be asked for again. */
int io_device_give(struct io_device *dev, struct domain *to)
{
	struct iommu_space *own;
	int error = to && io_sender_of_another(dev, to) ? -XEN_EBUSY : 0;

	if (!error && to && to->iommu.own_memory && dev->unit)
		error = iommu_own_space(to, dev->unit, &own);
	if (!error)
		error = leave(dev);
	if (error)
		return error;
	disown(dev);
	if (to && dev->unit)
		error = enter_home(dev, to);
	if (error || !to)
		return error;
	dev->owner = to;
	to->iommu.n_devices++;
	return 0;
}

/* It reaches nothing, but where no unit is: there everything does. */
int io_device_add(uint16_t bdf)
{
	struct io_device **at = place_of(bdf), *dev = *at;
	struct domain *first;
	int error;

	if (dev && dev->bdf == bdf)
		return 0;
	dev = n_devices < DEVICES_MAX ? hv_alloc(sizeof(*dev)) : NULL;
	if (!dev)
		return -XEN_ENOMEM;
	*dev = (struct io_device){.next = *at, .bdf = bdf, .unit = iommu_of(bdf)};
	*at = dev;
	n_devices++;
	io_sender_find(dev);
	first = domain_find(0);
	error = io_device_give(dev, first);
	if (first)
		domain_put(first);
	return error;
}

int io_device_remove(uint16_t bdf)
{
	struct io_device *dev = io_device_find(bdf);
	int error;

	if (!dev)
		return -XEN_ENODEV;
	if (dev->owner && !dev->owner->privileged)
		return -XEN_EBUSY;
	error = io_device_give(dev, NULL);
	if (error)
		return error;
	*place_of(bdf) = dev->next;
	n_devices--;
	hv_free(dev, sizeof(*dev));
	return 0;
}

int io_devices_teardown(struct domain *d)
{
	struct io_device *dev;

	while ((dev = io_device_next(d, NULL))) {
		int error = io_device_give(dev, NULL);

		if (error) {
			hv_printk(
			    "domain %u: %02x:%02x.%x does not come back (error %d): the domain's "
			    "memory stays its",
			    d->id, dev->bdf >> 8, dev->bdf >> 3 & 31, dev->bdf & 7, error);
			return error;
		}
	}
	return iospace_teardown(d) ?: iommu_own_end(d);
}

/* ---- for people, and for what is left out ----------------------------------------------- */

void io_devices_dump(void)
{
	for (const struct io_device *dev = devices; dev; dev = dev->next) {
		const char *where = !dev->unit     ? "behind no unit"
				    : dev->lends   ? "sends for those behind it"
				    : dev->passed  ? "passed"
				    : dev->context ? "in a space of its owner's"
				    : dev->space   ? "in its owner's memory"
						   : "reaches nothing";

		if (dev->owner)
			hv_printk("  %02x:%02x.%x d%u: %s", dev->bdf >> 8, dev->bdf >> 3 & 31,
				  dev->bdf & 7, dev->owner->id, where);
		else
			hv_printk("  %02x:%02x.%x nobody's: %s", dev->bdf >> 8, dev->bdf >> 3 & 31,
				  dev->bdf & 7, where);
	}
}

__attribute__((weak)) void iospace_lose(struct io_device *dev)
{
	dev->context = NULL;
}

__attribute__((weak)) int iospace_teardown(struct domain *d)
{
	return 0;
}

__attribute__((weak)) void iospace_fault(struct domain *d, const struct iommu_fault *fault) {}
