/* builder_unpack.c: a domain's kernel that comes packed, in a bzImage.
 *
 * It is unpacked where it is to run: the ELF image goes to the top of the new domain's own memory, and from there
 * its segments are copied down to their places, so no memory of ours is needed beside a few pages. Each copy is
 * upwards and to a lower address, and what a segment covers must lie below the pieces that still wait; that is
 * looked at before the first byte moves. Caller: domain_builder.c's table of steps. Calls: unpack.h,
 * host_control.h.
 */
#include <amphi/host.h>

#include "builder.h"

/* A kernel that is an ELF image needs none of this. The header alone is read here. */
int build_find_packed(struct build *b)
{
	const char *why = NULL;
	int err;

	if (!unpack_is_bzimage(b->plan->kernel, b->plan->kernel_bytes))
		return 0;
	err = unpack_open(b->plan->kernel, b->plan->kernel_bytes, &b->packed, &why);
	return err ? build_fail(b, err, "kernel '%s' is %s", b->plan->kernel_name, why) : 0;
}

static int too_small(struct build *b)
{
	return build_fail(
	    b, -XEN_ENOMEM, "memory too small: %llu KiB given, and the kernel is %llu KiB unpacked",
	    (unsigned long long)b->plan->memory_kib, (unsigned long long)b->packed.bytes / 1024);
}

/* The guest's address of a piece of the unpacked image. */
static uint64_t place_of(const struct build *b, const uint8_t *data)
{
	return (b->unpacked_pfn << PAGE_SHIFT) + (uint64_t)(data - (uint8_t *)b->unpacked);
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t c, uint64_t c_bytes)
{
	return a < c + c_bytes && c < a + a_bytes;
}

/* Whether segment i can be made while those behind it still lie where they were unpacked. */
static bool may_copy(const struct build *b, unsigned i)
{
	const struct elf_segment *s = &b->image.segments[i];
	uint64_t to = elf_xen_paddr(&b->notes, s->paddr), from = place_of(b, s->data);

	if (overlap(to, s->file_bytes, from, s->file_bytes) && to > from)
		return false;
	for (unsigned k = i + 1; k < b->image.n_segments; k++) {
		const struct elf_segment *later = &b->image.segments[k];

		if (later->file_bytes &&
		    overlap(to, s->memory_bytes, place_of(b, later->data), later->file_bytes))
			return false;
	}
	return true;
}

static int look_at_order(struct build *b)
{
	for (unsigned i = 0; i < b->image.n_segments; i++)
		if (!may_copy(b, i))
			return too_small(b);
	return 0;
}

static int unpack(struct build *b)
{
	void *work = host_pages_alloc(UNPACK_WORK_BYTES / PAGE_SIZE);
	const char *why = NULL;
	int err;

	if (!work)
		return -XEN_ENOMEM;
	err = unpack_run(&b->packed, b->unpacked, work, &why);
	host_pages_free(work, UNPACK_WORK_BYTES / PAGE_SIZE);
	return err ? build_fail(b, err, "kernel '%s' is %s", b->plan->kernel_name, why) : 0;
}

/* The mapping stays until the segments are where they belong: they are views of it. */
int build_unpack_kernel(struct build *b)
{
	int err;

	if (!b->packed.how)
		return 0;
	b->unpacked_pages = (unsigned)PAGES_FOR(b->packed.bytes);
	if (b->unpacked_pages > b->layout.pages)
		return too_small(b);
	b->unpacked_pfn = b->layout.pages - b->unpacked_pages;
	err = host_foreign_map(b->out->domid, &b->frames[b->unpacked_pfn], b->unpacked_pages,
			       &b->unpacked);
	if (err)
		return err;
	err = unpack(b);
	if (!err)
		err = build_read_image(b, b->unpacked, b->packed.bytes);
	return err ? err : look_at_order(b);
}

int build_drop_unpacked(struct build *b)
{
	if (b->unpacked)
		host_foreign_unmap(b->unpacked, b->unpacked_pages);
	b->unpacked = NULL;
	return 0;
}
