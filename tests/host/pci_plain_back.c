/* pci_plain_back.c: the backend of pci_plain_back.h.
 *
 * Called by tests; calls the mock world as domain 0, and pcifront to start and stop it. It answers from its event handler, so
 * while the frontend waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci_plain_back.h"

#define FRONT "/local/domain/1/device/pci/0"
#define BACK  "/local/domain/0/backend/pci/1/0"

struct plain_pci pb;
struct pb_user pb_user;

/* ---- nodes ------------------------------------------------------------------------------------ */

void pb_put_back(const char *key, const char *value)
{
	mock_store_put_key(BACK, key, value);
}

const char *pb_front(const char *key)
{
	return mock_store_key(FRONT, key);
}

static void put_number(const char *key, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	pb_put_back(key, text);
}

struct pb_device *pb_function(unsigned n, const char *name, uint32_t id)
{
	struct pb_device *d = &pb.dev[n];

	*d = (struct pb_device){.name = name, .max_vectors = 64};
	memcpy(d->space, &id, sizeof(id));
	return d;
}

void pb_publish(unsigned n, unsigned state)
{
	char key[16];

	snprintf(key, sizeof(key), "vdev-%u", n);
	if (pb.dev[n].name && !pb.unnamed)
		pb_put_back(key, pb.dev[n].name);
	snprintf(key, sizeof(key), "state-%u", n);
	put_number(key, state);
}

/* ---- operations --------------------------------------------------------------------------------- */

static struct pb_device *device_of(const struct xen_pci_op *op)
{
	char name[32];

	snprintf(name, sizeof(name), "%04x:%02x:%02x.%02x", op->domain, op->bus, op->devfn >> 3,
		 op->devfn & 7);
	for (unsigned i = 0; i < PB_DEVICES; i++)
		if (pb.dev[i].name && !strcmp(pb.dev[i].name, name))
			return &pb.dev[i];
	return NULL;
}

static void config(struct pb_device *d, struct xen_pci_op *op)
{
	bool is_write = op->cmd == XEN_PCI_OP_conf_write;

	if (op->offset < 0 || op->size < 1 || op->size > 4 || op->offset + op->size > 4096 ||
	    op->offset % op->size) {
		op->err = XEN_PCI_ERR_invalid_offset;
		return;
	}
	pb.n_writes += is_write;
	pb.n_reads += !is_write;
	if (is_write) {
		memcpy(d->space + op->offset, &op->value, (size_t)op->size);
		return;
	}
	op->value = pb.bad == PB_WIDE ? 0xeeeeeeee : 0;
	memcpy(&op->value, d->space + op->offset, (size_t)op->size);
}

static void enable_msix(struct pb_device *d, struct xen_pci_op *op)
{
	unsigned n = op->value;

	if (d->msix_on || d->msi_on || n > d->max_vectors || n > SH_INFO_MAX_VEC) {
		op->err = n > d->max_vectors ? -28 : -114;
		return;
	}
	d->msix_on = n;
	op->value = pb.bad == PB_FEWER ? 1 : 0;
	for (unsigned i = 0; i < n; i++)
		op->msix_entries[i].vector = (uint16_t)(PB_PIRQ + op->msix_entries[i].entry);
	if (pb.bad == PB_NO_VECTOR)
		op->msix_entries[n - 1].vector = 0;
	for (unsigned i = 0; pb.bad == PB_ENTRIES && i < n; i++)
		op->msix_entries[i].entry = 0xffff;
}

static void enable_msi(struct pb_device *d, struct xen_pci_op *op, unsigned n)
{
	if (d->msix_on || d->msi_on || n > d->max_vectors) {
		op->err = XEN_PCI_ERR_op_failed;
		op->value = d->max_vectors;
		return;
	}
	d->msi_on = n;
	op->value = pb.bad == PB_HUGE_PIRQ   ? 0x12345678
		    : pb.bad == PB_NO_VECTOR ? 0
		    : pb.bad == PB_LAST_PIRQ ? 0xffff
					     : PB_PIRQ + 50;
}

static void do_op(struct xen_pci_op *op)
{
	struct pb_device *d = device_of(op);

	op->err = 0;
	if (!d) {
		op->err = XEN_PCI_ERR_dev_not_found;
		return;
	}
	switch (op->cmd) {
	case XEN_PCI_OP_conf_read:
	case XEN_PCI_OP_conf_write:
		config(d, op);
		break;
	case XEN_PCI_OP_enable_msix:
		enable_msix(d, op);
		break;
	case XEN_PCI_OP_enable_msi:
		enable_msi(d, op, 1);
		break;
	case XEN_PCI_OP_enable_multi_msi:
		enable_msi(d, op, op->info);
		break;
	case XEN_PCI_OP_disable_msix:
	case XEN_PCI_OP_disable_msi:
		d->msix_on = d->msi_on = 0;
		d->off++;
		break;
	default:
		pb.n_unknown++;
		op->err = XEN_PCI_ERR_not_implemented;
	}
}

static void answer(void)
{
	struct xen_pci_op op = pb.page->op;

	pb.last = op;
	pb.n_ops++;
	do_op(&op);
	if (pb.bad == PB_ERRS)
		op.err = 0x7eadbeef;
	if (pb.bad == PB_ANOTHER)
		op.domain = op.bus = op.devfn = 77, op.offset = -1, op.size = 99;
	pb.page->op = op;
	if (pb.bad == PB_AER_AT_ONCE) {
		pb.page->aer_op = (struct xen_pcie_aer_op){.cmd = 0x99, .bus = 999, .devfn = 999};
		pb.page->flags |= XEN_PCIB_active;
	}
	if (pb.bad == PB_FLAGS)
		pb.page->flags = ~XEN_PCIF_active;
	else
		pb.page->flags &= ~XEN_PCIF_active;
	host_event_notify(pb.port);
}

static void on_event(void *ctx)
{
	(void)ctx;
	if (pb.away || !pb.mapped || !(pb.page->flags & XEN_PCIF_active) || pb.bad == PB_SILENT)
		return;
	if (pb.bad == PB_NOTIFIES)
		host_event_notify(pb.port);
	else
		answer();
}

int pb_aer(uint32_t cmd, uint32_t bus, uint32_t devfn, int32_t state)
{
	mock_enter(0);
	pb.page->aer_op =
	    (struct xen_pcie_aer_op){.cmd = cmd, .bus = bus, .devfn = devfn, .err = state};
	pb.page->flags |= XEN_PCIB_active;
	host_event_notify(pb.port);
	mock_run();
	return pb.page->flags & XEN_PCIB_active ? -1 : pb.page->aer_op.err;
}

/* ---- the user ------------------------------------------------------------------------------------ */

static void added(uint16_t bdf)
{
	pb_user.added[pb_user.n_added++ % 64] = bdf;
	pb_user.n_there++;
}

static void removing(uint16_t bdf)
{
	pb_user.removed[pb_user.n_removed++ % 64] = bdf;
	pb_user.n_there--;
	pb_user.id_at_removal = pcifront_read(bdf, 0, 4);
}

static void error(uint16_t bdf, enum drivers_error what)
{
	pb.error_of = bdf;
	pb.error = what;
	pb.n_errors++;
}

static const struct pcifront_user user = {.added = added, .removing = removing, .error = error};

/* ---- the connection ------------------------------------------------------------------------------ */

void pb_reset(void)
{
	mock_reset();
	memset(&pb, 0, sizeof(pb));
	memset(&pb_user, 0, sizeof(pb_user));
	pf_kind.classes = NULL;
}

void pb_attach(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PB_DEVICES; i++)
		if (pb.dev[i].name) {
			pb_publish(i, 3);
			n = i + 1;
		}
	put_number("num_devs", n);
	pb_put_back("frontend", FRONT);
	pb_put_back("frontend-id", "1");
	pb_put_back("online", "1");
	pb_put_back("state", "2");
	mock_store_put_key(FRONT, "backend", BACK);
	mock_store_put_key(FRONT, "backend-id", "0");
	mock_store_put_key(FRONT, "state", "1");
	mock_run();
	pb_put_back("state", "3");
	mock_run();
}

void pb_drop(void)
{
	mock_enter(0);
	if (pb.port.v)
		host_event_close(pb.port);
	if (pb.mapped)
		host_ring_unmap(pb.page, 1);
	pb.port = PORT_NONE;
	pb.mapped = false;
}

bool pb_connect(void)
{
	gref_t ref = {(uint32_t)strtoul(pb_front("pci-op-ref"), NULL, 10)};
	unsigned port = (unsigned)strtoul(pb_front("event-channel"), NULL, 10);
	void *va;

	mock_enter(0);
	if (strcmp(pb_front("state"), "3") || strcmp(pb_front("magic"), XEN_PCI_MAGIC) ||
	    host_ring_map(1, &ref, 1, &va))
		return false;
	pb.page = va;
	pb.mapped = true;
	if (host_event_bind(1, port, on_event, NULL, &pb.port)) {
		pb_drop();
		return false;
	}
	pb_put_back("state", "4");
	mock_run();
	return true;
}

bool pb_begin(void)
{
	mock_enter(1);
	if (pcifront_init(&user))
		return false;
	mock_run();
	pb_attach();
	return pb_connect();
}

void pb_begin_two(void)
{
	pb_reset();
	pb_function(0, "0000:00:00.00", PB_NVME);
	pb_function(1, "0000:00:01.00", PB_NIC);
	if (!pb_begin() || strcmp(pb_front("state"), "4"))
		mock_bug("no connection");
	mock_enter(1);
}

bool pb_end(void)
{
	mock_fail_after(-1);
	pb_put_back("state", "5");
	mock_run();
	pb_drop();
	mock_store_remove(FRONT);
	mock_store_remove(BACK);
	mock_run();
	mock_advance(2000000000ull);
	mock_enter(1);
	pcifront_exit();
	mock_run();
	return !pb_user.n_there && mock_nothing_left(1) && mock_nothing_left(0);
}

/* As Linux's backend: when the front says Reconfiguring it does its part, and Reconfigured; then follows to Connected. */
static void back_follows(void)
{
	if (!strcmp(pb_front("state"), "7"))
		pb_put_back("state", "8");
	mock_run();
	if (!strcmp(pb_front("state"), "4"))
		pb_put_back("state", "4");
	mock_run();
}

void pb_detach(unsigned n)
{
	pb_publish(n, 5);
	pb_put_back("state", "7");
	mock_run();
	pb.dev[n].name = NULL;
	back_follows();
}

void pb_hotplug(unsigned n)
{
	pb_put_back("state", "7");
	mock_run();
	pb_publish(n, 3);
	put_number("num_devs", n + 1);
	back_follows();
}
