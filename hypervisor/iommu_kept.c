/* iommu_kept.c: memory that firmware keeps for functions (RMRR of DMAR, unity maps of IVRS), in spaces and between owners.
 *
 * A function may use it before anybody asks, so it is in every space that the function joins, at the same addresses. Two owners could
 * harm each other there: a function whose memory another uses as well is given away only when the toolstack says so, by
 * XEN_DOMCTL_DEV_RDM_RELAXED, as with Xen (`rdm_policy`). What is memory of ours no table of firmware gives to a guest's device. In a
 * domain's empty context 0 there is nothing of it. Callers: iommu_device.c, iommu_assign.c. Calls iommu.h.
 */
#include "domain.h"
#include "iommu_device.h"
#include "mm_private.h"

/* ---- in a space ---------------------------------------------------------------------------- */

/* What is mapped there already may be the same range of another function of the space. */
static int map_page(struct iommu_space *space, uint64_t at, unsigned rights)
{
	unsigned has = 0;
	maddr_t to = {0};

	if (iommu_lookup(space, at, &to, &has))
		return iommu_map(space, at, (maddr_t){at}, PAGE_SIZE, rights);
	return to.v == at && (has & rights) == rights ? 0 : -XEN_EEXIST;
}

int io_kept_map(struct iommu_space *space, const struct iommu_names *names)
{
	const struct iommu_reserved *r;

	for (unsigned n = 0; (r = iommu_reserved(n)); n++) {
		int error = 0;

		for (uint64_t at = r->start; iommu_is_kept_for(r, names) && at < r->end && !error;
		     at += PAGE_SIZE)
			error = map_page(space, at, r->rights);
		if (error)
			return error;
	}
	return 0;
}

/* ---- may its function be given away? ------------------------------------------------------- */

static bool is_memory(const struct iommu_reserved *r)
{
	uint64_t end = MIN(r->end >> PAGE_SHIFT, frames_highest() + 1);

	for (uint64_t n = r->start >> PAGE_SHIFT; n < end; n++)
		if (mfn_valid((mfn_t){n}))
			return true;
	return false;
}

/* Those who send by a number of its have one owner with it anyway. */
static const struct io_device *other_user(const struct io_device *dev,
					  const struct iommu_reserved *range)
{
	const struct iommu_reserved *r;

	for (unsigned n = 0; (r = iommu_reserved(n)); n++) {
		if (!r->rights || r->start >= range->end || r->end <= range->start)
			continue;
		for (struct io_device *other = NULL; (other = io_device_each(other));)
			if (other != dev && !other->bridge && iommu_is_kept_for(r, &other->names) &&
			    !iommu_names_meet(&other->names, &dev->names))
				return other;
	}
	return NULL;
}

const char *io_kept_check(const struct io_device *dev, bool relaxed,
			  const struct io_device **out_other)
{
	const struct iommu_reserved *r;

	for (unsigned n = 0; dev->unit && (r = iommu_reserved(n)); n++) {
		if (!r->rights || !iommu_is_kept_for(r, &dev->names))
			continue;
		if (is_memory(r))
			return "firmware keeps for it what is memory";
		*out_other = other_user(dev, r);
		if (*out_other && !relaxed)
			return "memory that firmware keeps for it is also used by";
	}
	return NULL;
}
