/* e1000e_fuzz: an 82574 that is nothing but fuzz, and the driver's user.
 *
 * The input is a script: descriptors written back with lengths, states and errors good and wild, in order or anywhere in the
 * rings; registers; interrupts; frames sent of every kind; frames kept and put; time. Expected: no bad access, what is
 * given to the user is as net.h says (nic_world.c looks), each frame sent ends exactly once, and when the card is
 * pulled out nothing is left with it.
 *
 * links: tests/fuzz/nic_host.c tests/host/nic_world.c drivers-native/e1000e*.c
 * links: drivers-native/nic.c drivers-native/nic_buffer.c drivers-native/nic_watch.c
 * links: iommu/dma.c iommu/dma_debug.c tests/host/no_dma_space.c kernel/net.c protocol/net_parse.c protocol/net_hash.c protocol/net_sum.c
 * links: lib/printf.c lib/text.c tests/host/peer_recorder.c
 */
#include "drivers-native/e1000e.h"

#include <amphi/drivers.h>
#include <amphi/machine.h>

#include <stdlib.h>
#include <string.h>

#include "fuzz_script.h"
#include "tests/host/mock_host.h"
#include "tests/host/nic_world.h"

#define FRAMES 64u
#define STEPS  400u

static struct nic_frame *frames[FRAMES];
static unsigned n_frames, rx_head;
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

static void send(void)
{
	uint8_t shape = byte(), gso = byte();
	uint32_t len = 60 + half() % (NET_FRAME_MAX - 60);
	struct nic_frame *f;

	if (n_frames == FRAMES || !nic_dev)
		return;
	if (shape & 1)
		len = 60 + len % 1455;
	f = shape & 2 ? nic_world_tcp(MAX(len, 2000u), shape & 4 ? 4 : 6, 1 + gso % 20)
		      : nic_world_frame(len, 1 + gso % 5, shape);
	if (shape & 8) {
		f->frame.gso = 1 + shape / 16 % 2;
		f->frame.gso_size = gso * 8u;
	}
	if (shape & 64)
		f->frame.flags ^= NET_CSUM_BLANK;
	frames[n_frames++] = f;
	nic_dev->ops->send(nic_dev, &f->frame);
	if (shape & 128)
		nic_dev->ops->kick(nic_dev);
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
	unsigned n = byte() % 2;

	if (nic_irqs[n].fn)
		nic_irqs[n].fn(nic_irqs[n].ctx);
	(void)mock_run();
}

static void user(void)
{
	uint8_t what = byte();

	nic_seen.keep = what & 1;
	nic_seen.echo = what & 2;
	if (what & 4)
		nic_world_put_kept(what & 8 ? -XEN_EIO : 0);
	if (nic_dev && what & 16)
		nic_dev->ops->promiscuous(nic_dev, what & 32);
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

static void pull_out(void)
{
	memset(regs, 0xff, sizeof(regs));
	for (unsigned n = 0; nic_dev && n < 100; n++)
		mock_advance(60000000000ull);
	if (nic_dev || host_net_next(NULL))
		abort();
	for (unsigned i = 0; i < n_frames; i++) {
		if (frames[i]->done != 1)
			abort();
		free(frames[i]);
	}
	n_frames = 0;
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
	pull_out();
	return 0;
}
