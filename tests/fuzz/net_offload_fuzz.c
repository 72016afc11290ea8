/* net_offload_fuzz.c: no frame makes the parser, the checksums, the cutter or the hashes touch what is outside it.
 *
 * Why: they read headers that guests and wires made. The input: what the interface can, the kind of frame, its gso_size, where
 * it is cut into segments, and the frame. Called by libFuzzer; a checksum that was filled in must be right, and pieces must
 * hold the bytes of TCP's data, all of them.
 * links: tests/host/plain_memory.c tests/host/plain_grants.c protocol/net_parse.c protocol/net_sum.c protocol/net_hash.c protocol/net_fit.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/host.h>
#include <amphi/net_offload.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint64_t bytes;
	bool check_sums;
} got;

static void take(void *ctx, struct net_frame *frame)
{
	(void)ctx;
	got.bytes += frame->len_bytes;
	if (got.check_sums && !net_checksum_right(frame))
		abort();
	net_frame_put(frame, 0);
}

static unsigned puts_seen;

static void on_put(struct net_frame *frame, int status)
{
	(void)frame, (void)status;
	puts_seen++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_frame frame = {.done = on_put, .holders = 1};
	struct net_headers h;
	uint8_t *bytes;
	uint32_t head, can;
	bool known;
	int n;

	if (size < 8 + NET_HEAD_BYTES || size - 8 > NET_FRAME_MAX)
		return 0;
	frame.len_bytes = (uint32_t)(size - 8);
	bytes = malloc(frame.len_bytes);
	memcpy(bytes, data + 8, frame.len_bytes);
	head = MIN(frame.len_bytes, NET_PARSE_BYTES + data[4]);
	frame.segments[0] = (struct net_segment){bytes, head, 0, {0}};
	frame.segments[1] = (struct net_segment){bytes + head, frame.len_bytes - head, 0, {0}};
	frame.n_segments = head < frame.len_bytes ? 2 : 1;
	frame.gso = data[1] % 3;
	frame.gso_size = (uint16_t)(data[2] | data[3] << 8);
	frame.flags = frame.gso ? NET_CSUM_BLANK : data[1] >> 2 & 1;
	can = data[0];
	known = !net_parse(bytes, head, frame.len_bytes, &h) && h.l4 != NET_L4_OTHER;
	if (known && (h.data_at > head || h.l3_end > frame.len_bytes || !net_flow_hash(bytes, &h)))
		abort();
	got.bytes = 0;
	got.check_sums = (frame.flags & NET_CSUM_BLANK) &&
			 !(can & (NET_CAN_CSUM4 | NET_CAN_CSUM6)) &&
			 !(can & (NET_CAN_GSO4 | NET_CAN_GSO6));
	puts_seen = 0;
	n = net_fit(&frame, can, (uint16_t)(data[5] | data[6] << 8), take, NULL);
	if (puts_seen != 1 || (n == 1 && !frame.gso && got.bytes != frame.len_bytes))
		abort();
	if (n > 1 && got.bytes != (uint64_t)n * h.data_at + (h.l3_end - h.data_at))
		abort();
	free(bytes);
	return 0;
}
