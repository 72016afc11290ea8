/* e1000e_fuzz: an 82574 that is nothing but fuzz, and the driver's user.
 *
 * The input is a script: descriptors written back with lengths, states and errors good and wild, in order or anywhere in the
 * rings; registers; interrupts; frames sent of every kind; frames kept and put; time. Expected: no bad access, what is
 * given to the user is as net.h says (nic_world.c looks), each frame sent ends exactly once, and when the card is
 * pulled out nothing is left with it.
 *
 * links: tests/fuzz/nic_host.c tests/host/nic_world.c drivers-native/e1000e*.c
 * links: drivers-native/nic.c drivers-native/nic_buffer.c drivers-native/nic_watch.c
 * links: iommu/dma.c iommu/dma_direct.c iommu/dma_debug.c tests/host/no_dma_space.c kernel/net.c protocol/net_parse.c protocol/net_hash.c protocol/net_sum.c
 * links: lib/printf.c lib/text.c tests/host/peer_recorder.c
 */
#include "drivers-native/e1000e.h"

#include <amphi/drivers.h>
#include <amphi/machine.h>

#include <string.h>

#include "nic_script.h"

#define STEPS 400u

static unsigned rx_head;
static uint32_t regs[E1K_REGISTERS / 4];

void machine_mmio_unmap(void *va, size_t len) {}
void *machine_mmio_map(maddr_t start, size_t len)
{
	return regs;
}

bool pci_bar(const struct pci_function *f, unsigned n, maddr_t *out_start)
{
	*out_start = (maddr_t){0};
	return true;
}

/* A reset ends as soon as somebody waits. */
static void end_reset(void)
{
	regs[E1K_CTRL / 4] &= ~E1K_CTRL_RST;
}

static void *ring(enum e1000e_reg low)
{
	return (void *)((uint64_t)regs[low / 4 + 1] << 32 | regs[low / 4]);
}

static void write_back_sent(void)
{
	struct e1000e_tx_desc *tx = ring(E1K_TDBAL);
	unsigned from = byte(), count = byte();

	for (unsigned i = 0; i <= count; i++)
		tx[(from + i) % E1K_RING].status = byte() | (count & 1);
}

static void write_back_received(void)
{
	struct e1000e_rx_desc *rx = ring(E1K_RDBAL);
	uint8_t how = byte();
	unsigned n = how & 1 ? byte() : rx_head++ % E1K_RING;

	rx[n].len = (uint16_t)(how & 2 ? half() : 60 + half() % 4037);
	rx[n].errors = how & 4 ? byte() : 0;
	rx[n].special = (uint16_t)half();
	rx[n].status = how & 8 ? byte() : E1K_RX_DD | (how & 16 ? 0 : E1K_RX_EOP);
	if (how & 32)
		rx_head = byte();
}

static void interrupt(void)
{
	interrupt_of(byte() % 2);
}

/* Not those that say where the rings are: they are only written by the driver, and read by this card alone. */
static void change(void)
{
	static const enum e1000e_reg some[] = {E1K_STATUS, E1K_RCTL, E1K_CTRL,
					       E1K_ICR,    E1K_RDH,  E1K_TDH};

	regs[some[byte() % ARRAY_SIZE(some)] / 4] ^= 1u << byte() % 32;
}

static void time_passes(void)
{
	uint64_t ms = half();

	if (ms & 1)
		end_reset();
	mock_advance((ms & 6 ? ms : ms * 64) * 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
	    send, write_back_sent, write_back_received, write_back_received, interrupt,
	    user, change,          time_passes};
	static const struct pci_function function = {.vendor = 0x8086, .device = 0x10d3};

	script_begin(data, size);
	nic_world_begin();
	memset(regs, 0, sizeof(regs));
	regs[E1K_STATUS / 4] = E1K_STATUS_LU;
	rx_head = 0;
	nic_on_delay = end_reset;
	nic_vectors = 5;
	if (e1000e_probe(&function))
		abort();
	nic_world_attach();
	for (unsigned n = 0; at < stop && n < STEPS; n++)
		steps[byte() % ARRAY_SIZE(steps)]();
	memset(regs, 0xff, sizeof(regs));
	pulled_out();
	return 0;
}
