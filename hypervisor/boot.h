/* boot.h: what the boot loader handed over, for the files that start the machine.
 *
 * Private: boot.c has the multiboot information read once into struct boot_info; dom0.c and console.c
 * take what they need, words by boot_option.c. boot_image.c looks after the hypervisor's own page tables.
 */
#ifndef HV_BOOT_H
#define HV_BOOT_H

#include <amphi/acpi.h>
#include <amphi/types.h>

#include "mm.h"

#define BOOT_CMDLINE_MAX 512u
#define BOOT_MODULES_MAX 40u
#define BOOT_RSDP_MAX    36u

struct boot_module {
	uint64_t start, end;            /* machine addresses */
	char cmdline[BOOT_CMDLINE_MAX]; /* the loader's file name in front is cut off */
};

struct boot_info {
	char cmdline[BOOT_CMDLINE_MAX];
	unsigned n_modules;
	struct boot_module modules[BOOT_MODULES_MAX];
	unsigned n_ranges;
	struct mm_range ranges[MM_RANGES_MAX];
	uint8_t rsdp[BOOT_RSDP_MAX]; /* a copy of ACPI's root pointer, when the loader gave one */
	uint32_t rsdp_bytes;
};

const struct boot_info *boot_info(void);
const struct acpi_info *acpi_info(void);

/* boot_multiboot.c: fills *out, which is all zeros, from the loader's structures of version 1 or 2. view shows
 * what lies at an address. */
typedef const void *boot_view_fn(uint64_t address);
void boot_read_multiboot(boot_view_fn *view, uint32_t address, struct boot_info *out);
void boot_read_multiboot2(boot_view_fn *view, uint32_t address, struct boot_info *out);

/* dom0_ramdisk.c: its length, 0 for none; put, unless it is NULL, is called with its parts in order, each
 * at the offset where the last one ended. */
typedef void boot_put_fn(void *ctx, uint64_t at, const void *bytes, uint64_t n);
uint64_t dom0_ramdisk(const struct boot_info *boot, boot_put_fn *put, void *ctx);

/* boot_option.c: the value of key=value in the hypervisor's command line, "" for a bare key, cut to cap; false: not there. */
bool boot_option(const char *key, char *out, size_t cap);
/* A number; a size with K, M or G (M when none), in bytes. False: not there, or it is none; *out is as it was. */
bool boot_option_number(const char *key, uint64_t *out);
bool boot_option_size(const char *key, uint64_t *out_bytes);
/* Whether text is a size. */
bool boot_read_size(const char *text, uint64_t *out_bytes);
/* Says which words nobody knows, and which have a value that they cannot have. Once. */
void boot_options_check(void);

/* Whether the hypervisor's own tables map [va, va + bytes). */
bool boot_is_mapped(const void *va, size_t bytes);
/* Drops the map at 0 and gives each part of the image its protection. */
void boot_protect_image(void);

/* dom0.c: builds the first domain from modules 0 and 1, ready to run; panics with the reason when
 * it cannot. */
void dom0_build(void);

#endif
