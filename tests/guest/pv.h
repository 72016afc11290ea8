/* pv.h: what the test guests share: entry, hypercalls, printing. A PV kernel in one header.
 *
 * A guest is one C file that includes this and has guest_main; tests/qemu/hv_*_test.sh builds it
 * with the compiler alone and boots it as the first domain. It is linked at 0, so a frame number
 * and an address differ by a shift. Not here: anything of our own kernel, which is under test
 * elsewhere.
 */
#ifndef GUEST_PV_H
#define GUEST_PV_H

#include <amphi/xen.h>
#include <xen/io/console.h>

#define NOTE(type, desc)                                                                           \
	__asm__(".pushsection .note.Xen, \"a\", @note\n\t.balign 4\n\t"                            \
		".long 4, 2f - 1f, " #type "\n\t.asciz \"Xen\"\n1:\t" desc "\n2:\t.balign 4\n"     \
		".popsection")
NOTE(6, ".asciz \"test-guest\"");
NOTE(5, ".asciz \"xen-3.0\"");
NOTE(8, ".asciz \"generic\"");
NOTE(3, ".quad 0");
NOTE(4, ".quad 0");
NOTE(1, ".quad _start");
NOTE(2, ".quad hypercall_page");
NOTE(9, ".asciz \"yes\"");
NOTE(10, ".asciz \"!writable_page_tables|pae_pgdir_above_4gb\"");

__asm__(".globl _start, hypercall_page\n"
	"_start:\n\tleaq stack_end(%rip), %rsp\n\tmovq %rsi, %rdi\n\tcall guest_main\n\tud2\n"
	".bss\n.balign 16\n.skip 16384\nstack_end:\n.text\n"
	".balign 4096\nhypercall_page:\n\t.skip 4096\n");

extern char hypercall_page[];
void guest_main(struct start_info *si);

static inline long hypercall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("call *%[to]"
			 : "=a"(r), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
			 : [to] "r"(hypercall_page + nr * 32)
			 : "rcx", "r11", "r8", "r9", "memory");
	return r;
}

/* Of a domain that is not the first, from pv_console_begin() on: the hypervisor prints nothing for it. */
static struct xencons_interface *pv_console;
static evtchn_port_t pv_console_port;

static inline void pv_console_begin(const struct start_info *si)
{
	const uint64_t *machine_to_phys = (const uint64_t *)HYPERVISOR_VIRT_START;

	if (si->flags & SIF_INITDOMAIN)
		return;
	pv_console = (struct xencons_interface *)(machine_to_phys[si->console.domU.mfn] << 12);
	pv_console_port = si->console.domU.evtchn;
}

/* Waits for room when the ring is full; whoever reads it is another domain, which wants the CPU. */
static inline void print_to_ring(const char *s, uint64_t n)
{
	struct evtchn_send send = {.port = pv_console_port};
	volatile XENCONS_RING_IDX *in = &pv_console->out_cons;

	while (n) {
		while (pv_console->out_prod - *in == sizeof(pv_console->out))
			hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
		pv_console->out[pv_console->out_prod % sizeof(pv_console->out)] = *s++;
		__atomic_store_n(&pv_console->out_prod, pv_console->out_prod + 1, __ATOMIC_RELEASE);
		n--;
	}
	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0, 0);
}

static inline void print_n(const char *s, uint64_t n)
{
	if (pv_console)
		print_to_ring(s, n);
	else
		hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, n, (uint64_t)s, 0);
}

static inline uint64_t length(const char *s)
{
	uint64_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline void print(const char *s)
{
	print_n(s, length(s));
}

static inline void print_number(const char *name, uint64_t v)
{
	char text[24];
	unsigned at = sizeof(text);

	text[--at] = '\n';
	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	print(name);
	print_n(text + at, sizeof(text) - at);
}

static inline void check(const char *what, int ok)
{
	print(ok ? "ok " : "FAILED ");
	print(what);
	print("\n");
}

static inline void end(unsigned reason)
{
	struct sched_shutdown s = {.reason = reason};

	hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&s, 0, 0);
	for (;;)
		;
}

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* The table that an entry of a table leads to, in a domain whose memory is mapped at 0. */
static inline uint64_t *table_at(uint64_t entry)
{
	const volatile uint64_t *machine_to_phys = (const uint64_t *)HYPERVISOR_VIRT_START;

	return (uint64_t *)(machine_to_phys[(entry & 0xffffffffff000ull) >> 12] << 12);
}

/* Nanoseconds of the hypervisor's clock, by the numbers of the vCPU that reads it. */
static inline uint64_t clock_of(const volatile struct vcpu_time_info *t)
{
	uint32_t version;
	uint64_t ns;

	do {
		version = t->version;
		__asm__ volatile("" ::: "memory");
		ns = tsc() - t->tsc_timestamp;
		ns = t->tsc_shift < 0 ? ns >> -t->tsc_shift : ns << t->tsc_shift;
		ns = (uint64_t)((unsigned __int128)ns * t->tsc_to_system_mul >> 32);
		ns += t->system_time;
		__asm__ volatile("" ::: "memory");
	} while (version != t->version || (version & 1));
	return ns;
}

#endif
