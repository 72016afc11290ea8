/* xen_mmu.c: page tables of a Xen PV domain: read-only for us, changed by asking.
 *
 * Called through the sites; the table of operations is in xen_pv.c. In lazy mode changes are queued
 * (xen_queue.c) and go out together. Entries hold the machine's frames; pvops_env tells which are whose.
 * What is loaded (cr3) is part of a switch of programs and queued with that.
 */
#include <amphi/hypercall.h>
#include <amphi/percpu.h>

#include "impl.h"
#include "xen_parts.h"

#define PTE_PRESENT 1ull
#define PTE_FRAME   0x000ffffffffff000ull
#define BATCH_PTES  64u

/* The hypervisor keeps cr3 to itself but shows it, as a frame number in cr3's own form. */
static uint64_t top_tables[CPUS_MAX];

/* What was written last; 0 before, since the boot tables are known from the start info and not from
 * here. */
uint64_t xen_read_cr3(void)
{
	return top_tables[this_cpu()->cpu];
}

void xen_write_cr3(uint64_t maddr)
{
	struct mmuext_op op = {.cmd = MMUEXT_NEW_BASEPTR};

	op.arg1.mfn = maddr >> PAGE_SHIFT;
	xen_ext_op(XEN_CPU, "write_cr3", &op);
	top_tables[this_cpu()->cpu] = maddr;
}

/* A program runs on a table of its own, without the kernel: both run in ring 3, and nothing but the
 * missing entries keeps them apart. */
void xen_activate_mm(uint64_t maddr, uint64_t user_maddr)
{
	struct mmuext_op ops[2] = {{.cmd = MMUEXT_NEW_BASEPTR}, {.cmd = MMUEXT_NEW_USER_BASEPTR}};

	ops[0].arg1.mfn = maddr >> PAGE_SHIFT;
	ops[1].arg1.mfn = user_maddr >> PAGE_SHIFT;
	if (xen_queue(XEN_CPU)) {
		xen_ext_op(XEN_CPU, "activate_mm", &ops[0]);
		xen_ext_op(XEN_CPU, "activate_mm", &ops[1]);
	} else {
		xen_must("activate_mm", hypercall_mmuext_op(ops, 2, NULL, DOMID_SELF));
	}
	top_tables[this_cpu()->cpu] = maddr;
}

void xen_flush_tlb(void)
{
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};

	xen_ext_op(XEN_MMU, "flush_tlb_kernel", &op);
}

void xen_flush_tlb_one(uint64_t va)
{
	struct mmuext_op op = {.cmd = MMUEXT_INVLPG_LOCAL};

	op.arg1.linear_addr = va;
	xen_ext_op(XEN_MMU, "flush_tlb_one", &op);
}

static void update(const char *op, const uint64_t *entry, unsigned how, uint64_t value)
{
	struct mmu_update req = {.ptr = pv_env->virt_to_maddr(entry).v | how, .val = value};
	struct xen_queue *queue = xen_queue(XEN_MMU);

	if (queue)
		xen_queue_update(queue, &req);
	else
		xen_must(op, hypercall_mmu_update(&req, 1, NULL, DOMID_SELF));
}

/* Entries of every level are updates alike: the hypervisor knows what type the table has. */
void xen_set_entry(uint64_t *entry, uint64_t value)
{
	update("set_pte", entry, MMU_NORMAL_PT_UPDATE, value);
}

/* The hypervisor keeps what the processor has set of the accessed and dirty bits meanwhile. */
void xen_modify_prot_commit(uint64_t *entry, uint64_t value)
{
	update("ptep_modify_prot", entry, MMU_PT_UPDATE_PRESERVE_AD, value);
}

/* Not put off, for the caller wants to know how it went; what was put off before goes first. Entries before the refused
 * one are done: mmu_update stops there, and nobody undoes. */
int xen_set_ptes(uint64_t *entries, const uint64_t *values, unsigned n, unsigned owner)
{
	struct mmu_update reqs[BATCH_PTES];
	unsigned in_batch = 0;
	int err = 0;

	xen_lazy_flush();
	for (unsigned i = 0; i < n && !err; i++) {
		reqs[in_batch++] = (struct mmu_update){.ptr = pv_env->virt_to_maddr(&entries[i]).v |
							      MMU_NORMAL_PT_UPDATE,
						       .val = values[i]};
		if (in_batch < BATCH_PTES && i + 1 < n)
			continue;
		err = (int)hypercall_mmu_update(reqs, in_batch, NULL, (domid_t)owner);
		in_batch = 0;
	}
	return err;
}

/* Frames of others have no pfn of ours: their entries stay as they are. */
uint64_t xen_pte_val(uint64_t entry, uint64_t mask)
{
	uint64_t pfn;

	if (!(entry & PTE_PRESENT))
		return entry & mask;
	pfn = pv_env->mfn_to_pfn((mfn_t){(entry & PTE_FRAME) >> PAGE_SHIFT}).v;
	return (pfn == ~0ull ? entry : (entry & ~PTE_FRAME) | pfn << PAGE_SHIFT) & mask;
}

/* A pfn without a frame gives an entry that is not present, so its first use faults here and not at
 * some frame of another. */
uint64_t xen_make_pte(uint64_t address, uint64_t flags)
{
	uint64_t value = address | flags, mfn;

	if (!(value & PTE_PRESENT))
		return value;
	mfn = pv_env->pfn_to_mfn((pfn_t){(value & PTE_FRAME) >> PAGE_SHIFT}).v;
	return mfn == ~0ull ? 0 : (value & ~PTE_FRAME) | mfn << PAGE_SHIFT;
}

void xen_make_readonly(pfn_t pfn, bool readonly)
{
	uint64_t va, entry;

	pv_env->direct_entry(pfn, readonly, &va, &entry);
	XEN_CALL(XEN_MMU, "make_readonly", update_va_mapping, va, entry, UVMF_INVLPG);
}

/* A table must not be writable anywhere; the hypervisor looks it over when it is first linked, so
 * nothing below the top is pinned and a release needs no word to it. */
void xen_alloc_pt(uint64_t pfn, unsigned level)
{
	xen_make_readonly((pfn_t){pfn}, true);
}

void xen_release_pt(uint64_t pfn, unsigned level)
{
	xen_make_readonly((pfn_t){pfn}, false);
}

static void pin(const char *name, unsigned cmd, uint64_t pfn)
{
	struct mmuext_op op = {.cmd = cmd};

	op.arg1.mfn = pv_env->pfn_to_mfn((pfn_t){pfn}).v;
	xen_ext_op(XEN_MMU, name, &op);
}

/* A top table is linked nowhere: it is pinned, or every switch to it would be a look at all of it. Empty, there is
 * nothing to look at but what is linked later, as it is linked. */
void xen_enter_mmap(uint64_t pfn)
{
	pin("enter_mmap", MMUEXT_PIN_L4_TABLE, pfn);
}

/* All below that no other top leads to are no tables any more for the hypervisor: each would be a change of an entry
 * otherwise, before its page may be written to. */
void xen_exit_mmap(uint64_t pfn)
{
	pin("exit_mmap", MMUEXT_UNPIN_TABLE, pfn);
}

/* Not put off: it is called before there is a queue. */
int xen_set_fixmap(void *page, uint64_t entry)
{
	return (int)hypercall_update_va_mapping((uint64_t)(uintptr_t)page, entry, UVMF_INVLPG);
}
