/* boot_multiboot2.c: reads the tags that a multiboot2 loader (GRUB on BIOS or UEFI) leaves.
 *
 * Pure; called by boot_native.c and the fuzzer. Layout: Multiboot2 specification 2.0, section 3.6: a
 * total size, then tags of (type, size), each beginning on a multiple of 8. Unknown tags are passed
 * over. Takes the command line, the first module as the ramdisk, the memory map, the framebuffer, and ACPI's
 * root pointer as the copy inside the tag points (its own address is of no use).
 */
#include <amphi/string.h>

#include "boot_parse.h"

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MEMMAP = 6,
	TAG_FRAMEBUFFER = 8,
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
struct tag_framebuffer {
	struct tag tag;
	uint64_t phys;
	uint32_t pitch, width, height;
	uint8_t bits, type, reserved[2];
	uint8_t red_position, red_bits, green_position, green_bits, blue_position, blue_bits;
} __attribute__((packed));
#define FRAMEBUFFER_RGB  1
#define FRAMEBUFFER_SIDE 16384u /* pixels: beyond every screen there is */
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

static bool is_colour(const struct boot_colour *c, unsigned bits)
{
	return c->bits && c->bits <= 16 && c->position + c->bits <= bits;
}

/* Whoever draws trusts these sizes, so a framebuffer that contradicts itself is none. Indexed colours and
 * text are for modes that a multiboot2 loader does not choose for us. */
static bool is_screen(const struct tag_framebuffer *fb, const struct boot_screen *s)
{
	uint64_t size = (uint64_t)fb->pitch * fb->height;

	return fb->type == FRAMEBUFFER_RGB && fb->bits >= 15 && fb->bits <= 32 && fb->width &&
	       fb->height && fb->width <= FRAMEBUFFER_SIDE && fb->height <= FRAMEBUFFER_SIDE &&
	       fb->pitch >= fb->width * s->pixel_bytes && fb->pitch <= 4 * FRAMEBUFFER_SIDE &&
	       fb->phys && fb->phys + size > fb->phys && fb->phys + size <= 1ull << 52 &&
	       is_colour(&s->red, fb->bits) && is_colour(&s->green, fb->bits) &&
	       is_colour(&s->blue, fb->bits);
}

static void take_framebuffer(const uint8_t *at, size_t len, struct boot_info *out)
{
	struct tag_framebuffer fb;
	struct boot_screen s = {.kind = BOOT_SCREEN_PIXELS};

	if (len < sizeof(fb))
		return;
	memcpy(&fb, at, sizeof(fb));
	s.phys = fb.phys;
	s.pitch_bytes = fb.pitch;
	s.width = fb.width;
	s.height = fb.height;
	s.pixel_bytes = (uint8_t)((fb.bits + 7) / 8);
	s.red = (struct boot_colour){fb.red_position, fb.red_bits};
	s.green = (struct boot_colour){fb.green_position, fb.green_bits};
	s.blue = (struct boot_colour){fb.blue_position, fb.blue_bits};
	if (is_screen(&fb, &s))
		out->screen = s;
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
	case TAG_FRAMEBUFFER:
		take_framebuffer(at, len, out);
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

	out->wrong = "its information lies where nothing is";
	if (!head)
		return -XEN_EFAULT;
	memcpy(&total, head, sizeof(total));
	if (total < 8 || total > INFO_MAX) {
		out->wrong = "its information has an impossible size";
		return -XEN_EINVAL;
	}
	all = view(ctx, info, total);
	if (!all)
		return -XEN_EFAULT;
	out->wrong = "its information is cut off, or a tag in it has an impossible size";
	for (size_t off = 8; total - off >= sizeof(tag); off = ROUND_UP(off + tag.size, 8)) {
		memcpy(&tag, all + off, sizeof(tag));
		if (tag.size < sizeof(tag) || tag.size > total - off)
			return -XEN_EINVAL;
		if (tag.type == TAG_END) {
			out->wrong = NULL;
			return 0;
		}
		take_tag(tag.type, all + off, tag.size, info + off, out);
		if (ROUND_UP(off + tag.size, 8) > total)
			break;
	}
	return -XEN_EINVAL;
}
