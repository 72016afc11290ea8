/* elf.h: an ELF64 kernel image, read without trusting it.
 *
 * Callers: control/domain_builder.c (guests), hypervisor/dom0.c (the first domain), the host tool
 * (check). Implemented by lib/elf.c: pure, allocates nothing, keeps pointers into the caller's
 * bytes, which must stay unchanged as long as the image is used.
 *
 * Error rule: 0 or -XEN_ENOEXEC; then *out_why is a constant text that says what is wrong, to
 * be printed after the image's name. Not promised: that segments do not overlap in memory.
 */
#ifndef AMPHI_ELF_H
#define AMPHI_ELF_H

#include <amphi/types.h>

#define ELF_MAX_SEGMENTS 32u

struct elf_segment { /* one PT_LOAD with memory */
	uint64_t vaddr, paddr;
	const uint8_t *data; /* file_bytes of it, inside the image */
	uint64_t file_bytes;
	uint64_t memory_bytes; /* >= file_bytes; the rest is zero */
	uint32_t flags;        /* PF_X 1, PF_W 2, PF_R 4 */
};

struct elf_image {
	const uint8_t *bytes;
	size_t len;
	uint64_t entry; /* e_entry */
	unsigned n_segments;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
	uint64_t paddr_start, paddr_end; /* what all segments span; end is exclusive */
};

/* Checks headers and segments: ELF64, little endian, x86-64, ET_EXEC or ET_DYN, at least one
 * segment, everything inside len, no address that wraps. Any context. */
int elf_open(const void *bytes, size_t len, struct elf_image *out, const char **out_why);

/* What a kernel says of itself to a Xen domain builder (xen/elfnote.h), absent ones at the
 * defaults written there. Numbers may be 4 or 8 bytes wide. */
struct elf_xen_notes {
	uint32_t present; /* bit n: note of type n was there */
	uint64_t entry;   /* e_entry when absent */
	uint64_t hypercall_page;
	uint64_t virt_base;    /* where guest pfn 0 is mapped */
	uint64_t paddr_offset; /* subtracted from p_paddr */
	uint64_t init_p2m;
	uint64_t phys32_entry; /* PVH */
	bool mod_start_pfn;
	char guest_os[32], loader[32]; /* cut when longer */
	char features[128];
	/* OUT of the segments and the above: where the image will be, in the guest's addresses */
	uint64_t virt_start, virt_end;
};

#define ELF_NOTE_BIT(type) (1u << (type))

/* Reads the notes named "Xen" of all PT_NOTE segments, and of all SHT_NOTE sections when no
 * segment has any. Fails when there are none, or when they cannot belong to a 64-bit PV kernel: an entry or a
 * hypercall page outside the image, a virt_base not aligned to a page, an image below it. */
int elf_read_xen_notes(const struct elf_image *image, struct elf_xen_notes *out,
		       const char **out_why);

/* The guest physical address of a segment's p_paddr: pfn 0 is where virt_base is mapped. */
uint64_t elf_xen_paddr(const struct elf_xen_notes *notes, uint64_t p_paddr);

#endif
