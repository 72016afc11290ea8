/* virtio_ring_test: the split virtqueue against a device played by the test.
 *
 * Why: the device is outside our trust; a queue that believes it can lose a request, end one twice or
 * run out of its arrays. Expected: chains come back by the token they went in with, in any order;
 * ids that are out of range, not heads, or already returned are refused; no descriptor is lost.
 * The device is a mock because no real one misbehaves on demand; well-behaved ones are in tests/qemu.
 * links: tests/host/plain_memory.c drivers-native/virtio_ring.c iommu/dma.c iommu/dma_direct.c iommu/dma_debug.c tests/host/no_dma_space.c
 */
#include "drivers-native/virtio_ring.h"

#include <amphi/host.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void peer_on_fetch(const volatile void *from, size_t len);
void peer_on_fetch(const volatile void *from, size_t len) {}
void host_log(enum host_log_level level, const char *fmt, ...) {}
void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	abort();
}

static const struct dma_device dev = {.mask = ~0ull};
static struct virtq q;
static const struct virtq_piece three[3] = {
    {{0x1000}, 16, false}, {{0x2000}, 512, true}, {{0x3000}, 1, true}};

static int setup(void **state)
{
	memset(&q, 0, sizeof(q));
	if (virtq_init(&q, &dev, VIRTQ_PAGE_MAX))
		return -1;
	virtq_rewind(&q);
	return 0;
}

static int teardown(void **state)
{
	free(q.desc);
	return 0;
}

static void device_returns(uint32_t id)
{
	q.used->ring[q.used->idx % q.size].id = id;
	q.used->idx++;
}

static void a_chain_reads_as_it_was_put(void **state)
{
	int token;
	uint16_t at;

	assert_true(virtq_add(&q, three, 3, &token));
	assert_int_equal(q.avail->idx, 1);
	at = q.avail->ring[0];
	for (unsigned i = 0; i < 3; i++, at = q.desc[at].next) {
		assert_int_equal(q.desc[at].addr, three[i].at.v);
		assert_int_equal(q.desc[at].len, three[i].len);
		assert_int_equal(q.desc[at].flags,
				 (i < 2 ? 1 : 0) | (three[i].device_writes ? 2 : 0));
	}
}

static void chains_return_in_any_order_and_none_is_lost(void **state)
{
	char tokens[42];
	bool bad;

	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 42; i++)
			assert_true(virtq_add(&q, three, 3, &tokens[i]));
		assert_false(virtq_add(&q, three, 3, &tokens[0])); /* 2 of 128 are left */
		for (unsigned i = 0; i < 42; i++) {
			uint16_t head =
			    q.avail->ring[(uint16_t)(q.avail->idx - 42 + (i * 5) % 42) % q.size];

			device_returns(head);
			assert_ptr_equal(virtq_take(&q, &bad), &tokens[(i * 5) % 42]);
		}
		assert_null(virtq_take(&q, &bad));
		assert_int_equal(q.n_free, VIRTQ_PAGE_MAX);
	}
}

static void what_is_not_in_flight_is_refused(void **state)
{
	const uint32_t wrong[] = {VIRTQ_PAGE_MAX, 0xffffffff, 1 /* inside the chain */,
				  77 /* never used */};
	int token;
	bool bad;

	assert_true(virtq_add(&q, three, 3, &token));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		device_returns(wrong[i]);
		assert_null(virtq_take(&q, &bad));
		assert_true(bad);
	}
	device_returns(0);
	assert_ptr_equal(virtq_take(&q, &bad), &token);
	device_returns(0); /* a second time */
	assert_null(virtq_take(&q, &bad));
	assert_true(bad);
	assert_int_equal(q.n_free, VIRTQ_PAGE_MAX);
}

static void a_device_that_bends_the_chain_changes_nothing_of_ours(void **state)
{
	int token;
	bool bad;

	assert_true(virtq_add(&q, three, 3, &token));
	q.desc[0].next = 9999;
	q.desc[1].next = 0;
	device_returns(0);
	assert_ptr_equal(virtq_take(&q, &bad), &token);
	assert_int_equal(q.n_free, VIRTQ_PAGE_MAX);
}

/* Our count of what was made available is ours: the device writes over the page's copy. */
static void a_device_that_moves_our_index_moves_nothing(void **state)
{
	int token;

	assert_true(virtq_add(&q, three, 3, &token));
	q.avail->idx = 100;
	assert_true(virtq_add(&q, three, 3, &token));
	assert_int_equal(q.avail->ring[1], 3);
	assert_int_equal(q.avail->idx, 2);
}

/* One descriptor of the queue, whatever its length; the table is the caller's. */
static void a_long_chain_is_a_table(void **state)
{
	struct virtq_desc table[3];
	int token;
	bool bad;

	assert_true(virtq_add_indirect(&q, table, (dma_addr_t){0x9000}, three, 3, &token));
	assert_int_equal(q.n_free, VIRTQ_PAGE_MAX - 1);
	assert_int_equal(q.desc[0].addr, 0x9000);
	assert_int_equal(q.desc[0].len, 48);
	assert_int_equal(q.desc[0].flags, VIRTQ_DESC_INDIRECT);
	assert_int_equal(table[1].addr, 0x2000);
	assert_int_equal(table[1].flags, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE);
	assert_int_equal(table[1].next, 2);
	assert_int_equal(table[2].flags, VIRTQ_DESC_WRITE);
	device_returns(0);
	assert_ptr_equal(virtq_take(&q, &bad), &token);
	assert_int_equal(q.n_free, VIRTQ_PAGE_MAX);
}

/* Section 2.6.2: the used ring begins at the next page. */
static void a_legacy_queue_is_laid_out_as_prescribed(void **state)
{
	struct virtq legacy = {0};
	int token;
	bool bad;

	assert_int_equal(virtq_init_legacy(&legacy, &dev, 256), 0);
	assert_int_equal(legacy.n_pages, 3);
	assert_int_equal(legacy.avail_at.v - legacy.desc_at.v, 4096);
	assert_int_equal(legacy.used_at.v - legacy.desc_at.v, 8192);
	for (unsigned i = 0; i < 85; i++)
		assert_true(virtq_add(&legacy, three, 3, &token));
	assert_false(virtq_add(&legacy, three, 3, &token));
	virtq_rewind(&legacy);
	legacy.used->ring[0].id = 0;
	legacy.used->idx = 1; /* of before the reset */
	assert_null(virtq_take(&legacy, &bad));
	assert_true(bad);
	assert_int_equal(legacy.n_free, 256);
	free(legacy.desc);
}

static void the_device_can_ask_not_to_be_told(void **state)
{
	assert_true(virtq_publish(&q));
	q.used->flags = 1;
	assert_false(virtq_publish(&q));
}

/* Two pages that need not lie side by side; each entry is used, and the rings do not run into one another. */
static void a_long_queue_is_two_pages(void **state)
{
	char tokens[VIRTQ_MAX];
	bool bad;

	teardown(NULL);
	memset(&q, 0, sizeof(q));
	assert_int_equal(virtq_init(&q, &dev, VIRTQ_MAX), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < VIRTQ_MAX; i++)
			assert_true(virtq_add(&q, three, 1, &tokens[i]));
		assert_false(virtq_add(&q, three, 1, &tokens[0]));
		for (unsigned i = 0; i < VIRTQ_MAX; i++)
			device_returns(q.avail->ring[i]);
		for (unsigned i = 0; i < VIRTQ_MAX; i++)
			assert_ptr_equal(virtq_take(&q, &bad), &tokens[i]);
	}
	assert_in_range((char *)&q.used->ring[VIRTQ_MAX] - (char *)q.avail, 1, PAGE_SIZE - 2);
	free(q.avail);
}

/* The indices wrap around at 65536, and so does what each side wishes. */
static void by_index_each_is_told_when_it_wants(void **state)
{
	uint16_t *avail_event, *used_event;
	int token;
	bool bad;

	q.event_idx = true;
	avail_event = (uint16_t *)&q.used->ring[q.size];
	used_event = &q.avail->ring[q.size];
	for (unsigned i = 0; i < 70000; i++) {
		*avail_event = (uint16_t)(i + i % 2); /* every other one is wished for */
		assert_true(virtq_add(&q, three, 1, &token));
		assert_int_equal(virtq_publish(&q), i % 2 == 0);
		assert_false(virtq_wake(&q, 0));
		assert_int_equal(*used_event, (uint16_t)i);
		device_returns(q.avail->ring[i % q.size]);
		assert_true(virtq_wake(&q, 0));
		assert_false(virtq_wake(&q, 1));
		assert_ptr_equal(virtq_take(&q, &bad), &token);
	}
}

static void by_flag_no_interrupt_is_asked_for_until_the_next_wish(void **state)
{
	int token;
	bool bad;

	assert_true(virtq_add(&q, three, 1, &token));
	virtq_quiet(&q);
	assert_int_equal(q.avail->flags, 1);
	device_returns(q.avail->ring[0]);
	assert_true(virtq_wake(&q, 5));
	assert_int_equal(q.avail->flags, 0);
	assert_ptr_equal(virtq_take(&q, &bad), &token);
	assert_false(virtq_wake(&q, 5));
}

static void the_length_is_the_devices_word(void **state)
{
	uint32_t len = 0;
	int token;
	bool bad;

	assert_true(virtq_add(&q, three, 1, &token));
	q.used->ring[0].len = 0xfffffff0;
	device_returns(q.avail->ring[0]);
	assert_ptr_equal(virtq_take_len(&q, &bad, &len), &token);
	assert_int_equal(len, 0xfffffff0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_chain_reads_as_it_was_put, setup, teardown),
	    cmocka_unit_test_setup_teardown(chains_return_in_any_order_and_none_is_lost, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(what_is_not_in_flight_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_device_that_bends_the_chain_changes_nothing_of_ours,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(a_device_that_moves_our_index_moves_nothing, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_long_chain_is_a_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_legacy_queue_is_laid_out_as_prescribed, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(the_device_can_ask_not_to_be_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_long_queue_is_two_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(by_index_each_is_told_when_it_wants, setup, teardown),
	    cmocka_unit_test_setup_teardown(by_flag_no_interrupt_is_asked_for_until_the_next_wish,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(the_length_is_the_devices_word, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
