/* emulate_table.c: a guest kernel's direct write to one of its page tables.
 *
 * Tables are mapped read-only, so the write faults; kernels that exchange or clear bits of entries
 * in place (Linux does) are carried through here, one instruction at a time. The entry is computed
 * and handed to mm_write_table, which checks it like any update. Called by trap.c. Writes of less
 * than an entry are made on the whole aligned entry.
 */
#include <amphi/types.h>

#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "emulate_regs.h"
#include "guest.h"
#include "layout.h"
#include "percpu.h"

#define FLAG_CF 0x001ull
#define FLAG_PF 0x004ull
#define FLAG_ZF 0x040ull
#define FLAG_SF 0x080ull
#define FLAG_OF 0x800ull
#define RETRIES 8u

/* An instruction of the guest's, done on a copy: nothing of the guest changes until the new entry
 * is in its table. */
struct change {
	uint64_t value;     /* new value of the operand */
	bool write;         /* cmpxchg may not */
	uint64_t set, care; /* flags */
};

/* AF is undefined after and and or, so it stays (Intel SDM 2A). */
static void logic_flags(struct change *c, unsigned width)
{
	uint64_t v = c->value & width_mask(width);

	c->care = FLAG_CF | FLAG_PF | FLAG_ZF | FLAG_SF | FLAG_OF;
	c->set = (v == 0 ? FLAG_ZF : 0) | (v >> (8 * width - 1) ? FLAG_SF : 0) |
		 (__builtin_parity((unsigned)(v & 0xff)) ? 0 : FLAG_PF);
}

/* What the instruction makes of the old value. */
static struct change compute(struct guest_regs *r, const struct insn *i, uint64_t old)
{
	struct change c = {.write = true};
	uint64_t reg = reg_read(r, i->reg, i->width);
	uint64_t bit = 1ull << (i->imm & (8 * i->width - 1));

	switch (i->op) {
	case INSN_MOV_STORE:
	case INSN_XCHG:
		c.value = reg;
		break;
	case INSN_MOV_IMM:
		c.value = i->imm;
		break;
	case INSN_CMPXCHG:
		c.write = reg_read(r, 0, i->width) == old;
		c.value = reg;
		c.care = FLAG_ZF;
		c.set = c.write ? FLAG_ZF : 0;
		break;
	case INSN_AND_REG:
	case INSN_AND_IMM:
		c.value = old & (i->op == INSN_AND_REG ? reg : i->imm);
		logic_flags(&c, i->width);
		break;
	case INSN_OR_REG:
	case INSN_OR_IMM:
		c.value = old | (i->op == INSN_OR_REG ? reg : i->imm);
		logic_flags(&c, i->width);
		break;
	default:
		c.care = FLAG_CF;
		c.set = old & bit ? FLAG_CF : 0;
		c.value = i->op == INSN_BTS ? old | bit : old & ~bit;
		break;
	}
	return c;
}

/* One try: -XEN_EAGAIN when somebody else changed the entry meanwhile. */
static int try_write(struct vcpu *v, const struct insn *i, uint64_t address)
{
	unsigned shift = 8 * (unsigned)(address & 7);
	uint64_t mask = width_mask(i->width) << shift, entry, old, expected;
	struct guest_regs *r = &v->pv.regs;
	struct change c;
	int rc = 0;

	/* Read through the guest's own mapping, and compared again under mm's lock: what was
	 * computed from this value is written only over this value. */
	if (guest_read(&entry, address & ~7ull) != 0)
		return -XEN_EFAULT;
	old = entry >> shift & width_mask(i->width);
	c = compute(r, i, old);
	expected = entry;
	if (c.write)
		rc = mm_write_table(v, address & ~7ull, (entry & ~mask) | (c.value << shift & mask),
				    true, &expected);
	if (rc != 0)
		return rc;
	if (i->op == INSN_XCHG)
		reg_write(r, i->reg, i->width, old);
	else if (!c.write)
		reg_write(r, 0, i->width, old);
	r->rflags = (r->rflags & ~c.care) | c.set;
	return 0;
}

/* A locked instruction of the guest's must look as one step to its other vCPUs, hence tries until
 * nothing has come between; a bounded number, because we hold the CPU meanwhile. */
bool emulate_table_write(struct vcpu *v, uint64_t address)
{
	struct guest_regs *r = &v->pv.regs;
	uint8_t bytes[INSN_MAX];
	struct insn i;
	int rc = -XEN_EAGAIN;

	if (!code_is_64(r))
		return false;
	emulate_decode(bytes, emulate_fetch(v, bytes), &i);
	if (i.op < INSN_MOV_STORE || (address & 7) + i.width > 8)
		return false;
	for (unsigned n = 0; n < RETRIES && rc == -XEN_EAGAIN; n++)
		rc = try_write(v, &i, address);
	if (rc != 0)
		return false;
	r->rip += i.length;
	count(CNT_EMULATED);
	return true;
}
