/* count.c: how many hypercalls of which kind, and several calls in one.
 *
 * The wrappers of amphi/hypercall.h count as they call; the shell's statistics and the benches read it
 * here. The batch is for callers with several calls that need no answer in between. Calls only the
 * hypervisor.
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

/* Full is flushed, so a caller adds as many as it likes and asks for the first error at the end. */
void hypercall_batch_add(struct hypercall_batch *batch, unsigned nr, const uint64_t *args,
			 unsigned n_args)
{
	struct multicall_entry *entry;

	if (batch->n == HYPERCALL_BATCH)
		(void)hypercall_batch_flush(batch);
	entry = &batch->entries[batch->n++];
	*entry = (struct multicall_entry){.op = nr};
	for (unsigned i = 0; i < n_args; i++)
		entry->args[i] = args[i];
}

/* multicall's own result says only whether the list could be read; each entry has its own. The
 * hypervisor goes on after one that fails, so the first error is told and those behind it were
 * done. */
int64_t hypercall_batch_flush(struct hypercall_batch *batch)
{
	int64_t err = batch->n ? hypercall_multicall(batch->entries, batch->n) : 0;

	if (err && !batch->first_error)
		batch->first_error = err;
	for (unsigned i = 0; i < batch->n && !batch->first_error; i++)
		if ((int64_t)batch->entries[i].result < 0)
			batch->first_error = (int64_t)batch->entries[i].result;
	batch->n = 0;
	return batch->first_error;
}
