/* plan.h: what a call site becomes, computed and not yet written. Private to pvops/.
 *
 * The planner is a pure function from (site, operation's filling) to bytes, so that the host test can
 * feed every combination to a disassembler. patch.c writes what it plans; native.c and xen_pv.c give
 * the fillings.
 */
#ifndef PVOPS_PLAN_H
#define PVOPS_PLAN_H

#include <amphi/pvops.h>

#define PV_ROOM_MAX PV_SITE_MAX
#define PV_CODE_MAX PV_SITE_MAX

/* How a platform fills one operation. */
struct pv_impl {
	enum pv_kind kind;
	bool thin;        /* fn changes no more than its row's class allows, and that is not FULL */
	uint8_t code_len; /* PV_INLINE: bytes of code */
	uint8_t fix_at; /* PV_INLINE: offset of a displacement relative to rip, as at fn; 0: none */
	uint8_t code[PV_CODE_MAX];
	uint64_t
	    fn; /* address of the function: called where the code does not fit, and before patching */
	/* PV_INLINE in a platform's table: code is code_from..code_end, see pv_fill(); NULL: from fn on */
	const uint8_t *code_from, *code_end;
	const char *name; /* of fn, in a platform's table */
};

struct pv_place {
	uint64_t site; /* address it runs at */
	uint64_t slot; /* address of the operation's pointer */
	uint8_t room;
	uint8_t class;
	const struct pv_operand *operand; /* of class OPERAND; read, and its address counts */
};

/* The bytes the compiler left: an indirect call or jump through slot, padded with one-byte nops. */
int pv_plan_original(const struct pv_place *at, uint8_t out[PV_ROOM_MAX]);

/* The bytes that take their place. -XEN_EINVAL: a class that the filling does not keep, a room that is
 * too small; -XEN_ERANGE: target out of reach. out is room bytes long. */
int pv_plan(const struct pv_place *at, const struct pv_impl *impl, uint8_t out[PV_ROOM_MAX]);

#endif
