/* control_block.c: disks come to domains that run, and leave them.
 *
 *    attach   nodes written --> the backend is in InitWait or further: done
 *                               it is Closed or silent: nodes taken back, refused
 *    detach   the backend's state says Closing, which the guest reads --> the guest closes, the backend follows:
 *             nodes taken back, done
 *                               it does not: Connected again, refused
 *    force    the same word to the guest, but it has CONTROL_FORCE_WAIT_MS; then the frontend's half is closed for it,
 *             and the backend told to go offline --> it lets go: as above
 *
 * One operation at a time of a disk; each watches its backend's nodes and has its time. Whatever ends the domain ends
 * them. Contract: amphi/control_disk.h. Calls control_store_disk.c, config_disk.c. Worker context.
 */
#include <amphi/control_disk.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "config_parse.h"
#include "control_private.h"

enum op_kind { OP_ATTACH, OP_DETACH, OP_FORCE };

struct disk_op {
	struct disk_op *next;
	enum op_kind kind;
	char name[CONFIG_NAME_MAX];
	domid_t domid; /* the name may be another's by the time we look */
	uint32_t devid;
	uint64_t give_up_ns, force_ns; /* force_ns: of OP_FORCE, when the guest has had its time */
	struct host_watch *watch;
	struct host_work look;
	control_done_fn *done;
	void *ctx;
};

static struct disk_op *ops;

/* ---- finding ------------------------------------------------------------------------------ */

static struct config_disk *disk_at(const struct domain_record *r, uint32_t devid)
{
	struct domain_config *c = (struct domain_config *)r->pub.config; /* control's own copy */

	for (unsigned i = 0; i < c->n_disks; i++)
		if (c->disks[i].devid == devid)
			return &c->disks[i];
	return NULL;
}

static int find_disk(const struct domain_record *r, const char *word, struct config_disk **out)
{
	uint32_t devid = 0;
	uint64_t number;

	if (str_to_u64(word, &number) && number <= UINT32_MAX)
		devid = (uint32_t)number;
	else
		(void)config_vdev_number(word, &devid);
	*out = disk_at(r, devid);
	return *out ? 0
		    : control_fail(-XEN_ENOENT, "%s: has no disk '%s'", r->pub.config->name, word);
}

const struct config_disk *control_disk_find(const char *name, const char *word)
{
	struct domain_record *r;
	struct config_disk *disk;

	return control_record(name, &r) || find_disk(r, word, &disk) ? NULL : disk;
}

/* A running domain's disk that nothing is being done with. */
static int find_idle(const char *name, const char *word, struct domain_record **out_r,
		     struct config_disk **out)
{
	int err = control_find_running(name, out_r);

	if (!err)
		err = find_disk(*out_r, word, out);
	for (struct disk_op *op = ops; op && !err; op = op->next)
		if (op->domid == (*out_r)->pub.domid && op->devid == (*out)->devid)
			err =
			    control_fail(-XEN_EBUSY, "%s: disk %s is being %s", name, (*out)->vdev,
					 op->kind == OP_ATTACH ? "attached" : "detached");
	return err;
}

/* A disk of another domain is that one's to find; what it calls it is passed on. */
int control_resolve_disk(const struct domain_record *r, struct config_disk *disk,
			 char params[CONFIG_PATH_MAX])
{
	const char *name = r->pub.config->name;
	const struct control_domain *server;
	int err = 0;

	disk->backend_id = host_own_domid();
	params[0] = 0;
	if (disk->backend[0]) {
		server = control_find(disk->backend);
		if (!server || server->state != CONTROL_RUNNING)
			return control_fail(-XEN_ENOENT,
					    "%s: disk %s: its backend '%s' does not run", name,
					    disk->vdev, disk->backend);
		disk->backend_id = server->domid;
		(void)str_copy(params, CONFIG_PATH_MAX, disk->target);
	} else if (disk->target[0]) {
		err = control_disk_params(disk->target, params, CONFIG_PATH_MAX);
	}
	return err ? control_fail(err, "%s: disk %s '%s': %s", name, disk->vdev, disk->target,
				  error_name(err))
		   : 0;
}

/* ---- an operation ------------------------------------------------------------------------- */

/* The last disk takes the place of the one that goes: nothing depends on their order. */
static void forget_disk(const struct domain_record *r, struct config_disk *disk)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;

	*disk = c->disks[--c->n_disks];
}

static void take_back(const struct domain_record *r, struct config_disk *disk)
{
	control_store_remove_disk(r->pub.domid, disk);
	forget_disk(r, disk);
}

static void end_op(struct disk_op *op, int err)
{
	struct disk_op **link = &ops;

	while (*link != op)
		link = &(*link)->next;
	*link = op->next;
	host_work_cancel(&op->look);
	if (op->watch)
		host_store_unwatch(op->watch);
	op->done(op->ctx, err, op->name);
	host_free(op, sizeof(*op));
}

/* What the state of the backend says to an operation: WAITING, 0: done, or the error. */
#define WAITING 1

static int judge_attach(unsigned state)
{
	if (state == XenbusStateClosed || state == XenbusStateClosing)
		return -XEN_EIO;
	return state >= XenbusStateInitWait ? 0 : WAITING;
}

/* One that is not connected has nothing to let go of. */
static int judge_detach(unsigned state)
{
	return state <= XenbusStateInitWait || state == XenbusStateClosed ? 0 : WAITING;
}

static int judge(const struct disk_op *op, const struct config_disk *disk)
{
	if (op->kind == OP_FORCE && host_time_ns() >= op->force_ns)
		return control_store_close_disk(op->domid, disk) ? 0 : WAITING;
	return (op->kind == OP_ATTACH ? judge_attach
				      : judge_detach)(control_store_disk_state(op->domid, disk));
}

/* A guest that has said Closing waits for those who use its disk, and is believed. One that has said nothing is
 * told that the disk stays: what it reads is that its backend is connected, which it never ceased to be. */
static void give_up_detach(const struct disk_op *op, const struct config_disk *disk)
{
	if (control_store_front_state(op->domid, disk) == XenbusStateConnected)
		control_store_set_disk_state(op->domid, disk, XenbusStateConnected);
}

static int time_is_over(const struct disk_op *op, const struct config_disk *disk)
{
	if (op->kind == OP_ATTACH)
		return control_fail(-XEN_ETIMEDOUT, "%s: disk %s: its backend does not answer",
				    op->name, disk->vdev);
	if (op->kind == OP_DETACH)
		give_up_detach(op, disk);
	return control_fail(-XEN_EBUSY, "%s: disk %s: %s", op->name, disk->vdev,
			    op->kind == OP_FORCE ? "its backend does not let it go"
						 : "the guest does not let it go; see --force");
}

static struct domain_record *record_of(const struct disk_op *op)
{
	const struct control_domain *d = control_find(op->name);

	if (!d || d->domid != op->domid || d->state != CONTROL_RUNNING)
		return NULL;
	return container_of((struct control_domain *)d, struct domain_record, pub);
}

static void look(void *ctx)
{
	struct disk_op *op = ctx;
	struct domain_record *r = record_of(op);
	struct config_disk *disk = r ? disk_at(r, op->devid) : NULL;
	uint64_t now = host_time_ns();
	int err;

	if (!disk) {
		end_op(op, control_fail(-XEN_ESRCH, "%s: has ended meanwhile", op->name));
		return;
	}
	err = judge(op, disk);
	if (err == -XEN_EIO)
		(void)control_fail(err, "%s: disk %s: its backend refuses it", op->name,
				   disk->vdev);
	if (err == WAITING && now >= op->give_up_ns)
		err = time_is_over(op, disk);
	if (err == WAITING) {
		host_work_after(&op->look,
				MAX(now, now < op->force_ns ? op->force_ns : op->give_up_ns) - now);
		return;
	}
	/* An attached disk stays when it is there, one that is detached when it is not let go. */
	if ((op->kind == OP_ATTACH) == (err != 0))
		take_back(r, disk);
	end_op(op, err);
}

static void on_change(void *ctx, const char *path)
{
	struct disk_op *op = ctx;

	(void)path;
	host_work_cancel(&op->look); /* it may wait for the end of its time */
	host_work_soon(&op->look);
}

static int begin_op(const struct domain_record *r, const struct config_disk *disk,
		    enum op_kind kind, control_done_fn *done, void *ctx)
{
	struct disk_op *op = host_alloc(sizeof(*op));
	char path[STORE_PATH_MAX];
	int err;

	if (!op)
		return -XEN_ENOMEM;
	*op = (struct disk_op){.kind = kind,
			       .domid = r->pub.domid,
			       .devid = disk->devid,
			       .give_up_ns = host_time_ns() + CONTROL_DISK_WAIT_MS * 1000000ull,
			       .look = {.fn = look, .ctx = op},
			       .done = done,
			       .ctx = ctx};
	if (kind == OP_FORCE)
		op->force_ns = host_time_ns() + CONTROL_FORCE_WAIT_MS * 1000000ull;
	(void)str_copy(op->name, sizeof(op->name), r->pub.config->name);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/vbd/%u/%u", disk->backend_id,
		 op->domid, op->devid);
	err = host_store_watch(path, on_change, op, &op->watch);
	if (err) {
		host_work_cancel(&op->look);
		host_free(op, sizeof(*op));
		return err;
	}
	op->next = ops;
	ops = op;
	host_work_soon(&op->look);
	return 0;
}

/* ---- attach ------------------------------------------------------------------------------- */

/* "disk:1:5: error: WHAT": of one spec only WHAT says something. */
static void say(void *ctx, bool is_error, const char *text)
{
	const char *what = strchr(text, ' ');

	if (is_error)
		(void)control_fail(-XEN_EINVAL, "%s: %s", (const char *)ctx,
				   what ? strchr(what + 1, ' ') + 1 : text);
}

/* Behind the disks that the domain has, which makes it one of them when it is good. */
static int read_spec(const struct domain_record *r, const char *spec, struct config_disk **out)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	const struct config_listener listener = {say, c->name};
	struct token token = {.kind = TOKEN_STRING, .line = 1, .at = spec, .len = strlen(spec)};
	struct config_parser *p = host_alloc(sizeof(*p)); /* too large for a stack */
	unsigned before = c->n_disks;

	if (!p)
		return -XEN_ENOMEM;
	p->file_name = "disk";
	p->listener = &listener;
	p->out = c;
	config_add_disk(p, &token);
	host_free(p, sizeof(*p));
	*out = &c->disks[before];
	return c->n_disks == before ? -XEN_EINVAL : 0;
}

static int add_disk(const struct domain_record *r, struct config_disk *disk)
{
	char *params = host_alloc(CONFIG_PATH_MAX);
	int err;

	if (!params)
		return -XEN_ENOMEM;
	err = control_resolve_disk(r, disk, params);
	if (!err) {
		err = control_store_add_disk(r, disk, params);
		if (err)
			(void)control_fail(err, "%s: disk %s: %s", r->pub.config->name, disk->vdev,
					   error_name(err));
	}
	host_free(params, CONFIG_PATH_MAX);
	return err;
}

int control_disk_attach(const char *name, const char *spec, control_done_fn *done, void *ctx)
{
	struct domain_record *r;
	struct config_disk *disk;
	int err = control_find_running(name, &r);

	if (!err)
		err = read_spec(r, spec, &disk);
	if (err)
		return err;
	err = add_disk(r, disk);
	if (err) {
		forget_disk(r, disk);
		return err;
	}
	err = begin_op(r, disk, OP_ATTACH, done, ctx);
	if (err)
		take_back(r, disk);
	return err;
}

/* ---- detach ------------------------------------------------------------------------------- */

/* The word to the guest is the backend's state. Not `online`: a backend that is offline gives a guest a few seconds
 * and then goes without it, and a disk in use would be pulled out. By force too it comes first: a Linux whose disk vanishes without it waits for ever
 * for what was on its way, and for every other device with it. */
int control_disk_detach(const char *name, const char *word, bool force, control_done_fn *done,
			void *ctx)
{
	struct domain_record *r;
	struct config_disk *disk;
	int err = find_idle(name, word, &r, &disk);

	if (!err)
		err = begin_op(r, disk, force ? OP_FORCE : OP_DETACH, done, ctx);
	if (!err && control_store_disk_state(r->pub.domid, disk) == XenbusStateConnected)
		control_store_set_disk_state(r->pub.domid, disk, XenbusStateClosing);
	return err;
}

/* ---- medium and limit ---------------------------------------------------------------------- */

static int insert(const struct domain_record *r, struct config_disk *disk, const char *target,
		  char params[CONFIG_PATH_MAX])
{
	struct config_disk next = *disk;
	int err;

	if (!str_copy(next.target, sizeof(next.target), target))
		return control_fail(-XEN_E2BIG, "%s: disk %s: the name is too long",
				    r->pub.config->name, disk->vdev);
	err = control_resolve_disk(r, &next, params);
	if (!err)
		err = control_store_change_medium(r, disk, params);
	if (!err)
		*disk = next;
	return err;
}

int control_disk_insert(const char *name, const char *word, const char *target)
{
	struct domain_record *r;
	struct config_disk *disk;
	char *params;
	int err = find_idle(name, word, &r, &disk);

	if (err)
		return err;
	if (!disk->cdrom)
		return control_fail(-XEN_EINVAL, "%s: disk %s is no CD-ROM", name, disk->vdev);
	params = host_alloc(CONFIG_PATH_MAX);
	if (!params)
		return -XEN_ENOMEM;
	err = insert(r, disk, target, params);
	host_free(params, CONFIG_PATH_MAX);
	return err;
}

int control_disk_limit(const char *name, const char *word, const struct config_limit *limit)
{
	struct domain_record *r;
	struct config_disk *disk, next;
	int err = find_idle(name, word, &r, &disk);

	if (err)
		return err;
	next = *disk;
	next.limit = *limit;
	err = control_store_change_limit(r, &next);
	if (!err)
		*disk = next;
	return err;
}
