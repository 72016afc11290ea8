/* capture_test: what passes at an interface becomes a pcap file with every frame whole, and nothing else changes.
 *
 * Why: people find faults of networks by these files: one frame that is doubled, cut or summed wrongly sends them the wrong way;
 * and who looks on must neither hold up the traffic nor alter it. Expected: the header and the times of the format; long frames
 * cut and blank checksums filled in, in the file only; bounds of count, bytes and direction; what found no room is counted and the
 * file stays readable; what a guest keeps back is kept as far as it was; an end is told.
 *
 * links: tests/host/plain_memory.c drivers-back/capture.c protocol/net_parse.c protocol/net_sum.c protocol/net_fit.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/bridge.h>
#include <amphi/capture.h>
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/netback.h>

#include "plain_memory.h"

/* ---- the host, and the two places to look on at --------------------------------------------------- */

static int16_t grant_status;
static uint8_t granted[2 * PAGE_SIZE];

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(ops[i].source.u.ref, 77);
		ops[i].status = grant_status;
		if (!grant_status)
			memcpy((uint8_t *)(ops[i].dest.u.gmfn << PAGE_SHIFT) + ops[i].dest.offset,
			       granted + ops[i].source.offset, ops[i].len);
	}
	return 0;
}
uint64_t host_time_ns(void)
{
	return 5000000123ull;
}
void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	__builtin_unreachable();
}

struct place {
	const char *name;
	net_tap_fn *fn;
	void *ctx;
};
static struct place guest = {.name = "vif1.0"}, wire = {.name = "eth0"};

static int tap(struct place *p, const char *name, net_tap_fn *fn, void *ctx)
{
	if (strcmp(name, p->name))
		return -XEN_ENODEV;
	if (fn && p->fn)
		return -XEN_EBUSY;
	p->fn = fn;
	p->ctx = ctx;
	return 0;
}
int netback_tap(const char *name, net_tap_fn *fn, void *ctx)
{
	return tap(&guest, name, fn, ctx);
}
int bridge_tap(const char *name, net_tap_fn *fn, void *ctx)
{
	return tap(&wire, name, fn, ctx);
}

/* ---- a capture -------------------------------------------------------------------------------- */

static unsigned told;
static uint8_t file[CAPTURE_RING_BYTES];
static size_t file_len;

static void news(void *ctx)
{
	assert_ptr_equal(ctx, &told);
	told++;
}

static struct capture *open_with(const struct capture_want *asked)
{
	struct capture_want want = *asked;
	struct capture *c = NULL;

	if (!want.name[0])
		strcpy(want.name, "vif1.0");
	if (!want.snap_bytes)
		want.snap_bytes = CAPTURE_SNAP_MAX;
	want.in = !asked->out || asked->in;
	want.out = !asked->in || asked->out;
	want.epoch_ns = 1000000000000000000ull;
	told = 0;
	file_len = 0;
	assert_int_equal(capture_open(&want, news, &told, &c), 0);
	return c;
}

static void read_all(struct capture *c)
{
	size_t n;

	/* In pieces of an odd length, as a port does. */
	while ((n = capture_read(c, file + file_len, MIN((size_t)733, sizeof(file) - file_len))))
		file_len += n;
}

static uint32_t word(size_t at)
{
	uint32_t v;

	assert_true(at + 4 <= file_len);
	memcpy(&v, file + at, 4);
	return v;
}

/* The n-th frame of the file. */
static const uint8_t *frame_at(unsigned n, uint32_t *out_kept, uint32_t *out_whole)
{
	size_t at = 24;

	for (;; at += 16 + *out_kept) {
		*out_kept = word(at + 8);
		*out_whole = word(at + 12);
		assert_true(at + 16 + *out_kept <= file_len);
		if (!n--)
			return file + at + 16;
	}
}

static struct capture_state state_of(const struct capture *c)
{
	struct capture_state s;

	capture_look(c, &s);
	return s;
}

static void stop(struct capture *c)
{
	capture_close(c);
	assert_null(guest.fn);
	assert_null(wire.fn);
	net_fit_trim();
	assert_int_equal(plain_memory.held, 0);
}

/* ---- frames ------------------------------------------------------------------------------------- */

static void never(struct net_frame *frame, int status)
{
	(void)frame, (void)status;
	fail_msg("a frame was put by who only looks on");
}

/* A frame over bytes; they are as they were after each look. */
static struct net_frame over(uint8_t *bytes, uint32_t len)
{
	return (struct net_frame){.len_bytes = len,
				  .n_segments = 1,
				  .segments[0] = {.va = bytes, .len_bytes = len},
				  .holders = 1,
				  .done = never};
}

static void pass(struct place *p, const struct net_frame *frame, bool to_device)
{
	struct net_frame before = *frame;

	p->fn(p->ctx, frame, to_device);
	assert_memory_equal(&before, frame, sizeof(before));
}

#define TCP_HEAD 54u

/* TCP over IPv4 with len bytes behind it, its checksum blank. */
static void make_tcp(uint8_t *bytes, uint32_t len)
{
	static const uint8_t head[TCP_HEAD] = {
	    2,    0,    0,    0,    0, 2,  2, 0, 0, 0,  0, 1, 8,    0,    0x45, 0, 0,
	    0,    0,    1,    0,    0, 64, 6, 0, 0, 10, 0, 0, 1,    10,   0,    0, 2,
	    0x1f, 0x90, 0x12, 0x34, 0, 0,  0, 1, 0, 0,  0, 1, 0x50, 0x18, 16};
	struct net_headers h;
	uint16_t sum;

	memcpy(bytes, head, sizeof(head));
	for (uint32_t i = 0; i < len; i++)
		bytes[TCP_HEAD + i] = (uint8_t)(i * 7 + i / 256);
	bytes[16] = (uint8_t)((len + 40) >> 8), bytes[17] = (uint8_t)(len + 40);
	sum = (uint16_t)~net_fold(net_sum(0, bytes + 14, 20));
	memcpy(bytes + 24, &sum, 2);
	assert_int_equal(net_parse(bytes, TCP_HEAD, TCP_HEAD + len, &h), 0);
	sum = net_pseudo_sum(bytes, &h, len + 20);
	memcpy(bytes + 50, &sum, 2);
}

static bool sums_right(const uint8_t *bytes, uint32_t len)
{
	struct net_frame frame = over((uint8_t *)bytes, len);

	return net_checksum_right(&frame) && net_fold(net_sum(0, bytes + 14, 20)) == 0xffff;
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void test_file(void **state)
{
	uint8_t bytes[61];
	struct net_frame frame = over(bytes, 61);
	struct capture *c = open_with(&(struct capture_want){0});
	uint32_t kept, whole;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 3);
	pass(&guest, &frame, false);
	assert_int_equal(told, 1);
	read_all(c);
	assert_int_equal(word(0), 0xa1b23c4d);
	assert_int_equal(word(4), 2 | 4 << 16);
	assert_int_equal(word(8) | word(12), 0);
	assert_int_equal(word(16), 65535);
	assert_int_equal(word(20), 1);
	assert_int_equal(word(24), 1000000005);
	assert_int_equal(word(28), 123);
	assert_memory_equal(frame_at(0, &kept, &whole), bytes, 61);
	assert_int_equal(kept, 61);
	assert_int_equal(whole, 61);
	assert_int_equal(file_len, 24 + 16 + 61);
	assert_false(state_of(c).ended);
	stop(c);
}

static void test_frames_are_as_on_a_wire(void **state)
{
	static uint8_t bytes[TCP_HEAD + 3000], before[sizeof(bytes)];
	struct net_frame frame = over(bytes, TCP_HEAD + 100);
	struct capture *c = open_with(&(struct capture_want){.name = "eth0"});
	uint32_t kept, whole, seen = 0;
	const uint8_t *f;

	(void)state;
	make_tcp(bytes, 100);
	frame.flags = NET_CSUM_BLANK;
	memcpy(before, bytes, sizeof(bytes));
	pass(&wire, &frame, true);
	assert_memory_equal(bytes, before, sizeof(bytes)); /* filled in in the file, not here */
	make_tcp(bytes, 3000);
	frame = over(bytes, TCP_HEAD + 3000);
	frame.flags = NET_CSUM_BLANK;
	frame.gso = NET_GSO_TCPV4;
	frame.gso_size = 1448;
	memcpy(before, bytes, sizeof(bytes));
	pass(&wire, &frame, true);
	assert_memory_equal(bytes, before, sizeof(bytes));
	read_all(c);
	f = frame_at(0, &kept, &whole);
	assert_int_equal(kept, TCP_HEAD + 100);
	assert_true(sums_right(f, kept));
	for (unsigned i = 1; i <= 3; i++) {
		f = frame_at(i, &kept, &whole);
		assert_int_equal(kept, whole);
		assert_true(sums_right(f, kept));
		assert_memory_equal(f + TCP_HEAD, bytes + TCP_HEAD + seen, kept - TCP_HEAD);
		seen += kept - TCP_HEAD;
	}
	assert_int_equal(seen, 3000);
	assert_int_equal(state_of(c).frames, 4);
	stop(c);
}

static void test_bounds(void **state)
{
	uint8_t bytes[200] = {0};
	struct net_frame frame = over(bytes, sizeof(bytes));
	struct capture *c =
	    open_with(&(struct capture_want){.count = 2, .snap_bytes = 60, .in = true});
	uint32_t kept, whole;

	(void)state;
	pass(&guest, &frame, true); /* the other direction */
	assert_int_equal(state_of(c).frames, 0);
	for (unsigned i = 0; i < 3; i++) {
		bytes[0] = (uint8_t)(2 * i);
		assert_int_equal(state_of(c).ended, i == 2);
		pass(&guest, &frame, false);
	}
	read_all(c);
	assert_int_equal(frame_at(1, &kept, &whole)[0], 2);
	assert_int_equal(kept, 60);
	assert_int_equal(whole, 200);
	assert_int_equal(file_len, 24 + 2 * 76);
	assert_int_equal(state_of(c).dropped, 0);
	assert_false(state_of(c).gone);
	stop(c);
	c = open_with(&(struct capture_want){.out = true});
	pass(&guest, &frame, false);
	pass(&guest, &frame, true);
	assert_int_equal(state_of(c).frames, 1);
	stop(c);
}

/* Nobody reads: the ring is full, the file before it whole, and what comes when there is room again is behind it. */
static void test_no_room(void **state)
{
	static uint8_t bytes[1500];
	struct net_frame frame = over(bytes, sizeof(bytes));
	struct capture *c = open_with(&(struct capture_want){0});
	struct capture_state s;
	uint32_t kept, whole;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		bytes[0] = (uint8_t)(2 * i);
		pass(&guest, &frame, false);
	}
	s = state_of(c);
	assert_int_equal(s.frames, (CAPTURE_RING_BYTES - 24) / 1516);
	assert_int_equal(s.frames + s.dropped, 300);
	read_all(c);
	assert_int_equal(file_len, 24 + s.frames * 1516);
	assert_int_equal(frame_at((unsigned)s.frames - 1, &kept, &whole)[0],
			 (uint8_t)(2 * (s.frames - 1)));
	/* Around the ring's end. */
	file_len = 24;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 5);
	for (unsigned i = 0; i < 20; i++) {
		bytes[0] = (uint8_t)(100 + 2 * i);
		pass(&guest, &frame, false);
	}
	read_all(c);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(frame_at(i, &kept, &whole)[0], 100 + 2 * i);
		assert_memory_equal(frame_at(i, &kept, &whole) + 1, bytes + 1, kept - 1);
	}
	assert_int_equal(state_of(c).dropped, s.dropped);
	stop(c);
}

/* What lies in a guest's page is copied by the hypervisor; what it does not give is not there, but its frame is. */
static void test_granted_pages(void **state)
{
	uint8_t head[64] = {2};
	struct net_frame frame = over(head, sizeof(head));
	struct capture *c = open_with(&(struct capture_want){0});
	uint32_t kept, whole;

	(void)state;
	frame.owner = 1;
	frame.n_segments = 2;
	frame.segments[1] = (struct net_segment){.len_bytes = 1000, .offset = 24, .ref = {77}};
	frame.len_bytes = 1064;
	for (unsigned i = 0; i < sizeof(granted); i++)
		granted[i] = (uint8_t)(i * 3);
	grant_status = GNTST_okay;
	pass(&guest, &frame, false);
	grant_status = GNTST_bad_gntref;
	pass(&guest, &frame, false);
	read_all(c);
	assert_memory_equal(frame_at(0, &kept, &whole) + 64, granted + 24, 1000);
	assert_int_equal(kept, 1064);
	(void)frame_at(1, &kept, &whole);
	assert_int_equal(kept, 64);
	assert_int_equal(whole, 1064);
	stop(c);
}

static void test_ends(void **state)
{
	uint8_t bytes[60] = {0};
	struct net_frame frame = over(bytes, sizeof(bytes));
	struct capture *c = open_with(&(struct capture_want){0}), *second = NULL;
	struct capture_want want = {.name = "vif1.0", .snap_bytes = 60, .in = true};

	(void)state;
	assert_int_equal(capture_open(&want, news, &told, &second), -XEN_EBUSY);
	strcpy(want.name, "vif2.0");
	assert_int_equal(capture_open(&want, news, &told, &second), -XEN_ENODEV);
	pass(&guest, &frame, false);
	guest.fn(guest.ctx, NULL, false);
	guest.fn = NULL; /* who goes forgets who looked on */
	assert_int_equal(told, 2);
	assert_true(state_of(c).ended && state_of(c).gone);
	read_all(c);
	assert_int_equal(file_len, 24 + 76);
	/* Another looks on at the next of this name, and is not cut off by the first. */
	strcpy(want.name, "vif1.0");
	assert_int_equal(capture_open(&want, news, &told, &second), 0);
	capture_close(c);
	assert_non_null(guest.fn);
	stop(second);
}

/* Who has had enough gets what was there until then. */
static void test_stops(void **state)
{
	uint8_t bytes[60] = {0};
	struct net_frame frame = over(bytes, sizeof(bytes));
	struct capture *c = open_with(&(struct capture_want){0});

	(void)state;
	pass(&guest, &frame, false);
	capture_stop(c);
	assert_null(guest.fn);
	assert_true(state_of(c).ended);
	assert_false(state_of(c).gone);
	read_all(c);
	assert_int_equal(file_len, 24 + 76);
	stop(c);
}

static void test_no_memory(void **state)
{
	static uint8_t bytes[TCP_HEAD + 100];
	struct net_frame frame = over(bytes, sizeof(bytes));
	struct capture_want want = {.name = "vif1.0", .snap_bytes = 60, .in = true};
	struct capture *c = NULL;

	(void)state;
	plain_memory.none_left = true;
	assert_int_equal(capture_open(&want, news, &told, &c), -XEN_ENOMEM);
	plain_memory.none_left = false;
	c = open_with(&want);
	make_tcp(bytes, 100);
	frame.flags = NET_CSUM_BLANK;
	plain_memory.none_left = true;
	pass(&guest, &frame, false);
	plain_memory.none_left = false;
	assert_int_equal(state_of(c).dropped, 1);
	assert_int_equal(state_of(c).frames, 0);
	stop(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),          cmocka_unit_test(test_frames_are_as_on_a_wire),
	    cmocka_unit_test(test_bounds),        cmocka_unit_test(test_no_room),
	    cmocka_unit_test(test_granted_pages), cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
