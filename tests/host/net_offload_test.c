/* net_offload_test: headers found, checksums filled in, and long frames cut, as a network card would.
 *
 * Why: what is wrong here leaves the machine as a frame that somebody else's stack drops without a word. Expected: every
 * header of a table of frames is found, or refused where it lies; pieces of a 64 KiB frame join to the same stream, each with
 * checksums that a sum written here another way finds right; remote segments arrive; nothing is leaked.
 * links: tests/host/plain_memory.c protocol/net_parse.c protocol/net_sum.c protocol/net_hash.c protocol/net_fit.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host.h>
#include <amphi/net_offload.h>

#include "plain_memory.h"

/* ---- the host: memory, and grants that are pages of an array ------------------------------ */

static uint8_t foreign[4][PAGE_SIZE] __attribute__((aligned(4096)));

static unsigned copies;

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	unsigned i;

	copies += count;
	assert_in_range(count, 1, HOST_GRANT_BATCH);
	for (i = 0; i < count; i++) {
		assert_true(ops[i].dest.offset + ops[i].len <= PAGE_SIZE);
		assert_true(ops[i].source.offset + ops[i].len <= PAGE_SIZE);
		assert_int_equal(ops[i].flags, GNTCOPY_source_gref);
		ops[i].status = ops[i].source.u.ref < 4 ? GNTST_okay : GNTST_bad_gntref;
		if (!ops[i].status)
			memcpy((char *)(ops[i].dest.u.gmfn << PAGE_SHIFT) + ops[i].dest.offset,
			       foreign[ops[i].source.u.ref] + ops[i].source.offset, ops[i].len);
	}
	return 0;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static uint8_t bytes[NET_FRAME_MAX];

static void be16_at(uint32_t at, unsigned v)
{
	bytes[at] = (uint8_t)(v >> 8);
	bytes[at + 1] = (uint8_t)v;
}

/* An IPv4 or IPv6 header behind the Ethernet one, for proto and len bytes behind it. Returns where that begins. */
static uint32_t ip_header(bool v6, unsigned proto, unsigned len)
{
	memset(bytes, 0, 100);
	memset(bytes, 0x52, 12);
	be16_at(12, v6 ? 0x86dd : 0x0800);
	bytes[14] = v6 ? 0x60 : 0x45;
	be16_at(v6 ? 18 : 16, v6 ? len : len + 20);
	bytes[v6 ? 20 : 23] = (uint8_t)proto;
	memset(bytes + (v6 ? 22 : 26), 0x0a, v6 ? 32 : 8);
	return v6 ? 54 : 34;
}

/* TCP with 12 bytes of options and data that no other place has. Returns the frame's length. */
static uint32_t tcp_frame(bool v6, unsigned data)
{
	uint32_t at = ip_header(v6, 6, 32 + data), i;

	be16_at(at, 1000);
	be16_at(at + 2, 2000);
	be16_at(at + 4, 0xffff); /* the sequence number passes 2^32 on the way */
	be16_at(at + 6, 0xf000);
	bytes[at + 12] = 8 << 4;
	bytes[at + 13] = 0x99; /* CWR, ACK, PSH, FIN */
	for (i = 0; i < data; i++)
		bytes[at + 32 + i] = (uint8_t)(i * 7 + (i >> 8));
	return at + 32 + data;
}

static int put_status;
static unsigned puts_seen;

static void on_put(struct net_frame *frame, int status)
{
	(void)frame;
	puts_seen++;
	put_status = status;
}

static struct net_frame frame_of(uint32_t len)
{
	struct net_headers h;
	struct net_frame frame = {.len_bytes = len,
				  .n_segments = 1,
				  .segments[0] = {.va = bytes, .len_bytes = len},
				  .done = on_put,
				  .holders = 1};

	if (!net_parse(bytes, len, len, &h) && h.l4) {
		uint16_t sum = net_pseudo_sum(bytes, &h, h.l3_end - h.l4_at);

		memcpy(bytes + h.l4_at + (h.l4 == NET_L4_TCP ? 16 : 6), &sum, 2);
		frame.flags = NET_CSUM_BLANK;
	}
	return frame;
}

/* The sum over pseudo header and segment, byte by byte: 0xffff when right. */
static unsigned plain_sum(const uint8_t *f, bool v6, uint32_t l4, uint32_t end, unsigned proto)
{
	uint32_t sum = proto + (end - l4), i;

	for (i = v6 ? 22 : 26; i < (v6 ? 54u : 34u); i++)
		sum += i & 1 ? f[i] : (uint32_t)f[i] << 8;
	for (i = l4; i < end; i++)
		sum += (i - l4) & 1 ? f[i] : (uint32_t)f[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void test_headers_found(void **state)
{
	struct net_headers h;
	uint32_t len = tcp_frame(false, 10);

	(void)state;
	assert_int_equal(net_parse(bytes, len, len, &h), 0);
	assert_int_equal(h.l4, NET_L4_TCP);
	assert_int_equal(h.l3_at, 14);
	assert_int_equal(h.l4_at, 34);
	assert_int_equal(h.data_at, 66);
	assert_int_equal(h.l3_end, len);
	/* padding behind the datagram is not part of it */
	assert_int_equal(net_parse(bytes, len + 5, len + 5, &h), 0);
	assert_int_equal(h.l3_end, len);
	/* two tags move everything by eight; the outer one is told */
	memmove(bytes + 20, bytes + 12, len - 12);
	be16_at(12, 0x88a8), be16_at(14, 0x2000 | 77), be16_at(16, 0x8100), be16_at(18, 5);
	assert_int_equal(net_parse(bytes, len + 8, len + 8, &h), 0);
	assert_int_equal(h.vlan, 77);
	assert_int_equal(h.l4_at, 42);
	/* a fragment has no ports */
	len = tcp_frame(false, 10);
	be16_at(20, 0x2000);
	assert_int_equal(net_parse(bytes, len, len, &h), 0);
	assert_true(h.fragment);
	assert_int_equal(h.l4, NET_L4_OTHER);
}

static void test_extensions_of_ipv6(void **state)
{
	uint32_t at = ip_header(true, 0, 8 + 24 + 8 + 8);
	struct net_headers h;

	(void)state;
	bytes[at] = 60, bytes[at + 1] = 0; /* hop by hop, then options of 24 bytes, then UDP */
	bytes[at + 8] = 17, bytes[at + 9] = 2;
	assert_int_equal(net_parse(bytes, at + 48, at + 48, &h), 0);
	assert_int_equal(h.l4, NET_L4_UDP);
	assert_int_equal(h.l4_at, at + 32);
	bytes[at + 9] = 200; /* longer than the datagram */
	assert_int_equal(net_parse(bytes, at + 48, at + 48, &h), -XEN_EINVAL);
	bytes[at + 8] = 44, bytes[at + 9] = 2; /* a fragment that is not the first */
	bytes[at] = 44;
	be16_at(at + 2, 0), be16_at(at + 10, 8);
	assert_int_equal(net_parse(bytes, at + 48, at + 48, &h), 0);
	assert_true(h.fragment);
}

static void test_headers_that_cannot_be(void **state)
{
	static const struct {
		const char *what;
		uint8_t at, value;
		uint32_t cut;
	} wrong[] = {
	    {"version", 14, 0x55, 0},
	    {"ihl", 14, 0x44, 0},
	    {"total too long", 16, 9, 0},
	    {"data offset small", 46, 4 << 4, 0},
	    {"data offset beyond", 46, 0xf0, 0},
	    {"ip cut", 0, 0x52, 40},
	    {"tcp cut", 0, 0x52, 20},
	};
	struct net_headers h;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint32_t len = tcp_frame(false, 10) - wrong[i].cut;

		bytes[wrong[i].at] = wrong[i].value;
		if (net_parse(bytes, len, len, &h) != -XEN_EINVAL)
			fail_msg("%s is taken", wrong[i].what);
	}
	assert_int_equal(net_parse(bytes, 13, 13, &h), -XEN_EINVAL);
	/* the data offset leads into padding, which is there */
	i = tcp_frame(false, 10);
	bytes[46] = 0xf0;
	assert_int_equal(net_parse(bytes, i + 60, i + 60, &h), -XEN_EINVAL);
	/* headers that reach behind the window are no error: they are not looked at */
	i = tcp_frame(true, 1000);
	memmove(bytes + 54 + 240, bytes + 54, 1032);
	bytes[20] = 60, be16_at(18, 240 + 1032);
	bytes[54] = 6, bytes[55] = 29;
	assert_int_equal(net_parse(bytes, 256, i + 240, &h), 0);
	assert_int_equal(h.l4, NET_L4_OTHER);
}

static void check_sum_of(bool v6, unsigned data)
{
	uint32_t len = tcp_frame(v6, data), l4 = v6 ? 54 : 34, cut = l4 + 32 + data / 3;
	struct net_frame frame = frame_of(len);

	frame.n_segments = 3;
	frame.segments[0].len_bytes = cut;
	frame.segments[1] = (struct net_segment){bytes + cut, data / 3, 0, {0}};
	frame.segments[2] =
	    (struct net_segment){bytes + cut + data / 3, len - cut - data / 3, 0, {0}};
	assert_int_equal(net_fill_checksum(&frame), 0);
	assert_int_equal(plain_sum(bytes, v6, l4, len, 6), 0xffff);
	assert_true(net_checksum_right(&frame));
	bytes[len - 1] ^= 1;
	assert_false(net_checksum_right(&frame));
}

/* Over all lengths, and cut into segments at odd places. */
static void test_checksums(void **state)
{
	unsigned data;

	(void)state;
	for (data = 0; data < 300; data++) {
		check_sum_of(false, data);
		check_sum_of(true, data);
	}
}

/* A UDP sum of 0 says that there is none, so what comes out as 0 goes as 0xffff. */
/* Of every length at every distance from a word, word by word here; also when all that is carried out of the top counts. */
static void test_sums(void **state)
{
	uint8_t b[128];
	uint32_t want;

	for (unsigned r = 0; r < 3 * 8 * 100; r++) {
		unsigned kind = r / 800, from = r / 100 % 8, len = r % 100;

		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = (uint8_t)(kind == 0 ? 0xff : kind == 1 ? i * 37 + (i >> 3) : 0);
		want = kind == 1 ? 0xfffe : 0;
		for (unsigned i = 0; i < len; i++)
			want += (uint32_t)b[from + i] << (i % 2 ? 8 : 0);
		while (want >> 16)
			want = (want & 0xffff) + (want >> 16);
		assert_int_equal(net_fold(net_sum(kind == 1 ? 0xfffe : 0, b + from, len)), want);
	}
	assert_true(net_sum(UINT64_MAX, b, 0) < 1ull << 33);
	assert_true(net_sum(UINT64_MAX, b, 64) < 1ull << 33);
}

static void test_udp_zero(void **state)
{
	uint32_t at = ip_header(false, 17, 8 + 2);
	struct net_frame frame;

	(void)state;
	be16_at(at + 4, 10);
	frame = frame_of(at + 10);
	assert_int_equal(net_fill_checksum(&frame), 0);
	be16_at(at + 8, (unsigned)(bytes[at + 6] << 8 | bytes[at + 7]));
	frame = frame_of(at + 10);
	assert_int_equal(net_fill_checksum(&frame), 0);
	assert_int_equal(bytes[at + 6] << 8 | bytes[at + 7], 0xffff);
	assert_true(net_checksum_right(&frame));
}

/* ---- fitting --------------------------------------------------------------------------------- */

static struct {
	unsigned n;
	uint32_t stream_at, l4, mss;
	bool v6, one_segment;
	uint8_t last_flags;
} pieces;

static void check_piece(void *ctx, struct net_frame *frame)
{
	static uint8_t flat[NET_FRAME_MAX];
	uint32_t at = 0, data, i;

	(void)ctx;
	for (i = 0; i < frame->n_segments; at += frame->segments[i++].len_bytes)
		memcpy(flat + at, frame->segments[i].va, frame->segments[i].len_bytes);
	assert_int_equal(at, frame->len_bytes);
	assert_true(frame->n_segments == 1 || !pieces.one_segment);
	data = at - pieces.l4 - 32;
	assert_true(data <= pieces.mss);
	assert_int_equal(plain_sum(flat, pieces.v6, pieces.l4, at, 6), 0xffff);
	for (i = 0; i < data; i++, pieces.stream_at++)
		assert_int_equal(flat[pieces.l4 + 32 + i],
				 (uint8_t)(pieces.stream_at * 7 + (pieces.stream_at >> 8)));
	assert_int_equal(!!(flat[pieces.l4 + 13] & 0x80), pieces.n == 0);
	pieces.last_flags = flat[pieces.l4 + 13];
	pieces.n++;
	net_frame_put(frame, 0);
}

static void check_cut(bool v6, bool together)
{
	struct net_frame frame = frame_of(tcp_frame(v6, 60000));

	frame.gso = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
	frame.gso_size = 1400;
	memset(&pieces, 0, sizeof(pieces));
	pieces.l4 = v6 ? 54 : 34, pieces.mss = 1400, pieces.v6 = v6;
	pieces.one_segment = together;
	puts_seen = 0;
	assert_int_equal(net_fit(&frame, together ? 0 : NET_CAN_SEGMENTS, 1500, check_piece, NULL),
			 43);
	assert_int_equal(puts_seen, 1);
	assert_int_equal(pieces.n, 43);
	assert_int_equal(pieces.stream_at, 60000);
	assert_int_equal(pieces.last_flags & 9, 9);
	assert_true(plain_memory.held <= 64 + 32);
}

static void test_long_frames_are_cut(void **state)
{
	(void)state;
	check_cut(false, false);
	check_cut(false, true);
	check_cut(true, false);
	check_cut(true, true);
}

static struct net_frame *held[64];
static unsigned n_held;

static void hold_piece(void *ctx, struct net_frame *frame)
{
	(void)ctx;
	held[n_held++] = frame;
}

static void drop_piece(void *ctx, struct net_frame *frame)
{
	(void)ctx;
	net_frame_put(frame, 0);
}

/* Pieces that wait keep the data of the whole: another frame is cut meanwhile. */
static void test_pieces_that_wait(void **state)
{
	struct net_frame frame;
	unsigned i, round;

	(void)state;
	for (round = 0; round < 2; round++) {
		frame = frame_of(tcp_frame(false, 60000));
		frame.gso = NET_GSO_TCPV4;
		frame.gso_size = 1400;
		memset(bytes + 66, round ? 0xee : 0x11, 60000);
		assert_int_equal(
		    net_fit(&frame, NET_CAN_SEGMENTS, 1500, round ? drop_piece : hold_piece, NULL),
		    43);
	}
	for (i = 0; i < n_held; i++) {
		assert_int_equal(*(uint8_t *)held[i]->segments[1].va, 0x11);
		net_frame_put(held[i], 0);
	}
}

/* A buffer for all of a frame is there again, however many small ones came back before it: no memory is asked for. */
static void test_buffers_are_kept(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		struct net_frame frame = frame_of(tcp_frame(false, 60000));

		frame.gso = NET_GSO_TCPV4;
		frame.gso_size = 1400;
		n_held = 0;
		plain_memory.fail_in = round;
		assert_int_equal(net_fit(&frame, NET_CAN_SEGMENTS, 1500, hold_piece, NULL), 43);
		plain_memory.fail_in = 0;
		for (unsigned i = 0; i < n_held; i++)
			net_frame_put(held[i], 0);
	}
}

static void test_frames_that_do_not_fit(void **state)
{
	struct net_frame frame;
	uint32_t len = tcp_frame(false, 3000);

	(void)state;
	frame = frame_of(len);
	assert_int_equal(net_fit(&frame, ~0u, 1500, check_piece, NULL), -XEN_E2BIG);
	frame = frame_of(len);
	frame.gso = NET_GSO_TCPV6; /* it is none */
	frame.gso_size = 1400;
	assert_int_equal(net_fit(&frame, 0, 1500, check_piece, NULL), -XEN_EINVAL);
	frame = frame_of(len);
	frame.gso = NET_GSO_TCPV4;
	frame.gso_size = 3; /* a thousand frames of three bytes */
	assert_int_equal(net_fit(&frame, 0, 1500, check_piece, NULL), -XEN_EINVAL);
	frame = frame_of(len);
	frame.gso = NET_GSO_TCPV4;
	frame.gso_size = 1480;
	assert_int_equal(net_fit(&frame, 0, 1500, check_piece, NULL), -XEN_E2BIG);
	puts_seen = 0;
	frame = frame_of(60);
	frame.n_segments = 2; /* a grant that is not there */
	frame.segments[0].len_bytes = 54;
	frame.segments[1] = (struct net_segment){NULL, 6, 0, {9}};
	assert_int_equal(net_fit(&frame, ~0u & ~NET_CAN_REMOTE, 1500, check_piece, NULL),
			 -XEN_EFAULT);
	assert_int_equal(puts_seen, 1);
	assert_int_equal(put_status, -XEN_EFAULT);
}

static void take_whole(void *ctx, struct net_frame *frame)
{
	assert_int_equal(frame->n_segments, 1);
	assert_memory_equal(frame->segments[0].va, bytes, frame->len_bytes);
	*(unsigned *)ctx += 1;
	net_frame_put(frame, 0);
}

/* Four granted pages at odd offsets are one segment of ours afterwards. */
static void test_remote_segments_arrive(void **state)
{
	uint32_t len = tcp_frame(false, 8000), at = 66, part;
	struct net_frame frame;
	unsigned i, seen = 0;

	(void)state;
	frame = frame_of(len);
	assert_int_equal(net_fill_checksum(&frame), 0);
	frame.segments[0].len_bytes = at;
	for (i = 0; at < len; i++, at += part) {
		part = MIN(len - at, 2500);
		memcpy(foreign[i] + 1001, bytes + at, part);
		frame.segments[i + 1] = (struct net_segment){NULL, part, 1001, {i}};
		frame.n_segments = (uint16_t)(i + 2);
	}
	assert_int_equal(net_fit(&frame, NET_CAN_SEGMENTS, 9000, take_whole, &seen), 1);
	assert_int_equal(seen, 1);
}

/* Data that goes on from page to page is a copy for each page, wherever the first begins. */
static void test_pages_are_one_copy_each(void **state)
{
	static const uint32_t at[4] = {300},
			      parts[4] = {PAGE_SIZE - 300, PAGE_SIZE, PAGE_SIZE, 500};
	uint32_t len = tcp_frame(false, 3 * PAGE_SIZE + 200), from = 66;
	struct net_frame frame = frame_of(len);
	unsigned seen = 0;

	(void)state;
	assert_int_equal(net_fill_checksum(&frame), 0);
	frame.segments[0].len_bytes = from;
	for (unsigned i = 0; i < 4; from += parts[i++]) {
		memcpy(foreign[i] + at[i], bytes + from, parts[i]);
		frame.segments[i + 1] = (struct net_segment){NULL, parts[i], (uint16_t)at[i], {i}};
	}
	assert_int_equal(from, len);
	frame.n_segments = 5;
	copies = 0;
	assert_int_equal(net_fit(&frame, NET_CAN_SEGMENTS, 16000, take_whole, &seen), 1);
	assert_int_equal(seen, 1);
	assert_int_equal(copies, 4);
}

/* Wherever memory ends, the frame is put once and no piece is given. */
static void test_no_memory(void **state)
{
	uint32_t len = tcp_frame(false, 60000);
	int n, err;

	(void)state;
	for (n = 0; n < 8; n++) {
		struct net_frame frame = frame_of(len);

		frame.gso = NET_GSO_TCPV4;
		frame.gso_size = 700; /* more pieces than are kept */
		memset(&pieces, 0, sizeof(pieces));
		pieces.l4 = 34, pieces.mss = 700;
		puts_seen = 0;
		plain_memory.fail_in = n + 1;
		err = net_fit(&frame, NET_CAN_SEGMENTS, 1500, check_piece, NULL);
		plain_memory.fail_in = 0;
		assert_int_equal(err, -XEN_ENOMEM);
		assert_int_equal(pieces.n, 0);
		assert_int_equal(puts_seen, 1);
	}
}

/* ---- hashes ------------------------------------------------------------------------------------ */

/* The key and the values that Microsoft publishes for verifying receive-side scaling. */
static void test_toeplitz(void **state)
{
	static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
					0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
					0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
					0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
	/* 66.9.149.187:2794 to 161.142.100.80:1766 */
	static const uint8_t flow[12] = {66,  9,  149,  187,  161,  142,
					 100, 80, 0x0a, 0xea, 0x06, 0xe6};

	(void)state;
	assert_int_equal(net_toeplitz(key, 40, flow, 8), 0x323e8fc2);
	assert_int_equal(net_toeplitz(key, 40, flow, 12), 0x51ccc178);
}

static void test_flows(void **state)
{
	struct net_headers h;
	uint32_t len = tcp_frame(false, 10), one;

	(void)state;
	assert_int_equal(net_parse(bytes, len, len, &h), 0);
	one = net_flow_hash(bytes, &h);
	bytes[len - 1]++;
	assert_int_equal(net_flow_hash(bytes, &h), one);
	bytes[35]++; /* another port */
	assert_int_not_equal(net_flow_hash(bytes, &h), one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers_found),
	    cmocka_unit_test(test_extensions_of_ipv6),
	    cmocka_unit_test(test_headers_that_cannot_be),
	    cmocka_unit_test(test_checksums),
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_udp_zero),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_long_frames_are_cut),
	    cmocka_unit_test(test_pieces_that_wait),
	    cmocka_unit_test(test_buffers_are_kept),
	    cmocka_unit_test(test_frames_that_do_not_fit),
	    cmocka_unit_test(test_remote_segments_arrive),
	    cmocka_unit_test(test_pages_are_one_copy_each),
	    cmocka_unit_test(test_toeplitz),
	    cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
