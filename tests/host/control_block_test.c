/* control_block_test.c: disks come to running domains and leave them, and every way that this can fail leaves the
 * domain as it was.
 *
 * Why: a disk that is half attached is one that its guest waits for, and one that is half detached is lost data. The test
 * plays backend and guest by writing their states; values are those of xen/io/blkif.h and of libxl.
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

#include <amphi/control_disk.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"

#define WAIT_NS (CONTROL_DEVICE_WAIT_MS * 1000000ull)
#define BACK_B  "/local/domain/0/backend/vbd/%u/51728"
#define FRONT_B "/local/domain/%u/device/vbd/51728"

static struct {
	unsigned count;
	int err;
	char name[CONFIG_NAME_MAX];
} told;

static void done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &told);
	told.count++;
	told.err = err;
	strcpy(told.name, name);
}

static int setup(void **state)
{
	memset(&told, 0, sizeof(told));
	return world_setup(state);
}

static const struct domain_config *config(void)
{
	return control_find("g")->config;
}

static void expect_why(const char *text)
{
	if (strcmp(control_why(), text) != 0)
		fail_msg("wanted '%s', said '%s'", text, control_why());
}

static void expect_told(unsigned count, int err)
{
	mock_run();
	assert_int_equal(told.count, count);
	assert_int_equal(told.err, err);
}

static void expect_no_second_disk(void)
{
	assert_null(world_node(BACK_B, world_id));
	assert_null(world_node(FRONT_B, world_id));
	assert_int_equal(config()->n_disks, 1);
	world_expect_node(BACKEND "/dev", "xvda");
}

static int attach(const char *spec)
{
	return control_disk_attach("g", spec, done, &told);
}

/* A domain whose second disk both halves have. */
static void with_two_disks(void)
{
	world_create();
	assert_int_equal(attach("b.img,raw,xvdb,w"), 0);
	mock_run();
	world_set_node(BACK_B "/state", "4");
	world_set_node(FRONT_B "/state", "4");
	expect_told(1, 0);
	told.count = 0;
}

/* ---- attach ------------------------------------------------------------------------------ */

static void test_attach(void **state)
{
	world_create();
	assert_int_equal(
	    attach("b.img,raw,xvdb,w,iops=100,bps=1M,burst=1s,no-discard,no-flush-cache"), 0);
	world_expect_node(BACK_B "/params", "serial=b.img");
	world_expect_node(BACK_B "/mode", "w");
	world_expect_node(BACK_B "/state", "1");
	world_expect_node(BACK_B "/discard-enable", "0");
	world_expect_node(BACK_B "/flush-cache-enable", "0");
	world_expect_node(BACK_B "/limit-iops", "100");
	world_expect_node(BACK_B "/limit-bps", "1048576");
	world_expect_node(BACK_B "/limit-burst-ms", "1000");
	world_expect_node(FRONT_B "/backend-id", "0");
	world_expect_node(FRONT_B "/state", "1");
	expect_told(0, 0); /* the backend has not answered */
	assert_int_equal(control_disk_detach("g", "xvdb", false, done, &told), -XEN_EBUSY);
	expect_why("g: disk xvdb is being attached");
	world_set_node(BACK_B "/state", "2");
	expect_told(1, 0);
	assert_string_equal(told.name, "g");
	assert_int_equal(config()->n_disks, 2);
	world_expect_node(BACKEND "/discard-enable",
			  "0"); /* a read-only one has nothing to discard */
}

static void test_attach_refused(void **state)
{
	world_create();
	assert_int_equal(attach("b.img,raw,xvdb"), 0);
	mock_run();
	world_set_node(BACK_B "/state", "6");
	expect_told(1, -XEN_EIO);
	expect_why("g: disk xvdb: its backend refuses it");
	expect_no_second_disk();
}

static void test_attach_unanswered(void **state)
{
	world_create();
	assert_int_equal(attach("b.img,raw,xvdb"), 0);
	mock_advance(WAIT_NS - 1000000);
	expect_told(0, 0);
	mock_advance(1000000);
	expect_told(1, -XEN_ETIMEDOUT);
	expect_no_second_disk();
}

static void test_attach_wrong(void **state)
{
	world_create();
	assert_int_equal(attach("b.img,raw,xvda"), -XEN_EINVAL);
	expect_why("g: disk vdev 'xvda' given twice");
	assert_int_equal(attach("b.img,vhd,xvdb"), -XEN_EINVAL);
	expect_why("g: disk format 'vhd' is not supported: only raw is");
	assert_int_equal(attach("missing.img,raw,xvdb"), -XEN_ENOENT);
	expect_why("g: disk xvdb 'missing.img': ENOENT");
	assert_int_equal(attach("x,raw,xvdb,backend=drv"), -XEN_ENOENT);
	expect_why("g: disk xvdb: its backend 'drv' does not run");
	assert_int_equal(control_disk_attach("h", "x,raw,xvdb", done, &told), -XEN_ENOENT);
	expect_no_second_disk();
	expect_told(0, 0);
}

/* The domain ends before the backend answers: its nodes go with it. */
static void test_ended_meanwhile(void **state)
{
	world_create();
	assert_int_equal(attach("b.img,raw,xvdb"), 0);
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	expect_told(1, -XEN_ESRCH);
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	world_expect_nothing_left();
}

/* ---- detach ------------------------------------------------------------------------------ */

static void test_detach(void **state)
{
	with_two_disks();
	assert_int_equal(control_disk_detach("g", "51728", false, done, &told), 0);
	world_expect_node(BACK_B "/state", "5");
	world_expect_node(BACK_B "/online", "1");
	expect_told(0, 0);
	world_set_node(FRONT_B "/state", "6");
	expect_told(0, 0); /* the backend has the guest's pages still */
	world_set_node(BACK_B "/state", "6");
	expect_told(1, 0);
	expect_no_second_disk();
}

/* The guest does not: it keeps the disk, and may be asked again. */
static void test_detach_of_a_disk_in_use(void **state)
{
	with_two_disks();
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(control_disk_detach("g", "xvdb", false, done, &told), 0);
		mock_advance(WAIT_NS);
		expect_told(i, -XEN_EBUSY);
		expect_why("g: disk xvdb: the guest does not let it go; see --force");
		world_expect_node(BACK_B "/state", "4");
		assert_int_equal(config()->n_disks, 2);
	}
}

/* It has said that it will, when those who use it are done. */
static void test_detach_later(void **state)
{
	with_two_disks();
	assert_int_equal(control_disk_detach("g", "xvdb", false, done, &told), 0);
	world_set_node(FRONT_B "/state", "5");
	mock_advance(WAIT_NS);
	expect_told(1, -XEN_EBUSY);
	world_expect_node(BACK_B "/state", "5");
}

static void test_detach_by_force(void **state)
{
	with_two_disks();
	assert_int_equal(control_disk_detach("g", "xvdb", true, done, &told), 0);
	mock_run();
	world_expect_node(BACK_B "/state", "5"); /* it is told, */
	world_expect_node(BACK_B "/online", "1");
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull); /* and does not follow */
	world_expect_node(BACK_B "/online", "0");
	world_expect_node(FRONT_B "/state", "6");
	expect_told(0, 0);
	world_set_node(BACK_B "/state", "6");
	expect_told(1, 0);
	expect_no_second_disk();
}

/* A guest that follows at once is not waited for. */
static void test_detach_by_force_of_one_that_follows(void **state)
{
	with_two_disks();
	assert_int_equal(control_disk_detach("g", "xvdb", true, done, &told), 0);
	mock_run();
	world_set_node(FRONT_B "/state", "6");
	world_set_node(BACK_B "/state", "6");
	expect_told(1, 0);
	expect_no_second_disk();
}

/* Nor does the backend let go of it: the disk stays, and is said to. */
static void test_force_of_no_avail(void **state)
{
	with_two_disks();
	assert_int_equal(control_disk_detach("g", "xvdb", true, done, &told), 0);
	mock_advance(CONTROL_FORCE_WAIT_MS * 1000000ull);
	mock_advance(WAIT_NS);
	expect_told(1, -XEN_EBUSY);
	expect_why("g: disk xvdb: its backend does not let it go");
	assert_int_equal(config()->n_disks, 2);
}

static void test_detach_wrong(void **state)
{
	world_create();
	assert_int_equal(control_disk_detach("g", "xvdb", false, done, &told), -XEN_ENOENT);
	expect_why("g: has no disk 'xvdb'");
	assert_int_equal(control_disk_detach("g", "", false, done, &told), -XEN_ENOENT);
	assert_int_equal(control_disk_detach("h", "xvdb", false, done, &told), -XEN_ENOENT);
	expect_told(0, 0);
}

/* ---- medium and limits ---------------------------------------------------------------------- */

static void test_media(void **state)
{
	world_create();
	assert_int_equal(attach("vdev=xvdb,devtype=cdrom"), 0);
	world_expect_node(BACK_B "/params", "");
	world_expect_node(BACK_B "/device-type", "cdrom");
	world_expect_node(BACK_B "/removable", "1");
	world_expect_node(BACK_B "/mode", "r");
	world_set_node(BACK_B "/state", "2");
	expect_told(1, 0);
	assert_int_equal(control_disk_insert("g", "xvdb", "a.iso"), 0);
	world_expect_node(BACK_B "/params", "serial=a.iso");
	assert_string_equal(config()->disks[1].target, "a.iso");
	assert_int_equal(control_disk_insert("g", "xvdb", "missing.img"), -XEN_ENOENT);
	world_expect_node(BACK_B "/params", "serial=a.iso");
	assert_int_equal(control_disk_insert("g", "xvdb", ""), 0);
	world_expect_node(BACK_B "/params", "");
	assert_int_equal(control_disk_insert("g", "xvda", "a.iso"), -XEN_EINVAL);
	expect_why("g: disk xvda is no CD-ROM");
}

static void test_limits(void **state)
{
	struct config_limit limit = {.iops = 5, .bps = 7, .burst_ms = 9};

	world_create();
	assert_null(world_node(BACKEND "/limit-iops", world_id));
	assert_int_equal(control_disk_limit("g", "xvda", &limit), 0);
	world_expect_node(BACKEND "/limit-iops", "5");
	world_expect_node(BACKEND "/limit-bps", "7");
	world_expect_node(BACKEND "/limit-burst-ms", "9");
	assert_int_equal(control_disk_find("g", "xvda")->limit.bps, 7);
	limit = (struct config_limit){0};
	assert_int_equal(control_disk_limit("g", "xvda", &limit), 0);
	world_expect_node(BACKEND "/limit-iops", "0");
}

/* ---- a driver domain ------------------------------------------------------------------------ */

/* The backend's half lies with the domain that is named, which owns it and opens what it calls the target. */
static void test_a_domain_serves_another(void **state)
{
	domid_t drv;

	strcpy(world_config.name, "drv");
	world_create();
	drv = world_id;
	strcpy(world_config.name, "g");
	strcpy(world_config.disks[0].backend, "drv");
	world_create();
	assert_string_equal(
	    world_node("/local/domain/%u/backend/vbd/%u/51712/params", drv, world_id), "a.img");
	world_expect_node(FRONT "/backend-id", "1");
	world_expect_node(FRONT "/backend", "/local/domain/1/backend/vbd/2/51712");
	assert_null(world_node(BACKEND, world_id));
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	assert_null(world_node("/local/domain/%u/backend", drv));
	assert_int_equal(control_destroy("drv"), 0);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	world_expect_nothing_left();
}

/* It is made anew: what it serves has its nodes there, and nothing is left of the connection with the one before. What others serve stays. */
static void test_a_server_made_anew(void **state)
{
	struct config_disk *own = &world_config.disks[0], disk = *own;

	world_config.n_vifs = 1;
	world_config.vifs[0] = (struct config_vif){.mac = {0, 0x16, 0x3e, 1, 2, 3}};
	strcpy(world_config.name, "drv");
	world_create();
	strcpy(world_config.name, "g");
	strcpy(own->backend, "drv");
	world_config.vifs[1] = world_config.vifs[0];
	world_config.vifs[1].devid = 1;
	strcpy(world_config.vifs[1].backend, "drv");
	world_config.n_vifs = 2;
	world_create();
	mock_store_put("/local/domain/2/device/vbd/51712/ring-ref", "9");
	assert_int_equal(control_destroy("drv"), 0);
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	world_config.n_vifs = 1;
	*own = disk;
	mock_run();
	assert_string_equal(mock_store_get("/local/domain/2/device/vbd/51712/backend-id"), "1");
	strcpy(world_config.name, "drv");
	world_create();
	assert_string_equal(mock_store_get("/local/domain/3/backend/vbd/2/51712/params"), "a.img");
	assert_string_equal(mock_store_get("/local/domain/3/backend/vif/2/1/state"), "1");
	assert_string_equal(mock_store_get("/local/domain/2/device/vbd/51712/backend"),
			    "/local/domain/3/backend/vbd/2/51712");
	assert_string_equal(mock_store_get("/local/domain/2/device/vif/1/backend-id"), "3");
	assert_string_equal(mock_store_get("/local/domain/2/device/vif/0/backend-id"), "0");
	assert_null(mock_store_get("/local/domain/2/device/vbd/51712/ring-ref"));
	assert_int_equal(control_find("g")->config->disks[0].backend_id, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_attach),
	    TEST(test_attach_refused),
	    TEST(test_attach_unanswered),
	    TEST(test_attach_wrong),
	    TEST(test_ended_meanwhile),
	    TEST(test_detach),
	    TEST(test_detach_of_a_disk_in_use),
	    TEST(test_detach_later),
	    TEST(test_detach_by_force),
	    TEST(test_detach_by_force_of_one_that_follows),
	    TEST(test_force_of_no_avail),
	    TEST(test_detach_wrong),
	    TEST(test_media),
	    TEST(test_limits),
	    TEST(test_a_domain_serves_another),
	    TEST(test_a_server_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
