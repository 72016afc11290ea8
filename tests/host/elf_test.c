/* elf_test.c: images are taken apart rightly, and each way an image can be wrong is refused by
 * name.
 *
 * Why: the bytes come from a user's file or a guest's owner, and both the hypervisor and the
 * service domain act on what is found. A small image is made in memory, changed in one place, and
 * read; the copy has exactly its size, so that the sanitizer sees a read beyond its end.
 *
 * links: lib/elf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>
#include <cmocka.h>

#include <amphi/elf.h>
#include <amphi/xen.h>

#define BASE 0xffffffff80000000ull

/* A kernel of two segments (the second with memory beyond its file part) and notes. */
static struct test_image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	Elf64_Shdr sh[2];
	uint8_t code[64], data[32];
	uint8_t notes[512];
} img;
static size_t notes_len, image_len;
static struct elf_image image;
static struct elf_xen_notes notes;

static void add_note(uint32_t type, const char *name, const void *desc, uint32_t len)
{
	Elf64_Nhdr nh = {(uint32_t)strlen(name) + 1, len, type};
	uint8_t *p = img.notes + notes_len;

	memcpy(p, &nh, sizeof(nh));
	strcpy((char *)p + sizeof(nh), name);
	memcpy(p + sizeof(nh) + ROUND_UP(nh.n_namesz, 4), desc, len);
	notes_len += sizeof(nh) + ROUND_UP(nh.n_namesz, 4) + ROUND_UP(len, 4);
	img.ph[2].p_filesz = img.ph[2].p_memsz = notes_len;
	img.sh[1].sh_size = notes_len;
}

static void add_number(uint32_t type, uint64_t value)
{
	add_note(type, "Xen", &value, 8);
}

static void make_image(void)
{
	memset(&img, 0, sizeof(img));
	notes_len = 0;
	image_len = sizeof(img);
	memcpy(img.eh.e_ident, ELFMAG, SELFMAG);
	img.eh.e_ident[EI_CLASS] = ELFCLASS64;
	img.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	img.eh.e_type = ET_EXEC;
	img.eh.e_machine = EM_X86_64;
	img.eh.e_entry = 0x100000;
	img.eh.e_phoff = offsetof(struct test_image, ph);
	img.eh.e_phentsize = sizeof(Elf64_Phdr);
	img.eh.e_phnum = 3;
	img.eh.e_shoff = offsetof(struct test_image, sh);
	img.eh.e_shentsize = sizeof(Elf64_Shdr);
	img.eh.e_shnum = 2;
	img.ph[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X};
	img.ph[0].p_offset = offsetof(struct test_image, code);
	img.ph[0].p_vaddr = BASE + 0x100000;
	img.ph[0].p_paddr = 0x100000;
	img.ph[0].p_filesz = img.ph[0].p_memsz = sizeof(img.code);
	img.ph[1] = img.ph[0];
	img.ph[1].p_flags = PF_R | PF_W;
	img.ph[1].p_offset = offsetof(struct test_image, data);
	img.ph[1].p_vaddr += 0x2000;
	img.ph[1].p_paddr += 0x2000;
	img.ph[1].p_filesz = sizeof(img.data);
	img.ph[1].p_memsz = 0x3000;
	img.ph[2] = (Elf64_Phdr){.p_type = PT_NOTE};
	img.ph[2].p_offset = offsetof(struct test_image, notes);
	img.sh[1].sh_type = SHT_NOTE;
	img.sh[1].sh_offset = offsetof(struct test_image, notes);
	add_number(XEN_ELFNOTE_VIRT_BASE, BASE);
	add_number(XEN_ELFNOTE_ENTRY, BASE + 0x100010);
	add_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x101000);
}

/* NULL: it was taken, notes too. */
static const char *read_image(void)
{
	const char *why = NULL;
	static uint8_t *copy;

	free(copy);
	copy = malloc(image_len);
	memcpy(copy, &img, image_len);
	if (elf_open(copy, image_len, &image, &why) == 0)
		(void)elf_read_xen_notes(&image, &notes, &why);
	return why;
}

static void expect_refusal(const char *part)
{
	const char *why = read_image();

	if (!why || !strstr(why, part))
		fail_msg("wanted '%s', got '%s'", part, why ? why : "(taken)");
}

static void test_good_image(void **state)
{
	make_image();
	add_note(XEN_ELFNOTE_FEATURES, "Xen", "!writable_page_tables", 22);
	add_note(XEN_ELFNOTE_GUEST_OS, "Xen", "amphi", 6);
	add_note(XEN_ELFNOTE_MOD_START_PFN, "Xen", &(uint64_t){1}, 8);
	add_note(XEN_ELFNOTE_PHYS32_ENTRY, "Xen", &(uint32_t){0x100020}, 4);
	add_note(XEN_ELFNOTE_LOADER, "GNU", "wrong", 6);
	assert_null(read_image());
	assert_int_equal(image.n_segments, 2);
	assert_int_equal(image.entry, 0x100000);
	assert_int_equal(image.segments[1].file_bytes, sizeof(img.data));
	assert_int_equal(image.segments[1].memory_bytes, 0x3000);
	assert_int_equal(image.segments[1].flags, PF_R | PF_W);
	assert_ptr_equal(image.segments[1].data, image.bytes + offsetof(struct test_image, data));
	assert_int_equal(image.paddr_start, 0x100000);
	assert_int_equal(image.paddr_end, 0x105000);
	assert_int_equal(notes.entry, BASE + 0x100010);
	assert_int_equal(notes.virt_start, BASE + 0x100000);
	assert_int_equal(notes.virt_end, BASE + 0x105000);
	assert_string_equal(notes.features, "!writable_page_tables");
	assert_string_equal(notes.guest_os, "amphi");
	assert_string_equal(notes.loader, "");
	assert_true(notes.mod_start_pfn);
	assert_int_equal(notes.phys32_entry, 0x100020);
}

static void test_paddr_offset(void **state)
{
	make_image();
	add_number(XEN_ELFNOTE_PADDR_OFFSET, 0x100000);
	notes_len = 0;
	add_number(XEN_ELFNOTE_VIRT_BASE, BASE);
	add_number(XEN_ELFNOTE_ENTRY, BASE + 0x10);
	add_number(XEN_ELFNOTE_PADDR_OFFSET, 0x100000);
	assert_null(read_image());
	assert_int_equal(notes.virt_start, BASE);
	assert_int_equal(elf_xen_paddr(&notes, image.paddr_end), 0x5000);
}

static void test_notes_in_sections_only(void **state)
{
	make_image();
	img.ph[2].p_type = PT_NULL;
	assert_null(read_image());
	assert_int_equal(notes.virt_base, BASE);
	img.sh[1].sh_type = SHT_PROGBITS;
	expect_refusal("without Xen notes");
}

static void test_not_a_kernel(void **state)
{
	make_image();
	img.eh.e_ident[0] = '#';
	expect_refusal("not an ELF file");
	make_image();
	image_len = 40;
	expect_refusal("not an ELF file");
	make_image();
	img.eh.e_ident[EI_CLASS] = ELFCLASS32;
	expect_refusal("not a 64-bit");
	make_image();
	img.eh.e_machine = EM_AARCH64;
	expect_refusal("another machine");
	make_image();
	img.eh.e_type = ET_REL;
	expect_refusal("not an executable");
}

static void test_bad_headers(void **state)
{
	make_image();
	img.eh.e_phnum = 0;
	expect_refusal("bad program headers");
	make_image();
	img.eh.e_phentsize = 32;
	expect_refusal("bad program headers");
	make_image();
	img.eh.e_phnum = 120;
	img.eh.e_phoff = sizeof(img) - 60;
	expect_refusal("cut off");
	make_image();
	img.eh.e_phoff = ~0ull - 8;
	expect_refusal("cut off");
	make_image();
	img.ph[0].p_type = img.ph[1].p_type = PT_NULL;
	expect_refusal("nothing to load");
}

static void test_bad_segments(void **state)
{
	make_image();
	img.ph[1].p_offset = sizeof(img) - 31;
	expect_refusal("reaches beyond its end");
	make_image();
	img.ph[1].p_offset = ~0ull;
	expect_refusal("reaches beyond its end");
	make_image();
	img.ph[1].p_filesz = img.ph[1].p_memsz + 1;
	expect_refusal("reaches beyond its end");
	make_image();
	img.ph[1].p_paddr = ~0ull - 0x1000;
	expect_refusal("wraps");
	make_image();
	img.ph[1].p_vaddr = ~0ull - 0x1000;
	expect_refusal("wraps");
}

static void test_too_many_segments(void **state)
{
	static struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[ELF_MAX_SEGMENTS + 1];
	} many;
	const char *why = NULL;

	make_image();
	many.eh = img.eh;
	many.eh.e_phoff = sizeof(many.eh);
	many.eh.e_phnum = ELF_MAX_SEGMENTS + 1;
	for (unsigned i = 0; i <= ELF_MAX_SEGMENTS; i++)
		many.ph[i] = (Elf64_Phdr){.p_type = PT_LOAD, .p_memsz = 1};
	assert_int_equal(elf_open(&many, sizeof(many), &image, &why), -XEN_ENOEXEC);
	assert_non_null(strstr(why, "too many segments"));
	many.eh.e_phnum = ELF_MAX_SEGMENTS;
	assert_int_equal(elf_open(&many, sizeof(many), &image, &why), 0);
}

static void only_note(uint32_t type, uint64_t value)
{
	make_image();
	notes_len = 0;
	add_number(type, value);
}

static void test_bad_notes(void **state)
{
	only_note(XEN_ELFNOTE_PHYS32_ENTRY, 0x100000);
	expect_refusal("notes of a PV guest");
	only_note(100, 1);
	expect_refusal("without Xen notes");
	only_note(XEN_ELFNOTE_VIRT_BASE, BASE + 0x10);
	expect_refusal("VIRT_BASE");
	only_note(XEN_ELFNOTE_VIRT_BASE, BASE); /* e_entry is physical here */
	expect_refusal("entry outside");
	only_note(XEN_ELFNOTE_VIRT_BASE, ~0xffffull);
	expect_refusal("wraps");
	make_image();
	add_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x105000);
	expect_refusal("hypercall page");
	make_image();
	add_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x101008);
	expect_refusal("hypercall page");
	make_image();
	add_number(XEN_ELFNOTE_PADDR_OFFSET, 0x200000);
	expect_refusal("below its PADDR_OFFSET");
	make_image();
	add_number(XEN_ELFNOTE_PADDR_OFFSET, 0x800);
	expect_refusal("PADDR_OFFSET is not that of a page");
}

static void test_notes_cut_off(void **state)
{
	make_image();
	/* The third note's description reaches one byte beyond the segment: not taken. */
	img.ph[2].p_filesz--;
	assert_null(read_image());
	assert_int_equal(notes.hypercall_page, 0);
	assert_int_equal(notes.entry, BASE + 0x100010);
	img.ph[2].p_filesz = sizeof(img); /* the whole segment is outside: nothing is taken of it */
	img.sh[1].sh_type = SHT_NULL;
	expect_refusal("without Xen notes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_image),
	    cmocka_unit_test(test_paddr_offset),
	    cmocka_unit_test(test_notes_in_sections_only),
	    cmocka_unit_test(test_not_a_kernel),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_bad_segments),
	    cmocka_unit_test(test_too_many_segments),
	    cmocka_unit_test(test_bad_notes),
	    cmocka_unit_test(test_notes_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
