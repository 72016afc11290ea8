/* hv_vcpu_world.h: a domain with two vCPUs, and a CPU and board made of variables.
 *
 * For tests of the parts that run a vCPU: pv, traps, emulation, scheduler, timers, I/O rights. The
 * instructions no program may execute read and write struct world; memory management and events are
 * the least that these parts need. Implemented in hv_vcpu_world.c. (hv_fake.h is the other world:
 * real memory management and events, a fake scheduler.)
 */
#ifndef HV_VCPU_WORLD_H
#define HV_VCPU_WORLD_H

#include "hypervisor/cpu.h"
#include "hypervisor/domain.h"
#include "hypervisor/guest.h"
#include "hypervisor/percpu.h"

#define WORLD_BASE  0x400000ull /* guest addresses that are memory */
#define WORLD_BYTES 0x10000ull
#define WORLD_GSIS  24u

struct world {
	uint8_t memory[WORLD_BYTES];
	/* the CPU */
	uint64_t msr_fs_base, msr_kernel_gs, cr0, cr2, tsc, dr[8];
	bool fsgsbase;             /* as cpu_set_fsgsbase() was told */
	struct guest_regs *top;    /* what the entry stub would fill */
	uint16_t refused_selector; /* cpu_load_* refuse it */
	struct vcpu *activated;    /* last of mm_activate */
	unsigned unloads_seen;
	/* the board */
	uint8_t port[0x10000];
	unsigned port_writes;
	uint32_t config[64]; /* of the one PCI function, WORLD_BDF */
	struct {
		bool masked, level, low;
		uint8_t vector;
	} gsi[WORLD_GSIS];
	uint32_t device[1024]; /* a page of device memory, for MSI-X */
	/* what happened */
	/* a unit that looks at messages, and what it answers when it is asked */
	bool remaps;
	int remapping;
	unsigned n_remapped;
	uint8_t refused_vector;     /* by that unit; 0: none */
	struct io_device *function; /* WORLD_BDF's; NULL: nobody has told of it */
	unsigned added, removed;    /* functions: the last bdf told */
	unsigned crashes, shutdowns;
	uint32_t shutdown_code;
	unsigned virqs[2]; /* VIRQ_TIMER, by vCPU */
	unsigned pirqs[IO_PIRQS];
	uint64_t now_ns;
	uint64_t timer_due_ns; /* of the APIC */
	bool no_user_table;
	unsigned kicks[MAX_CPUS]; /* interrupts to other CPUs */
	char console[4096];
	size_t console_len;
};
extern struct world world;

#define WORLD_UNIT_FRAME 0xfed90ull /* an IOMMU's registers */
#define WORLD_BDF        0x0018u
#define WORLD_DEVICE     0xfeb00000ull /* machine address of device[] */
#define WORLD_MSI        0x40u         /* its capability */
#define WORLD_MSIX       0x60u

/* Everything new; vCPU 0 is current, loaded, in kernel mode, with a stack in memory. */
void world_start(bool privileged);
void world_end(void);
extern struct domain *world_domain;

/* The guest's memory at va, which must be in it. */
void *world_at(uint64_t va);
void world_put(uint64_t va, const void *from, size_t n);
#define WORLD_PUT(va, object) world_put((va), &(object), sizeof(object))

#endif
