/* fake_control.h: a hypervisor for tests of control/: domains, frames, page-table types, ports.
 *
 * Implements amphi/host_control.h in a host program. It keeps Xen's rules that a builder can
 * break: a frame belongs to one domain, a page table is checked when it is pinned and must not be
 * mapped writable by anybody, limits hold, and nothing is left when a domain has gone. Any call can
 * be made to fail. Not a model of performance or of running guests.
 */
#ifndef TESTS_FAKE_CONTROL_H
#define TESTS_FAKE_CONTROL_H

#include <amphi/host_control.h>

#define FAKE_DOMAINS 8u
#define FAKE_PORTS   16u
#define FAKE_CPUS    4u
#define FAKE_PFNS    32768u

struct fake_domain {
	bool used, paused, context_set, dying, shut_down;
	domid_t id;
	unsigned max_vcpus, n_ports, shutdown_code;
	unsigned paused_times; /* pausedomain less unpausedomain, with that of the making */
	uint64_t map_end;      /* of its memory, as the builder told it */
	uint64_t cpu_time_ns, affinity[32];
	unsigned xsave_bytes, msrs; /* of its vCPU; 0: the hypervisor keeps none */
	uint64_t pages, max_pages;
	domid_t port_peer[FAKE_PORTS]; /* of port n; ports begin at 1 */
	uint64_t handle;               /* its first half */
	mfn_t shared_info, grant_frame, pinned;
	struct vcpu_guest_context context, second; /* of vCPUs 0 and 1 */
	unsigned extended_set;                     /* bits of vCPUs */
	uint32_t tsc_mode;
	uint8_t has_pfn[FAKE_PFNS / 8];
};

/* What host_read_versions tells from now on, of Xen 4.17; 0: ours. */
void fake_versions(uint32_t domctl, uint32_t sysctl);

/* Forgets everything; pages: machine memory for domains. */
void fake_reset(uint64_t pages);

/* The nth call from now on (1: the next) fails with err; 0: none. fake_calls counts all. */
void fake_fail_at(unsigned nth, int err);
unsigned fake_calls(void);

struct fake_domain *fake_domain(domid_t id); /* NULL: none */
unsigned fake_domain_count(void);

/* Aborts with a message when a domain, a frame or a mapping is left. */
void fake_expect_nothing_left(void);

/* Reads what the domain's own page tables show at va; false when it is not mapped, or when
 * write is asked for and it is read-only. */
bool fake_guest_read(domid_t id, uint64_t va, void *out, size_t len);
bool fake_guest_writable(domid_t id, uint64_t va);
bool fake_guest_frame(domid_t id, uint64_t va, mfn_t *out);
void *fake_frame(mfn_t mfn);

/* The domain shuts itself down (reason as in xen/sched.h); VIRQ_DOM_EXC is raised. */
void fake_shutdown(domid_t id, unsigned reason);

/* Other fakes': a domctl about devices (1: it is none), the machine's map; NULL: there are none such. */
extern int (*fake_device_domctl)(struct xen_domctl *op);
extern int (*fake_machine_map)(struct xen_memory_map *map);

/* ---- the inside: fake_versions.c for fake_control.c ---- */
int fake_vcpu_affinity(struct fake_domain *d, struct xen_domctl_vcpuaffinity *a, bool set);
int fake_vcpu_info(const struct fake_domain *d, struct xen_domctl_getvcpuinfo *i);
void fake_get_info(const struct fake_domain *d, struct xen_domctl_getdomaininfo *out);
int fake_set_extended(struct fake_domain *d, const struct xen_domctl_ext_vcpucontext *e);
int fake_vcpu_state(const struct fake_domain *d, struct xen_domctl *op);
int fake_get_context(const struct fake_domain *d, const struct xen_domctl_vcpucontext *v);

/* A small good kernel image: entry, notes, a data segment of bytes 0x5a, zero memory behind it.
 * Mapped at FAKE_KERNEL_BASE. */
#define FAKE_KERNEL_BASE 0xffffffff80000000ull
#define FAKE_KERNEL_DATA (FAKE_KERNEL_BASE + 0x110000)
const void *fake_kernel(size_t *out_len);

#endif
