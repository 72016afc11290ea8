/* blkback_flow.c: the guests' disks on one real disk take turns, and keep to their limits.
 *
 * The real disks that are being used, each with its share (blkback_share.c), and what makes that one run: a clock,
 * work items, the store's `limit-...` keys. blkback_submit.c asks for each request and tells of its end; what has to wait
 * is given to the disk from a work item, as much as may go with one kick. Worker context.
 */
#include "blkback_private.h"

/* A domain on it, with as many disks as it has there. */
struct back_sharer {
	struct share_guest guest; /* first */
	struct back_sharer *next;
	domid_t domid;
};

struct back_real {
	struct back_real *next;
	const struct block_device *key; /* compared and not looked at: it may have gone */
	struct share_disk share;
	struct back_sharer *sharers;
	struct host_work soon,
	    later; /* both run the line; later waits for a limit, or for a guest */
	bool running;
};

static struct back_real *reals;

/* ---- the line --------------------------------------------------------------------------- */

/* What a limit holds is looked at again when it may go. */
static void sleep_until(struct back_real *real, uint64_t wake_ns, uint64_t now_ns)
{
	host_work_cancel(&real->later);
	if (wake_ns)
		host_work_after(&real->later, wake_ns - now_ns);
}

/* A kick is for a whole disk; two guests' disks may be windows of it. */
static void run_line(void *ctx)
{
	struct back_real *real = ctx;
	struct block_device *dev = NULL;
	struct share_member *m;
	struct share_item *item;
	uint64_t now = host_time_ns(), wake;

	share_turn(&real->share);
	real->running = true;
	while ((item = share_next(&real->share, now, &m, &wake))) {
		struct back_request *req = container_of(item, struct back_request, item);

		if (dev && dev != req->queue->disk->disk)
			dev->ops->kick(dev);
		dev = req->queue->disk->disk;
		back_submit_next(req);
	}
	if (dev)
		dev->ops->kick(dev);
	real->running = false;
	sleep_until(real, wake, now);
	if (share_wants_turn(&real->share))
		host_work_soon(&real->soon);
}

bool back_flow_ask(struct back_request *req)
{
	struct back_disk *disk = req->queue->disk;

	req->item.bytes =
	    req->op == BLKIF_OP_DISCARD ? 0 : (uint32_t)(req->n_sectors * SECTOR_SIZE);
	if (share_enter(&disk->member, &req->item, disk->member.limited ? host_time_ns() : 0))
		return true;
	host_work_soon(&disk->real->soon);
	return false;
}

void back_flow_tell(struct back_request *req)
{
	struct back_disk *disk = req->queue->disk;

	if (share_leave(&disk->member) && !disk->real->running)
		host_work_soon(&disk->real->soon);
}

bool back_flow_kicks(const struct back_disk *disk)
{
	return disk->real && disk->real->running;
}

/* Their guest is going, or the disk that they were checked against. */
void back_flow_drop(struct back_disk *disk)
{
	struct share_item *item, *next;

	if (!disk->real)
		return;
	for (item = share_take_waiting(&disk->member); item; item = next) {
		next = item->next;
		back_submit_drop(container_of(item, struct back_request, item));
	}
}

/* ---- limits ----------------------------------------------------------------------------- */

/* The toolstack's, beside `params`. What is out of range is told and changes nothing. */
static void read_limit(struct back_disk *disk)
{
	static const struct xenbus_number keys[] = {
	    {"limit-iops", 0, SHARE_IOPS_MAX, 0, false},
	    {"limit-bps", 0, SHARE_BPS_MAX, 0, false},
	    {"limit-burst-ms", 0, SHARE_BURST_MAX_MS, SHARE_BURST_USUAL_MS, false},
	};
	uint64_t values[ARRAY_SIZE(keys)];
	const struct share_limit *is = &disk->limit;
	struct share_limit now;

	if (xenbus_read_numbers(HOST_TX_NONE, disk->bus.path, keys, ARRAY_SIZE(keys), values))
		return;
	now = (struct share_limit){values[0], values[1], (uint32_t)values[2]};
	if (now.iops == is->iops && now.bps == is->bps && now.burst_ms == is->burst_ms)
		return;
	disk->limit = now;
	share_set_limit(&disk->member, &now);
	host_work_soon(&disk->real->soon); /* who was held may be so no more */
	if (disk->member.limited)
		host_log(HOST_LOG_INFO, "%s: at most %llu requests and %llu bytes per second",
			 disk->bus.path, (unsigned long long)now.iops, (unsigned long long)now.bps);
}

void back_flow_changed(struct back_disk *disk)
{
	if (disk->connected)
		read_limit(disk);
}

/* ---- coming and going ------------------------------------------------------------------- */

static struct back_real *real_of(const struct block_device *dev)
{
	const struct block_device *key = dev && dev->whole ? dev->whole : dev;
	struct back_real *real = reals;

	while (real && real->key != key)
		real = real->next;
	if (real)
		return real;
	real = host_alloc(sizeof(*real));
	if (!real)
		return NULL;
	real->key = key;
	real->soon = real->later = (struct host_work){.fn = run_line, .ctx = real};
	share_disk_init(&real->share, key ? key->queue_depth : 1);
	real->next = reals;
	reals = real;
	return real;
}

static struct back_sharer *sharer_of(struct back_real *real, domid_t domid)
{
	struct back_sharer *s = real->sharers;

	while (s && s->domid != domid)
		s = s->next;
	if (s)
		return s;
	s = host_alloc(sizeof(*s));
	if (!s)
		return NULL;
	s->domid = domid;
	s->next = real->sharers;
	real->sharers = s;
	return s;
}

static void free_sharer(struct back_real *real, struct back_sharer *s)
{
	struct back_sharer **link = &real->sharers;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	host_free(s, sizeof(*s));
}

static void free_real(struct back_real *real)
{
	struct back_real **link = &reals;

	while (*link != real)
		link = &(*link)->next;
	*link = real->next;
	host_free(real, sizeof(*real));
}

int back_flow_join(struct back_disk *disk)
{
	struct back_real *real = real_of(disk->disk);
	struct back_sharer *sharer = real ? sharer_of(real, disk->bus.peer) : NULL;

	if (!sharer) {
		if (real && !real->share.n_members)
			free_real(real);
		return -XEN_ENOMEM;
	}
	disk->real = real;
	share_join(&real->share, &sharer->guest, &disk->member);
	disk->limit = (struct share_limit){0};
	read_limit(disk);
	return 0;
}

void back_flow_part(struct back_disk *disk)
{
	struct back_real *real = disk->real;
	struct share_guest *guest = disk->member.guest;

	if (!real)
		return;
	disk->real = NULL;
	share_part(&disk->member);
	if (!guest->n_members)
		free_sharer(real, container_of(guest, struct back_sharer, guest));
	host_work_cancel(&real->soon);
	host_work_cancel(&real->later);
	if (real->share.n_members)
		host_work_soon(&real->soon); /* one may be alone now */
	else
		free_real(real);
}
