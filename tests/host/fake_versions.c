/* fake_versions.c: what the fake hypervisor of fake_control.h says of itself and of its domains.
 *
 * Its versions, which a test may make others, and what a domain holds, counted where its guest would see it. Callers:
 * the rooms under test. Calls fake_control.c.
 */
#include "fake_control.h"

static uint32_t domctl_version, sysctl_version;

void fake_versions(uint32_t domctl, uint32_t sysctl)
{
	domctl_version = domctl;
	sysctl_version = sysctl;
}

void host_read_versions(struct host_versions *out)
{
	*out = (struct host_versions){4, 17, XEN_DOMCTL_INTERFACE_VERSION,
				      XEN_SYSCTL_INTERFACE_VERSION};
	if (domctl_version)
		out->domctl = domctl_version;
	if (sysctl_version)
		out->sysctl = sysctl_version;
}

int host_domain_usage(domid_t domid, struct host_usage *out)
{
	const struct fake_domain *d = fake_domain(domid);

	*out = (struct host_usage){0};
	if (!d)
		return -XEN_ESRCH;
	out->ports = d->n_ports;
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(struct grant_entry_v1); i++)
		out->grants += ((struct grant_entry_v1 *)fake_frame(d->grant_frame))[i].flags != 0;
	return 0;
}
