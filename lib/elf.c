/* elf.c: reads an ELF64 image and a kernel's Xen notes from bytes nobody vouches for.
 *
 * Pure: no allocation, no state. Every structure is copied out of the image at an offset that was
 * checked first, so alignment and the image's end never matter twice. Not a loader: who copies
 * segments where is the caller's affair. Callers: control/domain_builder.c, the hypervisor's
 * builder of the first domain, the host tool. Calls: string.h.
 */
#include <amphi/elf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

/* The parts of the System V ABI's ELF64 that are used here, in file layout. */
struct ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct shdr {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t addralign, entsize;
};
/* A note: this head, the name and the description, each of the latter padded to 4 bytes. */
struct nhdr {
	uint32_t namesz, descsz, type;
};
_Static_assert(sizeof(struct ehdr) == 64, "ELF64 header");
_Static_assert(sizeof(struct phdr) == 56, "ELF64 program header");
_Static_assert(sizeof(struct shdr) == 64, "ELF64 section header");

/* Numbers from the System V ABI (and its AMD64 supplement), and the bounds of our loops. SHDRS_MAX
 * is more than a debug kernel has with a section for each function; NOTES_MAX is per segment or
 * section. */
enum {
	ET_EXEC = 2,
	ET_DYN = 3,
	EM_X86_64 = 62,
	PT_LOAD = 1,
	PT_NOTE = 4,
	SHT_NOTE = 7,
	PHDRS_MAX = 128, /* more than any kernel has; a bound for the loops */
	SHDRS_MAX = 4096,
	NOTES_MAX = 1024,
};

/* Texts are written to stand behind "FILE is": "an image without Xen notes". */
static int refuse(const char **out_why, const char *why)
{
	*out_why = why;
	return -XEN_ENOEXEC;
}

/* Whether [offset, offset + size) lies in a file of len bytes. Written so that no sum is made:
 * offset + size of a hostile file may wrap to something small. */
static bool inside(size_t len, uint64_t offset, uint64_t size)
{
	return offset <= len && size <= len - offset;
}

/* Copied and not pointed to: the image may lie at any address, and so may structures in it. */
static bool copy_at(const struct elf_image *image, uint64_t offset, void *out, size_t size)
{
	if (!inside(image->len, offset, size))
		return false;
	memcpy(out, image->bytes + offset, size);
	return true;
}

/* The 64-bit little-endian x86 file that the rest of this file expects. Position-independent files
 * are taken too: where a PV guest lies is VIRT_BASE's to say. e_version and e_flags say nothing on
 * this machine. */
static const char *check_ehdr(const struct ehdr *eh)
{
	if (memcmp(eh->ident, "\177ELF", 4) != 0)
		return "not an ELF file";
	if (eh->ident[4] != 2 || eh->ident[5] != 1)
		return "not a 64-bit little-endian ELF file";
	if (eh->machine != EM_X86_64)
		return "an ELF file for another machine than x86-64";
	if (eh->type != ET_EXEC && eh->type != ET_DYN)
		return "an ELF file, but not an executable";
	if (eh->phnum == 0 || eh->phnum > PHDRS_MAX || eh->phentsize != sizeof(struct phdr))
		return "an ELF file with bad program headers";
	return NULL;
}

/* NULL, or what is wrong. filesz < memsz is ordinary (.bss); the other way round has no meaning,
 * and a loader that believed it would write beyond what it reserved. */
static const char *add_segment(struct elf_image *image, const struct phdr *ph)
{
	struct elf_segment *s;

	/* Empty segments are left by linkers; they would only pull paddr_start down to 0. */
	if (ph->memsz == 0)
		return NULL;
	if (image->n_segments == ELF_MAX_SEGMENTS)
		return "an ELF file with too many segments";
	if (ph->filesz > ph->memsz || !inside(image->len, ph->offset, ph->filesz))
		return "an ELF file that is cut off: a segment reaches beyond its end";
	if (ph->paddr + ph->memsz < ph->paddr || ph->vaddr + ph->memsz < ph->vaddr)
		return "an ELF file with a segment that wraps around the address space";
	s = &image->segments[image->n_segments++];
	*s = (struct elf_segment){
	    .vaddr = ph->vaddr,
	    .paddr = ph->paddr,
	    .data = image->bytes + ph->offset,
	    .file_bytes = ph->filesz,
	    .memory_bytes = ph->memsz,
	    .flags = ph->flags,
	};
	image->paddr_start = MIN(image->paddr_start, s->paddr);
	image->paddr_end = MAX(image->paddr_end, s->paddr + s->memory_bytes);
	return NULL;
}

/* Program header i; false when it is outside the file (elf_open has refused such a file). */
static bool get_phdr(const struct elf_image *image, const struct ehdr *eh, unsigned i,
		     struct phdr *out)
{
	uint64_t offset = (uint64_t)i * sizeof(*out);

	return inside(image->len, eh->phoff, offset + sizeof(*out)) &&
	       copy_at(image, eh->phoff + offset, out, sizeof(*out));
}

/* Overlapping segments are let through: who copies them in order gets what the file says, and the
 * domain that comes of it harms itself only. */
int elf_open(const void *bytes, size_t len, struct elf_image *out, const char **out_why)
{
	struct ehdr eh;
	struct phdr ph;
	const char *why;

	*out = (struct elf_image){.bytes = bytes, .len = len, .paddr_start = ~0ull};
	if (!copy_at(out, 0, &eh, sizeof(eh)))
		return refuse(out_why, "not an ELF file");
	why = check_ehdr(&eh);
	if (why)
		return refuse(out_why, why);
	out->entry = eh.entry;
	for (unsigned i = 0; i < eh.phnum; i++) { /* <= PHDRS_MAX */
		if (!get_phdr(out, &eh, i, &ph))
			return refuse(out_why, "an ELF file that is cut off");
		why = ph.type == PT_LOAD ? add_segment(out, &ph) : NULL;
		if (why)
			return refuse(out_why, why);
	}
	if (out->n_segments == 0)
		return refuse(out_why, "an ELF file with nothing to load");
	return 0;
}

/* ---- notes -------------------------------------------------------------------------- */

struct note {
	uint32_t type;
	const uint8_t *desc;
	uint32_t desc_len;
};

/* Notes give numbers in 4 or 8 bytes, by the class of whoever wrote them; elfnote.h leaves it open.
 * A shorter one counts as 0, which the checks at the end refuse where it matters. */
static uint64_t note_number(const struct note *n)
{
	uint64_t v = 0;

	memcpy(&v, n->desc, n->desc_len >= 8 ? 8 : n->desc_len >= 4 ? 4 : 0);
	return v;
}

/* A text need not end in a NUL; it is cut to what the result has room for. */
static void note_text(const struct note *n, char *out, size_t cap)
{
	size_t len = strnlen((const char *)n->desc, MIN(n->desc_len, cap - 1));

	memcpy(out, n->desc, len);
	out[len] = 0;
}

/* Linux writes MOD_START_PFN as a number, others wrote the text "yes". Either is not 0. */
static bool note_true(const struct note *n)
{
	return n->desc_len >= 4 && note_number(n) != 0;
}

/* xen/elfnote.h has a number for each. A later note of a type wins, as nothing says otherwise. */
static void take_note(const struct note *n, struct elf_xen_notes *out)
{
	if (n->type > XEN_ELFNOTE_MAX)
		return;
	out->present |= ELF_NOTE_BIT(n->type);
	switch (n->type) {
	case XEN_ELFNOTE_ENTRY:
		out->entry = note_number(n);
		break;
	case XEN_ELFNOTE_HYPERCALL_PAGE:
		out->hypercall_page = note_number(n);
		break;
	case XEN_ELFNOTE_VIRT_BASE:
		out->virt_base = note_number(n);
		break;
	case XEN_ELFNOTE_PADDR_OFFSET:
		out->paddr_offset = note_number(n);
		break;
	/* Read for whoever cares; a list that lies in the ordinary mapping is right for every
	 * kernel. */
	case XEN_ELFNOTE_INIT_P2M:
		out->init_p2m = note_number(n);
		break;
	/* The entry of PVH. An image that has only this is no PV guest's. */
	case XEN_ELFNOTE_PHYS32_ENTRY:
		out->phys32_entry = note_number(n);
		break;
	case XEN_ELFNOTE_MOD_START_PFN:
		out->mod_start_pfn = note_true(n);
		break;
	case XEN_ELFNOTE_GUEST_OS:
		note_text(n, out->guest_os, sizeof(out->guest_os));
		break;
	case XEN_ELFNOTE_LOADER:
		note_text(n, out->loader, sizeof(out->loader));
		break;
	case XEN_ELFNOTE_FEATURES:
		note_text(n, out->features, sizeof(out->features));
		break;
	}
}

/* One note at *offset of [data, data + len): moves *offset behind it. False: no whole note. The
 * fields have 32 bits and are added in 64, so the sums cannot wrap. */
static bool next_note(const uint8_t *data, uint64_t len, uint64_t *offset, struct note *out,
		      bool *out_is_xen)
{
	struct nhdr nh;
	uint64_t name, desc;

	if (!inside(len, *offset, sizeof(nh)))
		return false;
	memcpy(&nh, data + *offset, sizeof(nh));
	name = *offset + sizeof(nh);
	desc = name + ROUND_UP((uint64_t)nh.namesz, 4);
	if (!inside(len, desc, nh.descsz))
		return false;
	*out_is_xen = nh.namesz == 4 && memcmp(data + name, "Xen", 4) == 0;
	*out = (struct note){nh.type, data + desc, nh.descsz};
	*offset = desc + ROUND_UP((uint64_t)nh.descsz, 4);
	return true;
}

/* A piece that lies outside the file is passed over; the checks see what is missing. */
static void take_notes(const struct elf_image *image, uint64_t start, uint64_t size,
		       struct elf_xen_notes *out)
{
	struct note note;
	uint64_t offset = 0;
	bool is_xen;

	if (!inside(image->len, start, size))
		return;
	for (unsigned i = 0; i < NOTES_MAX; i++) {
		if (!next_note(image->bytes + start, size, &offset, &note, &is_xen))
			return;
		if (is_xen)
			take_note(&note, out);
	}
}

static void take_segment_notes(const struct elf_image *image, const struct ehdr *eh,
			       struct elf_xen_notes *out)
{
	struct phdr ph;

	for (unsigned i = 0; i < eh->phnum; i++) { /* <= PHDRS_MAX, checked by elf_open */
		if (get_phdr(image, eh, i, &ph) && ph.type == PT_NOTE)
			take_notes(image, ph.offset, ph.filesz, out);
	}
}

/* Only when no segment has any: images linked without PT_NOTE keep their notes in sections alone.
 */
static void take_section_notes(const struct elf_image *image, const struct ehdr *eh,
			       struct elf_xen_notes *out)
{
	struct shdr sh;
	unsigned n = eh->shentsize == sizeof(sh) ? MIN(eh->shnum, SHDRS_MAX) : 0;

	for (unsigned i = 0; i < n; i++) {
		if (!inside(image->len, eh->shoff, (uint64_t)(i + 1) * sizeof(sh)))
			return;
		copy_at(image, eh->shoff + (uint64_t)i * sizeof(sh), &sh, sizeof(sh));
		if (sh.type == SHT_NOTE)
			take_notes(image, sh.offset, sh.size, out);
	}
}

/* PADDR_OFFSET is what p_paddr is too high by; 0 where a kernel's p_paddr begins at its virt_base's
 * pfn 0. */
uint64_t elf_xen_paddr(const struct elf_xen_notes *notes, uint64_t p_paddr)
{
	return p_paddr - notes->paddr_offset;
}

/* What others rely on without looking again: the builder turns these addresses into frame numbers
 * of the new domain, so each must be inside the image, and the hypercall page wholly so. */
static const char *check_notes(const struct elf_image *image, struct elf_xen_notes *n)
{
	uint32_t pv = ELF_NOTE_BIT(XEN_ELFNOTE_ENTRY) | ELF_NOTE_BIT(XEN_ELFNOTE_HYPERCALL_PAGE) |
		      ELF_NOTE_BIT(XEN_ELFNOTE_VIRT_BASE) | ELF_NOTE_BIT(XEN_ELFNOTE_GUEST_OS);

	if (n->present == 0)
		return "an image without Xen notes";
	if ((n->present & pv) == 0)
		return "an image without the Xen notes of a PV guest";
	if (n->virt_base & (PAGE_SIZE - 1) || n->paddr_offset & (PAGE_SIZE - 1))
		return "an image whose VIRT_BASE or PADDR_OFFSET is not that of a page";
	if (image->paddr_start < n->paddr_offset)
		return "an image that lies below its PADDR_OFFSET";
	n->virt_start = n->virt_base + elf_xen_paddr(n, image->paddr_start);
	n->virt_end = n->virt_base + elf_xen_paddr(n, image->paddr_end);
	if (n->virt_start < n->virt_base || n->virt_end <= n->virt_start)
		return "an image that wraps around the address space";
	if (n->entry < n->virt_start || n->entry >= n->virt_end)
		return "an image with its entry outside itself";
	if (n->present & ELF_NOTE_BIT(XEN_ELFNOTE_HYPERCALL_PAGE) &&
	    (n->hypercall_page < n->virt_start || n->hypercall_page >= n->virt_end ||
	     n->virt_end - n->hypercall_page < PAGE_SIZE || n->hypercall_page & (PAGE_SIZE - 1)))
		return "an image with its hypercall page outside itself";
	return NULL;
}

/* An image without an ENTRY note is entered where its ELF header says. */
int elf_read_xen_notes(const struct elf_image *image, struct elf_xen_notes *out,
		       const char **out_why)
{
	struct ehdr eh;
	const char *why;

	*out = (struct elf_xen_notes){.entry = image->entry};
	if (!copy_at(image, 0, &eh, sizeof(eh)))
		return refuse(out_why, "not an ELF file");
	take_segment_notes(image, &eh, out);
	if (out->present == 0)
		take_section_notes(image, &eh, out);
	why = check_notes(image, out);
	return why ? refuse(out_why, why) : 0;
}
