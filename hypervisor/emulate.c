/* emulate.c: carries out a decoded privileged instruction for the current vCPU.
 *
 * Callers: trap.c, on #GP and #UD. Each op has a function in one table; false means that the guest
 * gets its fault after all, and nothing has changed. Guest kernels may do what pvops would have
 * asked for by hypercall; guest users only port I/O, with rights. Writes to page tables are in
 * emulate_table.c.
 */
#include <amphi/string.h>

#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "emulate_regs.h"
#include "guest.h"
#include "layout.h"
#include "percpu.h"

#define CR0_VIEW 0x80050033ull

/* As many bytes as can be had from RIP on, up to the longest instruction. */
unsigned emulate_fetch(const struct vcpu *v, uint8_t bytes[INSN_MAX])
{
	uint64_t rip = v->pv.regs.rip;
	unsigned in_page = (unsigned)(PAGE_SIZE - (rip & ~PAGE_MASK));

	if (guest_copy_from(bytes, rip, INSN_MAX) == 0)
		return INSN_MAX;
	if (in_page < INSN_MAX && guest_copy_from(bytes, rip, in_page) == 0)
		return in_page;
	return 0;
}

/* ---- ports ----------------------------------------------------------------------------- */

/* It lies in the kernel's address space, and is asked for in user mode. */
static bool read_port_map(struct vcpu *v, uint32_t port, uint8_t map[2])
{
	bool user = !v->pv.kernel_mode;
	int error;

	if (user)
		pv_toggle_mode(v);
	error = guest_copy_from(map, v->pv.iobmp_va + port / 8, 2);
	if (user)
		pv_toggle_mode(v);
	return error == 0;
}

/* By IOPL, or by the bitmap that the guest's kernel registered for its user mode; a 0 bit allows.
 */
static bool may_use_port(struct vcpu *v, uint32_t port, unsigned bytes)
{
	uint8_t map[2];

	if (port + bytes > 0x10000 || pv_iopl_ok(v))
		return port + bytes <= 0x10000;
	if (port + bytes > v->pv.iobmp_ports || !read_port_map(v, port, map))
		return false;
	return ((map[0] | map[1] << 8) >> (port & 7) & ((1u << bytes) - 1)) == 0;
}

/* A port that the domain has no right to answers as if nothing were there. */
static uint32_t guest_in(struct vcpu *v, uint32_t port, unsigned bytes)
{
	if (!io_port_allowed(v->domain, port, bytes))
		return bytes == 4 ? ~0u : (1u << 8 * bytes) - 1;
	return port_in((uint16_t)port, bytes);
}

static void guest_out(struct vcpu *v, uint32_t port, unsigned bytes, uint32_t value)
{
	if (io_port_allowed(v->domain, port, bytes))
		port_out((uint16_t)port, bytes, value);
}

static bool do_port(struct vcpu *v, const struct insn *i)
{
	uint32_t port = i->port_in_dx ? (uint16_t)v->pv.regs.rdx : (uint32_t)i->imm;

	if (!may_use_port(v, port, i->width))
		return false;
	if (i->op == INSN_IN)
		reg_write(&v->pv.regs, 0, i->width, guest_in(v, port, i->width));
	else
		guest_out(v, port, i->width, (uint32_t)v->pv.regs.rax);
	return true;
}

/* ---- the CPU's state ------------------------------------------------------------------- */

/* The caches are coherent; and the interrupt flag is the guest's event mask, guests know that. */
static bool do_nothing(struct vcpu *v, const struct insn *i)
{
	return true;
}

/* TS is the one bit of CR0 that is a guest's; kernels write it in all three ways. */
static bool do_clts(struct vcpu *v, const struct insn *i)
{
	(void)hc_fpu_taskswitch(0);
	return true;
}

/* What a kernel reads is what its hypercalls set, or what every 64-bit kernel has on. CR3 is the
 * machine's number, as the ABI has it. */
static bool do_read_cr(struct vcpu *v, const struct insn *i)
{
	const uint64_t values[] = {CR0_VIEW | (v->pv.ts ? CR0_TS : 0), 0, v->events.info->arch.cr2,
				   v->mm.root.v << PAGE_SHIFT, v->pv.cr4};

	if (i->reg >= ARRAY_SIZE(values))
		return false;
	reg_write(&v->pv.regs, i->rm, 8, values[i->reg]);
	return true;
}

/* CR4 bits that a guest may believe it has set; they change nothing. FSGSBASE is its own, where there is
 * such a thing: behind the back of a kernel that does not know of it, it must be off. */
#define CR4_GUEST (CR4_TSD | CR4_DE | CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

static bool write_cr4_of(struct vcpu *v, uint64_t value)
{
	uint64_t allowed = CR4_GUEST | (cpu_has_fsgsbase() ? CR4_FSGSBASE : 0);

	if (value & ~allowed)
		return false;
	v->pv.cr4 = value | CR4_PAE;
	cpu_set_fsgsbase(value & CR4_FSGSBASE);
	return true;
}

/* The others, CR3 above all, are changed by hypercall or not at all. */
static bool do_write_cr(struct vcpu *v, const struct insn *i)
{
	uint64_t value = reg_read(&v->pv.regs, i->rm, 8);

	if (i->reg == 0 && ((value ^ CR0_VIEW) & ~CR0_TS) == 0)
		return hc_fpu_taskswitch(value & CR0_TS) == 0;
	return i->reg == 4 && write_cr4_of(v, value);
}

static bool do_msr(struct vcpu *v, const struct insn *i)
{
	struct guest_regs *r = &v->pv.regs;
	uint64_t value = (uint32_t)r->rax | r->rdx << 32;

	if (i->op == INSN_WRMSR)
		return msr_write(v, (uint32_t)r->rcx, value);
	if (!msr_read(v, (uint32_t)r->rcx, &value))
		return false;
	r->rax = (uint32_t)value;
	r->rdx = value >> 32;
	return true;
}

static bool do_cpuid(struct vcpu *v, const struct insn *i)
{
	struct guest_regs *r = &v->pv.regs;
	struct cpuid_regs out;

	cpuid_for_guest(v, (uint32_t)r->rax, (uint32_t)r->rcx, &out);
	r->rax = out.eax;
	r->rbx = out.ebx;
	r->rcx = out.ecx;
	r->rdx = out.edx;
	return true;
}

/* A row with user_too is for both modes; with the others a program gets the fault it would get on a
 * machine, because in the CPU its kernel is in ring 3 as well. */
static const struct {
	bool (*fn)(struct vcpu *v, const struct insn *i);
	bool user_too;
} ops[] = {
    [INSN_IN] = {do_port, true},
    [INSN_OUT] = {do_port, true},
    [INSN_CLI] = {do_nothing, false},
    [INSN_STI] = {do_nothing, false},
    [INSN_CLTS] = {do_clts, false},
    [INSN_INVD] = {do_nothing, false},
    [INSN_WBINVD] = {do_nothing, false},
    [INSN_READ_CR] = {do_read_cr, false},
    [INSN_WRITE_CR] = {do_write_cr, false},
    [INSN_RDMSR] = {do_msr, false},
    [INSN_WRMSR] = {do_msr, false},
    [INSN_CPUID] = {do_cpuid, true},
};

/* RIP moves on before the work, so that a fault injected by it can set it back. */
bool emulate_privileged(struct vcpu *v)
{
	struct guest_regs *r = &v->pv.regs;
	uint8_t bytes[INSN_MAX];
	struct insn i;

	if (!code_is_64(r))
		return false;
	emulate_decode(bytes, emulate_fetch(v, bytes), &i);
	if (i.op >= ARRAY_SIZE(ops) || ops[i.op].fn == NULL ||
	    (!v->pv.kernel_mode && !ops[i.op].user_too))
		return false;
	r->rip += i.length;
	if (!ops[i.op].fn(v, &i)) {
		r->rip -= i.length;
		return false;
	}
	count(CNT_EMULATED);
	return true;
}

/* The ABI's own instruction: ud2, "xen", cpuid. A plain cpuid does not trap and shows the bare
 * machine, so a kernel that wants the view meant for it asks in this way. */
bool emulate_forced(struct vcpu *v)
{
	static const uint8_t forced_cpuid[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
	uint8_t bytes[sizeof(forced_cpuid)];

	if (guest_copy_from(bytes, v->pv.regs.rip, sizeof(bytes)) != 0 ||
	    memcmp(bytes, forced_cpuid, sizeof(bytes)) != 0)
		return false;
	v->pv.regs.rip += sizeof(bytes);
	count(CNT_EMULATED);
	return do_cpuid(v, NULL);
}
