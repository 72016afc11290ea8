/* pciback_private.h: what the files of pciback share: connections, and the functions that are lent by them.
 *
 * Private to drivers-back. pciback.c is the connection and its life, pciback_nodes.c the store and what the guest calls a
 * function, pciback_op.c the shared page, pciback_irq.c interrupts, pciback_config.c how configuration space is read and
 * written, pciback_fields.c the table by which it is. A connection is a lender, a function lent. Worker context, so no lock.
 */
#ifndef DRIVERS_BACK_PCIBACK_PRIVATE_H
#define DRIVERS_BACK_PCIBACK_PRIVATE_H

#include <amphi/host_pci.h>
#include <amphi/pci_name.h>
#include <amphi/pciback.h>
#include <amphi/xenbus.h>
#include <xen/io/pciif.h>

#define LENT_SPACE  4096u
#define LENT_LEGACY 256u /* below it registers may be no capability's and still a driver's */
#define LENT_ROWS   96u

/* What a register does beyond its masks. */
enum lent_action { LENT_PLAIN, LENT_COMMAND, LENT_BAR, LENT_POWER, LENT_VPD };

/* How a guest sees the bytes [at, end), both multiples of 4; the masks are of each 32-bit word in there:
 *	see	bits that are read from the device; fixed: bits that are 1 whatever it says; all others are 0
 *	write	bits that the guest may set and clear in the device
 *	clear	bits that are cleared by writing ones; the guest may do that
 * hard: not even `permissive` lets a write through. */
struct lent_row {
	uint16_t at, end;
	uint8_t action;
	bool hard;
	uint32_t see, fixed, write, clear;
};

enum lent_interrupts { LENT_NONE, LENT_MSI, LENT_MSIX };

struct lender;

struct lent {
	struct lent *next;
	struct lender *lender;
	uint16_t bdf;
	struct pci_name name; /* as the guest is told */
	int number; /* N of dev-N, as it was read last; what follows is true until the next reading */
	bool publish; /* the nodes of this number are to be written */
	bool permissive;
	struct host_pci_info info;

	/* configuration space */
	unsigned n_rows;
	struct lent_row rows[LENT_ROWS];
	uint16_t msi, msix; /* where the capabilities are; 0: there is none */
	/* What the guest wrote, and reads again; the device has what may be. */
	uint16_t command;
	uint16_t decodes; /* of these command bits, those that are on in the device */
	uint8_t power;
	uint8_t probing; /* a bit for each base register that was written all ones */

	enum lent_interrupts interrupts;
	unsigned n_pirqs;
	uint32_t pirqs[HOST_PCI_VECTORS];
};

struct lender {
	struct xenbus_device bus; /* first: the xenbus engine allocates both */
	struct lent *functions;
	bool as_is; /* the topology */

	/* the connection */
	struct xen_pci_sharedinfo *page; /* shared; NULL: there is none */
	port_t port;
	/* the budget */
	struct host_work again; /* queued: an operation waits for the span's end */
	uint64_t span_start_ns;
	unsigned span_ops;
	/* an error of a device that the front was told of; fn NULL: none */
	struct host_work overdue;
	const struct lent *aer_of;
	void (*aer_fn)(void *ctx, int result);
	void *aer_ctx;

	uint64_t ops, refused;
};

/* pciback.c */

extern struct xenbus_kind lend_kind;

/* NULL: not lent by anybody. */
struct lent *lent_find(uint16_t bdf);
/* Claims bdf for the lender's guest; the name and the nodes are the caller's matter. NULL: not to be had, and said so. */
struct lent *lent_add(struct lender *l, uint16_t bdf, bool permissive);
/* Quiet, released and freed. */
void lent_remove(struct lent *f);

/* pciback_nodes.c */

/* Reads the toolstack's nodes: functions that close go, new ones come, and what changed is published. */
int lend_scan(struct lender *l);
/* The toolstack's word for how guests are told where their functions are. */
void lend_read_topology(struct lender *l);
/* Says in the store that a function is no longer lent. */
void lend_unpublish(const struct lent *f);

/* pciback_op.c */

int lend_op_begin(struct lender *l, gref_t ref, uint32_t peer_port);
void lend_op_end(struct lender *l);
/* The function goes: a word about it has no answer any more. */
void lend_aer_forget(const struct lent *f);

/* pciback_irq.c: err and value of an operation; a function with interrupts on gets no others. */
int32_t lent_enable_msi(struct lent *f, struct xen_pci_op *op);
int32_t lent_enable_multi_msi(struct lent *f, struct xen_pci_op *op);
int32_t lent_enable_msix(struct lent *f, struct xen_pci_op *op);
void lent_interrupts_off(struct lent *f);
/* The device has forgotten them. */
int lent_interrupts_again(struct lent *f);

/* pciback_fields.c */

/* Makes the rows: header and both lists of capabilities, walked with bounds. */
void lent_make_rows(struct lent *f);

/* pciback_config.c: offset and width are checked: 1, 2 or 4 bytes, aligned, inside. */

/* NULL: no row has this offset. */
struct lent_row *lent_row_at(struct lent *f, unsigned offset);
uint32_t lent_read(struct lent *f, unsigned offset, unsigned width);
void lent_write(struct lent *f, unsigned offset, unsigned width, uint32_t value);
/* As when the guest's system starts: decoding, bus mastering and power as the table begins. */
void lent_config_reset(struct lent *f);
/* Whatever the guest has said, until it says it again. */
void lent_no_mastering(struct lent *f);
/* The device has forgotten what the guest's command register says. */
void lent_config_again(struct lent *f);

#endif
