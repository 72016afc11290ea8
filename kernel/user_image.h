/* user_image.h: whether an ELF image can be a program here. Private to kernel/user_*.c.
 *
 * Pure; tested and fuzzed on the host. The ELF itself is read by amphi/elf.h; this is about where its
 * segments want to be. Not the loader: user_load.c is.
 */
#ifndef KERNEL_USER_IMAGE_H
#define KERNEL_USER_IMAGE_H

#include <amphi/elf.h>
#include <amphi/user.h>

#define USER_SEGMENT_EXEC  1u /* bits of elf_segment.flags */
#define USER_SEGMENT_WRITE 2u

/* The pages of a segment. */
static inline uint64_t user_segment_first(const struct elf_segment *s)
{
	return s->vaddr / PAGE_SIZE;
}
static inline uint64_t user_segment_end(const struct elf_segment *s)
{
	return PAGES_FOR(s->vaddr + s->memory_bytes);
}

/* Reads and checks: 0 and *out, or -XEN_ENOEXEC and in *out_why what is wrong. After 0, each segment lies
 * in [USER_LOW, USER_HEAP), no two share a page, none is both writable and executable, all together have
 * at most USER_IMAGE_PAGES pages, and the entry is in an executable one. */
int user_image_open(const void *bytes, size_t len, struct elf_image *out, const char **out_why);

#endif
