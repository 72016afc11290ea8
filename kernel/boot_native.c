/* boot_native.c: the start on bare metal, or on a hypervisor that shows itself as bare metal.
 *
 * Entered from entry_native.S with the first 4 GiB mapped; reads the loader's structure through the
 * direct map, then brings up pvops, traps, memory and the local APIC, in this order, and goes on to
 * boot_finish(). A PVH domain of Xen starts here too; boot_xen_pvh.c has what it needs, and
 * only one that owns the machine uses its APIC, for devices.
 * Not for PV domains: boot_xen.c.
 */
#include <amphi/pvops.h>

#include "boot_parse.h"
#include "boot_start.h"
#include "lapic.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "trap.h"

#define MAPPED_AT_START (4ull << 30) /* by entry_native.S */

/* What the readers may look at. Loaders put their structures below 4 GiB, being 32-bit code at
 * the end. */
static const void *view(void *ctx, uint64_t phys, uint64_t len)
{
	(void)ctx;
	if (phys >= MAPPED_AT_START || len > MAPPED_AT_START - phys)
		return NULL;
	return (const char *)pfn_to_virt((pfn_t){0}) + phys;
}

static int read_loader(unsigned loader, uint64_t info)
{
	if (loader == BOOT_LOADER_PVH) {
		boot.loader = "PVH";
		return boot_parse_pvh(view, NULL, info, &boot);
	}
	boot.loader = "multiboot2";
	return boot_parse_multiboot2(view, NULL, info, &boot);
}

void boot_native_start(unsigned loader, uint64_t info_phys)
{
	struct platform_found found = {.pvh_entry = loader == BOOT_LOADER_PVH};
	int err;

	boot.platform = BOOT_NATIVE;
	boot.privileged = true;
	pvops_init_native(&boot_pvops_env);
	trap_init_native();
	err = read_loader(loader, info_phys);
	if (err)
		panic("what the %s loader left cannot be used: %s", boot.loader, boot.wrong);
	boot_choose_platform(&found);
	if (boot.platform == BOOT_XEN_PVH)
		boot_xen_pvh_enter(&found);
	if (boot_check(&boot, image_pfn(image_start), image_pfn(image_end)))
		panic("what the %s loader left cannot be used: %s", boot.loader, boot.wrong);
	acpi_read(view, NULL, boot.rsdp, &boot.acpi);
	mm_init_native();
	if (boot.platform == BOOT_XEN_PVH)
		boot_xen_pvh_join();
	lapic_init();
	boot_finish();
}
