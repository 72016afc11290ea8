/* virtio_card.h: a virtio device of several queues, played by a test in place of virtio_pci.c.
 *
 * For drivers of devices that have more than one queue: registers of plain memory cannot tell queues apart. The
 * rings are real (virtio_ring.c): a test takes chains from them and returns them, right or wrong. One device at a time.
 */
#ifndef TESTS_VIRTIO_CARD_H
#define TESTS_VIRTIO_CARD_H

#include "drivers-native/virtio_pci.h"

#define CARD_QUEUES 20u

struct card_chain {
	uint16_t head;
	unsigned n;
	struct virtq_desc pieces[64];
};

extern struct virtio_card {
	/* the test's */
	uint64_t offers;
	uint8_t config[64];
	uint8_t status; /* what the register shows; the driver's steps change it */
	uint16_t queue_size;
	bool legacy, stays_busy; /* a reset does not end */
	bool refuses;            /* to agree on features */
	/* the card's */
	unsigned resets, notified[CARD_QUEUES];
	uint64_t accepted;
	struct virtq *queues[CARD_QUEUES];
	uint16_t vectors[CARD_QUEUES], taken[CARD_QUEUES], config_vector;
} card;

void card_reset(void);
/* The next chain the driver has made available; false: there is none. */
bool card_next(unsigned queue, struct card_chain *out);
/* Without an interrupt. */
void card_return(unsigned queue, uint32_t head, uint32_t len);
/* Whether the device would interrupt now: by what the driver asked for. since: the used index when it last looked. */
bool card_interrupts(unsigned queue, uint16_t since);
/* What a chain has to read, one after another; returns the number of bytes. And writes into what is to be written. */
uint32_t card_read(const struct card_chain *chain, uint8_t *out, uint32_t cap);
uint32_t card_write(const struct card_chain *chain, const uint8_t *bytes, uint32_t len);

#endif
