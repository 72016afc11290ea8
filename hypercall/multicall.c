/* multicall.c: several hypercalls that need no answer in between, in one.
 *
 * For callers with a batch of their own (amphi/hypercall.h); pvops keeps one per CPU for page tables and
 * switches of programs. Not a queue that empties itself: who fills it flushes it. Calls only the
 * hypervisor.
 */
#include <amphi/hypercall.h>

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

/* By its number, which is known only now: the stub's address is a sum, as the wrappers have the linker
 * make it. */
static int64_t call_one(const struct multicall_entry *entry)
{
	const char *stub = hypercall_page + 32 * entry->op;
	uint64_t a1 = entry->args[0], a2 = entry->args[1], a3 = entry->args[2];
	register uint64_t a4 __asm__("r10") = entry->args[3];
	int64_t result;

	hypercall_counts[entry->op]++;
	__asm__ volatile("call *%[stub]"
			 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(a4)
			 : [stub] "b"(stub)
			 : "rcx", "r8", "r9", "r11", "memory", "cc");
	return result;
}

static void note(struct hypercall_batch *batch, uint64_t nr, int64_t error)
{
	if (error >= 0 || batch->first_error)
		return;
	batch->first_error = error;
	batch->failed = (unsigned)nr;
}

/* multicall's own result says only whether the list could be read; each entry has its own. The
 * hypervisor goes on after one that fails, so the first error is told and those behind it were
 * done. */
int64_t hypercall_batch_flush(struct hypercall_batch *batch)
{
	if (batch->n == 1)
		batch->entries[0].result = (xen_ulong_t)call_one(&batch->entries[0]);
	else if (batch->n)
		note(batch, __HYPERVISOR_multicall, hypercall_multicall(batch->entries, batch->n));
	for (unsigned i = 0; i < batch->n; i++)
		note(batch, batch->entries[i].op, (int64_t)batch->entries[i].result);
	batch->n = 0;
	return batch->first_error;
}
