/* bad_loader.c: a loader that tells lies: started by QEMU through the PVH entry with our kernel as its module, it puts
 * the kernel where it belongs and enters it with a start information, PVH's or multiboot2's, that is wrong
 * in the way its command line names. 32-bit code, linked at 32 MiB, out of the kernel's way.
 *
 * Built and run by tests/qemu/bad_boot_test.sh, which knows what the kernel is to say of each lie. An unknown
 * lie halts at once, without a word.
 */
#include <stdint.h>

#include <xen/arch-x86/hvm/start_info.h>

#define KERNEL_BASE 0xffffffff80000000ull
#define IMAGE       0x100000u
#define NOWHERE     0x7ffff00000ull /* beyond what the kernel maps at start */
#define NOTE_PHYS32 18u
#define MB2_MAGIC   0x36d76289u
#define MIB(n)      ((uint64_t)(n) << 20)

typedef struct hvm_start_info info_t;

struct elf {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum;
};
struct segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* The module may lie anywhere in 4 GiB; the compiler must not see through a pointer made of a number. */
static void *at(uint64_t phys)
{
	return (void *)(uintptr_t)phys;
}

static void copy(void *to, const void *from, uint32_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}

static void zero(void *to, uint32_t n)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(0) : "memory");
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static uint32_t find_note(const uint8_t *note, const uint8_t *end)
{
	while (note < end) {
		const uint32_t *head = (const void *)note;
		const uint8_t *desc = note + 12 + ((head[0] + 3) & ~3u);

		if (head[2] == NOTE_PHYS32)
			return *(const uint32_t *)(const void *)desc;
		note = desc + ((head[1] + 3) & ~3u);
	}
	return 0;
}

/* Returns the PVH entry; *out_mb2 is the other one. */
static uint32_t load(const uint8_t *file, uint32_t *out_mb2)
{
	const struct elf *elf = (const void *)file;
	const struct segment *s = (const void *)(file + elf->phoff);
	uint32_t pvh = 0;

	for (unsigned i = 0; i < elf->phnum; i++, s++) {
		if (s->type == 4)
			pvh = find_note(file + s->offset, file + s->offset + s->filesz);
		if (s->type != 1)
			continue;
		copy(at(s->paddr), file + s->offset, (uint32_t)s->filesz);
		zero(at(s->paddr + s->filesz), (uint32_t)(s->memsz - s->filesz));
	}
	*out_mb2 = (uint32_t)(elf->entry - KERNEL_BASE);
	return pvh;
}

/* ---- PVH's lies ----------------------------------------------------------------------------- */

static info_t info;
static struct hvm_modlist_entry module;
static struct hvm_memmap_table_entry map[8];

static void set_map(unsigned i, uint64_t addr, uint64_t size)
{
	map[i] = (struct hvm_memmap_table_entry){.addr = addr, .size = size, .type = 1};
	info.memmap_entries = i + 1;
}

static void give_module(uint64_t addr, uint64_t size)
{
	module = (struct hvm_modlist_entry){.paddr = addr, .size = size};
	info.nr_modules = 1;
	info.modlist_paddr = (uintptr_t)&module;
}

static void magic(void)
{
	info.magic ^= 1;
}
static void map_nowhere(void)
{
	info.memmap_paddr = NOWHERE;
}
static void map_wraps(void)
{
	info.memmap_paddr = ~0ull - 8;
}
static void map_empty(void)
{
	info.memmap_entries = 0;
}
static void map_old(void)
{
	info.version = 0;
}
static void map_small(void)
{
	set_map(0, IMAGE, 0x80000);
}
static void modules_nowhere(void)
{
	info.nr_modules = 1, info.modlist_paddr = NOWHERE;
}
static void module_nowhere(void)
{
	give_module(NOWHERE, 4096);
}
static void module_huge(void)
{
	give_module(MIB(4), ~0ull);
}
static void module_outside(void)
{
	give_module(MIB(512), 4096);
}
static void module_on_kernel(void)
{
	give_module(IMAGE + 0x1000, 4096);
}
static void line_nowhere(void)
{
	info.cmdline_paddr = NOWHERE;
}
static void newer(void)
{
	info.version = 77;
}

/* Unsorted, overlapping, with a hole, of no length, and past the end of all addresses: usable all the same. */
static void map_strange(void)
{
	set_map(0, MIB(24), MIB(8));
	set_map(1, 0, 0x9fc00);
	set_map(2, MIB(1), MIB(15));
	set_map(3, MIB(3), MIB(4));
	set_map(4, MIB(64), 0);
	set_map(5, ~0ull - 0xfff, 0x2000);
	map[6] = (struct hvm_memmap_table_entry){.addr = MIB(26), .size = MIB(1), .type = 2};
	info.memmap_entries = 7;
}

/* ---- multiboot2's ---------------------------------------------------------------------------- */

static uint32_t tags[64] __attribute__((aligned(8)));
static uint32_t used;

static uint32_t *tag(uint32_t type, uint32_t size)
{
	uint32_t *t = tags + used / 4;

	t[0] = type, t[1] = size;
	used += (size + 7) & ~7u;
	tags[0] = used;
	return t + 2;
}

static void mb2_good(void)
{
	uint32_t *m;

	used = 8;
	copy(tag(1, 8 + 16), "do=\"mem; halt\"", 15);
	m = tag(6, 16 + 24);
	m[0] = 24, m[1] = 0, m[2] = 0x100000, m[3] = 0, m[4] = 0x1f00000, m[5] = 0, m[6] = 1;
	tag(0, 8);
}

static void mb2_cut(void)
{
	mb2_good(), tags[0] -= 8;
}
static void mb2_size(void)
{
	mb2_good(), tags[0] = 0x7fffffff;
}
static void mb2_short_tag(void)
{
	mb2_good(), tags[3] = 4;
}
static void mb2_long_tag(void)
{
	mb2_good(), tags[3] = 4096;
}
static void mb2_no_tags(void)
{
	used = 8, tag(0, 8);
}
static void mb2_entry_size(void)
{
	mb2_good(), tags[2 + 6 + 2] = 8;
}
static void mb2_module(void)
{
	uint32_t *m;

	mb2_good();
	used -= 8;
	m = tag(3, 17);
	m[0] = 0xf0000000, m[1] = 0xf0001000;
	tag(0, 8);
}

static const struct {
	const char *name;
	void (*tell)(void);
} lies[] = {
    {"magic", magic},
    {"map_nowhere", map_nowhere},
    {"map_wraps", map_wraps},
    {"map_empty", map_empty},
    {"map_old", map_old},
    {"map_small", map_small},
    {"map_strange", map_strange},
    {"modules_nowhere", modules_nowhere},
    {"module_nowhere", module_nowhere},
    {"module_huge", module_huge},
    {"module_outside", module_outside},
    {"module_on_kernel", module_on_kernel},
    {"line_nowhere", line_nowhere},
    {"newer", newer},
    {"mb2_good", mb2_good},
    {"mb2_cut", mb2_cut},
    {"mb2_size", mb2_size},
    {"mb2_short_tag", mb2_short_tag},
    {"mb2_long_tag", mb2_long_tag},
    {"mb2_no_tags", mb2_no_tags},
    {"mb2_entry_size", mb2_entry_size},
    {"mb2_module", mb2_module},
};

static void enter(uint32_t entry, uint32_t eax, const void *ebx) __attribute__((noreturn));
static void enter(uint32_t entry, uint32_t eax, const void *ebx)
{
	__asm__ volatile("jmp *%0" ::"r"(entry), "a"(eax), "b"(ebx) : "memory");
	__builtin_unreachable();
}

void lie(const info_t *from);
void lie(const info_t *from)
{
	const struct hvm_modlist_entry *kernel = at(from->modlist_paddr);
	const char *name = at(from->cmdline_paddr);
	uint32_t mb2 = 0, pvh = load(at(kernel->paddr), &mb2);

	info = *from;
	info.nr_modules = 0;
	info.cmdline_paddr = (uintptr_t) "do=\"mem; halt\"";
	copy(map, at(from->memmap_paddr), sizeof(map));
	info.memmap_paddr = (uintptr_t)map;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		if (!same(lies[i].name, name))
			continue;
		lies[i].tell();
		if (name[0] == 'm' && name[1] == 'b')
			enter(mb2, MB2_MAGIC, tags);
		enter(pvh, 0, &info);
	}
}

__asm__(".pushsection .note.Xen, \"a\", @note\n"
	".long 4, 4, 18\n .asciz \"Xen\"\n .long start\n .popsection\n"
	".globl start\n"
	"start: mov $stack_end, %esp\n push %ebx\n call lie\n"
	"1: cli\n hlt\n jmp 1b\n"
	".pushsection .bss\n .balign 16\n .skip 8192\n stack_end: .popsection\n");
