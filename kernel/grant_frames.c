/* grant_frames.c: this domain's grant table begins with four frames and doubles while the hypervisor lets it.
 *
 * Contract: grant_frames.h. Four are 2048 entries, enough for the disk or two that most domains have; a domain with
 * sixteen, each with its rings and pages that stay granted, needs ten times as many. Called by the boot code and, when
 * no entry is free, by grant.c, in the worker; calls grant.h and the allocators.
 */
#include "grant_frames.h"

#include <amphi/grant.h>
#include <amphi/hypercall.h>

#include "mm.h"

#define FRAMES_FIRST      4u
#define ENTRIES_PER_FRAME (unsigned)(PAGE_SIZE / sizeof(struct grant_entry_v1))
_Static_assert(GRANT_FRAMES_MAX *PAGE_SIZE / sizeof(struct grant_entry_v1) <= GRANT_ENTRIES_MAX,
	       "grant.h can count them");

static grant_frames_add *add;
static void *window;
static unsigned n_frames, max_frames;

static size_t links_size(unsigned frames)
{
	return frames * ENTRIES_PER_FRAME * sizeof(uint16_t);
}

static bool grow(void)
{
	unsigned before = n_frames, wanted = MIN(2 * n_frames, max_frames);
	uint16_t *links, *old;

	if (wanted == before)
		return false;
	links = kmalloc(links_size(wanted));
	if (!links)
		return false;
	if (!add(window, before, wanted)) {
		kfree(links, links_size(wanted));
		max_frames = before; /* not asked for again each time a page is to be granted */
		return false;
	}
	n_frames = wanted;
	old = grant_grown(links, wanted * ENTRIES_PER_FRAME);
	if (old)
		kfree(old, links_size(before));
	return true;
}

/* A host that does not answer gives what a host always gave. */
static unsigned ask_limit(void)
{
	struct gnttab_query_size query = {.dom = DOMID_SELF};

	if (hypercall_grant_table_op(GNTTABOP_query_size, &query, 1) || query.status != GNTST_okay)
		return FRAMES_FIRST;
	return MIN(query.max_nr_frames, GRANT_FRAMES_MAX);
}

void grant_frames_start(grant_frames_add *how)
{
	unsigned first;

	max_frames = ask_limit();
	window = max_frames ? vmap_reserve(max_frames) : NULL;
	if (!window)
		return;
	add = how;
	first = MIN(FRAMES_FIRST, max_frames);
	if (add(window, 0, first))
		n_frames = first;
	else if (add(window, 0, 1))
		n_frames = 1;
	if (!n_frames)
		return;
	grant_init(window, n_frames * ENTRIES_PER_FRAME);
	grant_set_growth(grow);
}

void *grant_frames_window(unsigned *out_count)
{
	*out_count = n_frames;
	return window;
}
