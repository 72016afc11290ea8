/* boot_pvh.c: reads struct hvm_start_info, which QEMU and other PVH loaders leave (<xen/arch-x86/hvm/
 * start_info.h>).
 *
 * Pure; called by boot_native.c and the fuzzer. Takes the command line, the memory map (version 1), the
 * first module as the ramdisk, and ACPI's root pointer. A loader of version 0 gives no memory map; then
 * there is no memory, and mm_init_native() will say so.
 */
#include <amphi/string.h>

#include <xen/arch-x86/hvm/start_info.h>

#include "boot_parse.h"

/* Length of a NUL-terminated text, seen a byte at a time because it may end anywhere. */
static void take_cmdline(boot_view_fn *view, void *ctx, uint64_t phys, struct boot_info *out)
{
	size_t len = 0;
	const char *c;

	while (len < BOOT_CMDLINE - 1 && (c = view(ctx, phys + len, 1)) && *c)
		out->cmdline[len++] = *c;
	out->cmdline[len] = '\0';
}

static int wrong(struct boot_info *out, const char *what)
{
	out->wrong = what;
	return -XEN_EFAULT;
}

static int take_memmap(boot_view_fn *view, void *ctx, const struct hvm_start_info *info,
		       struct boot_info *out)
{
	/* More than the kernel keeps is not looked at. */
	unsigned n = MIN(info->memmap_entries, BOOT_RANGES);

	for (unsigned i = 0; i < n; i++) {
		struct hvm_memmap_table_entry e;
		const void *seen = view(ctx, info->memmap_paddr + i * sizeof(e), sizeof(e));

		if (!seen)
			return wrong(out, "its memory map lies where nothing is");
		memcpy(&e, seen, sizeof(e)); /* where it lies need not be aligned */
		boot_add_range(out, e.addr, e.size, e.type);
	}
	return 0;
}

/* The first only. A module that cannot be seen is an error, not an absence: it was meant to be
 * there. */
static int take_module(boot_view_fn *view, void *ctx, const struct hvm_start_info *info,
		       struct boot_info *out)
{
	struct hvm_modlist_entry mod;
	const void *seen;

	if (!info->nr_modules)
		return 0;
	seen = view(ctx, info->modlist_paddr, sizeof(mod));
	if (!seen)
		return wrong(out, "its list of modules lies where nothing is");
	memcpy(&mod, seen, sizeof(mod));
	if (!view(ctx, mod.paddr, mod.size))
		return wrong(out, "the boot module lies where nothing is");
	out->ramdisk_start = mod.paddr;
	out->ramdisk_len_bytes = mod.size;
	return 0;
}

/* The head is copied before it is believed. Members behind those of version 0 are read only in
 * later ones. */
int boot_parse_pvh(boot_view_fn *view, void *ctx, uint64_t info_phys, struct boot_info *out)
{
	struct hvm_start_info info;
	const void *seen = view(ctx, info_phys, sizeof(info));
	int err;

	if (!seen)
		return wrong(out, "its start information lies where nothing is");
	memcpy(&info, seen, sizeof(info));
	if (info.magic != XEN_HVM_START_MAGIC_VALUE) {
		out->wrong = "its start information begins with a wrong magic number";
		return -XEN_EINVAL;
	}
	out->rsdp = info.rsdp_paddr;
	if (info.cmdline_paddr)
		take_cmdline(view, ctx, info.cmdline_paddr, out);
	err = info.version >= 1 ? take_memmap(view, ctx, &info, out) : 0;
	return err ? err : take_module(view, ctx, &info, out);
}
