/* domain.c: domains made, found, counted and freed.
 *
 * One list, by id, of all domains, dying ones too: a domain leaves it only when the last reference
 * goes, so an id never means two domains. A half-made domain is a dying one: it has its place in
 * the list, but nobody finds it by domain_get.
 *
 * Not here: shutdown, crash and teardown (domain_end.c). Called by domctl, dom0.c, and whoever has
 * a domain id. Calls the *_init and *_free of every part.
 */
#include <amphi/string.h>

#include "domain.h"
#include "percpu.h"

static spinlock_t list_lock;
static struct domain *list;
static uint32_t last_id; /* picked; 0: none yet */

/* ---- references ------------------------------------------------------------------------ */

void domain_hold(struct domain *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

/* Nothing refers to it, nobody finds it: no lock. */
static void domain_free(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		if (!d->vcpu[i])
			continue;
		pv_vcpu_teardown(d->vcpu[i]);
		hv_free(d->vcpu[i], sizeof(struct vcpu));
	}
	event_domain_free(d);
	grant_domain_free(d);
	mm_domain_free(d);
	hv_free(d, sizeof(*d));
}

/* Where in the list the first domain of at least this id stands. The list's lock is held. */
static struct domain **list_at(domid_t id)
{
	struct domain **at = &list;

	while (*at && (*at)->id < id)
		at = &(*at)->next;
	return at;
}

void domain_put(struct domain *d)
{
	int old = __atomic_load_n(&d->refs, __ATOMIC_RELAXED);
	bool last;

	/* Without the list's lock, unless it is the last. */
	while (old > 1)
		if (__atomic_compare_exchange_n(&d->refs, &old, old - 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return;
	/* Under the list's lock nobody can find it meanwhile and take a new one. */
	spin_lock(&list_lock);
	last = __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (last)
		*list_at(d->id) = d->next;
	spin_unlock(&list_lock);
	if (last)
		domain_free(d);
}

/* ---- finding --------------------------------------------------------------------------- */

struct domain *domain_next(domid_t from)
{
	struct domain *d;

	spin_lock(&list_lock);
	d = *list_at(from);
	if (d)
		domain_hold(d);
	spin_unlock(&list_lock);
	return d;
}

struct domain *domain_find(domid_t id)
{
	struct domain *d = domain_next(id);

	if (!d || d->id == id)
		return d;
	domain_put(d);
	return NULL;
}

/* For the names guests use. The caller's own even when it is dying, so that a call under way
 * comes to its end; of others only those with which there is still something to be done. */
struct domain *domain_get(domid_t id)
{
	struct domain *d;

	if (id == DOMID_SELF || id == current_domain()->id) {
		domain_hold(current_domain());
		return current_domain();
	}
	d = domain_find(id);
	if (d && __atomic_load_n(&d->dying, __ATOMIC_ACQUIRE)) {
		domain_put(d);
		d = NULL;
	}
	return d;
}

/* By ids and not by links, so that fn may take its time, and even end the domain, without the
 * list's lock. */
void domain_for_each(void (*fn)(struct domain *d, void *ctx), void *ctx)
{
	struct domain *d;
	uint32_t from = 0;

	while (from < DOMID_FIRST_RESERVED) {
		d = domain_next((domid_t)from);
		if (!d)
			return;
		from = d->id + 1u;
		fn(d, ctx);
		domain_put(d);
	}
}

/* ---- making ---------------------------------------------------------------------------- */

/* The next id after the one given last, not the lowest: whoever still speaks of a domain that has
 * gone does not meet another under its number soon. The list's lock is held. 0: there is none. */
static domid_t pick_id(void)
{
	const struct domain *d;
	uint32_t tries;

	for (tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
		last_id = last_id % (DOMID_FIRST_RESERVED - 1) + 1;
		d = *list_at((domid_t)last_id);
		if (!d || d->id != last_id)
			return (domid_t)last_id;
	}
	return 0;
}

static int list_insert(struct domain *d, domid_t id)
{
	struct domain **at;
	int error = 0;

	spin_lock(&list_lock);
	if (id == 0)
		last_id = 0;
	d->id = id == DOMID_INVALID ? pick_id() : id;
	at = list_at(d->id);
	if (id == DOMID_INVALID && d->id == 0) {
		error = -XEN_ENOSPC;
	} else if (*at && (*at)->id == d->id) {
		error = -XEN_EEXIST;
	} else {
		d->next = *at;
		*at = d;
	}
	spin_unlock(&list_lock);
	return error;
}

static int vcpu_create(struct domain *d, unsigned id)
{
	struct vcpu *v = hv_alloc(sizeof(*v));
	int error;

	if (!v)
		return -XEN_ENOMEM;
	v->domain = d;
	v->id = id;
	event_vcpu_init(v);
	error = pv_vcpu_init(v);
	if (error)
		goto free_vcpu;
	error = mm_vcpu_init(v);
	if (error)
		goto teardown_pv;
	sched_vcpu_init(v);
	d->vcpu[id] = v;
	return 0;
teardown_pv:
	pv_vcpu_teardown(v);
free_vcpu:
	hv_free(v, sizeof(*v));
	return error;
}

/* What fails here is cleaned up by domain_kill, which copes with parts that are not there. */
static int parts_init(struct domain *d)
{
	int error = mm_domain_init(d, d->privileged ? UINT32_MAX : 0);

	if (!error)
		error = event_domain_init(d);
	if (!error)
		error = grant_domain_init(d, 0);
	for (unsigned i = 0; !error && i < d->max_vcpus; i++)
		error = vcpu_create(d, i);
	return error;
}

int domain_create(domid_t id, unsigned max_vcpus, struct domain **out)
{
	struct domain *d;
	int error;

	if (max_vcpus == 0 || max_vcpus > MAX_VCPUS)
		return -XEN_EINVAL;
	d = hv_alloc(sizeof(*d));
	if (!d)
		return -XEN_ENOMEM;
	d->refs = 2; /* the caller's, and the living domain's own until domain_kill is through */
	d->dying = true;
	d->privileged = id == 0;
	d->max_vcpus = max_vcpus;
	error = list_insert(d, id);
	if (error) {
		hv_free(d, sizeof(*d));
		return error;
	}
	error = parts_init(d);
	if (error) {
		while (domain_kill(d) == -XEN_ERESTART)
			;
		domain_put(d);
		return error;
	}
	domain_ctl_pause(d);
	__atomic_store_n(&d->dying, false, __ATOMIC_RELEASE);
	*out = d;
	return 0;
}
