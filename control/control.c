/* control.c: domains from their creation to their end.
 *
 *                      died, on_...=preserve
 *     create --> RUNNING ------------------> PRESERVED <------- the old one, renamed
 *                  |  died, or destroy          | destroy              |
 *                  v                            v                      |
 *                ENDING <-----------------------'                      |
 *                  |  all backends have let go, or had CONTROL_BACKEND_WAIT_MS
 *                  |---- on_...=rename-restart ------------------------+---> create
 *                  v
 *                gone  ---- on_...=restart ---> create
 *
 * Deaths are told by VIRQ_DOM_EXC, which does not say of whom: every running domain is looked at.
 * A domain that ends is taken apart in the reverse order of its making. Not here: building
 * (domain_builder.c), the store's nodes (control_store.c), the list of domains (control_list.c), what is asked
 * of a domain that runs (control_ask.c). Worker context; callers in control.h.
 */
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_plan.h"
#include "control_private.h"
#include <amphi/error_name.h>

/* There is one control in a machine, as there is one service domain; hence no handle. */
static struct {
	const struct control_hooks *hooks;
	struct host_watch *watch; /* of all our backends */
	struct host_work look;    /* at domains that are ending */
	struct domain_record
	    *reserved; /* of a domain that is being restored: a name, and no more */
	void (*at_stop)(void);
	port_t virq;
} control;

/* ---- finding ------------------------------------------------------------------------------ */

/* A file of a disk's name as its domain file has it, or what the block layer finds by itself. */
struct block_device *control_find_disk(const char *disk)
{
	char params[CONFIG_PATH_MAX];

	if (control.hooks->disk(control.hooks->ctx, disk, params, sizeof(params)) == 0)
		return host_block_find(params);
	return host_block_find(disk);
}

/* ---- making --------------------------------------------------------------------------------- */

/* The bytes are views of the boot archive and stay as long as the service domain lives, also for a
 * restart. */
static int get_file(const struct domain_record *r, const char *what, const char *path,
		    const void **out_bytes, size_t *out_len)
{
	int err = control.hooks->file(control.hooks->ctx, path, out_bytes, out_len);

	return err ? control_fail(err, "%s: %s '%s': %s", r->pub.config->name, what, path,
				  error_name(err))
		   : 0;
}

int control_disk_params(const char *target, char *out_params, size_t cap)
{
	return control.hooks->disk(control.hooks->ctx, target, out_params, cap);
}

/* What the backends shall open, for every disk, and who they are; and whether PCI functions can be given. Before anything is built, since a disk that is
 * missing is the most likely mistake and the cheapest to find. */
static int find_devices(const struct domain_record *r, control_params *params)
{
	const struct domain_config *c = r->pub.config;

	for (unsigned i = 0; i < c->n_disks; i++) {
		int err = control_resolve_disk(r, (struct config_disk *)&c->disks[i], params[i]);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < c->n_vifs; i++) {
		int err = control_resolve_vif(r, (struct config_vif *)&c->vifs[i]);

		if (err)
			return err;
	}
	return control_pci_check_all(r);
}

/* Linux tells its devices machine addresses and knows no call to have them mapped: it would start, and wait for its disk. */
static void hint_passthrough(const struct domain_record *r)
{
	const struct domain_config *c = r->pub.config;

	if (c->n_pci && !c->passthrough && r->built.is_linux)
		host_log(
		    HOST_LOG_WARN,
		    "%s: Linux with pci wants passthrough=\"enabled\": its devices reach no memory",
		    c->name);
}

/* Everything the domain is, by the calls of the hypervisor; it is paused and nobody has heard of it
 * yet. */
static int build(struct domain_record *r)
{
	const struct domain_config *c = r->pub.config;
	struct domain_plan plan = control_plan(c);
	char why[BUILD_WHY_MAX];
	int err = get_file(r, "kernel", c->kernel, &plan.kernel, &plan.kernel_bytes);

	plan.cmdline = c->cmdline;
	if (!err && c->ramdisk[0])
		err = get_file(r, "ramdisk", c->ramdisk, &plan.ramdisk, &plan.ramdisk_bytes);
	if (err)
		return err;
	err = domain_build(&plan, &r->built, why);
	if (err)
		return control_fail(err, "%s", why);
	r->pub.domid = r->built.domid;
	r->pub.memory_kib = plan.memory_kib;
	hint_passthrough(r);
	return 0;
}

/* Console first: its last words are drained while its page is still mapped. */
static void detach(struct domain_record *r)
{
	const struct control_hooks *h = control.hooks;

	if (r->console)
		h->console_detach(h->ctx, r->pub.domid);
	if (r->introduced)
		h->release(h->ctx, r->pub.domid);
	r->console = r->introduced = false;
}

/* Ties a built domain to the store and the console. On an error some of it may be done, and the
 * caller takes all of it back. Nodes come before introduction, because the store answers the guest
 * from that moment; the domain runs only when all is there, or its first question would find
 * nothing. */
static int attach(struct domain_record *r, const control_params *params)
{
	const struct control_hooks *h = control.hooks;
	int err = control_store_add(r, params);

	if (!err)
		err = h->introduce(h->ctx, r->pub.domid, r->built.store_port);
	r->introduced = !err;
	if (!err)
		err = h->console_attach(h->ctx, r->pub.domid, r->pub.config->name,
					r->built.console_port);
	r->console = !err;
	if (!err)
		err = domain_unpause(r->pub.domid);
	return err ? control_fail(err, "%s: cannot be started: %s", r->pub.config->name,
				  error_name(err))
		   : 0;
}

/* Takes all of a domain back but the record. Each part may be missing. The domain is ended last:
 * the store and the consoles have pages of it mapped by grant, and as long as one is mapped the
 * hypervisor keeps the remains. Its functions go before its memory does, or they would reach another's. */
static void take_apart(struct domain_record *r)
{
	int err;

	control_store_remove(r);
	detach(r);
	control_pci_take_all(r);
	err = domain_destroy(r->pub.domid);
	r->pub.domid = DOMID_INVALID;
	if (err && err != -XEN_ESRCH)
		host_log(HOST_LOG_ERROR, "%s: cannot be ended: %s", r->pub.config->name,
			 error_name(err));
}

/* Gives a domain the world around it, and lets it run; make: what it is itself. On an error nothing of it
 * is left but the record. */
static int start_by(struct domain_record *r, int (*make)(struct domain_record *r))
{
	size_t params_bytes = sizeof(control_params) * MAX(r->pub.config->n_disks, 1u);
	control_params *params = host_alloc(params_bytes);
	int err = params ? find_devices(r, params) : -XEN_ENOMEM;

	if (!err)
		err = make(r);
	if (!err)
		err = control_pci_give_all(r);
	if (!err)
		err = attach(r, params);
	if (err && r->pub.domid != DOMID_INVALID)
		take_apart(r);
	host_free(params, params_bytes);
	if (err)
		return err;
	r->pub.state = CONTROL_RUNNING;
	control.hooks->created(control.hooks->ctx, &r->pub);
	return 0;
}

/* The domain of a record that has none. */
static int start(struct domain_record *r)
{
	return start_by(r, build);
}

static void free_record(struct domain_record *r)
{
	host_free((void *)r->pub.config, sizeof(*r->pub.config));
	host_free(r, sizeof(*r));
}

/* config is copied: the caller's lives as long as its parser, ours until the last restart. */
static struct domain_record *new_record(const struct domain_config *config)
{
	struct domain_record *r = host_alloc(sizeof(*r));
	struct domain_config *copy = host_alloc(sizeof(*copy));

	if (!r || !copy) {
		host_free(copy, sizeof(*copy));
		host_free(r, sizeof(*r));
		return NULL;
	}
	*copy = *config;
	r->pub.config = copy;
	r->pub.domid = DOMID_INVALID;
	return r;
}

static bool is_taken(const char *name)
{
	return control_find_record(name) ||
	       (control.reserved && !strcmp(control.reserved->pub.config->name, name));
}

/* The record joins the list only when its domain runs; a failure leaves no trace to be found by
 * name. */
int control_create(const struct domain_config *config, domid_t *out_domid)
{
	struct domain_record *r;
	int err;

	if (is_taken(config->name))
		return control_fail(-XEN_EEXIST, "%s: a domain of this name is there already",
				    config->name);
	r = new_record(config);
	if (!r)
		return -XEN_ENOMEM;
	err = start(r);
	if (err) {
		free_record(r);
		return err;
	}
	control_list_add(r);
	control_serve_again();
	*out_domid = r->pub.domid;
	return 0;
}

/* ---- restoring: restore.c makes the domain ---------------------------------------------------- */

/* What is missing is missing later too, when all has been read. */
static int have_disks(const struct domain_record *r)
{
	size_t params_bytes = sizeof(control_params) * MAX(r->pub.config->n_disks, 1u);
	control_params *params = host_alloc(params_bytes);
	int err = params ? find_devices(r, params) : -XEN_ENOMEM;

	host_free(params, params_bytes);
	return err;
}

/* The caller's to unreserve on an error of the disks too. */
int control_reserve(const struct domain_config *config, struct domain_record **out)
{
	*out = NULL;
	if (is_taken(config->name))
		return control_fail(-XEN_EEXIST, "%s: a domain of this name is there already",
				    config->name);
	*out = control.reserved = new_record(config);
	if (!*out)
		return -XEN_ENOMEM;
	return have_disks(*out);
}

void control_unreserve(struct domain_record *r)
{
	control.reserved = NULL;
	free_record(r);
}

static int is_made(struct domain_record *r)
{
	(void)r;
	return 0;
}

int control_start_reserved(struct domain_record *r)
{
	int err = start_by(r, is_made);

	if (err) {
		control_unreserve(r);
		return err;
	}
	control.reserved = NULL;
	control_list_add(r);
	control_serve_again();
	/* What a kernel says once in its life: it has shown it, and does not say it again. */
	(void)control_store_ask(r->pub.domid, "control/feature-suspend", "1");
	return 0;
}

void control_at_stop(void (*fn)(void))
{
	control.at_stop = fn;
}

/* ---- ending --------------------------------------------------------------------------------- */

/* Once for each record: a preserved domain is reported when it dies and not again when it is
 * destroyed. */
static void report_end(struct domain_record *r)
{
	if (!r->reported && !r->asked)
		control.hooks->ended(control.hooks->ctx, r->pub.config->name, r->pub.exit_code);
	r->reported = true;
}

/* What is left keeps its memory and registers for somebody to look at, and is called NAME-ID: no other
 * domain has that number, nor gets it while this one is there. It says nothing any more, so that its
 * console, its place at the store and its PCI functions are given back. */
static void keep_as_remains(struct domain_record *r)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	char suffix[8];
	size_t len;

	fmt_text(suffix, sizeof(suffix), "-%u", r->pub.domid);
	len = MIN(strlen(c->name), sizeof(c->name) - 1 - strlen(suffix));
	str_copy(c->name + len, sizeof(c->name) - len, suffix);
	detach(r);
	control_pci_take_all(r);
	control_store_rename(r->pub.domid, c->name);
	r->pub.state = CONTROL_PRESERVED;
	r->after = AFTER_NOTHING;
}

/* A new record for the name, and the old one under another. False: nothing has changed. */
static bool restart_beside(struct domain_record *r)
{
	struct domain_record *next = new_record(r->pub.config);

	if (!next)
		return false;
	next->pub.restarts = r->pub.restarts + 1;
	next->pub.exit_code = r->pub.exit_code;
	keep_as_remains(r);
	if (start(next) == 0) {
		control_list_add(next);
		control_serve_again();
	} else {
		report_end(next);
		free_record(next);
	}
	return true;
}

/* Gone for good, or made again. A restart that fails counts as an end with the exit code of the
 * last life: somebody waits to be told. */
static void finish(struct domain_record *r)
{
	if (r->after == AFTER_RENAME && restart_beside(r))
		return;
	take_apart(r);
	if (r->after != AFTER_NOTHING) {
		r->after = AFTER_NOTHING;
		r->pub.restarts++;
		if (start(r) == 0) {
			control_serve_again();
			return;
		}
	}
	control_list_remove(r);
	report_end(r);
	free_record(r);
}

/* Finishes those whose backends have let go; looks again later while others have not. Runs when a
 * backend's node changes and when a time is over; that it may run for nothing is cheaper than to
 * know which domain a change was for. */
static void look_at_ending(void *ctx)
{
	struct domain_record *next;
	uint64_t now = host_time_ns(), wake = 0;

	(void)ctx;
	for (struct domain_record *r = control_first(); r; r = next) {
		next = r->next;
		if (r->pub.state != CONTROL_ENDING)
			continue;
		if (control_store_close_backends(r) == 0 || now >= r->give_up_ns)
			finish(r); /* r may be no more */
		else if (!wake || r->give_up_ns < wake)
			wake = r->give_up_ns;
	}
	if (wake)
		host_work_after(&control.look, wake - now);
}

static void look_soon(void)
{
	host_work_cancel(&control.look); /* it may wait for a time far away */
	host_work_soon(&control.look);
}

/* Paused first: a guest that still ran could hand its backends new requests while they let go. */
static void begin_end(struct domain_record *r)
{
	struct xen_domctl pause = {.cmd = XEN_DOMCTL_pausedomain, .domain = r->pub.domid};

	control_save_forget(r);
	(void)host_domctl(&pause); /* of one that is dead already it does not matter */
	r->pub.state = CONTROL_ENDING;
	r->give_up_ns = host_time_ns() + CONTROL_BACKEND_WAIT_MS * 1000000ull;
	look_soon();
}

static void end_unreported(struct domain_record *r)
{
	r->asked = true;
	r->after = AFTER_NOTHING;
	if (r->pub.state != CONTROL_ENDING)
		begin_end(r);
}

int control_destroy(const char *name)
{
	struct domain_record *r;
	int err = control_record(name, &r);

	if (!err)
		end_unreported(r);
	return err;
}

/* Suspend without being asked counts as a crash: nobody would resume it, and to leave it would be to leave
 * it for ever. */
static enum config_action action_for(const struct domain_config *c, unsigned reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		return c->on_poweroff;
	case SHUTDOWN_reboot:
		return c->on_reboot;
	case SHUTDOWN_watchdog:
		return c->on_watchdog;
	default:
		return c->on_crash;
	}
}

static bool is_orderly(unsigned reason)
{
	return reason == SHUTDOWN_poweroff || reason == SHUTDOWN_reboot ||
	       reason == SHUTDOWN_suspend;
}

/* The exit code is read at once, while the guest's own nodes are there: whatever ends it removes
 * them. */
static void died(struct domain_record *r, unsigned reason)
{
	static const enum after_end after[] = {
	    [CONFIG_DESTROY] = AFTER_NOTHING,
	    [CONFIG_RESTART] = AFTER_RESTART,
	    [CONFIG_RENAME_RESTART] = AFTER_RENAME,
	};
	enum config_action action = action_for(r->pub.config, reason);

	r->pub.exit_code = is_orderly(reason) ? control_store_exit_code(r->pub.domid)
					      : CONTROL_CRASH_BASE + (int)reason;
	host_log(HOST_LOG_INFO, "%s: domain %u ended, reason %u, exit code %d", r->pub.config->name,
		 r->pub.domid, reason, r->pub.exit_code);
	if (control.hooks->died)
		control.hooks->died(control.hooks->ctx, &r->pub);
	if (action == CONFIG_PRESERVE) {
		control_save_forget(r);
		r->pub.state = CONTROL_PRESERVED;
		report_end(r);
		return;
	}
	r->after = after[action];
	begin_end(r);
}

/* With what it had in front of it still there, for who wants figures. */
void control_end_saved(struct domain_record *r)
{
	if (control.hooks->died)
		control.hooks->died(control.hooks->ctx, &r->pub);
	end_unreported(r);
}

void control_crashed(struct domain_record *r)
{
	died(r, SHUTDOWN_crash);
}

/* Whether the domain runs no more; then why. One that the hypervisor does not know crashed. For a
 * number that is free, getdomaininfo may answer with the next domain that lives, hence the second
 * look at it. */
static bool is_dead(const struct domain_record *r, unsigned *out_reason)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = r->pub.domid};
	uint32_t flags;

	*out_reason = SHUTDOWN_crash;
	if (host_domctl(&op) != 0 || op.domain != r->pub.domid)
		return true;
	flags = op.u.getdomaininfo.flags;
	if (flags & XEN_DOMINF_shutdown)
		*out_reason = flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
	return flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying);
}

/* The walk is safe: a death changes states and asks for look_at_ending, but takes nothing from the
 * list. */
static void on_virq(void *ctx)
{
	(void)ctx;
	for (struct domain_record *r = control_first(); r; r = r->next) {
		unsigned reason;

		if (r->pub.state != CONTROL_RUNNING || !is_dead(r, &reason))
			continue;
		if (reason != SHUTDOWN_suspend || !control_save_suspended(r))
			died(r, reason);
	}
}

static void on_backend_change(void *ctx, const char *path)
{
	(void)ctx, (void)path;
	look_soon();
}

/* The virq is asked for once in a life: host_virq_bind has no opposite, and control may be started
 * anew after control_stop (tests do). */
int control_start(const struct control_hooks *hooks)
{
	char path[STORE_PATH_MAX];
	int err = control_check_versions();

	if (!err)
		err = control_store_prepare();
	if (err)
		return err;
	control.hooks = hooks;
	control.look.fn = look_at_ending;
	fmt_text(path, sizeof(path), "/local/domain/%u/backend", host_own_domid());
	err = host_store_watch(path, on_backend_change, NULL, &control.watch);
	if (!err && !control.virq.v)
		err = host_virq_bind(VIRQ_DOM_EXC, on_virq, NULL, &control.virq);
	if (err)
		control_stop();
	return err;
}

/* Backends are not told: who calls this ends the service domain's work altogether. */
void control_stop(void)
{
	struct domain_record *r;

	control_save_stop();
	if (control.at_stop)
		control.at_stop();
	while ((r = control_first()) != NULL) { /* each round frees one */
		control_list_remove(r);
		take_apart(r);
		free_record(r);
	}
	host_work_cancel(&control.look);
	if (control.watch)
		host_store_unwatch(control.watch);
	control.watch = NULL;
}
