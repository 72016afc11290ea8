/* iommu_device.h: which domain has which function of the machine, and what the function reaches of memory.
 *
 * The hypervisor owns the units; the first domain says who gets a function (domctl assign_device); the owner fills its IO
 * spaces (iospace*.c). A function belongs to the first domain, to nobody, or to a domain, and is at each moment in one place:
 *
 *     first domain, passed <--- given from nobody --- nobody, reaches nothing <--- taken from ---.
 *              '------------------------- given to ------------------------------> a domain: its context 0, or
 *                                                                                  a space of iospace*.c
 *
 * So what a domain left going in a device never reaches memory as the first domain's: between two owners it reaches nothing.
 * Context 0 of a domain is empty, or, when it was made with XEN_DOMCTL_CDF_iommu, its own memory at machine addresses
 * (iommu_own.c). Callers: boot, domctl, physdev, page_type.c, iospace*.c, with the lock around the hypervisor held, which is
 * also what lets one call at a time into iommu/. Errors: 0 or negative XEN_Exxx; -XEN_EIO: a unit did not answer, and the
 * function and the pages stay where they are in the books.
 */
#ifndef HV_IOMMU_DEVICE_H
#define HV_IOMMU_DEVICE_H

#include <amphi/iommu.h>
#include <amphi/types.h>
#include <amphi/xen.h>

struct domain;
struct page_info;
struct iospace_context; /* iospace*.c's */

struct io_device {
	struct io_device *next; /* all there are, by bdf */
	struct domain
	    *owner; /* NULL: nobody. No reference: a domain loses its functions before it ends */
	struct iommu *unit;              /* NULL: there is none that it is behind */
	struct iommu_space *space;       /* that it is in; NULL: none */
	struct iospace_context *context; /* iospace*.c's; NULL: its owner's context 0 */
	struct io_faults {
		uint64_t second; /* when */
		uint32_t n;      /* how many in it */
	} faults;                /* iommu_fault.c's */
	uint16_t bdf;
	struct iommu_names names; /* what its requests may come as */
	bool passed;              /* in no space, and reaches all memory: the first domain's only */
	bool warned;              /* it was given away without a unit, and that was said */
	bool bridge;
	bool
	    lends; /* a bridge by whose own number those behind it send: it has nothing to send itself */
};

/* One of a domain's own memory, for one unit. */
struct own_space {
	struct own_space *next;
	struct iommu_space *space;
	struct iommu *unit;
	struct domain *domain;
	uint64_t walked;  /* frames below are in */
	uint32_t counted; /* of its tables, against the domain's limit */
	uint32_t undone;  /* unmaps since empty tables were looked for */
	bool lost;        /* a flush failed: what was ever in it may still be reached */
	bool full;        /* that there is no room was said */
};

struct domain_iommu {
	bool own_memory; /* context 0 is the domain's memory */
	bool in_step;    /* and it is there: page_type.c says what changes */
	uint32_t n_devices;
	struct own_space *own;
	struct lent **lent; /* iommu_lent.c's; NULL: nothing is */
	uint32_t n_lent;
};

/* ---- boot: iommu_boot.c --------------------------------------------------------------- */

/* Finds the units and turns them on, as `iommu=` says: "on" (also when it is not said): those there are, none is in order;
 * "off": none; "required": the machine stops when there are none. No function reaches memory from then on. */
void iommu_boot(void);
/* The first domain is there: all functions that configuration space shows are its, passed. */
void iommu_boot_devices(struct domain *first);
bool iommu_is_on(void);  /* there are units, and they are used */
bool iommu_is_off(void); /* "off" was said */
/* Whether a machine frame holds registers of a unit, which are nobody's to map. */
bool iommu_owns_frame(mfn_t mfn);
/* How many pages are the units': tables of all kinds, queues. */
uint32_t iommu_pages_used(void);

/* ---- functions: iommu_device.c -------------------------------------------------------- */

struct io_device *io_device_find(uint16_t bdf);
/* The function, if it is d's; NULL. */
struct io_device *io_device_of(const struct domain *d, uint16_t bdf);
/* d's functions one by one, by bdf: the one after `after` (NULL: the first); NULL: no more. */
struct io_device *io_device_next(const struct domain *d, const struct io_device *after);
struct io_device *io_device_each(const struct io_device *after); /* whoever's */

/* One that is there, or has appeared: the first domain's, passed. 0 also when it is known. -XEN_ENOMEM, -XEN_EIO. */
int io_device_add(uint16_t bdf);
/* It is gone from the machine, or never was: forgotten. -XEN_ENODEV; -XEN_EBUSY: a domain has it. */
int io_device_remove(uint16_t bdf);

/* From where it is to `to` (NULL: nobody), in its context 0. Its owner's iospace hears of it first. -XEN_EBUSY: another domain has one that
 * sends by the same number; -XEN_ERESTART: context 0 is not whole yet, call again; nothing has changed on either. On an error after
 * that it is nobody's. */
int io_device_give(struct io_device *dev, struct domain *to);

/* To a space of its unit, or (NULL) to its owner's context 0: from the return on it sees that and nothing else. What firmware
 * keeps for it is in the space then. -XEN_EEXIST: something else is where a reserved range has to be; -XEN_EBUSY: one that sends by the
 * same number is somewhere else; on these, -XEN_ERESTART and -XEN_EIO it stays where it is; -XEN_EXDEV: another unit's space, -XEN_ENOMEM: it sees nothing then. dev->context is the
 * caller's to set. */
int io_device_enter(struct io_device *dev, struct iommu_space *space);

/* Takes all functions of a dying domain away, then what was mapped for them: its vCPUs do not run any more, its pages are
 * still its own. -XEN_EIO: some cannot be had back, so neither can its memory. */
int io_devices_teardown(struct domain *d);

/* ---- who is one to a unit: iommu_sender.c ---------------------------------------------- */

/* Fills names, bridge and lends of one that is new. */
void io_sender_find(struct io_device *dev);
/* What a function sends as: its own number, if it is not known. */
uint16_t io_sender(uint16_t bdf);
/* The others, but bridges, that may send by a number of dev's, one by one, as io_device_next. */
struct io_device *io_sender_next(const struct io_device *dev, const struct io_device *after);
/* One of them that belongs to another domain than `to`: as long as it does dev cannot be to's. NULL: none. */
struct io_device *io_sender_of_another(const struct io_device *dev, const struct domain *to);
/* The first that may send by this number; NULL: none that is known. */
struct io_device *io_sender_first(uint16_t sender);

/* ---- memory that firmware keeps for functions: iommu_kept.c --------------------------- */

/* What is kept for a function that has one of these numbers is in the space at the same addresses. -XEN_EEXIST, -XEN_ENOMEM. */
int io_kept_map(struct iommu_space *space, const struct iommu_names *names);
/* NULL: nothing of it stands against another owner; else why not, and (or NULL) because of which other function. */
const char *io_kept_check(const struct io_device *dev, bool relaxed,
			  const struct io_device **out_other);

/* ---- what iospace*.c does about it: weak in iommu_device.c, so that it may be left out -- */

/* dev, which has a context, has left its space and is leaving its owner: it goes out of iospace's books, dev->context is NULL. */
void iospace_lose(struct io_device *dev);
/* A dying domain has no function any more: its contexts end, and give the pages back. */
int iospace_teardown(struct domain *d);
/* Tells d of a fault of one of its functions. In an interrupt: does not wait, and may be called often. */
void iospace_fault(struct domain *d, const struct iommu_fault *fault);

/* ---- context 0 as the domain's own memory: iommu_own.c -------------------------------- */

/* Makes d's space for this unit whole: piece by piece, -XEN_ERESTART between them. *out_space is it when that is done. */
int iommu_own_space(struct domain *d, struct iommu *unit, struct iommu_space **out_space);
/* The spaces end; no function is in them. -XEN_EIO. */
int iommu_own_end(struct domain *d);

/* For page_type.c, with mm's lock held, of a page whose owner is in step: it becomes writable; it stops being so, or leaves its
 * owner: then it is out, and flushed, on return. -XEN_ENOMEM; -XEN_EIO: nobody may use it as anything else. */
int iommu_own_join(struct page_info *page);
int iommu_own_leave(struct page_info *page);

/* iommu_quota.c: what a space of d's may take of our memory, in pages; and what it takes is counted, and limited by what is left. */
uint32_t iommu_own_most(const struct domain *d);
void iommu_own_count(struct own_space *s);

/* The frame is in the space with these rights from the return on, 0: out, and flushed. -XEN_ENOMEM, -XEN_EIO. */
int iommu_own_set(struct own_space *s, mfn_t mfn, unsigned rights);

/* ---- others' frames in it: iommu_lent.c ----------------------------------------------- */

/* For grant_map.c: d, in step, maps another's frame, of which the caller holds a reference (and a use, to write); and no more: it is
 * out, and flushed, on return. -XEN_ENOMEM; -XEN_EIO: what is held stays held. */
int iommu_lend(struct domain *d, mfn_t mfn, bool readonly);
int iommu_unlend(struct domain *d, mfn_t mfn, bool readonly);
/* All that is lent is in a new space too. */
int iommu_lent_enter(struct domain *d, struct own_space *s);

/* ---- faults: iommu_fault.c ------------------------------------------------------------ */

/* From now on each fault is told: to the console, a few a second for each function, and to iospace. */
void iommu_fault_listen(void);

/* A line for people about all functions (debug key). */
void io_devices_dump(void);

#endif
