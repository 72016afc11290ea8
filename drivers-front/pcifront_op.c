/* pcifront_op.c: the page that pcifront shares with its backend: our operations, and the backend's own words.
 *
 * One operation is under way at a time: written into the page, marked active, waited for. What comes back is copied once
 * and then looked at. The backend may say something by itself (an error of a device, AER), by the same event channel and
 * another mark; it is answered from the event's handler. Called by the other files of pcifront; calls host.h.
 *
 *    us                                    backend
 *    op, then set PCIF_active, notify ---> copies op, does it
 *    copies err, value, vectors       <--- clears PCIF_active, notifies
 *
 *    copies aer_op                    <--- sets PCIB_active, notifies
 *    err, clears PCIB_active, notify  ---> goes on with the device
 */
#include <amphi/peer.h>

#include "pcifront_private.h"

/* What Linux calls a recovery's results (its PCI error recovery document): a function is taken from who says NONE or
 * DISCONNECT of it. */
enum {
	AER_NONE = 1,
	AER_CAN_RECOVER = 2,
	AER_NEED_RESET = 3,
	AER_DISCONNECT = 4,
	AER_RECOVERED = 5
};
/* The state of the link, in err of aer_detected: io still goes through; never will again. Any other: not before a reset. */
#define AER_IO_NORMAL 1
#define AER_IO_GONE   3

#define OP_HEAD offsetof(struct xen_pci_op, msix_entries)
_Static_assert(sizeof(struct xen_pci_sharedinfo) <= PAGE_SIZE, "as pciif.h lays it out");

/* ---- ours --------------------------------------------------------------------------------------- */

static bool active(struct pf_device *dev)
{
	return peer_fetch32(&dev->page->flags) & XEN_PCIF_active;
}

/* A backend that notifies again and again without an answer has the same time as one that is silent. */
static bool wait_for_answer(struct pf_device *dev)
{
	uint64_t now = host_time_ns(), until = now + PCIFRONT_ANSWER_NS;

	while (active(dev)) {
		if (now >= until)
			return false;
		(void)host_event_wait(dev->port, until - now);
		now = host_time_ns();
	}
	peer_rmb(); /* the answer was there before the mark was taken away */
	return true;
}

/* What we sent is ours to know: only what the backend has to say is taken over. */
static void take_answer(struct pf_device *dev, struct xen_pci_op *op, unsigned n_entries)
{
	struct xen_pci_op answer;

	peer_copy_in(&answer, &dev->page->op, OP_HEAD + n_entries * sizeof(answer.msix_entries[0]));
	op->err = answer.err;
	op->value = answer.value;
	for (unsigned i = 0; i < n_entries; i++)
		op->msix_entries[i].vector = answer.msix_entries[i].vector;
}

int pf_op(struct pf_device *dev, struct xen_pci_op *op, unsigned n_entries)
{
	HOST_ASSERT(n_entries <= SH_INFO_MAX_VEC);
	if (!dev->page || dev->silent)
		return -XEN_ENOTCONN;
	peer_copy_out(&dev->page->op, op, OP_HEAD + n_entries * sizeof(op->msix_entries[0]));
	peer_wmb();
	peer_set_bits32(&dev->page->flags, XEN_PCIF_active);
	host_event_notify(dev->port);
	if (!wait_for_answer(dev)) {
		/* The page may be written by whoever did not answer: no operation may come after it. */
		dev->silent = true;
		xenbus_fail(&dev->bus, "does not answer");
		return -XEN_ENOTCONN;
	}
	dev->n_answers++;
	take_answer(dev, op, n_entries);
	return 0;
}

/* ---- the backend's ------------------------------------------------------------------------------- */

static const struct pf_function *named(const struct pf_device *dev,
				       const struct xen_pcie_aer_op *op)
{
	for (const struct pf_function *f = dev->functions; f; f = f->next)
		if (f->domain == op->domain && f->bus == op->bus && f->devfn == op->devfn)
			return f;
	return NULL;
}

/* A driver is stopped at the first word, and resets its device itself at the last: in between there is nothing to do. */
static int32_t aer_detected(const struct pf_device *dev, uint16_t bdf, int32_t state)
{
	enum drivers_error what = state == AER_IO_GONE ? DRIVERS_ERROR_GONE : DRIVERS_ERROR_FOUND;

	pf_root_of(dev->bus.class)->user->error(bdf, what);
	if (what == DRIVERS_ERROR_GONE)
		return AER_DISCONNECT;
	return state == AER_IO_NORMAL ? AER_CAN_RECOVER : AER_NEED_RESET;
}

static int32_t aer_answer(const struct pf_device *dev, const struct xen_pcie_aer_op *op)
{
	const struct pf_function *f = named(dev, op);

	if (!f)
		return AER_NONE;
	switch (op->cmd) {
	case XEN_PCI_OP_aer_detected:
		return aer_detected(dev, f->bdf, op->err);
	case XEN_PCI_OP_aer_mmio:
	case XEN_PCI_OP_aer_slotreset:
		return AER_RECOVERED;
	case XEN_PCI_OP_aer_resume:
		pf_root_of(dev->bus.class)->user->error(f->bdf, DRIVERS_ERROR_OVER);
		return AER_RECOVERED;
	}
	return AER_NONE;
}

static void do_aer(struct pf_device *dev)
{
	struct xen_pcie_aer_op op;

	peer_rmb();
	peer_copy_in(&op, &dev->page->aer_op, sizeof(op));
	host_log(HOST_LOG_WARN,
		 "%s: device %04x:%02x:%02x.%u has an error (operation %u, state %d)",
		 dev->bus.path, op.domain & 0xffff, op.bus & 0xff, op.devfn >> 3 & 31, op.devfn & 7,
		 op.cmd, op.err);
	peer_store32((volatile uint32_t *)&dev->page->aer_op.err, (uint32_t)aer_answer(dev, &op));
	peer_wmb();
	peer_clear_bits32(&dev->page->flags, XEN_PCIB_active);
	host_event_notify(dev->port);
}

/* Answers that were waited for are events as well. */
static void on_event(void *ctx)
{
	struct pf_device *dev = ctx;

	if (peer_fetch32(&dev->page->flags) & XEN_PCIB_active)
		do_aer(dev);
	else if (!dev->n_answers)
		host_event_spurious(dev->port);
	dev->n_answers = 0;
}

/* ---- begin, end ---------------------------------------------------------------------------------- */

int pf_op_begin(struct pf_device *dev)
{
	int err;

	dev->silent = false;
	dev->n_answers = 0;
	dev->page = host_pages_alloc(1);
	if (!dev->page)
		return -XEN_ENOMEM;
	dev->page->flags = XEN_PCIB_AERHANDLER; /* nobody else has the page yet */
	err = host_grant_offer(dev->bus.peer, dev->page, false, &dev->ref);
	if (err) {
		host_pages_free(dev->page, 1);
		dev->page = NULL;
		return err;
	}
	return host_event_offer(dev->bus.peer, on_event, dev, &dev->port);
}

void pf_op_end(struct pf_device *dev)
{
	if (dev->port.v)
		host_event_close(dev->port);
	if (dev->page)
		grant_retire(dev->ref, dev->page);
	dev->port = PORT_NONE;
	dev->page = NULL;
}
