/* restore.c: a saved domain from a disk to its life: reads, makes the domain, hands it over to control.c.
 *
 *	control_restore --> read --+--> restore_push --> read ... until the stream's end --> finish --> done
 *	                           |          '- begin: the configuration is known: the domain is made, empty
 *	                           '--- an error, anywhere: the domain is ended, all is freed --> done
 *
 * Two buffers take turns: while one is looked at, the other is being read. One restore at a time, since
 * there is one worker. The domain is control's only when it is whole. Worker context. Caller:
 * ctl_commands.c. Calls restore_*.c, domain_builder.c, host_block.h.
 */
#include <amphi/control.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/string.h>

#include "control_private.h"
#include "restore.h"

#define READ_SEGMENTS 32u
#define READ_BYTES    (READ_SEGMENTS * PAGE_SIZE)

struct read_buffer {
	struct block_request req;
	struct block_segment segments[READ_SEGMENTS];
	uint8_t *bytes;
	uint32_t len;
	bool under_way, full;
	int status;
};

struct job {
	struct restore restore;
	struct domain_record *record; /* not control's yet */
	struct block_device *dev;     /* NULL: it has gone */
	struct host_block_watch watch;
	uint64_t next_sector; /* to be read */
	struct read_buffer buffers[2];
	unsigned turn; /* whose bytes come next */
	struct host_work work;
	control_done_fn *done;
	void *ctx;
	bool over; /* waits for what is under way, to be freed */
	int err;
};

static struct job *job; /* the one under way */

/* ---- the domain ------------------------------------------------------------------------------- */

/* The name is taken from now on, so that no other of this name is made meanwhile. */
static int begin(struct restore *r)
{
	struct job *j = r->ctx;
	int err = control_reserve(r->config, &j->record);

	if (err) {
		(void)str_copy(r->why, sizeof(r->why), control_why());
		return err;
	}
	return restore_make_domain(r);
}

/* Control's from here on, for good or ill. */
static int hand_over(struct job *j)
{
	struct domain_record *record = j->record;
	int err;

	record->built = j->restore.built;
	record->pub.domid = j->restore.built.domid;
	record->pub.memory_kib = j->restore.built.pages * 4;
	j->restore.build.created = false;
	j->record = NULL;
	err = control_start_reserved(record);
	if (err)
		(void)str_copy(j->restore.why, sizeof(j->restore.why), control_why());
	return err;
}

/* ---- the end ---------------------------------------------------------------------------------- */

static bool reads_under_way(const struct job *j)
{
	return j->buffers[0].under_way || j->buffers[1].under_way;
}

static void free_job(struct job *j)
{
	for (unsigned i = 0; i < ARRAY_SIZE(j->buffers); i++)
		if (j->buffers[i].bytes)
			host_pages_free(j->buffers[i].bytes, READ_SEGMENTS);
	if (j->watch.fn)
		host_block_unwatch(&j->watch);
	if (j->restore.config)
		host_free(j->restore.config, sizeof(*j->restore.config));
	host_work_cancel(&j->work);
	host_free(j, sizeof(*j));
}

/* Everything but the memory that the disk still writes to, which waits for its requests. */
static void let_go(struct job *j)
{
	struct restore *r = &j->restore;

	restore_close(r);
	if (r->build.created)
		(void)domain_destroy(r->built.domid);
	r->build.created = false;
	if (j->record)
		control_unreserve(j->record);
	j->record = NULL;
	j->over = true;
}

static void tell(struct job *j)
{
	control_done_fn *done = j->done;
	void *ctx = j->ctx;
	char name[CONFIG_NAME_MAX];
	int err = j->err;

	(void)str_copy(name, sizeof(name), j->restore.config->name);
	if (err)
		(void)control_fail(err, "%s", j->restore.why);
	job = NULL;
	free_job(j);
	if (done)
		done(ctx, err, name);
}

static void end(struct job *j, int err)
{
	j->err = err;
	let_go(j);
	if (!reads_under_way(j))
		tell(j);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void read_done(struct block_request *req, int status)
{
	struct read_buffer *b = req->ctx;

	b->under_way = false;
	b->full = true;
	b->status = status;
	host_work_soon(&job->work);
}

/* Its requests have ended when a disk goes; there are none after that. */
static void on_device(void *ctx, struct block_device *dev)
{
	struct job *j = ctx;

	if (dev == j->dev && dev->gone)
		j->dev = NULL;
}

/* Bytes that the next request can be for; 0 at the end of the disk. */
static uint32_t next_len(const struct job *j)
{
	unsigned pages;
	uint64_t left;

	if (!j->dev || j->next_sector >= j->dev->sectors)
		return 0;
	pages = MIN(READ_SEGMENTS, j->dev->max_segments);
	left = (j->dev->sectors - j->next_sector) * SECTOR_SIZE;
	return (uint32_t)MIN(left, pages * PAGE_SIZE);
}

/* The next bytes of the disk into a buffer, if there are any. */
static void read_into(struct job *j, struct read_buffer *b)
{
	struct block_device *dev = j->dev;

	b->full = false;
	b->len = next_len(j);
	if (!b->len)
		return;
	b->req = (struct block_request){.op = BLOCK_READ,
					.sector = j->next_sector,
					.segments = b->segments,
					.done = read_done,
					.ctx = b};
	for (uint32_t at = 0; at < b->len; at += PAGE_SIZE)
		b->segments[b->req.n_segments++] =
		    (struct block_segment){b->bytes + at, MIN(b->len - at, (uint32_t)PAGE_SIZE)};
	j->next_sector += b->len / SECTOR_SIZE;
	b->under_way = true;
	dev->ops->submit(dev, &b->req);
	dev->ops->kick(dev);
}

/* One buffer's bytes. The next is being read meanwhile. */
static int take_buffer(struct job *j, struct read_buffer *b)
{
	struct restore *r = &j->restore;

	if (b->status)
		return restore_fail(r, b->status, "the disk cannot be read: %s",
				    error_name(b->status));
	return restore_push(r, b->bytes, b->len);
}

static void on_work(void *ctx)
{
	struct job *j = ctx;
	struct read_buffer *b = &j->buffers[j->turn];
	int err;

	if (j->over) {
		if (!reads_under_way(j))
			tell(j);
		return;
	}
	if (!b->full)
		return; /* the other came first */
	err = take_buffer(j, b);
	if (!err && j->restore.stage == RESTORE_DONE) {
		err = restore_finish(&j->restore);
		end(j, err ? err : hand_over(j));
		return;
	}
	if (!err) {
		read_into(j, b);
		j->turn ^= 1;
		b = &j->buffers[j->turn];
		if (!b->full && !b->under_way)
			err = restore_fail(&j->restore, -XEN_EINVAL, "the disk %s",
					   j->dev ? "ends before it does" : "has gone");
	}
	if (err)
		end(j, err);
	else if (b->full)
		host_work_soon(&j->work);
}

/* ---- the beginning ---------------------------------------------------------------------------- */

static int allocate(struct job *j, const struct domain_config *config)
{
	struct restore *r = &j->restore;

	for (unsigned i = 0; i < ARRAY_SIZE(j->buffers); i++)
		j->buffers[i].bytes = host_pages_alloc(READ_SEGMENTS);
	r->config = host_alloc(sizeof(*r->config));
	if (!r->config || !j->buffers[0].bytes || !j->buffers[1].bytes)
		return -XEN_ENOMEM;
	r->has_config = config != NULL;
	if (config)
		*r->config = *config;
	r->begin = begin;
	r->ctx = j;
	r->built.domid = DOMID_INVALID;
	return restore_open(r);
}

/* Nobody is told. The requests under way still end, some time later. */
static void stop(void)
{
	if (!job)
		return;
	job->done = NULL;
	(void)restore_fail(&job->restore, -XEN_ESRCH, "nobody wants it any more");
	end(job, -XEN_ESRCH);
}

int control_restore(const char *disk, const struct domain_config *config, control_done_fn *done,
		    void *ctx)
{
	struct block_device *dev;
	struct job *j;
	int err;

	if (job)
		return control_fail(-XEN_EBUSY, "a domain is being restored already");
	dev = control_find_disk(disk);
	if (!dev)
		return control_fail(-XEN_ENOENT, "no disk '%s'", disk);
	j = host_alloc(sizeof(*j));
	if (!j)
		return control_fail(-XEN_ENOMEM, "no memory to restore a domain");
	j->dev = dev;
	j->done = done;
	j->ctx = ctx;
	j->work = (struct host_work){.fn = on_work, .ctx = j};
	err = allocate(j, config);
	if (err) {
		restore_close(&j->restore);
		free_job(j);
		return control_fail(err, "no memory to restore a domain");
	}
	job = j;
	j->watch = (struct host_block_watch){.fn = on_device, .ctx = j};
	host_block_watch(&j->watch);
	control_at_stop(stop);
	read_into(j, &j->buffers[0]);
	read_into(j, &j->buffers[1]);
	return 0;
}
