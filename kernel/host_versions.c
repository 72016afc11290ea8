/* host_versions.c: host_read_versions() of host_control.h: which interface versions the hypervisor takes.
 *
 * There is no call that tells, but each says -XEN_EACCES to a wrong number before it looks at anything
 * else. Ours is tried first, so that on the right hypervisor this is one call each. Caller: control/, in
 * the worker context. Calls hypercall.h.
 */
#include <amphi/host_control.h>
#include <amphi/hypercall.h>

/* Numbers grow by one with a release of Xen; the first that speaks our layout at all was about 5. */
#define VERSIONS_END 0x40u

/* A question that changes nothing; the command stands before the version in both. */
static int64_t ask_domctl(uint32_t version)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = 0};

	op.interface_version = version;
	return hypercall_domctl(&op);
}

static int64_t ask_sysctl(uint32_t version)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_availheap};

	op.interface_version = version;
	return hypercall_sysctl(&op);
}

/* Any other answer than that of a wrong number comes from behind the check. */
static uint32_t find(int64_t (*ask)(uint32_t version), uint32_t ours)
{
	int64_t err = ask(ours);

	if (err != -XEN_EACCES)
		return err == -XEN_ENOSYS || err == -XEN_EPERM ? 0 : ours;
	for (uint32_t v = 1; v < VERSIONS_END; v++)
		if (ask(v) != -XEN_EACCES)
			return v;
	return 0;
}

void host_read_versions(struct host_versions *out)
{
	int64_t version = hypercall_xen_version(XENVER_version, NULL);

	*out = (struct host_versions){
	    .domctl = find(ask_domctl, XEN_DOMCTL_INTERFACE_VERSION),
	    .sysctl = find(ask_sysctl, XEN_SYSCTL_INTERFACE_VERSION),
	};
	if (version > 0) {
		out->major = (unsigned)(version >> 16) & 0xffff;
		out->minor = (unsigned)version & 0xffff;
	}
}
