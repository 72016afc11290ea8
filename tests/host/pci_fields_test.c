/* pci_fields_test: what a guest sees of a function's configuration space through pciback, and what its writes do to the device.
 *
 * Shows, row by row of the table: what is read, which bits of a write arrive and which do not, and that nothing else arrives; command
 * bits kept for the guest, base registers that stay and tell their size, sleep that is not one, capabilities filtered and linked
 * anew; lists that loop, leave the space or overlap; `permissive`. Why: this table is what keeps a guest's driver
 * from the registers by which a device is reset, moved, or let past the IOMMU. All through pcifront, as a guest asks.
 *
 * links: tests/host/pci_pair.c tests/host/mock_pci.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c
 * links: protocol/grant_retire.c protocol/pci_name.c drivers-front/pcifront*.c drivers-back/pciback*.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci_pair.h"

#define NVME 0x00101b36u
#define BDF  0x0318u

static struct mock_pci *dev;

/* A function with one 64-bit memory base register, an I/O one, and noise wherever a guest should not look. */
static void make_device(void)
{
	pair_reset();
	dev = mock_pci_add(BDF, NVME, 1);
	for (unsigned i = 4; i < 64; i++)
		dev->space[i] = 0;
	mock_pci_put(dev, 0x04, 2, 0x0107);
	mock_pci_put(dev, 0x06, 2, 0xf9e8);
	mock_pci_put(dev, 0x08, 4, 0x01080202);
	mock_pci_put(dev, 0x0c, 4, 0xc0804010);
	mock_pci_put(dev, 0x28, 4, 0x11111111);
	mock_pci_put(dev, 0x2c, 4, 0x11001af4);
	mock_pci_put(dev, 0x30, 4, 0xfeb00001);
	mock_pci_put(dev, 0x38, 4, 0x22222222);
	mock_pci_put(dev, 0x3c, 4, 0x0908010b);
	dev->info.bar[0] = 0xfe000004, dev->info.probe[0] = 0xffffc004;
	dev->info.bar[1] = 0x00000004, dev->info.probe[1] = 0xffffffff;
	dev->info.bar[2] = 0x0000c001, dev->info.probe[2] = 0xffffffe1;
	for (unsigned n = 0; n < 3; n++)
		mock_pci_put(dev, 0x10 + 4 * n, 4, dev->info.bar[n]);
	dev->clears[7] = 0xf9;
}

static void lend_with(const char *opts)
{
	pair_function(0, "0000:03:03.0", opts);
	pair_make(1);
	assert_true(pair_connect());
	dev->n_writes = 0;
}

static uint32_t rd(unsigned at, unsigned width)
{
	return pcifront_read(0, at, width);
}

static void wr(unsigned at, unsigned width, uint32_t value)
{
	assert_true(pcifront_write(0, at, width, value));
}

/* Nothing of a write arrives. */
static void assert_kept(unsigned at, unsigned width, uint32_t value)
{
	unsigned n = dev->n_writes;

	wr(at, width, value);
	assert_int_equal(dev->n_writes, n);
}

/* ---- the header ---------------------------------------------------------------------------------------- */

static void test_header_is_read(void **state)
{
	make_device();
	lend_with(NULL);
	assert_int_equal(rd(0, 4), NVME);
	assert_int_equal(rd(0, 2), 0x1b36);
	assert_int_equal(rd(0x06, 2), 0xf9e0); /* no interrupt bit, and no list: there is none */
	assert_int_equal(rd(0x08, 4), 0x01080202);
	assert_int_equal(rd(0x0b, 1), 0x01);
	assert_int_equal(rd(0x0c, 4), 0x00804010);
	assert_int_equal(rd(0x28, 4), 0);
	assert_int_equal(rd(0x2c, 4), 0x11001af4);
	assert_int_equal(rd(0x30, 4), 0);
	assert_int_equal(rd(0x34, 4), 0);
	assert_int_equal(rd(0x38, 4), 0);
	assert_int_equal(rd(0x3c, 4), 0x09080000);
	assert_true(pair_end());
}

static void test_header_is_not_written(void **state)
{
	static const unsigned kept[] = {0x00, 0x08, 0x28, 0x2c, 0x30, 0x34, 0x38, 0x3c};

	make_device();
	lend_with("permissive=1");
	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++) {
		assert_kept(kept[i], 4, 0xffffffff);
		assert_kept(kept[i] + 2, 2, 0);
		assert_kept(kept[i] + 3, 1, 0x5a);
	}
	/* The cache line's size arrives, and what stands beside it is written back as it was. */
	wr(0x0c, 4, 0xffffff08);
	assert_int_equal(mock_pci_get(dev, 0x0c, 4), 0xc0804008);
	wr(0x0c, 1, 0x20);
	assert_int_equal(mock_pci_get(dev, 0x0c, 4), 0xc0804020);
	assert_kept(0x0d, 1, 0xff);
	assert_kept(0x0f, 1, 0x40); /* a self-test */
	assert_true(pair_end());
}

/* One with only a line has it while its registers answer, it is awake and the guest has not turned it off; and not before the guest's driver or after it. */
static void test_line(void **state)
{
	make_device();
	mock_pci_cap(dev, 0x50, 0x01, 0);
	dev->info.line = 11;
	lend_with(NULL);
	assert_int_equal(rd(0x3c, 4), 0x0908010b);
	assert_int_equal(rd(0x06, 2), 0xf9f8); /* its interrupt bit */
	assert_kept(0x3c, 1, 5);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x500);
	wr(4, 2, 0x7);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x107);
	wr(4, 2, 0x407);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x507);
	wr(4, 2, 0x3);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x103);
	wr(0x54, 2, 3); /* asleep */
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x503);
	wr(0x54, 2, 0);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x103);
	assert_true(pair_end());
	assert_int_equal(mock_pci_get(dev, 4, 2) & 0x404, 0x400);
}

static void test_command(void **state)
{
	make_device();
	lend_with(NULL);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x500); /* nothing but: no INTx */
	assert_int_equal(rd(4, 2), 0);
	wr(4, 2, 0x0002);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x502);
	wr(4, 2, 0x0006);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x506);
	assert_int_equal(rd(4, 2), 0x0006);
	/* All ones: what is no guest's does not stick, here or there. */
	wr(4, 2, 0xffff);
	assert_int_equal(rd(4, 2), 0x0547);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x507);
	/* Off again: the guest reads so, the device goes on to answer, and masters no more. */
	wr(4, 2, 0);
	assert_int_equal(rd(4, 2), 0);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x503);
	/* By bytes; and the status beside it, where ones clear. */
	wr(4, 1, 4);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x507);
	wr(5, 1, 4);
	assert_int_equal(rd(4, 2), 0x0404);
	assert_int_equal(mock_pci_get(dev, 6, 2), 0xf9e8);
	wr(4, 4, 0x10000006);
	assert_int_equal(mock_pci_get(dev, 6, 2), 0xe9e8);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x507);
	assert_true(pair_end());
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x500);
}

/* A function without ports does not get its ports decoded. */
static void test_command_of_what_is_there(void **state)
{
	make_device();
	dev->info.probe[2] = dev->info.bar[2] = 0;
	dev->info.bar[1] = 0x00000005; /* an upper half that looks like ports */
	lend_with(NULL);
	wr(4, 2, 7);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x506);
	assert_int_equal(rd(4, 2), 7);
	assert_true(pair_end());
}

static void test_bars(void **state)
{
	make_device();
	lend_with("permissive=1");
	assert_int_equal(rd(0x10, 4), 0xfe000004);
	assert_int_equal(rd(0x14, 4), 0x00000004);
	assert_int_equal(rd(0x18, 4), 0xc001);
	assert_int_equal(rd(0x1c, 4), 0);
	assert_int_equal(rd(0x12, 2), 0xfe00);
	for (unsigned n = 0; n < 6; n++) {
		assert_kept(0x10 + 4 * n, 4, 0xffffffff);
		assert_int_equal(rd(0x10 + 4 * n, 4), dev->info.probe[n]);
		assert_kept(0x10 + 4 * n, 4, dev->info.bar[n]);
		assert_int_equal(rd(0x10 + 4 * n, 4), dev->info.bar[n]);
		assert_kept(0x10 + 4 * n, 4, 0xdead0000);
		assert_kept(0x10 + 4 * n, 2, 0xffff);
		assert_int_equal(rd(0x10 + 4 * n, 4), dev->info.bar[n]);
	}
	/* After a reset that the device forgot itself by: the same address arrives, another does not. */
	mock_pci_put(dev, 0x10, 4, 4);
	assert_kept(0x10, 4, 0xfd000004);
	wr(0x10, 4, 0xfe000004);
	assert_int_equal(mock_pci_get(dev, 0x10, 4), 0xfe000004);
	/* Parts are no address and no question, and end none. */
	mock_pci_put(dev, 0x14, 4, 0);
	wr(0x14, 4, 0xffffffff);
	assert_kept(0x14, 1, 4);
	assert_int_equal(rd(0x14, 4), 0xffffffff);
	assert_true(pair_end());
}

/* A virtual function's registers tell nothing: number, base registers and decoding come from elsewhere. */
static void test_virtual_function(void **state)
{
	make_device();
	mock_pci_put(dev, 0, 4, 0xffffffff);
	mock_pci_put(dev, 0x10, 4, 0);
	dev->info.always_decodes = true;
	lend_with(NULL);
	assert_int_equal(rd(0, 4), NVME);
	assert_int_equal(rd(0x10, 4), 0xfe000004);
	wr(4, 2, 6);
	assert_int_equal(rd(4, 2), 6);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x506); /* some have the bit all the same */
	dev->n_writes = 0;
	assert_kept(0x10, 4, 0xfe000004);
	assert_true(pair_end());
}

/* ---- capabilities --------------------------------------------------------------------------------------- */

/* Fills a capability of n bytes with ones, but for its head. */
static void cap(unsigned at, unsigned id, unsigned next, unsigned n)
{
	mock_pci_cap(dev, at, id, next);
	memset(dev->space + at + 2, 0xff, n - 2);
}

static void test_list_is_filtered(void **state)
{
	make_device();
	cap(0x40, 0x13, 0x48, 6); /* AF */
	cap(0x48, 0x01, 0x52, 8); /* a link's low bits are nothing */
	cap(0x50, 0x08, 0x58, 8); /* HyperTransport */
	cap(0x58, 0x12, 0x60, 8);
	cap(0x60, 0x14, 0x00, 8); /* enhanced allocation */
	lend_with(NULL);
	assert_int_equal(rd(6, 2) & 0x10, 0x10);
	assert_int_equal(rd(0x34, 1), 0x48);
	assert_int_equal(rd(0x48, 2), 0x5801);
	assert_int_equal(rd(0x58, 2), 0x0012);
	assert_int_equal(rd(0x40, 4), 0);
	assert_int_equal(rd(0x44, 4), 0);
	assert_int_equal(rd(0x60, 4), 0);
	assert_kept(0x44, 1, 1);
	assert_true(pair_end());
}

static void test_all_hidden(void **state)
{
	make_device();
	cap(0x40, 0x13, 0x48, 6);
	cap(0x48, 0x14, 0, 8);
	lend_with(NULL);
	assert_int_equal(rd(6, 2) & 0x10, 0);
	assert_int_equal(rd(0x34, 1), 0);
	assert_true(pair_end());
}

static void test_power(void **state)
{
	make_device();
	cap(0x40, 0x01, 0, 8);
	lend_with("permissive=1");
	wr(4, 2, 6);
	dev->n_writes = 0;
	assert_int_equal(rd(0x42, 2), 0x0027); /* no PME, no D1, no D2 */
	assert_int_equal(rd(0x44, 4), 8);      /* nothing is lost by sleep */
	wr(0x44, 2, 0x8103);                   /* D3, and wake-up */
	assert_int_equal(rd(0x44, 4), 0xb);
	assert_int_equal(mock_pci_get(dev, 0x44, 4), 0xffffffff);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x502); /* what sleeps masters nothing */
	wr(0x44, 2, 1);
	assert_int_equal(rd(0x44, 4), 0xb); /* there is no D1 */
	wr(0x44, 1, 0);
	assert_int_equal(mock_pci_get(dev, 4, 2), 0x506);
	dev->n_writes = 0;
	assert_kept(0x46, 2, 0xffff);
	assert_true(pair_end());
}

static void test_vpd(void **state)
{
	make_device();
	cap(0x40, 0x03, 0, 8);
	lend_with("permissive=1");
	wr(0x42, 2, 0x0010);
	assert_int_equal(mock_pci_get(dev, 0x42, 2), 0x0010);
	assert_kept(0x42, 2, 0x8010);
	assert_kept(0x40, 4, 0x80100000);
	wr(0x40, 4, 0x00200000);
	assert_int_equal(mock_pci_get(dev, 0x40, 4), 0x00200003);
	assert_kept(0x42, 1, 1);
	assert_kept(0x44, 4, 1);
	assert_int_equal(rd(0x44, 4), 0xffffffff);
	assert_true(pair_end());
}

static void test_message_signalled(void **state)
{
	make_device();
	cap(0x40, 0x05, 0x60, 24);
	cap(0x60, 0x11, 0, 12);
	lend_with("permissive=1");
	assert_int_equal(rd(0x40, 4), 0xffff6005);
	for (unsigned at = 0x44; at < 0x58; at += 4)
		assert_int_equal(rd(at, 4), 0);
	assert_int_equal(rd(0x58, 4), mock_pci_get(dev, 0x58, 4));
	assert_int_equal(rd(0x60, 4), 0xffff0011);
	assert_int_equal(rd(0x64, 4), 0xffffffff);
	for (unsigned at = 0x40; at < 0x6c; at += 2)
		if (at < 0x58 || at >= 0x60)
			assert_kept(at, 2, 0);
	assert_true(pair_end());
}

/* Its length is in its shape: what follows is not its own. */
static void test_msi_sizes(void **state)
{
	static const struct {
		uint16_t control;
		unsigned size;
	} shapes[] = {{0, 12}, {0x80, 16}, {0x100, 20}, {0x180, 24}};

	for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
		make_device();
		memset(dev->space + 0x40, 0xff, 64);
		mock_pci_cap(dev, 0x40, 5, 0);
		mock_pci_put(dev, 0x42, 2, shapes[i].control);
		lend_with(NULL);
		assert_int_equal(rd(0x40 + shapes[i].size - 4, 4), 0);
		assert_int_equal(rd(0x40 + shapes[i].size, 4), 0xffffffff);
		assert_true(pair_end());
	}
}

static void test_express(void **state)
{
	make_device();
	cap(0x40, 0x10, 0, 60);
	mock_pci_put(dev, 0x42, 2, 0x0002);
	mock_pci_put(dev, 0x48, 4, 0x000f2810);
	dev->clears[0x4a] = 0x0f;
	lend_with(NULL);
	assert_int_equal(rd(0x40, 4), 0x00020010);
	assert_int_equal(rd(0x44, 4), 0xefffffff); /* no function-level reset */
	wr(0x48, 2, 0xffef);
	assert_int_equal(mock_pci_get(dev, 0x48, 4), 0x000f2800); /* relaxed ordering is off */
	wr(0x48, 4, 0x0005ffff);
	assert_int_equal(mock_pci_get(dev, 0x48, 4), 0x000a2810);
	assert_kept(0x49, 1, 0x80); /* a reset */
	assert_kept(0x4c, 4, 0);
	assert_kept(0x50, 2, 3);
	assert_int_equal(rd(0x64, 4), 0xffffffff);
	assert_kept(0x68, 2, 0x400);
	assert_int_equal(rd(0x68, 4), 0xffffffff);
	assert_true(pair_end());

	/* The first version is shorter. */
	make_device();
	cap(0x40, 0x10, 0, 60);
	mock_pci_put(dev, 0x42, 2, 0x0001);
	lend_with("permissive=1");
	assert_kept(0x49, 1, 0x80);
	wr(0x50, 2, 3); /* the link's power management, with permission */
	assert_int_equal(mock_pci_get(dev, 0x50, 2), 3);
	assert_int_equal(rd(0x64, 4), 0xffffffff);
	assert_true(pair_end());
}

static void test_vendor_and_no_mans_land(void **state)
{
	make_device();
	cap(0x40, 0x09, 0, 16);
	dev->space[0x42] = 13;
	mock_pci_put(dev, 0x80, 4, 0x12345678);
	lend_with(NULL);
	assert_int_equal(rd(0x40, 4), 0xff0d0009);
	assert_int_equal(rd(0x44, 4), 0xffffffff);
	assert_kept(0x44, 4, 0);
	assert_int_equal(rd(0x82, 2), 0x1234);
	assert_kept(0x80, 4, 0);
	assert_true(pair_end());

	make_device();
	cap(0x40, 0x09, 0, 16);
	dev->space[0x42] = 13;
	lend_with("msitranslate=0,power_mgmt=0,permissive=1");
	wr(0x44, 4, 0x55aa);
	assert_int_equal(mock_pci_get(dev, 0x44, 4), 0x55aa);
	wr(0x81, 1, 0x66);
	assert_int_equal(mock_pci_get(dev, 0x80, 2), 0x6600);
	assert_true(pair_end());
}

/* ---- lists that are wrong ---------------------------------------------------------------------------------- */

static unsigned list_length(void)
{
	unsigned n = 0;

	for (unsigned at = rd(0x34, 1); at && n < 100; at = rd(at + 1, 1))
		n++;
	return n;
}

static void test_lists_that_loop(void **state)
{
	static const uint8_t ends[] = {0x40, 0x48, 0x44, 0x3c, 0x04, 0xfc};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		make_device();
		cap(0x40, 0x01, 0x48, 8);
		cap(0x48, 0x03, ends[i], 8);
		if (ends[i] == 0xfc)
			cap(0xfc, 0x10, 0, 4); /* and would go on beyond the end */
		lend_with(NULL);
		assert_int_equal(list_length(), 2);
		assert_int_equal(mock_logged("list of capabilities ends"),
				 ends[i] != 0x3c && ends[i] != 4);
		assert_true(pair_end());
	}
}

/* As many as fit, and two of a kind: the second is not seen. */
static void test_lists_that_are_full(void **state)
{
	make_device();
	for (unsigned at = 0x40; at < 0xfc; at += 4)
		cap(at, 0x09, at + 4, 4);
	for (unsigned at = 0x42; at < 0xfc; at += 4)
		dev->space[at] = 4;
	lend_with(NULL);
	assert_int_equal(list_length(), 47);
	assert_true(pair_end());

	make_device();
	cap(0x40, 0x05, 0x60, 24);
	cap(0x60, 0x05, 0x80, 24);
	cap(0x80, 0x11, 0xa0, 12);
	cap(0xa0, 0x11, 0, 12);
	lend_with(NULL);
	assert_int_equal(list_length(), 2);
	assert_int_equal(rd(0x80, 4), 0xffff0011);
	assert_true(pair_end());
}

/* ---- extended space ------------------------------------------------------------------------------------------ */

static void ext(unsigned at, unsigned id, unsigned next)
{
	memset(dev->space + at, 0xee, MIN(64u, sizeof(dev->space) - at));
	mock_pci_put(dev, at, 4, next << 20 | 1 << 16 | id);
}

static void test_extended_list(void **state)
{
	make_device();
	ext(0x100, 0x0001, 0x150); /* AER */
	ext(0x150, 0x000b, 0x180);
	mock_pci_put(dev, 0x154, 4, 0x01000000 | 42);
	ext(0x180, 0x0010, 0x200); /* SR-IOV */
	ext(0x200, 0x0003, 0x300);
	ext(0x300, 0x000f, 0); /* ATS */
	lend_with("permissive=1");
	assert_int_equal(rd(0x100, 4), 0x15010001);
	for (unsigned at = 0x104; at < 0x12c; at += 4)
		assert_int_equal(rd(at, 4), 0xeeeeeeee);
	assert_int_equal(rd(0x12c, 4), 0); /* a root port's */
	assert_int_equal(rd(0x150, 4), 0x2001000b);
	assert_int_equal(rd(0x158, 4), 0xeeeeeeee);
	assert_int_equal(rd(0x160, 4), 0);
	assert_int_equal(rd(0x200, 4), 0x00010003);
	assert_int_equal(rd(0x204, 4), 0xeeeeeeee);
	assert_int_equal(rd(0x180, 4), 0);
	assert_int_equal(rd(0x306, 2), 0);
	for (unsigned at = 0x100; at < 0x320; at += 4)
		assert_kept(at, 4, 0xffffffff);
	assert_kept(0xffc, 4, 0xffffffff);
	assert_true(pair_end());
}

static void test_extended_lists_that_are_wrong(void **state)
{
	make_device();
	ext(0x100, 0x0003, 0x200);
	ext(0x200, 0x000d, 0x100); /* a loop */
	lend_with(NULL);
	assert_int_equal(rd(0x100, 4), 0x00010003);
	assert_true(pair_end());

	make_device();
	ext(0x100, 0x0003, 0xff8); /* its last word would be outside */
	ext(0xff0, 0x0003, 0);
	lend_with(NULL);
	assert_int_equal(rd(0x100, 4), 0x00010003);
	assert_true(pair_end());

	make_device();
	ext(0x100, 0x000f, 0x200); /* hidden: nobody's, and the link */
	ext(0x200, 0x0001, 0x220);
	ext(0x220, 0x0003, 0); /* among those errors */
	lend_with(NULL);
	assert_int_equal(rd(0x100, 4), 0x20000000);
	assert_int_equal(rd(0x200, 4), 0x00010001);
	assert_int_equal(rd(0x224, 4), 0xeeeeeeee);
	assert_true(pair_end());

	make_device();
	ext(0x100, 0x000b, 0);
	mock_pci_put(dev, 0x104, 4, 0xfff00000); /* longer than the space */
	lend_with(NULL);
	assert_int_equal(rd(0x100, 4), 0);
	assert_true(pair_end());

	make_device();
	memset(dev->space + 0x100, 0xff, 4); /* no such space */
	lend_with(NULL);
	assert_int_equal(rd(0x100, 4), 0);
	assert_true(pair_end());
}

/* ---- a device that goes ---------------------------------------------------------------------------------------- */

static void test_device_vanishes(void **state)
{
	struct xen_pci_op op = {.offset = 0, .size = 4};

	make_device();
	cap(0x40, 0x01, 0x48, 8);
	lend_with(NULL);
	wr(4, 2, 6);
	dev->there = false;
	assert_int_equal(rd(0, 4), 0xffffffff);
	assert_int_equal(rd(4, 2), 0xffff); /* what the guest wrote is not a device's word */
	assert_int_equal(rd(0x10, 4), 0xffffffff);
	assert_int_equal(rd(0x80, 4), 0xffffffff);
	assert_false(pcifront_write(0, 4, 2, 6));
	assert_int_equal(pair_ask(XEN_PCI_OP_conf_read, 0, &op), XEN_PCI_ERR_dev_not_found);
	assert_true(pair_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_header_is_read),
	    cmocka_unit_test(test_header_is_not_written),
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_command),
	    cmocka_unit_test(test_command_of_what_is_there),
	    cmocka_unit_test(test_bars),
	    cmocka_unit_test(test_virtual_function),
	    cmocka_unit_test(test_list_is_filtered),
	    cmocka_unit_test(test_all_hidden),
	    cmocka_unit_test(test_power),
	    cmocka_unit_test(test_vpd),
	    cmocka_unit_test(test_message_signalled),
	    cmocka_unit_test(test_msi_sizes),
	    cmocka_unit_test(test_express),
	    cmocka_unit_test(test_vendor_and_no_mans_land),
	    cmocka_unit_test(test_lists_that_loop),
	    cmocka_unit_test(test_lists_that_are_full),
	    cmocka_unit_test(test_extended_list),
	    cmocka_unit_test(test_extended_lists_that_are_wrong),
	    cmocka_unit_test(test_device_vanishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
