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

/* Makes the table have at least n_frames (<= max_frames). -XEN_ENOMEM. */
int grant_grow(struct domain *d, uint32_t n_frames);

/* A free handle of d, its track still free; false when there is none. Whoever got one gives it
 * back with grant_track_free or fills it in. */
bool grant_track_new(struct domain *d, uint32_t *out_handle);
void grant_track_free(struct domain *d, uint32_t handle);

/* The track of a handle, or NULL when it is out of range. Its fields are under track_lock. */
struct grant_track *grant_track(struct domain *d, uint32_t handle);

/* What a mapping for devices holds of its frame: a reference, and a use as writable unless
 * readonly. */
int16_t grant_device_get(mfn_t mfn, struct domain *owner, bool readonly);
void grant_device_put(mfn_t mfn, bool readonly);

/* Each works on count elements at list_va and answers how many it did: fewer than count when
 * something else wants the CPU. -XEN_EFAULT. */
long grant_map_list(uint64_t list_va, uint64_t count);
long grant_unmap_list(uint64_t list_va, uint64_t count);
long grant_replace_list(uint64_t list_va, uint64_t count);
long grant_copy_list(uint64_t list_va, uint64_t count);

#endif
