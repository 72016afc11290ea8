/* boot.c: from the boot loader's tables to the first domain's first instruction.
 *
 * Called by boot.S on the boot stack, with the first GiB mapped. The order of boot_main is the
 * order of needs: words, memory, traps, interrupts, time, and then a domain. The multiboot
 * structures are read once (boot_multiboot.c), and copied: they lie in memory that is about to be given
 * away.
 */
#include "apic.h"
#include "boot.h"
#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "layout.h"
#include "percpu.h"
#include "smp.h"

#define MULTIBOOT2_MAGIC 0x36d76289u /* what a loader of version 2 leaves in EAX */

static struct boot_info info;
static struct acpi_info acpi;
extern uint8_t image_start[], image_end[], hv_root_table[];
void boot_main(uint32_t multiboot_phys, uint32_t magic) __attribute__((noreturn));
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

void boot_main(uint32_t multiboot_phys, uint32_t magic)
{
	uint64_t bytes;

	if (magic == MULTIBOOT2_MAGIC)
		boot_read_multiboot2(phys, multiboot_phys, &info);
	else
		boot_read_multiboot(phys, multiboot_phys, &info);
	console_init();
	hv_printk("amphi-hv, Xen PV ABI 4.17");
	boot_options_check();
	(void)cpu_prepare(0);
	cpu_init(0);
	boot_protect_image();
	memory_init();
	acpi_read(view, NULL, info.rsdp_bytes ? (uint64_t)info.rsdp - HV_IMAGE_VIRT : 0, &acpi);
	apic_init();
	ioapic_init();
	sched_init(0);
	time_init();
	console_listen();
	version_set_command_line(info.cmdline);
	iommu_boot();
	if (boot_option_size("iospace_tables", &bytes))
		iospace_limit(bytes);
	smp_start();
	dom0_build();
	report_ready();
	entry_start();
}
