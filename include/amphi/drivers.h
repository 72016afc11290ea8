/* drivers.h: how the kernel starts the drivers of real devices.
 *
 * Worker context: once when machine_has_devices(), for all there are; else for each function that comes. Each disk found is registered with
 * host_block_register(), each network card with host_net_register(); a device that does not answer is logged by its address and left alone.
 */
#ifndef AMPHI_DRIVERS_H
#define AMPHI_DRIVERS_H

#include <stdint.h>

struct pci_function;

/* Number of functions taken. Of each NVMe controller that has virtual functions, up to n_vfs are turned on and
 * driven as controllers of their own. */
unsigned drivers_native_init(unsigned n_vfs);

/* A function that was lent to this domain / is about to be taken back: its driver stops it, its disks and interfaces are
 * gone when this returns, and nothing is asked of it any more. */
void drivers_native_add(uint16_t bdf);
void drivers_native_remove(uint16_t bdf);

/* One driver's part: 0 when it took the function, -XEN_ENODEV when it is not of its kind, or why the
 * device could not be used. */
int nvme_probe(const struct pci_function *f);
int virtio_blk_probe(const struct pci_function *f);
int ahci_probe(const struct pci_function *f);
int virtio_net_probe(const struct pci_function *f);
int e1000e_probe(const struct pci_function *f);

/* What drivers_native_init was told. */
extern unsigned drivers_wanted_vfs;

#endif
