/* control_version.c: whether the hypervisor speaks the toolstack's interface as we were built for it.
 *
 * domctl and sysctl change between versions of Xen, in their arguments too, and each call carries the number
 * of its interface; a hypervisor of another one refuses all of them with the same error that a missing right
 * would give. So it is asked once, before the first domain, and a mismatch is told with both numbers.
 * Worker context. Caller: control.c. Calls host_control.h.
 */
#include <amphi/host.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "control_private.h"

/* What is not known is 0: a hypervisor that says nothing is taken at its word when a domain is made. */
static int check(const char *what, const struct host_versions *v, uint32_t theirs, uint32_t ours)
{
	if (!theirs || theirs == ours)
		return 0;
	return control_fail(
	    -XEN_EOPNOTSUPP,
	    "Xen %u.%u speaks version 0x%x of %s, and we speak 0x%x: domains cannot "
	    "be managed here",
	    v->major, v->minor, theirs, what, ours);
}

int control_check_versions(void)
{
	struct host_versions v;
	int err;

	host_read_versions(&v);
	err = check("domctl", &v, v.domctl, XEN_DOMCTL_INTERFACE_VERSION);
	return err ? err : check("sysctl", &v, v.sysctl, XEN_SYSCTL_INTERFACE_VERSION);
}
