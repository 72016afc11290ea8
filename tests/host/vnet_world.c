/* vnet_world.c: what the virtio-net tests do with their device; see vnet_world.h.
 *
 * The device answers nothing by itself: each test says what it does, and when it interrupts. Called by virtio_net_test,
 * virtio_net_fail_test.
 */
#include "vnet_world.h"

#include <amphi/drivers.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SECOND 1000000000ull

uint8_t vnet_got[VNET_GOT_BYTES];

/* In steps of a poll, as what is queued anew waits for the next. */
void vnet_seconds(unsigned n)
{
	for (n *= 100; n; n--)
		mock_advance(SECOND / 100);
}

/* Returns the card's number of control commands answered; ack is what it answers. */
unsigned vnet_answer_control(unsigned queue, uint8_t ack)
{
	struct card_chain c;
	unsigned n = 0;

	for (; card_next(queue, &c); n++) {
		(void)card_write(&c, &ack, 1);
		card_return(queue, c.head, 1);
	}
	if (n && card.config_vector != VIRTIO_NO_VECTOR)
		nic_irqs[card.config_vector].fn(nic_irqs[card.config_vector].ctx);
	return n;
}

void vnet_probe_with(uint64_t offers, unsigned vectors, unsigned pairs)
{
	static const struct pci_function function = {.vendor = 0x1af4, .device = 0x1041};
	static const uint8_t mac[] = {0x52, 0x54, 0, 1, 2, 3};
	bool legacy = card.legacy;

	nic_world_begin();
	card_reset();
	card.legacy = legacy;
	card.offers = offers;
	memcpy(card.config, mac, 6);
	card.config[6] = 1;
	card.config[8] = (uint8_t)pairs;
	card.config[10] = 0x28, card.config[11] = 0x23; /* MTU 9000 */
	nic_vectors = vectors;
	assert_int_equal(virtio_net_probe(&function), 0);
	assert_non_null(nic_dev);
	nic_world_attach();
}

void vnet_probe(void)
{
	vnet_probe_with(VNET_ALL & ~VNET_FEATURE_MQ, 3, 1);
	while (vnet_answer_control(2, 0))
		;
}

/* Each test ends by pulling the card out, which must leave nothing. */
int vnet_teardown(void **state)
{
	card.status = 0xff;
	if (!nic_dev)
		return 0;
	vnet_seconds(60);
	assert_null(nic_dev);
	assert_null(host_net_next(NULL));
	assert_true(nic_disabled);
	card.legacy = false;
	return 0;
}

void vnet_interrupt(unsigned vector)
{
	nic_irqs[vector].fn(nic_irqs[vector].ctx);
	(void)mock_run();
}

/* The next frame that the card sends: with its header in vnet_got; not returned yet. */
uint32_t vnet_next_sent(struct card_chain *c)
{
	assert_true(card_next(VNET_OUT, c));
	return card_read(c, vnet_got, sizeof(vnet_got));
}

const struct vnet_header *vnet_header_got(void)
{
	return (const struct vnet_header *)vnet_got;
}

/* The card receives a frame: bytes into as many buffers as it takes. Returns the number of them. */
unsigned vnet_deliver_into(unsigned queue, const struct vnet_header *h, const uint8_t *bytes,
			   uint32_t len)
{
	static uint8_t all[sizeof(*h) + NET_FRAME_MAX + 4096];
	uint32_t done = 0, total = len + sizeof(*h);
	struct card_chain c[20] = {0};
	unsigned n = 0;

	memcpy(all, h, sizeof(*h));
	memcpy(all + sizeof(*h), bytes, len);
	while (done < total) {
		assert_true(card_next(queue, &c[n]));
		done += card_write(&c[n++], all + done, total - done);
	}
	((struct vnet_header *)c[0].pieces[0].addr)->num_buffers = (uint16_t)n;
	for (unsigned i = 0; i < n; i++)
		card_return(queue, c[i].head, i + 1 < n ? PAGE_SIZE : total - i * PAGE_SIZE);
	return n;
}

void vnet_deliver(uint8_t flags, uint8_t gso, uint16_t gso_size, const uint8_t *bytes, uint32_t len)
{
	struct vnet_header h = {.flags = flags, .gso_type = gso, .gso_size = gso_size};

	if (flags & VNET_NEEDS_CSUM) {
		h.csum_start = bytes[12] == 0x86 ? 54 : 34;
		h.csum_offset = 16;
	}
	(void)vnet_deliver_into(VNET_IN, &h, bytes, len);
	vnet_interrupt(0);
}
