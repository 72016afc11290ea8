/* net_fit.c: a frame made to fit an interface that can do less than its sender took for granted.
 *
 * Contract: net_fit in net_offload.h. Callers: the bridge, the TCP/IP stack's port. Asks host.h for pages and for copies out of
 * other domains' pages. Worker context.
 *
 * The frame is fetched once, into a buffer of ours, where nobody changes it any more: what is then read of its headers is
 * what goes out. A long frame of TCP is cut there: each piece has a header of its own, and its data where it lies:
 *
 *      buffer   [ header | data ............................................... ]
 *      frames   [ header'| data0 ]  [ header''| data1 ]  ...            header', header'': in the buffer's spare page
 *
 * A device that takes one segment only gets pieces copied together. Buffers are kept, since a zeroed one for each frame
 * would cost more than the copy.
 */
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/string.h>

#define GSO_SIZE_MIN 48u /* no TCP has a smaller one (its options leave at least so much) */
#define DATA_PAGES   17u /* NET_FRAME_MAX bytes, and what is left free in front of them */
#define KEPT_ONE     64u /* buffers of a page, and of all of them: neither takes the other's place */
#define KEPT_MANY    32u

/* Fields of headers, from their own beginning. */
#define IPV4_LENGTH   2u
#define IPV4_ID       4u
#define IPV4_CHECKSUM 10u
#define IPV6_LENGTH   4u
#define IPV6_BYTES    40u
#define TCP_SEQUENCE  4u
#define TCP_FLAGS     13u
#define TCP_FIN_PSH   0x09u
#define TCP_CWR       0x80u

/* A frame of ours and the memory that it is in: one page for a piece, or pages for all of a frame. holders: pieces that
 * have their data in here, and the work itself. */
struct fit_buffer {
	struct net_frame frame;
	struct fit_buffer *next;  /* kept */
	struct fit_buffer *whole; /* of a piece: where its data is */
	uint8_t *pages;
	uint8_t *bytes; /* the frame's first */
	unsigned n_pages, holders;
};

static struct kept {
	struct fit_buffer *first;
	unsigned n, max;
} one = {.max = KEPT_ONE}, many = {.max = KEPT_MANY};

static struct fit_buffer *buffer_new(unsigned n_pages)
{
	struct fit_buffer *buffer = host_alloc(sizeof(*buffer));

	if (!buffer)
		return NULL;
	buffer->n_pages = n_pages;
	buffer->pages = host_pages_alloc(n_pages);
	if (buffer->pages)
		return buffer;
	host_free(buffer, sizeof(*buffer));
	return NULL;
}

static struct fit_buffer *buffer_get(uint32_t len_bytes)
{
	struct kept *kept = len_bytes <= PAGE_SIZE ? &one : &many;
	struct fit_buffer *buffer = kept->first;

	if (buffer) {
		kept->first = buffer->next;
		kept->n--;
	} else {
		buffer = buffer_new(kept == &one ? 1 : DATA_PAGES);
	}
	if (buffer) {
		buffer->holders = 1;
		buffer->whole = NULL;
		buffer->bytes = buffer->pages;
	}
	return buffer;
}

static void buffer_put(struct fit_buffer *buffer)
{
	struct kept *kept = buffer->n_pages == 1 ? &one : &many;

	if (--buffer->holders)
		return;
	if (buffer->whole)
		buffer_put(buffer->whole);
	if (kept->n < kept->max) {
		buffer->next = kept->first;
		kept->first = buffer;
		kept->n++;
		return;
	}
	host_pages_free(buffer->pages, buffer->n_pages);
	host_free(buffer, sizeof(*buffer));
}

static void trim(struct kept *kept)
{
	struct fit_buffer *buffer;

	kept->n = 0;
	while ((buffer = kept->first)) {
		kept->first = buffer->next;
		host_pages_free(buffer->pages, buffer->n_pages);
		host_free(buffer, sizeof(*buffer));
	}
}

void net_fit_trim(void)
{
	trim(&one);
	trim(&many);
}

static void frame_done(struct net_frame *frame, int status)
{
	(void)status;
	buffer_put(container_of(frame, struct fit_buffer, frame));
}

/* ---- fetching ------------------------------------------------------------------------------- */

/* Copies of one frame that wait for the hypercall. */
struct fetch {
	struct gnttab_copy ops[HOST_GRANT_BATCH];
	unsigned n;
	int err;
};

static void fetch_flush(struct fetch *fetch)
{
	unsigned i;

	if (fetch->n && host_grants_copy(fetch->ops, fetch->n))
		fetch->err = -XEN_EFAULT;
	for (i = 0; i < fetch->n && !fetch->err; i++)
		if (fetch->ops[i].status != GNTST_okay)
			fetch->err = -XEN_EFAULT;
	fetch->n = 0;
}

/* A piece of a granted page to our memory, cut where ours has a page's end. */
static void fetch_remote(struct fetch *fetch, domid_t owner, const struct net_segment *s,
			 uint8_t *to)
{
	uint32_t done = 0, len;

	while (done < s->len_bytes) {
		uint32_t at = (uint32_t)((uintptr_t)(to + done) & ~PAGE_MASK);

		len = MIN(s->len_bytes - done, (uint32_t)PAGE_SIZE - at);
		if (fetch->n == HOST_GRANT_BATCH)
			fetch_flush(fetch);
		fetch->ops[fetch->n++] = (struct gnttab_copy){
		    .source = {.u.ref = s->ref.v,
			       .domid = owner,
			       .offset = (uint16_t)(s->offset + done)},
		    .dest = {.u.gmfn = maddr_to_mfn(host_virt_to_maddr(to + done)).v,
			     .domid = DOMID_SELF,
			     .offset = (uint16_t)at},
		    .len = (uint16_t)len,
		    .flags = GNTCOPY_source_gref,
		};
		done += len;
	}
}

/* One operation's worth of stack is too much for the worker's: there is one fetch at a time. */
static int fetch_frame(const struct net_frame *frame, uint8_t *to)
{
	static struct fetch fetch;
	unsigned i;

	fetch.n = 0;
	fetch.err = 0;
	for (i = 0; i < frame->n_segments; to += frame->segments[i++].len_bytes) {
		if (frame->segments[i].va)
			memcpy(to, frame->segments[i].va, frame->segments[i].len_bytes);
		else
			fetch_remote(&fetch, frame->owner, &frame->segments[i], to);
	}
	fetch_flush(&fetch);
	return fetch.err;
}

/* Bytes to leave free in front of a long frame, so that what is fetched lies in our pages as it lies in the other's: then
 * its pages are a copy each, and not two. What comes behind the first is mostly whole pages. */
static uint32_t room_in_front(const struct net_frame *frame)
{
	uint32_t at = 0;
	unsigned i;

	if (frame->len_bytes <= PAGE_SIZE)
		return 0;
	for (i = 0; i < frame->n_segments && frame->segments[i].va; i++)
		at += frame->segments[i].len_bytes;
	return i < frame->n_segments ? (frame->segments[i].offset - at) & (PAGE_SIZE - 1) : 0;
}

/* All of the frame in one buffer of ours, as one segment. */
static int linear_copy(const struct net_frame *frame, struct fit_buffer **out)
{
	struct fit_buffer *buffer;
	int err;

	if (frame->len_bytes > NET_FRAME_MAX)
		return -XEN_E2BIG;
	buffer = buffer_get(frame->len_bytes);
	if (!buffer)
		return -XEN_ENOMEM;
	buffer->bytes = buffer->pages + room_in_front(frame);
	err = fetch_frame(frame, buffer->bytes);
	if (err) {
		buffer_put(buffer);
		return err;
	}
	buffer->frame = (struct net_frame){
	    .len_bytes = frame->len_bytes,
	    .flags = frame->flags,
	    .gso = frame->gso,
	    .gso_size = frame->gso_size,
	    .hash = frame->hash,
	    .n_segments = 1,
	    .segments[0] = {.va = buffer->bytes, .len_bytes = frame->len_bytes},
	    .done = frame_done,
	    .holders = 1,
	};
	*out = buffer;
	return 0;
}

/* ---- cutting -------------------------------------------------------------------------------- */

static void put_be16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t be(const uint8_t *at, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *at++;
	return v;
}

/* The cut of one frame. */
struct cut {
	struct fit_buffer *whole;
	struct net_headers h;
	uint32_t data_end; /* of TCP's data in the whole */
	bool together;     /* the device takes one segment */
};

/* The header of the piece whose data begins at `from`: lengths, identification, sequence, flags. The checksums come
 * last; IPv4's own covers only its header. */
static void piece_header(const struct cut *cut, uint8_t *head, uint32_t from, uint32_t len)
{
	const struct net_headers *h = &cut->h;
	uint32_t n = (from - h->data_at) / cut->whole->frame.gso_size, sequence;
	uint8_t *ip = head + h->l3_at, *tcp = head + h->l4_at;
	uint16_t sum;

	memcpy(head, cut->whole->bytes, h->data_at);
	if (h->proto == NET_PROTO_IPV4) {
		put_be16(ip + IPV4_LENGTH, h->data_at - h->l3_at + len);
		put_be16(ip + IPV4_ID, be(ip + IPV4_ID, 2) + n);
		put_be16(ip + IPV4_CHECKSUM, 0);
		sum = (uint16_t)~net_fold(net_sum(0, ip, (size_t)(h->l4_at - h->l3_at)));
		memcpy(ip + IPV4_CHECKSUM, &sum, 2);
	} else {
		put_be16(ip + IPV6_LENGTH, h->data_at - h->l3_at - IPV6_BYTES + len);
	}
	sequence = be(tcp + TCP_SEQUENCE, 4) + (from - h->data_at);
	put_be16(tcp + TCP_SEQUENCE, sequence >> 16);
	put_be16(tcp + TCP_SEQUENCE + 2, sequence);
	if (from > h->data_at) /* what was said once is in the first */
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	if (from + len < cut->data_end) /* and what ends the data in the last */
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
}

static struct fit_buffer *make_piece(const struct cut *cut, uint32_t from, uint32_t len)
{
	uint32_t head_len = cut->h.data_at;
	struct fit_buffer *piece = buffer_get(cut->together ? head_len + len : head_len);
	struct net_frame *frame;

	if (!piece)
		return NULL;
	piece_header(cut, piece->bytes, from, len);
	frame = &piece->frame;
	*frame = (struct net_frame){
	    .len_bytes = head_len + len,
	    .hash = cut->whole->frame.hash,
	    .flags = NET_CSUM_BLANK | NET_CSUM_VALID,
	    .n_segments = cut->together ? 1 : 2,
	    .segments = {{.va = piece->bytes, .len_bytes = head_len},
			 {.va = cut->whole->bytes + from, .len_bytes = len}},
	    .done = frame_done,
	    .holders = 1,
	};
	if (cut->together) {
		memcpy(piece->bytes + head_len, cut->whole->bytes + from, len);
		frame->segments[0].len_bytes += len;
	} else {
		piece->whole = cut->whole;
		cut->whole->holders++;
	}
	(void)net_fill_checksum(frame); /* its headers were parsed before it was made */
	return piece;
}

/* -XEN_EINVAL: it is not what it says it is. */
static int cut_check(struct cut *cut, struct fit_buffer *whole, uint32_t can, uint16_t mtu)
{
	const struct net_frame *frame = &whole->frame;
	int err = net_parse(whole->bytes, frame->len_bytes, frame->len_bytes, &cut->h);
	unsigned proto = frame->gso == NET_GSO_TCPV4 ? NET_PROTO_IPV4 : NET_PROTO_IPV6;

	cut->whole = whole;
	cut->data_end = cut->h.l3_end;
	cut->together = !(can & NET_CAN_SEGMENTS);
	if (err || cut->h.l4 != NET_L4_TCP || cut->h.proto != proto ||
	    frame->gso_size < GSO_SIZE_MIN)
		return -XEN_EINVAL;
	if (cut->h.data_at - cut->h.l3_at + (uint32_t)frame->gso_size > mtu)
		return -XEN_E2BIG;
	return 0;
}

/* Pieces are made before the first is given away, so that there are all or none. */
static int cut_frame(struct cut *cut, struct fit_buffer **out)
{
	uint32_t from = cut->h.data_at, len;
	struct fit_buffer *piece, **link = out;
	int n = 0;

	*out = NULL;
	do {
		len = MIN((uint32_t)cut->whole->frame.gso_size, cut->data_end - from);
		piece = make_piece(cut, from, len);
		if (!piece)
			return -XEN_ENOMEM;
		piece->next = NULL;
		*link = piece;
		link = &piece->next;
		n++;
		from += len;
	} while (from < cut->data_end);
	return n;
}

static int give_pieces(struct fit_buffer *whole, uint32_t can, uint16_t mtu,
		       void (*fn)(void *ctx, struct net_frame *frame), void *ctx)
{
	struct fit_buffer *pieces = NULL, *next;
	struct cut cut;
	int n = cut_check(&cut, whole, can, mtu);

	if (!n)
		n = cut_frame(&cut, &pieces);
	for (; pieces; pieces = next) {
		next = pieces->next;
		if (n > 0)
			fn(ctx, &pieces->frame);
		else
			buffer_put(pieces);
	}
	buffer_put(whole);
	return n;
}

/* ---- what is to be done ----------------------------------------------------------------------- */

/* Whether an IPv4 or an IPv6 frame; only asked of frames with a blank checksum or to be cut, whose headers somebody has
 * parsed before. A tag moves the type. */
static bool is_ipv6(const struct net_frame *frame)
{
	struct net_headers h;

	return !net_parse(frame->segments[0].va, frame->segments[0].len_bytes, frame->len_bytes,
			  &h) &&
	       h.proto == NET_PROTO_IPV6;
}

static bool has_remote(const struct net_frame *frame)
{
	unsigned i;

	for (i = 1; i < frame->n_segments; i++)
		if (!frame->segments[i].va)
			return true;
	return false;
}

static bool must_cut(const struct net_frame *frame, uint32_t can)
{
	return (frame->gso == NET_GSO_TCPV4 && !(can & NET_CAN_GSO4)) ||
	       (frame->gso == NET_GSO_TCPV6 && !(can & NET_CAN_GSO6));
}

static bool must_sum(const struct net_frame *frame, uint32_t can)
{
	uint32_t both = NET_CAN_CSUM4 | NET_CAN_CSUM6;

	if (!(frame->flags & NET_CSUM_BLANK) || (can & both) == both)
		return false;
	return !(can & both) || !(can & (is_ipv6(frame) ? NET_CAN_CSUM6 : NET_CAN_CSUM4));
}

static bool must_copy(const struct net_frame *frame, uint32_t can)
{
	return (frame->n_segments > 1 && !(can & NET_CAN_SEGMENTS)) ||
	       (!(can & NET_CAN_REMOTE) && has_remote(frame));
}

/* A tag is not counted by an MTU. */
static bool too_long(const struct net_frame *frame, uint16_t mtu)
{
	return !frame->gso && frame->len_bytes > mtu + NET_HEAD_BYTES + 4u;
}

int net_fit(struct net_frame *frame, uint32_t can, uint16_t mtu,
	    void (*fn)(void *ctx, struct net_frame *frame), void *ctx)
{
	bool cut = must_cut(frame, can), sum = must_sum(frame, can);
	struct fit_buffer *copy;
	int err;

	if (!cut && !sum && !must_copy(frame, can) && !too_long(frame, mtu)) {
		fn(ctx, frame);
		return 1;
	}
	err = too_long(frame, mtu) ? -XEN_E2BIG : linear_copy(frame, &copy);
	net_frame_put(frame, err);
	if (err)
		return err;
	if (cut)
		return give_pieces(copy, can, mtu, fn, ctx);
	if (sum && net_fill_checksum(&copy->frame)) {
		buffer_put(copy);
		return -XEN_EINVAL;
	}
	fn(ctx, &copy->frame);
	return 1;
}
