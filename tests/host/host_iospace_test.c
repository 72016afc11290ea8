/* host_iospace_test.c: lists of pages as operations of the hypercall, before a hypervisor that does them one by one.
 *
 * Shows: neighbours are one operation, and granted pages are named by their grants; a list that is refused in the middle leaves nothing behind; what is unmapped is flushed
 * by the same call; a function that leaves its space goes to one that stays empty, of its own unit, and never to context 0; functions that no unit can tell apart have
 * one space as long as one of them has it; a function of another domain's goes by the hypervisor's number; where nobody answers, nothing is begun. Why: the first domain's context 0 is all of memory. Expected: all hold.
 *
 * links: kernel/host_iospace.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/error_name.h>
#include <amphi/host_iospace.h>
#include <amphi/iospace.h>
#include <amphi/machine.h>
#include <amphi/pcifront.h>
#include "fake_hypercall.h"
#include "kernel/console.h"
#include "kernel/host_grant.h"
#include "kernel/host_iospace.h"
#include "kernel/mm.h"

uint64_t mm_test_kernel_base, mm_test_direct_base;

/* ---- the kernel around it -------------------------------------------------------------------------- */

static bool has_devices;
static uint32_t seen_as; /* 00:03.0 by the hypervisor */
static enum dma_policy begun;
static unsigned drained;
static const struct granted grants[] = {{.ref = 99, .owner = 3}, {.ref = 100, .owner = 3}};
#define GRANTED ((const char *)0x700000) /* two pages */
#define SHIFT   0x40000000ull            /* of an address: how far its frame is */

bool machine_has_devices(void)
{
	return has_devices;
}

bool pcifront_machine(uint16_t bdf, uint32_t *out_sbdf)
{
	*out_sbdf = seen_as;
	return bdf == 0x18;
}

const struct granted *granted_at(const void *va)
{
	size_t page = (size_t)((const char *)va - GRANTED) / PAGE_SIZE;

	return (const char *)va >= GRANTED && page < ARRAY_SIZE(grants) ? &grants[page] : NULL;
}

maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va + SHIFT};
}

void dma_io_start(enum dma_policy policy)
{
	begun = policy;
}

void iospace_watch_faults(void) {}

void dma_io_drain(void)
{
	drained++;
}

void klog(enum log_level level, const char *fmt, ...) {}

/* ---- the hypervisor: functions below 0x300 are behind unit 0, others behind unit 1 ------------------ */

#define CONTEXTS 8u
static struct {
	bool there;
	unsigned unit;
} contexts[CONTEXTS];
static uint32_t where[0x1000]; /* function -> context */
static struct iospace_op did[300];
static unsigned n_did, n_calls, refuse_at;
static int call_error;
static bool home_is_memory; /* context 0 */

static unsigned unit_of(uint32_t sbdf)
{
	return sbdf >= 0x300;
}

static int do_alloc(struct iospace_alloc *a)
{
	if (a->sbdf >= 0x1000)
		return -XEN_EPERM;
	for (uint32_t i = 1; i < CONTEXTS; i++)
		if (!contexts[i].there) {
			contexts[i].there = true;
			contexts[i].unit = unit_of(a->sbdf);
			a->context = i;
			return 0;
		}
	return -XEN_ENOSPC;
}

/* 02:00.0 and 02:01.0 are one to the unit. */
static const uint32_t one_sender[] = {0x200, 0x208};

static bool is_elsewhere(uint32_t sbdf, uint32_t context)
{
	uint32_t other = one_sender[sbdf == one_sender[0]];

	if (sbdf != one_sender[0] && sbdf != one_sender[1])
		return false;
	return (where[other] || home_is_memory) && where[other] != context;
}

static int do_attach(const struct iospace_attach *a)
{
	if (a->context && contexts[a->context].unit != unit_of(a->sbdf))
		return -XEN_EXDEV;
	if (is_elsewhere(a->sbdf, a->context))
		return -XEN_EBUSY;
	where[a->sbdf] = a->context;
	return 0;
}

static int do_op(struct iospace_op *op)
{
	did[n_did++] = *op;
	switch (op->cmd) {
	case IOSPACE_alloc:
		return do_alloc(&op->u.alloc);
	case IOSPACE_attach:
		return do_attach(&op->u.attach);
	case IOSPACE_free:
		for (unsigned i = 0; i < ARRAY_SIZE(where); i++)
			if (where[i] == op->u.free.context)
				return -XEN_EBUSY;
		contexts[op->u.free.context].there = false;
		return 0;
	case IOSPACE_query:
		op->u.query.tables = 4;
		return 0;
	default:
		return n_did == refuse_at ? -XEN_ENOMEM : 0;
	}
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	struct iospace_op *ops = (struct iospace_op *)a1;

	assert_int_equal(nr, __HYPERVISOR_iospace_op);
	n_calls++;
	for (unsigned i = 0; i < a2 && !call_error; i++)
		ops[i].status = do_op(&ops[i]);
	return call_error;
}

static int begin(void **state)
{
	memset(contexts, 0, sizeof(contexts));
	memset(where, 0, sizeof(where));
	n_did = n_calls = refuse_at = 0;
	call_error = 0;
	has_devices = true;
	home_is_memory = false;
	seen_as = 0x300;
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct host_iospace_page pages[8];

/* Seven neighbours, with a granted page among them and the last far away in the machine. */
static void make_pages(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = (struct host_iospace_page){
		    .dma = 0x10000000 + i * PAGE_SIZE,
		    .va = (const void *)(0x100000 + i * PAGE_SIZE),
		    .rights = HOST_IOSPACE_READ | HOST_IOSPACE_WRITE,
		};
	pages[3].va = GRANTED;
	pages[7].va = (const void *)0x900000;
}

static void neighbours_are_one(void **state)
{
	make_pages();
	assert_int_equal(host_iospace_map(5, pages, 8), 0);
	assert_int_equal(n_calls, 1);
	assert_int_equal(n_did, 4);
	for (unsigned i = 0; i < n_did; i++) {
		assert_int_equal(did[i].cmd, IOSPACE_map);
		assert_int_equal(did[i].u.map.context, 5);
		assert_int_equal(did[i].flags,
				 IOSPACE_READ | IOSPACE_WRITE | (i == 1 ? IOSPACE_GREF : 0));
	}
	assert_int_equal(did[0].u.map.count, 3);
	assert_int_equal(did[0].u.map.frame, (0x100000 + SHIFT) >> PAGE_SHIFT);
	assert_int_equal(did[1].u.map.count, 1);
	assert_int_equal(did[1].u.map.dma, 0x10003000);
	assert_int_equal(did[1].u.map.grant.ref, 99);
	assert_int_equal(did[1].u.map.grant.domain, 3);
	assert_int_equal(did[2].u.map.count, 3);
	assert_int_equal(did[3].u.map.count, 1);
}

/* Their numbers are neighbours, too, and mean nothing. */
static void grants_are_one_by_one(void **state)
{
	make_pages();
	pages[4].va = GRANTED + PAGE_SIZE;
	assert_int_equal(host_iospace_map(5, pages, 8), 0);
	assert_int_equal(n_did, 5);
	assert_int_equal(did[2].u.map.grant.ref, 100);
	assert_int_equal(did[2].u.map.count, 1);
}

static void other_rights_are_another(void **state)
{
	make_pages();
	pages[1].rights = HOST_IOSPACE_READ;
	assert_int_equal(host_iospace_map(5, pages, 3), 0);
	assert_int_equal(n_did, 3);
	assert_int_equal(did[1].flags, IOSPACE_READ);
}

static void a_refusal_leaves_nothing(void **state)
{
	unsigned unmaps = 0;

	make_pages();
	refuse_at = 3;
	assert_int_equal(host_iospace_map(5, pages, 8), -XEN_ENOMEM);
	for (unsigned i = 4; i < n_did; i++) {
		assert_int_equal(did[i].cmd, IOSPACE_unmap);
		assert_int_equal(did[i].flags, 0); /* flushed */
		assert_int_equal(did[i].u.unmap.context, 5);
		unmaps += did[i].u.unmap.count;
	}
	assert_int_equal(unmaps, 5);
	assert_int_equal(did[4].u.unmap.dma, 0x10000000);
	call_error = -XEN_EFAULT;
	assert_int_equal(host_iospace_map(5, pages, 8), -XEN_EFAULT);
}

static void unmapped_and_flushed(void **state)
{
	static const uint64_t dma[] = {0x10000000, 0x10001000, 0x10005000, 0x10004000};

	assert_int_equal(host_iospace_unmap(5, dma, 4), 0);
	assert_int_equal(n_calls, 1);
	assert_int_equal(n_did, 4);
	assert_int_equal(did[0].u.unmap.count, 2);
	assert_int_equal(did[0].flags, IOSPACE_NO_FLUSH);
	assert_int_equal(did[3].cmd, IOSPACE_flush_all);
	assert_int_equal(did[3].u.flush.context, 5);
	refuse_at = 8;
	assert_int_equal(host_iospace_unmap(5, dma, 4), -XEN_ENOMEM);
	call_error = -XEN_ENOSYS;
	assert_int_equal(host_iospace_unmap(5, dma, 4), -XEN_ENOSYS);
}

/* Both units get one empty context, whoever comes after. */
static void who_leaves_reaches_nothing(void **state)
{
	static const uint16_t functions[] = {0x20, 0x28, 0x300, 0x308};
	uint32_t space[4];

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(host_iospace_new(functions[i], &space[i]), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(where[functions[i]], space[i]);
		assert_int_equal(host_iospace_leave(functions[i]), 0);
		assert_int_equal(host_iospace_free(space[i]), 0);
		assert_int_not_equal(where[functions[i]], 0);
	}
	assert_int_equal(where[0x20], where[0x28]);
	assert_int_equal(where[0x300], where[0x308]);
	assert_int_not_equal(where[0x20], where[0x300]);
}

static unsigned n_contexts(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONTEXTS; i++)
		n += contexts[i].there;
	return n;
}

/* Where the hypervisor has them they work as they are, if that is memory. */
static void one_sender_at_home(void **state)
{
	uint32_t space;

	home_is_memory = true;
	assert_int_equal(host_iospace_new(0x200, &space), -XEN_ENODEV);
	has_devices = false;
	seen_as = 0x208;
	assert_int_equal(host_iospace_new(0x18, &space), -XEN_ENODEV);
	assert_int_equal(n_contexts(), 0);
}

static void one_sender_one_space(void **state)
{
	uint32_t far, a, b;

	assert_int_equal(host_iospace_new(0x28, &far), 0);
	assert_int_equal(host_iospace_new(0x200, &a), 0);
	assert_int_equal(host_iospace_new(0x208, &b), 0);
	assert_int_equal(a, b);
	assert_int_not_equal(a, far);
	assert_int_equal(where[0x200], a);
	assert_int_equal(where[0x208], a);
	assert_int_equal(where[0x28], far);
	assert_int_equal(n_contexts(), 2);
	/* Neither can leave before the other, and the second of them has the space still. */
	assert_int_equal(host_iospace_leave(0x200), -XEN_EBUSY);
	assert_int_equal(host_iospace_free(a), 0);
	assert_true(contexts[a].there);
	assert_int_equal(host_iospace_new(0x200, &a), 0);
	assert_int_equal(a, b);
	assert_int_equal(host_iospace_free(a), 0);
	assert_int_equal(host_iospace_leave(0x208), -XEN_EBUSY);
	assert_int_equal(host_iospace_free(a), 0);
	assert_true(contexts[a].there);
	/* They are ours no more: who comes next finds it let go. */
	where[0x200] = where[0x208] = 0;
	assert_int_equal(host_iospace_new(0x20, &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(n_contexts(), 2);
	assert_int_equal(host_iospace_leave(0x28), 0);
	assert_int_equal(host_iospace_free(far), 0);
	assert_int_equal(host_iospace_leave(0x20), 0);
	assert_int_equal(host_iospace_free(a), 0);
}

/* The first was given up, and its number with it. */
static void one_sender_given_up(void **state)
{
	uint32_t a, b;

	assert_int_equal(host_iospace_new(0x200, &a), 0);
	assert_int_equal(host_iospace_leave(0x200), 0);
	assert_int_equal(host_iospace_free(a), 0);
	assert_false(contexts[a].there);
	assert_int_equal(host_iospace_new(0x208, &b), -XEN_EBUSY);
	assert_int_not_equal(where[0x208], 0);
	assert_int_equal(host_iospace_free(7), -XEN_ENOENT);
}

static void by_the_hypervisor_s_number(void **state)
{
	uint32_t space, other;

	has_devices = false;
	assert_int_equal(host_iospace_new(0x18, &space), 0);
	assert_int_equal(where[0x300], space);
	assert_int_equal(host_iospace_new(0x19, &other), -XEN_ENODEV);
	assert_int_equal(host_iospace_tables(0x18), 4);
	where[0x300] = 0;
	assert_int_equal(host_iospace_free(space), 0);
}

static void begins_where_somebody_answers(void **state)
{
	iospace_start(DMA_POLICY_DIRECT);
	assert_int_equal(n_calls, 0);
	call_error = -XEN_ENOSYS;
	iospace_start(DMA_POLICY_LAZY);
	assert_int_equal(begun, DMA_POLICY_DIRECT);
	iospace_drain();
	assert_int_equal(drained, 0);
	call_error = 0;
	iospace_start(DMA_POLICY_LAZY);
	assert_int_equal(begun, DMA_POLICY_LAZY);
	iospace_drain();
	assert_int_equal(drained, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(neighbours_are_one, begin),
	    cmocka_unit_test_setup(grants_are_one_by_one, begin),
	    cmocka_unit_test_setup(other_rights_are_another, begin),
	    cmocka_unit_test_setup(a_refusal_leaves_nothing, begin),
	    cmocka_unit_test_setup(unmapped_and_flushed, begin),
	    cmocka_unit_test_setup(who_leaves_reaches_nothing, begin),
	    cmocka_unit_test_setup(one_sender_at_home, begin),
	    cmocka_unit_test_setup(one_sender_one_space, begin),
	    cmocka_unit_test_setup(one_sender_given_up, begin),
	    cmocka_unit_test_setup(by_the_hypervisor_s_number, begin),
	    cmocka_unit_test_setup(begins_where_somebody_answers, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
