/* grant_entry.c: the entries a domain shares with us, of both versions, behind one reader.
 *
 *   version 1   flags, user, frame in 8 bytes; reading and writing are among the flags
 *   version 2   16 bytes: flags, user, and then a frame, or a frame and a range in it (sub_page), or
 *               another domain's grant (transitive); reading and writing are in the status frames
 *
 * The owner writes its entries at any time. So an entry is claimed first, which tells the owner to
 * leave it alone, and what it says is then fetched once, into struct grant_seen; what the owner does
 * nevertheless changes its own view and nothing else.
 *
 * Not here: who may, and how often (grant.c). Called by grant.c and grant_op.c with the owner's grant
 * lock held. The one place that writes to shared entries. Calls mm for the pages.
 */
#include <amphi/string.h>

#include "grant_pins.h"

#define CLAIM_TRIES 4 /* an owner that changes its entry faster than this gets an error */

#define V2_PER_FRAME     ((uint32_t)(PAGE_SIZE / sizeof(union grant_entry_v2)))
#define STATUS_PER_FRAME ((uint32_t)(PAGE_SIZE / sizeof(grant_status_t)))

_Static_assert(GRANT_STATUS_FRAMES *STATUS_PER_FRAME == GRANT_MAX_FRAMES * V2_PER_FRAME,
	       "a status for each entry of the largest table");
_Static_assert(offsetof(union grant_entry_v2, full_page.frame) ==
		   offsetof(union grant_entry_v2, sub_page.frame),
	       "a frame is where a frame is");

/* Flags and user are one aligned word in both versions, changed together or not at all. */
union entry_word {
	struct grant_entry_header hdr;
	uint32_t word;
};

static uint32_t per_frame(const struct domain_grants *g)
{
	return g->version == 1 ? GRANTS_PER_FRAME : V2_PER_FRAME;
}

uint32_t grant_entries(const struct domain_grants *g)
{
	return g->n_frames * per_frame(g);
}

/* NULL when the owner's table has been taken away; its active entries live on. */
static void *entry_at(const struct domain_grants *g, uint32_t ref)
{
	uint8_t *frame = g->shared[ref / per_frame(g)];

	return frame ? frame + ref % per_frame(g) * (PAGE_SIZE / per_frame(g)) : NULL;
}

bool grant_entry_there(const struct domain_grants *g, uint32_t ref)
{
	return entry_at(g, ref);
}

/* Where reading and writing are told. */
static uint16_t *status_of(const struct domain_grants *g, uint32_t ref)
{
	if (g->version == 1)
		return entry_at(g, ref);
	return &g->status[ref / STATUS_PER_FRAME][ref % STATUS_PER_FRAME];
}

static uint32_t word_at(const void *entry)
{
	return __atomic_load_n((const uint32_t *)entry, __ATOMIC_SEQ_CST);
}

/* Parts of pages, and what others granted, can be copied and not mapped. */
static bool allows(const struct domain_grants *g, uint32_t word, const struct grant_want *want)
{
	struct grant_entry_header h = ((union entry_word){.word = word}).hdr;

	if (h.domid != want->user || (!want->readonly && (h.flags & GTF_readonly)))
		return false;
	if ((h.flags & GTF_type_mask) == GTF_permit_access)
		return !(want->to_map && (h.flags & GTF_sub_page));
	return (h.flags & GTF_type_mask) == GTF_transitive && g->version == 2 && !want->to_map;
}

static uint16_t told(bool readonly)
{
	return readonly ? GTF_reading : GTF_reading | GTF_writing;
}

static bool claim_v1(struct domain_grants *g, uint32_t ref, const struct grant_want *want,
		     uint32_t *out_word)
{
	uint32_t *word = entry_at(g, ref);
	union entry_word new;
	int tries;

	*out_word = word_at(word);
	for (tries = 0; tries < CLAIM_TRIES && allows(g, *out_word, want); tries++) {
		new.word = *out_word;
		new.hdr.flags |= told(want->readonly);
		if (__atomic_compare_exchange_n(word, out_word, new.word, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	}
	return false;
}

/* The owner that takes a grant back changes the entry and then looks at the status: told first and
 * looked at after that, one of the two sees the other. */
static bool claim_v2(struct domain_grants *g, uint32_t ref, const struct grant_want *want,
		     uint32_t *out_word)
{
	const uint32_t *word = entry_at(g, ref);

	if (!allows(g, word_at(word), want))
		return false;
	__atomic_fetch_or(status_of(g, ref), told(want->readonly), __ATOMIC_SEQ_CST);
	*out_word = word_at(word);
	return allows(g, *out_word, want);
}

/* Fetched after the claim: before it the owner was free to change it. */
static void fetch(const struct domain_grants *g, uint32_t ref, uint32_t word,
		  struct grant_seen *out)
{
	uint16_t flags = ((union entry_word){.word = word}).hdr.flags;
	const volatile struct grant_entry_v1 *e1 = entry_at(g, ref);
	const volatile union grant_entry_v2 *e2 = entry_at(g, ref);
	uint64_t frame;

	*out = (struct grant_seen){.kind = GRANT_PAGE, .end = PAGE_SIZE};
	if (g->version == 2 && (flags & GTF_type_mask) == GTF_transitive) {
		out->kind = GRANT_TRANSITIVE;
		out->of = e2->transitive.trans_domid;
		out->of_ref = e2->transitive.gref;
		return;
	}
	if (g->version == 2 && (flags & GTF_sub_page)) {
		out->kind = GRANT_PART;
		out->start = e2->sub_page.page_off;
		out->end = (uint16_t)MIN((uint32_t)out->start + e2->sub_page.length, PAGE_SIZE);
	}
	frame = g->version == 1 ? e1->frame : e2->full_page.frame;
	/* What does not fit is no RAM either. */
	out->mfn = (uint32_t)MIN(frame, UINT32_MAX);
}

bool grant_entry_claim(struct domain_grants *g, uint32_t ref, const struct grant_want *want,
		       uint16_t held, struct grant_seen *out)
{
	uint32_t word = 0;

	if (g->version == 1 ? !claim_v1(g, ref, want, &word) : !claim_v2(g, ref, want, &word)) {
		if (g->version == 2)
			grant_entry_release(g, ref, (uint16_t)(told(false) & ~held));
		return false;
	}
	fetch(g, ref, word, out);
	return true;
}

void grant_entry_release(struct domain_grants *g, uint32_t ref, uint16_t gone)
{
	if (gone && entry_at(g, ref))
		__atomic_fetch_and(status_of(g, ref), (uint16_t)~gone, __ATOMIC_SEQ_CST);
}

/* Neither is in use, so nobody else looks; the owner may write meanwhile, and gets what it makes of
 * it. */
void grant_entry_swap(struct domain_grants *g, uint32_t a, uint32_t b)
{
	size_t bytes = PAGE_SIZE / per_frame(g);
	union grant_entry_v2 was;
	uint16_t told_a;

	memcpy(&was, entry_at(g, a), bytes);
	memcpy(entry_at(g, a), entry_at(g, b), bytes);
	memcpy(entry_at(g, b), &was, bytes);
	if (g->version == 1)
		return;
	told_a = *status_of(g, a);
	*status_of(g, a) = *status_of(g, b);
	*status_of(g, b) = told_a;
}

/* ---- the pages ------------------------------------------------------------------------- */

uint32_t grant_status_frames(uint32_t n_frames)
{
	return (n_frames * V2_PER_FRAME + STATUS_PER_FRAME - 1) / STATUS_PER_FRAME;
}

int grant_status_grow(struct domain *d, uint32_t n_frames)
{
	struct domain_grants *g = &d->grants;

	for (; g->n_status < grant_status_frames(n_frames); g->n_status++) {
		g->status[g->n_status] = hv_page_alloc(0);
		if (!g->status[g->n_status])
			return -XEN_ENOMEM;
		mm_share_page(d, g->status[g->n_status], false);
	}
	return 0;
}

void grant_status_end(struct domain *d)
{
	struct domain_grants *g = &d->grants;

	while (g->n_status > 0)
		mm_unshare_page(g->status[--g->n_status]);
}

/* Somebody maps one still. */
static bool status_in_use(const struct domain_grants *g)
{
	for (uint32_t i = 0; i < g->n_status; i++)
		if (mfn_to_page(virt_to_mfn(g->status[i]))->count > 1)
			return true;
	return false;
}

/* ---- from one version to the other ----------------------------------------------------- */

/* The first few entries are the toolstack's, and stay, in use or not: each as the version had it, 0
 * in out when it offers nothing. -XEN_ERANGE when version 1 cannot say it. */
static int take_reserved(const struct domain_grants *g, union grant_entry_v2 *out)
{
	union grant_entry_v2 e;
	unsigned type;

	memset(out, 0, GNTTAB_NR_RESERVED_ENTRIES * sizeof(*out));
	for (uint32_t i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++, out++) {
		memset(&e, 0, sizeof(e));
		memcpy(&e, entry_at(g, i), PAGE_SIZE / per_frame(g));
		type = e.hdr.flags & GTF_type_mask;
		if (g->version == 1) {
			out->hdr = e.hdr;
			out->full_page.frame = e.full_page.pad0; /* where it is in version 1 */
			continue;
		}
		if (type == GTF_transitive ||
		    (type == GTF_permit_access && e.full_page.frame > UINT32_MAX))
			return -XEN_ERANGE;
		if (type != GTF_permit_access)
			continue;
		*out = e;
		out->hdr.flags |= *status_of(g, i);
	}
	return 0;
}

static void put_reserved(const struct domain_grants *g, const union grant_entry_v2 *from)
{
	for (uint32_t i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++, from++) {
		struct grant_entry_v1 v1 = {from->hdr.flags, from->hdr.domid,
					    (uint32_t)from->full_page.frame};
		union grant_entry_v2 v2 = {.full_page = {from->hdr, 0, from->full_page.frame}};

		v2.hdr.flags &= (uint16_t)~told(false);
		if (g->version == 1) {
			memcpy(entry_at(g, i), &v1, sizeof(v1));
			continue;
		}
		*status_of(g, i) = from->hdr.flags & told(false);
		memcpy(entry_at(g, i), &v2, sizeof(v2));
	}
}

int grant_version_change(struct domain *d, uint32_t version)
{
	struct domain_grants *g = &d->grants;
	union grant_entry_v2 reserved[GNTTAB_NR_RESERVED_ENTRIES];
	int error = g->closed ? -XEN_ESRCH : 0;

	if (!error && version == 2)
		error = grant_status_grow(d, g->n_frames);
	if (!error)
		error = take_reserved(g, reserved);
	if (!error && version == 1 && status_in_use(g))
		error = -XEN_EBUSY;
	if (error)
		return error;
	if (version == 1)
		grant_status_end(d);
	for (uint32_t i = 0; i < g->n_frames; i++)
		memset(g->shared[i], 0, PAGE_SIZE);
	g->version = (uint8_t)version;
	put_reserved(g, reserved);
	return 0;
}
