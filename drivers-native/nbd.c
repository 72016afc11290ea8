/* nbd.c: disks of NBD servers: found by their URI, registered, and kept when a server goes away.
 *
 * Contract: amphi/nbd.h. Called by the kernel's word for disks, by the block layer (submit, kick) and by nbd_conn.c. A request waits
 * here until a connection has room; one that was on a connection which broke waits here again, before those that came after it.
 *
 *      submit -> waiting ----dispatch----> a connection's slot --reply--> done
 *                   ^                            |
 *                   '----- the connection breaks-'   (and after NBD_AWAY_MS without any: done with -XEN_EIO)
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "nbd_private.h"

#define MS_NS          1000000ull
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 5000u
#define REPLY_NS                                                                                   \
	(30000 * MS_NS) /* a server that leaves a request so long has its connection closed */
#define LOOK_MS      1000u
#define NOTHING_TOLD 1 /* no error of a stream */

/* Flags of an export. */
enum {
	EXPORT_READONLY = 2,
	EXPORT_FLUSH = 4,
	EXPORT_FUA = 8,
	EXPORT_TRIM = 32,
	EXPORT_SEVERAL = 256 /* connections, and a flush on one is a flush of all */
};

static struct nbd_disk *disks;

/* ---- requests ------------------------------------------------------------------------------------------- */

/* Behind those that are older, which is at the end unless a connection broke. */
static void wait_again(struct nbd_disk *disk, struct block_request *req)
{
	struct block_request **link = &disk->waiting;

	if (disk->waiting && disk->waiting_tail->driver[0] < req->driver[0])
		link = &disk->waiting_tail->next;
	while (*link && (*link)->driver[0] < req->driver[0])
		link = &(*link)->next;
	req->next = *link;
	*link = req;
	if (!req->next)
		disk->waiting_tail = req;
}

static struct nbd_conn *least_busy(struct nbd_disk *disk)
{
	struct nbd_conn *best = NULL, *c;

	for (c = disk->conns; c < disk->conns + NBD_CONNECTIONS; c++)
		if (nbd_has_room(c) && (!best || c->in_flight < best->in_flight))
			best = c;
	return best;
}

/* All that can go is given first and pushed then, so that small requests share a packet. */
void nbd_dispatch(struct nbd_disk *disk)
{
	struct block_request *req;
	struct nbd_conn *c;

	while (disk->waiting && (c = least_busy(disk)) != NULL) {
		req = disk->waiting;
		disk->waiting = req->next;
		req->next = NULL;
		nbd_give(c, req);
	}
	for (c = disk->conns; c < disk->conns + NBD_CONNECTIONS; c++)
		nbd_push(c);
}

static void nbd_submit(struct block_device *dev, struct block_request *req)
{
	struct nbd_disk *disk = dev->driver;

	req->driver[0] = ++disk->sequence;
	dev->stats.requests++;
	wait_again(disk, req);
}

static void nbd_kick(struct block_device *dev)
{
	nbd_dispatch(dev->driver);
}

static const struct block_ops block_ops = {.submit = nbd_submit, .kick = nbd_kick};

static void fail_waiting(struct nbd_disk *disk)
{
	struct block_request *req;

	while ((req = disk->waiting) != NULL) {
		disk->waiting = req->next;
		disk->dev.stats.errors++;
		req->done(req, -XEN_EIO);
	}
}

/* ---- connections ----------------------------------------------------------------------------------------- */

static unsigned wanted(const struct nbd_disk *disk)
{
	return disk->known && disk->several ? NBD_CONNECTIONS : 1;
}

/* A connection that is silent with something on it has ended, whatever TCP thinks. */
static void look_at(struct nbd_conn *c, uint64_t now)
{
	uint64_t oldest = c->ready ? nbd_oldest_ns(c) : 0;

	if (oldest && now - oldest > REPLY_NS)
		nbd_lost(c, "no reply", -XEN_ETIMEDOUT);
}

/* One that cannot be begun is tried again with the next look. */
static void look(void *ctx)
{
	struct nbd_disk *disk = ctx;
	uint64_t now = host_time_ns();
	unsigned i;

	for (i = 0; i < wanted(disk); i++) {
		if (disk->conns[i].tcp)
			look_at(&disk->conns[i], now);
		else
			(void)nbd_connect(&disk->conns[i]);
	}
	if (disk->away_ns && now - disk->away_ns > NBD_AWAY_MS * MS_NS)
		fail_waiting(disk);
	host_work_after(&disk->again, (disk->away_ns ? disk->backoff_ms : LOOK_MS) * MS_NS);
}

void nbd_ready(struct nbd_disk *disk)
{
	unsigned i, n = 0;

	for (i = 0; i < NBD_CONNECTIONS; i++)
		n += disk->conns[i].ready;
	disk->stats.connections = n;
	if (disk->away_ns)
		host_log(HOST_LOG_INFO, "%s: %s, %llu sectors%s", disk->dev.name, disk->uri,
			 (unsigned long long)disk->dev.sectors,
			 disk->stats.reconnects ? ", is back" : "");
	disk->away_ns = 0;
	disk->told = NOTHING_TOLD;
	disk->backoff_ms = BACKOFF_MIN_MS;
	if (n < wanted(disk)) { /* the others, now that the server has said that there may be */
		host_work_cancel(&disk->again);
		host_work_soon(&disk->again);
	}
	if (disk->dev.coming) {
		disk->dev.coming = false;
		host_block_register(&disk->dev);
		host_block_changed(&disk->dev);
	}
	nbd_dispatch(disk);
}

static void replay(struct nbd_disk *disk, struct block_request *req)
{
	disk->stats.replayed++;
	wait_again(disk, req);
}

/* The stream is closed first: nothing comes from it any more. */
void nbd_lost(struct nbd_conn *c, const char *why, int err)
{
	struct nbd_disk *disk = c->disk;
	bool was_ready = c->ready;

	host_tcp_close(c->tcp, true);
	c->tcp = NULL;
	c->ready = false;
	c->data_left = 0;
	nbd_take_back(c, replay);
	disk->stats.connections -= was_ready;
	disk->stats.reconnects += was_ready;
	if (disk->told !=
	    err) /* its other connections will say the same, and so will the next try */
		host_log(HOST_LOG_WARN, "%s: %s: %s (%d), trying again", disk->dev.name, disk->uri,
			 why, err);
	disk->told = err;
	if (disk->stats.connections) {
		nbd_dispatch(disk);
		return;
	}
	if (!disk->away_ns)
		disk->away_ns = host_time_ns();
	disk->backoff_ms = was_ready ? BACKOFF_MIN_MS : MIN(disk->backoff_ms * 2, BACKOFF_MAX_MS);
	host_work_cancel(&disk->again);
	host_work_after(&disk->again, disk->backoff_ms * MS_NS);
}

/* ---- what the server says ---------------------------------------------------------------------------------- */

/* A disk that comes back with another size is told as resized; one that cannot be written to any more is as read-only as it says. */
bool nbd_learn(struct nbd_disk *disk, uint64_t size_bytes, unsigned flags)
{
	struct block_device *dev = &disk->dev;
	uint64_t sectors = size_bytes / SECTOR_SIZE;
	bool changed = disk->known &&
		       (dev->sectors != sectors || dev->readonly != !!(flags & EXPORT_READONLY));

	if (!sectors || (size_bytes >> 63))
		return false;
	dev->sectors = sectors;
	dev->readonly = flags & EXPORT_READONLY;
	dev->searched = true; /* a guest has it whole */
	dev->has_flush = flags & EXPORT_FLUSH;
	dev->has_fua = flags & EXPORT_FUA;
	dev->has_discard = (flags & EXPORT_TRIM) && !dev->readonly;
	disk->several = flags & EXPORT_SEVERAL;
	dev->n_queues = disk->several ? NBD_CONNECTIONS : 1;
	dev->queue_depth = dev->n_queues * NBD_SLOTS;
	disk->known = true;
	if (changed)
		host_block_changed(dev);
	return true;
}

/* Before the first request only: the block layer has cut its requests for what it was told then. */
void nbd_limits(struct nbd_disk *disk, uint32_t min_bytes, uint32_t max_bytes)
{
	struct block_device *dev = &disk->dev;

	if (!dev->coming)
		return;
	if (min_bytes > SECTOR_SIZE && min_bytes <= PAGE_SIZE)
		dev->sector_size = PAGE_SIZE;
	if (max_bytes >= PAGE_SIZE)
		dev->max_segments = MIN(max_bytes / (uint32_t)PAGE_SIZE, BLOCK_MAX_SEGMENTS);
}

/* ---- disks ------------------------------------------------------------------------------------------------- */

/* The part of the URI before `end` characters into out. */
static bool take_part(const char **at, const char *end, char *out, size_t cap)
{
	size_t len = 0;

	while ((*at)[len] && !strchr(end, (*at)[len]))
		len++;
	if (len >= cap)
		return false;
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len;
	return true;
}

static bool parse_uri(struct nbd_disk *disk, const char *uri)
{
	const char *at = uri + strlen("nbd://");
	bool bracket = str_starts(uri, "nbd://[");
	uint64_t port = NBD_PORT;
	char number[8];

	if (!str_starts(uri, "nbd://") || !str_copy(disk->uri, sizeof(disk->uri), uri))
		return false;
	at += bracket;
	if (!take_part(&at, bracket ? "]" : ":/", disk->host, sizeof(disk->host)) || !disk->host[0])
		return false;
	if (bracket && *at++ != ']')
		return false;
	if (*at == ':') {
		at++;
		if (!take_part(&at, "/", number, sizeof(number)) || !str_to_u64(number, &port) ||
		    !port || port > 65535)
			return false;
	}
	disk->port = (uint16_t)port;
	return !*at || (*at == '/' && str_copy(disk->export, sizeof(disk->export), at + 1));
}

static struct nbd_disk *disk_make(const char *uri)
{
	static unsigned count;
	struct nbd_disk *disk = host_alloc(sizeof(*disk));
	unsigned i;

	if (!disk)
		return NULL;
	if (!parse_uri(disk, uri)) {
		host_log(HOST_LOG_ERROR, "'%s' is not nbd://HOST[:PORT]/EXPORT", uri);
		host_free(disk, sizeof(*disk));
		return NULL;
	}
	fmt_text(disk->dev.name, sizeof(disk->dev.name), "nbd%u", count++);
	disk->dev.ops = &block_ops;
	disk->dev.driver = disk;
	disk->dev.coming = true;
	disk->dev.sector_size = SECTOR_SIZE;
	disk->dev.max_segments = BLOCK_MAX_SEGMENTS;
	disk->away_ns = host_time_ns();
	disk->backoff_ms = BACKOFF_MIN_MS;
	disk->told = NOTHING_TOLD;
	disk->again = (struct host_work){.fn = look, .ctx = disk};
	for (i = 0; i < NBD_CONNECTIONS; i++)
		disk->conns[i].disk = disk;
	disk->next = disks;
	disks = disk;
	host_work_soon(&disk->again);
	return disk;
}

struct block_device *nbd_find(const char *uri)
{
	struct nbd_disk *disk = disks;

	while (disk && strcmp(disk->uri, uri))
		disk = disk->next;
	if (!disk)
		disk = disk_make(uri);
	return disk ? &disk->dev : NULL;
}

const struct nbd_stats *nbd_stats(const struct block_device *dev)
{
	return dev->ops == &block_ops ? &((const struct nbd_disk *)dev->driver)->stats : NULL;
}

static void disk_end(struct nbd_disk *disk)
{
	unsigned i;

	host_work_cancel(&disk->again);
	for (i = 0; i < NBD_CONNECTIONS; i++) {
		struct nbd_conn *c = &disk->conns[i];

		if (c->tcp)
			host_tcp_close(c->tcp, true);
		nbd_take_back(c, replay);
		c->tcp = NULL;
		c->ready = false;
	}
	fail_waiting(disk);
	if (!disk->dev.coming)
		host_block_unregister(&disk->dev);
	host_free(disk, sizeof(*disk));
}

void nbd_exit(void)
{
	struct nbd_disk *disk;

	while ((disk = disks) != NULL) {
		disks = disk->next;
		disk_end(disk);
	}
}
