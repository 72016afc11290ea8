/* boot_multiboot.c: what a multiboot loader left, of either version, copied into struct boot_info.
 *
 * Version 1 is one structure with flags; version 2 is a total size and then tags of (type, size), each on
 * a multiple of 8 (Multiboot2 specification 2.0, section 3.6), of which those for EFI tell what version 1
 * cannot: where ACPI's root pointer is. It lies in memory that is about to be given away, so all of it is
 * copied, the pointer too. Called once by boot.c, with the first GiB mapped; what does not lie there is not seen.
 */
#include <amphi/string.h>

#include "boot.h"

/* ---- both ----------------------------------------------------------------------------------- */

/* Loaders put the file's name before the arguments, or a menu has any word there. */
static void copy_cmdline(char *out, const char *text)
{
	const char *args = strchr(text, ' ');

	(void)str_copy(out, BOOT_CMDLINE_MAX, args != NULL ? args + 1 : "");
}

static struct boot_module *add_module(struct boot_info *out, uint64_t start, uint64_t end)
{
	struct boot_module *m = &out->modules[out->n_modules];

	if (out->n_modules == BOOT_MODULES_MAX)
		return NULL;
	out->n_modules++;
	m->start = start;
	m->end = end;
	return m;
}

static void add_range(struct boot_info *out, uint64_t base, uint64_t length, uint32_t kind)
{
	if (out->n_ranges < MM_RANGES_MAX)
		out->ranges[out->n_ranges++] = (struct mm_range){base, base + length, kind};
}

/* ---- version 1 ------------------------------------------------------------------------------ */

#define HAS_CMDLINE 0x04u
#define HAS_MODULES 0x08u
#define HAS_MAP     0x40u

struct info_v1 {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t map_length, map_addr;
};

struct module_v1 {
	uint32_t start, end, cmdline, reserved;
};

/* size does not count itself. */
struct range_v1 {
	uint32_t size;
	uint64_t base, length;
	uint32_t kind;
} __attribute__((packed));

void boot_read_multiboot(boot_view_fn *view, uint32_t address, struct boot_info *out)
{
	const struct info_v1 *mb = view(address);
	const struct module_v1 *m = view(mb->mods_addr);
	unsigned n = mb->flags & HAS_MODULES ? mb->mods_count : 0;
	uint32_t at = mb->map_addr, end = mb->flags & HAS_MAP ? at + mb->map_length : at;

	if (mb->flags & HAS_CMDLINE)
		copy_cmdline(out->cmdline, view(mb->cmdline));
	for (; n > 0; n--, m++) {
		struct boot_module *to = add_module(out, m->start, m->end);

		if (to == NULL)
			break;
		if (m->cmdline != 0)
			copy_cmdline(to->cmdline, view(m->cmdline));
	}
	while (at + sizeof(struct range_v1) <= end) { /* each has a length */
		const struct range_v1 *r = view(at);

		add_range(out, r->base, r->length, r->kind);
		at += r->size + 4;
	}
}

/* ---- version 2 ------------------------------------------------------------------------------ */

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MAP = 6,
	TAG_RSDP = 14,
	TAG_RSDP_NEW = 15
};

#define INFO_MAX (1u << 20) /* more is a damaged length */

struct tag {
	uint32_t type, size;
};
struct tag_module {
	struct tag tag;
	uint32_t start, end;
	char cmdline[];
};
struct tag_map {
	struct tag tag;
	uint32_t entry_size, entry_version;
};
struct range_v2 {
	uint64_t base, length;
	uint32_t kind, reserved;
};

/* Texts end with NUL inside their tag; one that does not is left out. */
static bool is_text(const char *text, const void *end)
{
	return text < (const char *)end && strnlen(text, (size_t)((const char *)end - text)) <
					       (size_t)((const char *)end - text);
}

static void take_module(const struct tag *t, const void *end, struct boot_info *out)
{
	const struct tag_module *m = (const void *)t;
	struct boot_module *to;

	if (t->size < sizeof(*m))
		return;
	to = add_module(out, m->start, m->end);
	if (to != NULL && is_text(m->cmdline, end))
		copy_cmdline(to->cmdline, m->cmdline);
}

static void take_map(const struct tag *t, struct boot_info *out)
{
	const struct tag_map *map = (const void *)t;
	const uint8_t *at = (const uint8_t *)(map + 1);

	/* Entries may be longer than those we know, and never shorter: so the loop moves on. */
	if (t->size < sizeof(*map) || map->entry_size < sizeof(struct range_v2))
		return;
	for (uint32_t left = t->size - sizeof(*map); left >= map->entry_size;
	     left -= map->entry_size, at += map->entry_size) {
		struct range_v2 r;

		memcpy(&r, at, sizeof(r));
		add_range(out, r.base, r.length, r.kind);
	}
}

/* A longer root pointer has the shorter in front, so that the longest tells all. */
static void take_rsdp(const struct tag *t, struct boot_info *out)
{
	uint32_t bytes = MIN(t->size - (uint32_t)sizeof(*t), BOOT_RSDP_MAX);

	if (bytes <= out->rsdp_bytes)
		return;
	memcpy(out->rsdp, t + 1, bytes);
	out->rsdp_bytes = bytes;
}

static void take_tag(const struct tag *t, struct boot_info *out)
{
	const char *text = (const char *)(t + 1);
	const void *end = (const uint8_t *)t + t->size;

	switch (t->type) {
	case TAG_CMDLINE:
		if (is_text(text, end))
			copy_cmdline(out->cmdline, text);
		break;
	case TAG_MODULE:
		take_module(t, end, out);
		break;
	case TAG_MAP:
		take_map(t, out);
		break;
	case TAG_RSDP:
	case TAG_RSDP_NEW:
		take_rsdp(t, out);
		break;
	default:
		break;
	}
}

void boot_read_multiboot2(boot_view_fn *view, uint32_t address, struct boot_info *out)
{
	const uint32_t *total = view(address);
	uint32_t size = MIN(*total, INFO_MAX);

	for (uint32_t at = 8; at + sizeof(struct tag) <= size;) {
		const struct tag *t = (const void *)((const uint8_t *)total + at);

		/* A tag that is too short, or longer than what is left, is the end of what can be read. */
		if (t->type == TAG_END || t->size < sizeof(*t) || t->size > size - at)
			return;
		take_tag(t, out);
		at += (t->size + 7) & ~7u;
	}
}
