/* vnet_world.h: a virtio network card under test: started, given frames, asked for frames, pulled out.
 *
 * Used by virtio_net_test and virtio_net_fail_test. On top of nic_world.h (the interface) and virtio_card.h (the rings);
 * queue 0 is what comes in, 1 what goes out, 2 the control queue of a card with one pair.
 */
#ifndef TESTS_VNET_WORLD_H
#define TESTS_VNET_WORLD_H

#include "drivers-native/virtio_net.h"

#include "mock_host.h"
#include "nic_world.h"
#include "virtio_card.h"

/* All that the driver knows, and more. */
#define VNET_ALL (0xfffffull | VNET_FEATURE_MQ | VIRTIO_FEATURE_INDIRECT | VIRTIO_FEATURE_EVENT_IDX)

enum { VNET_IN, VNET_OUT };

/* One pair, three vectors, the filters told. */
void vnet_probe(void);
void vnet_probe_with(uint64_t offers, unsigned vectors, unsigned pairs);
/* Each test ends by pulling the card out, which must leave nothing. */
int vnet_teardown(void **state);

void vnet_interrupt(unsigned vector);
/* In steps of a poll, as what is queued anew waits for the next. */
void vnet_seconds(unsigned n);
/* Answers all commands of the control queue with ack; returns their number. */
unsigned vnet_answer_control(unsigned queue, uint8_t ack);

/* The next frame that the card sends, which there must be: with its header in vnet_got, and not returned yet. */
#define VNET_GOT_BYTES (sizeof(struct vnet_header) + NET_FRAME_MAX + 64)
extern uint8_t vnet_got[VNET_GOT_BYTES];
uint32_t vnet_next_sent(struct card_chain *c);
const struct vnet_header *vnet_header_got(void);

/* The card receives a frame, into as many buffers as it takes; returns their number. deliver interrupts, too. */
unsigned vnet_deliver_into(unsigned queue, const struct vnet_header *h, const uint8_t *bytes,
			   uint32_t len);
void vnet_deliver(uint8_t flags, uint8_t gso, uint16_t gso_size, const uint8_t *bytes,
		  uint32_t len);

#endif
