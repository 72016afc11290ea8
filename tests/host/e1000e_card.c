/* e1000e_card.c: an 82574 played by a test; see e1000e_card.h.
 *
 * The registers are plain memory, the driver's own through machine_mmio_map; what a write does is done when the test says so.
 * Called by e1000e_test.
 */
#include "e1000e_card.h"

#include <amphi/machine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "mock_host.h"
#include "nic_world.h"

struct e1k_device e1k_device;
struct e1k_sent e1k_sent;

uint32_t *e1k_reg(enum e1000e_reg r)
{
	return &e1k_device.regs[r / 4];
}

void machine_mmio_unmap(void *regs, size_t len) {}

void *machine_mmio_map(maddr_t start, size_t len)
{
	assert_true(len <= sizeof(e1k_device.regs));
	return e1k_device.regs;
}

bool pci_bar(const struct pci_function *f, unsigned n, maddr_t *out_start)
{
	*out_start = (maddr_t){0xfe000000};
	return n == 0;
}

void e1k_power_on(void)
{
	bool stays_busy = e1k_device.stays_busy;
	unsigned resets = e1k_device.resets;

	memset(&e1k_device, 0, sizeof(e1k_device));
	e1k_device.stays_busy = stays_busy;
	e1k_device.resets = resets;
	*e1k_reg(E1K_STATUS) = E1K_STATUS_LU;
	*e1k_reg(E1K_RAL) = 0x12005452;
	*e1k_reg(E1K_RAH) = E1K_RAH_AV | 0x5634;
}

/* What time does to a card that was told to reset itself. */
void e1k_pass_time(void)
{
	if (*e1k_reg(E1K_CTRL) == ~0u || !(*e1k_reg(E1K_CTRL) & E1K_CTRL_RST) ||
	    e1k_device.stays_busy)
		return;
	e1k_device.resets++;
	e1k_power_on();
	/* One that reads its own memory only when it gets power. */
	if (e1k_device.resets > 1)
		*e1k_reg(E1K_RAL) = *e1k_reg(E1K_RAH) = 0;
}

void *e1k_ring(enum e1000e_reg low)
{
	return (void *)((uint64_t)e1k_device.regs[low / 4 + 1] << 32 | e1k_device.regs[low / 4]);
}

static const struct e1000e_tx_desc *next_desc(void)
{
	struct e1000e_tx_desc *tx = e1k_ring(E1K_TDBAL);

	assert_int_not_equal(e1k_device.tx_head, *e1k_reg(E1K_TDT));
	e1k_sent.last = e1k_device.tx_head;
	e1k_device.tx_head = (e1k_device.tx_head + 1) % E1K_RING;
	e1k_sent.descs++;
	return &tx[e1k_sent.last];
}

static bool take_piece(const struct e1000e_tx_desc *d)
{
	uint32_t len = d->command & 0xfffff;

	assert_int_equal(d->command & (E1K_TX_DEXT | E1K_TX_DATA | E1K_TX_IFCS),
			 E1K_TX_DEXT | E1K_TX_DATA | E1K_TX_IFCS);
	assert_in_range(len, 1, E1K_PIECE_MAX);
	assert_true(e1k_sent.len + len <= sizeof(e1k_sent.bytes));
	memcpy(e1k_sent.bytes + e1k_sent.len, (void *)d->addr, len);
	e1k_sent.len += len;
	e1k_sent.options = d->options;
	e1k_sent.is_cut = d->command & E1K_TX_TSE;
	return d->command & E1K_TX_EOP;
}

/* The next frame of the ring, which is not written back yet. */
void e1k_next_sent(void)
{
	const struct e1000e_tx_desc *d;

	memset(&e1k_sent, 0, sizeof(e1k_sent));
	d = next_desc();
	if (!(d->command & E1K_TX_DATA)) {
		e1k_sent.context = *d;
		e1k_sent.has_context = true;
		d = next_desc();
	}
	while (!take_piece(d))
		d = next_desc();
	assert_true(d->command & E1K_TX_RS);
}

void e1k_interrupt(void)
{
	nic_irqs[E1K_VECTOR_FRAMES].fn(nic_irqs[E1K_VECTOR_FRAMES].ctx);
	(void)mock_run();
}

void e1k_finish(void)
{
	struct e1000e_tx_desc *tx = e1k_ring(E1K_TDBAL);

	tx[e1k_sent.last].status = E1K_TX_DD;
	e1k_interrupt();
}

unsigned e1k_n_given(void)
{
	return (*e1k_reg(E1K_RDT) + E1K_RING - e1k_device.rx_head) % E1K_RING;
}

void e1k_give_back(const uint8_t *bytes, uint16_t len, uint8_t status, uint8_t errors)
{
	struct e1000e_rx_desc *rx = e1k_ring(E1K_RDBAL), *d = &rx[e1k_device.rx_head];

	assert_true(e1k_n_given());
	if (bytes)
		memcpy((void *)d->addr, bytes, len);
	d->len = len;
	d->errors = errors;
	d->status = status | E1K_RX_DD;
	e1k_device.rx_head = (e1k_device.rx_head + 1) % E1K_RING;
}

void e1k_deliver(const uint8_t *bytes, uint32_t len, uint8_t status, uint8_t errors)
{
	for (; len > PAGE_SIZE; len -= PAGE_SIZE, bytes += PAGE_SIZE)
		e1k_give_back(bytes, PAGE_SIZE, 0, 0);
	e1k_give_back(bytes, (uint16_t)len, status | E1K_RX_EOP, errors);
	e1k_interrupt();
}
