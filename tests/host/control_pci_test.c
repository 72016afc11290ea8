/* control_pci_test.c: PCI functions become a domain's and are taken from it, at its making, at its end, and while it runs.
 *
 * Why: the order is the safety: a function that masters the bus when its owner's memory is another's writes there. Expected:
 * each step in order, all of it undone when a later one fails, every function that cannot be given refused by name, and the nodes
 * that Linux's pcifront and libxl know. The test plays both halves by writing their states.
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

/* ---- at the making and the end ---------------------------------------------------------------- */

static void test_given_and_taken(void **state)
{
	want(NVME);
	want(ALONE);
	world_config.pci[1].slot = 5;
	world_config.pci[1].flags = CONFIG_PCI_PERMISSIVE | CONFIG_PCI_RELAXED;
	world_config.pci_as_is = true;
	world_create();
	expect_events(
	    "let go 10\nquiet 10\nflr 10\nquiet 10\nassign 10\nmemory fe000+4 1\n"
	    "let go 100\nquiet 100\nbus 100\nquiet 100\nassign 100 relaxed\nmemory fe100+1 1\n"
	    "ports c000+32 1\n");
	world_expect_node(BACK "/dev-0", "0000:00:02.0");
	world_expect_node(BACK "/key-0", "0000:00:02.0");
	world_expect_node(BACK "/state-0", "1");
	world_expect_node(BACK "/opts-0",
			  "msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict");
	assert_null(world_node(BACK "/vdevfn-0", world_id));
	world_expect_node(BACK "/dev-1", "0000:01:00.0");
	world_expect_node(BACK "/vdevfn-1", "28");
	world_expect_node(BACK "/opts-1",
			  "msitranslate=0,power_mgmt=0,permissive=1,rdm_policy=relaxed");
	world_expect_node(BACK "/num_devs", "2");
	world_expect_node(BACK "/topology", "passthrough");
	world_expect_node(BACK "/state", "1");
	world_expect_node(BACK "/domain", "g");
	world_expect_node(FRONT_PCI "/state", "1");
	world_expect_node(FRONT_PCI "/backend-id", "0");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_LENT);
	assert_int_equal(fake_pci_at(NVME)->is.guest, world_id);
	/* A restart gives them anew, an end for good leaves them free. */
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	expect_events("release 100\nquiet 100\nmemory fe100+1 0\nports c000+32 0\ndeassign 100\n"
		      "quiet 100\nbus 100\nquiet 100\nreclaim 100\nback 100\n"
		      "release 10\nquiet 10\nmemory fe000+4 0\ndeassign 10\nquiet 10\nflr 10\n"
		      "quiet 10\nreclaim 10\nback 10\n");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	world_expect_nothing_left();
}

static void test_restarted(void **state)
{
	want(NVME);
	world_create();
	fake_shutdown(world_id, SHUTDOWN_reboot);
	mock_run();
	assert_int_equal(control_find("g")->restarts, 1);
	assert_int_equal(fake_pci_at(NVME)->is.guest, control_find("g")->domid);
	assert_int_equal(fake_pci_at(NVME)->resets, 3);
}

/* What is kept of a dead domain has no functions, or the next could not have them. */
static void test_remains(void **state)
{
	world_config.on_crash = CONFIG_RENAME_RESTART;
	want(NVME);
	world_create();
	fake_shutdown(world_id, SHUTDOWN_crash);
	mock_run();
	assert_int_equal(control_count(), 2);
	assert_int_equal(fake_pci_at(NVME)->is.guest, control_find("g")->domid);
}

static void test_refused(void **state)
{
	want(0x0777);
	expect_refused(-XEN_ENODEV, "g: pci 07:0e.7: is not there");
	world_config.pci[0].bdf = 0x0008;
	expect_refused(-XEN_EINVAL, "g: pci 00:01.0: is a bridge");
	world_config.pci[0].bdf = NVME;
	world_config.pci[0].segment = 1;
	expect_refused(-XEN_ENODEV, "g: pci 00:02.0: there is one segment, 0");
	world_config.pci[0].segment = 0;
	fake_pci_at(CARD)->is.ranges[0].start = 0xfe003800;
	expect_refused(
	    -XEN_EINVAL,
	    "g: pci 00:02.0: BAR 0 (fe000000-fe003fff) is among BAR 0 of 00:03.0 (fe003800)");
	fake_pci_at(CARD)->is.ranges[0].start = 0xfe004000; /* the page behind */
	fake_pci_memory_end = 0xfe000001;
	expect_refused(-XEN_EINVAL,
		       "g: pci 00:02.0: BAR 0 (fe000000-fe003fff) is where memory is (0-fe000000)");
	fake_pci_memory_end = 1ull << 31;
	fake_pci_at(NVME)->is.ranges[0].start = 0;
	expect_refused(-XEN_EINVAL, "g: pci 00:02.0: BAR 0 (0-3fff) has no address");
	fake_pci_at(NVME)->is.ranges[0].start = ~0ull - 0xfff;
	expect_refused(-XEN_EINVAL, "g: pci 00:02.0: BAR 0 (fffffffffffff000-2fff) has no address");
	fake_pci_at(NVME)->is.ranges[0].start = 0xfe000000;
	world_config.pci[0].flags = CONFIG_PCI_ASK;
	expect_refused(-XEN_EBUSY, "g: pci 00:02.0: is the machine's own, and seize=0: "
				   "pci-assignable-add it");
	world_config.pci[0].flags = 0;
	fake_pci_at(CARD)->is.physical = NVME;
	expect_refused(-XEN_EBUSY, "pci 00:02.0: it has virtual functions");
	expect_events("");
}

/* seize=0 is content with one that has been let go; rdm_policy=relaxed is for the hypervisor to judge. */
static void test_asked_for(void **state)
{
	want(NVME);
	world_config.pci[0].flags = CONFIG_PCI_ASK | CONFIG_PCI_RELAXED;
	assert_int_equal(control_pci_free("00:02.0"), 0);
	world_create();
	assert_non_null(strstr(fake_pci_events, "assign 10 relaxed\n"));
	assert_int_equal(fake_pci_at(NVME)->is.guest, world_id);
}

static void test_another_has_it(void **state)
{
	want(NVME);
	world_create();
	strcpy(world_config.name, "h");
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EBUSY);
	assert_string_equal(control_why(), "h: pci 00:02.0: domain 1 has it");
	assert_int_equal(fake_pci_at(NVME)->is.guest, 1);
}

static void test_disk_in_use(void **state)
{
	struct mock_disk *disk = mock_disk_new("serial=a.img", 64);

	disk->dev.pci = NVME;
	world_config.n_disks = 1;
	world_create();
	strcpy(world_config.name, "h");
	world_config.n_disks = 0;
	want(NVME);
	assert_int_equal(control_create(&world_config, &world_id), -XEN_EBUSY);
	assert_string_equal(control_why(), "pci 00:02.0: g has a disk on it");
	assert_int_equal(control_pci_free("00:02.0"), -XEN_EBUSY);
}

/* The hypervisor's no: the first function is given back in order. */
static void test_not_assigned(void **state)
{
	want(NVME);
	fake_pci_assign_err = -XEN_ENODEV;
	expect_refused(-XEN_ENODEV,
		       "g: pci 00:02.0: the hypervisor does not assign it: ENODEV: there "
		       "is no IOMMU for it");
	fake_pci_assign_err = -XEN_EINVAL;
	expect_refused(-XEN_EINVAL,
		       "g: pci 00:02.0: the hypervisor does not assign it: EINVAL; Xen "
		       "wants passthrough=\"enabled\" in the domain's file");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	fake_pci_assign_err = 0;
	fake_pci_permit_err = -XEN_ENOSPC;
	fake_pci_events[0] = 0;
	expect_refused(-XEN_ENOSPC, "g: pci 00:02.0: the domain cannot have its registers");
	expect_events(
	    "quiet 10\nflr 10\nquiet 10\nassign 10\nmemory fe000+4 1\nrelease 10\nquiet "
	    "10\nmemory fe000+4 0\ndeassign 10\nquiet 10\nflr 10\nquiet 10\nreclaim 10\nback 10\n");
}

static void test_does_not_come_back(void **state)
{
	want(CARD);
	want(NVME);
	fake_pci_at(NVME)->dies = true;
	expect_refused(-XEN_ETIMEDOUT, "g: pci 00:02.0: given: does not come back from a reset");
	assert_int_equal(fake_pci_at(CARD)->is.state, HOST_PCI_FREE);
}

static void test_no_reset(void **state)
{
	want(USB);
	world_create();
	assert_true(mock_logged("g: pci 00:04.0: given: there is no way to reset it"));
}

static void test_not_saved(void **state)
{
	want(NVME);
	want(ALONE);
	world_create();
	assert_int_equal(control_save("g", "x", false, done, &told), -XEN_EOPNOTSUPP);
	assert_string_equal(control_why(),
			    "g: cannot be saved with PCI functions: pci-detach 00:02.0 01:00.0");
}

/* ---- while it runs ---------------------------------------------------------------------------- */

/* Both halves have the first function. */
static void with_nvme(void)
{
	want(NVME);
	world_create();
	world_set_node(BACK "/state-0", "3");
	world_set_node(BACK "/state", "4");
	world_set_node(FRONT_PCI "/state", "4");
	mock_run();
	fake_pci_events[0] = 0;
}

static void test_attach(void **state)
{
	with_nvme();
	assert_int_equal(control_pci_attach("g", "00:03.0@7,permissive=1", done, &told), 0);
	expect_events("let go 18\nquiet 18\nd3 18\nquiet 18\nassign 18\nmemory fe200+1 1\n");
	expect_told(0, 0);
	world_expect_node(BACK "/state", "7");
	world_expect_node(BACK "/dev-1", "0000:00:03.0");
	world_expect_node(BACK "/vdevfn-1", "38");
	assert_null(world_node(BACK "/topology", world_id));
	world_expect_node(BACK "/num_devs", "2");
	assert_int_equal(control_pci_attach("g", "00:04.0", done, &told), -XEN_EBUSY);
	world_set_node(BACK "/state-1", "3");
	expect_told(0, 0);
	world_set_node(BACK "/state", "8");
	expect_told(0, 0);
	world_set_node(BACK "/state", "4");
	expect_told(1, 0);
	assert_int_equal(control_find("g")->config->n_pci, 2);
}

/* Before anything is made, let alone a driver of ours stopped. */
static void test_no_iommu(void **state)
{
	want(NVME);
	fake_pci_test_err = -XEN_EOPNOTSUPP;
	expect_refused(-XEN_EOPNOTSUPP,
		       "g: pci 00:02.0: the hypervisor does not assign it: EOPNOTSUPP: there is no "
		       "IOMMU for it");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_OURS);
	expect_events("");
	/* There is one, but not for this domain. */
	world_config.n_pci = 0;
	world_create();
	assert_int_equal(control_pci_attach("g", "00:02.0", done, &told), -XEN_EOPNOTSUPP);
	assert_string_equal(control_why(),
			    "g: pci 00:02.0: the hypervisor does not assign it: EOPNOTSUPP; Xen "
			    "wants passthrough=\"enabled\" in the domain's file");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_OURS);
}

static void test_cannot_lend(void **state)
{
	want(NVME);
	fake_pci_why_not = "not today";
	expect_refused(-XEN_EOPNOTSUPP, "g: pci 00:02.0: not today");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_OURS);
}

static void test_table_not_taken(void **state)
{
	want(NVME);
	fake_pci_lend_err = -XEN_EBUSY;
	expect_refused(-XEN_EBUSY, "g: pci 00:02.0: the hypervisor does not take its MSI-X table");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
}

static void test_attach_refused(void **state)
{
	with_nvme();
	assert_int_equal(control_pci_attach("g", "00:02.0", done, &told), -XEN_EINVAL);
	assert_string_equal(control_why(), "g: pci 0000:00:02.0 given twice");
	assert_int_equal(control_pci_attach("g", "00:09.0", done, &told), -XEN_ENODEV);
	assert_int_equal(control_pci_attach("x", "00:03.0", done, &told), -XEN_ENOENT);
	assert_int_equal(control_find("g")->config->n_pci, 1);
	/* The back half says no: all is taken back. */
	assert_int_equal(control_pci_attach("g", "00:03.0", done, &told), 0);
	mock_run();
	world_set_node(BACK "/state-1", "6");
	expect_told(1, -XEN_EIO);
	world_expect_node(BACK "/num_devs", "1");
	assert_null(world_node(BACK "/dev-1", world_id));
	assert_int_equal(fake_pci_at(CARD)->is.state, HOST_PCI_FREE);
	/* Now it waits for the halves, which do not answer. */
	world_set_node(BACK "/state", "4");
	assert_int_equal(control_pci_attach("g", "00:03.0", done, &told), 0);
	mock_run();
	mock_advance(CONTROL_DEVICE_WAIT_MS * 1000000ull);
	expect_told(2, -XEN_ETIMEDOUT);
	assert_int_equal(control_find("g")->config->n_pci, 1);
	/* It is still asked to look at its list, which is as before; and may be given something, whenever it follows. */
	world_expect_node(BACK "/state", "7");
	world_expect_node(BACK "/num_devs", "1");
	assert_int_equal(control_pci_attach("g", "00:03.0", done, &told), 0);
	world_set_node(BACK "/state-1", "3");
	world_set_node(BACK "/state", "4");
	expect_told(3, 0);
	assert_int_equal(control_find("g")->config->n_pci, 2);
}

static void test_first_and_last(void **state)
{
	world_create();
	assert_int_equal(control_pci_attach("g", "00:02.0", done, &told), 0);
	mock_run();
	world_expect_node(BACK "/num_devs", "1");
	world_expect_node(FRONT_PCI "/state", "1");
	world_set_node(BACK "/state-0", "3");
	world_set_node(BACK "/state", "3");
	expect_told(1, 0);
	world_set_node(BACK "/state", "4");
	world_set_node(FRONT_PCI "/state", "4");
	fake_pci_events[0] = 0;
	assert_int_equal(control_pci_detach("g", "00:02.0", false, done, &told), 0);
	expect_told(1, 0);
	world_expect_node(BACK "/state-0", "5");
	world_expect_node(BACK "/state", "7");
	world_set_node(BACK "/state-0", "6");
	world_set_node(BACK "/state", "4");
	mock_run();
	world_expect_node(BACK "/online", "0");
	world_expect_node(FRONT_PCI "/state", "6");
	expect_events("");
	world_set_node(BACK "/state", "6");
	expect_told(2, 0);
	expect_events(
	    "release 10\nquiet 10\nmemory fe000+4 0\ndeassign 10\nquiet 10\nflr 10\nquiet "
	    "10\nreclaim 10\nback 10\n");
	assert_null(world_node(BACK, world_id));
	assert_null(world_node(FRONT_PCI, world_id));
	assert_int_equal(control_find("g")->config->n_pci, 0);
	/* Now it can be saved: what is missing is a disk to save it to. */
	assert_int_not_equal(control_save("g", "x", false, done, &told), -XEN_EOPNOTSUPP);
	assert_string_equal(control_why(), "g: no such disk 'x'");
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	world_expect_nothing_left();
}

/* The first of three goes: the others move up, in the store and here. */
static void test_detach_moves_up(void **state)
{
	want(NVME);
	want(CARD);
	want(USB);
	world_config.pci[1].slot = 3;
	world_create();
	for (unsigned i = 0; i < 3; i++)
		world_set_node((const char *[]){BACK "/vdev-0", BACK "/vdev-1", BACK "/vdev-2"}[i],
			       (const char *[]){"a", "b", "c"}[i]);
	world_set_node(BACK "/state", "4");
	mock_run();
	assert_int_equal(control_pci_detach("g", "0000:00:02.0", false, done, &told), 0);
	expect_told(0, 0);
	world_set_node(BACK "/state", "4");
	expect_told(1, 0);
	world_expect_node(BACK "/num_devs", "2");
	world_expect_node(BACK "/dev-0", "0000:00:03.0");
	world_expect_node(BACK "/vdevfn-0", "18");
	world_expect_node(BACK "/vdev-0", "b");
	world_expect_node(BACK "/dev-1", "0000:00:04.0");
	world_expect_node(BACK "/vdev-1", "c");
	assert_null(world_node(BACK "/vdevfn-1", world_id));
	assert_null(world_node(BACK "/dev-2", world_id));
	assert_null(world_node(BACK "/state-2", world_id));
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	fake_pci_events[0] = 0;
	assert_int_equal(control_destroy("g"), 0);
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	assert_int_equal(fake_pci_at(CARD)->is.state, HOST_PCI_FREE);
	assert_int_equal(fake_pci_at(USB)->is.state, HOST_PCI_FREE);
	world_expect_nothing_left();
}

static void test_detach_refused(void **state)
{
	with_nvme();
	assert_int_equal(control_pci_detach("g", "00:03.0", false, done, &told), -XEN_ENOENT);
	assert_int_equal(control_pci_detach("g", "nonsense", false, done, &told), -XEN_EINVAL);
	assert_int_equal(control_pci_detach("g", "00:02.0", false, done, &told), 0);
	mock_run();
	mock_advance(CONTROL_DEVICE_WAIT_MS * 1000000ull);
	expect_told(1, -XEN_EBUSY);
	assert_string_equal(
	    control_why(),
	    "g: pci 00:02.0: the guest does not let it go, and keeps it; see --force");
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_LENT);
	world_expect_node(BACK "/state-0", "3");
	world_expect_node(BACK "/state", "4");
	expect_events("");
	/* By force the guest is not waited for. */
	assert_int_equal(control_pci_detach("g", "00:02.0", true, done, &told), 0);
	mock_run();
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	expect_told(2, 0);
	assert_int_equal(fake_pci_at(NVME)->is.state, HOST_PCI_FREE);
	assert_true(mock_logged("g: pci 00:02.0: the guest has not let it go: it is taken"));
}

/* One of two, by force, of a guest that is silent: it is given another, and the same again, and follows when it can. */
static void test_detach_by_force(void **state)
{
	want(USB);
	with_nvme();
	world_set_node(BACK "/state-1", "3");
	assert_int_equal(control_pci_detach("g", "00:04.0", true, done, &told), 0);
	mock_run();
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	expect_told(1, 0);
	assert_int_equal(fake_pci_at(USB)->is.state, HOST_PCI_FREE);
	world_expect_node(BACK "/num_devs", "1");
	world_expect_node(BACK "/dev-0", "0000:00:02.0");
	world_expect_node(BACK "/state", "7");
	assert_int_equal(control_pci_attach("g", "00:04.0", done, &told), 0);
	expect_told(1, 0);
	world_expect_node(BACK "/dev-1", "0000:00:04.0");
	world_expect_node(BACK "/state-1", "1");
	world_set_node(BACK "/state-1", "3");
	world_set_node(BACK "/state", "4");
	expect_told(2, 0);
	/* One whose halves have not met yet: the other function is not closed with it. */
	world_set_node(BACK "/state", "2");
	world_set_node(FRONT_PCI "/state", "1");
	assert_int_equal(control_pci_detach("g", "00:04.0", false, done, &told), -XEN_EBUSY);
	assert_int_equal(control_pci_detach("g", "00:04.0", true, done, &told), 0);
	world_set_node(BACK "/state-1", "6");
	world_set_node(BACK "/state", "2");
	expect_told(3, 0);
	world_expect_node(BACK "/online", "1");
	world_expect_node(BACK "/num_devs", "1");
}

/* Its own half has let go, and says no more: it is not the guest's any longer. */
static void test_detach_half_way(void **state)
{
	want(USB);
	with_nvme();
	assert_int_equal(control_pci_detach("g", "00:04.0", false, done, &told), 0);
	mock_run();
	world_set_node(FRONT_PCI "/state", "7");
	world_set_node(BACK "/state-0", "6");
	world_set_node(BACK "/state", "8");
	expect_told(0, 0);
	mock_advance(CONTROL_DEVICE_WAIT_MS * 1000000ull);
	expect_told(1, 0);
	assert_int_equal(fake_pci_at(USB)->is.state, HOST_PCI_FREE);
	assert_int_equal(control_find("g")->config->n_pci, 1);
}

static void test_ends_meanwhile(void **state)
{
	with_nvme();
	assert_int_equal(control_pci_attach("g", "00:03.0", done, &told), 0);
	mock_run();
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	mock_advance(CONTROL_DEVICE_WAIT_MS * 1000000ull);
	expect_told(1, -XEN_ESRCH);
	assert_int_equal(fake_pci_at(CARD)->is.state, HOST_PCI_FREE);
	world_expect_nothing_left();
}

/* ---- functions of nobody ---------------------------------------------------------------------- */

static void test_free_and_kept(void **state)
{
	assert_int_equal(control_pci_keep("00:02.0"), -XEN_EBUSY);
	assert_int_equal(control_pci_free("00:02.0"), 0);
	assert_int_equal(control_pci_free("00:02.0"), -XEN_EBUSY);
	assert_int_equal(control_pci_free("00:01.0"), -XEN_EINVAL);
	assert_int_equal(control_pci_virtual("00:02.0", 2), -XEN_EBUSY);
	assert_int_equal(control_pci_keep("00:02.0"), 0);
	assert_int_equal(control_pci_virtual("00:02.0", 2), 2);
	fake_pci_virtual_result = -XEN_ENODEV;
	assert_int_equal(control_pci_virtual("00:03.0", 2), -XEN_ENODEV);
	assert_string_equal(control_why(), "pci 00:03.0: no virtual functions: ENODEV");
	expect_events("let go 10\ntake 10\n2 virtual of 10\n2 virtual of 18\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_given_and_taken, setup),
	    cmocka_unit_test_setup(test_restarted, setup),
	    cmocka_unit_test_setup(test_remains, setup),
	    cmocka_unit_test_setup(test_refused, setup),
	    cmocka_unit_test_setup(test_asked_for, setup),
	    cmocka_unit_test_setup(test_another_has_it, setup),
	    cmocka_unit_test_setup(test_disk_in_use, setup),
	    cmocka_unit_test_setup(test_not_assigned, setup),
	    cmocka_unit_test_setup(test_no_iommu, setup),
	    cmocka_unit_test_setup(test_table_not_taken, setup),
	    cmocka_unit_test_setup(test_cannot_lend, setup),
	    cmocka_unit_test_setup(test_does_not_come_back, setup),
	    cmocka_unit_test_setup(test_no_reset, setup),
	    cmocka_unit_test_setup(test_not_saved, setup),
	    cmocka_unit_test_setup(test_attach, setup),
	    cmocka_unit_test_setup(test_attach_refused, setup),
	    cmocka_unit_test_setup(test_first_and_last, setup),
	    cmocka_unit_test_setup(test_detach_moves_up, setup),
	    cmocka_unit_test_setup(test_detach_refused, setup),
	    cmocka_unit_test_setup(test_detach_by_force, setup),
	    cmocka_unit_test_setup(test_detach_half_way, setup),
	    cmocka_unit_test_setup(test_ends_meanwhile, setup),
	    cmocka_unit_test_setup(test_free_and_kept, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
