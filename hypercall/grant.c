/* grant.c: the grant table: pages we let others use, and pages of others that we use.
 *
 * Our own table (version 1) is memory shared with the hypervisor, which reads an entry when a peer maps
 * it and keeps its "in use" bits there; a free list runs through a private array. Called by the kernel's
 * host_grant.c; calls grant_table_op. Layout and the order of writes: <xen/grant_table.h>.
 */
#include <amphi/grant.h>

#include <amphi/hypercall.h>
#include <amphi/string.h>

/*   grant_offer:  domid, frame, then flags = permit_access      hypervisor, when the peer maps:
 *                                                               reads the entry, sets GTF_reading
 *                                                               (and GTF_writing) in flags
 *   grant_end:    flags -> 0 only while neither is set          clears them at the last unmapping
 */
#define ENTRIES_FIRST 2048u
#define NO_ENTRY      0xffffu
_Static_assert(GRANT_ENTRIES_MAX < NO_ENTRY, "a link can name each");

/* The links are not in the entries, which the peer's hypervisor may read at any time, and which are gone when the
 * domain wakes up in another world. */
static struct grant_entry_v1 *table;
static uint16_t first_links[ENTRIES_FIRST];
static uint16_t *next_free = first_links; /* of a free entry: the next one */
static uint16_t first_free = NO_ENTRY;
static unsigned n_entries, n_used, n_free, n_mapped;
static bool (*grow)(void);

/* From the top down, so that the lowest free reference is handed out first. */
static void add_entries(unsigned from, unsigned to)
{
	for (unsigned ref = to; ref-- > from;) {
		next_free[ref] = first_free;
		first_free = (uint16_t)ref;
		n_free++;
	}
	n_entries = to;
}

/* The reserved entries (console, store) were filled by whoever built this domain. */
void grant_init(struct grant_entry_v1 *entries, unsigned n)
{
	table = entries;
	add_entries(GNTTAB_NR_RESERVED_ENTRIES, MIN(n, ENTRIES_FIRST));
}

void grant_set_growth(bool (*how)(void))
{
	grow = how;
}

uint16_t *grant_grown(uint16_t *links, unsigned entries)
{
	uint16_t *before = next_free;

	memcpy(links, before, n_entries * sizeof(*links));
	next_free = links;
	add_entries(n_entries, MIN(entries, GRANT_ENTRIES_MAX));
	return before == first_links ? NULL : before;
}

/* Version 1 has 32 bits for a frame: machines up to 16 TiB. */
int grant_offer(domid_t peer, mfn_t frame, bool readonly, gref_t *out_ref)
{
	uint16_t ref;

	if (first_free == NO_ENTRY && !(grow && grow()))
		return -XEN_ENOSPC;
	ref = first_free;
	first_free = next_free[ref];
	n_free--, n_used++;
	table[ref].domid = peer;
	table[ref].frame = (uint32_t)frame.v;
	/* The flags make it valid, so they come last. */
	__atomic_store_n(&table[ref].flags,
			 (uint16_t)(GTF_permit_access | (readonly ? GTF_readonly : 0)),
			 __ATOMIC_RELEASE);
	*out_ref = (gref_t){ref};
	return 0;
}

/* One exchange: were the "in use" bits looked at first and the flags cleared after, the peer could
 * map in between. A failed exchange brings the flags of the moment and asks again; the peer can
 * change them a few times, by mapping, but each round is one of its hypercalls. */
int grant_end(gref_t ref)
{
	uint16_t flags;

	if (!table || ref.v < GNTTAB_NR_RESERVED_ENTRIES || ref.v >= n_entries)
		return -XEN_EINVAL;
	flags = __atomic_load_n(&table[ref.v].flags, __ATOMIC_ACQUIRE);
	do {
		if (flags & (GTF_reading | GTF_writing))
			return -XEN_EBUSY;
	} while (!__atomic_compare_exchange_n(&table[ref.v].flags, &flags, 0, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	next_free[ref.v] = first_free;
	first_free = (uint16_t)ref.v;
	n_free++, n_used--;
	return 0;
}

unsigned grant_used(void)
{
	return n_used;
}

unsigned grant_free(void)
{
	return n_free;
}

unsigned grant_mapped(void)
{
	return n_mapped;
}

/* ---- pages of others ---------------------------------------------------------------- */

static const struct grant_places *places;

void grant_set_places(const struct grant_places *p)
{
	places = p;
}

static uint64_t host_address(const void *va)
{
	return places ? places->address(va) : (uint64_t)(uintptr_t)va;
}

static void take_answer(struct grant_mapping *map, const struct gnttab_map_grant_ref *op)
{
	map->status = op->status;
	map->handle = op->handle;
	map->mfn = (mfn_t){op->dev_bus_addr >> PAGE_SHIFT};
	if (op->status != GNTST_okay)
		return;
	n_mapped++;
	if (places)
		places->enter(map->va, map->readonly);
}

/* The status is set beforehand: a call that fails as a whole (no such call, bad list) leaves
 * entries untouched, and each must then count as not mapped. dev_bus_addr is the frame's machine
 * address. */
int grants_map(struct grant_mapping *maps, unsigned n)
{
	struct gnttab_map_grant_ref ops[GRANT_BATCH];
	int err;

	if (n > GRANT_BATCH)
		return -XEN_E2BIG;
	for (unsigned i = 0; i < n; i++)
		ops[i] = (struct gnttab_map_grant_ref){
		    .host_addr = host_address(maps[i].va),
		    .flags = GNTMAP_host_map | (maps[i].readonly ? GNTMAP_readonly : 0),
		    .ref = maps[i].ref.v,
		    .dom = maps[i].owner,
		    .status = GNTST_general_error,
		};
	err = (int)hypercall_grant_table_op(GNTTABOP_map_grant_ref, ops, n);
	for (unsigned i = 0; i < n; i++) {
		if (err)
			ops[i].status = GNTST_general_error;
		take_answer(&maps[i], &ops[i]);
	}
	return err;
}

void grants_unmap(struct grant_mapping *maps, unsigned n)
{
	struct gnttab_unmap_grant_ref ops[GRANT_BATCH];
	unsigned k = 0;

	for (unsigned i = 0; i < n && k < GRANT_BATCH; i++) {
		if (maps[i].status != GNTST_okay)
			continue;
		ops[k++] = (struct gnttab_unmap_grant_ref){.host_addr = host_address(maps[i].va),
							   .handle = maps[i].handle};
		maps[i].status = GNTST_general_error;
		if (places)
			places->leave(maps[i].va);
	}
	if (k && hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, ops, k) == 0)
		n_mapped -= k;
}

/* Each piece has a status of its own, which the caller reads; an error here means the call itself.
 */
int grants_copy(struct gnttab_copy *ops, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i += GRANT_COPY_BATCH)
		err = (int)hypercall_grant_table_op(GNTTABOP_copy, ops + i,
						    MIN(n - i, GRANT_COPY_BATCH));
	return err;
}
