/* nic_script.h: the steps of a network card's fuzzer that are the same whatever the card is: its user's, and its end.
 *
 * Included by e1000e_fuzz and virtio_net_fuzz, which bring the card; a step reads its numbers from fuzz_script.h's script.
 */
#ifndef TESTS_FUZZ_NIC_SCRIPT_H
#define TESTS_FUZZ_NIC_SCRIPT_H

#include <stdlib.h>

#include "fuzz_script.h"
#include "tests/host/mock_host.h"
#include "tests/host/nic_world.h"

#define FRAMES 64u

static struct nic_frame *frames[FRAMES];
static unsigned n_frames;

/* The user sends a frame, of any kind and length. */
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

static void interrupt_of(unsigned vector)
{
	if (nic_irqs[vector].fn)
		nic_irqs[vector].fn(nic_irqs[vector].ctx);
	(void)mock_run();
}

/* The user keeps, echoes or returns what it received, and chooses what it wants to hear. */
static void user(void)
{
	uint8_t what = byte();

	nic_seen.keep = what & 1;
	nic_seen.echo = what & 2;
	if (what & 4)
		nic_world_put_kept(what & 8 ? -XEN_EIO : 0);
	if (!nic_dev)
		return;
	if (what & 16)
		nic_dev->ops->promiscuous(nic_dev, what & 32);
	if (what & 64 && nic_dev->ops->multicast)
		nic_dev->ops->multicast(nic_dev, nic_dev->mac, what & 128);
}

/* The card is gone: its registers read as ones from now on. All that it had must come back, once. */
static void pulled_out(void)
{
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

#endif
