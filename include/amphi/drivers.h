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

/* What its driver is told of a function's error. Nothing when no driver has it.
 *	FOUND	the device is stopped; what is asked of it waits for the next word, at most DRIVERS_ERROR_WAIT_NS
 *	OVER	it is reset, and does again what it had not done; also without FOUND
 *	GONE	it was pulled out: all that waits fails, its disks or interface are gone */
enum drivers_error { DRIVERS_ERROR_FOUND, DRIVERS_ERROR_OVER, DRIVERS_ERROR_GONE };
#define DRIVERS_ERROR_WAIT_NS 30000000000ull
void drivers_native_error(uint16_t bdf, enum drivers_error what);

/* One driver's part: 0 when it took the function, -XEN_ENODEV when it is not of its kind, or why the
 * device could not be used. */
int nvme_probe(const struct pci_function *f);
int virtio_blk_probe(const struct pci_function *f);
int ahci_probe(const struct pci_function *f);
int virtio_net_probe(const struct pci_function *f);
int e1000e_probe(const struct pci_function *f);

/* For who looks whether a device is held back. What its driver maps with; NULL: no such controller (card) is there and runs. */
struct dma_device;
const struct dma_device *nvme_dma_device(uint16_t bdf);
const struct dma_device *e1000e_dma_device(uint16_t bdf);
/* Has that controller write 4096 bytes (all that it says of itself) to a DMA address, whatever is there, if anything. -XEN_EIO: it could not;
 * -XEN_ENODEV; -XEN_EBUSY: no answer. */
int nvme_tell_at(uint16_t bdf, uint64_t dma);
/* Has that card put a frame of 64 bytes at a DMA address (a multiple of 128), then read descriptors 128 bytes on and, where they are zeros, write to them. Errors as
 * above. */
int e1000e_tell_at(uint16_t bdf, uint64_t dma);

/* A message by which a controller interrupts: what it writes, and where. */
struct nvme_message {
	uint32_t address, data;
};
/* What is in the controller's table for a vector of its own that nothing else is for; *count goes up by one, in the worker, when it comes. The count stays the
 * driver's, and may be asked for once only. -XEN_ENODEV, -XEN_ENOMEM, -XEN_ENOSPC: it has no vector left. */
int nvme_listen(uint16_t bdf, unsigned *count, struct nvme_message *out);
/* Has the controller send this message, once, in the place of its own. 0: it was told to, and a fiftieth of a second is over; errors as above. */
int nvme_send_message(uint16_t bdf, const struct nvme_message *message);

/* What drivers_native_init was told. */
extern unsigned drivers_wanted_vfs;

#endif
