/* pcifront_fuzz: a PCI backend and a store that are nothing but fuzz, against pcifront and its user.
 *
 * The input names what functions there are (and is their configuration space), then is a script: answers good and wild, bytes
 * written into the shared page, errors of devices, keys and states of the store, functions that come and go, backends in another's
 * place, calls of the user. Expected: no bad access, each call ends, and when the connection is gone nothing is left.
 *
 * links: tests/host/pci_plain_back.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/pci_name.c
 * links: drivers-front/pcifront*.c lib/printf.c lib/text.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "tests/host/pci_plain_back.h"

static struct input in;

static uint8_t byte(void)
{
	return (uint8_t)take(&in, 1);
}

/* Few of them, so that numbers meet. */
static uint16_t any_bdf(void)
{
	static const uint16_t some[] = {0, 8, 0x0100, 0xff00, 0xfe08, 0x03ff};

	return some[byte() % ARRAY_SIZE(some)];
}

static void name_function(unsigned n)
{
	static char names[4][32];
	char *name = names[n % 4];
	uint8_t how = byte();

	if (how & 128) {
		for (unsigned i = 0; i < 15; i++)
			name[i] = (char)("0:.f1\0z 8"[byte() % 9]);
		name[15] = '\0';
	} else {
		snprintf(name, 32, "%04x:%02x:%02x.%02x", how & 3, how >> 2 & 1, how >> 3 & 3,
			 how >> 5 & 3);
	}
	pb_function(n % 4, name, 0x00101b36 + byte());
}

static void user_calls(void)
{
	uint16_t bdf = any_bdf();
	uint32_t pirq;
	unsigned n;

	mock_enter(1);
	switch (byte() % 6) {
	case 0:
		(void)pcifront_read(bdf, (unsigned)take(&in, 2), byte());
		break;
	case 1:
		(void)pcifront_write(bdf, (unsigned)take(&in, 2), byte(), (uint32_t)take(&in, 4));
		break;
	case 2:
		if (!pcifront_msix(bdf, byte(), byte(), &pirq) && (!pirq || pirq > 0xffff))
			abort();
		break;
	case 3:
		n = 1u << byte() % 6;
		if (!pcifront_msi(bdf, n, &pirq) && (!pirq || pirq + n - 1 > 0xffff))
			abort();
		break;
	case 4:
		pcifront_interrupts_off(bdf);
		break;
	default:
		if (pcifront_count() > PCIFRONT_FUNCTIONS_MAX ||
		    pcifront_count() != pb_user.n_there)
			abort();
	}
}

static void poke(void)
{
	unsigned at = (unsigned)take(&in, 2), n = byte() % 40;

	if (!pb.mapped)
		return;
	for (; n && at < PAGE_SIZE; n--)
		((uint8_t *)pb.page)[at++] = byte();
	mock_enter(0);
	host_event_notify(pb.port);
}

static void store_says(void)
{
	static const char *const keys[] = {"state",   "num_devs", "vdev-0",
					   "state-0", "vdev-1",   "state-1"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[8];

	snprintf(value, sizeof(value), "%u", byte() % 16);
	pb_put_back(key, byte() & 15 ? value : "x:y");
}

/* Buses, and perhaps no names: what is there is searched when the list changes. */
static void roots_say(void)
{
	char value[16];

	pb.unnamed = byte() & 1;
	snprintf(value, sizeof(value), "%u", byte() % 40);
	pb_put_back("root_num", value);
	snprintf(value, sizeof(value), "%04x:%02x", byte() & 3, byte() & 1);
	pb_put_back(byte() & 1 ? "root-0" : "root-1", byte() & 15 ? value : "x:y");
	if (pb.unnamed)
		pb_put_back("num_devs", "0");
}

static void another_backend(void)
{
	pb_drop();
	pb_put_back("state", byte() & 1 ? "6" : "2");
	mock_run();
	pb_put_back("state", "3");
	mock_run();
	if (!strcmp(pb_front("state"), "3"))
		(void)pb_connect();
}

static void step(void)
{
	switch (byte() % 8) {
	case 0:
	case 1:
		user_calls();
		break;
	case 2:
		pb.bad = byte() % PB_BADS;
		break;
	case 3:
		poke();
		break;
	case 4:
		if (byte() & 3)
			store_says();
		else
			roots_say();
		break;
	case 5:
		if (byte() & 1)
			pb_detach(byte() % 4);
		else
			pb_hotplug(byte() % 4);
		break;
	case 6:
		if (pb.mapped)
			(void)pb_aer(byte() % 12, byte() & 1, byte(), (int32_t)take(&in, 4));
		break;
	default:
		name_function(byte());
		another_backend();
	}
	mock_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in = (struct input){data, data + size};
	pb_reset();
	for (unsigned i = 0, n = byte() % 4; i < n; i++)
		name_function(i);
	if (byte() % 8 == 0)
		mock_fail_after(byte());
	(void)pb_begin();
	mock_fail_after(-1);
	mock_run();
	for (unsigned i = 0; i < 200 && in.at < in.end; i++)
		step();
	if (!pb_end())
		abort();
	return 0;
}
