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
	bool lost, any_lost = false;

	for (unsigned i = 0; i < FAULTS_AT_ONCE && iommu_fault(&f, &lost); i++) {
		say(&f);
		any_lost |= lost;
	}
	if (any_lost)
		klog(LOG_WARN, "iommu: more faults than could be told");
}

/* Handlers of machine.h run in the worker, as iommu.h wants it. */
static void listen(void)
{
	struct machine_msi msi = {.fn = faults};
	int err = machine_msi_bind(&msi);

	if (err)
		klog(LOG_WARN, "iommu: faults are not told: %s", error_name(err));
	else
		iommu_fault_interrupt(msi.address, msi.data);
}

static int start(uint64_t address, uint32_t len)
{
	const void *table = map_io((maddr_t){address}, len, MM_READ);

	return table ? iommu_start(table, len) : -XEN_ENOMEM;
}

void iommu_native_start(void)
{
	bool is_intel = boot.acpi.dmar.address;
	uint64_t table = is_intel ? boot.acpi.dmar.address : boot.acpi.ivrs.address;
	int n;

	dma_set_policy(DMA_POLICY_DIRECT, cmdline.dma_debug);
	if (!table || cmdline.iommu == DMA_POLICY_DIRECT)
		return;
	n = start(table, is_intel ? boot.acpi.dmar.len : boot.acpi.ivrs.len);
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
	listen();
	dma_set_policy(cmdline.iommu, cmdline.dma_debug);
}
