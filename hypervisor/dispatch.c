/* dispatch.c: from a hypercall's number to its handler, alone or in a batch.
 *
 * The table comes from hypercalls.def. A handler that cannot finish leaves new arguments in the
 * vCPU and the guest makes the call again: either its registers are changed and rip steps back
 * over the syscall instruction, or, in a batch, the batch's entry is changed and the batch itself
 * restarts there. So there is no state of a half-done call outside the guest.
 *
 * Called by entry.S. Calls the handlers of all parts. Not here: what any of them does.
 */
#include <amphi/string.h>

#include "domain.h"
#include "guest.h"
#include "hypercall.h"
#include "percpu.h"
#include "smp.h"
#include "time.h"

#define SYSCALL_BYTES 2

struct call {
	long (*fn)(const uint64_t *arg);
	const char *name;
};

/* One small adapter a call, so that each handler has the arguments it wants and no others. */
#define ARGS_0(a)
#define ARGS_1(a) a[0]
#define ARGS_2(a) a[0], a[1]
#define ARGS_3(a) a[0], a[1], a[2]
#define ARGS_4(a) a[0], a[1], a[2], a[3]
#define CALL(name, args, mark, note)                                                               \
	static long call_##name(const uint64_t *arg)                                               \
	{                                                                                          \
		(void)arg;                                                                         \
		return hc_##name(ARGS_##args(arg));                                                \
	}
#define REFUSED(name, note)
#define SUB(name, sub, mark, note)
#include "hypercalls.def"
#undef CALL
#undef REFUSED

static const struct call calls[HYPERCALL_MAX] = {
#define CALL(name, args, mark, note) [__HYPERVISOR_##name] = {call_##name, #name},
#define REFUSED(name, note)          [__HYPERVISOR_##name] = {NULL, #name},
#include "hypercalls.def"
#undef CALL
#undef REFUSED
#undef SUB
};

static uint64_t counts[HYPERCALL_MAX];

const char *hypercall_name(unsigned op)
{
	return op < HYPERCALL_MAX && calls[op].name ? calls[op].name : "?";
}

uint64_t hypercall_count(unsigned op)
{
	return op < HYPERCALL_MAX ? __atomic_load_n(&counts[op], __ATOMIC_RELAXED) : 0;
}

long hypercall_restart(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct vcpu_hypercall *c = &current_vcpu()->call;

	*c = (struct vcpu_hypercall){.restart = true, .arg = {a0, a1, a2, a3}};
	return 0;
}

bool hypercall_preempt(void)
{
	return sched_preempt_pending();
}

/* Those that touch the vCPU that calls and its guest's memory, and nothing that others change: they
 * go without the hypervisor's lock. */
#define OWN(name) (1ull << __HYPERVISOR_##name)
static const uint64_t own_calls = OWN(iret) | OWN(stack_switch) | OWN(fpu_taskswitch) |
				  OWN(set_segment_base) | OWN(set_callbacks) | OWN(set_debugreg) |
				  OWN(get_debugreg) | OWN(xen_version);

long hypercall_run(uint64_t op, const uint64_t arg[6])
{
	current_vcpu()->call.restart = false;
	if (op >= HYPERCALL_MAX || !calls[op].fn)
		return -XEN_ENOSYS;
	if (!(own_calls >> op & 1))
		hv_enter();
	__atomic_fetch_add(&counts[op], 1, __ATOMIC_RELAXED);
	return calls[op].fn(arg);
}

void hypercall_from_guest(struct guest_regs *regs)
{
	struct vcpu_hypercall *c = &current_vcpu()->call;
	uint64_t op = regs->rax;
	uint64_t arg[6] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
	long result;

	count(CNT_HYPERCALLS);
	result = hypercall_run(op, arg);
	if (!c->restart) {
		regs->rax = (uint64_t)result;
		return;
	}
	regs->rdi = c->arg[0];
	regs->rsi = c->arg[1];
	regs->rdx = c->arg[2];
	regs->r10 = c->arg[3];
	regs->rip -= SYSCALL_BYTES;
}

/* ---- multicall ------------------------------------------------------------------------- */

/* One entry. 1 when it wants to go on later: its arguments in the batch are the new ones. What
 * makes no sense within a batch: batches, and calls that replace the register frame. */
static int run_entry(uint64_t va)
{
	struct vcpu_hypercall *c = &current_vcpu()->call;
	struct multicall_entry e;

	if (guest_read(&e, va))
		return -XEN_EFAULT;
	c->restart = false;
	if (e.op == __HYPERVISOR_multicall || e.op == __HYPERVISOR_iret)
		e.result = (xen_ulong_t)-XEN_EINVAL;
	else
		e.result = (xen_ulong_t)hypercall_run(e.op, e.args);
	if (!c->restart)
		return guest_write(va + offsetof(struct multicall_entry, result), &e.result);
	memcpy(e.args, c->arg, sizeof(c->arg));
	return guest_write(va + offsetof(struct multicall_entry, args), &e.args) ? -XEN_EFAULT : 1;
}

/* Who asks for the CPU waits for this many entries, each of which looks by itself when it is long. Not after the first: it may be
 * the notification that made somebody ready, and the last the wait that gives him the CPU. */
#define LOOK_EVERY 8u

/* A batch goes on past an entry that fails; it ends early when its own memory cannot be reached, or
 * when an entry ended the domain. */
long hc_multicall(uint64_t list_va, uint64_t n)
{
	struct vcpu_hypercall *c = &current_vcpu()->call;
	uint64_t i;
	int status = 0;

	for (i = 0; i < n && !(i % LOOK_EVERY == LOOK_EVERY - 1 && hypercall_preempt()); i++) {
		status = run_entry(list_va + i * sizeof(struct multicall_entry));
		if (status || current_domain()->shut_down)
			break;
	}
	c->restart = false;
	if (status < 0)
		return status;
	if (i < n && !current_domain()->shut_down)
		return hypercall_restart(list_va + i * sizeof(struct multicall_entry), n - i, 0, 0);
	return 0;
}
