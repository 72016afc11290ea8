/* hv_iommu_test.c: whose a function is, and what it reaches when it changes hands.
 *
 * Real domains, frames, domctl and registry on a fake unit that keeps within a device's reach what was not flushed. Why: what a domain
 * left going in a device must not write to the next owner's memory, or to all. Expected: the rows of the table of who may have what;
 * nothing is reached between two owners; functions behind one bridge have one owner and one place; what firmware keeps is in every space that
 * the function joins, and not two domains'.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c tests/host/fake_iommu.c lib/printf.c lib/text.c lib/pci_cap.c
 * links: hypervisor/iommu_device.c hypervisor/iommu_sender.c iommu/sender.c hypervisor/iommu_kept.c hypervisor/iommu_own.c hypervisor/iommu_quota.c hypervisor/iommu_lent.c hypervisor/iommu_assign.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant_entry.c
 */
#include "hv_iommu_fixture.h"

/* ---- whose it is ------------------------------------------------------------------------- */

static void all_are_the_first_domains(void **state)
{
	assert_int_equal(fake_iommu_reach(NVME, frame[0]), ALL);
	assert_ptr_equal(io_device_of(first, NVME), io_device_find(NVME));
	assert_null(io_device_of(plain, NVME));
	assert_int_equal(first->iommu.n_devices, 2);
	assert_ptr_equal(io_device_next(first, NULL), io_device_find(NVME));
	assert_ptr_equal(io_device_next(first, io_device_find(NVME)), io_device_find(NIC));
	assert_null(io_device_next(first, io_device_find(NIC)));
	assert_int_equal(io_device_add(NVME), 0);
	assert_int_equal(first->iommu.n_devices, 2);
	assert_int_equal(io_device_remove(0x0100), -XEN_ENODEV);
	assert_int_equal(io_device_remove(NIC), 0);
	assert_null(io_device_find(NIC));
	assert_int_equal(fake_iommu_reach(NIC, frame[0]), 0);
}

static void between_owners_nothing_is_reached(void **state)
{
	assert_int_equal(assign(plain, NVME), 0);
	assert_int_equal(reach(0), 0);
	assert_ptr_equal(io_device_of(plain, NVME), io_device_find(NVME));
	assert_int_equal(plain->iommu.n_devices, 1);
	assert_int_equal(fake_iommu_reach(NIC, frame[0]), ALL);
	assert_int_equal(io_device_remove(NVME), -XEN_EBUSY);
	assert_int_equal(deassign(plain, NVME), 0);
	assert_int_equal(fake_iommu.lost_msis, 2);
	assert_int_equal(reach(0), 0);
	assert_int_equal(plain->iommu.n_devices, 0);
	assert_null(io_device_find(NVME)->owner);
	assert_int_equal(deassign(NULL, NVME), 0);
	assert_int_equal(reach(0), ALL);
	assert_int_equal(assign(NULL, NVME), 0);
	assert_int_equal(reach(0), 0);
	assert_int_equal(assign(plain, NVME), 0);
}

/* To conventional PCI: type 7 by Express, 0: not. */
static void bridge(unsigned type)
{
	fake_iommu_function(BRIDGE, 0x0604, true, 0x0202, type != 0);
	fake_iommu_type(BRIDGE, (uint8_t)type);
	assert_int_equal(io_device_add(BRIDGE), 0);
}

static void who_may_have_what(void **state)
{
	const domid_t nobody = 99;

	bridge(0);
	function(0x0040, 0x0806);
	assert_int_equal(assign(plain, NVME), 0);
	assert_int_equal(assign(stock, NVME), -XEN_EBUSY);
	assert_int_equal(assign(plain, NVME), -XEN_EBUSY);
	assert_int_equal(assign(NULL, NVME), -XEN_EBUSY);
	assert_int_equal(deassign(stock, NVME), -XEN_ENODEV);
	assert_int_equal(deassign(NULL, NVME), -XEN_ENODEV);
	assert_int_equal(deassign(first, NVME), -XEN_EINVAL);
	assert_int_equal(assign(first, NIC), -XEN_EINVAL);
	assert_int_equal(assign(plain, 0x0999), -XEN_ENODEV);
	assert_int_equal(assign(plain, 0x10000 | NIC), -XEN_ENODEV);
	assert_int_equal(assign(plain, BRIDGE), -XEN_EINVAL);
	assert_non_null(strstr(fake.log, "00:06.0 is not given to domain 1: it is a bridge"));
	assert_int_equal(assign(plain, 0x0040), -XEN_EINVAL);
	assert_int_equal(device_op(XEN_DOMCTL_assign_device, nobody, NIC), -XEN_ESRCH);
	assert_int_equal(device_op(XEN_DOMCTL_test_assign_device, DOMID_INVALID, NVME), -XEN_EBUSY);
	assert_int_equal(device_op(XEN_DOMCTL_test_assign_device, DOMID_INVALID, NIC), 0);
	assert_int_equal(device_op(XEN_DOMCTL_test_assign_device, plain->id, NIC), 0);
	assert_int_equal(device_op(XEN_DOMCTL_test_assign_device, plain->id, BRIDGE), -XEN_EINVAL);
	assert_ptr_equal(io_device_find(NIC)->owner, first);
	op.u.assign_device.dev = XEN_DOMCTL_DEV_DT;
	FAKE_PUT(0, op);
	assert_int_equal(hc_domctl(FAKE_GUEST_BASE), -XEN_ENOSYS);
}

/* A function that nobody told of is looked for; what is not there stays unknown. */
static void a_function_is_found_when_it_is_named(void **state)
{
	fake_iommu_function(0x0048, 0x0c03, false, 0, true);
	assert_null(io_device_find(0x0048));
	assert_int_equal(assign(plain, 0x0048), 0);
	assert_ptr_equal(io_device_find(0x0048)->owner, plain);
	assert_int_equal(assign(plain, 0x0050), -XEN_ENODEV);
}

static void without_a_unit(void **state)
{
	function(FAR, 0x0108);
	assert_int_equal(assign(plain, FAR), -XEN_ENODEV);
	assert_non_null(strstr(fake.log, "0f:00.0 is not given to domain 1: no IOMMU"));
	assert_int_equal(io_device_remove(NVME), 0);
	assert_int_equal(io_device_remove(NIC), 0);
	fake_iommu.off = true;
	assert_int_equal(assign(plain, FAR), 0);
	assert_non_null(
	    strstr(fake.log, "warning: iommu=off: domain 1 can reach all memory by 0f:00.0"));
	fake.log[0] = '\0';
	assert_int_equal(deassign(plain, FAR), 0);
	assert_int_equal(assign(stock, FAR), 0);
	assert_null(strstr(fake.log, "warning"));
	assert_int_equal(io_device_enter(io_device_find(FAR), NULL), 0);
}

static void a_domain_ends_with_its_functions(void **state)
{
	struct domain *d = fake_domain(1, 64);

	fake_run(first->vcpu[0]);
	assert_int_equal(assign(d, NVME), 0);
	assert_int_equal(assign(d, NIC), 0);
	fake_domain_end(d);
	fake_run(first->vcpu[0]);
	assert_null(io_device_find(NVME)->owner);
	assert_int_equal(reach(0), 0);
	assert_int_equal(deassign(NULL, NIC), 0);
}

/* ---- those that a unit cannot tell apart -------------------------------------------------- */

/* NEXT is behind the bridge as well; who speaks there does so as `number`. */
#define NEXT (BEHIND + 8)

static void behind_a_bridge(unsigned type)
{
	bridge(type);
	function(BEHIND, 0x0108);
	function(NEXT, 0x0200);
}

static unsigned group_of(uint32_t sbdf, struct domain *d, unsigned max, uint32_t *out)
{
	long result;

	memset(&op, 0, sizeof(op));
	op.cmd = XEN_DOMCTL_get_device_group;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = d->id;
	op.u.get_device_group.machine_sbdf = sbdf;
	op.u.get_device_group.max_sdevs = max;
	op.u.get_device_group.sdev_array.p = (void *)(FAKE_GUEST_BASE + 2048);
	result = hc_domctl(FAKE_PUT(0, op));
	memcpy(&op, fake_arena, sizeof(op));
	memcpy(out, fake_arena + 2048, sizeof(*out));
	return result ? (unsigned)-result : op.u.get_device_group.num_sdevs;
}

static void one_number_is_one_domains(uint16_t number)
{
	uint32_t other;

	assert_int_equal(fake_iommu_reach(number, frame[0]), ALL);
	assert_int_equal(group_of(BEHIND, first, 4, &other), 1);
	assert_int_equal(other, (uint32_t)NEXT << 8);
	assert_int_equal(group_of(BEHIND, first, 0, &other), 0);
	assert_int_equal(group_of(NVME, first, 4, &other), 0);
	assert_int_equal(group_of(0x0999, first, 4, &other), XEN_ENODEV);
	/* The other is still the first domain's. */
	assert_int_equal(assign(stock, BEHIND), -XEN_EXDEV);
	assert_non_null(strstr(fake.log,
			       "02:00.0 is not given to domain 2: behind its bridge, and one "
			       "with it to the IOMMU, is 02:01.0 of domain 0"));
	assert_int_equal(assign(NULL, NEXT), 0);
	assert_int_equal(assign(stock, BEHIND), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	assert_int_equal(fake_iommu_reach(BEHIND, frame[0]), ALL);
	assert_int_equal(fake_iommu_reach(number, frame[0]), ALL);
	assert_int_equal(fake_iommu_reach(number, frame[1]), 0);
	/* Nor may another have it, nor the first again, before all are back. */
	assert_int_equal(assign(plain, NEXT), -XEN_EXDEV);
	assert_int_equal(deassign(NULL, NEXT), -XEN_EBUSY);
	assert_null(io_device_find(NEXT)->owner);
	assert_int_equal(assign(stock, NEXT), 0);
	assert_int_equal(group_of(BEHIND, stock, 4, &other), 1);
	assert_int_equal(group_of(BEHIND, first, 4, &other), 0);
	assert_int_equal(deassign(stock, BEHIND), 0);
	assert_int_equal(fake_iommu_reach(BEHIND, frame[0]), number == BEHIND ? ALL : 0);
	assert_int_equal(fake_iommu_reach(number, frame[0]), ALL);
	assert_int_equal(deassign(stock, NEXT), 0);
	assert_int_equal(fake_iommu_reach(BEHIND, frame[0]), 0);
	assert_int_equal(fake_iommu_reach(number, frame[0]), 0);
	assert_int_equal(deassign(NULL, BEHIND), 0);
	assert_int_equal(deassign(NULL, NEXT), 0);
	assert_int_equal(fake_iommu_reach(number, frame[1]), ALL);
	give(0);
}

static void behind_a_conventional_bridge(void **state)
{
	behind_a_bridge(0);
	assert_int_equal(io_sender(BEHIND), BRIDGE);
	assert_ptr_equal(io_sender_first(BRIDGE), io_device_find(BEHIND));
	one_number_is_one_domains(BRIDGE);
}

static void behind_an_express_bridge(void **state)
{
	behind_a_bridge(7);
	assert_int_equal(io_sender(BEHIND), 0x0200);
	assert_int_equal(io_sender(NEXT), 0x0200);
	assert_ptr_equal(io_sender_first(0x0200), io_device_find(BEHIND));
	one_number_is_one_domains(0x0200);
}

/* Below the first bridge each has its number, below the second not: what leaves by both has the first's. */
static void behind_several_bridges(void **state)
{
	fake_iommu_function(0x0038, 0x0604, true, 0x0301, true);
	fake_iommu_function(0x0100, 0x0604, true, 0x0302, false);
	fake_iommu_function(0x0208, 0x0604, true, 0x0303, false);
	assert_int_equal(io_device_add(0x0038), 0);
	assert_int_equal(io_device_add(0x0100), 0);
	assert_int_equal(io_device_add(0x0208), 0);
	function(0x0300, 0x0108);
	function(0x0210, 0x0108);
	assert_int_equal(io_sender(0x0300), 0x0100);
	assert_int_equal(io_sender(0x0210), 0x0100);
	assert_int_equal(io_sender(0x0100), 0x0100);
	assert_int_equal(io_sender(NVME), NVME);
	assert_int_equal(io_sender(0x0999), 0x0999);
	assert_int_equal(fake_iommu_reach(0x0100, frame[0]), ALL);
	assert_null(io_sender_next(io_device_find(0x0100), NULL));
}

/* Firmware's word is enough, without a bridge: here two functions of the root bus send as the second. */
static void by_firmwares_word(void **state)
{
	uint32_t other;

	assert_int_equal(io_device_remove(NVME), 0);
	assert_int_equal(io_device_remove(NIC), 0);
	fake_iommu.aliases[0] = (struct iommu_alias){NVME, NVME, NIC};
	fake_iommu.n_aliases = 1;
	function(NVME, 0x0108);
	function(NIC, 0x0200);
	assert_int_equal(io_sender(NVME), NIC);
	assert_ptr_equal(io_sender_first(NIC), io_device_find(NVME));
	assert_int_equal(group_of(NVME, first, 4, &other), 1);
	assert_int_equal(other, NIC << 8);
	assert_int_equal(assign(stock, NVME), -XEN_EXDEV);
	assert_int_equal(assign(NULL, NIC), 0);
	assert_int_equal(fake_iommu_reach(NIC, frame[0]), ALL);
	assert_int_equal(assign(NULL, NVME), 0);
	assert_int_equal(fake_iommu_reach(NIC, frame[0]), 0);
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	assert_int_equal(fake_iommu_reach(NIC, frame[0]), ALL);
	assert_int_equal(assign(plain, NIC), -XEN_EXDEV);
	give(0);
}

/* And where it says what the bridge does not, both are believed: the three numbers have one owner and one place, though only BEHIND has all of them. */
static void firmware_and_bridge_differ(void **state)
{
	struct iommu_space *a, *b;

	fake_iommu.aliases[0] = (struct iommu_alias){BEHIND + 1, BEHIND + 1, BRIDGE};
	fake_iommu.aliases[1] = (struct iommu_alias){NIC, NIC, BRIDGE};
	fake_iommu.n_aliases = 2;
	assert_int_equal(io_device_remove(NIC), 0);
	function(NIC, 0x0200);
	bridge(7);
	function(BEHIND + 1, 0x0108);
	function(NEXT, 0x0200);
	assert_int_equal(io_sender(BEHIND + 1), BRIDGE);
	assert_int_equal(io_sender(NEXT), 0x0200);
	assert_int_equal(fake_iommu_reach(BRIDGE, frame[0]), ALL);
	assert_int_equal(assign(plain, BEHIND + 1), -XEN_EXDEV);
	assert_int_equal(assign(NULL, BEHIND + 1), 0);
	assert_int_equal(assign(NULL, NIC), 0);
	assert_int_equal(fake_iommu_reach(BRIDGE, frame[0]), 0);
	assert_int_equal(fake_iommu_reach(0x0200, frame[0]), ALL);
	assert_int_equal(assign(NULL, NEXT), 0);
	/* The outer two have nothing in common with each other; the one between has to go with both. */
	assert_int_equal(assign(stock, NEXT), 0);
	assert_int_equal(assign(plain, NIC), 0);
	assert_int_equal(assign(plain, BEHIND + 1), -XEN_EXDEV);
	assert_int_equal(assign(stock, BEHIND + 1), -XEN_EXDEV);
	assert_int_equal(deassign(stock, NEXT), 0);
	assert_int_equal(assign(plain, NEXT), 0);
	assert_int_equal(assign(plain, BEHIND + 1), 0);
	assert_int_equal(iommu_space_new(iommu_of(NVME), 8, &a), 0);
	assert_int_equal(iommu_space_new(iommu_of(NVME), 8, &b), 0);
	assert_int_equal(io_device_enter(io_device_find(NEXT), a), 0);
	assert_int_equal(io_device_enter(io_device_find(NIC), b), 0);
	assert_int_equal(io_device_enter(io_device_find(BEHIND + 1), a), -XEN_EBUSY);
	assert_int_equal(io_device_enter(io_device_find(NIC), NULL), 0);
	assert_int_equal(io_device_enter(io_device_find(BEHIND + 1), a), 0);
	assert_int_equal(iommu_pass(BRIDGE, true), -XEN_EBUSY);
	assert_int_equal(io_device_enter(io_device_find(NEXT), NULL), 0);
	assert_int_equal(iommu_pass(0x0200, true), -XEN_EBUSY);
	assert_int_equal(io_device_enter(io_device_find(BEHIND + 1), NULL), 0);
	assert_int_equal(iommu_space_free(a), 0);
	assert_int_equal(iommu_space_free(b), 0);
}

/* One place for all: a second context is refused, and what it was in it stays in. */
static void one_number_is_in_one_place(void **state)
{
	struct iommu_space *a, *b;

	behind_a_bridge(0);
	assert_int_equal(assign(NULL, NEXT), 0);
	assert_int_equal(assign(plain, BEHIND), 0);
	assert_int_equal(deassign(NULL, NEXT), -XEN_EBUSY); /* although it reaches nothing yet */
	assert_int_equal(assign(plain, NEXT), 0);
	assert_int_equal(iommu_space_new(iommu_of(NVME), 8, &a), 0);
	assert_int_equal(iommu_space_new(iommu_of(NVME), 8, &b), 0);
	assert_int_equal(io_device_enter(io_device_find(BEHIND), a), 0);
	assert_int_equal(io_device_enter(io_device_find(NEXT), b), -XEN_EBUSY);
	assert_null(io_device_find(NEXT)->space);
	assert_int_equal(io_device_enter(io_device_find(NEXT), a), 0);
	assert_int_equal(io_device_enter(io_device_find(BEHIND), b), -XEN_EBUSY);
	assert_ptr_equal(io_device_find(BEHIND)->space, a);
	assert_int_equal(io_device_enter(io_device_find(BEHIND), NULL), 0);
	assert_int_equal(iommu_pass(BRIDGE, true), -XEN_EBUSY);
	/* A unit that does not answer half way is asked again. */
	fake_iommu.broken = true;
	assert_int_equal(io_device_enter(io_device_find(NEXT), NULL), -XEN_EIO);
	fake_iommu.broken = false;
	assert_int_equal(io_device_enter(io_device_find(NEXT), b), 0);
	assert_int_equal(io_device_enter(io_device_find(NEXT), NULL), 0);
	assert_int_equal(iommu_space_free(a), 0);
	assert_int_equal(iommu_space_free(b), 0);
}

/* ---- what firmware keeps ------------------------------------------------------------------ */

/* It is in every space the function joins, and in no other's. */
static void what_firmware_keeps_stays(void **state)
{
	const mfn_t kept = {0x20};
	struct iommu_space *space;

	fake_iommu.reserved[0] = (struct iommu_reserved){NVME, NVME, 0x20000, 0x22000, ALL};
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(assign(stock, NIC), 0);
	assert_int_equal(fake_iommu_reach(NVME, kept), ALL);
	assert_int_equal(assign(plain, NVME), -XEN_EBUSY);
	assert_int_equal(deassign(stock, NVME), 0);
	assert_int_equal(assign(plain, NVME), 0);
	assert_int_equal(iommu_space_new(iommu_of(NVME), 8, &space), 0);
	assert_int_equal(io_device_enter(io_device_find(NVME), space), 0);
	assert_int_equal(fake_iommu_reach(NVME, kept), ALL);
	assert_int_equal(fake_iommu_reach(NVME, frame[0]), 0);
	assert_int_equal(io_device_enter(io_device_find(NVME), NULL), 0);
	assert_int_equal(fake_iommu_reach(NVME, kept), 0);
	assert_int_equal(iommu_space_free(space), 0);
}

/* A bridge's is of those who send as it, who have one owner at a time anyway. */
static void what_firmware_keeps_for_a_bridge(void **state)
{
	fake_iommu.reserved[0] = (struct iommu_reserved){BRIDGE, BRIDGE, 0x20000, 0x22000, ALL};
	fake_iommu.reserved[1] = (struct iommu_reserved){NIC, NIC, 0x22000, 0x23000, ALL};
	behind_a_bridge(0);
	assert_int_equal(assign(NULL, NEXT), 0);
	assert_int_equal(assign(stock, BEHIND), 0);
	assert_int_equal(fake_iommu_reach(BRIDGE, (mfn_t){0x20}), ALL);
	assert_int_equal(deassign(stock, BEHIND), 0);
	fake_iommu.reserved[1].start = 0x21000;
	assert_int_equal(assign(stock, BEHIND), -XEN_EPERM);
}

static long assign_relaxed(struct domain *d, uint32_t sbdf)
{
	return device_op_with(XEN_DOMCTL_assign_device, d->id, sbdf, XEN_DOMCTL_DEV_RDM_RELAXED);
}

/* As Xen's rdm_policy: what is kept for two is kept from both, unless the toolstack insists. */
static void what_firmware_keeps_for_two(void **state)
{
	fake_iommu.reserved[0] = (struct iommu_reserved){NVME, NVME, 0x20000, 0x22000, ALL};
	fake_iommu.reserved[1] = (struct iommu_reserved){NIC, NIC, 0x22000, 0x23000, ALL};
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(deassign(stock, NVME), 0);
	fake_iommu.reserved[1].start = 0x21000;
	assert_int_equal(assign(stock, NVME), -XEN_EPERM);
	assert_non_null(strstr(fake.log,
			       "00:04.0 is not given to domain 2: memory that firmware keeps "
			       "for it is also used by 00:05.0 of domain 0"));
	assert_int_equal(assign(plain, NIC), -XEN_EPERM);
	assert_int_equal(assign_relaxed(stock, NVME), 0);
	assert_non_null(
	    strstr(fake.log, "warning: 00:04.0 and 00:05.0 use memory that firmware keeps"));
	assert_int_equal(fake_iommu_reach(NVME, (mfn_t){0x21}), ALL);
	assert_int_equal(deassign(stock, NVME), 0);
	/* A window without rights is a hole for all, and keeps nothing. */
	fake_iommu.reserved[1] = (struct iommu_reserved){0, 0xffff, 0x20000, 0x24000, 0};
	assert_int_equal(assign(plain, NVME), 0);
}

/* A table that says a domain's memory is a device's is not believed, whatever the toolstack says. */
static void what_firmware_keeps_is_no_memory(void **state)
{
	uint64_t at = frame[0].v << PAGE_SHIFT;

	fake_iommu.reserved[0] = (struct iommu_reserved){NVME, NVME, at, at + PAGE_SIZE, ALL};
	assert_int_equal(assign(plain, NVME), -XEN_EPERM);
	assert_int_equal(assign_relaxed(plain, NVME), -XEN_EPERM);
	assert_non_null(strstr(fake.log, "firmware keeps for it what is memory"));
	assert_int_equal(assign(plain, NIC), 0);
	fake_iommu.reserved[0].end = ~0xfffull;
	assert_int_equal(assign(plain, NVME), -XEN_EPERM);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(all_are_the_first_domains),
	    TEST(between_owners_nothing_is_reached),
	    TEST(who_may_have_what),
	    TEST(a_function_is_found_when_it_is_named),
	    TEST(without_a_unit),
	    TEST(a_domain_ends_with_its_functions),
	    TEST(behind_a_conventional_bridge),
	    TEST(behind_an_express_bridge),
	    TEST(behind_several_bridges),
	    TEST(by_firmwares_word),
	    TEST(firmware_and_bridge_differ),
	    TEST(one_number_is_in_one_place),
	    TEST(what_firmware_keeps_stays),
	    TEST(what_firmware_keeps_for_two),
	    TEST(what_firmware_keeps_for_a_bridge),
	    TEST(what_firmware_keeps_is_no_memory),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
