/* control_pci_hot.c: PCI functions come to domains that run, and leave them.
 *
 *	attach	given --> nodes of it, backend's state Reconfiguring --> both halves: state-N Initialised, Connected: done
 *	                                                                 refused, silent: nodes and function taken back
 *	detach	state-N Closing, Reconfiguring --> both halves: Connected: nodes and function taken back, done
 *	                                           silent: state-N Initialised, Connected, as before: refused
 *	                                           by force: taken from the backend, as above
 *
 * A guest that was not waited for, by force or because it does not take what it is given, stays asked: the backend is Reconfiguring, the list is as it
 * should be, and whenever the guest looks it follows. Until then more may be attached and detached.
 * The first function of a domain brings the whole device with it, and the last takes it away: then the halves begin, or
 * close, as those of a disk do. Contract: amphi/control_pci.h. Caller: ctl_pci.c. Calls control_pci.c, control_store_pci.c.
 * Worker context.
 */
#include <amphi/control_disk.h>
#include <amphi/control_pci.h>
#include <amphi/error_name.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "control_device.h"
#include "control_pci.h"

enum pci_op_kind { PCI_ATTACH, PCI_DETACH, PCI_CLOSE };

/* There is one. */
static struct {
	bool busy, first, force;
	enum pci_op_kind kind;
	char name[CONFIG_NAME_MAX], what[PCI_NAME_MAX];
	domid_t domid; /* the name may be another's by the time we look */
	uint16_t bdf;
	uint64_t give_up_ns;
	struct host_watch *watch;
	struct host_work look;
	control_done_fn *done;
	void *ctx;
} op;

static struct domain_config *config_of(const struct domain_record *r)
{
	return (struct domain_config *)r->pub.config; /* control's own copy */
}

static unsigned index_of(const struct domain_record *r, uint16_t bdf)
{
	return (unsigned)(config_find_pci(r->pub.config, 0, bdf) - r->pub.config->pci);
}

/* Those behind it move up, here as in the store. */
static void forget(struct domain_record *r, unsigned i)
{
	struct domain_config *c = config_of(r);
	uint32_t below = (1u << i) - 1;

	c->n_pci--;
	memmove(&c->pci[i], &c->pci[i + 1], (c->n_pci - i) * sizeof(c->pci[0]));
	r->pci_given = (r->pci_given & below) | (r->pci_given >> 1 & ~below);
}

/* ---- the end of an operation --------------------------------------------------------------- */

static void end_op(int err)
{
	host_work_cancel(&op.look);
	if (op.watch)
		host_store_unwatch(op.watch);
	op.watch = NULL;
	op.busy = false;
	op.done(op.ctx, err, op.name);
}

/* The back half has released it. */
static void take_away(struct domain_record *r)
{
	unsigned i = index_of(r, op.bdf);
	struct store_device dev = pci_device();

	if (r->pub.config->n_pci == 1)
		control_store_remove_device(op.domid, &dev);
	else
		(void)control_store_pci_drop(r, i);
	control_pci_take(r, i);
	forget(r, i);
}

/* ---- what the nodes say -------------------------------------------------------------------- */

#define WAITING 1

static int judge_attach(const struct domain_record *r, unsigned back, unsigned state)
{
	(void)r;
	if (back == XenbusStateClosed || back == XenbusStateClosing || state == XenbusStateClosed)
		return -XEN_EIO;
	if (state != XenbusStateInitialised)
		return WAITING;
	return op.first || back == XenbusStateConnected ? 0 : WAITING;
}

/* Of the last one the halves still have to close. */
static int judge_detach(const struct domain_record *r, unsigned back, unsigned state)
{
	(void)state;
	if (back == XenbusStateReconfiguring || back == XenbusStateReconfigured)
		return WAITING;
	if (r->pub.config->n_pci > 1)
		return 0;
	op.kind = PCI_CLOSE;
	return WAITING;
}

static int judge_close(const struct domain_record *r, unsigned back, unsigned state)
{
	struct store_device dev = pci_device();

	(void)r, (void)back, (void)state;
	return control_store_close_device(op.domid, &dev) ? 0 : WAITING;
}

static int judge(const struct domain_record *r)
{
	static int (*const judges[])(const struct domain_record *r, unsigned back,
				     unsigned state) = {
	    [PCI_ATTACH] = judge_attach,
	    [PCI_DETACH] = judge_detach,
	    [PCI_CLOSE] = judge_close,
	};
	struct store_device dev = pci_device();
	int err = judges[op.kind](r, control_store_device_state(op.domid, &dev),
				  control_store_pci_state(r, index_of(r, op.bdf)));

	/* The step from detaching to closing is taken at once. */
	if (err == WAITING && op.kind == PCI_CLOSE)
		err = judge_close(r, 0, 0);
	return err;
}

/* A function that is taken under a guest reads as all ones there. One that has let go by its own half's word has done its part, and may stop at that. */
static int time_is_over(const struct domain_record *r)
{
	if (op.kind == PCI_ATTACH)
		return control_fail(-XEN_ETIMEDOUT, "%s: pci %s: the guest does not take it",
				    op.name, op.what);
	if (!op.force && op.kind == PCI_DETACH && control_store_pci_stay(r, index_of(r, op.bdf)))
		return control_fail(
		    -XEN_EBUSY,
		    "%s: pci %s: the guest does not let it go, and keeps it; see --force", op.name,
		    op.what);
	host_log(HOST_LOG_WARN, "%s: pci %s: the guest has not let it go: it is taken", op.name,
		 op.what);
	return 0;
}

static struct domain_record *record_of(void)
{
	const struct control_domain *d = control_find(op.name);

	if (!d || d->domid != op.domid || d->state != CONTROL_RUNNING ||
	    !config_find_pci(d->config, 0, op.bdf))
		return NULL;
	return container_of((struct control_domain *)d, struct domain_record, pub);
}

static void look(void *ctx)
{
	struct domain_record *r = record_of();
	uint64_t now = host_time_ns();
	int err;

	(void)ctx;
	if (!r) {
		end_op(control_fail(-XEN_ESRCH, "%s: has ended meanwhile", op.name));
		return;
	}
	err = judge(r);
	if (err == -XEN_EIO)
		(void)control_fail(err, "%s: pci %s: the back half refuses it", op.name, op.what);
	if (err == WAITING && now >= op.give_up_ns)
		err = time_is_over(r);
	if (err == WAITING) {
		host_work_after(&op.look, op.give_up_ns - now);
		return;
	}
	if ((op.kind == PCI_ATTACH) == (err != 0))
		take_away(r);
	end_op(err);
}

static void on_change(void *ctx, const char *path)
{
	(void)ctx, (void)path;
	host_work_cancel(&op.look); /* it may wait for the end of its time */
	host_work_soon(&op.look);
}

/* Only when it works is anything begun. */
static int begin(const struct domain_record *r, uint16_t bdf, enum pci_op_kind kind,
		 control_done_fn *done, void *ctx)
{
	char path[STORE_PATH_MAX];
	int err;

	op.kind = kind;
	op.domid = r->pub.domid;
	op.bdf = bdf;
	op.look = (struct host_work){.fn = look};
	op.done = done;
	op.ctx = ctx;
	op.give_up_ns = host_time_ns() +
			(op.force ? CONTROL_FORCE_WAIT_MS : CONTROL_DEVICE_WAIT_MS) * 1000000ull;
	(void)str_copy(op.name, sizeof(op.name), r->pub.config->name);
	control_pci_name(bdf, op.what);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/pci/%u/0", host_own_domid(),
		 op.domid);
	err = host_store_watch(path, on_change, NULL, &op.watch);
	if (err) {
		op.watch = NULL;
		host_work_cancel(&op.look);
		return control_fail(err, "%s: pci %s: %s", op.name, op.what, error_name(err));
	}
	op.busy = true;
	host_work_soon(&op.look);
	return 0;
}

/* ---- commands ------------------------------------------------------------------------------ */

static int find_idle(const char *name, struct domain_record **out)
{
	int err = control_find_running(name, out);

	if (!err && op.busy)
		err = control_fail(-XEN_EBUSY, "%s: pci %s of %s is on its way", name, op.what,
				   op.name);
	return err;
}

/* Both halves are there, and one may be behind. */
static bool is_connected(const struct domain_record *r)
{
	struct store_device dev = pci_device();
	unsigned state = control_store_device_state(r->pub.domid, &dev);

	return state == XenbusStateConnected || state == XenbusStateReconfiguring ||
	       state == XenbusStateReconfigured;
}

int control_pci_attach(const char *name, const char *spec, control_done_fn *done, void *ctx)
{
	struct domain_record *r;
	struct domain_config *c;
	unsigned i;
	int err = find_idle(name, &r);

	if (err)
		return err;
	if (r->pub.config->n_pci && !is_connected(r))
		return control_fail(-XEN_EBUSY, "%s: does not use the functions it has yet", name);
	err = device_read_spec(r, spec, config_add_pci);
	if (err)
		return err;
	c = config_of(r);
	config_pci_finish(c);
	i = c->n_pci - 1;
	op.first = i == 0;
	op.force = false;
	err = control_pci_give(r, i);
	if (!err)
		err = begin(r, c->pci[i].bdf, PCI_ATTACH, done, ctx);
	if (!err)
		err = op.first ? control_store_add_pci(r) : control_store_pci_join(r, i);
	if (err && op.busy) { /* nobody has been told of it */
		host_work_cancel(&op.look);
		host_store_unwatch(op.watch);
		op.busy = false;
	}
	if (err) {
		control_pci_take(r, i);
		forget(r, i);
	}
	return err;
}

static int read_bdf(const char *text, uint16_t *out)
{
	uint16_t segment;

	if (config_pci_address(text, &segment, out) && !segment)
		return 0;
	return control_fail(-XEN_EINVAL, "'%s' is no function like 03:00.0", text);
}

int control_pci_detach(const char *name, const char *text, bool force, control_done_fn *done,
		       void *ctx)
{
	struct domain_record *r;
	uint16_t bdf;
	bool by_list;
	int err = find_idle(name, &r);

	if (!err)
		err = read_bdf(text, &bdf);
	if (err)
		return err;
	if (!config_find_pci(r->pub.config, 0, bdf))
		return control_fail(-XEN_ENOENT, "%s: has no function %s", name, text);
	by_list = is_connected(r) || r->pub.config->n_pci > 1;
	if (by_list && !is_connected(r) && !force)
		return control_fail(-XEN_EBUSY,
				    "%s: does not use the functions it has yet; see --force", name);
	op.force = force;
	err = begin(r, bdf, by_list ? PCI_DETACH : PCI_CLOSE, done, ctx);
	if (!err && by_list)
		err = control_store_pci_leave(r, index_of(r, bdf));
	return err;
}

/* ---- functions of nobody ------------------------------------------------------------------- */

static int find_state(const char *text, enum host_pci_state wanted, const char *why,
		      struct host_pci_function *out)
{
	uint16_t bdf;
	int err = read_bdf(text, &bdf);

	if (err)
		return err;
	if (!control_pci_find(bdf, out))
		return control_fail(-XEN_ENODEV, "pci %s: is not there", text);
	if (out->bridge)
		return control_fail(-XEN_EINVAL, "pci %s: is a bridge", text);
	if (out->state != wanted)
		return control_fail(-XEN_EBUSY, "pci %s: %s", text, why);
	return 0;
}

int control_pci_free(const char *bdf)
{
	struct host_pci_function f;
	int err = find_state(bdf, HOST_PCI_OURS, "is free or given away already", &f);

	if (!err)
		err = control_pci_check_idle(f.bdf);
	if (!err)
		host_pci_let_go(f.bdf);
	return err;
}

int control_pci_keep(const char *bdf)
{
	struct host_pci_function f;
	int err = find_state(bdf, HOST_PCI_FREE, "is not free", &f);

	if (!err)
		err = control_pci_group_keep(f.bdf);
	if (!err)
		host_pci_take(f.bdf);
	return err;
}

int control_pci_virtual(const char *bdf, unsigned count)
{
	struct host_pci_function f;
	int err = find_state(bdf, HOST_PCI_OURS, "is no function of a driver here", &f);

	if (!err)
		err = control_pci_check_idle(f.bdf); /* its driver begins anew */
	if (err)
		return err;
	err = host_pci_virtual(f.bdf, count);
	return err < 0 ? control_fail(err, "pci %s: no virtual functions: %s", bdf,
				      err == -XEN_EBUSY ? "it has some already" : error_name(err))
		       : err;
}
