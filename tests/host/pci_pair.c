/* pci_pair.c: the stage of pci_pair.h.
 *
 * Called by tests; calls both halves, the mock world and the mock machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci_pair.h"

struct pair_user pair_user;

/* ---- nodes ------------------------------------------------------------------------------------------ */

void pair_put(const char *key, const char *value)
{
	mock_store_put_key(PAIR_BACK, key, value);
}

void pair_put_front(const char *key, const char *value)
{
	mock_store_put_key(PAIR_FRONT, key, value);
}

const char *pair_back(const char *key)
{
	return mock_store_key(PAIR_BACK, key);
}

const char *pair_front(const char *key)
{
	return mock_store_key(PAIR_FRONT, key);
}

static void put_n(const char *key, unsigned n, const char *value)
{
	char name[16];

	snprintf(name, sizeof(name), "%s-%u", key, n);
	pair_put(name, value);
}

void pair_function(unsigned n, const char *dev, const char *opts)
{
	put_n("dev", n, dev);
	if (opts)
		put_n("opts", n, opts);
	put_n("state", n, "1");
}

static void put_count(unsigned count)
{
	char text[8];

	snprintf(text, sizeof(text), "%u", count);
	pair_put("num_devs", text);
}

/* ---- the user ----------------------------------------------------------------------------------------- */

static void added(uint16_t bdf)
{
	pair_user.added[pair_user.n_added++ % 64] = bdf;
}

static void removing(uint16_t bdf)
{
	pair_user.removed[pair_user.n_removed++ % 64] = bdf;
	pair_user.id_at_removal = pcifront_read(bdf, 0, 4);
}

static void error(uint16_t bdf, enum drivers_error what)
{
	pair_user.error_of = bdf;
	pair_user.error = what;
	pair_user.n_errors++;
}

static const struct pcifront_user user = {.added = added, .removing = removing, .error = error};

/* ---- life ---------------------------------------------------------------------------------------------- */

void pair_reset(void)
{
	mock_reset();
	mock_pci_reset();
	pf_kind.classes = NULL;
	lend_kind.classes = NULL;
	memset(&pair_user, 0, sizeof(pair_user));
	mock_enter(0);
	if (pciback_init())
		abort();
	mock_run();
}

void pair_make(unsigned count)
{
	put_count(count);
	pair_put("frontend", PAIR_FRONT);
	pair_put("frontend-id", "1");
	pair_put("online", "1");
	pair_put("state", "1");
	pair_put_front("backend", PAIR_BACK);
	pair_put_front("backend-id", "0");
	pair_put_front("state", "1");
	mock_run();
}

static bool both_connected(void)
{
	return !strcmp(pair_back("state"), "4") && !strcmp(pair_front("state"), "4");
}

bool pair_connect(void)
{
	mock_enter(1);
	if (pcifront_init(&user))
		return false;
	mock_run();
	mock_enter(1);
	return both_connected();
}

bool pair_hotplug(unsigned count)
{
	put_count(count);
	pair_put("state", "7");
	mock_run();
	mock_enter(1);
	return both_connected();
}

bool pair_detach(unsigned n)
{
	put_n("state", n, "5");
	pair_put("state", "7");
	mock_run();
	mock_enter(1);
	return both_connected();
}

bool pair_end(void)
{
	mock_fail_after(-1);
	mock_fail_all(false);
	pair_put("online", "0");
	pair_put("state", "5");
	mock_run();
	mock_advance(12000000000ull);
	mock_store_remove(PAIR_FRONT);
	mock_store_remove(PAIR_BACK);
	mock_run();
	mock_advance(2000000000ull);
	mock_enter(1);
	pcifront_exit();
	mock_run();
	mock_enter(0);
	pciback_exit();
	mock_run();
	mock_advance(2000000000ull);
	return !mock_pci_claimed() && !mock_pci_vectors() && mock_nothing_left(0) &&
	       mock_nothing_left(1);
}

static struct pf_device *the_front(void)
{
	return container_of(xenbus_next(&pf_kind, NULL), struct pf_device, bus);
}

struct xen_pci_sharedinfo *pair_page(void)
{
	return the_front() ? the_front()->page : NULL;
}

port_t pair_port(void)
{
	return the_front() ? the_front()->port : PORT_NONE;
}

/* A domain that is dead frees nothing; this program must. */
void pair_kill_front(void)
{
	struct pf_device *dev = the_front();

	mock_kill(1);
	mock_enter(1);
	while (dev && dev->functions) {
		struct pf_function *f = dev->functions;

		dev->functions = f->next;
		host_free(f, sizeof(*f));
	}
	if (dev)
		host_free(dev, sizeof(*dev));
	host_free(pf_kind.classes, pf_kind.class_bytes);
	pf_kind.classes = NULL;
	mock_enter(0);
}

int32_t pair_ask(uint32_t cmd, uint32_t devfn, struct xen_pci_op *op)
{
	op->cmd = cmd;
	op->devfn = devfn;
	mock_enter(1);
	return pf_op(the_front(), op, SH_INFO_MAX_VEC) ? INT32_MIN : op->err;
}

/* ---- two functions --------------------------------------------------------------------------------------- */

struct mock_pci *pair_nvme, *pair_nic;

struct mock_pci *pair_add_nic(uint16_t bdf)
{
	struct mock_pci *f = mock_pci_add(bdf, PAIR_NIC, 1);

	mock_pci_cap(f, 0x50, 0x05, 0);
	mock_pci_put(f, 0x52, 2, 3 << 1);
	return f;
}

void pair_two_made(void)
{
	pair_reset();
	pair_nvme = mock_pci_add(0x0300, PAIR_NVME, 1);
	mock_pci_cap(pair_nvme, 0x40, 0x11, 0);
	mock_pci_put(pair_nvme, 0x42, 2, 64);
	pair_nic = pair_add_nic(0x0408);
	pair_function(0, "0000:03:00.0", NULL);
	pair_function(1, "0000:04:01.0", "msitranslate=1,permissive=1");
	pair_make(2);
}

void pair_two(void)
{
	pair_two_made();
	if (!pair_connect())
		abort();
}
