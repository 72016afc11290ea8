/* control_disk.h: disks of domains that run: attached, detached, given another medium or another limit.
 *
 * Caller: the commands (control/ctl_block.c). Implemented by control/control_block.c over the store, as libxl does it:
 * a backend's and a frontend's directory appear together, and a disk goes when its backend has let go. What is changed
 * holds for the domain's next start too. A disk is named as in the guest ("xvdb") or by its number ("51728").
 *
 * Worker context. Errors: negative XEN_Exxx, told as in control.h: -XEN_ENOENT no such domain, disk or target,
 * -XEN_ESRCH it has ended, -XEN_EBUSY the disk is being attached or detached. done is called once, after the return, when
 * the call returned 0, and its error is told the same way.
 */
#ifndef AMPHI_CONTROL_DISK_H
#define AMPHI_CONTROL_DISK_H

#include <amphi/control.h>

/* spec: as an element of disk = [...]. Done when the backend is ready for the guest, which may take its time. By done:
 * -XEN_ETIMEDOUT, -XEN_EIO: the backend does not answer, or refuses; nothing is left of the disk then. -XEN_EINVAL:
 * the spec, -XEN_EEXIST: its vdev is taken. */
int control_disk_attach(const char *name, const char *spec, control_done_fn *done, void *ctx);

/* Asks the guest to let the disk go, and done is called when it has. By done: -XEN_EBUSY: it does not, and has the disk
 * as before; one that has said it will is believed, and the disk goes when it does. force: it is told, and has
 * CONTROL_FORCE_WAIT_MS to follow; then the disk is gone, as if it were pulled out. */
int control_disk_detach(const char *name, const char *disk, bool force, control_done_fn *done,
			void *ctx);

/* Of a CD-ROM: what is in it from now on. target: as in disk=; "": nothing. -XEN_EINVAL: it is none. */
int control_disk_insert(const char *name, const char *disk, const char *target);

/* From now on; 0: no limit. */
int control_disk_limit(const char *name, const char *disk, const struct config_limit *limit);

/* NULL: none, told. */
const struct config_disk *control_disk_find(const char *name, const char *disk);

#endif
