/* pci_plain_back.h: a PCI backend for tests of pcifront that does what it is told, and the frontend's user.
 *
 * In domain 0, connection 0 of guest 1: it has up to PB_DEVICES functions with a configuration space of bytes each, gives
 * interrupts by number, and can be bad in named ways. The user keeps what it was told, and may look at a function while it is
 * told of it. Over mock_host.h; one at a time.
 */
#ifndef TESTS_PCI_PLAIN_BACK_H
#define TESTS_PCI_PLAIN_BACK_H

#include <amphi/pcifront.h>

#include "drivers-front/pcifront_private.h"
#include "mock_host.h"

#define PB_DEVICES 40u
#define PB_PIRQ    100u /* of entry 0; that of entry n is n more */
#define PB_NVME    0x00101b36u
#define PB_NIC     0x10d38086u

/* The ways to be bad; each is an operation's. */
enum pb_bad {
	PB_GOOD,
	PB_SILENT,      /* says nothing */
	PB_NOTIFIES,    /* says that there is an answer, again and again, and there is none */
	PB_ERRS,        /* an error that no header knows */
	PB_WIDE,        /* a value wider than was asked for */
	PB_ANOTHER,     /* writes another function's number into the operation */
	PB_ENTRIES,     /* renames the entries of the table */
	PB_NO_VECTOR,   /* one of the entries has none */
	PB_FEWER,       /* no error, but a count of what it could give */
	PB_HUGE_PIRQ,   /* a number no pirq can have */
	PB_LAST_PIRQ,   /* the highest number there is */
	PB_FLAGS,       /* sets all flags */
	PB_AER_AT_ONCE, /* reports an error of the device with each answer */
	PB_BADS
};

struct pb_device {
	const char *name; /* as in vdev-N; NULL: none */
	uint8_t space[4096];
	unsigned msix_on, msi_on, max_vectors;
	unsigned off; /* how often interrupts were taken back */
};

struct plain_pci {
	struct pb_device dev[PB_DEVICES];
	enum pb_bad bad;
	bool away;    /* does not listen at all */
	bool unnamed; /* writes no vdev-N */
	/* the connection */
	bool mapped;
	struct xen_pci_sharedinfo *page;
	port_t port;
	/* what came */
	unsigned n_ops, n_reads, n_writes, n_unknown, n_aer;
	struct xen_pci_op last;
	/* what the front's user was told of errors */
	unsigned n_errors;
	uint16_t error_of;
	enum drivers_error error;
};
extern struct plain_pci pb;

struct pb_user {
	unsigned n_added, n_removed, n_there;
	uint16_t added[64], removed[64];
	uint32_t id_at_removal; /* what could be read of the last one */
};
extern struct pb_user pb_user;

/* A fresh world; no frontend. */
void pb_reset(void);
/* A function of this name at this number; its vendor and device as given. Told in the store by pb_publish. */
struct pb_device *pb_function(unsigned n, const char *name, uint32_t id);
void pb_publish(unsigned n, unsigned state);
/* The toolstack's nodes and the backend's first: state InitWait, then Initialised. */
void pb_attach(void);
/* Starts the frontend, takes what it offers and says Connected; false: it offers nothing. */
bool pb_connect(void);
bool pb_begin(void); /* the last two */
/* A fresh world with PB_NVME at 00:00.0 and PB_NIC at 00:01.0, connected; the frontend's domain is entered. */
void pb_begin_two(void);
void pb_drop(void); /* lets go of page and port */
/* The connection goes, and the frontend; whether nothing is left anywhere. */
bool pb_end(void);

/* The toolstack takes function n away, or brings one: with the backend's part of it. */
void pb_detach(unsigned n);
void pb_hotplug(unsigned n);

/* Reports an error of a device, and returns what was answered; -1: nothing. */
int pb_aer(uint32_t cmd, uint32_t bus, uint32_t devfn, int32_t state);

void pb_put_back(const char *key, const char *value);
const char *pb_front(const char *key);

#endif
