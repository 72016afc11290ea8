/* builder.h: one domain while it is being built; private to control/.
 *
 * domain_builder.c runs the steps and unwinds, builder_memory.c fills the domain's memory,
 * builder_unpack.c unpacks a packed kernel there,
 * builder_start.c makes what a starting vCPU looks at. Each step: 0 or a negative XEN_Exxx, with
 * a text in why only when it knows better than "cannot STEP".
 */
#ifndef CONTROL_BUILDER_H
#define CONTROL_BUILDER_H

#include <amphi/domain_builder.h>
#include <amphi/elf.h>
#include <amphi/host_control.h>
#include <amphi/start_layout.h>
#include <amphi/unpack.h>

struct build {
	const struct domain_plan *plan;
	struct built_domain *out;
	char *why;
	struct elf_image image;
	struct elf_xen_notes notes;
	struct start_layout layout;
	mfn_t *frames;         /* of each pfn: the p2m list, as the guest will read it */
	unsigned frames_pages; /* what that list takes here */
	mfn_t shared_info;
	/* A packed kernel: packed.how is NULL for others. Where it is unpacked, mapped here for a while. */
	struct unpack_image packed;
	void *unpacked;
	uint64_t unpacked_pfn;
	unsigned unpacked_pages;
	bool created;
};

/* Writes "NAME: text" to why and returns err. */
int build_fail(struct build *b, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* domain_builder.c: the domain, paused and without memory, with its limits, its shared page's frame and its
 * ports; of b, plan, out and why are set. b->created: there is something to end. */
int build_make_domain(struct build *b);

/* An ELF kernel's segments and notes, and where all will lie in the domain. */
int build_read_image(struct build *b, const void *bytes, size_t len);

/* builder_unpack.c: for a kernel that is not packed the steps do nothing. */
int build_find_packed(struct build *b);
int build_unpack_kernel(struct build *b);
int build_drop_unpacked(struct build *b);

/* builder_memory.c */
int build_check_memory(struct build *b);
int build_populate(struct build *b);
int build_load_kernel(struct build *b);
int build_load_ramdisk(struct build *b);
int build_write_p2m(struct build *b);
int build_write_tables(struct build *b);

/* Copies len bytes (NULL: zeroes) to the guest's own address paddr. Frames stay mapped only
 * meanwhile. */
int build_write(struct build *b, uint64_t paddr, const void *data, uint64_t len_bytes);

/* builder_start.c */
int build_offer_rings(struct build *b);
/* The part of it that is also a restored domain's: grants for the rings, whose frames are in b->out. */
int build_grant_rings(struct build *b);
int build_mask_events(struct build *b);
int build_write_start_info(struct build *b);
int build_pin_tables(struct build *b);
int build_set_context(struct build *b);

#endif
