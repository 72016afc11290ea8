/* fill.c: takes a platform's table of fillings and points pv_ops at it.
 *
 * Called by native.c and xen_pv.c at start and by the kernel's pvops_provide() for the operations it
 * makes itself. Not the writer of text: patch.c is. Until patching, every call goes through the
 * pointers set here, so each filled operation has a function even where it will be inline.
 */
#include <amphi/string.h>
#include <amphi/xen.h>

#include "impl.h"

/* pv_ops is what sites call through until they are patched, pv_impls what they are patched into. */
struct pv_ops pv_ops;
struct pv_impl pv_impls[PV_OP_COUNT];
const struct pvops_env *pv_env;

/* One row a pv operation, in the order of enum pv_op: the bytes that each of its sites has. */
#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                                 room,
#define PV_OP1(g, n, c, room, ret, t1, a1)                         room,
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                 room,
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4) room,
#define PV_VOID0(g, n, c, room)                                    room,
#define PV_VOID1(g, n, c, room, t1, a1)                            room,
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                    room,
#define PV_RAW(g, n, c, room)                                      room,
const uint8_t pv_room[PV_OP_COUNT] = {
#include <amphi/pvops.def>
};

/* The inline form is the body of the short function; one that does not fit the sites is called. The
 * ret behind the end label is not copied: at the site execution simply goes on. */
static void take_code(struct pv_impl *impl, unsigned room)
{
	const uint8_t *fn = (const uint8_t *)(uintptr_t)impl->fn;
	const uint8_t *from = impl->code_from ? impl->code_from : fn;
	size_t len = (size_t)(impl->code_end - from);

	if (len > room || len > PV_CODE_MAX) {
		impl->kind = PV_CALL;
		return;
	}
	impl->code_len = (uint8_t)len;
	memcpy(impl->code, from, len);
}

/* Through memory, as pv_ops has a member of another type for each operation; that it is a row of
 * pointers in the enum's order is asserted in amphi/pvops.h. */
static void set_pointer(enum pv_op op, uint64_t fn)
{
	if (!fn)
		fn = (uint64_t)(uintptr_t)pv_unfilled;
	memcpy((char *)&pv_ops + 8 * op, &fn, sizeof(fn));
}

/* At boot, before the first operation is used and long before text is patched. */
void pv_fill(const struct pv_impl table[PV_OP_COUNT], const struct pvops_env *env)
{
	pv_env = env;
	for (unsigned op = 0; op < PV_OP_COUNT; op++) {
		pv_impls[op] = table[op];
		if (pv_impls[op].kind == PV_INLINE)
			take_code(&pv_impls[op], pv_room[op]);
		set_pointer(op, pv_impls[op].fn);
	}
}

/* Code of its own never comes so. */
void pv_fill_one(enum pv_op op, enum pv_kind kind, void *fn, bool thin)
{
	pv_impls[op] = (struct pv_impl){.kind = kind, .thin = thin, PV_FN(fn)};
	set_pointer(op, pv_impls[op].fn);
}
