/* boot_start.h: the steps of a start that kernel/boot*.c share. Private to them.
 *
 * boot_native_start and boot_xen_pv_start are called by entry_native.S and entry_xen.S on the boot
 * stack with interrupts off; both end in boot_finish(), which calls kmain().
 */
#ifndef KERNEL_BOOT_START_H
#define KERNEL_BOOT_START_H

#include <amphi/pvops.h>

#include "boot.h"
#include "platform.h"

enum { BOOT_LOADER_PVH = 1, BOOT_LOADER_MULTIBOOT2 = 2 }; /* entry_native.S has the same */

void boot_native_start(unsigned loader, uint64_t info_phys) __attribute__((noreturn));
void boot_xen_pv_start(struct start_info *info) __attribute__((noreturn));

/* The platform of found and of the command line's wish, told to boot. */
void boot_choose_platform(struct platform_found *found);

/* PVH on Xen: hypercalls work from enter on; join needs memory. */
void boot_xen_pvh_enter(const struct platform_found *found);
void boot_xen_pvh_join(void);

/* PV: the grant table leaves our page tables before a suspend, and comes back after it. The second also has
 * the hypervisor make it, when the world is a new one. Interrupts off. */
void boot_xen_pv_unmap_grants(void);
void boot_xen_pv_map_grants(void);

/* Patches, and enters the kernel proper. */
void boot_finish(void) __attribute__((noreturn));

extern const struct pvops_env boot_pvops_env;

#endif
