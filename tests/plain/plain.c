/* plain.c: what remains of pvops in a kernel without them: the names.
 *
 * Linked into build/amphi-plain in the place of pvops/ (tests/plain/amphi/pvops_sites.h says what that is
 * for). There is nothing to choose, to patch or to report: the functions that the kernel calls for it are
 * here because the rest of the kernel is the same sources. Started anywhere but natively it stops.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

/* Read by nobody natively; the rooms for Xen name it. */
char pv_shared_page[PAGE_SIZE] __attribute__((aligned(4096)));

/* ---- what the kernel gives --------------------------------------------------------------- */

struct plain_given plain_given;

int pvops_provide(enum pv_op op, enum pv_kind kind, void *fn)
{
	if (op == PV_irq_eoi)
		plain_given.eoi = (void (*)(void))fn;
	else if (op == PV_time_sched_clock)
		plain_given.sched_clock = (uint64_t(*)(void))fn;
	else if (op == PV_time_steal_clock)
		plain_given.steal_clock = (uint64_t(*)(void))fn;
	else if (op == PV_time_set_next_event)
		plain_given.set_next_event = (void (*)(uint64_t))fn;
	else
		return -XEN_EINVAL;
	return 0;
}

/* Natively nobody offers a better way to wait. */
int pvops_provide_lock_wait(enum pv_kind kind, pv_lock_wait_fn *wait, pv_lock_kick_fn *kick)
{
	return -XEN_ENOSYS;
}

/* ---- nothing to do ---------------------------------------------------------------------- */

void pvops_init_native(const struct pvops_env *env) {}

void pvops_init_xen_pv(const struct pvops_env *env)
{
	for (;;)
		__asm__ volatile("ud2");
}

int pvops_patch(struct pv_bad_site *out_bad)
{
	return 0;
}

void pvops_report(enum pv_op op, struct pv_op_report *out)
{
	*out = (struct pv_op_report){"plain", "-", PV_INLINE, 0};
}

const char *pvops_kind_name(enum pv_kind kind)
{
	return "in place";
}

/* The self-test wants some that are in place, and so they all are. */
void pvops_count_sites(unsigned counts[4])
{
	memset(counts, 0, 4 * sizeof(counts[0]));
	counts[PV_INLINE] = 1;
}

unsigned pvops_count_indirect(void)
{
	return 0;
}

unsigned pvops_verify(pv_tell_fn *tell, void *ctx)
{
	return 0;
}
