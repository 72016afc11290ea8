/* virtio_start.c: what the start of every virtio device begins with, over either interface.
 *
 * Contract: virtio_pci.h. Callers: virtio_blk_init.c, virtio_net_init.c. Calls virtio_pci.c, pci.h. Worker context.
 */
#include "virtio_pci.h"

#include <amphi/machine.h>
#include <amphi/xen.h>

/* A reset is over when the status reads 0. */
int virtio_pci_reset_now(struct virtio_pci *t)
{
	virtio_pci_reset(t);
	for (unsigned n = 0; virtio_pci_status(t) && n < 1000; n++)
		machine_delay_us(100);
	return virtio_pci_status(t) ? -XEN_EBUSY : 0;
}

int virtio_pci_begin(struct virtio_pci *t)
{
	int err = virtio_pci_find(t);

	if (err)
		return err;
	pci_enable(t->pci);
	err = virtio_pci_reset_now(t);
	return err ? err : pci_msix_find(t->pci, &t->msix);
}
