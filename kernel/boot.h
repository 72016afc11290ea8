/* boot.h: what the kernel was told when it was started, whoever started it.
 *
 * Filled once by kernel/boot*.c, from a PVH start info, multiboot2 tags or Xen's start_info; read
 * by everybody afterwards, never changed. Everything in it was copied out of the loader's memory but
 * the ramdisk, whose pages stay what they are.
 *
 * Order of start: entry*.S -> boot_*_start() -> mm_init_native(), mm_init_xen_pv() -> traps -> pvops_patch() -> kmain(), which
 * is entered on the boot stack with interrupts off and must not return.
 */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include <amphi/acpi.h>
#include <amphi/types.h>
#include <amphi/xen.h>

enum boot_platform { BOOT_NATIVE, BOOT_XEN_PV, BOOT_KVM, BOOT_XEN_PVH };

#define BOOT_RANGES  64u
#define BOOT_CMDLINE 1024u

struct boot_range {
	uint64_t start,
	    size_bytes; /* of the machine natively, of the domain's own numbering on PV */
	uint32_t type;  /* as in an e820 map: 1 is memory */
};

/* A framebuffer that the firmware has set up; its memory is the machine's. */
enum boot_screen_kind { BOOT_SCREEN_NONE, BOOT_SCREEN_PIXELS };
struct boot_colour {
	uint8_t position, bits; /* in a pixel */
};
struct boot_screen {
	enum boot_screen_kind kind;
	uint64_t phys;
	uint32_t pitch_bytes, width, height;
	uint8_t pixel_bytes; /* 2, 3 or 4 */
	struct boot_colour red, green, blue;
};

struct boot_info {
	enum boot_platform platform;
	bool privileged;            /* natively, and the first domain: may touch devices */
	char cmdline[BOOT_CMDLINE]; /* without the kernel's own name; cut when longer */
	unsigned n_ranges;
	struct boot_range ranges[BOOT_RANGES];
	uint64_t ramdisk_start; /* physical (PV: of our own numbering); where ramdisk points */
	void *ramdisk;          /* NULL: none; set once memory is up */
	size_t ramdisk_len_bytes;
	uint64_t rsdp;             /* physical address of ACPI's root pointer; 0: not told */
	struct boot_screen screen; /* of consistent sizes, when there is one */
	const char *wrong;         /* while the loader is read: which of its words cannot be */
	unsigned n_dropped;        /* ranges of its memory map that make no sense */
	const char *loader;        /* "PVH", "multiboot2", "Xen PV" */
	const char *refused;       /* why pvops= was not followed; NULL: it was, or was not there */
	/* KVM only: what it offers, for kvm_decode() */
	uint32_t kvm_features, kvm_hints;
	struct acpi_info acpi; /* natively */
	/* PV only */
	struct start_info *start_info; /* a copy */
	uint64_t start_info_va;        /* where it was at start; its page is free now */
	/* PV and PVH on Xen */
	struct shared_info *shared_info;
	void *console_page, *store_page;   /* their rings; NULL in the first domain */
	uint32_t console_port, store_port; /* and their event channels */
};

extern struct boot_info boot;

static inline const char *boot_platform_name(enum boot_platform p)
{
	return p == BOOT_NATIVE   ? "native"
	       : p == BOOT_XEN_PV ? "xen-pv"
	       : p == BOOT_KVM    ? "kvm"
				  : "xen-pvh";
}

/* A domain of Xen or of amphi-hv, whose clock, console and disks are the hypervisor's. */
static inline bool boot_on_xen(void)
{
	return boot.platform == BOOT_XEN_PV || boot.platform == BOOT_XEN_PVH;
}

/* The kernel proper, kernel/main.c. */
void kmain(void) __attribute__((noreturn));

#endif
