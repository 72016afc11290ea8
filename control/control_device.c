/* control_device.c: devices come to domains that run, and leave them.
 *
 *    attach   nodes written --> the backend is in InitWait or further: done
 *                               it is Closed or silent: nodes taken back, refused
 *    detach   the backend's state says Closing, which the guest reads --> the guest closes, the backend follows:
 *             nodes taken back, done
 *                               it does not: Connected again, refused
 *    force    the same word to the guest, but it has CONTROL_FORCE_WAIT_MS; then the frontend's half is closed for it,
 *             and the backend told to go offline --> it lets go: as above
 *
 * One operation at a time of a device; each watches its backend's nodes and has its time. Whatever ends the domain ends
 * them. Contract: control_device.h. Callers: control_block.c, control_net.c. Calls control_store_device.c. Worker context.
 */
#include <amphi/control_disk.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "control_device.h"

struct device_op {
	struct device_op *next;
	enum device_op_kind kind;
	char name[CONFIG_NAME_MAX];
	char what[DEVICE_WHAT_MAX];
	domid_t domid; /* the name may be another's by the time we look */
	struct store_device dev;
	void (*forget)(const struct domain_record *r, uint32_t devid);
	uint64_t give_up_ns,
	    force_ns; /* force_ns: of a forced one, when the guest has had its time */
	struct host_watch *watch;
	struct host_work look;
	control_done_fn *done;
	void *ctx;
};

static struct device_op *ops;

int device_idle(const struct domain_record *r, const struct store_device *dev, const char *what)
{
	for (struct device_op *op = ops; op; op = op->next)
		if (op->domid == r->pub.domid && op->dev.devid == dev->devid &&
		    !strcmp(op->dev.kind, dev->kind))
			return control_fail(-XEN_EBUSY, "%s: %s is being %s", op->name, what,
					    op->kind == DEVICE_ATTACH ? "attached" : "detached");
	return 0;
}

/* A number of a domain that serves: it must run, or nobody would answer. */
int control_find_backend(const struct domain_record *r, const char *backend, const char *what,
			 uint16_t *out_id)
{
	const struct control_domain *server = backend[0] ? control_find(backend) : NULL;

	*out_id = host_own_domid();
	if (!backend[0])
		return 0;
	if (!server || server->state != CONTROL_RUNNING)
		return control_fail(-XEN_ENOENT, "%s: %s: its backend '%s' does not run",
				    r->pub.config->name, what, backend);
	*out_id = server->domid;
	return 0;
}

/* ---- an operation ------------------------------------------------------------------------- */

static bool is_there(const struct domain_record *r, const struct store_device *dev)
{
	struct store_device other;

	for (unsigned i = 0; control_device(r->pub.config, i, &other); i++)
		if (other.devid == dev->devid && !strcmp(other.kind, dev->kind))
			return true;
	return false;
}

static void take_back(const struct domain_record *r, const struct device_op *op)
{
	control_store_remove_device(op->domid, &op->dev);
	op->forget(r, op->dev.devid);
}

static void end_op(struct device_op *op, int err)
{
	struct device_op **link = &ops;

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

static int judge(const struct device_op *op)
{
	if (op->kind == DEVICE_FORCE && host_time_ns() >= op->force_ns)
		return control_store_close_device(op->domid, &op->dev) ? 0 : WAITING;
	return (op->kind == DEVICE_ATTACH ? judge_attach : judge_detach)(
	    control_store_device_state(op->domid, &op->dev));
}

/* A guest that has said Closing waits for those who use its disk, and is believed. One that has said nothing is
 * told that the disk stays: what it reads is that its backend is connected, which it never ceased to be. */
static void give_up_detach(const struct device_op *op)
{
	if (control_store_front_state(op->domid, &op->dev) == XenbusStateConnected)
		control_store_set_device_state(op->domid, &op->dev, XenbusStateConnected);
}

static int time_is_over(const struct device_op *op)
{
	if (op->kind == DEVICE_ATTACH)
		return control_fail(-XEN_ETIMEDOUT, "%s: %s: its backend does not answer", op->name,
				    op->what);
	if (op->kind == DEVICE_DETACH)
		give_up_detach(op);
	return control_fail(-XEN_EBUSY, "%s: %s: %s", op->name, op->what,
			    op->kind == DEVICE_FORCE ? "its backend does not let it go"
						     : "the guest does not let it go; see --force");
}

static struct domain_record *record_of(const struct device_op *op)
{
	const struct control_domain *d = control_find(op->name);

	if (!d || d->domid != op->domid || d->state != CONTROL_RUNNING)
		return NULL;
	return container_of((struct control_domain *)d, struct domain_record, pub);
}

static void look(void *ctx)
{
	struct device_op *op = ctx;
	struct domain_record *r = record_of(op);
	uint64_t now = host_time_ns();
	int err;

	if (!r || !is_there(r, &op->dev)) {
		end_op(op, control_fail(-XEN_ESRCH, "%s: has ended meanwhile", op->name));
		return;
	}
	err = judge(op);
	if (err == -XEN_EIO)
		(void)control_fail(err, "%s: %s: its backend refuses it", op->name, op->what);
	if (err == WAITING && now >= op->give_up_ns)
		err = time_is_over(op);
	if (err == WAITING) {
		host_work_after(&op->look,
				MAX(now, now < op->force_ns ? op->force_ns : op->give_up_ns) - now);
		return;
	}
	/* An attached device stays when it is there, one that is detached when it is not let go. */
	if ((op->kind == DEVICE_ATTACH) == (err != 0))
		take_back(r, op);
	end_op(op, err);
}

static void on_change(void *ctx, const char *path)
{
	struct device_op *op = ctx;

	(void)path;
	host_work_cancel(&op->look); /* it may wait for the end of its time */
	host_work_soon(&op->look);
}

static void begin_watch(struct device_op *op, int *err)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "/local/domain/%u/backend/%s/%u/%u", op->dev.backend_id,
		 op->dev.kind, op->domid, op->dev.devid);
	*err = host_store_watch(path, on_change, op, &op->watch);
}

int device_begin(const struct domain_record *r, const struct device_target *target,
		 enum device_op_kind kind, control_done_fn *done, void *ctx)
{
	struct device_op *op = host_alloc(sizeof(*op));
	uint64_t now = host_time_ns();
	int err;

	if (!op)
		return -XEN_ENOMEM;
	*op = (struct device_op){.kind = kind,
				 .domid = r->pub.domid,
				 .dev = target->dev,
				 .forget = target->forget,
				 .give_up_ns = now + CONTROL_DEVICE_WAIT_MS * 1000000ull,
				 .look = {.fn = look, .ctx = op},
				 .done = done,
				 .ctx = ctx};
	if (kind == DEVICE_FORCE)
		op->force_ns = now + CONTROL_FORCE_WAIT_MS * 1000000ull;
	(void)str_copy(op->name, sizeof(op->name), r->pub.config->name);
	(void)str_copy(op->what, sizeof(op->what), target->what);
	begin_watch(op, &err);
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

int device_detach(const struct domain_record *r, const struct device_target *target, bool force,
		  control_done_fn *done, void *ctx)
{
	int err = device_begin(r, target, force ? DEVICE_FORCE : DEVICE_DETACH, done, ctx);

	if (!err && control_store_device_state(r->pub.domid, &target->dev) == XenbusStateConnected)
		control_store_set_device_state(r->pub.domid, &target->dev, XenbusStateClosing);
	return err;
}

/* ---- a spec ------------------------------------------------------------------------------- */

/* "disk:1:5: error: WHAT": of one spec only WHAT says something. */
static void say(void *ctx, bool is_error, const char *text)
{
	const char *what = strchr(text, ' ');

	if (is_error)
		(void)control_fail(-XEN_EINVAL, "%s: %s", (const char *)ctx,
				   what ? strchr(what + 1, ' ') + 1 : text);
}

int device_read_spec(const struct domain_record *r, const char *spec,
		     void (*add)(struct config_parser *p, const struct token *spec))
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	const struct config_listener listener = {say, c->name};
	struct token token = {.kind = TOKEN_STRING, .line = 1, .at = spec, .len = strlen(spec)};
	struct config_parser *p = host_alloc(sizeof(*p)); /* too large for a stack */
	unsigned errors;

	if (!p)
		return -XEN_ENOMEM;
	p->file_name = "spec";
	p->listener = &listener;
	p->out = c;
	add(p, &token);
	errors = p->errors;
	host_free(p, sizeof(*p));
	return errors ? -XEN_EINVAL : 0;
}
