/* pci_aer_test: root ports by their registers: errors of the functions behind them are taken, told and cleared, and what is pulled out is told.
 *
 * Why: an error that is not cleared is never told again, one that is laid to the wrong function resets a healthy one, and a guest can make as many as
 * it likes. Expected: the function that a port names, with the kind that its own registers give; several at once found in their registers; what a
 * port has itself told of all behind it; correctable ones counted only; a port that has said too much is not listened to for a while; a port
 * without an interrupt, lists that loop, and functions that do not answer are no harm. Registers as PCI Express 4.0, 7.8.4 lays them out.
 *
 * links: tests/host/no_lines.c drivers-native/pci_port.c drivers-native/pci_aer.c drivers-native/pci.c lib/pci_cap.c lib/printf.c lib/text.c
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/machine.h>
#include <amphi/pci.h>
#include <amphi/pci_port.h>
#include <amphi/xen.h>

#include "mock_host.h"

#define PORT 0x0008u
#define CARD 0x0100u
#define DISK 0x0101u
#define AER  0x100u
#define EXP  0x40u
#define MSI  0x80u

static const uint16_t bdfs[] = {PORT, CARD, DISK};
static uint8_t spaces[3][4096];
static bool there[3];
static struct machine_msi bound;
static unsigned n_bound;
static int bind_err;

static struct {
	unsigned n, n_gone;
	struct pci_error last;
	uint16_t gone, of[128];
} told;

/* ---- the machine ------------------------------------------------------------------------------ */

static uint8_t *at(uint16_t bdf, unsigned offset)
{
	for (unsigned i = 0; i < 3; i++)
		if (bdfs[i] == bdf && there[i])
			return &spaces[i][offset];
	return NULL;
}

static uint32_t get(uint16_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	memcpy(&value, at(bdf, offset), width);
	return value;
}

static void put(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	memcpy(at(bdf, offset), &value, width);
}

uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	return at(bdf, offset) ? get(bdf, offset, width) : ~0u >> (32 - 8 * width);
}

static bool clears(unsigned offset)
{
	return offset == AER + 4 || offset == AER + 0x10 || offset == AER + 0x30 ||
	       offset == EXP + 0x1a || offset == EXP + 0x0a;
}

void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	if (at(bdf, offset))
		put(bdf, offset, width, clears(offset) ? get(bdf, offset, width) & ~value : value);
}

void *machine_mmio_map(maddr_t start, size_t len)
{
	(void)start, (void)len;
	return NULL;
}

int machine_msi_bind(struct machine_msi *msi)
{
	if (bind_err)
		return bind_err;
	bound = *msi;
	n_bound++;
	return 0;
}

/* ---- errors ----------------------------------------------------------------------------------- */

/* The function's own registers say it, and the port hears of it as from `from`. */
static void bad(uint16_t bdf, uint16_t from, uint32_t bit, bool fatal)
{
	bool first = !(get(PORT, AER + 0x30, 4) & 4);

	put(bdf, AER + 4, 4, get(bdf, AER + 4, 4) | bit);
	if (first)
		put(PORT, AER + 0x36, 2, from);
	put(PORT, AER + 0x30, 4,
	    get(PORT, AER + 0x30, 4) | (first ? 4 : 8) | (fatal ? 0x40 : 0x20));
}

static void good(uint16_t bdf, uint32_t bit)
{
	put(bdf, AER + 0x10, 4, bit);
	put(PORT, AER + 0x34, 2, bdf);
	put(PORT, AER + 0x30, 4, get(PORT, AER + 0x30, 4) | 1);
}

static void interrupt(void)
{
	bound.fn(bound.ctx);
}

static void on_error(const struct pci_error *e)
{
	told.of[told.n++ % 128] = e->bdf;
	told.last = *e;
}

static void on_gone(uint16_t bdf)
{
	told.n_gone++;
	told.gone = bdf;
}

static const struct pci_port_user user = {.error = on_error, .gone = on_gone};

/* ---- the stage -------------------------------------------------------------------------------- */

static void make(uint16_t bdf, uint32_t class_code, unsigned type)
{
	put(bdf, 0, 4, 0x00101b36);
	put(bdf, 6, 2, 0x10); /* there are capabilities */
	put(bdf, 8, 4, class_code << 8);
	put(bdf, 0x34, 1, EXP);
	put(bdf, EXP, 4, type << 20 | 2u << 16 | 0x10);
	put(bdf, AER, 4, 1u << 16 | 1);
	put(bdf, AER + 0x0c, 4, 1u << 18); /* a malformed packet is fatal */
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	memset(spaces, 0, sizeof(spaces));
	memset(&told, 0, sizeof(told));
	memset(there, 1, sizeof(there));
	n_bound = 0;
	bind_err = 0;
	make(PORT, 0x060400, 4);
	put(PORT, 0x0e, 1, 1);
	put(PORT, 0x18, 4, 0x00010100);
	put(PORT, EXP, 4, 0x01420010 | MSI << 8); /* a slot */
	put(PORT, EXP + 0x14, 4, 0x40);
	put(PORT, EXP + 0x1c, 2, 7);
	put(PORT, MSI, 4, 5);
	make(CARD, 0x020000, 0);
	put(CARD, 0x0e, 1, 0x80);
	make(DISK, 0x010802, 0);
	assert_int_equal(pci_scan(), 3);
	return 0;
}

static void start(void)
{
	assert_int_equal(pci_ports_start(&user), 1);
	assert_int_equal(n_bound, 1);
}

static void expect(unsigned n, uint16_t bdf, enum pci_error_kind kind, uint32_t status)
{
	assert_int_equal(told.n, n);
	assert_int_equal(told.last.bdf, bdf);
	assert_int_equal(told.last.kind, kind);
	assert_int_equal(told.last.status, status);
	assert_int_equal(get(PORT, AER + 0x30, 4) & 0x7f, 0);
}

/* ---- errors ----------------------------------------------------------------------------------- */

static void test_turned_on(void **state)
{
	put(CARD, AER + 4, 4, 1u << 20); /* of whoever was here before */
	start();
	assert_int_equal(get(PORT, AER + 0x2c, 4), 7);
	assert_int_equal(get(PORT, EXP + 0x1c, 2), 0); /* a message, no stop of the machine */
	assert_int_equal(get(PORT, 0x3e, 2) & 2, 2);
	assert_int_equal(get(CARD, EXP + 8, 2), 15);
	assert_int_equal(get(DISK, EXP + 8, 2), 15);
	assert_int_equal(get(CARD, AER + 4, 4), 0);
	assert_int_equal(told.n, 0);
}

static void test_function_is_named(void **state)
{
	start();
	bad(DISK, DISK, 1u << 14, false);
	interrupt();
	expect(1, DISK, PCI_ERROR_NONFATAL, 1u << 14);
	assert_int_equal(get(DISK, AER + 4, 4), 0);
	assert_true(mock_logged("pci 01:00.1: uncorrected error: no completion (4000)"));
	bad(CARD, CARD, 1u << 18, true);
	interrupt();
	expect(2, CARD, PCI_ERROR_FATAL, 1u << 18);
	assert_true(mock_logged("pci 01:00.0: fatal error: malformed packet (40000)"));
	interrupt(); /* nothing new */
	assert_int_equal(told.n, 2);
}

/* The port names the first; the other is found by its registers. */
static void test_several(void **state)
{
	start();
	bad(DISK, DISK, 1u << 14, false);
	bad(CARD, CARD, 1u << 18, true);
	interrupt();
	expect(2, CARD, PCI_ERROR_FATAL, 1u << 18);
	assert_int_equal(told.of[0], DISK);
}

static void test_nobody_is_named(void **state)
{
	start();
	bad(CARD, 0, 1u << 14, false);
	interrupt();
	expect(1, CARD, PCI_ERROR_NONFATAL, 1u << 14);
	/* Masked is not told, though its bit is set. */
	put(CARD, AER + 8, 4, 1u << 16);
	bad(CARD, 0, 1u << 16, false);
	interrupt();
	expect(1, CARD, PCI_ERROR_NONFATAL, 1u << 14);
}

static void test_of_the_port(void **state)
{
	start();
	bad(PORT, PORT, 1u << 18, true);
	interrupt();
	expect(2, DISK, PCI_ERROR_FATAL, 1u << 18);
	assert_int_equal(told.of[0], CARD);
}

/* It cannot be asked: what the message said is all that is known. */
static void test_function_does_not_answer(void **state)
{
	start();
	bad(DISK, DISK, 1u << 14, true);
	there[2] = false;
	interrupt();
	expect(1, DISK, PCI_ERROR_FATAL, 0);
}

static void test_counted(void **state)
{
	start();
	for (unsigned i = 0; i < 3; i++) {
		good(CARD, 1u << 6);
		interrupt();
	}
	assert_int_equal(told.n, 0);
	assert_int_equal(get(CARD, AER + 0x10, 4), 0);
	assert_true(mock_logged("pci 01:00.0: corrected error: bad packet (40), 1 so far"));
	assert_true(mock_logged("2 so far"));
	assert_false(mock_logged("3 so far"));
}

static void test_too_many(void **state)
{
	start();
	for (unsigned i = 0; i < 100; i++) {
		bad(CARD, CARD, 1u << 14, false);
		interrupt();
	}
	assert_in_range(told.n, 10, 50);
	assert_int_equal(get(PORT, AER + 0x2c, 4), 0);
	/* What there is when the span has ended is told then. */
	told.n = 0;
	mock_advance(1000000000ull);
	expect(1, CARD, PCI_ERROR_NONFATAL, 1u << 14);
	assert_int_equal(get(PORT, AER + 0x2c, 4), 7);
}

/* ---- slots ------------------------------------------------------------------------------------ */

static void test_pulled_out(void **state)
{
	start();
	assert_int_equal(get(PORT, EXP + 0x18, 2), 0x1028);
	there[2] = false;
	put(PORT, EXP + 0x1a, 2, 8);
	interrupt();
	assert_int_equal(told.n_gone, 1);
	assert_int_equal(told.gone, DISK);
	assert_int_equal(get(PORT, EXP + 0x1a, 2), 0);
	interrupt();
	assert_int_equal(told.n_gone, 1);
}

/* ---- what is wrong with a port ---------------------------------------------------------------- */

static void test_no_interrupt(void **state)
{
	bind_err = -XEN_ENOSPC;
	assert_int_equal(pci_ports_start(&user), 0);
	assert_true(mock_logged("pci 00:01.0: a root port without an interrupt"));
}

static void test_lists_that_loop(void **state)
{
	put(PORT, AER, 4, AER << 20 | 1u << 16 | 0x0b);
	put(CARD, AER, 4, AER << 20 | 1u << 16 | 0x0b);
	put(DISK, EXP, 4, EXP << 8 | 0x09);
	start();
	interrupt();
	assert_int_equal(told.n, 0);
	assert_int_equal(get(CARD, EXP + 8, 2), 0);
}

/* A root port that is gone reads all ones, for ever. */
static void test_port_is_gone(void **state)
{
	start();
	there[0] = false;
	interrupt();
	assert_int_equal(told.n, 0);
	assert_int_equal(told.n_gone, 0);
}

static void test_no_root_port(void **state)
{
	put(PORT, EXP, 4, 0x01520010 | MSI << 8); /* a switch's upstream port */
	assert_int_equal(pci_ports_start(&user), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_turned_on, setup),
	    cmocka_unit_test_setup(test_function_is_named, setup),
	    cmocka_unit_test_setup(test_several, setup),
	    cmocka_unit_test_setup(test_nobody_is_named, setup),
	    cmocka_unit_test_setup(test_of_the_port, setup),
	    cmocka_unit_test_setup(test_function_does_not_answer, setup),
	    cmocka_unit_test_setup(test_counted, setup),
	    cmocka_unit_test_setup(test_too_many, setup),
	    cmocka_unit_test_setup(test_pulled_out, setup),
	    cmocka_unit_test_setup(test_no_interrupt, setup),
	    cmocka_unit_test_setup(test_lists_that_loop, setup),
	    cmocka_unit_test_setup(test_port_is_gone, setup),
	    cmocka_unit_test_setup(test_no_root_port, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
