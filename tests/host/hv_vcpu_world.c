/* hv_vcpu_world.c: the variables behind hv_vcpu_world.h, and the parts of the hypervisor that the
 * tests of a vCPU do without: memory management, events, ends of domains.
 *
 * Called by the hypervisor's files under test. A test that links a file of its own in place of one
 * here says WEAK is enough: everything here gives way to the real thing.
 */
#include "hv_vcpu_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/iommu.h>
#include <amphi/uart.h>

#include "hypervisor/mm_private.h"
#include "hypervisor/apic.h"
#include "hypervisor/boot.h"
#include "hypervisor/serial.h"
#include "hypervisor/smp.h"

#define WEAK __attribute__((weak))

struct world world;
struct domain *world_domain;
struct percpu hv_test_cpus[MAX_CPUS];
__thread unsigned hv_test_cpu;
uint32_t cpus_online = 1;
static struct shared_info *shared;
static struct domain idle_world = {.id = DOMID_IDLE};
static struct vcpu idle_world_vcpu = {.domain = &idle_world};

/* ---- the test's side ------------------------------------------------------------------- */

void *world_at(uint64_t va)
{
	if (va < WORLD_BASE || va >= WORLD_BASE + WORLD_BYTES)
		abort();
	return world.memory + (va - WORLD_BASE);
}

void world_put(uint64_t va, const void *from, size_t n)
{
	memcpy(world_at(va), from, n);
}

static struct vcpu *new_vcpu(unsigned id)
{
	struct vcpu *v = aligned_alloc(64, (sizeof(*v) + 63) / 64 * 64);

	memset(v, 0, sizeof(*v));
	v->domain = world_domain;
	v->id = id;
	v->initialised = true;
	v->events.info = &shared->vcpu_info[id];
	v->mm.root.v = 0x100 + id;
	sched_vcpu_init(v);
	if (pv_vcpu_init(v) != 0)
		abort();
	v->pv.regs.cs = HV_GUEST_CS64;
	v->pv.regs.ss = HV_GUEST_DS32;
	v->pv.regs.rip = WORLD_BASE;
	v->pv.regs.rsp = WORLD_BASE + 0x4000 + id * 0x1000;
	v->pv.regs.rflags = RFLAGS_IF | RFLAGS_FIXED;
	v->pv.kernel_sp = WORLD_BASE + 0x8000 + id * 0x1000;
	return v;
}

/* Bus 0, device 3: an MSI and an MSI-X capability. */
static void make_function(void)
{
	world.config[0] = 0x56781234;
	world.config[1] = 1u << 20;
	world.config[0x34 / 4] = WORLD_MSI;
	world.config[WORLD_MSI / 4] = 0x05 | WORLD_MSIX << 8 | 1u << 23;
	world.config[WORLD_MSIX / 4] = 0x11;
	world.config[WORLD_MSIX / 4 + 1] = 0x100;
}

void world_start(bool privileged)
{
	/* Time goes on and the CPUs' own timers stay, as the scheduler keeps them between tests. */
	uint64_t now = world.now_ns;
	struct hv_timer *timers[MAX_CPUS];

	for (unsigned i = 0; i < MAX_CPUS; i++)
		timers[i] = hv_test_cpus[i].timers;

	memset(&world, 0, sizeof(world));
	memset(hv_test_cpus, 0, sizeof(hv_test_cpus));
	hv_test_cpu = 0;
	cpus_online = 1;
	world.now_ns = now;
	world.timer_due_ns = ~0ull;
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		hv_test_cpus[i].self = &hv_test_cpus[i];
		hv_test_cpus[i].id = i;
		hv_test_cpus[i].timers = timers[i];
		hv_test_cpus[i].current = &idle_world_vcpu;
	}
	hv_test_percpu.current = hv_test_percpu.idle = &idle_world_vcpu;
	world.refused_selector = 0x1233;
	for (unsigned i = 0; i < WORLD_GSIS; i++)
		world.gsi[i].masked = true;
	make_function();
	shared = calloc(1, sizeof(*shared));
	world_domain = calloc(1, sizeof(*world_domain));
	world_domain->id = privileged ? 0 : 7;
	world_domain->privileged = privileged;
	world_domain->max_vcpus = 2;
	world_domain->refs = 1;
	world_domain->events.shared = shared;
	for (unsigned i = 0; i < 2; i++)
		world_domain->vcpu[i] = new_vcpu(i);
	hv_test_percpu.current = hv_test_percpu.loaded = world_domain->vcpu[0];
}

void world_end(void)
{
	io_domain_teardown(world_domain);
	for (unsigned i = 0; i < 2; i++) {
		sched_vcpu_teardown(world_domain->vcpu[i]);
		pv_vcpu_teardown(world_domain->vcpu[i]);
		free(world_domain->vcpu[i]);
	}
	free(world_domain);
	free(shared);
}

/* ---- the other CPUs: a test that has some is the one that asks and the one that answers ----- */

void hv_enter(void)
{
	this_cpu()->locked = true;
}
void hv_exit(void)
{
	this_cpu()->locked = false;
}
WEAK bool hv_wanted(void)
{
	return false;
}
WEAK void hv_breathe(void)
{
	abort(); /* nobody else would do anything meanwhile */
}
WEAK void cpu_kick(struct percpu *cpu)
{
	if (cpu != this_cpu())
		world.kicks[cpu - hv_test_cpus]++;
}
WEAK void cpus_ask(uint32_t mask, uint32_t what)
{
	unsigned self = hv_test_cpu;

	for (hv_test_cpu = 0; hv_test_cpu < MAX_CPUS; hv_test_cpu++)
		if ((mask >> hv_test_cpu & 1) && hv_test_cpu != self && (what & ASK_UNLOAD))
			sched_unload();
	hv_test_cpu = self;
}

/* ---- the CPU --------------------------------------------------------------------------- */

static uint64_t *msr(uint32_t number)
{
	static uint64_t other;

	return number == MSR_FS_BASE          ? &world.msr_fs_base
	       : number == MSR_KERNEL_GS_BASE ? &world.msr_kernel_gs
					      : &other;
}

uint64_t rdmsr(uint32_t number)
{
	return *msr(number);
}
void wrmsr(uint32_t number, uint64_t value)
{
	if (!cpu_canonical(value))
		abort(); /* the CPU would fault, in our own code */
	*msr(number) = value;
}
bool rdmsr_safe(uint32_t number, uint64_t *out)
{
	*out = number;
	return number != 0x8b;
}
uint64_t read_cr0(void)
{
	return world.cr0;
}
void write_cr0(uint64_t v)
{
	world.cr0 = v;
}
uint64_t read_cr2(void)
{
	return world.cr2;
}
void clear_ts(void)
{
	world.cr0 &= ~CR0_TS;
}
void debug_load(const uint64_t *dr)
{
	memcpy(world.dr, dr, sizeof(world.dr));
}
void debug_off(void)
{
	world.dr[7] = DR7_FIXED;
}
uint64_t debug_status(void)
{
	return DR6_FIXED | 1;
}
uint64_t rdtsc(void)
{
	return world.tsc;
}
/* A CPU that has everything. */
void cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
	if ((leaf & 0x7fffffff) == 0)
		out->eax = leaf | 0x20;
}
bool cpu_load_segment(enum segment_register which, uint16_t sel)
{
	return sel != world.refused_selector;
}
bool cpu_load_gs(uint16_t sel, uint64_t *out_base)
{
	*out_base = 0;
	return sel != world.refused_selector;
}
bool cpu_has_fsgsbase(void)
{
	return true;
}
void cpu_set_fsgsbase(bool on)
{
	world.fsgsbase = on;
}
void cpu_set_regs_top(uint64_t top)
{
	world.top = (struct guest_regs *)top - 1;
}
WEAK void cpu_wait(void)
{
	abort(); /* tests do not idle */
}
uint64_t cpu_fixup(uint64_t rip)
{
	return 0;
}

/* ---- the board ------------------------------------------------------------------------- */

static uint32_t *config_register(void)
{
	uint32_t address;
	static uint32_t none;

	memcpy(&address, &world.port[0xcf8], 4);
	none = ~0u;
	return address >> 31 && (address >> 8 & 0xffff) == WORLD_BDF
		   ? &world.config[address >> 2 & 63]
		   : &none;
}
uint32_t port_in(uint16_t port, unsigned bytes)
{
	uint32_t v = 0;

	if (port == 0xcfc && bytes == 4)
		return *config_register();
	if (port + bytes > 0x10000)
		abort();
	memcpy(&v, &world.port[port], bytes);
	return v;
}
void port_out(uint16_t port, unsigned bytes, uint32_t v)
{
	world.port_writes++;
	if (port == 0xcfc && bytes == 4)
		*config_register() = v;
	else if (port + bytes > 0x10000)
		abort();
	else
		memcpy(&world.port[port], &v, bytes);
}

/* Functions and IOMMUs: counted, and none. */
WEAK int io_device_add(uint16_t bdf)
{
	world.added = bdf;
	return 0;
}

WEAK int io_device_remove(uint16_t bdf)
{
	world.removed = bdf;
	return 0;
}

WEAK struct io_device *io_device_find(uint16_t bdf)
{
	return bdf == WORLD_BDF ? world.function : NULL;
}

WEAK bool iommu_owns_frame(mfn_t mfn)
{
	return mfn.v == WORLD_UNIT_FRAME;
}

WEAK void apic_eoi(void) {}
WEAK void apic_stop_others(void) {}
WEAK uint32_t apic_id(void)
{
	return 0;
}
WEAK void apic_timer_set(uint64_t due_ns)
{
	world.timer_due_ns = due_ns;
}
bool apic_owns_frame(mfn_t mfn)
{
	return mfn.v == 0xfee00;
}
bool ioapic_owns_frame(mfn_t mfn)
{
	return mfn.v == 0xfec00;
}
bool ioapic_has_gsi(uint32_t gsi)
{
	return gsi < WORLD_GSIS;
}
void ioapic_set_trigger(uint32_t gsi, bool level, bool active_low)
{
	world.gsi[gsi].level = level;
	world.gsi[gsi].low = active_low;
}
int ioapic_route(uint32_t gsi, unsigned vector)
{
	world.gsi[gsi].vector = (uint8_t)vector;
	return world.remapping;
}
int ioapic_unroute(uint32_t gsi)
{
	world.gsi[gsi].masked = true;
	return world.remapping;
}
WEAK uint16_t io_sender(uint16_t bdf)
{
	return bdf;
}
/* A unit that looks at messages, if the test says so. */
WEAK int iommu_interrupt_map(uint16_t bdf, uint8_t vector, uint32_t cpu, struct iommu_message *out)
{
	if (!world.remaps)
		return -XEN_ENXIO;
	*out = (struct iommu_message){.address = 0xfee00010 | (uint32_t)vector << 5};
	if (world.remapping || vector == world.refused_vector)
		return world.remapping ? world.remapping : -XEN_ENOMEM;
	world.n_remapped++;
	return 0;
}
WEAK int iommu_interrupt_unmap(uint16_t bdf, uint8_t vector)
{
	if (!world.remaps)
		return -XEN_ENOENT;
	if (world.remapping)
		return world.remapping;
	world.n_remapped--;
	return 0;
}
void ioapic_mask(uint32_t gsi, bool masked)
{
	world.gsi[gsi].masked = masked;
}
bool ioapic_is_level(uint32_t gsi)
{
	return world.gsi[gsi].level;
}
bool serial_owns_port(uint32_t port)
{
	return port - UART_COM1 < UART_PORTS;
}
void serial_init(bool wanted) {}
void serial_listen(void (*fn)(char c)) {}
void serial_put(const char *text, size_t n)
{
	for (size_t i = 0; i < n && world.console_len < sizeof(world.console) - 1; i++)
		world.console[world.console_len++] = text[i];
}
bool boot_option(const char *key, char *out, size_t cap)
{
	return false;
}
WEAK uint64_t time_now_ns(void)
{
	return world.now_ns;
}
WEAK uint32_t time_tsc_khz(void)
{
	return 1000000;
}
WEAK void time_vcpu_init(struct vcpu *v) {}
WEAK void time_vcpu_teardown(struct vcpu *v)
{
	timer_stop(&v->sched.poll);
}
WEAK void time_update_vcpu(struct vcpu *v) {}
WEAK void time_refresh_vcpu(struct vcpu *v) {}

/* ---- memory ---------------------------------------------------------------------------- */

bool guest_range_ok(uint64_t va, uint64_t bytes)
{
	uint64_t last;

	if (bytes == 0)
		return true;
	if (__builtin_add_overflow(va, bytes - 1, &last))
		return false;
	return last < 1ull << 47 || va >= HV_HOLE_END;
}
static bool in_memory(uint64_t va, size_t n)
{
	return va >= WORLD_BASE && n <= WORLD_BYTES && va - WORLD_BASE <= WORLD_BYTES - n;
}
int guest_copy_from(void *dst, uint64_t src, size_t n)
{
	if (n != 0 && !in_memory(src, n))
		return -XEN_EFAULT;
	if (n != 0)
		memcpy(dst, world_at(src), n);
	return 0;
}
int guest_copy_to(uint64_t dst, const void *src, size_t n)
{
	if (n != 0 && !in_memory(dst, n))
		return -XEN_EFAULT;
	if (n != 0)
		memcpy(world_at(dst), src, n);
	return 0;
}
uint64_t guest_fixup(uint64_t rip)
{
	return 0;
}
void *hv_alloc(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	memset(p, 0, size);
	return p;
}
void hv_free(void *p, size_t size)
{
	free(p);
}
void *hv_page_alloc(unsigned order)
{
	return calloc(1, PAGE_SIZE << order);
}
void hv_page_free(void *pages, unsigned order)
{
	free(pages);
}
void *hv_map_io(maddr_t maddr, uint64_t size)
{
	return maddr.v == WORLD_DEVICE ? world.device : NULL;
}
bool mfn_valid(mfn_t mfn)
{
	return mfn.v < 0x1000;
}
void mm_activate(struct vcpu *v)
{
	world.activated = v;
}
uint64_t frames_highest(void)
{
	return 0x1ffff; /* 512 MiB */
}

bool mm_toggle_user(struct vcpu *v)
{
	return v->pv.kernel_mode || !world.no_user_table;
}
bool mm_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code)
{
	return false;
}
uint64_t mm_gdt_base(const struct vcpu *v)
{
	return HV_PERDOMAIN_VIRT + v->id * HV_VCPU_AREA_SIZE;
}
/* The last page of the guest's memory is its page table. */
int mm_write_table(struct vcpu *v, uint64_t address, uint64_t value, bool compare,
		   uint64_t *expected)
{
	uint64_t now;

	if (address < WORLD_BASE + WORLD_BYTES - PAGE_SIZE || !in_memory(address, 8))
		return -XEN_EFAULT;
	memcpy(&now, world_at(address), 8);
	if (compare && now != *expected)
		return -XEN_EAGAIN;
	memcpy(world_at(address), &value, 8);
	return 0;
}

/* ---- events, domains ------------------------------------------------------------------- */

void event_send_virq(struct vcpu *v, unsigned virq)
{
	if (virq == VIRQ_TIMER)
		world.virqs[v->id]++;
	v->events.info->evtchn_upcall_pending = 1;
	vcpu_wake(v);
}
void event_send_global_virq(unsigned virq) {}
void event_send_pirq(struct domain *d, unsigned pirq)
{
	world.pirqs[pirq]++;
}
/* Port 5 is pending, ports from 4096 are none. */
int event_poll_begin(struct vcpu *v, const uint32_t *ports, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (ports[i] >= 4096)
			return -XEN_EINVAL;
	v->events.polled = EVENT_POLL_ANY;
	return count == 1 && ports[0] == 5;
}
void event_poll_end(struct vcpu *v)
{
	v->events.polled = EVENT_POLL_NOTHING;
}
void domain_shutdown(struct domain *d, uint32_t code)
{
	if (d->shut_down)
		return;
	d->shut_down = true;
	world.shutdowns++;
	world.shutdown_code = code;
	domain_pause(d);
}
void domain_crash(struct domain *d, const char *why, ...)
{
	world.crashes++;
	domain_shutdown(d, SHUTDOWN_crash);
}
struct domain *domain_get(domid_t id)
{
	if (id != DOMID_SELF && id != world_domain->id)
		return NULL;
	world_domain->refs++;
	return world_domain;
}
void domain_put(struct domain *d)
{
	d->refs--;
}
void domain_for_each(void (*fn)(struct domain *d, void *ctx), void *ctx)
{
	fn(world_domain, ctx);
}
bool hypercall_preempt(void)
{
	return false;
}
long hypercall_restart(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	abort();
}
void machine_stop(void);
void machine_stop(void)
{
	fputs(world.console, stderr);
	abort();
}
