/* control_save_test.c: a domain is written to a disk whole and in its own numbers, and whatever goes wrong leaves it running, or
 * gone, and says which.
 *
 * Shows: a domain of the builder's, suspended as a guest does it, gives a stream that a checker written from Xen's
 * libxc-migration-stream reads: each page once and as it was, each table with numbers instead of frames, the list's
 * own pages, registers. A checkpoint goes on. A guest that lies in its list, in a table or in its registers, that does not
 * answer, answers late, ends instead or is destroyed; a disk that is full or fails. Why: what is wrong in a stream shows
 * only when the domain is no more.
 *
 * links: control/control*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/save_*.c control/config_*.c control/domain_config.c control/domain_builder.c control/builder_*.c
 * links: lib/start_layout.c lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: tests/host/save_reader.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"
#include "save_reader.h"

#define PAGES      READER_PAGES /* of world_config's 8 MiB */
#define DISK_PAGES (PAGES + 600u)

static struct mock_disk *disk;
static unsigned dones;
static int result;

static void done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &dones);
	assert_string_equal(name, "g");
	dones++;
	result = err;
}

static int setup(void **state)
{
	world_setup(state);
	disk = mock_disk_new("serial=d", DISK_PAGES * 8);
	disk->dev.has_flush = true;
	disk->dev.max_segments = 32;
	dones = reader.xsave_bytes = reader.msrs = 0;
	result = 77;
	world_config.max_vcpus = 3;
	world_create();
	world_set_node("/local/domain/%u/control/feature-suspend", "1");
	return 0;
}

/* The test before us may have left a save that waits; its world has gone. */
static int teardown(void **state)
{
	control_stop();
	return 0;
}

static int save(bool keep)
{
	return control_save("g", "d", keep, done, &dones);
}

static void expect_why(int err, const char *text)
{
	assert_int_equal(result, err);
	if (!strstr(control_why(), text))
		fail_msg("wanted '%s', said '%s'", text, control_why());
}

/* ---- the guest ------------------------------------------------------------------------------ */

static struct start_info start;

static mfn_t frame_at(uint64_t va)
{
	mfn_t m;

	assert_true(fake_guest_frame(world_id, va, &m));
	return m;
}

static struct shared_info *shared(void)
{
	return fake_frame(fake_domain(world_id)->shared_info);
}

static uint64_t *list(void)
{
	static uint64_t copy[PAGES];

	assert_true(fake_guest_read(world_id, start.mfn_list, copy, sizeof(copy)));
	return copy;
}

/* What a kernel does before its last call. */
static void prepare_guest(void)
{
	struct fake_domain *d = fake_domain(world_id);
	struct arch_shared_info *arch = &shared()->arch;

	assert_true(fake_guest_read(world_id, d->context.user_regs.rsi, &start, sizeof(start)));
	reader.start_frame = frame_at(d->context.user_regs.rsi);
	arch->max_pfn = PAGES;
	arch->p2m_vaddr = start.mfn_list;
	arch->p2m_cr3 = xen_pfn_to_cr3(d->pinned.v);
	d->context.user_regs.rdx = reader.start_frame.v;
	d->context.user_regs.rax = 0;
	d->context.user_regs.rip = 0x1234;
}

static void suspend(void)
{
	world_expect_node("/local/domain/%u/control/shutdown", "suspend");
	world_set_node("/local/domain/%u/control/shutdown", "");
	prepare_guest();
	fake_shutdown(world_id, SHUTDOWN_suspend);
	mock_run();
}

static void expect_running(void)
{
	assert_non_null(control_find("g"));
	assert_int_equal(control_find("g")->state, CONTROL_RUNNING);
	assert_false(fake_domain(world_id)->shut_down);
}

static void expect_goes_on(void)
{
	expect_running();
	assert_int_equal(fake_domain(world_id)->context.user_regs.rax, 1);
	assert_int_equal(fake_domain(world_id)->context.user_regs.rdx, reader.start_frame.v);
}

/* The backend lets go; then nothing is left. */
static void expect_gone(void)
{
	mock_advance((CONTROL_BACKEND_WAIT_MS + 1) * 1000000ull);
	assert_null(control_find("g"));
	assert_null(strstr(world_events, "ended"));
	world_expect_nothing_left();
}

static void expect_no_stream(void)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(disk->data[i], 0);
}

/* ---- what works ----------------------------------------------------------------------------- */

static void save_and_check(bool keep)
{
	dones = 0;
	assert_int_equal(save(keep), 0);
	prepare_guest();
	reader_remember(world_id, list());
	suspend();
	assert_int_equal(dones, 1);
	assert_int_equal(result, 0);
	reader_all(disk->data, DISK_PAGES * PAGE_SIZE);
}

static void test_save(void **state)
{
	save_and_check(false);
	assert_int_equal(disk->flushes, 3);
	expect_gone();
}

/* Twice, on a disk that has a stream already. */
static void test_checkpoint(void **state)
{
	save_and_check(true);
	expect_goes_on();
	fake_domain(world_id)->xsave_bytes = reader.xsave_bytes =
	    851; /* nothing asks for whole words */
	fake_domain(world_id)->msrs = reader.msrs = 3;
	save_and_check(true);
	expect_goes_on();
	assert_int_equal(control_destroy("g"), 0);
	expect_gone();
}

/* Its file is of how it began; what it has been told since goes along. */
static void test_wishes(void **state)
{
	assert_int_equal(control_set_memory("g", 6), 0);
	assert_int_equal(control_set_vcpus("g", 2), 0);
	save_and_check(true);
	assert_non_null(
	    strstr((char *)disk->data + 52, "\nmemory = 6\nmaxmem = 8\nvcpus = 2\nmaxvcpus = 3\n"));
	world_set_node("/local/domain/%u/memory/target", "none");
	world_set_node("/local/domain/%u/cpu/0/availability", "what");
	save_and_check(true);
	assert_non_null(
	    strstr((char *)disk->data + 52, "\nmemory = 8\nmaxmem = 8\nvcpus = 1\nmaxvcpus = 3\n"));
	assert_int_equal(control_find("g")->config->memory_mib, 8);
}

/* Balloons leave holes: a number without a frame is not in the stream. */
static void test_holes(void **state)
{
	mfn_t frame;

	assert_int_equal(save(false), 0);
	prepare_guest();
	frame =
	    frame_at(start.mfn_list + (PAGES / 512 - 1) * PAGE_SIZE); /* of what no table maps */
	((uint64_t *)fake_frame(frame))[509] = ~0ull;
	((uint64_t *)fake_frame(frame))[511] = 1ull << 62; /* as Linux marks what is no memory */
	reader_remember(world_id, list());
	suspend();
	assert_int_equal(result, 0);
	reader_front(disk->data, DISK_PAGES * PAGE_SIZE);
	reader_pages();
	assert_int_equal(reader.seen[PAGES - 3] + reader.seen[PAGES - 1], 0);
	assert_int_equal(reader.seen[PAGES - 2], 1);
	expect_gone();
}

/* ---- what is refused at once ---------------------------------------------------------------- */

static void expect_refused(int err, const char *name, const char *target, const char *why)
{
	result = control_save(name, target, false, done, &dones);
	expect_why(err, why);
	expect_running();
	if (world_node("/local/domain/%u/control/shutdown", world_id))
		world_expect_node("/local/domain/%u/control/shutdown", "");
	mock_run();
	assert_int_equal(dones, 0);
}

static void test_refused(void **state)
{
	struct mock_disk *own = mock_disk_new("serial=a.img", DISK_PAGES * 8);

	assert_non_null(own);
	expect_refused(-XEN_ENOENT, "h", "d", "h: no such domain");
	expect_refused(-XEN_ENOENT, "g", "missing.img", "g: no such disk 'missing.img'");
	expect_refused(-XEN_EBUSY, "g", "a.img", "g: 'a.img' is a disk of g");
	strcpy(own->dev.name, "serial=d1");
	expect_refused(-XEN_EBUSY, "g", "d", "g: 'd' is divided: it has serial=d1");
	strcpy(own->dev.name, "serial=a.img");
	disk->dev.readonly = true;
	expect_refused(-XEN_EROFS, "g", "d", "g: 'd' cannot be written");
	disk->dev.readonly = false;
	disk->dev.sectors = PAGES * 8;
	expect_refused(-XEN_ENOSPC, "g", "d", "is too small for 8192 KiB of memory");
	disk->dev.sectors = DISK_PAGES * 8;
	world_set_node("/local/domain/%u/control/feature-suspend", "");
	expect_refused(-XEN_EOPNOTSUPP, "g", "d", "g: it has not said that it can be suspended");
	world_set_node("/local/domain/%u/control/feature-suspend", "1");
	assert_int_equal(control_pause("g"), 0);
	expect_refused(-XEN_EBUSY, "g", "d", "g: it is paused and cannot suspend");
	assert_int_equal(control_unpause("g"), 0);
	assert_int_equal(save(true), 0);
	result = save(true);
	expect_why(-XEN_EBUSY, "g: g is being saved");
}

/* ---- guests that do not do it --------------------------------------------------------------- */

static void test_no_answer(void **state)
{
	assert_int_equal(save(false), 0);
	world_set_node("/local/domain/%u/data/suspend-refused", "last look: pages");
	mock_advance(CONTROL_SUSPEND_WAIT_MS * 1000000ull - 1);
	assert_int_equal(dones, 0);
	mock_advance(1);
	assert_int_equal(dones, 1);
	expect_why(-XEN_ETIMEDOUT, "g: does not suspend in 60 s; it says: last look: pages");
	world_expect_node("/local/domain/%u/control/shutdown", "");
	expect_running();
	prepare_guest(); /* it had read the word, and does it now */
	fake_shutdown(world_id, SHUTDOWN_suspend);
	mock_run();
	expect_goes_on();
	assert_int_equal(dones, 1);
	prepare_guest(); /* by itself: as before, a crash */
	fake_shutdown(world_id, SHUTDOWN_suspend);
	mock_run();
	assert_null(control_find("g"));
}

static void test_ends_instead(void **state)
{
	assert_int_equal(save(false), 0);
	fake_shutdown(world_id, SHUTDOWN_poweroff);
	mock_run();
	assert_int_equal(dones, 1);
	expect_why(-XEN_ESRCH, "g: it has ended and is not saved");
	mock_advance((CONTROL_BACKEND_WAIT_MS + 1) * 1000000ull);
	assert_non_null(strstr(world_events, "ended g 0"));
	world_expect_nothing_left();
}

/* While it is written it can be asked for nothing but its end, which the disk's last request is waited for. */
static void test_destroyed(void **state)
{
	disk->hold = true;
	assert_int_equal(save(false), 0);
	suspend();
	assert_int_equal(control_find("g")->state, CONTROL_SAVING);
	assert_int_equal(control_ask_poweroff("g"), -XEN_EBUSY);
	assert_true(mock_disk_release(disk, 2));
	mock_run();
	assert_int_equal(control_destroy("g"), 0);
	mock_run();
	assert_int_equal(dones, 0);
	while (mock_disk_release(disk, 1))
		mock_run();
	assert_int_equal(dones, 1);
	assert_int_equal(result, -XEN_ESRCH);
	expect_no_stream();
	expect_gone();
}

/* ---- guests that lie ------------------------------------------------------------------------ */

static void expect_guest_refused(const char *why)
{
	fake_shutdown(world_id, SHUTDOWN_suspend);
	mock_run();
	assert_int_equal(dones, 1);
	expect_why(-XEN_EINVAL, why);
	expect_running();
	assert_int_equal(fake_domain(world_id)->context.user_regs.rax, 1);
	dones = 0;
}

static void ask(void)
{
	assert_int_equal(save(false), 0);
	world_set_node("/local/domain/%u/control/shutdown", "");
	prepare_guest();
}

static void test_lies_about_its_list(void **state)
{
	ask();
	shared()->arch.p2m_cr3 = 0;
	expect_guest_refused("it does not say where its list of frames is");
	ask();
	shared()->arch.p2m_cr3 = 0xfffff000;
	expect_guest_refused("a table that maps its list of frames is not its own");
	ask();
	shared()->arch.p2m_vaddr = 0x1000;
	expect_guest_refused("its list of frames is not mapped");
	ask();
	shared()->arch.p2m_vaddr++;
	expect_guest_refused("its list of frames is at no address");
	ask();
	shared()->arch.max_pfn = 600000;
	expect_guest_refused("longer than any memory it may have");
	ask();
	shared()->arch.max_pfn = 0;
	expect_guest_refused("its list of frames is at no address");
	expect_no_stream();
}

static void test_lies_about_frames(void **state)
{
	uint64_t *entry;

	ask();
	fake_domain(world_id)->context.user_regs.rdx = 3;
	expect_guest_refused("it does not say where its start information is");
	ask(); /* the list disowns a frame that a table has */
	entry = (uint64_t *)fake_frame(frame_at(start.mfn_list));
	for (unsigned i = 0; i < 512; i++)
		if (entry[i] == reader.start_frame.v)
			entry[i] = ~0ull;
	for (unsigned p = 1; p < PAGES / 512; p++) {
		uint64_t *more = fake_frame(frame_at(start.mfn_list + p * PAGE_SIZE));

		for (unsigned i = 0; i < 512; i++)
			if (more[i] == reader.start_frame.v)
				more[i] = ~0ull;
	}
	expect_guest_refused("maps what is not its own");
	expect_no_stream();
}

/* ---- disks that fail ------------------------------------------------------------------------ */

static void test_disk_fails(void **state)
{
	disk->hold = true;
	assert_int_equal(save(false), 0);
	suspend();
	for (unsigned i = 0; i < 6; i++) {
		mock_disk_release(disk, 1);
		mock_run();
	}
	disk->fail_status = -XEN_EIO;
	while (mock_disk_release(disk, 1))
		mock_run();
	assert_int_equal(dones, 1);
	expect_why(-XEN_EIO, "g: cannot be written to the disk: EIO");
	expect_goes_on();
	expect_no_stream();
}

/* Every call of the hypervisor's that can fail does, once: it is not saved, and runs, or has crashed. */
static void test_calls_fail(void **state)
{
	unsigned nth = 0, before, all;

	do {
		dones = 0;
		assert_int_equal(save(true), 0);
		world_set_node("/local/domain/%u/control/shutdown", "");
		prepare_guest();
		before = fake_calls();
		fake_fail_at(++nth + 1, -XEN_EFAULT); /* the first is asked who has died */
		fake_shutdown(world_id, SHUTDOWN_suspend);
		mock_run();
		all = fake_calls() - before;
		fake_fail_at(0, 0);
		assert_int_equal(dones, 1);
		if (!control_find("g") || control_find("g")->state != CONTROL_RUNNING)
			return; /* the last ones are those by which it would go on */
		assert_int_equal(fake_domain(world_id)->context.user_regs.rax, 1);
	} while (nth + 1 < all);
	fail_msg("none of %u calls is missed", all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_save, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wishes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_holes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ends_instead, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_destroyed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lies_about_its_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lies_about_frames, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_disk_fails, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_calls_fail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
