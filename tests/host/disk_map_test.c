/* disk_map_test.c: what drivers of disks and cards tell the DMA layer of a request's and of a frame's memory.
 *
 * Shows: a request's segments are one call, each a piece, with the direction of its kind, from any of them on; a frame is one call, cut where pages end, without the
 * bytes that are left out, and joined again where the device sees its pages side by side; what has no room is undone. Why: in an IO space each call is one of the
 * hypervisor's, and a page too many or too few is somebody else's.
 *
 * links: drivers-native/disk_map.c drivers-native/nic.c tests/host/dma_host.c protocol/net_parse.c protocol/net_hash.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers-native/disk_map.h"
#include "drivers-native/nic.h"
#include "tests/host/dma_host.h"

#define FAR 0x100000000ull /* what the device calls the first page of memory below */

static char memory[24 * PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned calls, mapped;
static enum dma_direction direction;
static bool scattered; /* the device sees a page, a gap, a page */

int dma_group_map_all(const struct dma_device *dev, struct dma_group *group,
		      struct dma_piece *pieces, unsigned n, enum dma_direction dir)
{
	calls++;
	mapped += n;
	direction = dir;
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = (uint64_t)((char *)pieces[i].va - memory);

		assert_in_range(pieces[i].len, 1, PAGE_SIZE - at % PAGE_SIZE);
		pieces[i].at.v = FAR + at + (scattered ? at / PAGE_SIZE * PAGE_SIZE : 0);
	}
	group->first = (struct dma_chunk *)memory; /* something */
	return 0;
}

void dma_group_end(const struct dma_device *dev, struct dma_group *group)
{
	mapped = 0;
	group->first = NULL;
}

/* What nic.c has for the rest of a card's life. */
void host_net_batch_end(struct net_device *dev) {}

void host_net_changed(struct net_device *dev) {}

struct net_device *host_net_find(const char *name)
{
	return NULL;
}

int host_net_register(struct net_device *dev)
{
	return 0;
}

void nic_watch(struct nic *nic) {}

void host_work_soon(struct host_work *work) {}

static int begin(void **state)
{
	calls = mapped = 0;
	scattered = false;
	return 0;
}

static void a_request_is_one_call(void **state)
{
	static const struct {
		unsigned op;
		enum dma_direction dir;
	} kinds[] = {{BLOCK_READ, DMA_FROM_DEVICE}, {BLOCK_WRITE, DMA_TO_DEVICE}};
	struct block_segment s[16];
	struct block_request req = {.segments = s, .n_segments = 16};
	const struct dma_piece *pieces;
	struct dma_group maps = {0};

	for (unsigned i = 0; i < 16; i++)
		s[i] = (struct block_segment){memory + i * PAGE_SIZE, 512 * (i % 8 + 1)};
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		begin(NULL);
		req.op = kinds[k].op;
		assert_int_equal(disk_map(NULL, &maps, &req, 3, 10, &pieces), 0);
		assert_int_equal(calls, 1);
		assert_int_equal(mapped, 10);
		assert_int_equal(direction, kinds[k].dir);
		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(pieces[i].at.v, FAR + (3 + i) * PAGE_SIZE);
			assert_int_equal(pieces[i].len, s[3 + i].len_bytes);
		}
	}
}

/* Three segments, the second over three pages; ten bytes of the first are not sent. */
static void make_frame(struct net_frame *frame)
{
	*frame = (struct net_frame){.n_segments = 3};
	frame->segments[0] = (struct net_segment){.va = memory + 100, .len_bytes = 60};
	frame->segments[1] =
	    (struct net_segment){.va = memory + PAGE_SIZE + 4000, .len_bytes = PAGE_SIZE + 200};
	frame->segments[2] = (struct net_segment){.va = memory + 10 * PAGE_SIZE, .len_bytes = 1};
	frame->len_bytes = 60 + PAGE_SIZE + 200 + 1;
}

static void a_frame_is_one_call(void **state)
{
	static const uint32_t lens[] = {50, 96, PAGE_SIZE, 104, 1};
	static struct nic nic;
	struct nic_piece out[8];
	struct nic_pieces p = {.out = out, .cap = 8, .max_len = 65535};
	static struct net_frame frame;

	make_frame(&frame);
	scattered = true;
	assert_int_equal(nic_map(&nic, &frame, 10, &p), 5);
	assert_int_equal(calls, 1);
	assert_int_equal(direction, DMA_TO_DEVICE);
	assert_int_equal(out[0].at.v, FAR + 110);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(out[i].len, lens[i]);
	/* Side by side for the device: one piece, as long as it takes. */
	scattered = false;
	assert_int_equal(nic_map(&nic, &frame, 10, &p), 3);
	assert_int_equal(out[1].len, PAGE_SIZE + 200);
	p.max_len = PAGE_SIZE;
	assert_int_equal(nic_map(&nic, &frame, 10, &p), 5);
	assert_int_equal(calls, 3);
	assert_non_null(p.maps.first);
}

static void no_room_for_pieces(void **state)
{
	static struct nic nic;
	struct nic_piece out[4];
	struct nic_pieces p = {.out = out, .cap = 4, .max_len = 65535};
	static struct net_frame frame;

	make_frame(&frame);
	scattered = true;
	assert_int_equal(nic_map(&nic, &frame, 0, &p), -XEN_E2BIG);
	assert_int_equal(mapped, 0);
	assert_null(p.maps.first);
	/* More pages than a frame can have: nobody is asked. */
	frame.n_segments = NET_SEGMENTS_MAX;
	for (unsigned i = 0; i < NET_SEGMENTS_MAX; i++)
		frame.segments[i] = (struct net_segment){.va = memory, .len_bytes = sizeof(memory)};
	calls = 0;
	assert_int_equal(nic_map(&nic, &frame, 0, &p), -XEN_E2BIG);
	assert_int_equal(calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_request_is_one_call, begin),
	    cmocka_unit_test_setup(a_frame_is_one_call, begin),
	    cmocka_unit_test_setup(no_room_for_pieces, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
