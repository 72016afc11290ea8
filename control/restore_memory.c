/* restore_memory.c: the pages of a saved domain: numbers that get frames, contents, tables, the guest's list.
 *
 * A stream names pages by the guest's own numbers, in tables too; here each gets a frame of the new domain
 * when it is first named, and tables are turned to frames while they are written. So a page may stand
 * anywhere in the stream; what a table named and never came is found at the end. The hypervisor checks
 * the tables when they are pinned: until then they are pages like others. Not here: registers and the
 * pages that the guest is told of (restore_vcpu.c). Callers: restore_stream.c, restore_domain.c, restore_vcpu.c. Calls host_control.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/string.h>

#include "restore.h"

#define PTE_FRAME 0x000ffffffffff000ull

/* The entries of a top level table that are the hypervisor's (xen/arch-x86/xen-x86_64.h). */
#define XEN_SLOT_FIRST 256u
#define XEN_SLOT_END   272u

/* A list for so many pages more than the domain may have is believed; a balloon's holes take places in it.
 * The bound is on our own memory. */
#define HOLES_MAX (1ull << 18)

#define PIN_BATCH 32u

static bool has_content(unsigned type)
{
	return type < STREAM_PAGE_BROKEN;
}

/* Level of a table, 0: none. */
static unsigned level_of(unsigned type)
{
	return has_content(type) ? type & ~STREAM_PAGE_PINNED : 0;
}

/* ---- the list of pages ------------------------------------------------------------------------ */

static int list_piece(struct restore *r, const uint8_t *piece)
{
	uint64_t n;

	memcpy(r->list + r->list_have, piece, r->want);
	r->list_have += r->want / sizeof(uint64_t);
	n = MIN(r->list_len - r->list_have, RESTORE_ENTRIES);
	if (!n)
		return restore_record_end(r);
	restore_want(r, list_piece, n * sizeof(uint64_t));
	return 0;
}

static int make_lists(struct restore *r)
{
	r->build.frames_pages = (unsigned)PAGES_FOR(r->n_pfns * sizeof(mfn_t));
	r->build.frames = host_pages_alloc(r->build.frames_pages);
	r->types = host_pages_alloc((unsigned)PAGES_FOR(r->n_pfns));
	r->list = host_pages_alloc((unsigned)PAGES_FOR(r->list_len * sizeof(*r->list)));
	if (!r->build.frames || !r->types || !r->list)
		return restore_fail(r, -XEN_ENOMEM, "no memory for lists of %llu pages",
				    (unsigned long long)r->n_pfns);
	memset(r->build.frames, 0xff, r->build.frames_pages * PAGE_SIZE); /* MFN_NONE */
	memset(r->types, RESTORE_UNSEEN, r->n_pfns);
	return 0;
}

static int list_header(struct restore *r, const uint8_t *piece)
{
	const struct stream_p2m_frames *f = (const void *)piece;
	uint64_t pages = r->plan.max_memory_kib / 4;
	int err;

	r->n_pfns = (uint64_t)f->end_pfn + 1;
	r->list_len = f->end_pfn / RESTORE_ENTRIES + 1;
	if (f->start_pfn || r->n_pfns > pages + HOLES_MAX)
		return restore_fail(r, -XEN_EINVAL, "a list from 0x%x to 0x%x for %llu pages",
				    f->start_pfn, f->end_pfn, (unsigned long long)pages);
	if (r->record.body_bytes != sizeof(*f) + r->list_len * sizeof(uint64_t))
		return restore_fail(r, -XEN_EINVAL, "it is of %u bytes, for pages up to 0x%x",
				    r->record.body_bytes, f->end_pfn);
	err = make_lists(r);
	if (err)
		return err;
	r->stage = RESTORE_PAGES;
	restore_want(r, list_piece, MIN(r->list_len, RESTORE_ENTRIES) * sizeof(uint64_t));
	return 0;
}

int restore_list_begin(struct restore *r)
{
	restore_want(r, list_header, sizeof(struct stream_p2m_frames));
	return 0;
}

/* ---- frames ----------------------------------------------------------------------------------- */

/* Numbers go in and frames come out in the same array, so they are kept beside it. */
static int populate(struct restore *r)
{
	struct xen_memory_reservation m = {.nr_extents = r->n_wanted, .domid = r->built.domid};
	long got = 0;

	if (!r->n_wanted)
		return 0;
	memcpy(r->extents, r->wanted, r->n_wanted * sizeof(*r->extents));
	set_xen_guest_handle(m.extent_start, (xen_pfn_t *)r->extents);
	got = host_memory_op(XENMEM_populate_physmap, &m);
	if (got != (long)r->n_wanted)
		return restore_fail(r, got < 0 ? (int)got : -XEN_ENOMEM,
				    "%llu KiB are not enough for it",
				    (unsigned long long)r->plan.max_memory_kib);
	for (unsigned i = 0; i < r->n_wanted; i++)
		r->build.frames[r->wanted[i]].v = r->extents[i];
	r->built.pages += r->n_wanted;
	r->n_wanted = 0;
	return 0;
}

/* It gets a frame when it has none. A list full of one number would get two: the second is found by its
 * mark, a frame that is none. */
static void want_frame(struct restore *r, uint64_t pfn)
{
	if (r->build.frames[pfn].v != MFN_NONE.v)
		return;
	r->build.frames[pfn].v = MFN_NONE.v - 1;
	r->wanted[r->n_wanted++] = pfn;
}

int restore_frame(struct restore *r, uint64_t pfn, unsigned type, const char *what, mfn_t *out)
{
	if (pfn >= r->n_pfns || r->types[pfn] >= STREAM_PAGE_BROKEN)
		return restore_fail(r, -XEN_EINVAL, "%s is page 0x%llx, which there is not", what,
				    (unsigned long long)pfn);
	if ((r->types[pfn] & ~STREAM_PAGE_PINNED) != type)
		return restore_fail(r, -XEN_EINVAL, "%s is page 0x%llx, of type %u", what,
				    (unsigned long long)pfn, r->types[pfn]);
	*out = r->build.frames[pfn];
	return 0;
}

/* ---- tables ----------------------------------------------------------------------------------- */

/* In a table of the top level the hypervisor's entries are made by itself. */
static bool is_ours(unsigned level, unsigned slot)
{
	return level != 4 || slot < XEN_SLOT_FIRST || slot >= XEN_SLOT_END;
}

/* Everything a table names, before anything is turned: what has no frame gets one. */
static int check_table(struct restore *r, unsigned level, const uint64_t *table, uint64_t pfn)
{
	for (unsigned slot = 0; slot < RESTORE_ENTRIES; slot++) {
		uint64_t to = (table[slot] & PTE_FRAME) >> PAGE_SHIFT;

		if (!(table[slot] & PTE_PRESENT) || !is_ours(level, slot))
			continue;
		if (to >= r->n_pfns)
			return restore_fail(r, -XEN_EINVAL,
					    "entry %u of table 0x%llx names page 0x%llx of 0x%llx",
					    slot, (unsigned long long)pfn, (unsigned long long)to,
					    (unsigned long long)r->n_pfns);
		want_frame(r, to);
	}
	return populate(r);
}

static int turn_table(struct restore *r, unsigned level, uint64_t *table, uint64_t pfn)
{
	int err = check_table(r, level, table, pfn);

	for (unsigned slot = 0; !err && slot < RESTORE_ENTRIES; slot++) {
		uint64_t to = (table[slot] & PTE_FRAME) >> PAGE_SHIFT;

		if (!is_ours(level, slot))
			table[slot] = 0;
		else if (table[slot] & PTE_PRESENT)
			table[slot] =
			    (table[slot] & ~PTE_FRAME) | mfn_to_maddr(r->build.frames[to]).v;
	}
	return err;
}

/* ---- PAGE_DATA -------------------------------------------------------------------------------- */

void restore_unmap_window(struct restore *r)
{
	if (r->window_va)
		host_foreign_unmap(r->window_va, r->window_len);
	r->window_va = NULL;
	r->window_len = r->window_at = 0;
}

static uint64_t batch_pfn(const struct restore *r, unsigned i)
{
	return r->batch[i] & STREAM_PFN_MASK;
}

static unsigned batch_type(const struct restore *r, unsigned i)
{
	return (unsigned)(r->batch[i] >> STREAM_TYPE_SHIFT);
}

static restore_fn page_piece;

/* Maps the next pages that have content, as many as a window has, and asks for the first. Those that have
 * none are passed over: all is known of them. */
static int next_window(struct restore *r)
{
	unsigned i, n = 0;
	int err;

	restore_unmap_window(r);
	while (r->batch_at < r->batch_len && !has_content(batch_type(r, r->batch_at)))
		r->batch_at++;
	if (r->batch_at == r->batch_len)
		return restore_record_end(r);
	for (i = r->batch_at; i < r->batch_len && n < RESTORE_WINDOW; i++)
		if (has_content(batch_type(r, i)))
			r->window[n++] = r->build.frames[batch_pfn(r, i)];
	err = host_foreign_map(r->built.domid, r->window, n, &r->window_va);
	if (err) {
		r->window_va = NULL;
		return restore_fail(r, err, "its pages cannot be mapped: %s", error_name(err));
	}
	r->window_len = n;
	restore_want_anywhere(r, page_piece, PAGE_SIZE);
	return 0;
}

static int page_piece(struct restore *r, const uint8_t *piece)
{
	void *page = (char *)r->window_va + r->window_at * PAGE_SIZE;
	unsigned level;
	int err = 0;

	while (
	    !has_content(batch_type(r, r->batch_at))) /* one that has is left: it was asked for */
		r->batch_at++;
	memcpy(page, piece, PAGE_SIZE);
	level = level_of(batch_type(r, r->batch_at));
	if (level)
		err = turn_table(r, level, page, batch_pfn(r, r->batch_at));
	r->batch_at++;
	r->window_at++;
	return err || r->window_at < r->window_len ? err : next_window(r);
}

static bool type_is_known(unsigned type)
{
	unsigned level = type & ~STREAM_PAGE_PINNED;

	return !has_content(type) || type == STREAM_PAGE_PLAIN || (level >= 1 && level <= 4);
}

/* A type counts only when the page is there; one that no number stands for may still be in a table, which is
 * found at the end. */
static int note_page(struct restore *r, unsigned i)
{
	uint64_t pfn = batch_pfn(r, i);
	unsigned type = batch_type(r, i);

	if (pfn >= r->n_pfns || (r->batch[i] & ~STREAM_PFN_MASK) != (uint64_t)type
									<< STREAM_TYPE_SHIFT)
		return restore_fail(r, -XEN_EINVAL, "page 0x%llx of 0x%llx",
				    (unsigned long long)pfn, (unsigned long long)r->n_pfns);
	if (!type_is_known(type))
		return restore_fail(r, -XEN_EINVAL, "page 0x%llx is of the unknown type %u",
				    (unsigned long long)pfn, type);
	if (r->types[pfn] != RESTORE_UNSEEN)
		return restore_fail(r, -XEN_EINVAL, "page 0x%llx comes a second time",
				    (unsigned long long)pfn);
	r->types[pfn] = (uint8_t)type;
	if (type != STREAM_PAGE_NONE && type != STREAM_PAGE_BROKEN)
		want_frame(r, pfn);
	return 0;
}

static int numbers(struct restore *r, const uint8_t *piece)
{
	uint64_t pages = 0, needs;
	int err = 0;

	memcpy(r->batch, piece, r->want);
	for (unsigned i = 0; i < r->batch_len && !err; i++) {
		err = note_page(r, i);
		pages += has_content(batch_type(r, i));
	}
	needs =
	    sizeof(struct stream_page_data) + r->batch_len * sizeof(uint64_t) + pages * PAGE_SIZE;
	if (!err && needs != r->record.body_bytes)
		err = restore_fail(r, -XEN_EINVAL, "it is of %u bytes and has %llu pages",
				   r->record.body_bytes, (unsigned long long)pages);
	if (!err)
		err = populate(r);
	r->batch_at = 0;
	return err ? err : next_window(r);
}

static int pages_header(struct restore *r, const uint8_t *piece)
{
	const struct stream_page_data *d = (const void *)piece;

	if (!d->count || d->count > STREAM_BATCH_PAGES ||
	    d->count * sizeof(uint64_t) > r->record.body_bytes - sizeof(*d))
		return restore_fail(r, -XEN_EINVAL, "it is of %u bytes for %u pages",
				    r->record.body_bytes, d->count);
	r->batch_len = d->count;
	restore_want(r, numbers, d->count * sizeof(uint64_t));
	return 0;
}

int restore_pages_begin(struct restore *r)
{
	restore_want(r, pages_header, sizeof(struct stream_page_data));
	return 0;
}

/* ---- when all have come ----------------------------------------------------------------------- */

static int check_all_came(struct restore *r)
{
	for (uint64_t pfn = 0; pfn < r->n_pfns; pfn++)
		if (r->build.frames[pfn].v != MFN_NONE.v &&
		    (r->types[pfn] == RESTORE_UNSEEN || r->types[pfn] == STREAM_PAGE_NONE ||
		     r->types[pfn] == STREAM_PAGE_BROKEN))
			return restore_fail(r, -XEN_EINVAL,
					    "a table names page 0x%llx, which did not come",
					    (unsigned long long)pfn);
	return 0;
}

static int write_list_page(struct restore *r, uint64_t i)
{
	uint64_t first = i * RESTORE_ENTRIES;
	mfn_t frame;
	void *va;
	int err =
	    restore_frame(r, r->list[i], STREAM_PAGE_PLAIN, "a part of its page list", &frame);

	if (!err)
		err = host_foreign_map(r->built.domid, &frame, 1, &va);
	if (err)
		return err;
	memcpy(va, r->build.frames + first,
	       MIN(r->n_pfns - first, RESTORE_ENTRIES) * sizeof(mfn_t));
	host_foreign_unmap(va, 1);
	return 0;
}

/* In the order of the list; it ends where it did when it was saved, in the middle of a page. */
int restore_finish_list(struct restore *r)
{
	int err = check_all_came(r);

	for (uint64_t i = 0; i < r->list_len && !err; i++)
		err = write_list_page(r, i);
	return err;
}

static int pin(struct restore *r, struct mmuext_op *ops, unsigned n)
{
	int err = n ? host_mmuext(ops, n, r->built.domid) : 0;

	return err ? restore_fail(r, err, "the hypervisor refuses its page tables: %s",
				  error_name(err))
		   : 0;
}

/* MMUEXT_PIN_L1_TABLE to _L4_ are 0 to 3 (xen/xen.h). */
int restore_pin(struct restore *r)
{
	struct mmuext_op ops[PIN_BATCH];
	unsigned n = 0;
	int err = 0;

	for (uint64_t pfn = 0; pfn < r->n_pfns && !err; pfn++) {
		unsigned type = r->types[pfn];

		if (!has_content(type) || !(type & STREAM_PAGE_PINNED))
			continue;
		ops[n++] = (struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE + level_of(type) - 1,
					      .arg1.mfn = r->build.frames[pfn].v};
		if (n == PIN_BATCH) {
			err = pin(r, ops, n);
			n = 0;
		}
	}
	return err ? err : pin(r, ops, n);
}
