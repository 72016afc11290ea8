/* hypercall_test.c: arguments arrive in the ABI's order, calls are counted, batches keep theirs.
 *
 * Shows: wrappers of one to four arguments put each where the hypervisor takes it and give its answer
 * back; each call counts once under its number; a batch flushes itself when full, in order, tells the first
 * error of the multicall or of a call in it, and goes on after one. Why: two arguments exchanged is a
 * hypercall that succeeds and does something else.
 *
 * links: hypercall/count.c hypercall/multicall.c tests/host/fake_hypercall.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include "fake_hypercall.h"

static uint64_t last[5];
static int64_t answer;
static uint64_t batched[100], n_batched, fail_at = ~0ull;

static int64_t take_multicall(struct multicall_entry *entries, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(entries[i].args[3], 0);
		entries[i].result = n_batched == fail_at ? (xen_ulong_t)-XEN_EPERM : 0;
		batched[n_batched++] = entries[i].op << 32 | entries[i].args[1];
	}
	return answer;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	uint64_t now[5] = {a1, a2, a3, a4, nr};

	memcpy(last, now, sizeof(last));
	if (nr == __HYPERVISOR_multicall)
		return take_multicall((struct multicall_entry *)(uintptr_t)a1, a2);
	return answer;
}

static int fresh(void **state)
{
	answer = 0;
	n_batched = 0;
	fail_at = ~0ull;
	return 0;
}

static void arguments_in_order(void **state)
{
	struct mmu_update req;
	unsigned done;

	answer = -XEN_EINVAL;
	assert_int_equal(hypercall_mmu_update(&req, 7, &done, 9), -XEN_EINVAL);
	assert_true(last[0] == (uintptr_t)&req && last[1] == 7 && last[2] == (uintptr_t)&done &&
		    last[3] == 9);
	assert_int_equal(last[4], __HYPERVISOR_mmu_update);
	answer = 1ll << 40; /* a long is whole */
	assert_int_equal(hypercall_update_va_mapping(0xffff880000001000, 1ull << 63, 3), 1ll << 40);
	assert_true(last[0] == 0xffff880000001000 && last[1] == 1ull << 63 && last[2] == 3);
	(void)hypercall_sched_op(SCHEDOP_yield, NULL);
	assert_true(last[0] == SCHEDOP_yield && last[1] == 0 && last[4] == __HYPERVISOR_sched_op);
	(void)hypercall_set_timer_op(~0ull);
	assert_true(last[0] == ~0ull && last[4] == __HYPERVISOR_set_timer_op);
}

static void each_counts_once(void **state)
{
	uint64_t before = hypercall_count(__HYPERVISOR_sched_op), total = hypercall_total();

	for (unsigned i = 0; i < 5; i++)
		(void)hypercall_sched_op(SCHEDOP_yield, NULL);
	assert_int_equal(hypercall_count(__HYPERVISOR_sched_op), before + 5);
	assert_int_equal(hypercall_total(), total + 5);
	assert_int_equal(hypercall_count(HYPERCALL_NUMBERS), 0);
	assert_string_equal(hypercall_name(__HYPERVISOR_sched_op), "sched_op");
	assert_null(hypercall_name(HYPERCALL_NUMBERS - 1));
}

static void add(struct hypercall_batch *batch, uint64_t i)
{
	batch_vcpu_op(batch, 0, (unsigned)i, NULL);
}

static void a_batch_in_order(void **state)
{
	static struct hypercall_batch batch;

	for (uint64_t i = 0; i < 70; i++)
		add(&batch, i);
	assert_int_equal(n_batched, 48); /* two full ones went by themselves */
	assert_int_equal(hypercall_batch_flush(&batch), 0);
	assert_int_equal(n_batched, 70);
	for (uint64_t i = 0; i < 70; i++)
		assert_int_equal(batched[i], (uint64_t)__HYPERVISOR_vcpu_op << 32 | i);
	assert_int_equal(hypercall_batch_flush(&batch), 0); /* nothing left, no call */
	assert_int_equal(n_batched, 70);
}

static void the_first_error_is_kept(void **state)
{
	static struct hypercall_batch batch;

	fail_at = 3;
	for (uint64_t i = 0; i < 40; i++)
		add(&batch, i);
	assert_int_equal(hypercall_batch_flush(&batch), -XEN_EPERM);
	assert_int_equal(batch.failed, __HYPERVISOR_vcpu_op);
	assert_int_equal(n_batched, 40); /* the rest was done */
	answer = -XEN_EFAULT;
	add(&batch, 0), add(&batch, 1);
	assert_int_equal(hypercall_batch_flush(&batch), -XEN_EPERM);
	batch.first_error = 0;
	add(&batch, 0), add(&batch, 1);
	assert_int_equal(hypercall_batch_flush(&batch), -XEN_EFAULT);
	assert_int_equal(batch.failed, __HYPERVISOR_multicall);
}

/* A list of one costs the hypervisor more than the call. */
static void one_alone_is_called(void **state)
{
	static struct hypercall_batch batch;
	struct mmu_update req;
	unsigned done;
	uint64_t before = hypercall_count(__HYPERVISOR_mmu_update);

	batch_mmu_update(&batch, &req, 7, &done, 9);
	assert_int_equal(hypercall_batch_flush(&batch), 0);
	assert_true(last[0] == (uintptr_t)&req && last[1] == 7 && last[2] == (uintptr_t)&done &&
		    last[3] == 9);
	assert_int_equal(last[4], __HYPERVISOR_mmu_update);
	assert_int_equal(hypercall_count(__HYPERVISOR_mmu_update), before + 1);
	answer = -XEN_EINVAL;
	batch_set_timer_op(&batch, 5);
	assert_int_equal(hypercall_batch_flush(&batch), -XEN_EINVAL);
	assert_int_equal(batch.failed, __HYPERVISOR_set_timer_op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(arguments_in_order, fresh),
	    cmocka_unit_test_setup(each_counts_once, fresh),
	    cmocka_unit_test_setup(a_batch_in_order, fresh),
	    cmocka_unit_test_setup(the_first_error_is_kept, fresh),
	    cmocka_unit_test_setup(one_alone_is_called, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
