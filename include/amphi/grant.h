/* grant.h: grant tables (version 1): pages we offer, and pages of others we map or copy.
 *
 * Callers: the kernel (host_grant.c, the builder's reserved entries). Beneath: grant_table_op and
 * the table itself, shared with the hypervisor. Not for interrupt context: the free list is not
 * locked; it stays whole because one CPU at a time runs the kernel, and threads run until they wait.
 *
 * Errors: 0 or a negative XEN_Exxx. Natively the table has no entries: offers answer -XEN_ENOSPC.
 */
#ifndef AMPHI_GRANT_H
#define AMPHI_GRANT_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define GRANT_BATCH      64u  /* most that one hypercall of ours takes */
#define GRANT_COPY_BATCH 288u /* and of copies, which need no list of our own */

/* Boot: the table, mapped by the caller: entries of it, the first GNTTAB_NR_RESERVED_ENTRIES
 * stay the builder's. */
void grant_init(struct grant_entry_v1 *table, unsigned entries);

/* Who can make the table longer: grow is called when every entry is in use. It has the frames mapped behind those
 * that are there, and says so by grant_grown, or returns false. NULL: nobody, as at first. */
void grant_set_growth(bool (*grow)(void));
/* The table has entries in all now (at most GRANT_ENTRIES_MAX), for each of which links has room. Returns the links
 * of before, which are the caller's again; NULL for those that grant.c was built with. */
uint16_t *grant_grown(uint16_t *links, unsigned entries);
#define GRANT_ENTRIES_MAX                                                                          \
	32768u /* 64 frames, as many as Xen gives a domain if nobody tells it otherwise */

/* Lets peer map frame. -XEN_ENOSPC: the table is full and does not grow. */
int grant_offer(domid_t peer, mfn_t frame, bool readonly, gref_t *out_ref);

/* Takes the right back and frees the entry. -XEN_EBUSY: mapped by the peer still; nothing
 * changed. */
int grant_end(gref_t ref);

/* Entries in use by offers; entries free. */
unsigned grant_used(void);
unsigned grant_free(void);

/* ---- pages of others ---------------------------------------------------------------- */

struct grant_mapping {
	/* IN */
	domid_t owner;
	gref_t ref;
	bool readonly;
	void *va; /* a page of a window of vmap_reserve(), unmapped */
	/* OUT */
	int16_t status; /* GNTST_* */
	uint32_t handle;
	mfn_t mfn;
};

/* Where a mapped page goes. In a PV domain the hypervisor writes our page table, and the address it wants
 * is the window's own; that is so without places. In a PVH domain the address is of our physical memory:
 * address() tells it, enter() maps the window to it once the frame is there, leave() undoes that before
 * the frame goes. The struct stays the caller's. */
struct grant_places {
	uint64_t (*address)(const void *va);
	void (*enter)(void *va, bool readonly);
	void (*leave)(void *va);
};
void grant_set_places(const struct grant_places *places);

/* Maps n (<= GRANT_BATCH) by one hypercall, each with its status. A busy frame (GNTST_eagain) is
 * told as such. 0, or the hypervisor's error with every status GNTST_general_error. */
int grants_map(struct grant_mapping *maps, unsigned n);

/* Undoes those with status GNTST_okay by one hypercall and sets their status to
 * GNTST_general_error, so that a second call does nothing. n <= GRANT_BATCH. */
void grants_unmap(struct grant_mapping *maps, unsigned n);

/* Copies pieces, in as many hypercalls as it takes; each op's status is set. */
int grants_copy(struct gnttab_copy *ops, unsigned n);

/* Grants of others mapped now. */
unsigned grant_mapped(void);

#endif
