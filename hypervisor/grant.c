/* grant.c: the tables of grants: who pins which entry how often, and handles.
 *
 * A domain writes entries into pages it shares with us; using one "pins" it: GTF_reading and
 * GTF_writing appear in the entry and tell the owner that it may not take the frame back. The pin
 * counts and the frame as first seen live in our own active entry, so what the owner writes into a
 * pinned entry changes nothing but its own view.
 *
 * Not here: the shared entries themselves (grant_entry.c), page tables (mm does them for grant_map.c),
 * decoding (grant_op.c). Called by those and domain.c.
 */
#include <amphi/string.h>

#include "grant_pins.h"

static struct grant_active *active_entry(struct domain *d, uint32_t ref)
{
	return &d->grants.active[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
}

/* ---- pins ------------------------------------------------------------------------------ */

static bool pinned(const struct grant_active *a)
{
	return a->readers || a->writers;
}

/* What the pins of an entry have told its owner. */
static uint16_t held(const struct grant_active *a)
{
	return a->writers ? GTF_reading | GTF_writing : a->readers ? GTF_reading : 0;
}

/*   entry (owner's page)             active (ours)
 *   permit_access, user, frame       -                     offered
 *   ... | reading [| writing]        mfn, user, counts     pinned: owner must leave it alone
 *   ... | reading [| writing] + any  mfn, user, counts     what else it writes has no effect
 *   permit_access, user, frame       counts 0              offered again
 *
 * One user at a time: the entry names only one. */
int16_t grant_pin(struct domain *owner, uint32_t ref, const struct grant_want *want,
		  struct grant_seen *out)
{
	struct domain_grants *g = &owner->grants;
	int16_t status = GNTST_bad_gntref;
	struct grant_active *a;
	struct grant_seen seen;
	bool again;

	spin_lock(&g->lock);
	if (ref >= grant_entries(g))
		goto out;
	a = active_entry(owner, ref);
	again = pinned(a);
	status = GNTST_bad_domain;
	if (!grant_entry_there(g, ref))
		goto out;
	status = GNTST_general_error;
	if (a->readers == UINT16_MAX || a->writers == UINT16_MAX ||
	    (again && (a->domid != want->user || (want->to_map && a->seen.kind != GRANT_PAGE))))
		goto out;
	/* The entry is asked only for a right it has not yet given. */
	if ((!again || (!want->readonly && !a->writers)) &&
	    !grant_entry_claim(g, ref, want, held(a), &seen))
		goto out;
	if (!again)
		a->seen = seen;
	*out = a->seen;
	a->domid = want->user;
	if (want->readonly)
		a->readers++;
	else
		a->writers++;
	status = GNTST_okay;
out:
	spin_unlock(&g->lock);
	return status;
}

/* After this the owner may reuse the frame: the caller has flushed what could still reach it. A
 * dying owner has no table any more; the pins outlive it until the users let go. */
void grant_unpin(struct domain *owner, uint32_t ref, bool readonly)
{
	struct grant_active *a;
	uint16_t before;

	spin_lock(&owner->grants.lock);
	a = active_entry(owner, ref);
	before = held(a);
	if (readonly)
		a->readers--;
	else
		a->writers--;
	grant_entry_release(&owner->grants, ref, (uint16_t)(before & ~held(a)));
	spin_unlock(&owner->grants.lock);
}

/* ---- the table's size ------------------------------------------------------------------ */

/* The lock is held. */
static int add_frame(struct domain *d)
{
	struct domain_grants *g = &d->grants;
	size_t size = GRANTS_PER_FRAME * sizeof(struct grant_active);

	g->active[g->n_frames] = hv_alloc(size);
	if (!g->active[g->n_frames])
		return -XEN_ENOMEM;
	g->shared[g->n_frames] = hv_page_alloc(0);
	if (!g->shared[g->n_frames])
		goto free_active;
	if (g->version == 2 && grant_status_grow(d, g->n_frames + 1))
		goto free_shared;
	mm_share_page(d, g->shared[g->n_frames], false);
	g->n_frames++;
	return 0;
free_shared:
	hv_page_free(g->shared[g->n_frames], 0);
	g->shared[g->n_frames] = NULL;
free_active:
	hv_free(g->active[g->n_frames], size);
	g->active[g->n_frames] = NULL;
	return -XEN_ENOMEM;
}

/* The table grows by being asked for, up to and with `index`; it never shrinks. The lock is held. */
static int grow(struct domain *d, uint32_t index)
{
	int error = d->grants.closed ? -XEN_ESRCH : 0;

	while (!error && d->grants.n_frames <= index)
		error = add_frame(d);
	return error;
}

int grant_frame(struct domain *d, uint32_t index, mfn_t *out)
{
	struct domain_grants *g = &d->grants;
	int error;

	if (index >= g->max_frames)
		return -XEN_EINVAL;
	spin_lock(&g->lock);
	error = grow(d, index);
	if (!error)
		*out = virt_to_mfn(g->shared[index]);
	spin_unlock(&g->lock);
	return error;
}

/* Status frames come with the entries they are for: what is missing is made with those. */
int grant_status_frame(struct domain *d, uint32_t index, mfn_t *out)
{
	struct domain_grants *g = &d->grants;
	uint32_t last = (index + 1) * (GRANT_MAX_FRAMES / GRANT_STATUS_FRAMES) - 1;
	int error = -XEN_EINVAL;

	spin_lock(&g->lock);
	if (g->version == 2 && index < grant_status_frames(g->max_frames))
		error = index < g->n_status ? 0 : grow(d, MIN(last, g->max_frames - 1));
	if (!error)
		*out = virt_to_mfn(g->status[index]);
	spin_unlock(&g->lock);
	return error;
}

int grant_set_version(struct domain *d, uint32_t version)
{
	struct domain_grants *g = &d->grants;
	uint32_t ref;
	int error = 0;

	spin_lock(&g->lock);
	for (ref = GNTTAB_NR_RESERVED_ENTRIES; ref < grant_entries(g); ref++)
		if (pinned(active_entry(d, ref)))
			error = -XEN_EBUSY;
	if (!error && version != g->version)
		error = grant_version_change(d, version);
	spin_unlock(&g->lock);
	return error;
}

int16_t grant_swap(struct domain *d, uint32_t a, uint32_t b)
{
	struct domain_grants *g = &d->grants;
	int16_t status = GNTST_okay;

	spin_lock(&g->lock);
	if (MAX(a, b) >= grant_entries(g))
		status = GNTST_bad_gntref;
	else if (a != b && (pinned(active_entry(d, a)) || pinned(active_entry(d, b))))
		status = GNTST_eagain;
	else if (a != b)
		grant_entry_swap(g, a, b);
	spin_unlock(&g->lock);
	return status;
}

/* ---- handles --------------------------------------------------------------------------- */

struct grant_track *grant_track(struct domain *d, uint32_t handle)
{
	uint32_t chunk = handle / GRANT_TRACK_CHUNK;

	if (chunk >= d->grants.n_chunks)
		return NULL;
	return &d->grants.track[chunk][handle % GRANT_TRACK_CHUNK];
}

/* The track lock is held. */
static void track_push(struct domain_grants *g, uint32_t handle)
{
	struct grant_track *t = &g->track[handle / GRANT_TRACK_CHUNK][handle % GRANT_TRACK_CHUNK];

	memset(t, 0, sizeof(*t));
	t->next_free = g->free_track;
	g->free_track = handle + 1;
}

/* The track lock is held. Lower handles are given out first. */
static bool add_chunk(struct domain_grants *g)
{
	if (g->n_chunks == GRANT_TRACK_CHUNKS)
		return false;
	g->track[g->n_chunks] = hv_alloc(GRANT_TRACK_CHUNK * sizeof(struct grant_track));
	if (!g->track[g->n_chunks])
		return false;
	g->n_chunks++;
	for (uint32_t i = GRANT_TRACK_CHUNK; i > 0; i--)
		track_push(g, (g->n_chunks - 1) * GRANT_TRACK_CHUNK + i - 1);
	return true;
}

bool grant_track_new(struct domain *d, uint32_t *out_handle)
{
	struct domain_grants *g = &d->grants;
	bool found;

	spin_lock(&g->track_lock);
	found = !g->closed && (g->free_track || add_chunk(g));
	if (found) {
		*out_handle = g->free_track - 1;
		g->free_track = grant_track(d, *out_handle)->next_free;
		g->n_mapped++;
	}
	spin_unlock(&g->track_lock);
	return found;
}

void grant_track_free(struct domain *d, uint32_t handle)
{
	spin_lock(&d->grants.track_lock);
	track_push(&d->grants, handle);
	d->grants.n_mapped--;
	spin_unlock(&d->grants.track_lock);
}

/* ---- life ------------------------------------------------------------------------------ */

int grant_domain_init(struct domain *d, uint32_t max_frames)
{
	mfn_t first;

	d->grants.version = 1;
	d->grants.max_version = 2;
	d->grants.max_frames = MIN(max_frames ? max_frames : GRANT_MAX_FRAMES, GRANT_MAX_FRAMES);
	return grant_frame(d, 0, &first);
}

int grant_domain_teardown(struct domain *d)
{
	struct domain_grants *g = &d->grants;
	uint32_t handle, i, done = 0;
	struct grant_track was;
	void *page;

	spin_lock(&g->lock);
	g->closed = true;
	spin_unlock(&g->lock);
	/* Page tables are left alone: mm gives them up next, and with them the frames. */
	for (handle = 0; g->n_mapped && grant_track(d, handle); handle++) {
		was = *grant_track(d, handle);
		if (!was.maps)
			continue;
		grant_let_go(d, handle, &was, was.maps);
		if (++done == GRANT_TRACK_CHUNK)
			return -XEN_ERESTART;
	}
	for (i = 0; i < g->n_frames; i++) {
		spin_lock(&g->lock);
		page = g->shared[i];
		g->shared[i] = NULL;
		spin_unlock(&g->lock);
		if (page)
			mm_unshare_page(page);
	}
	grant_status_end(d);
	return 0;
}

void grant_domain_free(struct domain *d)
{
	struct domain_grants *g = &d->grants;
	uint32_t i;

	for (i = 0; i < g->n_chunks; i++)
		hv_free(g->track[i], GRANT_TRACK_CHUNK * sizeof(struct grant_track));
	for (i = 0; i < g->n_frames; i++)
		hv_free(g->active[i], GRANTS_PER_FRAME * sizeof(struct grant_active));
}

void grant_dump(struct domain *d, void *unused)
{
	const struct grant_active *a;
	uint32_t ref;

	hv_printk("domain %u: %u grant frames, version %u, %u handles", d->id, d->grants.n_frames,
		  d->grants.version, d->grants.n_mapped);
	for (ref = 0; ref < d->grants.n_frames * GRANTS_PER_FRAME; ref++) {
		a = active_entry(d, ref);
		if (pinned(a))
			hv_printk("  ref %u frame %x for %u: %u readers %u writers", ref,
				  a->seen.mfn, a->domid, a->readers, a->writers);
	}
}
