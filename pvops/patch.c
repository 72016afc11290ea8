/* patch.c: the one writer of the kernel's text.
 *
 * Walks the records of call sites, asks the planner for the bytes, checks that the site holds what it
 * should before, writes through a writable alias of the page (text itself is mapped read-only), and
 * checks what runs afterwards. Called once at boot and by pvops_provide(); calls plan.c and the kernel's
 * pvops_env. One CPU: nobody else can be inside a site while it changes; with more they must be stopped.
 */
#include <amphi/string.h>
#include <amphi/xen.h>

#include "impl.h"
#include "lock.h"

/*   record {offset, op, room, class}
 *       | place_of           pv_impls[op]
 *       v                        v
 *   pv_place  ------------->  pv_plan  ------>  bytes  ----> write_text
 *                     (before: pv_plan_original, or the plan of the filling that was)
 */
extern const struct pv_site pv_sites_start[], pv_sites_end[];
extern const struct pv_operand pv_operands_start[], pv_operands_end[];

/* Until then pvops_provide need only change the pointer. */
static bool patched;

static uint64_t at_distance(const int32_t *member)
{
	return (uint64_t)(uintptr_t)member + (uint64_t)(int64_t)*member;
}

/* They lie in the order of their sites, and sites are gone through in order: the one wanted is most often the one behind
 * the last, so the search goes on from there, once around. */
static const struct pv_operand *operand_of(uint64_t site)
{
	static size_t next;
	size_t n = (size_t)(pv_operands_end - pv_operands_start);

	for (size_t tried = 0; tried < n; tried++) {
		const struct pv_operand *op = &pv_operands_start[next];

		if (at_distance(&op->site) == site)
			return op;
		next = next + 1 < n ? next + 1 : 0;
	}
	return NULL;
}

/* A record holds the distance from itself to its site, which no relocation has to touch. */
static struct pv_place place_of(const struct pv_site *site)
{
	uint64_t address = at_distance(&site->offset);

	return (struct pv_place){
	    .site = address,
	    .slot = (uint64_t)(uintptr_t)&pv_ops + 8u * site->op,
	    .room = site->room,
	    .class = site->class,
	    .operand = site->class == PV_OPERAND ? operand_of(address) : NULL,
	};
}

/* The processor fetches what it decoded before until something serialises it (SDM vol. 3, "Handling
 * self- and cross-modifying code"); cpuid does and may be executed anywhere. */
static void serialise(void)
{
	uint32_t leaf = 0;

	__asm__ volatile("cpuid" : "+a"(leaf)::"rbx", "rcx", "rdx", "memory");
}

/* A site that does not hold what we believe is left alone: to patch over it would turn one mistake
 * into a crash somewhere else. */
static int write_text(const struct pv_place *at, const uint8_t *before, const uint8_t *after)
{
	const void *text = (const void *)(uintptr_t)at->site;

	if (memcmp(text, before, at->room) != 0)
		return -XEN_EINVAL;
	memcpy(pv_env->text_alias(text), after, at->room);
	serialise();
	return memcmp(text, after, at->room) == 0 ? 0 : -XEN_EINVAL;
}

/* What the site holds while it has this filling; NULL: as the compiler left it. */
static int plan_of(const struct pv_site *site, const struct pv_impl *impl, uint8_t out[PV_ROOM_MAX])
{
	struct pv_place at = place_of(site);

	if (site->op >= PV_OP_COUNT)
		return -XEN_EINVAL;
	return impl ? pv_plan(&at, impl, out) : pv_plan_original(&at, out);
}

static int patch_site(const struct pv_site *site, const struct pv_impl *before,
		      const struct pv_impl *after)
{
	struct pv_place at = place_of(site);
	uint8_t old[PV_ROOM_MAX], new[PV_ROOM_MAX];
	int err = plan_of(site, before, old);

	if (!err)
		err = plan_of(site, after, new);
	return err ? err : write_text(&at, old, new);
}

/* For who has to say what is wrong. Without a plan nothing is expected. */
static void describe(const struct pv_site *site, const struct pv_impl *impl,
		     struct pv_bad_site *out)
{
	struct pv_place at = place_of(site);
	struct pv_op_report report = {"?", "?", PV_UNFILLED, 0};

	if (site->op < PV_OP_COUNT)
		pvops_report((enum pv_op)site->op, &report);
	*out = (struct pv_bad_site){
	    .site = (const void *)(uintptr_t)at.site, .group = report.group, .name = report.name};
	if (plan_of(site, impl, out->expected))
		return;
	out->len_bytes = at.room;
	memcpy(out->found, out->site, at.room);
}

/* Stops at the first bad site. Those before it are patched and work; the caller panics with what it is
 * told. */
int pvops_patch(struct pv_bad_site *out_bad)
{
	for (const struct pv_site *site = pv_sites_start; site < pv_sites_end; site++) {
		int err = patch_site(site, NULL, &pv_impls[MIN(site->op, PV_OP_COUNT - 1)]);

		if (!err)
			continue;
		if (out_bad)
			describe(site, NULL, out_bad);
		return err;
	}
	patched = true;
	return 0;
}

/* Sites that were patched before hold the plan of the filling that was, and it is kept here for the
 * comparison. */
static int refill(enum pv_op op, enum pv_kind kind, void *fn, bool thin)
{
	struct pv_impl before = pv_impls[op];
	int err = 0;

	pv_fill_one(op, kind, fn, thin);
	if (!patched)
		return 0;
	for (const struct pv_site *site = pv_sites_start; site < pv_sites_end && !err; site++)
		if (site->op == op)
			err = patch_site(site, &before, &pv_impls[op]);
	return err;
}

/* The kernel has operations that need its own parts (time, for one). They are C functions, hence not
 * thin: pv_plan() refuses them for thin sites. */
int pvops_provide(enum pv_op op, enum pv_kind kind, void *fn)
{
	return refill(op, kind, fn, false);
}

/* Who sleeps must find that unlocking wakes, so that comes before sleeping; nobody waits while they change,
 * as there is one CPU. A lock held across the change looks the same before and after. */
int pvops_provide_lock_wait(enum pv_kind kind, pv_lock_wait_fn *wait, pv_lock_kick_fn *kick)
{
	int err = pvops_provide(PV_lock_kick, kind, (void *)kick);

	if (!err)
		err = pvops_provide(PV_lock_wait, kind, (void *)wait);
	if (!err)
		err = refill(PV_lock_queued_spin_unlock, PV_CALL, (void *)lock_unlock_waking, true);
	if (!err)
		err = pvops_provide(PV_lock_queued_spin_lock_slowpath, PV_CALL,
				    (void *)lock_slow_sleeping);
	return err;
}

/* A second opinion for tests and for `pvops verify`: plans everything anew and reads what runs. */
unsigned pvops_verify(pv_tell_fn *tell, void *ctx)
{
	unsigned wrong = 0;

	for (const struct pv_site *site = pv_sites_start; site < pv_sites_end; site++) {
		const struct pv_impl *impl = &pv_impls[MIN(site->op, PV_OP_COUNT - 1)];
		const void *text = (const void *)(uintptr_t)place_of(site).site;
		struct pv_bad_site bad;
		uint8_t want[PV_ROOM_MAX];

		if (plan_of(site, impl, want) == 0 && memcmp(text, want, site->room) == 0)
			continue;
		wrong++;
		describe(site, impl, &bad);
		if (tell)
			tell(ctx, &bad);
	}
	return wrong;
}
