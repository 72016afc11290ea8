/* kvm_para_test.c: what KVM offers is read as its ABI says, and shared words are taken whole.
 *
 * Shows: every feature bit, the two clocks, what depends on what, what a dedicated processor's guest leaves
 * alone; numbers equal to those of the kernel's own header; the stolen time is of one version, whenever KVM
 * writes it; a flush is left to KVM only for a processor that does not run; the end of an
 * interrupt is taken once; sets of interrupts hold 128 ids in any order and refuse the rest. Why: hardware
 * with KVM is not in every test machine, so what is decided is decided here.
 *
 * links: kernel/kvm_para.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/peer.h>
#include <linux/kvm_para.h>
#include "kernel/kvm_para.h"

#define BIT(feature) (1u << (feature))

static struct kvm_para decode(uint32_t features, uint32_t hints)
{
	struct kvm_para para;

	memset(&para, 0xff, sizeof(para));
	kvm_decode(features, hints, &para);
	return para;
}

static unsigned n_parts(const struct kvm_para *para)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KVM_PARTS; i++)
		n += para->has[i];
	return n;
}

/* ---- features ----------------------------------------------------------------------------- */

static void numbers_are_linuxs(void **state)
{
	assert_int_equal(KVM_MSR_CLOCK_OLD, MSR_KVM_SYSTEM_TIME);
	assert_int_equal(KVM_MSR_CLOCK, MSR_KVM_SYSTEM_TIME_NEW);
	assert_int_equal(KVM_MSR_STEAL, MSR_KVM_STEAL_TIME);
	assert_int_equal(KVM_MSR_EOI, MSR_KVM_PV_EOI_EN);
	assert_int_equal(KVM_MSR_ON, KVM_MSR_ENABLED);
	assert_int_equal(KVM_CALL_KICK, KVM_HC_KICK_CPU);
	assert_int_equal(KVM_CALL_IPI, KVM_HC_SEND_IPI);
	assert_int_equal(KVM_CALL_YIELD, KVM_HC_SCHED_YIELD);
	assert_int_equal(KVM_PREEMPTED, KVM_VCPU_PREEMPTED);
	assert_int_equal(KVM_FLUSH, KVM_VCPU_FLUSH_TLB);
	assert_int_equal(offsetof(struct kvm_steal, version),
			 offsetof(struct kvm_steal_time, version));
	assert_int_equal(offsetof(struct kvm_steal, preempted),
			 offsetof(struct kvm_steal_time, preempted));
	assert_int_equal(sizeof(struct kvm_steal), sizeof(struct kvm_steal_time));
}

static void each_bit_is_one_part(void **state)
{
	static const struct {
		uint32_t bit;
		enum kvm_part part;
	} rows[] = {
	    {KVM_FEATURE_CLOCKSOURCE2, KVM_CLOCK}, {KVM_FEATURE_STEAL_TIME, KVM_STEAL},
	    {KVM_FEATURE_PV_EOI, KVM_EOI},         {KVM_FEATURE_PV_UNHALT, KVM_UNHALT},
	    {KVM_FEATURE_PV_SEND_IPI, KVM_IPI},    {KVM_FEATURE_PV_SCHED_YIELD, KVM_YIELD},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kvm_para para = decode(BIT(rows[i].bit), 0);

		assert_int_equal(n_parts(&para), 1);
		assert_true(para.has[rows[i].part]);
		assert_non_null(kvm_part_name(rows[i].part));
	}
}

static void two_clocks(void **state)
{
	struct kvm_para para = decode(0, 0);

	assert_int_equal(n_parts(&para) + para.clock_msr + para.clock_stable, 0);
	para = decode(BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT), 0);
	assert_false(para.clock_stable); /* of which clock? */
	para = decode(BIT(KVM_FEATURE_CLOCKSOURCE), 0);
	assert_int_equal(para.clock_msr, MSR_KVM_SYSTEM_TIME);
	assert_true(para.has[KVM_CLOCK]);
	para = decode(BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
			  BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT),
		      0);
	assert_int_equal(para.clock_msr, MSR_KVM_SYSTEM_TIME_NEW);
	assert_true(para.clock_stable);
}

static void what_depends_on_what(void **state)
{
	uint32_t both = BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_STEAL_TIME);
	struct kvm_para para;

	assert_false(decode(BIT(KVM_FEATURE_PV_TLB_FLUSH), 0).has[KVM_TLB_FLUSH]);
	assert_true(decode(both, 0).has[KVM_TLB_FLUSH]);
	para = decode(~0u, BIT(KVM_HINTS_REALTIME));
	assert_false(para.has[KVM_TLB_FLUSH] || para.has[KVM_UNHALT] || para.has[KVM_YIELD]);
	assert_true(para.has[KVM_CLOCK] && para.has[KVM_STEAL] && para.has[KVM_EOI] &&
		    para.has[KVM_IPI]);
	para = decode(~0u, 0);
	assert_int_equal(n_parts(&para), KVM_PARTS);
}

/* ---- stolen time -------------------------------------------------------------------------- */

static struct kvm_steal shared;

/* What KVM does at the reader's n-th fetch, before it: a script of its half steps, one a letter. */
static const char *script = "";
static unsigned n_fetches;

void peer_on_fetch(const volatile void *from, size_t len)
{
	char step = *script ? *script++ : '.';

	n_fetches++;
	if (step == 'o' || step == 'e') /* the version: odd, even */
		shared.version++;
	if (step == 'v') /* the value */
		shared.steal_ns += 1000;
	if (step == 'u') /* the whole of an update */
		shared.version += 2, shared.steal_ns += 1000;
}

static uint64_t read_during(uint32_t version, const char *steps)
{
	shared = (struct kvm_steal){.steal_ns = 5, .version = version};
	script = steps;
	n_fetches = 0;
	return kvm_steal_ns(&shared);
}

static void steal_is_read(void **state)
{
	shared = (struct kvm_steal){.steal_ns = 12345, .version = 8};
	assert_int_equal(kvm_steal_ns(&shared), 12345);
	assert_int_equal(read_during(9, ""),
			 5); /* never again even: the reader comes back all the same */
	assert_true(n_fetches < 1000);
}

/* A round is three fetches: version, value, version; the third is left out after an odd first. */
static void steal_is_of_one_version(void **state)
{
	assert_int_equal(read_during(4, "..."), 5);
	assert_int_equal(n_fetches, 3);
	assert_int_equal(read_during(4, "..u..."), 1005); /* after the value was taken */
	assert_int_equal(n_fetches, 6);
	assert_int_equal(read_during(4, "o.ve..."),
			 1005); /* begun before us, ended in the second round */
	assert_int_equal(read_during(5, "..ve...."), 1005);
	assert_int_equal(read_during(4, ".o.v.e..."), 1005); /* begun in the middle */
	assert_int_equal(read_during(4, ".u...."), 1005);
}

static void a_flush_is_left_to_kvm(void **state)
{
	shared = (struct kvm_steal){0};
	assert_false(kvm_is_preempted(&shared));
	assert_false(kvm_flush_later(&shared));
	assert_int_equal(shared.preempted, 0);
	shared.preempted = KVM_PREEMPTED;
	assert_true(kvm_is_preempted(&shared));
	assert_true(kvm_flush_later(&shared));
	assert_int_equal(shared.preempted, KVM_PREEMPTED | KVM_FLUSH);
	assert_true(kvm_flush_later(&shared));
	shared.preempted = KVM_FLUSH; /* runs again; somebody else's flush was done */
	assert_false(kvm_flush_later(&shared));
	assert_int_equal(shared.preempted, KVM_FLUSH);
}

/* ---- interrupts --------------------------------------------------------------------------- */

static void an_end_is_taken_once(void **state)
{
	uint32_t word = 0xfffffffe;

	assert_false(kvm_eoi_taken(&word));
	assert_int_equal(word, 0xfffffffe);
	word = 0xffffffff;
	assert_true(kvm_eoi_taken(&word));
	assert_int_equal(word, 0xfffffffe);
	assert_false(kvm_eoi_taken(&word));
}

static bool has_id(const struct kvm_ipi_set *set, uint32_t id)
{
	uint32_t bit = id - set->first;

	return bit < KVM_IPI_SPAN && set->bits[bit / 64] >> bit % 64 & 1;
}

static void a_window_of_128(void **state)
{
	struct kvm_ipi_set set = {0};

	assert_true(kvm_ipi_add(&set, 200));
	assert_int_equal(set.first, 200);
	assert_true(kvm_ipi_add(&set, 327));
	assert_false(kvm_ipi_add(&set, 328));
	assert_false(kvm_ipi_add(&set, 199)); /* 327 would fall out */
	assert_false(kvm_ipi_add(&set, 0xffffffff));
	assert_true(set.bits[0] == 1 && set.bits[1] == 1ull << 63 && set.n == 2);
	set = (struct kvm_ipi_set){0};
	assert_true(kvm_ipi_add(&set, 130));
	assert_false(kvm_ipi_add(&set, 2)); /* 128 below */
	assert_true(kvm_ipi_add(&set, 3));
	assert_int_equal(set.first, 3);
	assert_true(has_id(&set, 130) && has_id(&set, 3) && !has_id(&set, 4));
}

/* Any order of any ids: what was taken is there, what was refused would not have fitted. */
static void any_order(void **state)
{
	for (unsigned seed = 0; seed < 500; seed++) {
		struct kvm_ipi_set set = {0};
		uint32_t taken[64], n = 0, low = ~0u, high = 0;

		srand(seed);
		for (unsigned i = 0; i < 64; i++) {
			uint32_t id = 1000 + (uint32_t)rand() % 200;
			uint32_t lo = id < low ? id : low, hi = id > high ? id : high;
			bool fits = !n || hi - lo < KVM_IPI_SPAN;

			/* The window grows downwards only as far as its top allows, and that is the span. */
			assert_int_equal(kvm_ipi_add(&set, id), fits);
			if (fits)
				taken[n++] = id, low = lo, high = hi;
		}
		for (unsigned i = 0; i < n; i++)
			assert_true(has_id(&set, taken[i]));
		assert_int_equal(set.first, low);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_linuxs),
	    cmocka_unit_test(each_bit_is_one_part),
	    cmocka_unit_test(two_clocks),
	    cmocka_unit_test(what_depends_on_what),
	    cmocka_unit_test(steal_is_read),
	    cmocka_unit_test(steal_is_of_one_version),
	    cmocka_unit_test(a_flush_is_left_to_kvm),
	    cmocka_unit_test(an_end_is_taken_once),
	    cmocka_unit_test(a_window_of_128),
	    cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
