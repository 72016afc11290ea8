/* pvops.h: every privileged operation of the kernel, whatever it runs on.
 *
 * Callers: the kernel and its drivers, as pv_NAME(...). Beneath: pvops/native.c (instructions) or
 * pvops/xen_pv.c (hypercalls and memory shared with the hypervisor). A call is compiled as an
 * indirect call through pv_ops with a record beside it; pvops_patch() turns each into a direct call
 * or the instruction itself. An operation that the platform does not fill is ud2.
 *
 * Errors: operations do not fail; one that the hypervisor refuses ends in pvops_refused (a bug of
 * ours). Context: any, unless said; irq operations on the CPU they mean. Rows: amphi/pvops.def.
 * Not promised: anything about an operation called before pvops_init_native() or pvops_init_xen_pv().
 */
#ifndef AMPHI_PVOPS_H
#define AMPHI_PVOPS_H

#include <amphi/types.h>

#define PV_FLAGS_IF (1ull << 9)

/* One trap gate for load_idt; handlers get the hardware's frame (PV: see entry_xen.S). */
struct pv_gate {
	uint8_t vector;
	uint8_t dpl;      /* who may raise it by int n: 0 or 3 */
	uint8_t irq_off;  /* enters with interrupts off */
	uint64_t handler; /* 0: no gate */
};

/* A program's TLS segments, and natively where in the table given to load_gdt set_ldt puts its descriptor, which
 * takes two entries. */
#define PV_TLS_ENTRIES 3u
#define PV_GDT_LDT     10u

/* The ports that a program may use: a 0 bit allows. Natively copied into the CPU's TSS (of that CPU alone; PV has
 * none, and looks here whenever the program uses a port: it must stay while it is in force). */
#define PV_PORTS 65536u
struct pv_ports {
	uint8_t denied[PV_PORTS / 8];
	uint64_t version; /* no other contents had it before; not 0 */
};
struct x86_tss_ports;

struct spinlock;                  /* amphi/spinlock.h */
typedef void spin_serve_fn(void); /* what a waiting CPU does between two looks at the lock */

/* ---- the table ---------------------------------------------------------------------- */

#define PV_GROUP(g) struct {
#define PV_GROUP_END(g)                                                                            \
	}                                                                                          \
	g;
#define PV_OP0(g, n, c, room, ret)                 ret (*n)(void);
#define PV_OP1(g, n, c, room, ret, t1, a1)         ret (*n)(t1 a1);
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2) ret (*n)(t1 a1, t2 a2);
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4)                                 \
	ret (*n)(t1 a1, t2 a2, t3 a3, t4 a4);
#define PV_VOID0(g, n, c, room)                 void (*n)(void);
#define PV_VOID1(g, n, c, room, t1, a1)         void (*n)(t1 a1);
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2) void (*n)(t1 a1, t2 a2);
#define PV_RAW(g, n, c, room)                   void (*n)(void);
struct pv_ops {
#include <amphi/pvops.def>
};

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                                 PV_##g##_##n,
#define PV_OP1(g, n, c, room, ret, t1, a1)                         PV_##g##_##n,
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                 PV_##g##_##n,
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4) PV_##g##_##n,
#define PV_VOID0(g, n, c, room)                                    PV_##g##_##n,
#define PV_VOID1(g, n, c, room, t1, a1)                            PV_##g##_##n,
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                    PV_##g##_##n,
#define PV_RAW(g, n, c, room)                                      PV_##g##_##n,
enum pv_op {
#include <amphi/pvops.def>
	PV_OP_COUNT
};
_Static_assert(sizeof(struct pv_ops) == 8 * PV_OP_COUNT, "the enum indexes the table of pointers");

extern struct pv_ops pv_ops;

/* ---- call sites (made by amphi/pvops_sites.h) --------------------------------------- */

/* What may follow a site: which registers the planner may change, or that it never returns. */
enum pv_class {
	PV_THIN,
	PV_FULL,
	PV_JUMP,
	PV_BARE,
	PV_OPERAND,
	PV_STORE = PV_OPERAND,
	PV_LOAD = PV_OPERAND,
	PV_AND = PV_OPERAND,
	PV_OR = PV_OPERAND,
	PV_INVLPG = PV_OPERAND
};

/* The record of a site, in section .pv_sites; 8 bytes. */
struct pv_site {
	int32_t offset; /* of the site from this member */
	uint16_t op;
	uint8_t room; /* bytes of the site */
	uint8_t class;
};

/* Of a site of class OPERAND, in section .pv_operands; what is what, amphi/pvops_sites.h says. */
#define PV_OPERAND_CODE 32
struct pv_operand {
	int32_t site;       /* from this member */
	uint8_t before_len, /* what is done before the call, then */
	    native_len,     /* the instruction that the site is natively, then */
	    after_len,      /* what is done after the call */
	    lea_at; /* in what is done before: an instruction with an address; before_len: none */
	uint8_t code[32]; /* relative to rip as it stands here */
};
_Static_assert(sizeof(struct pv_operand) == 40, "as PV_OPERANDS pads them");

/* ---- platforms and patching --------------------------------------------------------- */

/* What an operation is on this platform, and so what its sites become. */
enum pv_kind { PV_UNFILLED, PV_INLINE, PV_CALL, PV_HYPERCALL };

/* What pvops asks of the kernel. Given once, before anything else; the pointers stay. */
struct pvops_env {
	maddr_t (*virt_to_maddr)(const void *va);
	mfn_t (*pfn_to_mfn)(pfn_t pfn);
	pfn_t (*mfn_to_pfn)(mfn_t mfn);
	void *(*text_alias)(const void *text); /* a writable address of the same byte */
	/* PV: the mapping of our page in the direct map, made read-only or writable: where, and the entry. */
	void (*direct_entry)(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry);
	/* A zeroed page, never given back; NULL: none, or nobody has any yet. */
	void *(*alloc_page)(void);
};

/* Xen: where the page that a domain shares with the hypervisor is mapped, in the image. PV's operations on
 * interrupts and cr2 do not look there but in this CPU's vcpu_info (amphi/percpu.h). */
extern char pv_shared_page[PAGE_SIZE];

/* Fill the table for a platform. Boot only, interrupts off, once. */
void pvops_init_native(const struct pvops_env *env);
void pvops_init_xen_pv(const struct pvops_env *env);

/* A site that is not what it should be. */
#define PV_SITE_MAX 24u
struct pv_bad_site {
	const void *site;
	const char *group, *name; /* of its operation; "?" when the record names none */
	unsigned len_bytes;
	uint8_t expected[PV_SITE_MAX], found[PV_SITE_MAX];
};

/* Rewrites all sites. Returns 0, or -XEN_EINVAL when a site did not hold the bytes expected before
 * or after, which *out_bad (may be NULL) then tells of. Boot only, interrupts off. */
int pvops_patch(struct pv_bad_site *out_bad);

/* Fills one operation of the kernel's own making (time rows, irq.eoi), and rewrites its sites when
 * pvops_patch() was done before. fn has the operation's C type. Interrupts may be on; while one CPU
 * runs. Results as pvops_patch(). */
int pvops_provide(enum pv_op op, enum pv_kind kind, void *fn);

/* Waiters for a lock may sleep from now on, by the rows lock.wait and lock.kick, and unlocking wakes
 * them; before, and where nobody calls this, they spin. While one CPU runs; locks may be held. */
typedef void pv_lock_wait_fn(const uint8_t *byte, uint8_t value);
typedef void pv_lock_kick_fn(unsigned cpu);
int pvops_provide_lock_wait(enum pv_kind kind, pv_lock_wait_fn *wait, pv_lock_kick_fn *kick);

/* Since start, over all CPUs, counted without a lock: ways that did not go straight through,
 * sleeps of a waiter, CPUs woken. */
struct pv_lock_counts {
	uint64_t slow, waits, kicks;
};
void pvops_lock_counts(struct pv_lock_counts *out);

struct pv_op_report {
	const char *group, *name;
	enum pv_kind kind;
	unsigned sites;
};

/* What op became; op < PV_OP_COUNT. */
void pvops_report(enum pv_op op, struct pv_op_report *out);
const char *pvops_kind_name(enum pv_kind kind);

/* Sites by kind, over all operations; counts[PV_UNFILLED] are ud2. */
void pvops_count_sites(unsigned counts[4]);

/* Indirect calls and jumps through pv_ops in the running text, whether or not a record tells of
 * them. 0 after patching. */
unsigned pvops_count_indirect(void);

/* Plans every site again and compares with the running text; calls tell (may be NULL) for each that
 * differs. Returns their number. */
typedef void pv_tell_fn(void *ctx, const struct pv_bad_site *bad);
unsigned pvops_verify(pv_tell_fn *tell, void *ctx);

/* An operation was refused by the hypervisor: ends the kernel. The kernel provides it. */
void pvops_refused(const char *op, int64_t error) __attribute__((noreturn));

/* The calls themselves, pv_NAME(...): last, as they need all of the above. */
#include <amphi/pvops_sites.h>

#endif
