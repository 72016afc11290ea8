/* count.c: how many hypercalls of which kind, and their names.
 *
 * The wrappers of amphi/hypercall.h count as they call; the shell's statistics and the benches read it
 * here. Several calls in one are multicall.c's. Calls nobody.
 */
#include <amphi/hypercall.h>

/* Not atomic: one vCPU counts, and an interrupt that gets in between costs at worst a count.
 * thunks.S counts here too, by number. */
uint64_t hypercall_counts[HYPERCALL_NUMBERS];

/* The rows of hypercall.def again, here for their names; the wrappers are made of the same rows. */
#define CALL1(name, nr, ...) [nr] = #name,
#define CALL2(name, nr, ...) [nr] = #name,
#define CALL3(name, nr, ...) [nr] = #name,
#define CALL4(name, nr, ...) [nr] = #name,
static const char *const names[HYPERCALL_NUMBERS] = {
#include <amphi/hypercall.def>
};

uint64_t hypercall_count(unsigned nr)
{
	return nr < HYPERCALL_NUMBERS ? hypercall_counts[nr] : 0;
}

/* A multicall counts once, whatever is in it: what is counted is the ways into the hypervisor. */
uint64_t hypercall_total(void)
{
	uint64_t total = 0;

	for (unsigned nr = 0; nr < HYPERCALL_NUMBERS; nr++)
		total += hypercall_counts[nr];
	return total;
}

const char *hypercall_name(unsigned nr)
{
	return nr < HYPERCALL_NUMBERS ? names[nr] : NULL;
}
