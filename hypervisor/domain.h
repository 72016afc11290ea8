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
#include "iommu_device.h"
#include "iospace.h"
#include "lock.h"
#include "mm.h"
#include "pv.h"
#include "sched.h"

#define MAX_VCPUS 32u

struct vcpu {
	struct domain *domain;
	uint32_t id;
	bool initialised;           /* has been given a context */
	struct vcpu_pv pv;          /* pv.h: registers, traps, callbacks, kernel stack */
	struct vcpu_mm mm;          /* mm.h: page-table roots, GDT and LDT frames */
	struct vcpu_sched sched;    /* sched.h: run state, timers, runstate */
	struct vcpu_events events;  /* event.h: vcpu_info, virqs, poll */
	struct vcpu_hypercall call; /* hypercall.h: a handler that wants to go on */
};

struct domain {
	domid_t id;
	struct domain *next; /* in the list of domain.c, by id */
	int refs;
	spinlock_t lock; /* life-cycle fields below; taken before any part's own lock */
	bool privileged; /* the first domain: domctl, sysctl, foreign frames, hardware */
	bool dying, shut_down;
	uint32_t shutdown_code;
	spinlock_t kill_lock;   /* held by the CPU that is at teardown */
	uint32_t teardown_step; /* how far domain_kill has come */
	uint32_t ctl_pauses;    /* pausedomain not yet undone; a new domain has one */
	uint64_t vm_assist;     /* bits of VMASST_TYPE_* */
	xen_domain_handle_t handle;
	unsigned max_vcpus;
	struct vcpu *vcpu[MAX_VCPUS];
	struct domain_mm mm;           /* mm.h: pages owned, limits, shared_info, per-domain area */
	struct domain_events events;   /* event.h: ports */
	struct domain_grants grants;   /* grant.h: the grant table and what of others is mapped */
	struct domain_io io;           /* io.h: I/O ports, I/O memory, pirqs it may use */
	struct domain_iommu iommu;     /* iommu_device.h: functions, what they reach */
	struct domain_sched sched;     /* sched.h: weight, cap */
	struct domain_iospace iospace; /* iospace.h: what it maps for its devices */
};

/* The idle vCPUs' domain has id DOMID_IDLE (xen.h) and is never found by id. */

/* Finds a living domain (DOMID_SELF is the current one) and takes a reference; NULL when there is
 * none. domain_find finds dying ones too, by their real id. domain_hold takes one more reference;
 * domain_put gives one back and may free. */
struct domain *domain_get(domid_t id);
struct domain *domain_find(domid_t id);
void domain_hold(struct domain *d);
void domain_put(struct domain *d);

/* A domain named by a hypercall's argument: DOMID_SELF, its own id, or, for the first domain, any
 * other. NULL: none or not allowed (*error says which). Takes a reference; domain_put. */
struct domain *domain_named(uint64_t id, int *error);

/* A new, paused, empty domain, its vCPUs down. id 0 for the first, which is privileged and may have
 * all memory; DOMID_INVALID picks a free one; others may have no memory until max_pages is set.
 * -XEN_EINVAL, -XEN_ENOMEM, -XEN_EEXIST, -XEN_ENOSPC. The caller gets a reference. */
int domain_create(domid_t id, unsigned max_vcpus, struct domain **out);

/* Pausing by a builder, counted apart from other reasons to stand still. -XEN_EINVAL from unpause
 * when it is not paused so. */
void domain_ctl_pause(struct domain *d);
int domain_ctl_unpause(struct domain *d);

/* Stops all vCPUs, keeps code for getdomaininfo, raises VIRQ_DOM_EXC in the first domain. When it
 * is the first domain, the machine goes off or starts again. Only the first call counts. */
void domain_shutdown(struct domain *d, uint32_t code);

/* One that has shut down goes on where it did (a checkpoint of it was made); nothing for others. */
void domain_resume(struct domain *d);

/* Ends the domain that did something it may not do: says why on the console, then as shutdown with
 * SHUTDOWN_crash. When it is the current one, it does not run again after the return to sched. */
void domain_crash(struct domain *d, const char *why, ...) __attribute__((format(printf, 2, 3)));

/* Tears down step by step; -XEN_ERESTART while there is more to do, -XEN_EBUSY while another CPU is
 * at it. Not for the current domain. */
int domain_kill(struct domain *d);

/* Calls fn for each domain, dying ones too, by ascending id, holding a reference meanwhile. */
void domain_for_each(void (*fn)(struct domain *d, void *ctx), void *ctx);

/* The first domain whose id is at least `from`, dying or not, with a reference; NULL: none. */
struct domain *domain_next(domid_t from);

/* As getdomaininfo tells it. */
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *out);

/* Gives a vCPU that does not run the state at ctx_va (a vcpu_guest_context of the caller's). 0 or
 * pv's and mm's errors, -XEN_ERESTART included. */
int vcpu_set_context(struct vcpu *v, uint64_t ctx_va);

#endif
