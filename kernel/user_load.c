/* user_load.c: from the boot module to a program's memory.
 *
 * Called by user.c for a task with an empty address space. Finds the image, checks it (user_image.c), copies
 * its segments, and lays out the stack with the words it is started with. The module belongs to whoever
 * booted us, but is read like any input.
 */
#include <amphi/cpio.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "boot.h"
#include "console.h"
#include "user_image.h"
#include "user_parts.h"

/* A module that is a program itself needs no archive and is found under every name; else it is a
 * cpio archive with the programs by name. */
static int find_image(const char *name, const void **out_bytes, size_t *out_len)
{
	struct cpio_entry entry;

	if (!boot.ramdisk)
		return -XEN_ENOENT;
	*out_bytes = boot.ramdisk;
	*out_len = boot.ramdisk_len_bytes;
	if (boot.ramdisk_len_bytes >= 4 && !memcmp(boot.ramdisk, "\177ELF", 4))
		return 0;
	if (cpio_find(boot.ramdisk, boot.ramdisk_len_bytes, name, &entry))
		return -XEN_ENOENT;
	*out_bytes = entry.data;
	*out_len = entry.len;
	return 0;
}

/* Readable always: x86 has no pages that can only be executed. */
static unsigned prot_of(const struct elf_segment *s)
{
	return USER_READ | (s->flags & USER_SEGMENT_WRITE ? USER_WRITE : 0) |
	       (s->flags & USER_SEGMENT_EXEC ? USER_EXEC : 0);
}

/* Pages come zeroed, so what is in memory and not in the file (bss) needs no second step. Copied
 * by the loader's right: text is not writable even now. */
static int load_segment(struct user_space *space, const struct elf_segment *s)
{
	uint64_t first = user_segment_first(s);
	int error = user_space_map(space, first * PAGE_SIZE,
				   (unsigned)(user_segment_end(s) - first), prot_of(s));

	return error ? error : user_copy_load(space, s->vaddr, s->data, s->file_bytes);
}

/* What was mapped until an error stays in the space, which user.c frees whole. */
static int load_segments(struct user_space *space, const struct elf_image *image)
{
	int error = 0;

	for (unsigned i = 0; i < image->n_segments && !error; i++)
		error = load_segment(space, &image->segments[i]);
	return error;
}

/* From the top down: the words, the array of pointers to them with a null behind, and an rsp as after a
 * call. */
static int fill_stack(struct user_task *task, int argc, char **argv)
{
	uint64_t pointers[USER_ARGS_MAX + 1] = {0}, at = USER_STACK_TOP;
	int error = 0;

	for (int i = 0; i < argc && !error; i++) {
		size_t len = strlen(argv[i]) + 1;

		at -= len;
		pointers[i] = at;
		error = user_copy_to(&task->space, at, argv[i], len);
	}
	at = (at & ~15ull) - sizeof(pointers);
	task->argc = (uint64_t)argc;
	task->argv = at;
	task->sp = (at & ~15ull) - 8;
	return error ? error : user_copy_to(&task->space, at, pointers, sizeof(pointers));
}

/* Before anything is made. With the bound on the words' length and number, fill_stack() stays
 * within the first page below USER_STACK_TOP. */
static int check_words(int argc, char **argv)
{
	size_t len = 0;

	for (int i = 0; i < argc; i++)
		len += strlen(argv[i]) + 1;
	return argc <= USER_ARGS_MAX && len <= USER_WORDS_MAX ? 0 : -XEN_E2BIG;
}

/* The image is checked as a whole before the first page is mapped. What fails after that leaves
 * its pages in the space, which the caller frees. */
int user_load(struct user_task *task, int argc, char **argv)
{
	struct elf_image image;
	const void *bytes;
	const char *why;
	size_t len;
	int error = check_words(argc, argv);

	if (!error)
		error = find_image(argv[0], &bytes, &len);
	if (error)
		return error;
	if (user_image_open(bytes, len, &image, &why)) {
		klog(LOG_ERROR, "%s: %s", argv[0], why);
		return -XEN_ENOEXEC;
	}
	task->entry = image.entry;
	error = load_segments(&task->space, &image);
	if (!error)
		error = user_space_map(&task->space, USER_STACK_LOW, USER_STACK_PAGES,
				       USER_READ | USER_WRITE);
	return error ? error : fill_stack(task, argc, argv);
}
