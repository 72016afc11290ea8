/* nbd_io.c: requests to an NBD server and its replies, on a connection that is ready.
 *
 * Called by nbd.c (requests), nbd_conn.c (bytes that came, room to send). Requests go in order, replies come in any; each carries our
 * cookie, which is the number of a slot and how often it was used: the server is believed in nothing else. Simple replies have a
 * read's data behind them; structured ones come in chunks, each with a place of its own, holes, or an error.
 */
#include <amphi/string.h>

#include "disk_error.h"
#include "nbd_private.h"

#define REQUEST_MAGIC    0x25609513u
#define SIMPLE_MAGIC     0x67446698u
#define STRUCTURED_MAGIC 0x668e33efu

#define SIMPLE_BYTES     16u
#define STRUCTURED_BYTES 20u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM };
#define CMD_FLAG_FUA 1u

enum { CHUNK_NONE = 0, CHUNK_DATA = 1, CHUNK_HOLE = 2 };
#define CHUNK_ERROR     0x8000u /* of every type that is an error */
#define CHUNK_FLAG_DONE 1u
#define CHUNK_MAX       (64u << 20)
#define ERROR_BYTES     6u
#define TRIM_MAX        (1ull << 31)

/* ---- a request's memory ------------------------------------------------------------------------ */

static uint64_t bytes_of(const struct block_request *req)
{
	uint64_t bytes = 0;
	unsigned i;

	if (req->op == BLOCK_DISCARD)
		return req->n_sectors * SECTOR_SIZE;
	for (i = 0; i < req->n_segments; i++)
		bytes += req->segments[i].len_bytes;
	return bytes;
}

static struct nbd_place place_of(const struct block_request *req, uint64_t offset)
{
	struct nbd_place p = {0, 0};

	while (p.segment < req->n_segments && offset >= req->segments[p.segment].len_bytes)
		offset -= req->segments[p.segment++].len_bytes;
	p.at = (uint32_t)offset;
	return p;
}

/* What lies at the place, in one piece; and after n of it. */
static uint8_t *place_at(const struct block_request *req, const struct nbd_place *p,
			 size_t *out_len)
{
	const struct block_segment *s = &req->segments[p->segment];

	*out_len = s->len_bytes - p->at;
	return (uint8_t *)s->va + p->at;
}

static void place_step(const struct block_request *req, struct nbd_place *p, size_t n)
{
	p->at += (uint32_t)n;
	if (p->at < req->segments[p->segment].len_bytes)
		return;
	p->at = 0;
	p->segment++;
}

/* ---- sending ------------------------------------------------------------------------------------- */

static void make_head(struct nbd_conn *c, const struct nbd_slot *slot)
{
	static const uint8_t commands[] = {[BLOCK_READ] = CMD_READ,
					   [BLOCK_WRITE] = CMD_WRITE,
					   [BLOCK_FLUSH] = CMD_FLUSH,
					   [BLOCK_DISCARD] = CMD_TRIM};
	const struct block_request *req = slot->req;
	uint64_t at = req->sector * SECTOR_SIZE + slot->trimmed;
	uint64_t len = MIN(bytes_of(req) - slot->trimmed, TRIM_MAX);
	bool fua = req->op == BLOCK_WRITE && (req->flags & BLOCK_FUA);

	nbd_put(c->head, 4, REQUEST_MAGIC);
	nbd_put(c->head + 4, 2, fua ? CMD_FLAG_FUA : 0);
	nbd_put(c->head + 6, 2, commands[req->op]);
	nbd_put(c->head + 8, 8, (uint64_t)slot->generation << 32 | (uint64_t)(slot - c->slots));
	nbd_put(c->head + 16, 8, req->op == BLOCK_FLUSH ? 0 : at);
	nbd_put(c->head + 24, 4, len);
}

static void queue_slot(struct nbd_conn *c, struct nbd_slot *slot)
{
	slot->generation++;
	slot->sent_ns = host_time_ns();
	c->order[c->n_order++] = (uint8_t)(slot - c->slots);
	if (c->n_order == 1)
		c->head_gone = 0;
}

bool nbd_has_room(const struct nbd_conn *c)
{
	return c->ready && c->in_flight < NBD_SLOTS;
}

void nbd_give(struct nbd_conn *c, struct block_request *req)
{
	struct nbd_slot *slot = c->slots;

	while (slot->req)
		slot++; /* there is a free one: nbd_has_room */
	slot->req = req;
	slot->status = 0;
	slot->trimmed = 0;
	slot->left = req->op == BLOCK_READ ? bytes_of(req) : 0;
	c->in_flight++;
	queue_slot(c, slot);
}

/* The first in order: its head, then its data. False: the stream is full. */
static bool push_first(struct nbd_conn *c)
{
	const struct nbd_slot *slot = &c->slots[c->order[0]];
	const struct block_request *req = slot->req;
	bool has_data = req->op == BLOCK_WRITE;
	size_t len, n;

	if (!c->head_gone) {
		make_head(c, slot);
		c->out = (struct nbd_place){0, 0};
	}
	while (c->head_gone < NBD_HEAD) {
		n = host_tcp_send(c->tcp, c->head + c->head_gone, NBD_HEAD - c->head_gone,
				  has_data || c->n_order > 1);
		c->head_gone += (uint32_t)n;
		if (!n)
			return false;
	}
	while (has_data && c->out.segment < req->n_segments) {
		const uint8_t *at = place_at(req, &c->out, &len);
		bool more = c->out.segment + 1 < req->n_segments || c->n_order > 1;

		n = host_tcp_send(c->tcp, at, len, more);
		if (!n)
			return false;
		place_step(req, &c->out, n);
	}
	return true;
}

void nbd_push(struct nbd_conn *c)
{
	while (c->tcp && c->ready && c->n_order && push_first(c)) {
		memmove(c->order, c->order + 1, --c->n_order);
		c->head_gone = 0;
	}
}

/* ---- the end of a request -------------------------------------------------------------------------- */

/* NBD's errors are numbers of Linux's, and so are Xen's; what a guest can make nothing of is an I/O error. */
static int status_of(uint32_t error)
{
	switch (error) {
	case 0:
		return 0;
	case 1:
		return -XEN_EROFS;
	case 22:
		return -XEN_EINVAL;
	case 28:
		return -XEN_ENOSPC;
	case 95:
		return -XEN_EOPNOTSUPP;
	default:
		return -XEN_EIO;
	}
}

static void end_slot(struct nbd_conn *c, struct nbd_slot *slot)
{
	struct block_request *req = slot->req;
	struct block_device *dev = &c->disk->dev;
	int status = slot->status;

	if (!status && slot->left)
		status = -XEN_EIO; /* the server says that it is done, and has not sent all */
	if (req->op == BLOCK_DISCARD && !status) {
		slot->trimmed += MIN(bytes_of(req) - slot->trimmed, TRIM_MAX);
		if (slot->trimmed < bytes_of(req)) {
			queue_slot(c, slot);
			nbd_push(c);
			return;
		}
	}
	slot->req = NULL;
	c->in_flight--;
	if (status)
		disk_error(dev, req, "status", (unsigned)-status);
	else
		block_count(&dev->stats, req, bytes_of(req));
	req->done(req, status);
}

/* ---- replies ----------------------------------------------------------------------------------------- */

static int take_any(struct nbd_conn *c);

static void next_reply(struct nbd_conn *c)
{
	nbd_expect(c, SIMPLE_BYTES, take_any);
}

/* NULL: the cookie is of none that we wait for, which is the end of the connection. One that is still being sent has no
 * answer yet. */
static struct nbd_slot *slot_of(struct nbd_conn *c, uint64_t cookie)
{
	uint32_t number = (uint32_t)cookie;
	struct nbd_slot *slot = number < NBD_SLOTS ? &c->slots[number] : NULL;
	unsigned i;

	if (!slot || !slot->req || slot->generation != (uint32_t)(cookie >> 32))
		return NULL;
	for (i = 0; i < c->n_order; i++)
		if (c->order[i] == number)
			return NULL;
	return slot;
}

static int take_simple(struct nbd_conn *c)
{
	struct nbd_slot *slot = slot_of(c, nbd_get(c->small + 8, 8));
	uint32_t error = (uint32_t)nbd_get(c->small + 4, 4);

	if (!slot || (c->structured && slot->req->op == BLOCK_READ && !error))
		return -XEN_EINVAL;
	slot->status = status_of(error);
	next_reply(c);
	if (slot->req->op != BLOCK_READ || error) {
		end_slot(c, slot);
		return 0;
	}
	c->reading = slot;
	c->chunk_flags = CHUNK_FLAG_DONE;
	c->in = (struct nbd_place){0, 0};
	c->data_left = (uint32_t)slot->left;
	return 0;
}

static void end_chunk(struct nbd_conn *c)
{
	struct nbd_slot *slot = c->reading;

	c->reading = NULL;
	if (c->chunk_flags & CHUNK_FLAG_DONE)
		end_slot(c, slot);
}

size_t nbd_data(struct nbd_conn *c, const uint8_t *bytes, size_t len)
{
	struct block_request *req = c->reading->req;
	size_t taken = 0, n;

	len = MIN(len, (size_t)c->data_left);
	while (taken < len) {
		uint8_t *to = place_at(req, &c->in, &n);

		n = MIN(n, len - taken);
		memcpy(to, bytes + taken, n);
		place_step(req, &c->in, n);
		taken += n;
	}
	c->data_left -= (uint32_t)taken;
	c->reading->left -= taken;
	if (!c->data_left)
		end_chunk(c);
	return taken;
}

/* Where a chunk's bytes belong: within the read, and no more of them than are still to come. */
static int chunk_place(struct nbd_conn *c, uint64_t offset, uint64_t len)
{
	struct nbd_slot *slot = c->reading;
	uint64_t start = slot->req->sector * SECTOR_SIZE, bytes = bytes_of(slot->req);

	if (slot->req->op != BLOCK_READ || offset < start || offset - start > bytes ||
	    len > bytes - (offset - start) || len > slot->left || !len)
		return -XEN_EINVAL;
	c->in = place_of(slot->req, offset - start);
	return 0;
}

static int take_data(struct nbd_conn *c)
{
	uint32_t len = c->chunk_len - 8;
	int err = chunk_place(c, nbd_get(c->small, 8), len);

	if (!err)
		c->data_left = len;
	next_reply(c);
	return err;
}

static int take_hole(struct nbd_conn *c)
{
	static const uint8_t zeroes[PAGE_SIZE];
	uint32_t len = (uint32_t)nbd_get(c->small + 8, 4);
	int err = chunk_place(c, nbd_get(c->small, 8), len);

	next_reply(c);
	if (err)
		return err;
	c->data_left = len;
	while (c->data_left) /* each round takes some; the last ends the chunk */
		(void)nbd_data(c, zeroes, sizeof(zeroes));
	return 0;
}

static int take_error(struct nbd_conn *c)
{
	int status = status_of((uint32_t)nbd_get(c->small, 4));

	if (!c->reading->status)
		c->reading->status = status ? status : -XEN_EIO;
	c->skip = c->chunk_len - ERROR_BYTES; /* its text, and what else is in it */
	next_reply(c);
	end_chunk(c);
	return 0;
}

/* What each kind has before its own bytes, and how long it is at least. */
static int expect_chunk(struct nbd_conn *c)
{
	uint32_t len = c->chunk_len;

	if (c->chunk_type & CHUNK_ERROR) {
		nbd_expect(c, ERROR_BYTES, take_error);
		return len < ERROR_BYTES ? -XEN_EINVAL : 0;
	}
	if (c->chunk_type == CHUNK_DATA) {
		nbd_expect(c, 8, take_data);
		return len <= 8 ? -XEN_EINVAL : 0;
	}
	if (c->chunk_type == CHUNK_HOLE) {
		nbd_expect(c, 12, take_hole);
		return len != 12 ? -XEN_EINVAL : 0;
	}
	next_reply(c);
	if (c->chunk_type != CHUNK_NONE || len)
		return -XEN_EINVAL; /* none that we asked for */
	end_chunk(c);
	return 0;
}

static int take_structured(struct nbd_conn *c)
{
	c->chunk_flags = (uint16_t)nbd_get(c->small + 4, 2);
	c->chunk_type = (uint16_t)nbd_get(c->small + 6, 2);
	c->reading = slot_of(c, nbd_get(c->small + 8, 8));
	c->chunk_len = (uint32_t)nbd_get(c->small + 16, 4);
	return c->reading && c->chunk_len <= CHUNK_MAX ? expect_chunk(c) : -XEN_EINVAL;
}

static int take_any(struct nbd_conn *c)
{
	uint32_t magic = (uint32_t)nbd_get(c->small, 4);

	if (magic == SIMPLE_MAGIC)
		return take_simple(c);
	if (magic != STRUCTURED_MAGIC || !c->structured)
		return -XEN_EINVAL;
	c->want = STRUCTURED_BYTES; /* the rest of its head, behind what is there */
	c->take = take_structured;
	return 0;
}

/* ---- beginning and end of a connection ----------------------------------------------------------------- */

void nbd_begin(struct nbd_conn *c)
{
	c->n_order = c->in_flight = 0;
	c->ready = true;
	next_reply(c);
	nbd_ready(c->disk);
}

/* In the order in which they were submitted, which is that of their numbers. */
void nbd_take_back(struct nbd_conn *c, void (*fn)(struct nbd_disk *disk, struct block_request *req))
{
	struct nbd_slot *oldest, *slot;

	for (; c->in_flight; c->in_flight--) {
		oldest = NULL;
		for (slot = c->slots; slot < c->slots + NBD_SLOTS; slot++)
			if (slot->req && (!oldest || slot->req->driver[0] < oldest->req->driver[0]))
				oldest = slot;
		fn(c->disk, oldest->req);
		oldest->req = NULL;
	}
	c->n_order = 0;
}

uint64_t nbd_oldest_ns(const struct nbd_conn *c)
{
	uint64_t oldest = 0;
	unsigned i;

	for (i = 0; i < NBD_SLOTS; i++)
		if (c->slots[i].req && (!oldest || c->slots[i].sent_ns < oldest))
			oldest = c->slots[i].sent_ns;
	return oldest;
}
