/* drivers.c: looks at every PCI function and offers it to each driver in turn.
 *
 * A driver that refuses a function it should know (no MSI-X, no answer to reset) is logged by the
 * function's address; the others go on. Called by the kernel through amphi/drivers.h.
 */
#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/machine.h>
#include <amphi/pci.h>

#include "disk_watch.h"
#include "nic.h"

/* A new driver is a row here. -XEN_ENODEV means "not mine" and is the only answer that lets the
 * next one look; any other is a device that nobody else could do more with. */
static int (*const probes[])(const struct pci_function *f) = {
    nvme_probe, virtio_blk_probe, ahci_probe, virtio_net_probe, e1000e_probe};

unsigned drivers_wanted_vfs;

static unsigned offer(const struct pci_function *f)
{
	if (f->physical == f->bdf) /* a virtual one was told when it was made */
		machine_pci_appeared(f->bdf, f->bdf);
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
		int err = probes[i](f);

		if (!err)
			return 1;
		if (err == -XEN_ENODEV)
			continue;
		host_log(HOST_LOG_WARN, "pci %02x:%02x.%x (%04x:%04x): not usable, error %d",
			 f->bdf >> 8, f->bdf >> 3 & 31, f->bdf & 7, f->vendor, f->device, -err);
		break;
	}
	return 0;
}

void drivers_native_add(uint16_t bdf)
{
	const struct pci_function *f = pci_look(bdf);

	if (f)
		(void)offer(f);
}

void drivers_native_error(uint16_t bdf, enum drivers_error what)
{
	disk_watch_error(bdf, what);
	nic_error(bdf, what);
}

/* Interrupts last: taking a device back may need one. One that no driver took has neither. */
void drivers_native_remove(uint16_t bdf)
{
	disk_watch_remove(bdf);
	nic_remove(bdf);
	machine_msi_unbind(bdf);
}

/* In the order of the scan, so that names (vda, vdb; nvme0n1; eth0) follow bus and slot and stay the same
 * from boot to boot. A driver may append to the list (virtual functions). */
unsigned drivers_native_init(unsigned n_vfs)
{
	unsigned taken = 0;

	drivers_wanted_vfs = n_vfs;
	pci_scan();
	for (unsigned n = 0; pci_get(n); n++)
		taken += offer(pci_get(n));
	return taken;
}
