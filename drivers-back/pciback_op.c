/* pciback_op.c: the page that a frontend shares: its operations answered, and words about errors of devices.
 *
 * An operation is copied once, looked at in the copy, done, and what it asked for is written back; nothing else of the page is
 * believed or kept. One is served at an event, so many in a span of time: a front that asks without end waits, and the worker is
 * free meanwhile. What is wrong with an operation is an error of it, never the connection's end. Called by pciback.c and
 * by events; calls the functions' own files.
 *
 *    front                                 back
 *    op, sets PCIF_active, notifies ---->  copies op, does it
 *    reads err, value, vectors      <----  clears PCIF_active, notifies
 *
 *    reads aer_op                   <----  sets PCIB_active, notifies; waits PCIBACK_AER_NS at most
 *    err, clears PCIB_active, notifies -->
 */
#include <amphi/peer.h>

#include "pciback_private.h"

#define REG_COMMAND 4u
#define ALL_ONES    0xffffu

#define OP_HEAD offsetof(struct xen_pci_op, msix_entries)
/* The results of PCIe's error recovery, as Linux numbers them. */
#define AER_NONE 1
#define AER_LAST 5

_Static_assert(sizeof(struct xen_pci_sharedinfo) <= PAGE_SIZE, "as pciif.h lays it out");
_Static_assert(HOST_PCI_VECTORS == SH_INFO_MAX_VEC, "a message's entries are all there are");

/* ---- operations ------------------------------------------------------------------------------------------ */

static bool in_space(const struct xen_pci_op *op)
{
	return (op->size == 1 || op->size == 2 || op->size == 4) && op->offset >= 0 &&
	       op->offset < (int32_t)LENT_SPACE && op->offset % op->size == 0;
}

/* Nobody answers for it any more: asked by its command register, as a virtual function's identity reads so all the time. */
static bool is_lost(struct lent *f)
{
	return host_pci_read(f->bdf, REG_COMMAND, 2) == ALL_ONES;
}

static int32_t conf_read(struct lent *f, struct xen_pci_op *op)
{
	if (!in_space(op))
		return XEN_PCI_ERR_invalid_offset;
	if (is_lost(f))
		return XEN_PCI_ERR_dev_not_found;
	op->value = lent_read(f, (unsigned)op->offset, (unsigned)op->size);
	return 0;
}

static int32_t conf_write(struct lent *f, struct xen_pci_op *op)
{
	if (!in_space(op))
		return XEN_PCI_ERR_invalid_offset;
	if (is_lost(f))
		return XEN_PCI_ERR_dev_not_found;
	lent_write(f, (unsigned)op->offset, (unsigned)op->size, op->value);
	return 0;
}

/* For both kinds: Linux's front takes MSI-X back by the name of MSI, and then asks for it anew. */
static int32_t disable(struct lent *f, struct xen_pci_op *op)
{
	op->value = 0;
	lent_interrupts_off(f);
	return 0;
}

static int32_t (*const calls[])(struct lent *f, struct xen_pci_op *op) = {
    [XEN_PCI_OP_conf_read] = conf_read,
    [XEN_PCI_OP_conf_write] = conf_write,
    [XEN_PCI_OP_enable_msi] = lent_enable_msi,
    [XEN_PCI_OP_disable_msi] = disable,
    [XEN_PCI_OP_enable_msix] = lent_enable_msix,
    [XEN_PCI_OP_disable_msix] = disable,
    [XEN_PCI_OP_enable_multi_msi] = lent_enable_multi_msi,
};

static struct lent *named(struct lender *l, const struct xen_pci_op *op)
{
	for (struct lent *f = l->functions; f; f = f->next)
		if (op->domain == f->name.domain && op->bus == f->name.bus &&
		    op->devfn == f->name.devfn)
			return f;
	return NULL;
}

static int32_t do_op(struct lender *l, struct xen_pci_op *op)
{
	struct lent *f = named(l, op);

	if (!f)
		return XEN_PCI_ERR_dev_not_found;
	if (op->cmd >= ARRAY_SIZE(calls) || !calls[op->cmd])
		return XEN_PCI_ERR_not_implemented;
	return calls[op->cmd](f, op);
}

/* Of the table as many entries as the operation says it has; it is refused when there cannot be so many. */
static unsigned entries_of(const struct xen_pci_op *op)
{
	return op->cmd == XEN_PCI_OP_enable_msix ? MIN(op->value, SH_INFO_MAX_VEC) : 0;
}

static void serve(struct lender *l)
{
	struct xen_pci_sharedinfo *page = l->page;
	struct xen_pci_op op;
	size_t n_bytes;

	peer_rmb(); /* the mark before what it is of */
	peer_copy_in(&op, &page->op, OP_HEAD);
	n_bytes = entries_of(&op) * sizeof(op.msix_entries[0]);
	peer_copy_in(op.msix_entries, page->op.msix_entries, n_bytes);
	op.err = do_op(l, &op);
	l->ops++;
	l->refused += op.err != 0;
	peer_store32((volatile uint32_t *)&page->op.err, (uint32_t)op.err);
	peer_store32(&page->op.value, op.value);
	if (!op.err)
		peer_copy_out(page->op.msix_entries, op.msix_entries, n_bytes);
	peer_wmb();
	peer_clear_bits32(&page->flags, XEN_PCIF_active);
	host_event_notify(l->port);
}

/* ---- errors of devices ------------------------------------------------------------------------------------ */

/* fn may say the next word at once. */
static void aer_end(struct lender *l, int result)
{
	void (*fn)(void *ctx, int result) = l->aer_fn;

	host_work_cancel(&l->overdue);
	l->aer_fn = NULL;
	if (fn)
		fn(l->aer_ctx, result);
}

static void aer_answered(struct lender *l)
{
	int32_t err;

	peer_rmb();
	err = (int32_t)peer_fetch32((volatile uint32_t *)&l->page->aer_op.err);
	aer_end(l, err >= AER_NONE && err <= AER_LAST ? err : AER_NONE);
}

static void aer_overdue(void *ctx)
{
	struct lender *l = ctx;

	/* So that what it may still say is not taken for an answer to the next word. */
	peer_clear_bits32(&l->page->flags, XEN_PCIB_active);
	aer_end(l, -XEN_ETIMEDOUT);
}

void lend_aer_forget(const struct lent *f)
{
	struct lender *l = f->lender;

	if (!l->aer_fn || l->aer_of != f)
		return;
	peer_clear_bits32(&l->page->flags, XEN_PCIB_active);
	aer_end(l, -XEN_ENOTCONN);
}

int pciback_aer(uint16_t bdf, uint32_t cmd, int32_t state, void (*fn)(void *ctx, int result),
		void *ctx)
{
	struct lent *f = lent_find(bdf);
	struct lender *l = f ? f->lender : NULL;
	struct xen_pcie_aer_op op;

	if (!l)
		return -XEN_ENODEV;
	if (!l->page)
		return -XEN_ENOTCONN;
	if (!(peer_fetch32(&l->page->flags) & XEN_PCIB_AERHANDLER))
		return -XEN_ENODEV;
	if (l->aer_fn)
		return -XEN_EBUSY;
	op = (struct xen_pcie_aer_op){cmd, state, f->name.domain, f->name.bus, f->name.devfn};
	l->aer_fn = fn;
	l->aer_ctx = ctx;
	l->aer_of = f;
	peer_copy_out(&l->page->aer_op, &op, sizeof(op));
	peer_wmb();
	peer_set_bits32(&l->page->flags, XEN_PCIB_active);
	host_event_notify(l->port);
	host_work_after(&l->overdue, PCIBACK_AER_NS);
	return 0;
}

/* ---- events ------------------------------------------------------------------------------------------------ */

/* Until when the next operation waits; 0: it need not. */
static uint64_t must_wait_ns(struct lender *l)
{
	uint64_t gone = host_time_ns() - l->span_start_ns;

	if (gone >= PCIBACK_SPAN_NS) {
		l->span_start_ns += gone;
		l->span_ops = 0;
	}
	if (l->span_ops++ < PCIBACK_OPS)
		return 0;
	return PCIBACK_SPAN_NS - gone;
}

static void serve_again(void *ctx)
{
	struct lender *l = ctx;

	l->span_ops = 0;
	l->span_start_ns = host_time_ns();
	if (peer_fetch32(&l->page->flags) & XEN_PCIF_active)
		serve(l);
}

static void on_event(void *ctx)
{
	struct lender *l = ctx;
	uint32_t flags = peer_fetch32(&l->page->flags);
	bool answered = l->aer_fn && !(flags & XEN_PCIB_active);
	bool asked = flags & XEN_PCIF_active && !l->again.queued;
	uint64_t wait_ns;

	if (!answered && !asked) {
		host_event_spurious(l->port);
		return;
	}
	if (answered)
		aer_answered(l);
	if (!asked)
		return;
	wait_ns = must_wait_ns(l);
	if (wait_ns)
		host_work_after(&l->again, wait_ns);
	else
		serve(l);
}

int lend_op_begin(struct lender *l, gref_t ref, uint32_t peer_port)
{
	void *va;
	int err = host_ring_map(l->bus.peer, &ref, 1, &va);

	if (err)
		return err;
	l->page = va;
	l->span_start_ns = host_time_ns();
	l->span_ops = 0;
	l->again = (struct host_work){.fn = serve_again, .ctx = l};
	l->overdue = (struct host_work){.fn = aer_overdue, .ctx = l};
	return host_event_bind(l->bus.peer, peer_port, on_event, l, &l->port);
}

/* From any point in the above, also from none. The page is no longer there when the last answer is given: who is told may ask
 * again at once. */
void lend_op_end(struct lender *l)
{
	struct xen_pci_sharedinfo *page = l->page;

	if (l->port.v)
		host_event_close(l->port);
	l->port = PORT_NONE;
	l->page = NULL;
	if (!page)
		return;
	host_work_cancel(&l->again);
	aer_end(l, -XEN_ENOTCONN);
	host_ring_unmap(page, 1);
}
