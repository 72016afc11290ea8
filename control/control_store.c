/* control_store.c: what the store says of a domain: the nodes libxl writes, and their removal.
 *
 * A domain's directory, its console's and store's keys (Xen's docs: xenstore-paths), and by
 * control_store_disk.c, control_store_vif.c and control_store_pci.c its devices. All appear in one transaction, so that a backend never sees half a
 * device. Not the store itself. Caller: control.c. Calls: host.h's store, printf.h.
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_store.h"

/* A transaction fails with EAGAIN when another's commit came between; guests write often while they
 * boot, but eight in a row means that something else is wrong. */
#define TX_TRIES 8u

/* ---- writing ---------------------------------------------------------------------------- */

bool store_join(struct writer *w, const char *key)
{
	size_t n = fmt_text(w->path, sizeof(w->path), "%s%s%s", w->dir, key[0] ? "/" : "", key);

	if (n >= sizeof(w->path) && !w->err)
		w->err = -XEN_E2BIG;
	return !w->err;
}

/* Does nothing after an error: what is written reads as a list, without a test behind each line. */
void store_put(struct writer *w, const char *key, const char *fmt, ...)
{
	va_list args;
	size_t n;

	if (!store_join(w, key))
		return;
	va_start(args, fmt);
	n = fmt_vtext(w->value, sizeof(w->value), fmt, args);
	va_end(args);
	w->err = n < sizeof(w->value) ? host_store_write(w->tx, w->path, w->value) : -XEN_E2BIG;
}

/* A directory and who may do what in it; keys written below take that over. owner may do anything
 * and decides for others; reader (DOMID_INVALID: nobody) may read. What nobody is given here nobody
 * but the owner and the service domain can see. */
void store_make_dir(struct writer *w, const char *key, domid_t owner, domid_t reader)
{
	if (!store_join(w, key))
		return;
	w->err = host_store_mkdir(w->tx, w->path);
	if (!w->err)
		w->err = host_store_set_perms(w->tx, w->path, owner, reader);
}

void store_set_dir(struct writer *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (fmt_vtext(w->dir, sizeof(w->dir), fmt, args) >= sizeof(w->dir) && !w->err)
		w->err = -XEN_E2BIG;
	va_end(args);
}

/* ---- what is written -------------------------------------------------------------------- */

/* The numbers the guest reads about itself, and the places it may write to. The directory itself is
 * the service domain's, or a guest could rename itself in everybody's lists. own_dirs are what
 * guests of all kinds write to, as xenstore-paths lists them. */
static void put_home(struct writer *w)
{
	static const char *const own_dirs[] = {"data",
					       "drivers",
					       "feature",
					       "attr",
					       "error",
					       "control/shutdown",
					       "control/feature-poweroff",
					       "control/feature-suspend",
					       "control/feature-reboot"};
	const struct domain_record *r = w->r;
	domid_t id = r->pub.domid, own = host_own_domid();

	store_set_dir(w, "/local/domain/%u", id);
	store_make_dir(w, "", own, id);
	store_put(w, "name", "%s", r->pub.config->name);
	store_put(w, "domid", "%u", id);
	store_put(w, "vm", "/vm/%u", id);
	store_put(w, "memory/static-max", "%u", r->pub.config->max_memory_mib * 1024);
	store_put(w, "memory/target", "%u", r->pub.config->memory_mib * 1024);
	for (unsigned cpu = 0; cpu < r->pub.config->max_vcpus; cpu++) {
		store_set_dir(w, "/local/domain/%u/cpu/%u", id, cpu);
		store_put(w, "availability", cpu < r->pub.config->vcpus ? "online" : "offline");
	}
	store_set_dir(w, "/local/domain/%u", id);
	store_make_dir(w, "device", own, id);
	store_make_dir(w, "control", own, id);
	for (unsigned i = 0; i < ARRAY_SIZE(own_dirs); i++)
		store_make_dir(w, own_dirs[i], id, DOMID_INVALID);
	store_set_dir(w, "/vm/%u", id);
	store_make_dir(w, "", own, id);
	store_put(w, "name", "%s", r->pub.config->name);
}

/* Read by people and by other tools; our store and consoles are told by introduction, guests by
 * their start info. */
static void put_rings(struct writer *w)
{
	const struct built_domain *b = &w->r->built;

	store_set_dir(w, "/local/domain/%u", b->domid);
	store_put(w, "store/port", "%u", b->store_port);
	store_put(w, "store/ring-ref", "%llu", (unsigned long long)b->store_frame.v);
	store_put(w, "console/port", "%u", b->console_port);
	store_put(w, "console/ring-ref", "%llu", (unsigned long long)b->console_frame.v);
	store_put(w, "console/type", "xenconsoled");
	store_put(w, "console/limit", "65536");
}

static void put_all(struct writer *w, const void *ctx)
{
	const control_params *params = ctx;

	put_home(w);
	put_rings(w);
	for (unsigned i = 0; i < w->r->pub.config->n_disks; i++)
		store_put_disk(w, &w->r->pub.config->disks[i], params[i]);
	for (unsigned i = 0; i < w->r->pub.config->n_vifs; i++)
		store_put_vif(w, &w->r->pub.config->vifs[i]);
	if (w->r->pub.config->n_pci)
		store_put_pci(w);
}

/* Begun anew, from the first node, when the store asks for it: what was written in a failed
 * transaction is gone. */
int store_transaction(const struct domain_record *r,
		      void (*fill)(struct writer *w, const void *ctx), const void *ctx)
{
	struct writer *w = host_alloc(sizeof(*w));
	int err = -XEN_EAGAIN;

	if (!w)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < TX_TRIES && err == -XEN_EAGAIN; i++) {
		*w = (struct writer){.r = r};
		err = host_store_begin(&w->tx);
		if (err)
			break;
		fill(w, ctx);
		if (w->err)
			(void)host_store_end(w->tx, false);
		err = w->err ? w->err : host_store_end(w->tx, true);
	}
	host_free(w, sizeof(*w));
	return err;
}

int control_store_add(const struct domain_record *r, const control_params *params)
{
	return store_transaction(r, put_all, params);
}

/* /vm stays empty between domains but is there, or its coming and going would count as a leaked
 * node. */
int control_store_prepare(void)
{
	char path[STORE_PATH_MAX], id[8];
	int err;

	fmt_text(path, sizeof(path), "/local/domain/%u/domid", host_own_domid());
	fmt_text(id, sizeof(id), "%u", host_own_domid());
	err = host_store_write(HOST_TX_NONE, path, id);
	return err ? err : host_store_mkdir(HOST_TX_NONE, "/vm");
}

/* ---- changing ------------------------------------------------------------------------------ */

int control_store_ask(domid_t domid, const char *node, const char *value)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "/local/domain/%u/%s", domid, node);
	return host_store_write(HOST_TX_NONE, path, value);
}

/* For people and tools that list the store; nothing of ours reads names from there. */
void control_store_rename(domid_t domid, const char *name)
{
	char path[STORE_PATH_MAX];

	(void)control_store_ask(domid, "name", name);
	fmt_text(path, sizeof(path), "/vm/%u/name", domid);
	(void)host_store_write(HOST_TX_NONE, path, name);
}

/* ---- taking back -------------------------------------------------------------------------- */

void store_remove(const char *fmt, ...)
{
	char path[STORE_PATH_MAX];
	va_list args;

	va_start(args, fmt);
	fmt_vtext(path, sizeof(path), fmt, args);
	va_end(args);
	(void)host_store_rm(HOST_TX_NONE, path); /* it may be gone already */
}

/* Children go with their directory. By now the backends have closed, or had their time. */
void control_store_remove(const struct domain_record *r)
{
	domid_t id = r->pub.domid;
	struct store_device dev;

	for (unsigned i = 0; control_device(r->pub.config, i, &dev); i++)
		control_store_remove_device(id, &dev);
	store_remove("/local/domain/%u", id);
	store_remove("/vm/%u", id);
}

/* ---- backends --------------------------------------------------------------------------- */

unsigned store_number(const char *path, unsigned limit, unsigned otherwise)
{
	char text[16];
	uint64_t value;

	if (host_store_read(HOST_TX_NONE, path, text, sizeof(text)) < 0 ||
	    !str_to_u64(text, &value) || value >= limit)
		return otherwise;
	return (unsigned)value;
}

/* Called again with each change, so it tells each backend once (online says whether) and else only
 * looks. */
unsigned control_store_close_backends(const struct domain_record *r)
{
	struct store_device dev;
	unsigned busy = 0;

	for (unsigned i = 0; control_device(r->pub.config, i, &dev); i++)
		busy += !control_store_close_device(r->pub.domid, &dev);
	return busy;
}

/* A guest that leaves nothing, or nonsense, has ended well as far as anybody can know. */
int control_store_exit_code(domid_t domid)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "/local/domain/%u/data/exit-code", domid);
	return (int)store_number(path, 256, 0);
}
