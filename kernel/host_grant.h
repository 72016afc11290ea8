/* host_grant.h: of which grant a page is that host_grants_map has mapped.
 *
 * Private to kernel/: host_grant.c knows, host_iospace.c asks, for a device can be given a granted page by its grant only. Worker context.
 */
#ifndef KERNEL_HOST_GRANT_H
#define KERNEL_HOST_GRANT_H

#include <amphi/types.h>
#include <amphi/xen.h>

struct granted {
	uint32_t ref;
	domid_t owner; /* DOMID_INVALID: nothing is mapped there */
	bool readonly;
};

/* Of the page that va lies in; NULL: it is not one, or it was mapped before host_grants_leaving. */
const struct granted *granted_at(const void *va);

#endif
