/* control_net_test.c: network interfaces of domains: in the store from the start, attached, detached.
 *
 * Why: the nodes are what Linux's netfront and netback read, and libxl writes; one that is missing is a guest without a
 * network. The test plays backend and guest by writing their states. What is the same of disks is in control_block_test.
 *
 * links: control/control*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/save_*.c control/config_*.c control/domain_config.c control/domain_builder.c
 * links: control/builder_*.c lib/start_layout.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/control_net.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"

#define VIF       "/local/domain/0/backend/vif/%u/0"
#define SECOND    "/local/domain/0/backend/vif/%u/1"
#define VIF_FRONT "/local/domain/%u/device/vif/0"

static struct {
	unsigned count;
	int err;
} told;

static void done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &told);
	assert_string_equal(name, "g");
	told.count++;
	told.err = err;
}

static int setup(void **state)
{
	memset(&told, 0, sizeof(told));
	return world_setup(state);
}

static void expect_told(unsigned count, int err)
{
	mock_run();
	assert_int_equal(told.count, count);
	assert_int_equal(told.err, err);
}

static const struct domain_config *config(void)
{
	return control_find("g")->config;
}

static int attach(const char *spec)
{
	return control_net_attach("g", spec, done, &told);
}

/* An interface that both halves have. */
static void with_vif(void)
{
	world_create();
	assert_int_equal(attach("mac=00:16:3e:00:00:07"), 0);
	mock_run();
	world_set_node(VIF "/state", "4");
	world_set_node(VIF_FRONT "/state", "4");
	expect_told(1, 0);
	told.count = 0;
}

static void test_from_the_start(void **state)
{
	(void)state;
	world_config.n_vifs = 1;
	world_config.vifs[0] =
	    (struct config_vif){.bridge = "br1", .mac = {0, 0x16, 0x3e, 1, 2, 3}};
	world_create();
	world_expect_node(VIF "/mac", "00:16:3e:01:02:03");
	world_expect_node(VIF "/bridge", "br1");
	world_expect_node(VIF "/state", "1");
	world_expect_node(VIF_FRONT "/mac", "00:16:3e:01:02:03");
	world_expect_node(VIF_FRONT "/state", "1");
}

static void test_attach(void **state)
{
	(void)state;
	world_create();
	assert_int_equal(
	    attach("mac=00:16:3e:00:00:07,bridge=b,ip=10.0.0.9,rate=1MB/s@20ms,mtu=9000,"
		   "trusted=0"),
	    0);
	world_expect_node(VIF "/handle", "0");
	world_expect_node(VIF "/mac", "00:16:3e:00:00:07");
	world_expect_node(VIF "/bridge", "b");
	world_expect_node(VIF "/ip", "10.0.0.9");
	world_expect_node(VIF "/rate", "20000,20000");
	world_expect_node(VIF "/mtu", "9000");
	world_expect_node(VIF "/online", "1");
	world_expect_node(VIF_FRONT "/handle", "0");
	world_expect_node(VIF_FRONT "/mtu", "9000");
	world_expect_node(VIF_FRONT "/trusted", "0");
	world_expect_node(VIF_FRONT "/backend-id", "0");
	expect_told(0, 0);
	world_set_node(VIF "/state", "2");
	expect_told(1, 0);
	/* the next has the next number, and an address of its own */
	assert_int_equal(attach(""), 0);
	world_set_node(SECOND "/state", "2");
	expect_told(2, 0);
	assert_int_equal(config()->n_vifs, 2);
	assert_memory_not_equal(config()->vifs[0].mac, config()->vifs[1].mac, 6);
}

static void test_attach_refused(void **state)
{
	(void)state;
	world_create();
	assert_int_equal(attach("mac=zz"), -XEN_EINVAL);
	assert_int_equal(attach("backend=nobody"), -XEN_ENOENT);
	assert_string_equal(control_why(), "g: vif 0: its backend 'nobody' does not run");
	assert_int_equal(config()->n_vifs, 0);
	assert_int_equal(attach("bridge=b"), 0);
	mock_advance(CONTROL_DEVICE_WAIT_MS * 1000000ull);
	expect_told(1, -XEN_ETIMEDOUT);
	assert_null(world_node(VIF, world_id));
	assert_null(world_node(VIF_FRONT, world_id));
	assert_int_equal(config()->n_vifs, 0);
}

static void test_detach(void **state)
{
	(void)state;
	with_vif();
	assert_int_equal(control_net_detach("g", "1", false, done, &told), -XEN_ENOENT);
	assert_int_equal(control_net_detach("g", "00:16:3e:00:00:07", false, done, &told), 0);
	world_expect_node(VIF "/state", "5");
	assert_int_equal(control_net_detach("g", "0", false, done, &told), -XEN_EBUSY);
	assert_string_equal(control_why(), "g: vif 0 is being detached");
	world_set_node(VIF_FRONT "/state", "6");
	world_set_node(VIF "/state", "6");
	expect_told(1, 0);
	assert_null(world_node(VIF, world_id));
	assert_null(world_node(VIF_FRONT, world_id));
	assert_int_equal(config()->n_vifs, 0);
	world_expect_node(BACKEND "/dev", "xvda"); /* the disk is as it was */
}

/* A domain ends: its interface's backend is told, and waited for, as its disk's is. */
static void test_end_of_the_domain(void **state)
{
	(void)state;
	with_vif();
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	world_expect_node(VIF "/online", "0");
	world_expect_node(VIF_FRONT "/state", "6");
	world_set_node(VIF "/state", "6");
	world_set_node(BACKEND "/state", "6");
	mock_run();
	assert_null(world_node(VIF, world_id));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_from_the_start),    TEST(test_attach),
	    TEST(test_attach_refused),    TEST(test_detach),
	    TEST(test_end_of_the_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
