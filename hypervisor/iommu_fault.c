/* iommu_fault.c: what devices tried and may not: said to people, a few lines a second, and to the function's owner.
 *
 * Callers: the units' interrupt; a timer where they have more to tell than one interrupt may take time for. A guest can make its device
 * fault as fast as the bus goes. It must not fill the console, so each function has so many lines a second; nor keep a CPU busy,
 * so one that does nothing else loses the right to master the bus, which its owner has to ask for again: after 2000 faults in a second, or as
 * many as `iommu_faults=` says.
 */
#include <amphi/iommu.h>

#include "apic.h"
#include "boot.h"
#include "domain.h"
#include "iommu_device.h"
#include "irq.h"
#include "pci_config.h"
#include "time.h"

#define AT_ONCE        16u
#define AGAIN_NS       1000000u
#define SECOND_NS      1000000000ull
#define LINES_A_SECOND 8u
#define FAULTS_TO_STOP 2000u

static struct io_faults unknown; /* of functions that nobody knows */
static struct hv_timer timer;
static uint64_t faults_to_stop = FAULTS_TO_STOP;

static const char *tried(const struct iommu_fault *f)
{
	return f->interrupt ? "send interrupt" : f->write ? "write" : "read";
}

static void say(const struct iommu_fault *f, const struct io_device *dev)
{
	const char *whose = !dev ? "unknown" : dev->owner ? "domain" : "nobody's";

	if (dev && dev->owner)
		hv_printk("iommu: domain %u: %02x:%02x.%x may not %s %lx: %s", dev->owner->id,
			  f->bdf >> 8, f->bdf >> 3 & 31, f->bdf & 7, tried(f), f->address, f->why);
	else
		hv_printk("iommu: %s: %02x:%02x.%x may not %s %lx: %s", whose, f->bdf >> 8,
			  f->bdf >> 3 & 31, f->bdf & 7, tried(f), f->address, f->why);
}

/* Which of this second's it is; what was not said of an earlier second's is said now, in one line. */
static uint32_t count_fault(struct io_faults *c, const struct iommu_fault *f)
{
	uint64_t second = time_now_ns() / SECOND_NS;

	if (second != c->second && c->n > LINES_A_SECOND)
		hv_printk("iommu: %02x:%02x.%x: %u more faults", f->bdf >> 8, f->bdf >> 3 & 31,
			  f->bdf & 7, c->n - LINES_A_SECOND);
	if (second != c->second)
		*c = (struct io_faults){second, 0};
	return ++c->n;
}

static void stop_mastering(const struct io_device *dev)
{
	uint32_t command = pci_config_read(dev->bdf, PCI_CONFIG_COMMAND, 2);

	/* The other half is status, which is cleared by ones. */
	pci_config_write(dev->bdf, PCI_CONFIG_COMMAND, command & ~PCI_COMMAND_MASTER);
	hv_printk("iommu: %02x:%02x.%x does nothing but faults: it may not master the bus",
		  dev->bdf >> 8, dev->bdf >> 3 & 31, dev->bdf & 7);
}

/* Nobody can tell which of those that send by one number it was. */
static void stop_senders(const struct io_device *dev)
{
	const struct io_device *other = NULL;

	stop_mastering(dev);
	while ((other = io_sender_next(dev, other)))
		stop_mastering(other);
}

static void take(const struct iommu_fault *f)
{
	struct io_device *dev = io_sender_first(f->bdf);
	uint32_t n = count_fault(dev ? &dev->faults : &unknown, f);

	if (n <= LINES_A_SECOND)
		say(f, dev);
	if (n == faults_to_stop && dev)
		stop_senders(dev);
	if (dev && dev->owner)
		iospace_fault(dev->owner, f);
}

/* A unit that has no fault to tell may still have lost some. */
static void say_lost(void)
{
	static uint64_t said;
	uint64_t second = time_now_ns() / SECOND_NS;

	if (said != second)
		hv_printk("iommu: more faults than could be told");
	said = second;
}

static void told(void *ctx)
{
	struct iommu_fault f;
	bool is_fault = true, lost, any_lost = false;
	unsigned n = 0;

	while (n < AT_ONCE && is_fault) {
		is_fault = iommu_fault(&f, &lost);
		if (is_fault)
			take(&f);
		any_lost |= lost;
		n += is_fault;
	}
	if (any_lost)
		say_lost();
	if (n == AT_ONCE)
		timer_set(&timer, time_now_ns() + AGAIN_NS);
}

void iommu_fault_listen(void)
{
	unsigned vector = irq_vector_alloc(told, NULL);

	(void)boot_option_number("iommu_faults", &faults_to_stop);
	timer.fn = told;
	if (vector)
		iommu_fault_interrupt(APIC_VIRT_MSI_ADDRESS | apic_id() << 12, vector);
	else
		hv_printk("iommu: no vector is left: faults are not told");
}
