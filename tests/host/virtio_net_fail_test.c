/* virtio_net_fail_test: virtio-net devices that lie, hang, change and go, and their control queue.
 *
 * Why: a service domain that loses its network card takes all its guests' network with it. Expected: what a device returns
 * of ids, lengths and buffers is held against what it was given, and a lie costs it a reset after which frames go again;
 * queue pairs and filters are asked for one after another and a refusal is no end; the link; a device that hangs is reset,
 * one that does not come back is tried again and again, one that is pulled out takes nothing with it.
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

#define SECOND 1000000000ull

/* What a device returns that it was not given, in each way. */
enum lie {
	LIE_ID,
	LIE_TWICE,
	LIE_LONG,
	LIE_SHORT,
	LIE_MISSING,
	LIE_NONE,
	LIE_MANY,
	LIE_SENT,
	LIES
};

static void tell(enum lie lie)
{
	struct card_chain c = {0};
	struct vnet_header *h;

	assert_true(card_next(lie == LIE_SENT ? VNET_OUT : VNET_IN, &c));
	h = (void *)c.pieces[0].addr;
	if (lie != LIE_SENT)
		*h = (struct vnet_header){.num_buffers = 1};
	if (lie == LIE_MISSING || lie == LIE_NONE || lie == LIE_MANY)
		h->num_buffers = lie == LIE_MISSING ? 2 : lie == LIE_NONE ? 0 : 0xffff;
	if (lie == LIE_SENT || lie == LIE_TWICE)
		card_return(lie == LIE_SENT ? VNET_OUT : VNET_IN, c.head, 100);
	card_return(lie == LIE_SENT ? VNET_OUT : VNET_IN, lie == LIE_ID ? 0x10000 : c.head,
		    lie == LIE_LONG    ? PAGE_SIZE + 1
		    : lie == LIE_SHORT ? 11
				       : 100);
}

/* In flight is dropped, what waits is kept and goes, frames come in: and nothing of the card's is lost over many lies. */
static void a_lie_costs_a_reset_and_no_more(void **state)
{
	uint8_t bytes[100] = {0};

	vnet_probe();
	for (unsigned i = 0; i < 4 * LIES; i++) {
		struct nic_frame *f = nic_world_frame(60, 1, 0), *g = nic_world_frame(60, 1, 9);
		unsigned before = nic_seen.frames;
		struct card_chain c;

		nic_world_send(f);
		tell(i % LIES);
		vnet_interrupt(0);
		assert_int_equal(card.resets, 3 + i);
		nic_world_send(g);
		assert_int_equal(g->done, 0);
		mock_advance(60 * SECOND);
		assert_int_equal(f->done, 1);
		assert_int_equal(f->status, i % LIES == LIE_SENT ? 0 : -XEN_EIO);
		while (vnet_answer_control(2, 0))
			;
		assert_int_equal(vnet_next_sent(&c), 72);
		assert_int_equal(vnet_got[12], 9);
		card_return(VNET_OUT, c.head, 0);
		before = nic_seen.frames;
		vnet_deliver(0, 0, 0, bytes, sizeof(bytes));
		assert_int_equal(nic_seen.frames, before + 1);
		assert_int_equal(g->status, 0);
		assert_int_equal(card.queues[VNET_IN]->n_free, 0);
	}
	assert_true(nic_dev->carrier);
	/* No buffer was lost: there are no more than the card holds. */
	assert_int_equal(((struct nic *)nic_dev->driver)->queues[0]->n_buffers, 64);
}

/* ---- beside frames ---------------------------------------------------------------------------- */

static void pairs_are_used_when_the_card_has_agreed(void **state)
{
	struct card_chain c;
	unsigned used = 0;

	vnet_probe_with(VNET_ALL, 10, 6);
	assert_int_equal(nic_dev->n_queues, NIC_QUEUES);
	assert_int_equal(card.config_vector, NIC_QUEUES);
	assert_non_null(card.queues[12]); /* behind six pairs */
	assert_true(card_next(12, &c));
	assert_int_equal(card_read(&c, vnet_got, sizeof(vnet_got)), 4);
	assert_memory_equal(vnet_got, "\4\0\4\0", 4);
	card.taken[12]--;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned flow = 0; flow < 64; flow++) {
			struct nic_frame *f = nic_world_tcp(100, 4, 1);

			f->frame.hash = 1000 + flow;
			nic_world_send(f);
		}
		for (unsigned i = 0; i < NIC_QUEUES; i++)
			used += card.queues[2 * i + 1]->avail->idx != 0;
		assert_int_equal(used, round ? 1 + NIC_QUEUES : 1);
		while (vnet_answer_control(12, 0))
			;
	}
}

static void with_few_vectors_the_watch_asks(void **state)
{
	vnet_probe_with(VNET_ALL, 1, 6);
	assert_int_equal(nic_dev->n_queues, 1);
	assert_int_equal(card.config_vector, VIRTIO_NO_VECTOR);
	assert_int_equal(vnet_answer_control(12, 0), 1);
	vnet_seconds(1);
	assert_int_equal(vnet_answer_control(12, 0), 1);
}

static void filters_are_told_one_after_another(void **state)
{
	struct card_chain c;
	uint8_t ack = 1;

	vnet_probe();
	nic_dev->ops->promiscuous(nic_dev, true);
	nic_dev->ops->multicast(nic_dev, (const uint8_t *)"\1\0\x5e\0\0\1", true);
	assert_true(card_next(2, &c));
	assert_int_equal(card_read(&c, vnet_got, sizeof(vnet_got)), 3);
	assert_memory_equal(vnet_got, "\0\0\1", 3);
	assert_false(card_next(2, &(struct card_chain){0}));
	(void)card_write(&c, &ack, 1);
	card_return(2, c.head, 1);
	vnet_interrupt(1);
	assert_true(mock_logged("refuses command 0.0"));
	assert_true(card_next(2, &c));
	assert_int_equal(card_read(&c, vnet_got, sizeof(vnet_got)), 3);
	assert_memory_equal(vnet_got, "\0\1\1", 3);
	card_return(2, 77, 1);
	vnet_interrupt(1);
	assert_true(mock_logged("an answer to no command: reset 1"));
}

static void the_link_goes_and_comes(void **state)
{
	struct nic_frame *f = NULL;

	vnet_probe();
	nic_world_send(nic_world_frame(60, 1, 0));
	card.config[6] = 0;
	vnet_interrupt(1);
	assert_false(nic_dev->carrier);
	assert_int_equal(nic_seen.changes, 1);
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_ENOTCONN);
	assert_int_equal(nic_world_drops(NET_DROP_down), 1);
	card.config[6] = 1;
	vnet_seconds(1); /* without an interrupt too */
	assert_true(nic_dev->carrier);
	assert_int_equal(nic_seen.changes, 2);
}

/* ---- cards that fail ------------------------------------------------------------------------- */

static void a_lost_interrupt_costs_a_second(void **state)
{
	struct nic_frame *f;
	struct card_chain c;

	vnet_probe();
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	vnet_seconds(1);
	(void)vnet_next_sent(&c);
	card_return(VNET_OUT, c.head, 0);
	vnet_seconds(2);
	assert_int_equal(f->done, 1);
	assert_int_equal(nic_delays > 0, 1);
}

static void one_that_hangs_is_reset(void **state)
{
	struct nic_frame *f;

	vnet_probe();
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	vnet_seconds(20);
	assert_int_equal(f->done, 0);
	vnet_seconds(20);
	assert_int_equal(f->status, -XEN_EIO);
	assert_true(mock_logged("frames do not come back: reset 1"));
	assert_int_equal(card.status & VIRTIO_DRIVER_OK, VIRTIO_DRIVER_OK);
}

static void one_that_asks_is_reset_at_once(void **state)
{
	vnet_probe();
	card.status |= VIRTIO_NEEDS_RESET;
	vnet_interrupt(1);
	vnet_interrupt(1);
	assert_int_equal(card.resets, 3);
	vnet_seconds(1);
	assert_true(nic_dev->carrier);
	assert_int_equal(card.status & VIRTIO_NEEDS_RESET, 0);
}

/* It is tried again and again, at growing intervals; what is sent meanwhile is dropped, and all is well when it comes. */
static void one_that_does_not_come_back_is_tried_again(void **state)
{
	struct nic_frame *f;

	vnet_probe();
	card.status |= VIRTIO_NEEDS_RESET;
	card.stays_busy = true;
	vnet_seconds(10);
	assert_false(nic_dev->carrier);
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_ENOTCONN);
	vnet_seconds(600);
	assert_in_range(card.resets, 10, 40);
	card.stays_busy = false;
	vnet_seconds(100);
	assert_true(nic_dev->carrier);
	nic_world_send(nic_world_frame(60, 1, 0));
	assert_true(card_next(VNET_OUT, &(struct card_chain){0}));
}

static void one_that_is_pulled_out_takes_nothing_with_it(void **state)
{
	static struct nic_frame *f[50];
	uint8_t bytes[100] = {0};

	vnet_probe();
	nic_seen.keep = true;
	vnet_deliver(0, 0, 0, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 50; i++) {
		f[i] = nic_world_frame(60, 1, 0);
		nic_world_send(f[i]);
	}
	card.status = 0xff;
	vnet_seconds(2);
	assert_int_equal(nic_seen.gone, 1);
	assert_null(nic_dev);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(f[i]->done, 1);
	vnet_interrupt(0); /* one that was under way */
}

#define TEST(f) cmocka_unit_test_teardown(f, vnet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_lie_costs_a_reset_and_no_more),
	    TEST(pairs_are_used_when_the_card_has_agreed),
	    TEST(with_few_vectors_the_watch_asks),
	    TEST(filters_are_told_one_after_another),
	    TEST(the_link_goes_and_comes),
	    TEST(a_lost_interrupt_costs_a_second),
	    TEST(one_that_hangs_is_reset),
	    TEST(one_that_asks_is_reset_at_once),
	    TEST(one_that_does_not_come_back_is_tried_again),
	    TEST(one_that_is_pulled_out_takes_nothing_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
