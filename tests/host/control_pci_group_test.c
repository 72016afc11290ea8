/* control_pci_group_test.c: PCI functions that no IOMMU keeps apart go to one domain, or to none.
 *
 * Why: what one domain's function sends to another's never comes by a unit, so nothing else would stop it. Expected: a function is refused, by the
 * names of those in its way, unless they are idle, its owner's too, or the file insists; idle ones are nobody's to the hypervisor meanwhile, and
 * the machine's again after the last.
 *
 * links: control/control*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/save_*.c control/config_*.c control/domain_config.c control/domain_builder.c
 * links: control/builder_*.c lib/start_layout.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 */
#include "control_pci_fixture.h"

/* ---- functions that no IOMMU keeps apart ------------------------------------------------------ */

#define BESIDE 0x0019u /* of one device with CARD, which has no access control */

static struct fake_pci *with_neighbour(void)
{
	return fake_pci_add(5, BESIDE, 0x0c0330);
}

static void want_to(uint16_t bdf, const char *name)
{
	strcpy(world_config.name, name);
	world_config.n_pci = 0;
	want(bdf);
}

static void test_group_refused(void **state)
{
	with_neighbour();
	want(CARD);
	expect_refused(-XEN_EBUSY,
		       "g: pci 00:03.0: in one group with 00:03.1 (the machine's): give it all "
		       "of them, or none");
	expect_events("");
	assert_int_equal(fake_pci_at(CARD)->is.state, HOST_PCI_OURS);
}

/* Idle ones are nobody's to the hypervisor as long as one of the group is given. */
static void test_group_idle(void **state)
{
	memset(&with_neighbour()->config[4], 0, 2);
	want(CARD);
	world_create();
	expect_events(
	    "park 19\nlet go 18\nquiet 18\nd3 18\nquiet 18\nassign 18\nmemory fe200+1 1\n");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	expect_events(
	    "release 18\nquiet 18\nmemory fe200+1 0\ndeassign 18\nquiet 18\nd3 18\nquiet 18\n"
	    "reclaim 19\nreclaim 18\nback 18\n");
}

/* All of it to one domain: let go before the first is assigned, the machine's again after the last. */
static void test_group_whole(void **state)
{
	with_neighbour();
	want(CARD);
	want(BESIDE);
	world_create();
	expect_events("let go 19\npark 19\nlet go 18\nquiet 18\nd3 18\nquiet 18\nassign 18\n"
		      "memory fe200+1 1\nquiet 19\nassign 19\n");
	strcpy(world_config.name, "h");
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EBUSY);
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	expect_events(
	    "release 19\nquiet 19\ndeassign 19\nquiet 19\nback 19\n"
	    "release 18\nquiet 18\nmemory fe200+1 0\ndeassign 18\nquiet 18\nd3 18\nquiet 18\n"
	    "reclaim 19\nreclaim 18\nback 18\n");
}

static void test_group_relaxed(void **state)
{
	with_neighbour();
	want(CARD);
	world_config.pci[0].flags = CONFIG_PCI_APART;
	world_create();
	assert_true(
	    mock_logged("g: pci 00:03.0: group_policy=relaxed: it may reach, or be reached by, "
			"00:03.1 (the machine's)"));
	want_to(BESIDE, "h");
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EBUSY);
	assert_string_equal(control_why(),
			    "h: pci 00:03.1: in one group with 00:03.0 (domain 1): give it "
			    "all of them, or none");
	/* A driver of ours may have it again: who has the other was told. */
	assert_int_equal(control_pci_free("00:03.1"), 0);
	assert_int_equal(control_pci_keep("00:03.1"), 0);
	world_config.pci[0].flags = CONFIG_PCI_APART;
	assert_int_equal(control_create(&world_config, &world_id), 0);
	assert_true(
	    mock_logged("h: pci 00:03.1: group_policy=relaxed: it may reach, or be reached by, "
			"00:03.0 (domain 1)"));
	assert_int_equal(control_destroy("g"), 0);
	assert_int_equal(control_destroy("h"), 0);
	mock_run();
}

static void test_group_kept(void **state)
{
	memset(&with_neighbour()->config[4], 0, 2);
	assert_int_equal(control_pci_free("00:03.1"), 0);
	want(CARD);
	world_create();
	assert_int_equal(control_pci_keep("00:03.1"), -XEN_EBUSY);
	assert_string_equal(control_why(),
			    "pci 00:03.1: in one group with 00:03.0, which domain 1 has");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	fake_pci_events[0] = 0;
	assert_int_equal(control_pci_keep("00:03.1"), 0);
	expect_events("reclaim 19\ntake 19\n");
}

/* The hypervisor says that to its IOMMU they are one; what was begun is undone. */
static void test_group_is_one(void **state)
{
	memset(&with_neighbour()->config[4], 0, 2);
	want(CARD);
	fake_pci_assign_err = -XEN_EXDEV;
	expect_refused(-XEN_EXDEV,
		       "g: pci 00:03.0: the hypervisor does not assign it: EXDEV: to the IOMMU "
		       "it is one with another's");
	expect_events("park 19\nlet go 18\nquiet 18\nd3 18\nquiet 18\nassign 18\nback 18\n"
		      "reclaim 19\nreclaim 18\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_group_refused, setup),
	    cmocka_unit_test_setup(test_group_idle, setup),
	    cmocka_unit_test_setup(test_group_whole, setup),
	    cmocka_unit_test_setup(test_group_relaxed, setup),
	    cmocka_unit_test_setup(test_group_kept, setup),
	    cmocka_unit_test_setup(test_group_is_one, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
