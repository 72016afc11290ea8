/* control_net.h: network interfaces of domains that run: attached and detached.
 *
 * Caller: the commands (control/ctl_net.c). Implemented by control/control_net.c, as control_disk.h is for disks; what is changed
 * holds for the domain's next start too. An interface is named by its number ("1") or its address ("00:16:3e:00:00:01").
 *
 * Worker context. Errors: negative XEN_Exxx, told as in control.h: -XEN_ENOENT no such domain or interface, -XEN_ESRCH it has
 * ended, -XEN_EBUSY it is being attached or detached. done is called once, after the return, when the call returned 0.
 */
#ifndef AMPHI_CONTROL_NET_H
#define AMPHI_CONTROL_NET_H

#include <amphi/control.h>

/* spec: as an element of vif = [...]. Done when the backend is ready for the guest. By done: -XEN_ETIMEDOUT, -XEN_EIO: the backend
 * does not answer, or refuses; nothing is left of it then. -XEN_EINVAL: the spec. */
int control_net_attach(const char *name, const char *spec, control_done_fn *done, void *ctx);

/* As control_disk_detach. */
int control_net_detach(const char *name, const char *vif, bool force, control_done_fn *done,
		       void *ctx);

#endif
