/* domain.h: what a domain and a vCPU are, and who lives in them.
 *
 * Each part of the hypervisor keeps its state in a sub-struct defined in its own header, and only
 * that part's files touch it; others call the functions of that header. domain.c makes, ends and
 * finds domains and is the only caller of the parts' *_init and *_teardown.
 *
 * Life: created (paused, no memory) -> running -> shut down (code kept) -> dying (teardown, in
 * pieces, restartable) -> freed when its last reference and last page are gone.
 */
#ifndef HV_DOMAIN_H
#define HV_DOMAIN_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "event.h"
#include "grant.h"
#include "hypercall.h"
#include "io.h"
#include "lock.h"
#include "mm.h"
#include "pv.h"
#include "sched.h"

#define MAX_VCPUS 32u

struct vcpu {
	struct domain *domain;
	uint32_t id;
	bool initialised;	/* has been given a context */
	struct vcpu_pv pv;	/* pv.h: registers, traps, callbacks, kernel stack */
	struct vcpu_mm mm;	/* mm.h: page-table roots, GDT and LDT frames */
	struct vcpu_sched sched;/* sched.h: run state, timers, runstate */
	struct vcpu_events events; /* event.h: vcpu_info, virqs, poll */
	struct vcpu_hypercall call; /* hypercall.h: a handler that wants to go on */
};

struct domain {
	domid_t id;
	struct domain *next; /* in the list of domain.c, by id */
	int refs;
	spinlock_t lock;     /* life-cycle fields below; taken before any part's own lock */
	bool privileged;     /* the first domain: domctl, sysctl, foreign frames, hardware */
	bool dying, shut_down;
	uint32_t shutdown_code;
	uint32_t teardown_step; /* how far domain_kill has come */
	uint64_t vm_assist;  /* bits of VMASST_TYPE_* */
	xen_domain_handle_t handle;
	unsigned max_vcpus;
	struct vcpu *vcpu[MAX_VCPUS];
	struct domain_mm mm;	     /* mm.h: pages owned, limits, shared_info, per-domain area */
	struct domain_events events; /* event.h: ports */
	struct domain_grants grants; /* grant.h: the grant table and what of others is mapped */
	struct domain_io io;	     /* io.h: I/O ports, I/O memory, pirqs it may use */
};

/* The idle vCPUs' domain has id DOMID_IDLE (xen.h) and is never found by id. */

/* Finds a living domain (DOMID_SELF is the current one) and takes a reference; NULL when there is
 * none. domain_find finds dying ones too, by their real id. domain_hold takes one more reference;
 * domain_put gives one back and may free. */
struct domain *domain_get(domid_t id);
struct domain *domain_find(domid_t id);
void domain_hold(struct domain *d);
void domain_put(struct domain *d);

/* A new, paused, empty domain. id 0 for the first; otherwise DOMID_INVALID picks a free one.
 * 0, -ENOMEM, -EEXIST. The caller gets a reference. */
int domain_create(domid_t id, unsigned max_vcpus, struct domain **out);

/* Stops all vCPUs, keeps code for getdomaininfo, raises VIRQ_DOM_EXC in the first domain. */
void domain_shutdown(struct domain *d, uint32_t code);

/* Ends the domain that did something it may not do: says why on the console, then as shutdown with
 * SHUTDOWN_crash. When it is the current one, it does not run again after the return to sched. */
void domain_crash(struct domain *d, const char *why, ...) __attribute__((format(printf, 2, 3)));

/* Tears down step by step; -XEN_ERESTART while there is more to do. */
int domain_kill(struct domain *d);

/* Calls fn for each living domain, by ascending id, holding a reference meanwhile. */
void domain_for_each(void (*fn)(struct domain *d, void *ctx), void *ctx);

#endif
