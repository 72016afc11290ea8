/* host_grant.c: host.h's grants, for the kernel.
 *
 * Callers: the portable rooms, in the worker context. Calls grant.h for the hypercalls and mm.h
 * for places to map to. Single pages come from a stack of windows that grows and never shrinks; a
 * ring of several pages gets a window of its own.
 */
#include <amphi/grant.h>
#include <amphi/host.h>
#include <amphi/host_iospace.h>
#include <amphi/string.h>
#include "host_grant.h"
#include "mm.h"

_Static_assert(HOST_GRANT_BATCH == GRANT_BATCH, "a batch of the host is one hypercall");
_Static_assert(HOST_COPY_BATCH == GRANT_COPY_BATCH, "and one of copies");
_Static_assert(HOST_GRANT_WINDOWS == VMAP_PAGES, "each window has a number");
_Static_assert(HOST_GRANTS_LEAVING == GRANT_BATCH, "what leaves is what one call unmaps");

#define WINDOWS_MAX     24576u /* of the 32768 that there are for everything */
#define WINDOWS_FIRST   1024u
#define WINDOWS_AT_ONCE 64u

static void **windows; /* free ones */
static unsigned n_windows, stack_size,
    n_reserved; /* n_reserved: free or in use, never more than fit the stack */

/* Twice as large, or as large as it is to be: a domain that maps little has a small one. */
static bool stack_grow(void)
{
	unsigned size = stack_size ? MIN(2 * stack_size, WINDOWS_MAX) : WINDOWS_FIRST;
	void **grown = size > stack_size ? kmalloc(size * sizeof(*grown)) : NULL;

	if (!grown)
		return false;
	if (windows) {
		memcpy(grown, windows, n_windows * sizeof(*grown));
		kfree(windows, stack_size * sizeof(*windows));
	}
	windows = grown;
	stack_size = size;
	return true;
}

/* ---- which grant is where ------------------------------------------------------------ */

/* Only when somebody wants to know, for 64 windows as soon as there is one of them. */
#define GROUP 64u
static void (*leaving)(const uint16_t *windows, unsigned count);
static struct granted *granted[VMAP_PAGES / GROUP];

void host_grants_leaving(void (*fn)(const uint16_t *windows, unsigned count))
{
	leaving = fn;
}

static unsigned window_of(const void *va)
{
	return (unsigned)(((uintptr_t)va - VMAP_BASE) >> PAGE_SHIFT);
}

static bool group_make(unsigned group)
{
	if (granted[group])
		return true;
	granted[group] = kmalloc(GROUP * sizeof(struct granted));
	for (unsigned i = 0; granted[group] && i < GROUP; i++)
		granted[group][i].owner = DOMID_INVALID;
	return granted[group];
}

const struct granted *granted_at(const void *va)
{
	unsigned window = window_of(va);
	const struct granted *group;

	if ((uintptr_t)va < VMAP_BASE || (uintptr_t)va >= VMAP_END)
		return NULL;
	group = granted[window / GROUP];
	return group && group[window % GROUP].owner != DOMID_INVALID ? &group[window % GROUP]
								     : NULL;
}

bool host_grant_window(const void *va, unsigned *out_window, bool *out_readonly)
{
	const struct granted *g = granted_at(va);

	if (!g)
		return false;
	*out_window = window_of(va);
	*out_readonly = g->readonly;
	return true;
}

static void note(const struct host_grant_map *map)
{
	unsigned window = window_of(map->page);

	if (leaving && granted[window / GROUP])
		granted[window / GROUP][window % GROUP] = (struct granted){
		    .ref = map->ref.v, .owner = map->owner, .readonly = map->readonly};
}

/* Before they are unmapped: a device that still may reach one would keep it from its owner. */
static void note_leaving(const struct grant_mapping *maps, unsigned n)
{
	uint16_t which[GRANT_BATCH];

	for (unsigned i = 0; i < n; i++)
		which[i] = (uint16_t)window_of(maps[i].va);
	leaving(which, n);
	for (unsigned i = 0; i < n; i++)
		if (granted[which[i] / GROUP])
			granted[which[i] / GROUP][which[i] % GROUP].owner = DOMID_INVALID;
}

/* ---- windows --------------------------------------------------------------------------- */

/* 64 at a time: reserving takes a search and may make page tables, which a request for one page
 * should not pay for. The lowest comes out first, so neighbours stay in few tables. Never more
 * than the stack holds, counting those in use: they all come back. */
static bool windows_grow(void)
{
	char *va;
	unsigned i;

	if (n_reserved + WINDOWS_AT_ONCE > stack_size && !stack_grow())
		return false;
	va = vmap_reserve(WINDOWS_AT_ONCE);
	if (!va)
		return false;
	if (leaving && !(group_make(window_of(va) / GROUP) &&
			 group_make(window_of(va + (WINDOWS_AT_ONCE - 1) * PAGE_SIZE) / GROUP))) {
		vmap_release(va, WINDOWS_AT_ONCE);
		return false;
	}
	n_reserved += WINDOWS_AT_ONCE;
	for (i = WINDOWS_AT_ONCE; i > 0; i--)
		windows[n_windows++] = va + (i - 1) * PAGE_SIZE;
	return true;
}

/* ---- offered ------------------------------------------------------------------------ */

/* The page may lie in a window too: what is granted is the frame, which virt_to_maddr() finds. */
int host_grant_offer(domid_t peer, void *page, bool readonly, gref_t *out_ref)
{
	return grant_offer(peer, maddr_to_mfn(virt_to_maddr(page)), readonly, out_ref);
}

int host_grant_end(gref_t ref)
{
	return grant_end(ref);
}

/* ---- taken -------------------------------------------------------------------------- */

/* All windows are found before anything is mapped: a shortage changes nothing. After that each
 * row has its own status, since the peer's reference may be bad; the window of a bad one goes
 * back at once. */
int host_grants_map(struct host_grant_map *maps, unsigned count)
{
	struct grant_mapping batch[GRANT_BATCH];
	unsigned i;

	while (n_windows < count)
		if (!windows_grow())
			return -XEN_ENOMEM;
	for (i = 0; i < count; i++) {
		batch[i].owner = maps[i].owner;
		batch[i].ref = maps[i].ref;
		batch[i].readonly = maps[i].readonly;
		batch[i].va = windows[--n_windows];
	}
	(void)grants_map(batch, count);
	for (i = 0; i < count; i++) {
		maps[i].status = batch[i].status;
		maps[i].handle = batch[i].handle;
		maps[i].page = batch[i].va;
		if (batch[i].status == GNTST_okay) {
			note(&maps[i]);
			continue;
		}
		maps[i].page = NULL;
		windows[n_windows++] = batch[i].va;
	}
	return 0;
}

/* Rows that are not mapped are passed over and rows are marked before the hypercall, so that a
 * second call for the same rows does nothing. Only after the unmapping are the windows free for
 * others. */
void host_grants_unmap(struct host_grant_map *maps, unsigned count)
{
	struct grant_mapping batch[GRANT_BATCH];
	unsigned i, n = 0;

	for (i = 0; i < count; i++) {
		if (maps[i].status != GNTST_okay)
			continue;
		memset(&batch[n], 0, sizeof(batch[n]));
		batch[n].owner = maps[i].owner;
		batch[n].va = maps[i].page;
		batch[n].handle = maps[i].handle;
		batch[n++].status = GNTST_okay;
		maps[i].status = GNTST_general_error;
		maps[i].page = NULL;
	}
	if (!n)
		return;
	if (leaving)
		note_leaving(batch, n);
	grants_unmap(batch, n);
	for (i = 0; i < n; i++)
		windows[n_windows++] = batch[i].va;
}

/* What undoing a ring takes; the caller knows only its address. */
struct ring {
	struct ring *next;
	void *va;
	unsigned count;
	struct grant_mapping maps[];
};

static struct ring *rings;

static size_t ring_size(unsigned count)
{
	return sizeof(struct ring) + count * sizeof(struct grant_mapping);
}

static void ring_drop(struct ring *ring)
{
	grants_unmap(ring->maps, ring->count);
	vmap_release(ring->va, ring->count);
	kfree(ring, ring_size(ring->count));
}

/* A ring with a page missing is no ring. */
static bool all_mapped(const struct ring *ring)
{
	unsigned i;

	for (i = 0; i < ring->count; i++)
		if (ring->maps[i].status != GNTST_okay)
			return false;
	return true;
}

/* One window, so that the pages are neighbours: the ring runs across them. Undone as a whole;
 * unmapping passes over those that were not mapped. */
int host_ring_map(domid_t owner, const gref_t *refs, unsigned count, void **out_va)
{
	struct ring *ring;
	unsigned i;

	if (!count || count > GRANT_BATCH)
		return -XEN_EINVAL;
	ring = kmalloc(ring_size(count));
	if (!ring)
		return -XEN_ENOMEM;
	ring->count = count;
	ring->va = vmap_reserve(count);
	if (!ring->va) {
		kfree(ring, ring_size(count));
		return -XEN_ENOMEM;
	}
	for (i = 0; i < count; i++)
		ring->maps[i] = (struct grant_mapping){
		    .owner = owner, .ref = refs[i], .va = (char *)ring->va + i * PAGE_SIZE};
	(void)grants_map(ring->maps, count);
	if (!all_mapped(ring)) {
		ring_drop(ring);
		return -XEN_EINVAL;
	}
	ring->next = rings;
	rings = ring;
	*out_va = ring->va;
	return 0;
}

/* The number of pages is the ring's own: the caller's is not needed to be right. */
void host_ring_unmap(void *va, unsigned count)
{
	struct ring **link = &rings, *ring;

	while (*link && (*link)->va != va)
		link = &(*link)->next;
	ring = *link;
	if (!ring)
		return;
	*link = ring->next;
	ring_drop(ring);
}

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	return grants_copy(ops, count);
}
