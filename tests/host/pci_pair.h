/* pci_pair.h: pcifront and pciback in one process, with a toolstack and a machine between them.
 *
 * Domain 0 has the machine (mock_pci.h), pciback and the toolstack's words; guest 1 has pcifront and its user, who keeps what he is
 * told. All over mock_host.h; one pair at a time. The toolstack says what xl says, in its order.
 */
#ifndef TESTS_PCI_PAIR_H
#define TESTS_PCI_PAIR_H

#include <amphi/pciback.h>
#include <amphi/pcifront.h>

#include "drivers-back/pciback_private.h"
#include "drivers-front/pcifront_private.h"
#include "mock_host.h"
#include "mock_pci.h"

#define PAIR_FRONT "/local/domain/1/device/pci/0"
#define PAIR_BACK  "/local/domain/0/backend/pci/1/0"

struct pair_user {
	unsigned n_added, n_removed;
	uint16_t added[64], removed[64];
	uint32_t id_at_removal; /* what could be read of the last one */
	/* the last word about an error */
	unsigned n_errors;
	uint16_t error_of;
	enum drivers_error error;
};
extern struct pair_user pair_user;

/* A fresh world and machine; pciback runs, no frontend. */
void pair_reset(void);
/* A key of the back's or the front's directory: put by the toolstack, or as it is ("" when there is none). */
void pair_put(const char *key, const char *value);
void pair_put_front(const char *key, const char *value);
const char *pair_back(const char *key);
const char *pair_front(const char *key);
/* dev-N, state-N, and opts-N when it is not NULL. */
void pair_function(unsigned n, const char *dev, const char *opts);
/* The toolstack makes both directories, with `count` as num_devs; then the backend may answer. */
void pair_make(unsigned count);
/* Starts pcifront in guest 1; whether both are Connected then. */
bool pair_connect(void);

/* Adds functions up to count, or takes n away. Whether both are Connected again. */
bool pair_hotplug(unsigned count);
bool pair_detach(unsigned n);

/* The toolstack removes the device; then the front and the back end. Whether nothing is left anywhere. */
bool pair_end(void);

/* Two functions: an NVMe with MSI-X of 65 entries at 03:00.0, dev-0, and a NIC with MSI of up to 8 at 04:01.0, dev-1, permissive.
 * Made; or made and connected, which must work. */
#define PAIR_NVME 0x00101b36u
#define PAIR_NIC  0x10d38086u
extern struct mock_pci *pair_nvme, *pair_nic;
struct mock_pci *pair_add_nic(uint16_t bdf);
void pair_two_made(void);
void pair_two(void);

/* Guest 1 dies, or its kernel starts anew, without a word. */
void pair_kill_front(void);

/* An operation as a front of any kind would send it; its err. */
int32_t pair_ask(uint32_t cmd, uint32_t devfn, struct xen_pci_op *op);

/* The page as the guest has it; for fronts that are bad. NULL: no connection. */
struct xen_pci_sharedinfo *pair_page(void);
port_t pair_port(void);

#endif
