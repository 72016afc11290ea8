/* block.c: the block layer: the registry, and a queue before each device.
 *
 * Callers: kernel/block.h's users, and portable drivers through amphi/host_block.h; all in the
 * worker context. Calls the device's ops. A piece of any length waits in its device's queue, where
 * neighbours are put side by side; the kick turns the queue's front into requests that fit the
 * device:
 *
 *   pieces  [ 0..7 ][ 8..15 ]    [ 100..355             ]
 *   requests [ 0..15        ]    [ 100..187 ][ 188..275 ][ 276..355 ]      (11 segments of a page)
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/string.h>
#include "block.h"
#include "block_part.h"
#include "block_watch.h"

#define SCAN_MAX 64u /* pieces looked at for a neighbour */
/* head may be partly given already (given_bytes); it leaves the list when the last of it is in a
 * request. */
struct block_queue {
	struct block_queue *next;
	struct block_device *dev;
	struct block_piece *head, *tail; /* not wholly in requests yet */
	struct part_stock stock;         /* by the limits when it was registered */
	unsigned turn;                   /* which of the device's queues is next */
	bool dispatching;
	struct host_work kick; /* for who submits and does not kick */
	struct block_layer_stats stats;
};

static struct block_queue *queues;
static struct host_block_watch *watches;

/* NULL: not registered. */
static struct block_queue *queue_of(const struct block_device *dev)
{
	return dev->layer;
}

/* ---- requests ----------------------------------------------------------------------- */

static uint64_t piece_end(const struct block_piece *piece)
{
	return piece->sector + piece->len_bytes / SECTOR_SIZE;
}

/* done comes once, with the first error, when all of the piece is in requests and the last has
 * ended. A piece that is half given and has no part in flight waits for its rest. */
static void piece_part_ended(struct block_piece *piece, int status)
{
	if (status && !piece->status)
		piece->status = status;
	if (--piece->parts == 0 && piece->given_bytes == piece->len_bytes)
		piece->done(piece, piece->status);
}

/* The driver's answer. New room is used from the worker's list and not from here, so that answers
 * that come together make one kick. */
static void part_done(struct block_request *req, int status)
{
	struct part *part = container_of(req, struct part, req);
	struct block_queue *q = part->owner;
	unsigned i;

	for (i = 0; i < part->n_pieces; i++)
		piece_part_ended(part->pieces[i], status);
	part_put(&q->stock, part);
	if (q->head)
		host_work_soon(&q->kick);
}

/* Puts memory at the part's end: into the last segment where it goes on there, else into a new
 * one. False when it has no room. A segment never crosses a page: backends know memory by page,
 * and frames side by side in our addresses need not be so in the machine. Within a page a piece may
 * go on where the one before it ended. */
static bool add_memory(struct part *part, char *va, uint32_t len)
{
	struct block_request *req = &part->req;
	struct block_segment *next = req->segments + req->n_segments;

	if (req->n_segments && (char *)next[-1].va + next[-1].len_bytes == va &&
	    ((uintptr_t)va & ~PAGE_MASK)) {
		next[-1].len_bytes += len;
		return true;
	}
	if (req->n_segments == part->room)
		return false;
	next->va = va;
	next->len_bytes = len;
	req->n_segments++;
	return true;
}

/* A part that is full, of segments or of pieces, and the request could go on. What the device takes may have become
 * less since it was registered, by another backend. */
static bool lengthen(struct block_queue *q, struct part *part)
{
	return part_lengthen(&q->stock, part, MIN(q->stock.max_segments, q->dev->max_segments));
}

/* Moves as much of the piece into the part as fits. Nothing fits, nothing is noted: a piece that is
 * listed without a byte would count a part that never ends. A flush has no bytes and is listed all
 * the same. */
static void add_piece(struct block_queue *q, struct part *part, struct block_piece *piece)
{
	uint32_t before = piece->given_bytes, len;
	char *va;

	if (piece->op == BLOCK_DISCARD) {
		part->req.n_sectors = piece->len_bytes / SECTOR_SIZE;
		piece->given_bytes = piece->len_bytes;
	}
	while (piece->given_bytes < piece->len_bytes) {
		va = (char *)piece->va + piece->given_bytes;
		len = (uint32_t)(PAGE_SIZE - ((uintptr_t)va & ~PAGE_MASK));
		len = MIN(len, piece->len_bytes - piece->given_bytes);
		if (add_memory(part, va, len))
			piece->given_bytes += len;
		else if (!lengthen(q, part))
			break;
	}
	if (piece->given_bytes == before && piece->len_bytes)
		return;
	piece->parts++;
	part->pieces[part->n_pieces++] = piece;
}

/* A flush and a discard go alone, and so does a write with a condition of its own. */
static bool is_joinable(const struct block_piece *piece)
{
	return piece->op <= BLOCK_WRITE && !piece->flags;
}

/* Makes one request of the queue's front; there is a piece. Goes on over pieces as long as the disk
 * goes on. */
static void fill_part(struct block_queue *q, struct part *part)
{
	struct block_piece *piece = q->head;
	uint64_t end;

	part->n_pieces = 0;
	part->room = MIN(q->stock.own_room, q->dev->max_segments);
	part->req.op = piece->op;
	part->req.flags = piece->flags;
	part->req.n_sectors = 0;
	part->req.sector = piece->sector + piece->given_bytes / SECTOR_SIZE;
	part->req.n_segments = 0;
	do {
		add_piece(q, part, piece);
		if (piece->given_bytes < piece->len_bytes) {
			q->stats.split++;
			return;
		}
		end = piece_end(piece);
		q->head = piece->next;
		piece = q->head;
	} while (piece && is_joinable(piece) && piece->op == part->req.op && !part->req.flags &&
		 piece->sector == end && (part->n_pieces < part->room || lengthen(q, part)));
	q->stats.merged += part->n_pieces - 1;
	if (!q->head)
		q->tail = NULL;
}

/* What goes out with one kick goes to one of the device's queues, so that it is one doorbell, and the next to the
 * next: all submit from one worker, and it is the other side that works on several at once.
 * A device may end requests inside submit or kick, and their users may submit more: hence the loop,
 * and the mark that keeps it from being entered twice. */
static void dispatch(struct block_queue *q)
{
	struct part *part;
	unsigned sent;

	if (q->dispatching)
		return;
	q->dispatching = true;
	do {
		for (sent = 0; q->head && (part = part_take(&q->stock)); sent++) {
			fill_part(q, part);
			part->req.queue = q->turn;
			q->dev->ops->submit(q->dev, &part->req);
		}
		q->stats.requests += sent;
		if (sent)
			q->dev->ops->kick(q->dev);
		q->turn += sent != 0;
	} while (sent && q->head && q->stock.free);
	q->dispatching = false;
}

/* For pieces that were submitted without a kick, and for room that came back. */
static void dispatch_work(void *ctx)
{
	dispatch(ctx);
}

/* ---- pieces ------------------------------------------------------------------------- */

/* Of a piece with flags: what each operation may ask for besides, where the device has it. */
static bool flags_offered(const struct block_device *dev, const struct block_piece *piece)
{
	if (piece->op == BLOCK_WRITE)
		return piece->flags == BLOCK_FUA && dev->has_fua;
	return piece->op == BLOCK_DISCARD && piece->flags == BLOCK_SECURE && dev->discard_secure;
}

/* Sector sizes are powers of two, so masks do; this runs for every piece. */
static int piece_check(const struct block_device *dev, const struct block_piece *piece)
{
	uint64_t len_sectors = piece->len_bytes / SECTOR_SIZE;
	uint64_t bytes_mask = dev->sector_size - 1;

	if (piece->op == BLOCK_FLUSH)
		return piece->len_bytes ? -XEN_EINVAL : 0;
	if ((piece->op == BLOCK_DISCARD && !dev->has_discard) ||
	    (piece->flags && !flags_offered(dev, piece)))
		return -XEN_EOPNOTSUPP;
	if (!piece->len_bytes || ((piece->len_bytes | (uintptr_t)piece->va) & bytes_mask))
		return -XEN_EINVAL;
	if ((piece->sector & (bytes_mask / SECTOR_SIZE)) || piece->sector > dev->sectors ||
	    len_sectors > dev->sectors - piece->sector)
		return -XEN_EINVAL;
	return piece->op != BLOCK_READ && dev->readonly ? -XEN_EROFS : 0;
}

/* The waiting piece that this one is to stand behind, because it goes on where that one ends.
 * Pieces that wait together have no order among them (blkif and NVMe promise none either), so one
 * may overtake another. A flush stays where it was queued; a write that gets before it is flushed
 * too. The walk is bounded: a submitter that fills the queue with pieces apart should not pay for
 * each with all of them. */
static struct block_piece *neighbour_before(struct block_queue *q, const struct block_piece *piece)
{
	struct block_piece *at;
	unsigned looked = 0;

	if (!q->tail || !is_joinable(piece))
		return NULL;
	if (q->tail->op == piece->op && piece_end(q->tail) == piece->sector)
		return q->tail;
	for (at = q->head; at && looked < SCAN_MAX; at = at->next, looked++)
		if (at->op == piece->op && piece_end(at) == piece->sector)
			return at;
	return NULL;
}

/* Behind its neighbour, or at the end. */
static void queue_piece(struct block_queue *q, struct block_piece *piece)
{
	struct block_piece *before = neighbour_before(q, piece);

	if (!before)
		before = q->tail;
	if (before) {
		piece->next = before->next;
		before->next = piece;
	} else {
		piece->next = NULL;
		q->head = piece;
	}
	if (q->tail == before)
		q->tail = piece;
}

/* done may be called before this returns, when the piece is refused. */
void block_submit(struct block_device *dev, struct block_piece *piece)
{
	struct block_queue *q = queue_of(dev);
	int error = q ? piece_check(dev, piece) : -XEN_ENODEV;

	piece->given_bytes = 0;
	piece->parts = 0;
	piece->status = 0;
	if (error) {
		piece->done(piece, error);
		return;
	}
	q->stats.pieces++;
	queue_piece(q, piece);
	if (!q->kick.queued)
		host_work_soon(&q->kick);
}

void block_kick(struct block_device *dev)
{
	struct block_queue *q = queue_of(dev);

	if (q)
		dispatch(q);
}

/* Zeros for a device that is gone, so that who counts need not look twice. */
const struct block_layer_stats *block_layer_stats(const struct block_device *dev)
{
	static const struct block_layer_stats none;
	struct block_queue *q = queue_of(dev);

	return q ? &q->stats : &none;
}

/* ---- registry ----------------------------------------------------------------------- */

static struct block_queue *queue_new(struct block_device *dev)
{
	struct block_queue *q = host_alloc(sizeof(*q));

	if (!q)
		return NULL;
	q->dev = dev;
	q->stock.owner = q;
	q->stock.done = part_done;
	if (!part_stock_begin(&q->stock, dev->queue_depth, dev->max_segments)) {
		host_free(q, sizeof(*q));
		return NULL;
	}
	q->kick.fn = dispatch_work;
	q->kick.ctx = q;
	return q;
}

/* At the end, so `disks` shows them in the order they came. */
int block_register(struct block_device *dev)
{
	struct block_queue **link = &queues;
	struct block_queue *q;

	if (block_find(dev->name))
		return -XEN_EEXIST;
	if (!dev->max_segments || dev->max_segments > BLOCK_MAX_SEGMENTS ||
	    dev->sector_size < SECTOR_SIZE || (dev->sector_size & (dev->sector_size - 1)))
		return -XEN_EINVAL;
	q = queue_new(dev);
	if (!q)
		return -XEN_ENOMEM;
	while (*link)
		link = &(*link)->next;
	*link = q;
	dev->layer = q;
	dev->gone = false;
	return 0;
}

/* The driver may have given up a limit, never raised it above what the queue was made for. */
void host_block_changed(struct block_device *dev)
{
	block_watch_tell(watches, dev);
}

void host_block_watch(struct host_block_watch *watch)
{
	block_watch_add(&watches, watch);
}

void host_block_unwatch(struct host_block_watch *watch)
{
	block_watch_remove(&watches, watch);
}

/* What waits for a device that is gone ends with an error. */
void block_unregister(struct block_device *dev)
{
	struct block_queue **link = &queues, *q;
	struct block_piece *piece;

	while (*link && (*link)->dev != dev)
		link = &(*link)->next;
	q = *link;
	if (!q)
		return;
	*link = q->next;
	host_work_cancel(&q->kick);
	dev->layer = NULL;
	dev->gone = true;
	host_block_changed(dev);
	while ((piece = q->head)) {
		q->head = piece->next;
		piece->done(piece, -XEN_EIO);
	}
	part_stock_end(&q->stock);
	host_free(q, sizeof(*q));
}

struct block_device *block_find(const char *name)
{
	struct block_queue *q = queues;

	while (q && strcmp(q->dev->name, name))
		q = q->next;
	return q ? q->dev : NULL;
}

/* Devices without a number are not found by "". */
struct block_device *block_find_serial(const char *serial)
{
	struct block_queue *q = queues;

	while (q && (!serial[0] || strcmp(q->dev->serial, serial)))
		q = q->next;
	return q ? q->dev : NULL;
}

struct block_device *block_next(struct block_device *prev)
{
	struct block_queue *q = prev ? queue_of(prev) : NULL;

	if (prev)
		q = q ? q->next : NULL;
	else
		q = queues;
	return q ? q->dev : NULL;
}

bool block_is_there(const struct block_device *dev)
{
	struct block_queue *q = queues;

	while (q && q->dev != dev)
		q = q->next;
	return q;
}

/* For portable drivers, which cannot do anything about an error. */
void host_block_register(struct block_device *dev)
{
	int error = block_register(dev);

	if (error)
		host_log(HOST_LOG_ERROR, "disk %s: not registered: %s", dev->name,
			 error_name(error));
	else
		host_log(HOST_LOG_INFO, "disk %s: %llu KiB%s", dev->name,
			 (unsigned long long)dev->sectors / 2, dev->readonly ? ", read-only" : "");
}

void host_block_unregister(struct block_device *dev)
{
	block_unregister(dev);
}
