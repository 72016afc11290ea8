/* iommu_native.c: starts the IOMMUs of a machine that is ours, and says what they refuse.
 *
 * Caller: main.c natively; in a domain they are the hypervisor's. Calls iommu.h, dma.h. A device that tries what it may not is
 * named once for each fault, up to a few at a time: one that does nothing else must not fill the log.
 */
#include "iommu_native.h"

#include <amphi/dma.h>
#include <amphi/error_name.h>
#include <amphi/iommu.h>
#include <amphi/machine.h>

#include "boot.h"
#include "cmdline.h"
#include "console.h"
#include "mm.h"

#define FAULTS_AT_ONCE 16u
#define EBDA_WORD      0x40eu
#define EBDA_FIRST     0x80000u
#define EBDA_END       0xa0000u

static void say(const struct iommu_fault *f)
{
	klog(LOG_ERROR, "iommu: %02x:%02x.%x may not %s %llx: %s", f->bdf >> 8, f->bdf >> 3 & 31,
	     f->bdf & 7,
	     f->interrupt ? "send interrupt"
	     : f->write   ? "write"
			  : "read",
	     (unsigned long long)f->address, f->why);
}

static void faults(void *ctx)
{
	struct iommu_fault f;
	bool is_fault = true, lost, any_lost = false;

	/* A unit that has no fault to tell may still have lost some. */
	for (unsigned i = 0; i < FAULTS_AT_ONCE && is_fault; i++) {
		is_fault = iommu_fault(&f, &lost);
		if (is_fault)
			say(&f);
		any_lost |= lost;
	}
	if (any_lost)
		klog(LOG_WARN, "iommu: more faults than could be told");
}

/* Handlers of machine.h run in the worker, as iommu.h wants it. */
static void listen(void)
{
	struct machine_msi msi = {.fn = faults, .of_iommu = true};
	int err = machine_msi_bind(&msi);

	if (err)
		klog(LOG_WARN, "iommu: faults are not told: %s", error_name(err));
	else
		iommu_fault_interrupt(msi.address, msi.data);
}

/* No I/O APIC is used here: lines come by the old controllers, which no unit sees. */
static void remap_interrupts(void)
{
	int err = cmdline.intremap ? iommu_interrupts_start(NULL, 0) : -XEN_EOPNOTSUPP;

	if (err)
		klog(LOG_INFO, "interrupts are not remapped: %s",
		     cmdline.intremap ? error_name(err) : "so it was said");
	else
		klog(LOG_INFO, "interrupts remapped");
}

static int start(uint64_t address, uint32_t len)
{
	const void *table = map_io((maddr_t){address}, len, MM_READ);

	return table ? iommu_start(table, len) : -XEN_ENOMEM;
}

/* The PC's word at 0x40e says in which paragraph the BIOS's extended data begins, below video memory; its first byte, how many KiB it has. Where no such BIOS
 * was, the word is anything: what it leads to is read, and checked. */
static int start_calgary(void)
{
	const uint8_t *low = map_io((maddr_t){EBDA_WORD & PAGE_MASK}, PAGE_SIZE, MM_READ), *ebda;
	uint64_t at;

	if (!low)
		return -XEN_ENOMEM;
	low += EBDA_WORD & ~PAGE_MASK;
	at = (uint64_t)(low[0] | low[1] << 8) << 4;
	if (at < EBDA_FIRST || at >= EBDA_END)
		return -XEN_ENODEV;
	ebda = map_io((maddr_t){at}, EBDA_END - at, MM_READ);
	if (!ebda)
		return -XEN_ENOMEM;
	return iommu_start_calgary(ebda, MIN((size_t)*ebda << 10, EBDA_END - at));
}

void iommu_native_start(void)
{
	bool is_intel = boot.acpi.dmar.address;
	uint64_t table = is_intel ? boot.acpi.dmar.address : boot.acpi.ivrs.address;
	int n;

	if (cmdline.iommu == DMA_POLICY_DIRECT)
		return;
	n = table ? start(table, is_intel ? boot.acpi.dmar.len : boot.acpi.ivrs.len)
		  : start_calgary();
	if (!table && n == -XEN_ENODEV)
		return;
	if (n < 0) {
		klog(LOG_WARN, "iommu: not used: %s", error_name(n));
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct iommu *unit = iommu_get((unsigned)i);
		const struct iommu_traits *traits = iommu_traits(unit);

		klog(LOG_INFO, "%s: %u bits, %u spaces, %s", iommu_name(unit), traits->address_bits,
		     traits->spaces, cmdline.iommu == DMA_POLICY_LAZY ? "lazy" : "strict");
	}
	remap_interrupts();
	listen();
	dma_set_policy(cmdline.iommu);
}
