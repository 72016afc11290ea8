/* grant_frames.h: the frames of this domain's grant table: how many there are, and more when it is full.
 *
 * Callers: boot_xen.c and boot_xen_pvh.c, which know how a frame is had; suspend, through them. Implemented by
 * grant_frames.c. The table is of version 1, 512 entries a frame.
 */
#ifndef KERNEL_GRANT_FRAMES_H
#define KERNEL_GRANT_FRAMES_H

#include <amphi/types.h>

#define GRANT_FRAMES_MAX 64u /* of Xen, if nobody tells it otherwise */

/* Has the frames number from .. to - 1 of the table mapped at their pages of the window (from is what is there
 * already). False: the hypervisor does not give so many, and nothing has to be undone. */
typedef bool grant_frames_add(void *window, unsigned from, unsigned to);

/* Boot, with memory in place: the first frames, given to grant.h. None at all leaves an empty table: offers fail,
 * and a domain without devices goes on. */
void grant_frames_start(grant_frames_add *add);

/* Where they are mapped, and how many. */
void *grant_frames_window(unsigned *out_count);

#endif
