/* hypercall.h: how a hypercall gets from the entry code to its handler and back.
 *
 * Two sides. entry.S calls hypercall_from_guest; handlers, hc_NAME(arguments as uint64_t), live
 * with the part they belong to and are declared in its header, those of domain and version matters
 * here. hypercalls.def is the one list of them, and of what each promises.
 *
 * Error rule: a handler returns >= 0 or a negative XEN_Exxx; nonsense gives an error to the caller
 * or ends the caller (domain_crash), and nothing else. A handler decodes and checks, then acts, on
 * the current vCPU. Handlers do not block: a wait is a change of run state that takes effect on the
 * way out of the hypervisor.
 */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include <amphi/types.h>
#include <amphi/xen.h>

struct guest_regs;

/* "Not done yet, call again." Xen's headers keep this one from guests, and so do we: it is between
 * the parts of the hypervisor only. */
#ifndef XEN_ERESTART
#define XEN_ERESTART 85
#endif

#define HYPERCALL_MAX      64u /* numbers run from 0 to below this */
#define HYPERCALL_MAX_ARGS 4u  /* of those that can restart; no PV call has more than 5 */

/* In struct vcpu: where a handler leaves word that it wants to be called again. */
struct vcpu_hypercall {
	bool restart;
	uint64_t arg[HYPERCALL_MAX_ARGS];
};

/* The current vCPU's guest made a hypercall: runs it, sets rax; or, when the handler wants to go on
 * later, puts the new arguments into rdi, rsi, rdx, r10 and steps back over the instruction. */
void hypercall_from_guest(struct guest_regs *regs);

/* Runs call op on the current vCPU. -XEN_ENOSYS for numbers that have no handler. When
 * vcpu->call.restart is set on return the result means nothing. For tests and multicall. */
long hypercall_run(uint64_t op, const uint64_t arg[6]);

/* For handlers: `return hypercall_restart(a0, a1, a2, a3);` makes the guest repeat the call with
 * these arguments, after interrupts and other domains have had their turn. In a batch the arguments
 * go back into the batch. */
long hypercall_restart(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);

/* Whether a long handler should stop and restart. Handlers ask it after each element of a list,
 * never before the first, so that each call gets on. */
bool hypercall_preempt(void);

/* The call's name ("?" outside the table) and its count since start, for debug dumps. */
const char *hypercall_name(unsigned op);
uint64_t hypercall_count(unsigned op);

/* Writes the page of entry stubs a guest calls: 32 bytes for each number. */
void hypercall_page_fill(void *page);

/* The machine's command line, as XENVER_commandline tells the first domain; cut to fit. */
void version_set_command_line(const char *text);

/* What a debug key on the console or in sysctl does; unknown keys are said to be so. */
void debug_key(char key);

/* Handlers that belong to no part of their own: dispatch.c, version.c, vcpu_op.c, domctl.c,
 * sysctl.c, platform.c. Arguments in the order of Xen's public headers. */
long hc_multicall(uint64_t list_va, uint64_t count);
long hc_xen_version(uint64_t cmd, uint64_t arg_va);
long hc_vm_assist(uint64_t cmd, uint64_t type);
long hc_vcpu_op(uint64_t cmd, uint64_t vcpu_id, uint64_t arg_va);
long hc_platform_op(uint64_t op_va);
long hc_sysctl(uint64_t op_va);
long hc_domctl(uint64_t op_va);

#endif
