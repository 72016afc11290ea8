/* pv.h: a vCPU as a paravirtual guest sees it: registers, traps, callbacks, kernel and user mode.
 *
 * Both of a guest's modes run in ring 3; kernel_mode says which is on. pv.c keeps the state and has
 * the hypercalls; pv_bounce.c builds the frames a guest receives; pv_context.c switches FPU,
 * segments and debug registers between vCPUs. Callers: entry.S, trap.c, sched.c, dispatch,
 * domain.c.
 *
 * hc_* are hypercalls: arguments as the guest gave them, result 0 or -XEN_Exxx, current vCPU.
 * hc_iret writes the whole frame and returns the RAX it put there. What is not promised: 32-bit
 * guests (kernel or user with CS32 may run; callbacks are 64-bit).
 */
#ifndef HV_PV_H
#define HV_PV_H

#include <amphi/types.h>
#include <amphi/xen.h>

struct vcpu;

#define PV_ASSIST(a) (1ull << VMASST_TYPE_##a)

/* All that a 64-bit guest may ask for by vm_assist. Segments of 4 GiB are of 32 bits and PAE is always on,
 * but kernels ask for them without looking at the answer. */
#define PV_ASSISTS                                                                                 \
	(PV_ASSIST(4gb_segments) | PV_ASSIST(4gb_segments_notify) |                                \
	 PV_ASSIST(writable_pagetables) | PV_ASSIST(pae_extended_cr3) |                            \
	 PV_ASSIST(architectural_iopl) | PV_ASSIST(runstate_update_flag) | PV_ASSIST(m2p_strict))

/* In vm_assist: the I/O privilege level is kept in frames and changed by iret, as on a CPU. */
#define PV_ARCHITECTURAL_IOPL (1ull << VMASST_TYPE_architectural_iopl)

/* As entry.S pushes it, straight into the vCPU: TSS.rsp0 and the syscall stub point behind ss. For
 * any vCPU that is not running just now this is the whole truth about its integer registers. */
struct guest_regs {
	uint64_t pad; /* keeps the end of ss, the top of the entry stack, aligned to 16 */
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint32_t error_code, vector;
	uint64_t rip, cs, rflags, rsp, ss;
} __attribute__((aligned(16)));

enum pv_callback { PV_CB_EVENT, PV_CB_FAILSAFE, PV_CB_SYSCALL, PV_CB_SYSCALL32, PV_CB_COUNT };

struct vcpu_pv {
	struct guest_regs regs;
	bool kernel_mode;
	bool ts;                          /* the guest's CR0.TS, set by fpu_taskswitch */
	bool nmi_pending;                 /* atomic: any vCPU may send one */
	bool nmi_masked;                  /* one is being handled: until the next iret */
	uint8_t iopl;                     /* as the guest believes: 0..3 */
	uint64_t cr4;                     /* as the guest believes; only bits it may choose */
	uint64_t callback[PV_CB_COUNT];   /* 0: none */
	bool callback_masks[PV_CB_COUNT]; /* events are masked on the way in */
	uint64_t kernel_sp;
	uint16_t ds, es, fs, gs; /* valid while not loaded */
	uint64_t fs_base, gs_base_kernel,
	    gs_base_user; /* fs and the active gs valid while not loaded */
	uint64_t dr[8];
	uint64_t iobmp_va; /* set_iobitmap: guest address, and for how many ports */
	uint32_t iobmp_ports;
	struct trap_info traps[256]; /* address 0: none */
	void *fpu;                   /* FXSAVE or XSAVE image, aligned to 64 */
	uint64_t xcr0;
};

/* Ready to be given a context. 0, -XEN_ENOMEM. */
int pv_vcpu_init(struct vcpu *v);
void pv_vcpu_teardown(struct vcpu *v);

/* setvcpucontext/getvcpucontext/VCPUOP_initialise: all but page tables, GDT and LDT, which are
 * mm's. The vCPU is paused or was never run. pv_set_context checks first: -XEN_EINVAL and nothing
 * changed. pv_get_context writes its own fields only. */
int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx);
void pv_get_context(struct vcpu *v, struct vcpu_guest_context *out_ctx);

/* Exceptions for the current vCPU's guest: queued into its kernel's frame at once. A guest without
 * a handler, or without a usable stack, is crashed. */
void pv_inject(struct vcpu *v, unsigned vector, uint32_t error_code);
void pv_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code);

/* The guest's `int n`, its RIP already behind it. */
void pv_inject_software(struct vcpu *v, unsigned vector);

/* On the way to the guest: delivers an NMI, and an upcall when one is pending and not masked. */
void pv_deliver_events(struct vcpu *v);

/* An NMI for v, unless one is pending already. Whether there is one that it can be given now: looked
 * at with the hypervisor's lock only, so whoever makes it so holds that. As with a CPU's line, a
 * second one waits for the iret of the first. */
void pv_send_nmi(struct vcpu *v);
static inline bool pv_nmi_due(const struct vcpu_pv *pv)
{
	return __atomic_load_n(&pv->nmi_pending, __ATOMIC_SEQ_CST) && !pv->nmi_masked;
}

/* From guest user mode to guest kernel mode or back: page tables and GS. */
void pv_toggle_mode(struct vcpu *v);

/* Whether the guest, in its present mode, may use I/O instructions on all ports by IOPL. */
bool pv_iopl_ok(const struct vcpu *v);

/* Tells the guest that one of its data selectors could not be loaded. */
void pv_failsafe(struct vcpu *v);

/* The syscall instruction in guest user mode (compat: from 32-bit code). */
void pv_guest_syscall(struct vcpu *v, bool compat);

/* What a guest asks for, made harmless: RPL 3; flags with interrupts on, IOPL 0, no VM, NT, RF. */
static inline uint16_t pv_fix_selector(uint16_t sel)
{
	return sel | 3;
}
static inline uint16_t pv_fix_data_selector(uint16_t sel)
{
	return sel < 4 ? sel : sel | 3;
}
uint64_t pv_fix_rflags(uint64_t rflags);

/* Puts changed debug registers into the CPU when v's are there. */
void pv_sync_debug(struct vcpu *v);

/* pv_context.c: unload copies FPU, segments, bases out of the CPU; load puts them in. */
void pv_unload(struct vcpu *v);
void pv_load(struct vcpu *v);

/* hypercalls */
long hc_set_trap_table(uint64_t traps_va);
long hc_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall);
long hc_callback_op(uint64_t cmd, uint64_t arg_va);
long hc_nmi_op(uint64_t cmd, uint64_t arg_va);
long hc_stack_switch(uint64_t ss, uint64_t sp);
long hc_iret(void);
long hc_fpu_taskswitch(uint64_t set);
long hc_set_segment_base(uint64_t which, uint64_t base);
long hc_set_debugreg(uint64_t reg, uint64_t value);
long hc_get_debugreg(uint64_t reg);

#endif
