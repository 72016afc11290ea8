/* pciback_fuzz: a frontend, a machine's functions and a toolstack that are nothing but fuzz, against pciback.
 *
 * The input is first the configuration spaces of some functions (lists of capabilities that loop, overlap and leave the space among
 * them), then a script: operations and other bytes written into the shared page, keys and states of both directories, functions
 * that are added, taken away or vanish, errors of devices, time. Expected: no bad access; registers of which no guest
 * may change a bit keep them; no vector of a function that is not lent; in the end nothing is left.
 *
 * links: tests/host/pci_pair.c tests/host/mock_pci.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c
 * links: protocol/grant_retire.c protocol/pci_name.c drivers-front/pcifront*.c drivers-back/pciback*.c lib/printf.c lib/text.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "tests/host/pci_pair.h"

#define FUNCTIONS 4u

static struct input in;
static struct mock_pci *functions[FUNCTIONS];

static uint8_t byte(void)
{
	return (uint8_t)take(&in, 1);
}

static void make_function(unsigned n)
{
	struct mock_pci *f = mock_pci_add((uint16_t)(0x0300 + (n & 1) * 0x100 + n), 0x00101b36, 1);

	for (unsigned i = byte() % 16; i; i--) {
		unsigned at = byte() & 0x80 ? 0x100 + (byte() & 0x7f) * 4 : byte() & 0xfc;

		mock_pci_put(f, at, 4, (uint32_t)take(&in, 4));
	}
	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		f->info.bar[i] = (uint32_t)byte() << 24 | (byte() & 15);
		f->info.probe[i] = byte() & 1 ? 0xffff0000 | (f->info.bar[i] & 15) : 0;
	}
	f->info.always_decodes = byte() % 8 == 0;
	f->vectors_left = byte();
	f->info.line = byte() % 4 ? 0 : byte();
	functions[n] = f;
}

static void name_function(unsigned n)
{
	char text[24];

	snprintf(text, sizeof(text), "0000:%02x:00.%u", 3 + (n & 1), n);
	if (byte() % 16 == 0)
		text[byte() % 12] = (char)byte();
	pair_function(n, text, byte() & 1 ? "permissive=1" : "permissive=0");
}

/* What no guest changes, whatever it writes: numbers, shape of the header, where its registers are, the bits of the command that
 * are the host's. */
static void check_function(const struct mock_pci *f, const uint32_t *before)
{
	uint32_t command = mock_pci_get(f, 4, 2);

	if (mock_pci_get(f, 0, 4) != before[0] || mock_pci_get(f, 0x0c, 4) >> 8 != before[3] >> 8)
		abort();
	for (unsigned i = 0; i < HOST_PCI_BARS; i++)
		if (mock_pci_get(f, 0x10 + 4 * i, 4) != before[4 + i] &&
		    mock_pci_get(f, 0x10 + 4 * i, 4) != f->info.bar[i])
			abort();
	if (f->n_claims && f->there && (command & ~0x507u || (!(command & 0x400) && !f->info.line)))
		abort();
	if (f->n_claims && f->there && f->claimed_by == DOMID_INVALID && !(command & 0x400))
		abort();
	if (f->n_on && f->claimed_by == DOMID_INVALID)
		abort();
}

/* Mostly what is there and an operation that says something. */
static void operation(void)
{
	static const uint8_t devfns[FUNCTIONS] = {0x00, 0x02, 0x09, 0x0b};
	struct xen_pci_sharedinfo *page = pair_page();
	uint8_t what = byte();
	struct xen_pci_op op = {.cmd = what & 16 ? XEN_PCI_OP_conf_write : what % 13,
				.devfn = what & 128 ? byte() : devfns[what >> 5 & 3]};

	op.size = byte() & 15 ? 1 << (byte() % 3) : (int32_t)take(&in, 4);
	op.offset = (int32_t)take(&in, 2) & (byte() & 3 ? 0xff : 0xffff);
	if (byte() & 7)
		op.offset &= -op.size;
	op.value = byte() & 1 ? byte() : (uint32_t)take(&in, 4);
	op.info = byte();
	for (unsigned i = 0; op.cmd == XEN_PCI_OP_enable_msix && i < MIN(op.value, 8u); i++)
		op.msix_entries[i].entry = byte() & 3 ? (uint16_t)i : byte();
	if (!page)
		return;
	page->op = op;
	page->flags |= XEN_PCIF_active;
	mock_enter(1);
	host_event_notify(pair_port());
}

static void poke(void)
{
	unsigned at = (unsigned)take(&in, 2), n = byte() % 40;

	if (!pair_page())
		return;
	for (; n && at < PAGE_SIZE; n--)
		((uint8_t *)pair_page())[at++] = byte();
	mock_enter(1);
	host_event_notify(pair_port());
}

static void store_says(void)
{
	static const char *const keys[] = {"state",   "num_devs", "dev-0",    "state-0",  "dev-1",
					   "state-1", "vdev-0",   "vdevfn-2", "topology", "opts-3"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[8];

	snprintf(value, sizeof(value), "%u", byte() % 12);
	pair_put(key, byte() & 7 ? value : "0000:04:00.1");
}

static void front_says(void)
{
	static const char *const keys[] = {"state", "state", "pci-op-ref", "event-channel",
					   "magic"};
	char value[8];

	snprintf(value, sizeof(value), "%u", byte() % 9);
	pair_put_front(keys[byte() % ARRAY_SIZE(keys)], value);
}

static void heard(void *ctx, int result)
{
	(void)ctx;
	if (result >= 0 && (result < 1 || result > 5))
		abort();
}

static void machine(void)
{
	struct mock_pci *f = functions[byte() % FUNCTIONS];

	mock_enter(0);
	switch (byte() % 5) {
	case 0:
		f->there = !f->there;
		break;
	case 1:
		(void)pciback_take(f->bdf);
		break;
	case 2:
		(void)pciback_aer(f->bdf, byte(), byte(), heard, NULL);
		break;
	case 3:
		mock_advance((uint64_t)byte() << 28);
		break;
	default:
		f->given_to = byte() & 3 ? 1 : 2;
	}
}

static void hotplug(void)
{
	unsigned n = byte() % FUNCTIONS;

	if (byte() & 1) {
		(void)pair_detach(n);
	} else {
		name_function(n);
		(void)pair_hotplug(FUNCTIONS);
	}
}

static void (*const steps[])(void) = {operation, operation,  operation,  operation, poke,
				      machine,   store_says, front_says, hotplug};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t before[FUNCTIONS][16];

	in = (struct input){data, data + size};
	pair_reset();
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		make_function(i);
		name_function(i);
		memcpy(before[i], functions[i]->space, sizeof(before[i]));
	}
	if (byte() % 8 == 0)
		pair_put("topology", "passthrough");
	if (byte() % 8 == 0)
		mock_fail_after(byte());
	pair_make(FUNCTIONS);
	(void)pair_connect();
	mock_fail_after(-1);
	for (unsigned n = 0; n < 200 && in.at < in.end; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		mock_run();
		for (unsigned i = 0; i < FUNCTIONS; i++)
			check_function(functions[i], before[i]);
	}
	if (!pair_end())
		abort();
	return 0;
}
