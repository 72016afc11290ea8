/* ring_test: the shared ring's two halves, index by index.
 *
 * Shows the slot counts of xen/io/ring.h, that indices may run over 2^32, which published indices
 * are refused, and when a notification is asked for. Why: each driver stands on it, and an
 * off-by-one here is a lost wake-up or a way past the end. Expected: as the macros of xen/io/ring.h
 * would have it.
 *
 * links: tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/blkif.h>
#include <amphi/ring.h>

static _Alignas(4096) uint8_t page[4096];
static struct ring front, back;

/* Both halves on a fresh page, all indices at start. */
static void begin(uint32_t start)
{
	memset(page, 0, sizeof(page));
	ring_init(&front, page, 1, BLKIF_SLOT_BYTES);
	ring_init(&back, page, 1, BLKIF_SLOT_BYTES);
	ring_reset_shared(&front);
	front.out = front.out_pushed = front.in = start;
	back.out = back.out_pushed = back.in = start;
	front.shared->req_prod = front.shared->rsp_prod = start;
	front.shared->req_event = front.shared->rsp_event = start + 1;
}

static void test_sizes(void **state)
{
	assert_int_equal(ring_slots(1, 112), 32);
	assert_int_equal(ring_slots(2, 112), 64);
	assert_int_equal(ring_slots(16, 112), 512);
	assert_int_equal(ring_slots(1, 12), 256); /* netif */
	assert_int_equal(ring_slots(1, 4032), 1);
	assert_int_equal(ring_slots(1, 4033), 0);
	/* The layout of the header that both sides are built from. */
	assert_int_equal(offsetof(struct ring_page, req_event), 4);
	assert_int_equal(offsetof(struct blkif_sring, req_event), 4);
	assert_int_equal(offsetof(struct ring_page, rsp_event),
			 offsetof(struct blkif_sring, rsp_event));
	assert_int_equal(offsetof(struct ring_page, slots), offsetof(struct blkif_sring, ring));
	assert_int_equal(sizeof(((struct blkif_sring *)0)->ring[0]), BLKIF_SLOT_BYTES);
}

/* Slots follow each other without a gap and start over after the last. */
static void test_slots(void **state)
{
	begin(0);
	for (uint32_t i = 0; i < 64; i++)
		assert_ptr_equal(ring_slot(&front, i), page + 64 + (i % 32) * 112);
}

/* From near the end of the numbers, so that they run over. */
static void test_round_trip(void **state)
{
	begin(0xfffffff0u);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(ring_front_free(&front), 32);
		front.out += 20;
		assert_true(ring_front_push(&front));
		assert_int_equal(ring_back_fetch(&back), 20);
		back.in += 20;
		assert_int_equal(ring_back_arm(&back, 1), 0);
		back.out += 20;
		assert_true(ring_back_push(&back));
		assert_int_equal(ring_front_in_flight(&front), 20);
		assert_int_equal(ring_front_fetch(&front), 20);
		front.in += 20;
		assert_int_equal(ring_front_arm(&front, 1), 0);
	}
}

/* Everything the other half can publish: what is more than it may is refused. */
static void test_what_back_accepts(void **state)
{
	for (uint32_t in = 0; in <= 32; in++)
		for (uint32_t out = 0; out <= in; out++)
			for (int64_t prod = -3; prod <= 100; prod++) {
				uint32_t waiting = (uint32_t)prod - in, room = 32 - (in - out);

				begin(0);
				back.in = in;
				back.out = out;
				back.shared->req_prod = (uint32_t)prod;
				assert_int_equal(ring_back_fetch(&back),
						 waiting <= room ? (int)waiting : -1);
			}
}

static void test_what_front_accepts(void **state)
{
	for (uint32_t asked = 0; asked <= 32; asked++)
		for (int64_t prod = -3; prod <= 100; prod++) {
			begin(5);
			front.out += asked;
			ring_front_push(&front);
			front.shared->rsp_prod = (uint32_t)(5 + prod);
			assert_int_equal(ring_front_fetch(&front),
					 prod >= 0 && prod <= asked ? (int)prod : -1);
		}
}

/* Requests that were put but not published cannot be answered. */
static void test_unpublished(void **state)
{
	begin(0);
	front.out += 3;
	front.shared->rsp_prod = 1;
	assert_int_equal(ring_front_fetch(&front), -1);
}

/* A wake-up is due exactly when the push passes the threshold: old < event <= new. */
static void test_when_to_notify(void **state)
{
	for (uint32_t base = 0xfffffff8u; base != 8; base++)
		for (uint32_t event = 0; event < 40; event++)
			for (uint32_t n = 1; n <= 16; n++) {
				begin(base);
				front.shared->req_event = base + event;
				front.out += n;
				assert_int_equal(ring_front_push(&front), event >= 1 && event <= n);
				assert_false(ring_front_push(&front)); /* nothing new */
				begin(base);
				back.in += n;
				back.shared->rsp_event = base + event;
				back.out += n;
				assert_int_equal(ring_back_push(&back), event >= 1 && event <= n);
			}
}

/* What came before the threshold was set is seen by the look after it. */
static void test_no_lost_wakeup(void **state)
{
	begin(0);
	front.out = 1;
	back.shared->req_event = 7; /* the back half did not want to be told */
	assert_false(ring_front_push(&front));
	assert_int_equal(ring_back_arm(&back, 1), 1);
	back.in = back.out = 1;
	back.shared->rsp_event = 7;
	assert_false(ring_back_push(&back));
	assert_int_equal(ring_front_arm(&front, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_slots),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_what_back_accepts),
	    cmocka_unit_test(test_what_front_accepts),
	    cmocka_unit_test(test_unpublished),
	    cmocka_unit_test(test_when_to_notify),
	    cmocka_unit_test(test_no_lost_wakeup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
