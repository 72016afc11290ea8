/* virtio_net_fuzz: a virtio-net device that is nothing but fuzz, and the driver's user.
 *
 * The input chooses features and queues and is then a script: chains taken and returned with ids and lengths good and wild,
 * bytes written into them, interrupts, the configuration, the status, frames sent of every kind, frames kept and put, time.
 * Expected: no bad access, what is given to the user is as net.h says (nic_world.c looks), each frame sent ends exactly
 * once, and when the card is pulled out nothing is left with it.
 *
 * links: tests/fuzz/nic_host.c tests/host/nic_world.c tests/host/virtio_card.c drivers-native/virtio_net*.c drivers-native/virtio_start.c
 * links: drivers-native/virtio_ring.c drivers-native/nic.c drivers-native/nic_buffer.c drivers-native/nic_watch.c
 * links: iommu/dma.c iommu/dma_direct.c iommu/dma_debug.c tests/host/no_dma_space.c kernel/net.c protocol/net_parse.c protocol/net_hash.c lib/printf.c lib/text.c
 * links: tests/host/peer_recorder.c
 */
#include "drivers-native/virtio_net.h"

#include <amphi/drivers.h>

#include <string.h>

#include "nic_script.h"
#include "tests/host/virtio_card.h"

#define STEPS 400u

/* A chain of a queue: written into, and returned right or wrong. */
static void give_back(void)
{
	unsigned queue = byte() % CARD_QUEUES;
	uint8_t how = byte(), header[60];
	struct card_chain c;

	if (!card.queues[queue] || !card_next(queue, &c)) {
		if (card.queues[queue] && how & 1)
			card_return(queue, half(), half());
		return;
	}
	for (unsigned i = 0; i < sizeof(header); i++)
		header[i] = how & 16 ? byte() : 0;
	if (!(how & 32))
		header[10] = 1, header[11] = 0; /* num_buffers */
	(void)card_write(&c, header, sizeof(header));
	if (how & 2 && c.pieces[0].flags & VIRTQ_DESC_WRITE && c.pieces[0].len > 200)
		(void)nic_world_headers((uint8_t *)c.pieces[0].addr + 12, 1000, how & 4 ? 4 : 6);
	card_return(queue, how & 64 ? half() : c.head,
		    how & 128 ? half() << 4 : 12 + half() % 4085);
	if (how & 8)
		card_return(queue, c.head, 60);
}

static void interrupt(void)
{
	interrupt_of(byte() % 16);
}

static void change(void)
{
	uint8_t what = byte();

	if (what & 1)
		card.config[byte() % sizeof(card.config)] = byte();
	if (what & 2)
		card.status ^= (uint8_t)(1u << byte() % 7);
	card.stays_busy = what & 4;
	card.refuses = what & 8;
	if (what & 16)
		card.offers ^= 1ull << byte() % 40;
	if (what & 32 && card.queues[byte() % CARD_QUEUES])
		card.queues[0]->used->flags = byte();
}

static void time_passes(void)
{
	uint64_t ms = half();

	mock_advance((ms & 7 ? ms : ms * 64) * 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {send, give_back, give_back,  interrupt,
					      user, change,    time_passes};
	static const struct pci_function function = {.vendor = 0x1af4, .device = 0x1041};

	script_begin(data, size);
	nic_world_begin();
	card_reset();
	card.offers = half() | (uint64_t)half() << 16;
	card.legacy = byte() & 1;
	card.queue_size = (uint16_t)(8u << byte() % 3);
	nic_vectors = 1 + byte() % 10;
	card.config[6] = 1;
	card.config[8] = byte() % 9;
	if (virtio_net_probe(&function))
		return 0;
	nic_world_attach();
	for (unsigned n = 0; at < stop && n < STEPS; n++)
		steps[byte() % ARRAY_SIZE(steps)]();
	card.status = 0xff;
	pulled_out();
	return 0;
}
