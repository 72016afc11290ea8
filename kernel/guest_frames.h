/* guest_frames.h: physical page numbers of a PVH domain that have no memory behind them, for frames that
 * Xen puts there.
 *
 * Callers: boot_xen_pvh.c (the grant table) and, through grant.h's places, every mapping of a grant.
 * Implemented by guest_frames.c. Each page of the windows of vmap.c has a number of its own above all
 * memory, so whoever has a window has the numbers too, and nothing is allocated. Any context.
 */
#ifndef KERNEL_GUEST_FRAMES_H
#define KERNEL_GUEST_FRAMES_H

#include <amphi/types.h>

/* Boot, after mm_init_native(): finds the numbers, and gives them to grant.h. */
void guest_frames_init(void);

/* The number of a page of a window. */
pfn_t guest_frame_of(const void *va);

/* Maps the window's page to what is at its number, which the hypervisor has put there; takes the mapping
 * away, before the hypervisor takes the frame. */
void guest_frame_enter(void *va, bool readonly);
void guest_frame_leave(void *va);

#endif
