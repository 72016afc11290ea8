/* grant_device.c: granted pages in the hands of a device: pinned for an IO space, with or without a mapping of the CPU's.
 *
 * A use is what a mapping is without the page-table entry: a pin on the granter's entry, which the granter sees, a reference on
 * the frame and, for writing, a use of it as writable. It stands by itself: the handle that it was found by may go before it. So nobody who unmaps has to wait
 * for a device, and the granter's page is in use for as long as either is there. Who holds a use gives it back after the unit
 * was told to forget the page. Called by iospace_map.c.
 */
#include "grant_pins.h"

/* The owner's reference becomes the use's, when there is one. */
static int use_entry(struct domain *user, struct domain *owner, uint32_t ref, bool readonly,
		     struct grant_use *out)
{
	struct grant_want want = {user->id, readonly, true};
	struct grant_seen seen;
	int16_t status = grant_pin(owner, ref, &want, &seen);

	if (status != GNTST_okay)
		goto put_owner;
	status = grant_frame_get((mfn_t){seen.mfn}, owner, readonly);
	if (status != GNTST_okay)
		goto unpin;
	*out = (struct grant_use){owner, ref, seen.mfn, readonly};
	return 0;
unpin:
	grant_unpin(owner, ref, readonly);
put_owner:
	domain_put(owner);
	return -XEN_EACCES;
}

int grant_use_entry(struct domain *user, domid_t of, uint32_t ref, bool readonly,
		    struct grant_use *out)
{
	struct domain *owner = of < DOMID_FIRST_RESERVED ? domain_get(of) : NULL;

	return owner ? use_entry(user, owner, ref, readonly, out) : -XEN_ESRCH;
}

/* The handle keeps its owner in being while it is looked at. */
int grant_use_handle(struct domain *user, uint32_t handle, bool readonly, struct grant_use *out)
{
	struct grant_track *t = grant_track(user, handle), was = {0};

	if (t) {
		spin_lock(&user->grants.track_lock);
		if ((t->maps & GNTMAP_device_map) && !t->busy) {
			was = *t;
			domain_hold(was.owner);
		}
		spin_unlock(&user->grants.track_lock);
	}
	if (!was.owner)
		return -XEN_EPERM;
	if (was.readonly && !readonly) {
		domain_put(was.owner);
		return -XEN_EACCES;
	}
	return use_entry(user, was.owner, was.ref, readonly, out);
}

void grant_use_put(const struct grant_use *use)
{
	grant_frame_put((mfn_t){use->mfn}, use->readonly);
	grant_unpin(use->owner, use->ref, use->readonly);
	domain_put(use->owner);
}
