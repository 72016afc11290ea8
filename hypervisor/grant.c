/* grant.c: the tables of grants: shared entries, the active entries beside them, and handles.
 *
 * A domain writes entries into pages it shares with us; using one "pins" it: GTF_reading and
 * GTF_writing appear in the entry and tell the owner that it may not take the frame back. The pin
 * counts and the frame as first seen live in our own active entry, so what the owner writes into a
 * pinned entry changes nothing but its own view.
 *
 * Not here: page tables (mm does them for grant_map.c), decoding (grant_op.c). Called by those and
 * domain.c. The one place that writes to a shared entry.
 */
#include <amphi/string.h>

#include "grant_pins.h"

#define PIN_TRIES 4 /* an owner that changes its entry faster than this gets an error */

/* Flags and domid of a shared entry are one aligned 32-bit word, changed together or not at all. */
union entry_word {
	struct {
		uint16_t flags;
		domid_t domid;
	};
	uint32_t word;
};

static struct grant_active *active_entry(struct domain *d, uint32_t ref)
{
	return &d->grants.active[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
}

/* NULL when the owner's table has been taken away; its active entries live on. */
static struct grant_entry_v1 *shared_entry(struct domain *d, uint32_t ref)
{
	struct grant_entry_v1 *frame = d->grants.shared[ref / GRANTS_PER_FRAME];

	return frame ? &frame[ref % GRANTS_PER_FRAME] : NULL;
}

/* ---- pins ------------------------------------------------------------------------------ */

/* Says in the shared entry that user reads or writes, if the entry allows it. */
static int16_t entry_claim(struct grant_entry_v1 *e, domid_t user, bool readonly)
{
	uint32_t *word = (uint32_t *)(void *)e;
	union entry_word old, new;
	int tries;

	old.word = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	for (tries = 0; tries < PIN_TRIES; tries++) {
		if ((old.flags & GTF_type_mask) != GTF_permit_access || old.domid != user)
			return GNTST_general_error;
		if (!readonly && (old.flags & GTF_readonly))
			return GNTST_general_error;
		new = old;
		new.flags |= readonly ? GTF_reading : GTF_reading | GTF_writing;
		if (__atomic_compare_exchange_n(word, &old.word, new.word, false, __ATOMIC_SEQ_CST,
						__ATOMIC_ACQUIRE))
			return GNTST_okay;
	}
	return GNTST_general_error;
}

static bool pinned(const struct grant_active *a)
{
	return a->readers || a->writers;
}

/*   entry (owner's page)             active (ours)
 *   permit_access, user, frame       -                     offered
 *   ... | reading [| writing]        mfn, user, counts     pinned: owner must leave it alone
 *   ... | reading [| writing] + any  mfn, user, counts     what else it writes has no effect
 *   permit_access, user, frame       counts 0              offered again
 *
 * One user at a time: the entry names only one. */
int16_t grant_pin(struct domain *owner, uint32_t ref, domid_t user, bool readonly, mfn_t *out_mfn)
{
	struct domain_grants *g = &owner->grants;
	int16_t status = GNTST_bad_gntref;
	struct grant_entry_v1 *e;
	struct grant_active *a;

	spin_lock(&g->lock);
	if (ref >= g->n_frames * GRANTS_PER_FRAME)
		goto out;
	e = shared_entry(owner, ref);
	a = active_entry(owner, ref);
	status = !e                              ? GNTST_bad_domain
		 : pinned(a) && a->domid != user ? GNTST_general_error
		 : a->readers == UINT16_MAX      ? GNTST_no_space
		 : a->writers == UINT16_MAX      ? GNTST_no_space
						 : GNTST_okay;
	/* The entry is asked only for a right it has not yet given. */
	if (status == GNTST_okay && (!pinned(a) || (!readonly && !a->writers)))
		status = entry_claim(e, user, readonly);
	if (status != GNTST_okay)
		goto out;
	if (!pinned(a)) {
		/* Fetched once, after the claim: before it the owner was free to change it. */
		a->mfn = __atomic_load_n(&e->frame, __ATOMIC_ACQUIRE);
		a->domid = user;
	}
	if (readonly)
		a->readers++;
	else
		a->writers++;
	*out_mfn = (mfn_t){a->mfn};
out:
	spin_unlock(&g->lock);
	return status;
}

/* After this the owner may reuse the frame: the caller has flushed what could still reach it. */
void grant_unpin(struct domain *owner, uint32_t ref, bool readonly)
{
	struct grant_entry_v1 *e;
	struct grant_active *a;
	uint16_t gone = 0;

	spin_lock(&owner->grants.lock);
	e = shared_entry(owner, ref);
	a = active_entry(owner, ref);
	if (readonly)
		a->readers--;
	else
		a->writers--;
	if (!a->writers)
		gone = pinned(a) ? GTF_writing : GTF_writing | GTF_reading;
	/* A dying owner has no table any more; the pins outlive it until the users let go. */
	if (e && gone)
		__atomic_fetch_and(&e->flags, (uint16_t)~gone, __ATOMIC_SEQ_CST);
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
	if (!g->shared[g->n_frames]) {
		hv_free(g->active[g->n_frames], size);
		g->active[g->n_frames] = NULL;
		return -XEN_ENOMEM;
	}
	mm_share_page(d, g->shared[g->n_frames], false);
	g->n_frames++;
	return 0;
}

/* The table grows by being asked for, up to and with `index`; it never shrinks. */
int grant_frame(struct domain *d, uint32_t index, mfn_t *out)
{
	struct domain_grants *g = &d->grants;
	int error;

	if (index >= g->max_frames)
		return -XEN_EINVAL;
	spin_lock(&g->lock);
	error = g->closed ? -XEN_ESRCH : 0;
	while (!error && g->n_frames <= index)
		error = add_frame(d);
	if (!error)
		*out = virt_to_mfn(g->shared[index]);
	spin_unlock(&g->lock);
	return error;
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

	hv_printk("domain %u: %u grant frames, %u handles", d->id, d->grants.n_frames,
		  d->grants.n_mapped);
	for (ref = 0; ref < d->grants.n_frames * GRANTS_PER_FRAME; ref++) {
		a = active_entry(d, ref);
		if (pinned(a))
			hv_printk("  ref %u frame %x for %u: %u readers %u writers", ref, a->mfn,
				  a->domid, a->readers, a->writers);
	}
}
