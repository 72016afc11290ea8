/* version.c: what the hypervisor says of itself: xen_version, and vm_assist.
 *
 * Guests decide by these answers which calls they make, so they are true: a feature bit is set only
 * when the thing behind it is there. The version is that of the Xen whose ABI is spoken.
 *
 * Called by dispatch.c.
 */
#include <amphi/string.h>

#include "domain.h"
#include "guest.h"
#include "percpu.h"

#define ABI_MAJOR 4
#define ABI_MINOR 17

#define FEATURE(f) (1u << XENFEAT_##f)
static char command_line_text[256];

void version_set_command_line(const char *text)
{
	str_copy(command_line_text, sizeof(command_line_text), text);
}

/* Text goes out with zeros behind it to the end of its field, as the field's size promises. */
static long put_text(uint64_t arg_va, const char *text, size_t field_bytes)
{
	size_t n = strlen(text);

	if (guest_copy_to(arg_va, text, n) || guest_clear(arg_va + n, field_bytes - n))
		return -XEN_EFAULT;
	return 0;
}

static const struct xen_compile_info compile_info = {
    .compiler = "gcc " __VERSION__,
    .compile_by = "amphi",
    .compile_domain = "amphi",
    .compile_date = "reproducible",
};

static const struct xen_platform_parameters platform_parameters = {
    .virt_start = HYPERVISOR_VIRT_START,
};

static long get_features(uint64_t arg_va)
{
	struct xen_feature_info info;

	if (guest_read(&info, arg_va))
		return -XEN_EFAULT;
	if (info.submap_idx >= XENFEAT_NR_SUBMAPS)
		return -XEN_EINVAL;
	info.submap = FEATURE(pae_pgdir_above_4gb) | FEATURE(mmu_pt_update_preserve_ad) |
		      FEATURE(highmem_assist) | FEATURE(gnttab_map_avail_bits);
	if (current_domain()->privileged)
		info.submap |= FEATURE(dom0);
	return guest_write(arg_va, &info);
}

long hc_xen_version(uint64_t cmd, uint64_t arg_va)
{
	switch (cmd) {
	case XENVER_version:
		return ABI_MAJOR << 16 | ABI_MINOR;
	case XENVER_extraversion:
		return put_text(arg_va, ".0-amphi", XEN_EXTRAVERSION_LEN);
	case XENVER_compile_info:
		return guest_write(arg_va, &compile_info);
	case XENVER_capabilities:
		return put_text(arg_va, "xen-3.0-x86_64 ", XEN_CAPABILITIES_INFO_LEN);
	case XENVER_changeset:
		return put_text(arg_va, "amphi-hv", XEN_CHANGESET_INFO_LEN);
	case XENVER_platform_parameters:
		return guest_write(arg_va, &platform_parameters);
	case XENVER_get_features:
		return get_features(arg_va);
	case XENVER_pagesize:
		return arg_va ? -XEN_EINVAL : (long)PAGE_SIZE;
	case XENVER_guest_handle:
		return guest_write(arg_va, &current_domain()->handle);
	case XENVER_commandline:
		/* The machine's command line is the first domain's business only. */
		return put_text(arg_va, current_domain()->privileged ? command_line_text : "",
				sizeof(xen_commandline_t));
	case XENVER_build_id:
		return -XEN_ENODATA;
	default:
		return -XEN_ENOSYS;
	}
}

long hc_vm_assist(uint64_t cmd, uint64_t type)
{
	struct domain *d = current_domain();

	if (type >= 64 || !(PV_ASSISTS >> type & 1))
		return -XEN_EINVAL;
	if (cmd == VMASST_CMD_enable)
		__atomic_fetch_or(&d->vm_assist, 1ull << type, __ATOMIC_RELAXED);
	else if (cmd == VMASST_CMD_disable)
		__atomic_fetch_and(&d->vm_assist, ~(1ull << type), __ATOMIC_RELAXED);
	else
		return -XEN_ENOSYS;
	return 0;
}
