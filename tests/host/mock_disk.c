/* mock_disk.c: RAM disks for backends, and the registry of disks, in the mock world.
 *
 * A disk completes inside submit, or holds its requests until the test lets them go, or fails them.
 * It checks what the contract of block.h promises a driver (alignment, pages, limits).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/block_watch.h"
#include "mock_host.h"

#define DISKS      8u
#define REGISTERED 32u

static struct mock_disk *disks[DISKS];
static struct host_block_watch *watches; /* of all domains: told of every disk */
static struct {
	struct block_device *dev;
	domid_t domain;
} registered[REGISTERED];

static void check_flags(const struct block_device *dev, const struct block_request *req)
{
	uint32_t known = req->op == BLOCK_WRITE && dev->has_fua            ? BLOCK_FUA
			 : req->op == BLOCK_DISCARD && dev->discard_secure ? BLOCK_SECURE
									   : 0;

	if (req->flags & ~known)
		mock_bug("flags %x of operation %d", req->flags, req->op);
}

static void check_discard(const struct block_device *dev, const struct block_request *req)
{
	unsigned sectors = dev->sector_size / SECTOR_SIZE;

	if (!dev->has_discard || dev->readonly)
		mock_bug("a discard of a disk that cannot");
	if (req->n_segments || !req->n_sectors || req->n_sectors > dev->sectors ||
	    req->sector > dev->sectors - req->n_sectors || (req->sector | req->n_sectors) % sectors)
		mock_bug("a discard of %llu at %llu", (unsigned long long)req->n_sectors,
			 (unsigned long long)req->sector);
}

static void check(struct mock_disk *d, const struct block_request *req)
{
	bool data = req->op == BLOCK_READ || req->op == BLOCK_WRITE;
	uint64_t bytes = 0;

	check_flags(&d->dev, req);
	if (req->op == BLOCK_DISCARD) {
		check_discard(&d->dev, req);
		return;
	}
	if (req->op == BLOCK_FLUSH && req->sector)
		mock_bug("a flush at %llu", (unsigned long long)req->sector);
	if (data && (req->n_segments == 0 || req->n_segments > d->dev.max_segments))
		mock_bug("%u segments, the disk takes %u", req->n_segments, d->dev.max_segments);
	for (unsigned i = 0; i < req->n_segments; i++) {
		uintptr_t at = (uintptr_t)req->segments[i].va % PAGE_SIZE;

		if (at % d->dev.sector_size || req->segments[i].len_bytes % d->dev.sector_size ||
		    at + req->segments[i].len_bytes > PAGE_SIZE || !req->segments[i].len_bytes)
			mock_bug("segment at %zu of %u bytes", (size_t)at,
				 req->segments[i].len_bytes);
		bytes += req->segments[i].len_bytes;
	}
	if (req->sector + bytes / SECTOR_SIZE > d->dev.sectors)
		mock_bug("op %d: sectors %llu+%llu are behind the end, %llu", req->op,
			 (unsigned long long)req->sector, (unsigned long long)(bytes / SECTOR_SIZE),
			 (unsigned long long)d->dev.sectors);
	if (req->op == BLOCK_WRITE && d->dev.readonly)
		mock_bug("write to a disk that cannot");
}

static int move(struct mock_disk *d, const struct block_request *req)
{
	uint8_t *at = d->data + req->sector * SECTOR_SIZE;

	d->flushes += req->op == BLOCK_FLUSH;
	d->discards += req->op == BLOCK_DISCARD;
	if (d->fail_status || d->no_data)
		return d->fail_status;
	if (req->op == BLOCK_DISCARD)
		memset(at, 0, req->n_sectors * SECTOR_SIZE);
	for (unsigned i = 0; i < req->n_segments; i++) {
		const struct block_segment *seg = &req->segments[i];

		if (req->op == BLOCK_READ)
			memcpy(seg->va, at, seg->len_bytes);
		else
			memcpy(at, seg->va, seg->len_bytes);
		at += seg->len_bytes;
	}
	return 0;
}

static void disk_submit(struct block_device *dev, struct block_request *req)
{
	struct mock_disk *d = dev->driver;

	d->last[d->submits++ % ARRAY_SIZE(d->last)] = *req;
	check(d, req);
	if (!d->hold) {
		req->done(req, move(d, req));
		return;
	}
	req->next = NULL;
	*d->held_tail = req;
	d->held_tail = &req->next;
}

static void disk_kick(struct block_device *dev)
{
	((struct mock_disk *)dev->driver)->kicks++;
}

static const struct block_ops disk_ops = {.submit = disk_submit, .kick = disk_kick};

unsigned mock_disk_release(struct mock_disk *d, unsigned count)
{
	domid_t before = mock_current();
	unsigned n = 0;

	mock_enter(d->domain);
	for (; n < count && d->held; n++) {
		struct block_request *req = d->held;

		d->held = req->next;
		if (!d->held)
			d->held_tail = &d->held;
		req->done(req, move(d, req));
	}
	mock_enter(before);
	return n;
}

void mock_disk_release_last(struct mock_disk *d)
{
	struct block_request *first = d->held;

	if (!first || !first->next)
		return;
	d->held = first->next;
	mock_disk_release(d, 1000);
	first->next = NULL;
	d->held = first;
	d->held_tail = &first->next;
}

struct mock_disk *mock_disk_new(const char *name, uint64_t sectors)
{
	struct mock_disk *d = calloc(1, sizeof(*d));

	d->data = calloc(sectors, SECTOR_SIZE);
	d->held_tail = &d->held;
	d->domain = mock_current();
	d->dev.ops = &disk_ops;
	d->dev.driver = d;
	d->dev.sectors = sectors;
	d->dev.sector_size = SECTOR_SIZE;
	d->dev.has_flush = true;
	d->dev.max_segments = BLOCK_MAX_SEGMENTS;
	d->dev.queue_depth = 32;
	strncpy(d->dev.name, name, sizeof(d->dev.name) - 1);
	for (unsigned i = 0; i < DISKS; i++)
		if (!disks[i]) {
			disks[i] = d;
			return d;
		}
	mock_bug("too many disks");
}

bool host_block_overlap(const struct block_device *a, const struct block_device *b)
{
	return a == b;
}

/* A disk called "X1" is one of X's. */
const struct block_device *host_block_part_of(const struct block_device *dev)
{
	char name[sizeof(dev->name) + 1];

	snprintf(name, sizeof(name), "%s1", dev->name);
	return host_block_find(name);
}

struct block_device *host_block_find(const char *params)
{
	for (unsigned i = 0; i < DISKS; i++)
		if (disks[i] && disks[i]->domain == mock_current() &&
		    strcmp(disks[i]->dev.name, params) == 0)
			return &disks[i]->dev;
	return NULL;
}

void host_block_register(struct block_device *dev)
{
	if (mock_find_registered(mock_current(), dev->name))
		mock_bug("%s is registered twice", dev->name);
	for (unsigned i = 0; i < REGISTERED; i++)
		if (!registered[i].dev) {
			registered[i].dev = dev;
			registered[i].domain = mock_current();
			return;
		}
	mock_bug("too many disks registered");
}

void host_block_unregister(struct block_device *dev)
{
	dev->gone = true;
	host_block_changed(dev);
	for (unsigned i = 0; i < REGISTERED; i++)
		if (registered[i].dev == dev) {
			registered[i].dev = NULL;
			return;
		}
	mock_bug("%s is not registered", dev->name);
}

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

struct block_device *mock_find_registered(domid_t domain, const char *name)
{
	for (unsigned i = 0; i < REGISTERED; i++)
		if (registered[i].dev && registered[i].domain == domain &&
		    strcmp(registered[i].dev->name, name) == 0)
			return registered[i].dev;
	return NULL;
}

unsigned mock_registered(domid_t domain)
{
	unsigned count = 0;

	for (unsigned i = 0; i < REGISTERED; i++)
		count += registered[i].dev && registered[i].domain == domain;
	return count;
}

void mock_disk_reset(void)
{
	for (unsigned i = 0; i < DISKS; i++) {
		if (disks[i])
			free(disks[i]->data);
		free(disks[i]);
		disks[i] = NULL;
	}
	memset(registered, 0, sizeof(registered));
	watches = NULL;
}
