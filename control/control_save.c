/* control_save.c: a domain's way to a disk: asked to suspend, written, ended or let go on.
 *
 *	control_save --> ASKED --VIRQ_DOM_EXC, SHUTDOWN_suspend--> WRITING --the disk has all--> SEALING --> done
 *	                   | time is over, or it ends otherwise       | an error, or destroyed      |
 *	                   '----------------> done(err) <-------------+-----------------------------'
 *
 * Nothing waits: the guest's answer comes by the VIRQ, and the writing is pieces of the worker's work, as many as the
 * disk has room for, so that all that is served goes on between. One at a time. A domain that had suspended
 * goes on after an error, as it does after a checkpoint: its call returns 1 (<xen/sched.h>).
 * Worker context; callers: control.h, and control.c, which tells of ends. Calls save_stream.h, host_block.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_private.h"
#include "save_stream.h"

/* Pieces in one turn of the worker, 128 KiB each. */
#define TURN_PIECES      4u
#define PAGE_KIB         (PAGE_SIZE / 1024)
#define TELL_EVERY_PAGES ((256u << 20) / PAGE_SIZE)

enum phase { ASKED, WRITING, SEALING };

struct saving {
	struct domain_record *r; /* NULL: it has ended under our hands */
	struct block_device *dev;
	char name[CONFIG_NAME_MAX]; /* r's, which may go before us */
	enum phase phase;
	bool keep, opened;
	int err;
	uint64_t asked_ns, told;
	control_done_fn *done;
	void *ctx;
	struct host_work step, limit;
	struct save_stream stream;
	struct domain_config config; /* as the domain is, which may be not how it began */
};

static struct saving *saving; /* NULL: none */

/* ---- going on ------------------------------------------------------------------------------- */

/* What its last call returns: 1, it is still where it was. */
static int set_cancelled(domid_t domid, struct vcpu_guest_context *context)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpucontext, .domain = domid};
	int err;

	set_xen_guest_handle(op.u.vcpucontext.ctxt, context);
	err = host_domctl(&op);
	if (err)
		return err;
	context->user_regs.rax = 1;
	op = (struct xen_domctl){.cmd = XEN_DOMCTL_setvcpucontext, .domain = domid};
	set_xen_guest_handle(op.u.vcpucontext.ctxt, context);
	return host_domctl(&op);
}

static int resume(struct domain_record *r)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_resumedomain, .domain = r->pub.domid};
	struct vcpu_guest_context *context = host_alloc(sizeof(*context));
	int err = context ? set_cancelled(r->pub.domid, context) : -XEN_ENOMEM;

	host_free(context, sizeof(*context));
	if (!err)
		err = host_domctl(&op);
	if (err)
		return err;
	r->pub.state = CONTROL_RUNNING;
	host_log(HOST_LOG_INFO, "%s: goes on", r->pub.config->name);
	return 0;
}

/* One that stands still for ever is of no use to anybody: its file says what becomes of a crash. */
static void resume_or_end(struct domain_record *r)
{
	int err = resume(r);

	if (!err)
		return;
	(void)control_fail(err, "%s: suspended, and cannot go on: %s", r->pub.config->name,
			   error_name(err));
	control_crashed(r);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void free_saving(void)
{
	if (saving->opened)
		save_disk_close(&saving->stream.disk);
	save_guest_drop(&saving->stream.guest);
	if (saving->stream.bounce)
		host_pages_free(saving->stream.bounce, 1);
	host_work_cancel(&saving->step);
	host_work_cancel(&saving->limit);
	host_free(saving, sizeof(*saving));
	saving = NULL;
}

/* The record's end comes before done is told: whoever waits for the name then has not long to wait. */
static void settle_domain(struct domain_record *r)
{
	if (!saving->err && !saving->keep)
		control_end_saved(r);
	else if (r->pub.state == CONTROL_SAVING)
		resume_or_end(r);
}

static void tell_done(void)
{
	host_log(HOST_LOG_INFO, "%s: %s to %s: %llu KiB of memory in %llu ms", saving->name,
		 saving->keep ? "copied" : "saved", saving->dev->name,
		 (unsigned long long)saving->stream.pages_written * PAGE_KIB,
		 (unsigned long long)(host_time_ns() - saving->asked_ns) / 1000000u);
}

static void end(void)
{
	struct domain_record *r = saving->r;
	control_done_fn *done = saving->done;
	void *ctx = saving->ctx;
	int err = saving->err;
	char name[CONFIG_NAME_MAX];

	(void)str_copy(name, sizeof(name), saving->name);
	if (!err)
		tell_done();
	saving->r = NULL;
	if (r)
		settle_domain(r);
	free_saving();
	done(ctx, err, name);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void moved(void *ctx)
{
	(void)ctx;
	host_work_soon(&saving->step);
}

/* The disk's first page is cleared from here on. */
static int open(void)
{
	struct save_stream *s = &saving->stream;
	int err;

	s->bounce = host_pages_alloc(1);
	if (!s->bounce)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", saving->name);
	err = save_guest_read(&s->guest);
	if (!err &&
	    s->guest.present * PAGE_SIZE + SAVE_STREAM_SLACK > saving->dev->sectors * SECTOR_SIZE)
		err = control_fail(-XEN_ENOSPC, "%s: %s is too small for %llu KiB of memory",
				   saving->name, saving->dev->name,
				   (unsigned long long)s->guest.present * PAGE_KIB);
	if (err)
		return err;
	err = save_disk_open(&s->disk, saving->dev, moved, NULL);
	if (err)
		return control_fail(err, "%s: cannot be written to %s: %s", saving->name,
				    saving->dev->name, error_name(err));
	saving->opened = true;
	return 0;
}

static void tell_progress(void)
{
	const struct save_stream *s = &saving->stream;

	if (s->pages_written - saving->told < TELL_EVERY_PAGES)
		return;
	saving->told = s->pages_written;
	host_log(HOST_LOG_INFO, "%s: %llu of %llu KiB are written", saving->name,
		 (unsigned long long)s->pages_written * PAGE_KIB,
		 (unsigned long long)s->guest.present * PAGE_KIB);
}

/* As much as there is room for, but not more than a turn's worth. */
static int write_some(void)
{
	struct save_stream *s = &saving->stream;
	bool full = false;
	int err = 0;

	for (unsigned i = 0; !err && !full && i < TURN_PIECES && s->stage != SAVE_END; i++) {
		full = save_disk_room(&s->disk) < SAVE_PIECE_BYTES;
		if (!full)
			err = save_stream_piece(s, &saving->config);
	}
	tell_progress();
	if (!err && s->stage == SAVE_END) {
		saving->phase = SEALING;
		save_disk_finish(&s->disk);
	}
	if (!err && !full) /* else moved() comes when there is room */
		host_work_soon(&saving->step);
	return err;
}

/* A fault of the disk's is told once, here. */
static void take_disk_error(void)
{
	int err = saving->opened ? saving->stream.disk.err : 0;

	if (err && !saving->err)
		saving->err = control_fail(err, "%s: cannot be written to the disk: %s",
					   saving->name, error_name(err));
}

/* One turn. After an error nothing more is begun, and what the disk has in hand is waited for: it is our memory. */
static void step(void *ctx)
{
	(void)ctx;
	take_disk_error();
	if (!saving->err && saving->phase == WRITING)
		saving->err = saving->opened ? write_some() : open();
	take_disk_error();
	if (saving->err) {
		if (!saving->opened || save_disk_idle(&saving->stream.disk))
			end();
		return;
	}
	if (saving->phase == SEALING && saving->stream.disk.step == SAVE_DISK_DONE)
		end();
}

/* ---- the guest's answer --------------------------------------------------------------------- */

bool control_save_suspended(struct domain_record *r)
{
	if (!r->suspend_asked)
		return false;
	r->suspend_asked = false;
	r->pub.state = CONTROL_SAVING;
	if (!saving || saving->r != r) { /* too late: nobody waits for it any more */
		resume_or_end(r);
		return true;
	}
	host_work_cancel(&saving->limit);
	saving->phase = WRITING;
	host_log(HOST_LOG_INFO, "%s: suspended after %llu ms", saving->name,
		 (unsigned long long)(host_time_ns() - saving->asked_ns) / 1000000u);
	host_work_soon(&saving->step);
	return true;
}

void control_save_forget(const struct domain_record *r)
{
	if (!saving || saving->r != r)
		return;
	saving->r = NULL;
	if (!saving->err)
		saving->err =
		    control_fail(-XEN_ESRCH, "%s: it has ended and is not saved", saving->name);
	host_work_soon(&saving->step);
}

static void tell_nobody(void *ctx, int err, const char *name)
{
	(void)ctx, (void)err, (void)name;
}

/* What the disk has in hand is waited for here too. */
void control_save_stop(void)
{
	if (!saving)
		return;
	saving->done = tell_nobody;
	saving->r = NULL;
	saving->err = -XEN_ESRCH;
	if (!saving->opened || save_disk_idle(&saving->stream.disk))
		free_saving();
}

/* What the guest has said of a refusal (our own kernel does), or nothing. The request is taken back; it may have been
 * read in this moment, hence suspend_asked stays. */
static void give_up(void *ctx)
{
	char path[STORE_PATH_MAX], why[64] = "";
	domid_t domid = saving->r->pub.domid;

	(void)ctx;
	fmt_text(path, sizeof(path), "/local/domain/%u/data/suspend-refused", domid);
	if (host_store_read(HOST_TX_NONE, path, why, sizeof(why)) < 0)
		why[0] = 0;
	(void)control_store_ask(domid, "control/shutdown", "");
	saving->err =
	    control_fail(-XEN_ETIMEDOUT, "%s: does not suspend in %u s%s%s", saving->name,
			 CONTROL_SUSPEND_WAIT_MS / 1000, why[0] ? "; it says: " : "", why);
	end();
}

/* ---- the command ---------------------------------------------------------------------------- */

struct disk_search {
	const struct block_device *dev;
	const char *user;
};

static void look_for_disk(void *ctx, const struct control_domain *d)
{
	struct disk_search *s = ctx;

	for (unsigned i = 0; i < d->config->n_disks; i++) {
		const struct block_device *dev = control_find_disk(d->config->disks[i].target);

		if (dev && host_block_overlap(dev, s->dev))
			s->user = d->config->name;
	}
}

/* A disk that has partitions is somebody's, perhaps what the machine starts from: they can be named instead. */
static int check_disk(const char *name, const char *disk, struct block_device **out)
{
	struct disk_search search = {.dev = *out = control_find_disk(disk)};
	const struct block_device *part;

	if (!search.dev)
		return control_fail(-XEN_ENOENT, "%s: no such disk '%s'", name, disk);
	if (search.dev->readonly)
		return control_fail(-XEN_EROFS, "%s: '%s' cannot be written", name, disk);
	part = host_block_part_of(search.dev);
	if (part)
		return control_fail(-XEN_EBUSY, "%s: '%s' is divided: it has %s", name, disk,
				    part->name);
	control_for_each(look_for_disk, &search);
	if (search.user)
		return control_fail(-XEN_EBUSY, "%s: '%s' is a disk of %s", name, disk,
				    search.user);
	return 0;
}

/* As far as it can be known before the guest stands still. */
static int check_size(const struct domain_record *r, const struct block_device *dev)
{
	struct control_figures f;
	const char *name = r->pub.config->name;
	int err = control_look(r->pub.domid, &f);

	if (err)
		return control_fail(err, "%s: cannot be saved: %s", name, error_name(err));
	if (f.state[0] == 'p')
		return control_fail(-XEN_EBUSY, "%s: it is paused and cannot suspend", name);
	if (f.memory_kib * 1024 + SAVE_STREAM_SLACK <= dev->sectors * SECTOR_SIZE)
		return 0;
	return control_fail(-XEN_ENOSPC, "%s: %s is too small for %llu KiB of memory", name,
			    dev->name, (unsigned long long)f.memory_kib);
}

static int check_guest(const struct domain_record *r)
{
	char path[STORE_PATH_MAX], value[8];

	fmt_text(path, sizeof(path), "/local/domain/%u/control/feature-suspend", r->pub.domid);
	if (host_store_read(HOST_TX_NONE, path, value, sizeof(value)) == 1 && value[0] == '1')
		return 0;
	return control_fail(-XEN_EOPNOTSUPP, "%s: it has not said that it can be suspended",
			    r->pub.config->name);
}

/* What it was told to have of memory and vCPUs is in the store; a restored domain that were told something else
 * would change itself as its first thing. Nodes that are no such numbers change nothing. */
static void read_wishes(domid_t domid, struct domain_config *c)
{
	char path[STORE_PATH_MAX], value[16];
	unsigned online = 0;
	uint64_t kib;

	fmt_text(path, sizeof(path), "/local/domain/%u/memory/target", domid);
	if (host_store_read(HOST_TX_NONE, path, value, sizeof(value)) > 0 &&
	    str_to_u64(value, &kib) && kib / 1024 >= CONFIG_MIN_MEMORY_MIB &&
	    kib / 1024 <= c->max_memory_mib)
		c->memory_mib = (uint32_t)(kib / 1024);
	while (online < c->max_vcpus) { /* control_set_vcpus has the first ones online */
		fmt_text(path, sizeof(path), "/local/domain/%u/cpu/%u/availability", domid, online);
		if (host_store_read(HOST_TX_NONE, path, value, sizeof(value)) < 0 ||
		    strcmp(value, "online") != 0)
			break;
		online++;
	}
	if (online)
		c->vcpus = online;
}

static int begin(struct domain_record *r, struct block_device *dev, bool keep)
{
	saving = host_alloc(sizeof(*saving));
	if (!saving)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", r->pub.config->name);
	saving->r = r;
	saving->dev = dev;
	saving->keep = keep;
	(void)str_copy(saving->name, sizeof(saving->name), r->pub.config->name);
	saving->asked_ns = host_time_ns();
	saving->step = (struct host_work){.fn = step};
	saving->limit = (struct host_work){.fn = give_up};
	saving->config = *r->pub.config;
	read_wishes(r->pub.domid, &saving->config);
	saving->stream.guest.name = saving->name;
	saving->stream.guest.domid = r->pub.domid;
	return 0;
}

int control_save(const char *name, const char *disk, bool keep, control_done_fn *done, void *ctx)
{
	struct block_device *dev;
	struct domain_record *r;
	int err = control_find_running(name, &r);

	if (!err && saving)
		err = control_fail(-XEN_EBUSY, "%s: %s is being saved", name, saving->name);
	if (!err)
		err = control_pci_check_none(r);
	if (!err)
		err = check_disk(name, disk, &dev);
	if (!err)
		err = check_size(r, dev);
	if (!err)
		err = check_guest(r);
	if (!err)
		err = begin(r, dev, keep);
	if (err)
		return err;
	saving->done = done;
	saving->ctx = ctx;
	r->suspend_asked = true;
	err = control_store_ask(r->pub.domid, "control/shutdown", "suspend");
	if (err) {
		r->suspend_asked = false;
		free_saving();
		return control_fail(err, "%s: cannot be asked to suspend: %s", name,
				    error_name(err));
	}
	host_work_after(&saving->limit, CONTROL_SUSPEND_WAIT_MS * 1000000ull);
	return 0;
}
