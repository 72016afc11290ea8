/* grant_pins.h: the inside of grant tables, shared by grant*.c only.
 *
 * grant.c keeps the tables and pins entries; grant_map.c maps and unmaps; grant_copy.c copies;
 * grant_op.c decodes the hypercall. Results are GNTST_*, one for each element of a list; they are
 * not errors of the hypercall.
 */
#ifndef HV_GRANT_PINS_H
#define HV_GRANT_PINS_H

#include "domain.h"

/* Pins entry ref of owner for user; on success its frame is in *out_mfn and the entry's flags say
 * so to the owner. The frame is what the owner wrote: not checked. */
int16_t grant_pin(struct domain *owner, uint32_t ref, domid_t user, bool readonly, mfn_t *out_mfn);
void grant_unpin(struct domain *owner, uint32_t ref, bool readonly);

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

/* One argument on its way through a call: copied in, done, copied back. */
struct grant_item {
	uint32_t cmd;
	union {
		struct gnttab_map_grant_ref map;
		struct gnttab_unmap_grant_ref unmap; /* and unmap_and_replace */
		struct gnttab_copy copy;
		struct gnttab_setup_table setup;
		struct gnttab_query_size query;
		struct gnttab_set_version set;
		struct gnttab_get_version get;
	} arg;
	struct grant_track was; /* unmap: the handle as claimed */
	uint8_t gone;           /* unmap: GNTMAP_* that are taken out */
};

/* What becomes of the item is in its status; none of these fails the call. An unmap must be
 * followed by its end, after a flush of the TLBs when a host mapping is gone. */
int grant_map(struct grant_item *item);
int grant_unmap(struct grant_item *item);
void grant_unmap_end(struct grant_item *item);
int grant_copy(struct grant_item *item);

#endif
