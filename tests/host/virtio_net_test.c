/* virtio_net_test: frames through the virtio-net driver, against a device played by the test.
 *
 * Why: QEMU's devices (tests/qemu/nic_test.sh) are never late or full. Expected: each frame out is one chain with the right
 * header and every byte, comes back once, and waits in order when there is no room; frames of many buffers come in
 * whole; what a device says of a frame is held against the frame; memory lent to a user who keeps it is bounded.
 * Devices that lie or fail are virtio_net_fail_test's.
 *
 * links: tests/host/vnet_world.c tests/host/nic_world.c tests/host/virtio_card.c drivers-native/virtio_net*.c drivers-native/virtio_start.c
 * links: drivers-native/virtio_ring.c drivers-native/nic.c drivers-native/nic_buffer.c drivers-native/nic_watch.c
 * links: iommu/dma.c iommu/dma_direct.c iommu/dma_debug.c tests/host/no_dma_space.c kernel/net.c protocol/net_parse.c protocol/net_hash.c lib/printf.c lib/text.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include "vnet_world.h"

#include <amphi/drivers.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- what the card is ------------------------------------------------------------------------ */

static void the_card_is_described(void **state)
{
	static const uint8_t mac[] = {0x52, 0x54, 0, 1, 2, 3};

	vnet_probe();
	assert_memory_equal(nic_dev->mac, mac, 6);
	assert_int_equal(nic_dev->mtu, 9000);
	assert_true(nic_dev->carrier && nic_dev->uplink);
	assert_int_equal(nic_dev->can, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6 |
					   NET_CAN_GSO4 | NET_CAN_GSO6);
	assert_memory_equal(nic_dev->name, "eth", 3);
	assert_int_equal(card.accepted & (VNET_FEATURE_MQ | 1 << 10 | 1 << 14), 0);
}

/* Long frames out need checksums out; long ones in need buffers of several. */
static void features_come_with_what_they_need(void **state)
{
	vnet_probe_with(VNET_FEATURE_HOST_TSO4 | VNET_FEATURE_GUEST_TSO4 | VNET_FEATURE_GUEST_CSUM,
			1, 1);
	assert_int_equal(card.accepted, VNET_FEATURE_GUEST_CSUM | VIRTIO_FEATURE_VERSION_1);
	assert_int_equal(nic_dev->can, NET_CAN_SEGMENTS);
	assert_int_equal(nic_dev->mac[0], 2);
	assert_int_equal(nic_dev->mtu, 1500);
	assert_true(nic_dev->carrier);
}

/* What it tells is the most; what it does not tell, its buffers say; and it is never less than at first. */
static void longer_frames_when_asked_for(void **state)
{
	vnet_probe();
	nic_dev->ops->set_mtu(nic_dev, 20000);
	assert_int_equal(nic_dev->mtu, 9000);
	nic_dev->ops->set_mtu(nic_dev, 100);
	assert_int_equal(nic_dev->mtu, 9000);
	(void)vnet_teardown(state);
	vnet_probe_with(VNET_ALL & ~VNET_FEATURE_MTU, 3, 1);
	assert_int_equal(nic_dev->mtu, 1500);
	nic_dev->ops->set_mtu(nic_dev, 9000);
	assert_int_equal(nic_dev->mtu, 9000);
	nic_dev->ops->set_mtu(nic_dev, 65535);
	assert_int_equal(nic_dev->mtu, 65521);
	nic_dev->ops->set_mtu(nic_dev, 0);
	assert_int_equal(nic_dev->mtu, 1500);
	(void)vnet_teardown(state);
	vnet_probe_with(0, 1, 1);
	nic_dev->ops->set_mtu(nic_dev, 9000);
	assert_int_equal(nic_dev->mtu, PAGE_SIZE - 12 - 14);
}

static void one_that_does_not_agree_is_left_alone(void **state)
{
	static const struct pci_function function = {.vendor = 0x1af4, .device = 0x1000};
	static const struct pci_function disk = {.vendor = 0x1af4, .device = 0x1042};

	nic_world_begin();
	card_reset();
	card.refuses = true;
	nic_vectors = 3;
	assert_int_equal(virtio_net_probe(&disk), -XEN_ENODEV);
	assert_int_equal(virtio_net_probe(&function), -XEN_EOPNOTSUPP);
	assert_true(nic_disabled);
	nic_vectors = 0;
	card.refuses = false;
	assert_int_equal(virtio_net_probe(&function), -XEN_ENODEV);
	card.stays_busy = true;
	card.status = 4;
	assert_int_equal(virtio_net_probe(&function), -XEN_EBUSY);
	nic_dev = NULL;
}

/* ---- out ------------------------------------------------------------------------------------- */

static void a_frame_goes_out_with_an_empty_header(void **state)
{
	struct nic_frame *f;
	struct card_chain c;
	uint8_t want[64];

	vnet_probe();
	f = nic_world_frame(64, 1, 7);
	nic_world_send(f);
	assert_int_equal(vnet_next_sent(&c), 12 + 64);
	nic_world_bytes(want, 64, 7);
	assert_memory_equal(vnet_got + 12, want, 64);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(vnet_got[i], 0);
	assert_int_equal(f->done, 0);
	card_return(VNET_OUT, c.head, 0);
	vnet_interrupt(0);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->status, 0);
	assert_int_equal(nic_dev->stats[0].frames_out, 1);
	assert_int_equal(nic_dev->stats[0].bytes_out, 64);
}

static void the_header_says_what_is_left_to_do(void **state)
{
	struct nic_frame *f;
	struct card_chain c;

	vnet_probe();
	nic_world_send(nic_world_tcp(200, 4, 1));
	(void)vnet_next_sent(&c);
	assert_int_equal(vnet_header_got()->flags, VNET_NEEDS_CSUM);
	assert_int_equal(vnet_header_got()->csum_start, 34);
	assert_int_equal(vnet_header_got()->csum_offset, 16);
	assert_int_equal(vnet_header_got()->gso_type, 0);
	f = nic_world_tcp(9000, 6, 2);
	f->frame.gso = NET_GSO_TCPV6;
	f->frame.gso_size = 1400;
	nic_world_send(f);
	(void)vnet_next_sent(&c);
	assert_int_equal(vnet_header_got()->gso_type, VNET_GSO_TCPV6);
	assert_int_equal(vnet_header_got()->gso_size, 1400);
	assert_int_equal(vnet_header_got()->csum_start, 54);
	assert_int_equal(vnet_header_got()->hdr_len, 74);
}

/* The longest there is, in the most segments, is one descriptor of the queue. */
static void a_long_frame_goes_by_a_table(void **state)
{
	static uint8_t want[NET_FRAME_MAX];
	struct nic_frame *f;
	struct card_chain c;

	vnet_probe();
	nic_world_bytes(want, NET_FRAME_MAX, 0);
	(void)nic_world_headers(want, NET_FRAME_MAX, 4);
	for (unsigned round = 0; round < 300; round++) {
		f = nic_world_tcp(NET_FRAME_MAX, 4, round % 18 + 3);
		f->frame.gso = NET_GSO_TCPV4;
		f->frame.gso_size = 1448;
		nic_world_send(f);
		assert_int_equal(card.queues[VNET_OUT]->n_free, 63);
		assert_int_equal(vnet_next_sent(&c), 12 + NET_FRAME_MAX);
		assert_memory_equal(vnet_got + 12, want, NET_FRAME_MAX);
		card_return(VNET_OUT, c.head, 0);
		vnet_interrupt(0);
		assert_int_equal(f->done, 1);
		for (unsigned i = 0; i < f->frame.n_segments; i++) {
			uintptr_t va = (uintptr_t)f->frame.segments[i].va;
			unsigned n = f->frame.segments[i].len_bytes + (va & ~PAGE_MASK);

			host_pages_free((void *)(va & PAGE_MASK), n / PAGE_SIZE + 1);
		}
		free(f);
	}
}

static void headers_that_make_no_sense_are_not_sent(void **state)
{
	struct nic_frame *f;

	vnet_probe();
	f = nic_world_frame(100, 1, 0); /* not IP */
	f->frame.flags = NET_CSUM_BLANK;
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	f = nic_world_frame(100, 1, 0); /* to be cut, with its checksum */
	f->frame.gso = NET_GSO_TCPV4;
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	f = nic_world_tcp(3000, 4, 1); /* in pieces of nothing */
	f->frame.gso = NET_GSO_TCPV4;
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	assert_int_equal(f->done, 1);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), 3);
	assert_int_equal(card.queues[VNET_OUT]->n_free, 64);
}

/* 32 chains of two fit; then frames wait, up to a bound; then they are dropped. All in the order they came. */
static void what_finds_no_room_waits_in_order(void **state)
{
	static struct nic_frame *f[32 + NIC_WAITING_MAX + 5];
	struct card_chain c;
	unsigned n = 0;

	vnet_probe();
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = nic_world_frame(60, 1, i);
		nic_dev->ops->send(nic_dev, &f[i]->frame);
	}
	nic_dev->ops->kick(nic_dev);
	assert_int_equal(nic_world_drops(NET_DROP_full), 5);
	assert_int_equal(f[ARRAY_SIZE(f) - 1]->status, -XEN_ENOBUFS);
	while (n < ARRAY_SIZE(f) - 5) {
		while (card_next(VNET_OUT, &c)) {
			(void)card_read(&c, vnet_got, sizeof(vnet_got));
			assert_int_equal(vnet_got[12], n % 256);
			card_return(VNET_OUT, c.head, 0);
			assert_int_equal(f[n++]->done, 0);
		}
		vnet_interrupt(0);
		assert_int_equal(f[n - 1]->done, 1);
	}
	assert_int_equal(nic_dev->stats[0].frames_out, n);
}

/* By index: a device that has not come to the last one yet need not be told of the next. */
static void a_busy_device_is_not_told(void **state)
{
	struct card_chain c;

	vnet_probe();
	nic_world_send(nic_world_frame(60, 1, 0));
	nic_world_send(nic_world_frame(60, 1, 0));
	nic_world_send(nic_world_frame(60, 1, 0));
	assert_int_equal(nic_dev->stats[0].batches_out, 3);
	assert_int_equal(nic_dev->stats[0].notifications_out, 1 + 1); /* the first refill's */
	while (card_next(VNET_OUT, &c))
		card_return(VNET_OUT, c.head, 0);
	*(uint16_t *)&card.queues[VNET_OUT]->used->ring[64] = 3;
	vnet_interrupt(0);
	nic_world_send(nic_world_frame(60, 1, 0));
	assert_int_equal(nic_dev->stats[0].notifications_out, 1 + 2);
}

/* The first of many that came back wakes nobody: three quarters do. */
static void what_was_sent_is_told_of_in_batches(void **state)
{
	struct card_chain c;
	unsigned n = 0;

	vnet_probe();
	for (unsigned i = 0; i < 20; i++)
		nic_dev->ops->send(nic_dev, &nic_world_frame(60, 1, i)->frame);
	nic_dev->ops->kick(nic_dev);
	vnet_interrupt(0);
	do {
		assert_true(card_next(VNET_OUT, &c));
		card_return(VNET_OUT, c.head, 0);
		n++;
	} while (!card_interrupts(VNET_OUT, (uint16_t)(n - 1)));
	assert_int_equal(n, 16);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void frames_of_every_length_come_in_whole(void **state)
{
	static const uint32_t lengths[] = {14,   60,   1514, 4083,  4084,
					   4085, 8180, 8181, 30000, NET_FRAME_MAX};
	static uint8_t bytes[NET_FRAME_MAX];

	vnet_probe();
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		nic_world_bytes(bytes, lengths[i], i);
		vnet_deliver(0, 0, 0, bytes, lengths[i]);
		assert_int_equal(nic_seen.frames, i + 1);
		assert_int_equal(nic_seen.len, lengths[i]);
		assert_int_equal(nic_seen.n_segments, (lengths[i] + 12 + 4095) / 4096);
		assert_memory_equal(nic_seen.bytes, bytes, lengths[i]);
		assert_int_equal(nic_seen.flags, 0);
	}
	assert_int_equal(nic_seen.batches, ARRAY_SIZE(lengths));
}

static void checksums_and_cutting_come_in_as_they_are(void **state)
{
	static uint8_t bytes[60000];

	vnet_probe();
	nic_world_bytes(bytes, sizeof(bytes), 0);
	(void)nic_world_headers(bytes, sizeof(bytes), 6);
	vnet_deliver(VNET_NEEDS_CSUM, VNET_GSO_TCPV6, 1428, bytes, sizeof(bytes));
	assert_int_equal(nic_seen.frames, 1);
	assert_int_equal(nic_seen.flags, NET_CSUM_BLANK | NET_CSUM_VALID);
	assert_int_equal(nic_seen.gso, NET_GSO_TCPV6);
	assert_int_equal(nic_seen.gso_size, 1428);
	vnet_deliver(VNET_DATA_VALID, 0, 0, bytes, 100);
	assert_int_equal(nic_seen.flags, NET_CSUM_VALID);
	(void)nic_world_headers(bytes, sizeof(bytes), 4);
	vnet_deliver(VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 1448, bytes, sizeof(bytes));
	assert_int_equal(nic_seen.gso, NET_GSO_TCPV4);
	assert_int_equal(nic_seen.frames, 3);
}

/* None of these is a frame; the card has not lied about its buffers, so it goes on. */
static void words_that_do_not_fit_the_frame_drop_it(void **state)
{
	static const struct vnet_header bad[] = {
	    {.flags = VNET_NEEDS_CSUM, .csum_start = 30, .csum_offset = 16},
	    {.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6},
	    {.flags = VNET_NEEDS_CSUM, .csum_start = 60000, .csum_offset = 16},
	    {.gso_type = VNET_GSO_TCPV4, .gso_size = 1000},
	    {VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 0, 34, 16, 0},
	    {VNET_NEEDS_CSUM, VNET_GSO_TCPV6, 54, 1000, 34, 16, 0},
	    {VNET_NEEDS_CSUM, 3, 54, 1000, 34, 16, 0},
	    {VNET_NEEDS_CSUM, 0x81, 54, 1000, 34, 16, 0},
	};
	uint8_t bytes[2000] = {0};

	vnet_probe();
	(void)nic_world_headers(bytes, sizeof(bytes), 4);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)vnet_deliver_into(VNET_IN, &bad[i], bytes, sizeof(bytes));
		vnet_interrupt(0);
		assert_int_equal(nic_world_drops(NET_DROP_malformed), i + 1);
	}
	vnet_deliver(0, 0, 0, bytes, 13);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), ARRAY_SIZE(bad) + 1);
	assert_int_equal(nic_seen.frames, 0);
	vnet_deliver(0, 0, 0, bytes, sizeof(bytes));
	assert_int_equal(nic_seen.frames, 1);
	assert_false(mock_logged("reset"));
}

/* A first buffer with less than the headers, and a frame in more pieces or longer than there may be. */
static void buffers_that_are_not_filled_make_no_frame(void **state)
{
	struct vnet_header *h = NULL;
	struct card_chain c;

	vnet_probe();
	for (unsigned i = 0; i < 2; i++) {
		assert_true(card_next(VNET_IN, &c));
		if (!i)
			h = (void *)c.pieces[0].addr;
		card_return(VNET_IN, c.head, 60);
	}
	*h = (struct vnet_header){.num_buffers = 2};
	vnet_interrupt(0);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), 1);
	for (unsigned i = 0; i < 25; i++) {
		assert_true(card_next(VNET_IN, &c));
		if (!i)
			h = (void *)c.pieces[0].addr;
		card_return(VNET_IN, c.head, 1000);
	}
	*h = (struct vnet_header){.num_buffers = 25};
	vnet_interrupt(0);
	assert_int_equal(nic_world_drops(NET_DROP_too_long), 1);
	assert_int_equal(nic_seen.frames, 0);
	assert_int_equal(card.queues[VNET_IN]->n_free, 0);
}

/* A user that keeps all: the card gets other pages, up to a bound; when he gives them back it goes on by itself. */
static void a_user_that_keeps_frames_costs_a_bounded_memory(void **state)
{
	uint8_t bytes[100] = {0};
	struct vnet_header h = {0};
	unsigned n = 0;

	vnet_probe();
	nic_seen.keep = true;
	for (; card.queues[VNET_IN]->avail->idx != card.taken[VNET_IN]; n++) {
		(void)vnet_deliver_into(VNET_IN, &h, bytes, sizeof(bytes));
		vnet_interrupt(0);
	}
	assert_int_equal(n, 3 * VIRTQ_MAX);
	assert_int_equal(nic_seen.frames, n);
	nic_world_put_kept(0);
	nic_seen.keep = false;
	assert_true(card.queues[VNET_IN]->n_free < 64);
	vnet_deliver(0, 0, 0, bytes, sizeof(bytes));
	assert_int_equal(nic_seen.frames, n + 1);
	assert_int_equal(card.queues[VNET_IN]->n_free, 0);
}

/* One that answers from within received(): the answers are told in one kick, at the end of the batch. */
static void what_is_echoed_goes_back_in_one_kick(void **state)
{
	uint8_t bytes[100] = {0};
	struct vnet_header h = {0};
	struct card_chain c;

	vnet_probe();
	nic_seen.echo = true;
	for (unsigned i = 0; i < 20; i++)
		(void)vnet_deliver_into(VNET_IN, &h, bytes, sizeof(bytes));
	vnet_interrupt(0);
	assert_int_equal(nic_seen.frames, 20);
	assert_int_equal(nic_seen.batches, 1);
	assert_int_equal(nic_dev->stats[0].batches_out, 1);
	while (card_next(VNET_OUT, &c))
		card_return(VNET_OUT, c.head, 0);
	vnet_interrupt(0);
	assert_int_equal(card.queues[VNET_IN]->n_free, 0);
}

/* More than a batch is left for the next round of the worker, without an interrupt. */
static void many_frames_are_taken_in_turns(void **state)
{
	uint8_t bytes[100] = {0};
	struct vnet_header h = {0};

	vnet_probe();
	for (unsigned i = 0; i < 60; i++)
		(void)vnet_deliver_into(VNET_IN, &h, bytes, sizeof(bytes));
	nic_irqs[0].fn(nic_irqs[0].ctx);
	assert_int_equal(nic_seen.frames, 60);
	assert_false(card_interrupts(VNET_IN, card.queues[VNET_IN]->used->idx));
	(void)vnet_deliver_into(VNET_IN, &h, bytes, sizeof(bytes));
	assert_true(card_interrupts(VNET_IN, (uint16_t)(card.queues[VNET_IN]->used->idx - 1)));
	nic_dev->user = NULL;
	vnet_interrupt(0);
	assert_int_equal(nic_world_drops(NET_DROP_filtered), 1);
}

/* A header of ten bytes, by itself; a frame is one buffer. */
static void a_legacy_card_has_headers_apart(void **state)
{
	uint8_t bytes[1514], short_header[10] = {0};
	struct card_chain c;

	card.legacy = true;
	vnet_probe_with(VNET_FEATURE_MAC, 2, 1);
	assert_true(card_next(VNET_IN, &c));
	assert_int_equal(c.n, 2);
	assert_int_equal(c.pieces[0].len, 10);
	nic_world_bytes(bytes, sizeof(bytes), 3);
	(void)card_write(&c, short_header, 10);
	memcpy((void *)c.pieces[1].addr, bytes, sizeof(bytes));
	card_return(VNET_IN, c.head, 10 + sizeof(bytes));
	vnet_interrupt(0);
	assert_int_equal(nic_seen.len, sizeof(bytes));
	assert_memory_equal(nic_seen.bytes, bytes, sizeof(bytes));
	nic_world_send(nic_world_frame(60, 1, 0));
	assert_int_equal(vnet_next_sent(&c), 70);
}

#define TEST(f) cmocka_unit_test_teardown(f, vnet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_card_is_described),
	    TEST(longer_frames_when_asked_for),
	    TEST(features_come_with_what_they_need),
	    TEST(one_that_does_not_agree_is_left_alone),
	    TEST(a_frame_goes_out_with_an_empty_header),
	    TEST(the_header_says_what_is_left_to_do),
	    TEST(a_long_frame_goes_by_a_table),
	    TEST(headers_that_make_no_sense_are_not_sent),
	    TEST(what_finds_no_room_waits_in_order),
	    TEST(a_busy_device_is_not_told),
	    TEST(what_was_sent_is_told_of_in_batches),
	    TEST(frames_of_every_length_come_in_whole),
	    TEST(checksums_and_cutting_come_in_as_they_are),
	    TEST(words_that_do_not_fit_the_frame_drop_it),
	    TEST(buffers_that_are_not_filled_make_no_frame),
	    TEST(a_user_that_keeps_frames_costs_a_bounded_memory),
	    TEST(what_is_echoed_goes_back_in_one_kick),
	    TEST(many_frames_are_taken_in_turns),
	    TEST(a_legacy_card_has_headers_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
