/* user_image_test.c: images that may be programs, and each way in which one may not.
 *
 * Shows: a program of three segments is taken; one that lies outside the program's addresses, is writable
 * and executable, shares a page between segments, is too large or begins outside its code is refused by
 * name. Why: the loader maps and copies what passes without another look. A small image is made in memory,
 * changed in one place, and read.
 *
 * links: kernel/user_image.c lib/elf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <elf.h>
#include <cmocka.h>

#include <amphi/xen.h>
#include "kernel/user_image.h"

#define CODE 0x401000ull
#define DATA 0x403000ull

static struct {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	uint8_t bytes[64];
} img;
static struct elf_image image;

static Elf64_Phdr segment(uint64_t va, uint64_t size, unsigned flags)
{
	return (Elf64_Phdr){.p_type = PT_LOAD,
			    .p_flags = flags,
			    .p_vaddr = va,
			    .p_paddr = va,
			    .p_memsz = size,
			    .p_filesz = 32,
			    .p_offset = offsetof(typeof(img), bytes)};
}

static int fresh(void **state)
{
	memset(&img, 0, sizeof(img));
	memcpy(img.eh.e_ident, ELFMAG, SELFMAG);
	img.eh.e_ident[EI_CLASS] = ELFCLASS64;
	img.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	img.eh.e_type = ET_EXEC;
	img.eh.e_machine = EM_X86_64;
	img.eh.e_entry = CODE + 8;
	img.eh.e_phoff = offsetof(typeof(img), ph);
	img.eh.e_phentsize = sizeof(Elf64_Phdr);
	img.eh.e_phnum = 3;
	img.ph[0] = segment(0x400000, 0x100, PF_R);
	img.ph[1] = segment(CODE, 0x1800, PF_R | PF_X);
	img.ph[2] = segment(DATA + 0x700, 0x5000, PF_R | PF_W);
	return 0;
}

/* NULL: it was taken. */
static const char *open_it(void)
{
	const char *why = NULL;
	int error = user_image_open(&img, sizeof(img), &image, &why);

	assert_true(error == (why ? -XEN_ENOEXEC : 0));
	return why;
}

static void refused(const char *part)
{
	const char *why = open_it();

	if (!why || !strstr(why, part))
		fail_msg("wanted '%s', got '%s'", part, why ? why : "(taken)");
}

static void a_program(void **state)
{
	assert_null(open_it());
	assert_int_equal(image.n_segments, 3);
	assert_true(user_segment_first(&image.segments[1]) == 0x401 &&
		    user_segment_end(&image.segments[1]) == 0x403);
	assert_true(user_segment_first(&image.segments[2]) == 0x403 &&
		    user_segment_end(&image.segments[2]) == 0x409);
	assert_int_equal(image.entry, CODE + 8);
}

static void addresses(void **state)
{
	img.ph[0].p_vaddr = USER_LOW - 1;
	refused("user addresses");
	img.ph[0].p_vaddr = USER_LOW;
	assert_null(open_it());
	img.ph[0].p_vaddr = 0;
	refused("user addresses");
	img.ph[0].p_vaddr = USER_HEAP;
	refused("user addresses");
	img.ph[0].p_vaddr = USER_HEAP - 0x100;
	assert_null(open_it());
	img.ph[0].p_memsz = 0x101;
	refused("user addresses");
	img.ph[0] = segment(0xffffffff80100000, 0x100, PF_R);
	refused("user addresses");
	img.ph[0] = segment(USER_LOW, ~USER_LOW - 10, PF_R);
	refused("user addresses");
}

static void rights(void **state)
{
	img.ph[1].p_flags = PF_R | PF_W | PF_X;
	refused("writable and executable");
}

static void shared_pages(void **state)
{
	img.ph[2].p_vaddr = CODE + 0x1fff;
	refused("one page");
	img.ph[2].p_vaddr = CODE + 0x2000;
	assert_null(open_it());
	img.ph[2].p_vaddr = CODE - 0x6000;
	assert_null(open_it());
	img.ph[2].p_vaddr = 0x400000 - 0x5000 + 1;
	refused("one page");
	img.ph[2].p_vaddr = CODE - 0x100; /* begins in the header's page, reaches over the code */
	refused("one page");
}

static void sizes(void **state)
{
	img.ph[2] = segment(0x1000000, (USER_IMAGE_PAGES - 3) * PAGE_SIZE, PF_R | PF_W);
	assert_null(open_it());
	img.ph[2].p_memsz++;
	refused("too large");
}

static void entries(void **state)
{
	img.eh.e_entry = CODE + 0x1800;
	refused("entry");
	img.eh.e_entry = CODE + 0x17ff;
	assert_null(open_it());
	img.eh.e_entry = DATA + 0x800;
	refused("entry");
	img.eh.e_entry = ~0ull;
	refused("entry");
	img.eh.e_entry = CODE - 1;
	refused("entry");
}

static void no_elf(void **state)
{
	img.eh.e_ident[1] = 'X';
	refused("ELF");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_program, fresh), cmocka_unit_test_setup(addresses, fresh),
	    cmocka_unit_test_setup(rights, fresh),    cmocka_unit_test_setup(shared_pages, fresh),
	    cmocka_unit_test_setup(sizes, fresh),     cmocka_unit_test_setup(entries, fresh),
	    cmocka_unit_test_setup(no_elf, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
