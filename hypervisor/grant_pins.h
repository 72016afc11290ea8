/* grant_pins.h: the inside of grant tables, shared by grant*.c only.
 *
 * grant.c keeps the tables and pins entries; grant_entry.c reads the shared entries; grant_map.c maps
 * and unmaps; grant_copy.c copies; grant_op.c decodes the hypercall. Results are GNTST_*, one for each element of a list; they are
 * not errors of the hypercall.
 */
#ifndef HV_GRANT_PINS_H
#define HV_GRANT_PINS_H

#include "domain.h"

/* What somebody wants of an entry. */
struct grant_want {
	domid_t user;
	bool readonly, to_map; /* mapped: whole pages only */
};

/* Pins entry ref of owner; on success what it gives is in *out, and the entry's flags or status say
 * to the owner that it is in use. */
int16_t grant_pin(struct domain *owner, uint32_t ref, const struct grant_want *want,
		  struct grant_seen *out);
void grant_unpin(struct domain *owner, uint32_t ref, bool readonly);

/* Changes the version of d's table, which is emptied but for the reserved entries. -XEN_EBUSY while
 * others are in use or status frames mapped, -XEN_ERANGE, -XEN_ENOMEM, -XEN_ESRCH. */
int grant_set_version(struct domain *d, uint32_t version);

/* Two entries of d's table change places: GNTST_bad_gntref; GNTST_eagain while one is in use. */
int16_t grant_swap(struct domain *d, uint32_t a, uint32_t b);

/* A free handle of d, its track still free; false when there is none. Whoever got one gives it
 * back with grant_track_free or fills it in. */
bool grant_track_new(struct domain *d, uint32_t *out_handle);
void grant_track_free(struct domain *d, uint32_t handle);

/* The track of a handle, or NULL when it is out of range. Its fields are under track_lock. */
struct grant_track *grant_track(struct domain *d, uint32_t handle);

/* A use of a frame without a page table's entry, by a device or a copy: a reference, and a use as
 * writable unless readonly. */
int16_t grant_frame_get(mfn_t mfn, struct domain *owner, bool readonly);
void grant_frame_put(mfn_t mfn, bool readonly);

/* The mappings `gone` (GNTMAP_*) of a handle are no more: gives up what a device held, and with the
 * last of them the pin and the handle. was is the handle as claimed, or of a domain that is ended.
 */
void grant_let_go(struct domain *d, uint32_t handle, const struct grant_track *was, uint8_t gone);

/* ---- grant_entry.c: all with the owner's grant lock held -------------------------------- */

/* How many entries the table has; whether it is still there for one of them. */
uint32_t grant_entries(const struct domain_grants *g);
bool grant_entry_there(const struct domain_grants *g, uint32_t ref);

/* Tells the owner that entry ref is read, or written unless want->readonly, and fetches what it
 * gives; false, with nothing told, when it does not allow that. held: the GTF_* that other pins of
 * this entry have told already. */
bool grant_entry_claim(struct domain_grants *g, uint32_t ref, const struct grant_want *want,
		       uint16_t held, struct grant_seen *out);
void grant_entry_release(struct domain_grants *g, uint32_t ref, uint16_t gone);

/* Both are there, and not pinned. */
void grant_entry_swap(struct domain_grants *g, uint32_t a, uint32_t b);

/* Status frames for a table of n_frames: how many, made when they are missing, taken away. */
uint32_t grant_status_frames(uint32_t n_frames);
int grant_status_grow(struct domain *d, uint32_t n_frames);
void grant_status_end(struct domain *d);

/* grant_set_version's half that is about what is shared; no entry but reserved ones is pinned. */
int grant_version_change(struct domain *d, uint32_t version);

/* One argument on its way through a call: copied in, done, copied back. */
struct grant_item {
	uint32_t cmd;
	union {
		struct gnttab_map_grant_ref map;
		struct gnttab_unmap_grant_ref unmap; /* and unmap_and_replace */
		struct gnttab_setup_table setup;
		struct gnttab_query_size query;
		struct gnttab_set_version set;
		struct gnttab_get_version get;
		struct gnttab_get_status_frames status_frames;
		struct gnttab_swap_grant_ref swap;
	} arg;
	struct grant_track was; /* unmap: the handle as claimed */
	uint8_t gone;           /* unmap: GNTMAP_* that are taken out */
};

/* What becomes of the item is in its status; none of these fails the call. An unmap must be
 * followed by its end, after a flush of the TLBs when a host mapping is gone. */
int grant_map(struct grant_item *item);
int grant_unmap(struct grant_item *item);
void grant_unmap_end(struct grant_item *item);

/* Copies of a list in the caller's memory, n <= GRANT_COPY_LIST, each with its own status. -XEN_EFAULT: from some element on the list
 * cannot be read, or cannot be written; those before it are done. */
#define GRANT_COPY_LIST 16u
int grant_copy(uint64_t at, uint32_t n);

#endif
