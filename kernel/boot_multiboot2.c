/* boot_multiboot2.c: reads the tags that a multiboot2 loader (GRUB on BIOS or UEFI) leaves.
 *
 * Pure; called by boot_native.c and the fuzzer. Layout: Multiboot2 specification 2.0, section 3.6: a
 * total size, then tags of (type, size), each beginning on a multiple of 8. Unknown tags are passed
 * over. Takes the command line, the first module as the ramdisk, the memory map, and ACPI's root pointer
 * as the copy inside the tag points (its own address is of no use).
 */
#include <amphi/string.h>

#include "boot_parse.h"

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MEMMAP = 6,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15
};

/* A total beyond this is a damaged length and not a command line and a memory map. */
#define INFO_MAX (1u << 20)

/* The specification's layouts. They are copied out of the loader's bytes before they are read:
 * that each tag begins on a multiple of 8 is the loader's promise, not our knowledge. */
struct tag {
	uint32_t type, size;
};
struct tag_module {
	struct tag tag;
	uint32_t start, end;
};
struct tag_memmap {
	struct tag tag;
	uint32_t entry_size, entry_version;
};
struct memmap_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

/* Only the first module, and only when it has a length: what is wrong with it is no reason not
 * to start, since a kernel without a ramdisk can still say so. */
static void take_module(const uint8_t *at, size_t len, struct boot_info *out)
{
	struct tag_module mod;

	if (len < sizeof(mod) || out->ramdisk_len_bytes)
		return;
	memcpy(&mod, at, sizeof(mod));
	if (mod.end <= mod.start)
		return;
	out->ramdisk_start = mod.start;
	out->ramdisk_len_bytes = mod.end - mod.start;
}

static void take_memmap(const uint8_t *at, size_t len, struct boot_info *out)
{
	struct tag_memmap map;
	struct memmap_entry e;

	if (len < sizeof(map))
		return;
	memcpy(&map, at, sizeof(map));
	/* The stride is the loader's word: the specification lets entries grow at their end. Not
	 * less than ours, so the loop advances. */
	if (map.entry_size < sizeof(e))
		return;
	for (size_t off = sizeof(map); len - off >= map.entry_size; off += map.entry_size) {
		memcpy(&e, at + off, sizeof(e));
		boot_add_range(out, e.start, e.size, e.type);
	}
}

/* Where the real root pointer's tables are: the tag holds a copy, of which only the address of the
 * root table matters to those who ask; the physical address of the copy serves as well. */
static void take_rsdp(uint64_t phys, size_t len, struct boot_info *out)
{
	/* 20 bytes: the root pointer of ACPI 1.0, of which the later one is an extension. */
	if (len >= sizeof(struct tag) + 20)
		out->rsdp = phys + sizeof(struct tag);
}

static void take_tag(uint32_t type, const uint8_t *at, size_t len, uint64_t phys,
		     struct boot_info *out)
{
	switch (type) {
	case TAG_CMDLINE:
		boot_set_cmdline(out, (const char *)at + sizeof(struct tag),
				 len - sizeof(struct tag));
		break;
	case TAG_MODULE:
		take_module(at, len, out);
		break;
	case TAG_MEMMAP:
		take_memmap(at, len, out);
		break;
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW:
		take_rsdp(phys, len, out);
		break;
	}
}

/* Looks twice: at the head, for the total, and then at all of it, so that no tag is read that
 * was not seen to be there. A tag is at least its own head, so each round advances; a structure
 * without the end tag was cut off and is refused. */
int boot_parse_multiboot2(boot_view_fn *view, void *ctx, uint64_t info, struct boot_info *out)
{
	const uint32_t *head = view(ctx, info, 8);
	const uint8_t *all;
	struct tag tag;
	uint32_t total;

	if (!head)
		return -XEN_EFAULT;
	memcpy(&total, head, sizeof(total));
	if (total < 8 || total > INFO_MAX)
		return -XEN_EINVAL;
	all = view(ctx, info, total);
	if (!all)
		return -XEN_EFAULT;
	for (size_t off = 8; total - off >= sizeof(tag); off = ROUND_UP(off + tag.size, 8)) {
		memcpy(&tag, all + off, sizeof(tag));
		if (tag.size < sizeof(tag) || tag.size > total - off)
			return -XEN_EINVAL;
		if (tag.type == TAG_END)
			return 0;
		take_tag(tag.type, all + off, tag.size, info + off, out);
		if (ROUND_UP(off + tag.size, 8) > total)
			break;
	}
	return -XEN_EINVAL;
}
