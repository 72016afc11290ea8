/* e1000e_test: the driver of Intel's 82574 against a card played by the test.
 *
 * Why: QEMU's card (tests/qemu/nic_test.sh) never hangs, is never full and makes no mistakes. Expected: each frame out is the
 * descriptors that the datasheet asks for, with the copy of headers that a frame to be cut needs, and waits in order when the ring
 * is full; frames of several descriptors come in whole, those with errors not at all, and lengths that cannot be harm nobody;
 * filters, the link; a card that hangs is reset, one that is pulled out takes nothing with it. The registers are plain
 * memory: what a write does is done by the test.
 *
 * links: tests/host/nic_world.c tests/host/e1000e_card.c drivers-native/e1000e*.c drivers-native/nic.c drivers-native/nic_buffer.c
 * links: drivers-native/nic_watch.c iommu/dma.c iommu/dma_direct.c iommu/dma_debug.c tests/host/no_dma_space.c kernel/net.c protocol/net_parse.c protocol/net_hash.c
 * links: protocol/net_sum.c lib/printf.c lib/text.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include "drivers-native/e1000e.h"

#include <amphi/drivers.h>
#include <amphi/machine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mock_host.h"
#include "nic_world.h"
#include "e1000e_card.h"

#define SECOND 1000000000ull

/* ---- its life ---------------------------------------------------------------------------------------- */

static const struct pci_function function = {.vendor = 0x8086, .device = 0x10d3};

static void probe(void)
{
	nic_world_begin();
	nic_on_delay = e1k_pass_time;
	e1k_device.stays_busy = false;
	e1k_device.resets = 0;
	e1k_power_on();
	nic_vectors = 5;
	assert_int_equal(e1000e_probe(&function), 0);
	assert_non_null(nic_dev);
	nic_world_attach();
}

static void seconds(unsigned n)
{
	for (n *= 100; n; n--) {
		e1k_pass_time();
		mock_advance(SECOND / 100);
	}
}

static int teardown(void **state)
{
	e1k_device.stays_busy = false;
	if (!nic_dev)
		return 0;
	seconds(50);
	memset(e1k_device.regs, 0xff, sizeof(e1k_device.regs));
	seconds(2);
	assert_null(nic_dev);
	assert_null(host_net_next(NULL));
	assert_true(nic_disabled);
	return 0;
}

static void the_card_is_described(void **state)
{
	probe();
	assert_memory_equal(nic_dev->mac, "\x52\x54\x00\x12\x34\x56", 6);
	assert_int_equal(nic_dev->mtu, 1500);
	assert_int_equal(nic_dev->n_queues, 1);
	assert_true(nic_dev->carrier && nic_dev->uplink);
	assert_int_equal(*e1k_reg(E1K_IVAR), 1u << 31 | 9u << 16 | 8u << 8 | 8u);
	assert_int_equal(e1k_n_given(), E1K_RING - 1);
	assert_int_equal(*e1k_reg(E1K_RDLEN), PAGE_SIZE);
	assert_true(*e1k_reg(E1K_CTRL) & E1K_CTRL_SLU);
	assert_false(*e1k_reg(E1K_CTRL) & E1K_CTRL_MASTER_OFF);
}

static void longer_frames_when_asked_for(void **state)
{
	probe();
	assert_true(*e1k_reg(E1K_RCTL) & E1K_RCTL_LPE);
	nic_dev->ops->set_mtu(nic_dev, 65521);
	assert_int_equal(nic_dev->mtu, 9000);
	nic_dev->ops->set_mtu(nic_dev, 0);
	assert_int_equal(nic_dev->mtu, 1500);
}

static void others_are_left_alone(void **state)
{
	static const struct pci_function other = {.vendor = 0x8086, .device = 0x100e};

	nic_world_begin();
	nic_on_delay = e1k_pass_time;
	e1k_power_on();
	nic_vectors = 1;
	assert_int_equal(e1000e_probe(&other), -XEN_ENODEV);
	assert_false(nic_disabled);
	assert_int_equal(e1000e_probe(&function), -XEN_ENODEV); /* too few vectors */
	assert_true(nic_disabled);
	e1k_device.stays_busy = true;
	assert_int_equal(e1000e_probe(&function), -XEN_EBUSY);
	nic_dev = NULL;
}

/* ---- out ------------------------------------------------------------------------------------------- */

static void a_frame_goes_out_as_its_pieces(void **state)
{
	struct nic_frame *f;
	uint8_t want[1000];

	probe();
	f = nic_world_frame(1000, 3, 5);
	nic_world_send(f);
	e1k_next_sent();
	nic_world_bytes(want, 1000, 5);
	assert_int_equal(e1k_sent.len, 1000);
	assert_memory_equal(e1k_sent.bytes, want, 1000);
	assert_false(e1k_sent.has_context || e1k_sent.options || e1k_sent.is_cut);
	e1k_interrupt();
	assert_int_equal(f->done, 0);
	e1k_finish();
	assert_int_equal(f->done, 1);
	assert_int_equal(f->status, 0);
	f = nic_world_frame(E1K_FRAME_MAX + 1, 4, 0);
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_E2BIG);
}

/* Where headers begin, where sums go, and which there are. */
static void a_blank_checksum_is_the_cards(void **state)
{
	probe();
	nic_world_send(nic_world_tcp(300, 4, 1));
	e1k_next_sent();
	assert_true(e1k_sent.has_context && !e1k_sent.is_cut);
	assert_int_equal(e1k_sent.options, E1K_TX_TXSM);
	assert_int_equal(e1k_sent.context.addr & 0xffffffff, 14 | 24 << 8 | 33 << 16);
	assert_int_equal(e1k_sent.context.addr >> 32, 34 | 50 << 8);
	assert_int_equal(e1k_sent.context.command, E1K_TX_DEXT | E1K_TX_TCP | E1K_TX_IPV4);
	nic_world_send(nic_world_tcp(300, 6, 2));
	e1k_next_sent();
	assert_int_equal(e1k_sent.context.addr >> 32, 54 | 70 << 8);
	assert_int_equal(e1k_sent.context.command, E1K_TX_DEXT | E1K_TX_TCP);
}

static void cut(unsigned proto, struct nic_frame **out)
{
	*out = nic_world_tcp(NET_FRAME_MAX, proto, 7);
	(*out)->frame.gso = proto == 4 ? NET_GSO_TCPV4 : NET_GSO_TCPV6;
	(*out)->frame.gso_size = 1400;
	nic_world_send(*out);
}

/* The headers have no lengths, the pseudo header's sum none either, and the frame itself stays as it was. */
static void a_frame_to_be_cut_gets_headers_of_its_own(void **state)
{
	static uint8_t want[NET_FRAME_MAX], head[NET_PARSE_BYTES];
	struct nic_frame *f;

	probe();
	for (unsigned proto = 4; proto <= 6; proto += 2) {
		unsigned data_at = proto == 4 ? 54 : 74;

		nic_world_bytes(want, NET_FRAME_MAX, 0);
		(void)nic_world_headers(want, NET_FRAME_MAX, proto);
		cut(proto, &f);
		e1k_next_sent();
		assert_int_equal(e1k_sent.len, NET_FRAME_MAX);
		assert_memory_equal(e1k_sent.bytes + data_at, want + data_at,
				    NET_FRAME_MAX - data_at);
		assert_memory_equal(f->frame.segments[0].va, want, data_at);
		memcpy(head, want, data_at);
		memset(head + (proto == 4 ? 16 : 18), 0, 2);
		/* protocol 6, no addresses in these headers */
		memcpy(head + data_at - 4, "\0\6", 2);
		assert_memory_equal(e1k_sent.bytes, head, data_at);
		assert_true(e1k_sent.is_cut);
		assert_int_equal(e1k_sent.context.command & 0xfffff, NET_FRAME_MAX - data_at);
		assert_int_equal(e1k_sent.context.options, data_at);
		assert_int_equal(e1k_sent.context.special, 1400);
		assert_int_equal(e1k_sent.options, E1K_TX_TXSM | (proto == 4 ? E1K_TX_IXSM : 0));
		e1k_finish();
		assert_int_equal(f->done, 1);
	}
}

static void headers_that_make_no_sense_are_not_sent(void **state)
{
	struct nic_frame *f;

	probe();
	f = nic_world_frame(100, 1, 0);
	f->frame.flags = NET_CSUM_BLANK;
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	f = nic_world_tcp(3000, 4, 1);
	f->frame.gso = NET_GSO_TCPV4; /* in pieces of nothing */
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	f = nic_world_tcp(54, 4, 1); /* nothing to cut */
	f->frame.gso = NET_GSO_TCPV4;
	f->frame.gso_size = 1000;
	nic_world_send(f);
	assert_int_equal(f->status, -XEN_EINVAL);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), 3);
	assert_int_equal(*e1k_reg(E1K_TDT), 0);
}

/* Around the ring many times; long ones between, which need many descriptors and the copies of headers. */
static void what_finds_no_room_waits_in_order(void **state)
{
	static struct nic_frame *f[600];
	unsigned n = 0;

	probe();
	for (unsigned i = 0; i < 600; i++) {
		f[i] = i % 10 == 9 ? nic_world_tcp(9000, 4, 9) : nic_world_frame(60 + i, 1, i);
		if (i % 10 == 9) {
			f[i]->frame.gso = NET_GSO_TCPV4;
			f[i]->frame.gso_size = 1448;
		}
		nic_dev->ops->send(nic_dev, &f[i]->frame);
	}
	nic_dev->ops->kick(nic_dev);
	assert_int_equal(nic_world_drops(NET_DROP_full), 0);
	for (; n < 600; n++) {
		e1k_next_sent();
		assert_int_equal(e1k_sent.len, n % 10 == 9 ? 9000 : 60 + n);
		assert_int_equal(f[n]->done, 0);
		e1k_finish();
		assert_int_equal(f[n]->done, 1);
	}
	assert_int_equal(e1k_device.tx_head, *e1k_reg(E1K_TDT));
}

static void copies_of_headers_run_out_and_come_back(void **state)
{
	struct nic_frame *f;

	probe();
	for (unsigned i = 0; i < 100; i++) {
		f = nic_world_tcp(200, 4, 1);
		f->frame.gso = NET_GSO_TCPV4;
		f->frame.gso_size = 100;
		nic_world_send(f);
	}
	for (unsigned i = 0; i < E1K_HEADS; i++)
		e1k_next_sent();
	assert_int_equal(e1k_device.tx_head, *e1k_reg(E1K_TDT));
	for (unsigned i = 0; i < E1K_RING; i++)
		((struct e1000e_tx_desc *)e1k_ring(E1K_TDBAL))[i].status = E1K_TX_DD;
	e1k_interrupt();
	for (unsigned i = E1K_HEADS; i < 100; i++)
		e1k_next_sent();
	assert_int_equal(e1k_device.tx_head, *e1k_reg(E1K_TDT));
}

/* ---- in --------------------------------------------------------------------------------------------- */

static void frames_of_every_length_come_in_whole(void **state)
{
	static const uint32_t lengths[] = {14, 60, 1514, 4095, 4096, 4097, 8192, 8193, 9018};
	static uint8_t bytes[E1K_FRAME_MAX];

	probe();
	for (unsigned round = 0; round < 50; round++)
		for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
			nic_world_bytes(bytes, lengths[i], i + round);
			e1k_deliver(bytes, lengths[i], 0, 0);
			assert_int_equal(nic_seen.frames, round * ARRAY_SIZE(lengths) + i + 1);
			assert_int_equal(nic_seen.len, lengths[i]);
			assert_memory_equal(nic_seen.bytes, bytes, lengths[i]);
			assert_int_equal(nic_seen.n_segments, (lengths[i] + 4095) / 4096);
			assert_int_equal(nic_seen.flags, 0);
		}
	assert_int_equal(e1k_n_given(), E1K_RING - 1);
}

static void checksums_are_the_cards_word(void **state)
{
	static const struct {
		uint8_t status, errors, flags;
	} words[] = {{E1K_RX_TCPCS, 0, NET_CSUM_VALID},  {E1K_RX_UDPCS, 0, NET_CSUM_VALID},
		     {E1K_RX_TCPCS, E1K_RX_TCPE, 0},     {E1K_RX_TCPCS, E1K_RX_IPE, 0},
		     {E1K_RX_TCPCS | E1K_RX_IXSM, 0, 0}, {0, 0, 0}};
	uint8_t bytes[60] = {0};

	probe();
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		e1k_deliver(bytes, 60, words[i].status, words[i].errors);
		assert_int_equal(nic_seen.frames, i + 1);
		assert_int_equal(nic_seen.flags, words[i].flags);
	}
}

/* What cannot be, in each way: dropped, and the next frame is whole. */
static void what_is_no_frame_is_dropped(void **state)
{
	uint8_t bytes[100] = {0};

	probe();
	for (unsigned way = 0; way < 7; way++) {
		if (way == 0)
			e1k_deliver(bytes, 60, 0, 1); /* a CRC error */
		if (way == 1)
			e1k_give_back(NULL, PAGE_SIZE + 1, E1K_RX_EOP, 0);
		if (way == 2)
			e1k_give_back(NULL, 0, E1K_RX_EOP, 0);
		if (way == 3)
			e1k_deliver(bytes, 13, 0, 0);
		if (way == 4) { /* the first one short */
			e1k_give_back(bytes, 30, 0, 0);
			e1k_give_back(bytes, 100, E1K_RX_EOP, 0);
		}
		for (unsigned i = 0; i < 50 && way >= 5; i++) /* too long; without an end */
			e1k_give_back(NULL, PAGE_SIZE, way == 5 && i == 49 ? E1K_RX_EOP : 0, 0);
		if (way == 6)
			e1k_give_back(NULL, 10, E1K_RX_EOP, 0);
		e1k_interrupt();
		assert_int_equal(nic_seen.frames, way);
		e1k_deliver(bytes, 60, 0, 0);
		assert_int_equal(nic_seen.frames, way + 1);
		assert_int_equal(nic_seen.len, 60);
		assert_int_equal(e1k_n_given(), E1K_RING - 1);
	}
	assert_int_equal(nic_world_drops(NET_DROP_device), 1);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), 6);
}

/* More descriptors done than were given: those are not looked at. */
static void only_what_was_given_is_looked_at(void **state)
{
	uint8_t bytes[60] = {0};
	unsigned n = 0;

	probe();
	nic_seen.keep = true;
	while (e1k_n_given()) {
		e1k_give_back(bytes, 60, E1K_RX_EOP, 0);
		if (++n % 50 == 0)
			e1k_interrupt();
	}
	for (unsigned i = 0; i < E1K_RING; i++)
		((struct e1000e_rx_desc *)e1k_ring(E1K_RDBAL))[i].status = 3;
	e1k_interrupt();
	e1k_interrupt();
	assert_int_equal(nic_seen.frames, 3 * E1K_RING);
	nic_world_put_kept(0);
	assert_true(e1k_n_given() > 0);
}

/* ---- beside frames ------------------------------------------------------------------------------------ */

static void filters_are_the_registers(void **state)
{
	probe();
	assert_int_equal(*e1k_reg(E1K_RCTL) & (E1K_RCTL_UPE | E1K_RCTL_MPE), 0);
	nic_dev->ops->promiscuous(nic_dev, true);
	assert_int_equal(*e1k_reg(E1K_RCTL) & (E1K_RCTL_UPE | E1K_RCTL_MPE),
			 E1K_RCTL_UPE | E1K_RCTL_MPE);
	nic_dev->ops->promiscuous(nic_dev, false);
	nic_dev->ops->multicast(nic_dev, nic_dev->mac, true);
	assert_int_equal(*e1k_reg(E1K_RCTL) & (E1K_RCTL_UPE | E1K_RCTL_MPE), E1K_RCTL_MPE);
	nic_dev->ops->multicast(nic_dev, nic_dev->mac, false);
	nic_dev->ops->multicast(nic_dev, nic_dev->mac, false);
	assert_int_equal(*e1k_reg(E1K_RCTL) & E1K_RCTL_MPE, 0);
	assert_true(*e1k_reg(E1K_RCTL) & E1K_RCTL_EN);
}

static void the_link_goes_and_comes(void **state)
{
	probe();
	*e1k_reg(E1K_STATUS) = 0;
	nic_irqs[E1K_VECTOR_OTHER].fn(nic_irqs[E1K_VECTOR_OTHER].ctx);
	assert_false(nic_dev->carrier);
	*e1k_reg(E1K_STATUS) = E1K_STATUS_LU;
	seconds(2); /* without an interrupt */
	assert_true(nic_dev->carrier);
	assert_int_equal(nic_seen.changes, 2);
}

static void check_it_works(void)
{
	struct nic_frame *f = nic_world_frame(60, 1, 77);
	uint8_t bytes[60] = {0};
	unsigned before = nic_seen.frames;

	nic_world_send(f);
	do {
		e1k_next_sent();
		e1k_finish();
	} while (!f->done);
	assert_int_equal(f->status, 0);
	e1k_deliver(bytes, 60, 0, 0);
	assert_int_equal(nic_seen.frames, before + 1);
}

static void one_that_hangs_is_reset(void **state)
{
	struct nic_frame *f, *g;

	probe();
	nic_dev->ops->promiscuous(nic_dev, true);
	e1k_give_back(NULL, PAGE_SIZE, 0, 0); /* the beginning of a frame */
	e1k_interrupt();
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	seconds(4);
	assert_int_equal(f->done, 0);
	e1k_device.stays_busy = true;
	seconds(5);
	assert_true(mock_logged("frames do not come back: reset 1"));
	assert_int_equal(*e1k_reg(E1K_IMC), ~0u);
	g = nic_world_frame(60, 1, 9);
	nic_world_send(g);
	assert_int_equal(g->done, 0);
	e1k_device.stays_busy = false;
	seconds(1);
	assert_int_equal(f->status, -XEN_EIO);
	assert_true(*e1k_reg(E1K_RCTL) & E1K_RCTL_UPE);
	assert_int_equal(*e1k_reg(E1K_RAL), 0x12005452);
	check_it_works();
	assert_int_equal(g->done, 1);
	assert_int_equal(e1k_device.resets, 2);
	/* No buffer was lost: there are no more than the card holds, and one that a frame had begun in. */
	assert_int_equal(((struct nic *)nic_dev->driver)->queues[0]->n_buffers, E1K_RING);
}

/* A card whose registers lost what was written into them. */
static void one_that_was_reset_by_another_is_started_again(void **state)
{
	probe();
	e1k_power_on();
	seconds(3);
	assert_true(mock_logged("the card has failed: reset 1"));
	check_it_works();
}

/* An error of its function: stopped at the first word, and nothing is asked of it for seconds; it works again after the last. */
static void an_error_of_the_function_is_a_reset(void **state)
{
	struct nic_frame *f;

	probe();
	nic_error(0x7777, DRIVERS_ERROR_GONE);
	nic_error(function.bdf, DRIVERS_ERROR_FOUND);
	assert_true(mock_logged("an error of its PCI function: reset 1"));
	f = nic_world_frame(60, 1, 9);
	nic_world_send(f);
	seconds(20);
	assert_int_equal(f->done, 0);
	assert_int_equal(*e1k_reg(E1K_RCTL), 0);
	nic_error(function.bdf, DRIVERS_ERROR_OVER);
	seconds(1);
	check_it_works();
	assert_int_equal(f->done, 1);
	/* Without a first word; and a last one that never comes. */
	nic_error(function.bdf, DRIVERS_ERROR_OVER);
	seconds(1);
	check_it_works();
	nic_error(function.bdf, DRIVERS_ERROR_FOUND);
	seconds(DRIVERS_ERROR_WAIT_NS / 1000000000u + 1);
	check_it_works();
	nic_error(function.bdf, DRIVERS_ERROR_GONE);
	assert_null(nic_dev);
	assert_int_equal(nic_seen.gone, 1);
	nic_error(function.bdf, DRIVERS_ERROR_OVER);
	seconds(2);
}

static void one_that_is_pulled_out_takes_nothing_with_it(void **state)
{
	struct nic_frame *f;
	uint8_t bytes[60] = {0};

	probe();
	nic_seen.keep = true;
	e1k_deliver(bytes, 60, 0, 0);
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	memset(e1k_device.regs, 0xff, sizeof(e1k_device.regs));
	seconds(2);
	assert_null(nic_dev);
	assert_int_equal(f->done, 1);
	assert_int_equal(nic_seen.gone, 1);
	e1k_interrupt();
}

static void one_that_is_taken_away_is_stopped(void **state)
{
	uint8_t bytes[60] = {0};
	unsigned pages, allocs;
	struct nic_frame *f;

	nic_world_begin();
	pages = mock_left(0).pages;
	allocs = mock_left(0).allocs;
	probe();
	f = nic_world_frame(60, 1, 0);
	nic_world_send(f);
	nic_seen.keep = true; /* by a user who puts it when the interface goes */
	e1k_deliver(bytes, 60, 0, 0);
	e1k_interrupt();
	assert_int_equal(nic_seen.n_kept, 1);
	nic_remove(0x7777);
	assert_non_null(nic_dev);
	nic_remove(function.bdf);
	assert_null(nic_dev);
	assert_true(nic_disabled);
	assert_int_equal(f->done, 1);
	assert_int_equal(nic_seen.gone, 1);
	assert_int_equal(*e1k_reg(E1K_RCTL), 0);
	nic_remove(function.bdf);
	assert_int_equal(nic_seen.gone, 1);
	assert_int_equal(mock_left(0).pages, pages + 1); /* the frame's */
	assert_int_equal(mock_left(0).allocs, allocs);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_card_is_described),
	    TEST(longer_frames_when_asked_for),
	    TEST(others_are_left_alone),
	    TEST(a_frame_goes_out_as_its_pieces),
	    TEST(a_blank_checksum_is_the_cards),
	    TEST(a_frame_to_be_cut_gets_headers_of_its_own),
	    TEST(headers_that_make_no_sense_are_not_sent),
	    TEST(what_finds_no_room_waits_in_order),
	    TEST(copies_of_headers_run_out_and_come_back),
	    TEST(frames_of_every_length_come_in_whole),
	    TEST(checksums_are_the_cards_word),
	    TEST(what_is_no_frame_is_dropped),
	    TEST(only_what_was_given_is_looked_at),
	    TEST(filters_are_the_registers),
	    TEST(the_link_goes_and_comes),
	    TEST(one_that_hangs_is_reset),
	    TEST(one_that_was_reset_by_another_is_started_again),
	    TEST(an_error_of_the_function_is_a_reset),
	    TEST(one_that_is_pulled_out_takes_nothing_with_it),
	    TEST(one_that_is_taken_away_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
