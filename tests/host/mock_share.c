/* mock_share.c: grants and event channels of the mock world.
 *
 * A grant is mapped as a second virtual mapping of the granted page, at an address that is never
 * used again: a touch after unmap faults, a write through a read-only mapping faults, and ending a
 * grant that is mapped is refused. Ports are pairs; a notification marks the other end and queues
 * its handler.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mock_host.h"

#define GRANTS    1024u
#define FIRST_REF 8u /* as on Xen, the first ones are reserved */
#define MAPS      4096u
#define PORTS     64u
#define WINDOW    (1ul << 32) /* of addresses for mappings, used once each between resets */

static struct grant {
	bool used, readonly;
	domid_t peer;
	void *page;
	unsigned maps;
} grants[MOCK_DOMAINS][GRANTS];

static struct map {
	bool used;
	domid_t mapper, owner;
	uint32_t ref;
	void *va;
} maps[MAPS];

static struct port {
	bool used, pending, told;
	bool stale; /* of the world before; whoever held it may not know yet */
	domid_t owner, peer;
	struct port *other; /* NULL: unbound */
	host_event_fn *fn;
	void *ctx;
} ports[MOCK_DOMAINS][PORTS];

static uint8_t *window, *window_next;
static void *last_ring[MOCK_DOMAINS];

/* ---- grants offered ---- */

int host_grant_offer(domid_t peer, void *page, bool readonly, gref_t *out_ref)
{
	static unsigned hint = FIRST_REF;
	domid_t me = mock_current();

	if (mock_should_fail())
		return -XEN_ENOSPC;
	if (!mock_page_live(page, me))
		mock_bug("grant of %p, which is not a page of this domain", page);
	for (unsigned i = 0; i < GRANTS; i++) {
		unsigned ref = FIRST_REF + (hint - FIRST_REF + i) % (GRANTS - FIRST_REF);

		if (grants[me][ref].used)
			continue;
		grants[me][ref] =
		    (struct grant){.used = true, .readonly = readonly, .peer = peer, .page = page};
		hint = ref + 1;
		out_ref->v = ref;
		return 0;
	}
	return -XEN_ENOSPC;
}

void mock_grant_again(domid_t owner, gref_t ref, domid_t peer, void *page)
{
	if (grants[owner][ref.v].used)
		mock_bug("grant %u is in use", ref.v);
	grants[owner][ref.v] = (struct grant){.used = true, .peer = peer, .page = page};
}

int host_grant_end(gref_t ref)
{
	struct grant *g = &grants[mock_current()][ref.v];

	if (ref.v < FIRST_REF || ref.v >= GRANTS || !g->used)
		mock_bug("end of grant %u, which was not offered", ref.v);
	if (g->maps)
		return -XEN_EBUSY;
	g->used = false;
	return 0;
}

/* ---- grants taken ---- */

static void *window_take(unsigned pages)
{
	void *va;

	if (!window) {
		window = mmap(NULL, WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
		if (window == MAP_FAILED)
			mock_bug("no window of addresses");
		window_next = window;
	}
	if (window_next + pages * PAGE_SIZE > window + WINDOW)
		mock_bug("no addresses left");
	va = window_next;
	window_next += (pages + 1) * PAGE_SIZE;
	return va;
}

static struct grant *find_grant(domid_t owner, uint32_t ref, bool readonly)
{
	struct grant *g;

	if (owner >= MOCK_DOMAINS || ref >= GRANTS)
		return NULL;
	g = &grants[owner][ref];
	if (!g->used || g->peer != mock_current() || (g->readonly && !readonly))
		return NULL;
	return mock_page_live(g->page, owner) ? g : NULL;
}

static int free_map(void)
{
	static unsigned hint;

	for (unsigned i = 0; i < MAPS; i++) {
		unsigned n = (hint + i) % MAPS;

		if (!maps[n].used) {
			hint = n + 1;
			return (int)n;
		}
	}
	mock_bug("no mapping is free");
}

/* Maps one grant at va; the handle, or -1. */
static int map_at(uint8_t *va, domid_t owner, uint32_t ref, bool readonly)
{
	struct grant *g = find_grant(owner, ref, readonly);
	long offset;
	int fd, n;

	if (!g)
		return -1;
	fd = mock_page_fd(g->page, &offset);
	if (mmap(va, PAGE_SIZE, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED)
		mock_bug("a grant cannot be mapped");
	n = free_map();
	maps[n] = (struct map){
	    .used = true, .mapper = mock_current(), .owner = owner, .ref = ref, .va = va};
	g->maps++;
	mock_calls.mapped++;
	return n;
}

static void unmap(struct map *m)
{
	mmap(m->va, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
	     -1, 0);
	grants[m->owner][m->ref].maps--;
	m->used = false;
	mock_calls.unmapped++;
}

int host_grants_map(struct host_grant_map *ops, unsigned count)
{
	if (count == 0 || count > HOST_GRANT_BATCH)
		mock_bug("batch of %u", count);
	if (mock_should_fail())
		return -XEN_ENOMEM;
	mock_calls.map_calls++;
	for (unsigned i = 0; i < count; i++) {
		uint8_t *va = window_take(1);
		int n = map_at(va, ops[i].owner, ops[i].ref.v, ops[i].readonly);

		ops[i].status = n < 0 ? GNTST_bad_gntref : GNTST_okay;
		ops[i].handle = (uint32_t)n;
		ops[i].page = n < 0 ? NULL : va;
	}
	return 0;
}

void host_grants_unmap(struct host_grant_map *ops, unsigned count)
{
	if (count == 0 || count > HOST_GRANT_BATCH)
		mock_bug("batch of %u", count);
	mock_calls.unmap_calls++;
	for (unsigned i = 0; i < count; i++) {
		struct map *m = &maps[ops[i].handle % MAPS];

		if (ops[i].status != GNTST_okay)
			continue;
		if (ops[i].handle >= MAPS || !m->used || m->mapper != mock_current() ||
		    m->va != ops[i].page)
			mock_bug("unmap of handle %u, which is not mapped there", ops[i].handle);
		unmap(m);
	}
}

int host_ring_map(domid_t owner, const gref_t *refs, unsigned count, void **out_va)
{
	uint8_t *va = window_take(count);

	if (mock_should_fail())
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < count; i++)
		if (map_at(va + i * PAGE_SIZE, owner, refs[i].v, false) < 0) {
			host_ring_unmap(va, i);
			return -XEN_EINVAL;
		}
	*out_va = last_ring[mock_current()] = va;
	return 0;
}

void *mock_last_ring(void)
{
	return last_ring[mock_current()];
}

void *mock_mapping(domid_t owner, gref_t ref)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].used && maps[i].mapper == mock_current() && maps[i].owner == owner &&
		    maps[i].ref == ref.v)
			return maps[i].va;
	return NULL;
}

void host_ring_unmap(void *va, unsigned count)
{
	for (unsigned p = 0; p < count; p++) {
		unsigned n = 0;

		while (n < MAPS && (!maps[n].used || maps[n].va != (uint8_t *)va + p * PAGE_SIZE))
			n++;
		if (n == MAPS)
			mock_bug("unmap of a ring page that is not mapped");
		unmap(&maps[n]);
	}
}

/* One piece of a copy: its memory, or NULL. Addresses of ours are host_virt_to_maddr's. */
static uint8_t *copy_side(const struct gnttab_copy *op, bool source)
{
	domid_t domid = source ? op->source.domid : op->dest.domid;
	uint16_t offset = source ? op->source.offset : op->dest.offset;
	struct grant *g;

	if (!(op->flags & (source ? GNTCOPY_source_gref : GNTCOPY_dest_gref))) {
		uint8_t *page =
		    (uint8_t *)(uintptr_t)((source ? op->source.u.gmfn : op->dest.u.gmfn)
					   << PAGE_SHIFT);

		/* As Xen does: by frame only of the domain's own, which a mapped grant is not. */
		return window && page >= window && page < window + WINDOW ? NULL : page + offset;
	}
	g = find_grant(domid, source ? op->source.u.ref : op->dest.u.ref, source);
	return g && offset + op->len <= PAGE_SIZE ? (uint8_t *)g->page + offset : NULL;
}

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t *from = copy_side(&ops[i], true), *to = copy_side(&ops[i], false);

		ops[i].status = from && to ? GNTST_okay : GNTST_bad_gntref;
		if (ops[i].status == GNTST_okay)
			memcpy(to, from, ops[i].len);
		mock_calls.copies++;
	}
	return 0;
}

/* ---- events ---- */

static struct port *new_port(domid_t peer, host_event_fn *fn, void *ctx, port_t *out)
{
	domid_t me = mock_current();

	for (unsigned i = 1; i < PORTS; i++) {
		struct port *p = &ports[me][i];

		if (p->used)
			continue;
		*p = (struct port){.used = true,
				   .stale = p->stale,
				   .owner = me,
				   .peer = peer,
				   .fn = fn,
				   .ctx = ctx};
		out->v = i;
		return p;
	}
	return NULL;
}

int host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port)
{
	if (mock_should_fail())
		return -XEN_ENOSPC;
	return new_port(peer, fn, ctx, out_port) ? 0 : -XEN_ENOSPC;
}

static void signal_port(struct port *p)
{
	p->told = true;
	if (p->pending)
		return;
	p->pending = true;
	mock_queue(p->owner, MOCK_EVENT, p, NULL);
}

int host_event_bind(domid_t peer, uint32_t peer_port, host_event_fn *fn, void *ctx,
		    port_t *out_port)
{
	struct port *other =
			peer < MOCK_DOMAINS && peer_port < PORTS ? &ports[peer][peer_port] : NULL,
		    *mine;

	if (mock_should_fail())
		return -XEN_ENOSPC;
	if (!other || !other->used || other->other || other->peer != mock_current())
		return -XEN_EINVAL;
	mine = new_port(peer, fn, ctx, out_port);
	if (!mine)
		return -XEN_ENOSPC;
	mine->other = other;
	other->other = mine;
	signal_port(mine); /* as Xen does: something may have been sent before */
	return 0;
}

static struct port *port_of(port_t port)
{
	struct port *p = &ports[mock_current()][port.v % PORTS];

	if (port.v == 0 || port.v >= PORTS || !p->used)
		mock_bug("port %u is not open", port.v);
	return p;
}

void host_event_notify(port_t port)
{
	struct port *p = port_of(port);

	mock_calls.notifies++;
	if (p->other)
		signal_port(p->other);
}

void host_event_spurious(port_t port)
{
	(void)port_of(port);
	mock_calls.spurious++;
}

/* The other domains go on while this one waits; when none has anything to do, time passes in one step. */
int host_event_wait(port_t port, uint64_t timeout_ns)
{
	struct port *p = port_of(port);

	while (!p->told && mock_run_other())
		;
	if (!p->told)
		mock_pass(timeout_ns);
	while (!p->told && mock_run_other())
		;
	if (!p->told)
		return -XEN_ETIMEDOUT;
	p->told = false;
	return 0;
}

void host_event_close(port_t port)
{
	struct port *p = &ports[mock_current()][port.v % PORTS];

	if (port.v < PORTS && p->stale && !p->used) {
		p->stale = false;
		return;
	}
	p = port_of(port);
	if (p->stale)
		mock_bug("port %u of the world before is closed, and is another's now", port.v);

	if (p->other)
		p->other->other = NULL;
	p->used = false;
	p->other = NULL;
}

/* Items of a port that was closed in the meantime find it unused, or used anew and not pending. */
void mock_run_event(void *what)
{
	struct port *p = what;
	bool due = p->used && p->pending;

	p->pending = false;
	if (due)
		p->fn(p->ctx);
}

/* ---- begin, end ---- */

void mock_share_reset(void)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].used)
			unmap(&maps[i]);
	memset(grants, 0, sizeof(grants));
	memset(ports, 0, sizeof(ports));
	window_next = window;
}

void mock_share_kill(domid_t domain)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].used && maps[i].mapper == domain)
			unmap(&maps[i]);
	for (unsigned i = 0; i < PORTS; i++) {
		struct port *p = &ports[domain][i];

		if (p->other)
			p->other->other = NULL;
		*p = (struct port){0};
	}
}

void mock_new_world(domid_t domain)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].used && maps[i].owner == domain)
			unmap(&maps[i]);
	for (unsigned i = 0; i < PORTS; i++) {
		struct port *p = &ports[domain][i];

		if (p->other)
			p->other->other = NULL;
		*p = (struct port){.stale = p->used};
	}
}

void mock_share_left(domid_t domain, struct mock_left *left)
{
	for (unsigned i = 0; i < GRANTS; i++)
		left->grants += grants[domain][i].used;
	for (unsigned i = 0; i < MAPS; i++)
		left->maps += maps[i].used && maps[i].mapper == domain;
	for (unsigned i = 0; i < PORTS; i++)
		left->ports += ports[domain][i].used;
}
