/* e1000e_try.c: has an 82574 put a frame at any DMA address it is told, and take its ring of buffers from behind that, so that what holds devices
 * back can be seen to.
 *
 * Called by the shell's command for that, through drivers.h. The frame is one that the card sends itself, inside (RCTL.LBM). Descriptors that
 * are all zeros have no buffer: the card reads each, skips it, and writes back that it is done (datasheet 7.1.4); so where its ring lies it
 * reads and then writes. Afterwards the ring is its driver's again. Not for a card that is in use: what comes meanwhile is lost. What the card
 * reads of ours it was given long before, or it might be at the very address that is tried. Worker context.
 */
#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/string.h>

#include "e1000e.h"

#define RCTL_LOOPBACK (1u << 6)
#define DESCRIPTORS   4u /* that the card is told of */
#define FRAME_BYTES   64u
#define RING_AT       128u /* behind the frame: what the registers can say */
#define SENT_POLLS    100u
#define POLL_US       1000u

/* In the page that is for copies of headers, none of which is in use: descriptors, and behind them the frame. */
struct tools {
	struct e1000e_rx_desc rx[DESCRIPTORS];
	uint8_t frame[FRAME_BYTES];
};

static struct e1000e *find(uint16_t bdf)
{
	struct nic *nic = nic_find(bdf);

	return nic && nic->ops == &e1000e_ops && nic->phase == NIC_RUNNING ? e1000e_of(nic) : NULL;
}

const struct dma_device *e1000e_dma_device(uint16_t bdf)
{
	const struct e1000e *e = find(bdf);

	return e ? &e->nic.dma : NULL;
}

/* Head and tail can be written while the card receives nothing. */
static void set_ring(struct e1000e *e, uint64_t at, unsigned head, unsigned tail)
{
	e1000e_write(e, E1K_RCTL, 0);
	e1000e_write(e, E1K_RDBAL, (uint32_t)at);
	e1000e_write(e, E1K_RDBAH, (uint32_t)(at >> 32));
	e1000e_write(e, E1K_RDH, head);
	e1000e_write(e, E1K_RDT, tail);
}

static void frame_back(struct net_frame *frame, int status)
{
	bool *is_back = frame->ctx;

	*is_back = true;
}

/* A broadcast to itself. Until it comes back the frame is the card's. */
static int send_itself(struct e1000e *e, uint64_t bytes_at)
{
	static struct net_frame frame;
	static bool is_back;

	e1000e_write(e, E1K_RCTL,
		     E1K_RCTL_EN | E1K_RCTL_BAM | E1K_RCTL_4096 | E1K_RCTL_SECRC | RCTL_LOOPBACK);
	is_back = false;
	frame = (struct net_frame){
	    .len_bytes = FRAME_BYTES, .done = frame_back, .ctx = &is_back, .holders = 1};
	e1000e_put_mapped(e, &frame, &(struct nic_piece){{bytes_at}, FRAME_BYTES});
	e1000e_tell(&e->queue);
	for (unsigned polls = SENT_POLLS; polls && !is_back; polls--) {
		e1000e_reap(e);
		machine_delay_us(POLL_US);
	}
	return is_back ? 0 : -XEN_EBUSY;
}

/* First by its buffer, then by its ring. -XEN_EIO: it took no descriptor. */
static int tell(struct e1000e *e, struct tools *tools, uint64_t tools_at, uint64_t dma)
{
	uint64_t bytes_at = tools_at + offsetof(struct tools, frame);
	int err;

	memset(tools, 0, sizeof(*tools));
	memset(tools->frame, 0xff, 6);
	memcpy(tools->frame + 6, e->nic.dev.mac, 6);
	tools->rx[0].addr = dma;
	set_ring(e, tools_at, 0, 1);
	err = send_itself(e, bytes_at);
	if (err)
		return err;
	set_ring(e, dma + RING_AT, 0, DESCRIPTORS);
	err = send_itself(e, bytes_at);
	if (!err && !e1000e_read(e, E1K_RDH))
		err = -XEN_EIO;
	return err;
}

int e1000e_tell_at(uint16_t bdf, uint64_t dma)
{
	struct e1000e *e = find(bdf);
	int err;

	if (!e)
		return -XEN_ENODEV;
	if (e->n_sent || !e->heads[0])
		return -XEN_EBUSY;
	err = tell(e, (struct tools *)e->heads[0], e->heads_at[0].v, dma);
	set_ring(e, e->rx_at.v, e->rx_next, (e->rx_next + e->n_posted) % E1K_RING);
	e1000e_filter(&e->nic);
	return err;
}
