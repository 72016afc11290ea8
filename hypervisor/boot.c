/* boot.c: from the boot loader's tables to the first domain's first instruction.
 *
 * Called by boot.S on the boot stack, with the first GiB mapped. The order of boot_main is the
 * order of needs: words, memory, traps, interrupts, time, and then a domain. The multiboot
 * structures are read once, here, and copied: they lie in memory that is about to be given away.
 */
#include <amphi/string.h>

#include "apic.h"
#include "boot.h"
#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "layout.h"
#include "percpu.h"
#include "smp.h"

#define MB_HAS_CMDLINE 0x04u
#define MB_HAS_MODULES 0x08u
#define MB_HAS_MAP     0x40u

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t map_length, map_addr;
};

struct multiboot_module {
	uint32_t start, end, cmdline, reserved;
};

/* size does not count itself. */
struct multiboot_range {
	uint32_t size;
	uint64_t base, length;
	uint32_t kind;
} __attribute__((packed));

static struct boot_info info;
static struct acpi_info acpi;
extern uint8_t image_start[], image_end[], hv_root_table[];
void boot_main(uint32_t multiboot_phys) __attribute__((noreturn));
void entry_start(void) __attribute__((noreturn));

const struct boot_info *boot_info(void)
{
	return &info;
}

const struct acpi_info *acpi_info(void)
{
	return &acpi;
}

static const void *phys(uint64_t address)
{
	return (const void *)(HV_DIRECT_VIRT + address);
}

static const void *view(void *ctx, uint64_t address, uint64_t len)
{
	return boot_is_mapped(phys(address), len) ? phys(address) : NULL;
}

/* Loaders put the file's name before the arguments. */
static void copy_cmdline(char *out, uint32_t address)
{
	const char *text = phys(address), *args = strchr(text, ' ');

	(void)str_copy(out, BOOT_CMDLINE_MAX, args != NULL ? args + 1 : "");
}

static void read_loader_info(uint32_t multiboot_phys)
{
	const struct multiboot_info *mb = phys(multiboot_phys);
	const struct multiboot_module *m = phys(mb->mods_addr);
	unsigned n = mb->flags & MB_HAS_MODULES ? MIN(mb->mods_count, BOOT_MODULES_MAX) : 0;
	uint32_t at = mb->map_addr, end = mb->flags & MB_HAS_MAP ? at + mb->map_length : at;

	if (mb->flags & MB_HAS_CMDLINE)
		copy_cmdline(info.cmdline, mb->cmdline);
	for (; info.n_modules < n; info.n_modules++, m++) {
		struct boot_module *to = &info.modules[info.n_modules];

		to->start = m->start;
		to->end = m->end;
		if (m->cmdline != 0)
			copy_cmdline(to->cmdline, m->cmdline);
	}
	while (at + sizeof(struct multiboot_range) <= end && info.n_ranges < MM_RANGES_MAX) {
		const struct multiboot_range *r = phys(at);

		info.ranges[info.n_ranges++] =
		    (struct mm_range){r->base, r->base + r->length, r->kind};
		at += r->size + 4;
	}
}

/* ---- options --------------------------------------------------------------------------- */

/* The end of the word that begins at s: the first `end`, or the text's. */
static const char *word_end(const char *s, char end)
{
	while (*s != '\0' && *s != end)
		s++;
	return s;
}

bool boot_option(const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);
	const char *end;

	for (const char *s = info.cmdline; *s != '\0'; s = *end == ' ' ? end + 1 : end) {
		end = word_end(s, ' ');
		if (strncmp(s, key, n) != 0 || (s[n] != '=' && s + n != end))
			continue;
		s += s[n] == '=' ? n + 1 : n;
		n = MIN((size_t)(end - s), cap - 1);
		memcpy(out, s, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

bool boot_option_size(const char *key, uint64_t *out_bytes)
{
	char text[48];
	unsigned shift = 20;
	size_t n;

	if (!boot_option(key, text, sizeof(text)))
		return false;
	/* As Xen has it, SIZE,max:SIZE: the first is meant, there is no ballooning above it. */
	n = (size_t)(word_end(text, ',') - text);
	text[n] = '\0';
	if (n != 0 && strchr("kKmMgG", text[n - 1]) != NULL) {
		shift = strchr("kK", text[n - 1]) ? 10 : strchr("gG", text[n - 1]) ? 30 : 20;
		text[n - 1] = '\0';
	}
	if (!str_to_u64(text, out_bytes) || *out_bytes >= 1ull << 34)
		return false;
	*out_bytes <<= shift;
	return true;
}

/* ---- the start ------------------------------------------------------------------------- */

static void memory_init(void)
{
	struct mm_range used[BOOT_MODULES_MAX + 1];
	unsigned n = 0;
	uint64_t image = (uint64_t)image_start - HV_IMAGE_VIRT;
	int rc;

	used[n++] = (struct mm_range){image, (uint64_t)image_end - HV_IMAGE_VIRT, 0};
	for (unsigned i = 0; i < info.n_modules; i++)
		used[n++] = (struct mm_range){info.modules[i].start, info.modules[i].end, 0};
	if (info.n_ranges == 0)
		hv_panic("the boot loader gave no memory map");
	rc = mm_boot_init(info.ranges, info.n_ranges, used, n,
			  maddr_to_mfn((maddr_t){(uint64_t)hv_root_table - HV_IMAGE_VIRT}));
	if (rc != 0)
		hv_panic("too little memory, or a bad memory map (error %d)", rc);
}

/* The second line is for programs: tools/run.sh makes its table of it. */
static void report_ready(void)
{
	struct mm_stats stats;

	mm_stats(&stats);
	hv_printk("ready after %lu us; memory: hypervisor %lu KiB, free %lu KiB of %lu KiB",
		  (time_now_ns() / 1000), (stats.hv_pages * 4), (stats.free_pages * 4),
		  (stats.total_pages * 4));
	hv_printk("@stat ready_tsc=%lu start_tsc=%lu tsc_khz=%u memory_kib=%lu free_kib=%lu",
		  rdtsc(), boot_tsc, time_tsc_khz(), (stats.hv_pages * 4), (stats.free_pages * 4));
}

void boot_main(uint32_t multiboot_phys)
{
	read_loader_info(multiboot_phys);
	console_init();
	hv_printk("amphi-hv, Xen PV ABI 4.17");
	(void)cpu_prepare(0);
	cpu_init(0);
	boot_protect_image();
	memory_init();
	acpi_read(view, NULL, 0, &acpi);
	apic_init();
	ioapic_init();
	sched_init(0);
	time_init();
	console_listen();
	version_set_command_line(info.cmdline);
	smp_start();
	dom0_build();
	report_ready();
	entry_start();
}
