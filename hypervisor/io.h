/* io.h: what of the hardware a domain may touch: I/O ports, I/O memory, interrupts.
 *
 * io.c keeps the rights, physdev.c has the hypercall, pirq.c the interrupts, irq.c their vectors.
 * Callers: domain_end.c (teardown), domctl (permissions), mm (io_mem_allowed), event (a pirq's
 * binding), emulate.c (ports), console. Rights are of a domain, not of a vCPU; only IOPL is.
 * hc_*: see pv.h.
 */
#ifndef HV_IO_H
#define HV_IO_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "lock.h"

struct domain;
struct vcpu;

#define IO_MEM_RANGES 32u
#define IO_PIRQS      128u

struct io_mem_range {
	uint64_t first, last; /* machine frames, both included */
};

struct domain_pirq; /* pirq.c's */

struct domain_io {
	spinlock_t lock;
	uint8_t *ports; /* 8 KiB bitmap, 1: allowed; NULL: none */
	unsigned range_count;
	struct io_mem_range ranges[IO_MEM_RANGES];
	struct domain_pirq *pirq; /* IO_PIRQS entries; NULL: none yet */
	bool pirq_permitted[IO_PIRQS];
};

/* A new domain, all zeros, has no rights. */
void io_domain_teardown(struct domain *d); /* releases pirqs, masks their sources */

/* Domctl's permissions; last is included. -XEN_EINVAL, -XEN_ENOSPC. */
int io_port_permit(struct domain *d, uint32_t first, uint32_t last, bool allow);
int io_mem_permit(struct domain *d, mfn_t first, mfn_t last, bool allow);
int io_irq_permit(struct domain *d, uint32_t pirq, bool allow);

bool io_port_allowed(struct domain *d, uint32_t port, unsigned bytes);
/* Whether d may map mfn, which is not RAM (the caller knows). Never frames of the LAPIC, IO-APIC.
 */
bool io_mem_allowed(struct domain *d, mfn_t mfn);

/* For EVTCHNOP_bind_pirq and close: -XEN_EINVAL when d has no such pirq, -XEN_EBUSY when it is
 * bound. */
int io_pirq_bind(struct domain *d, uint32_t pirq);
void io_pirq_unbind(struct domain *d, uint32_t pirq);
/* How many pirqs of d are mapped. */
uint32_t io_pirqs_mapped(const struct domain *d);

/* hypercalls */
long hc_physdev_op(uint64_t cmd, uint64_t arg_va);
long hc_console_io(uint64_t cmd, uint64_t count, uint64_t buf_va);

/* console.c: one line to the console, with "[hv] " before and a newline after; any context. */
void hv_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Our own bug: prints and stops the machine. */
void hv_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define HV_ASSERT(cond)                                                                            \
	((cond) ? (void)0 : hv_panic("assertion failed: %s (%s:%d)", #cond, __FILE__, __LINE__))
/* sysctl readconsole: copies up to cap bytes of our own log's ring, from place *from on, or, when that is not kept, the oldest; *from is then behind
 * them. clear: what is there is not kept for a later look. Returns how many. */
uint32_t console_read_log(char *out, uint32_t cap, uint32_t *from, bool clear);

/* Ends the machine: reboot or off. Does not return. */
void machine_reboot(void) __attribute__((noreturn));
void machine_off(void) __attribute__((noreturn));

#endif
