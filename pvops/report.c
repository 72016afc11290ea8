/* report.c: what became of each operation, for the shell and for tests.
 *
 * Reads the records, the fillings and the running text; writes nothing. The count of indirect calls
 * does not trust the records: it looks at every byte of the text, so that a call the records do not
 * tell of would be found too.
 */
#include <amphi/string.h>

#include "impl.h"

extern const struct pv_site pv_sites_start[], pv_sites_end[];
extern const uint8_t text_start[], text_end[];

struct op_name {
	const char *group, *name;
};

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                                 {#g, #n},
#define PV_OP1(g, n, c, room, ret, t1, a1)                         {#g, #n},
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                 {#g, #n},
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4) {#g, #n},
#define PV_VOID0(g, n, c, room)                                    {#g, #n},
#define PV_VOID1(g, n, c, room, t1, a1)                            {#g, #n},
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                    {#g, #n},
#define PV_RAW(g, n, c, room)                                      {#g, #n},
static const struct op_name names[PV_OP_COUNT] = {
#include <amphi/pvops.def>
};

/* pv_impls is what was planned with; `pvops verify` says whether text agrees. */
void pvops_report(enum pv_op op, struct pv_op_report *out)
{
	*out = (struct pv_op_report){names[op].group, names[op].name, pv_impls[op].kind, 0};
	for (const struct pv_site *site = pv_sites_start; site < pv_sites_end; site++)
		out->sites += site->op == op;
}

const char *pvops_kind_name(enum pv_kind kind)
{
	static const char *const kinds[] = {"unfilled", "inline", "call", "hypercall"};

	return kinds[kind];
}

/* By sites and not by operations: what counts is how often the kernel takes which way. */
void pvops_count_sites(unsigned counts[4])
{
	memset(counts, 0, 4 * sizeof(counts[0]));
	for (const struct pv_site *site = pv_sites_start; site < pv_sites_end; site++)
		counts[pv_impls[site->op].kind]++;
}

/* FF 15 or FF 25 with a displacement that leads into pv_ops, or FF 14 25 / FF 24 25 with its absolute
 * address: nothing else in the text reads like that but by a chance of about 1 in 2^40 a byte. */
static bool leads_into_pv_ops(const uint8_t *at)
{
	uint64_t ops = (uint64_t)(uintptr_t)&pv_ops, target;
	int32_t disp;

	if (at[0] != 0xff)
		return false;
	if (at[1] == 0x15 || at[1] == 0x25) {
		memcpy(&disp, at + 2, sizeof(disp));
		target = (uint64_t)(uintptr_t)at + 6 + (uint64_t)(int64_t)disp;
	} else if ((at[1] == 0x14 || at[1] == 0x24) && at[2] == 0x25) {
		memcpy(&disp, at + 3, sizeof(disp));
		target = (uint64_t)(int64_t)disp;
	} else {
		return false;
	}
	return target >= ops && target < ops + sizeof(pv_ops);
}

/* 7 is the longest form looked for. */
unsigned pvops_count_indirect(void)
{
	unsigned n = 0;

	for (const uint8_t *at = text_start; at + 7 <= text_end; at++)
		n += leads_into_pv_ops(at);
	return n;
}
