/* restore_test.c: a saved domain is made again from its stream, whatever the disk does.
 *
 * Why: page tables, registers and the pages a guest is told of must be what they were, in other frames, and
 * a restore that fails must leave nothing. The stream is that of saved_guest.c; the hypervisor is the fake,
 * which checks page tables and counts what is left; the disk is the mock's.
 *
 * links: control/restore.c control/restore_domain.c control/restore_stream.c control/restore_memory.c control/restore_vcpu.c control/restore_config.c control/json.c
 * links: control/control_save.c control/save_*.c control/config_text.c control/control.c control/control_list.c control/control_store*.c control/control_block.c control/control_device.c control/control_net.c control/control_serve.c control/control_pci*.c control/pci_reset.c control/pci_group.c lib/pci_cap.c control/domain_builder.c control/control_ask.c
 * links: control/control_version.c lib/start_layout.c control/builder_memory.c control/builder_start.c control/builder_unpack.c
 * links: control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c control/config_cpus.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_pci.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c tests/host/saved_guest.c tests/host/restore_fixture.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "restore_fixture.h"

/* ---- what is made ------------------------------------------------------------------------------ */

static void test_memory(void **state)
{
	uint64_t list[SAVED_PFNS];
	uint8_t page[PAGE_SIZE];
	struct fake_domain *d;

	restore_expect_made();
	d = fake_domain(world_id);
	assert_int_equal(d->pages, SAVED_PFNS - 1);
	for (unsigned pfn = SAVED_DATA; pfn < SAVED_PFNS; pfn++) {
		if (pfn == SAVED_HOLE)
			continue;
		assert_true(fake_guest_read(world_id, pfn * PAGE_SIZE, page, sizeof(page)));
		assert_int_equal(page[0], pfn);
		assert_int_equal(page[PAGE_SIZE - 1], pfn);
		assert_true(fake_guest_writable(world_id, pfn * PAGE_SIZE));
	}
	assert_false(fake_guest_read(world_id, SAVED_HOLE * PAGE_SIZE, page, 1));
	assert_false(fake_guest_writable(world_id, SAVED_L1 * PAGE_SIZE));
	assert_true(fake_guest_read(world_id, SAVED_LIST * PAGE_SIZE, list, sizeof(list)));
	for (unsigned pfn = 0; pfn < SAVED_PFNS; pfn++) {
		if (pfn == SAVED_HOLE) {
			assert_int_equal(list[pfn], ~0ull);
			continue;
		}
		fake_guest_read(world_id, pfn * PAGE_SIZE, page, sizeof(page));
		assert_memory_equal(fake_frame((mfn_t){list[pfn]}), page, PAGE_SIZE);
	}
}

static void test_start_info(void **state)
{
	struct start_info si;
	struct fake_domain *d;
	uint64_t list[4];

	restore_expect_made();
	d = fake_domain(world_id);
	fake_guest_read(world_id, SAVED_LIST * PAGE_SIZE, list, sizeof(list));
	assert_true(fake_guest_read(world_id, 0, &si, sizeof(si)));
	assert_int_equal(si.store_mfn, list[SAVED_STORE]);
	assert_int_equal(si.store_evtchn, 1);
	assert_int_equal(si.console.domU.mfn, list[SAVED_CONSOLE]);
	assert_int_equal(si.console.domU.evtchn, 2);
	assert_int_equal(si.nr_pages, SAVED_PFNS);
	assert_int_equal(si.shared_info, d->shared_info.v << PAGE_SHIFT);
	assert_int_equal(si.flags, 0);
	assert_int_equal(d->context.user_regs.rdx, list[SAVED_START_INFO]);
}

static void test_shared_info(void **state)
{
	const struct shared_info *s;

	restore_expect_made();
	s = fake_frame(fake_domain(world_id)->shared_info);
	assert_int_equal(s->vcpu_info[1].arch.cr2, 0x3333333333333333);
	assert_int_equal(s->arch.max_pfn, 0x3333333333333333);
	assert_int_equal(s->arch.pfn_to_mfn_frame_list_list, 0);
	assert_int_equal(s->arch.p2m_cr3, 0);
	assert_int_equal(s->vcpu_info[1].evtchn_pending_sel, 0);
	assert_int_equal(s->evtchn_pending[5], 0);
	assert_int_equal(s->evtchn_mask[5], ~0ull);
	assert_int_equal(s->wc_sec, 0); /* the hypervisor's own */
}

static void test_vcpus(void **state)
{
	struct fake_domain *d;
	uint64_t list[SAVED_PFNS];

	restore_expect_made();
	d = fake_domain(world_id);
	fake_guest_read(world_id, SAVED_LIST * PAGE_SIZE, list, sizeof(list));
	assert_int_equal(d->max_vcpus, 2);
	assert_int_equal(d->context.user_regs.rip, 0x1000);
	assert_int_equal(d->second.user_regs.rip, 0x1001);
	assert_int_equal(d->second.user_regs.rdx, 77);
	assert_int_equal(d->context.gdt_frames[0], list[SAVED_GDT]);
	assert_int_equal(d->context.ctrlreg[3], list[SAVED_L4] << PAGE_SHIFT);
	assert_int_equal(d->second.ctrlreg[1], list[SAVED_L4] << PAGE_SHIFT);
	assert_true(d->second.flags & VGCF_online);
	assert_int_equal(d->extended_set, 3);
	assert_int_equal(d->tsc_mode, 0);
	assert_false(d->paused);
}

/* The store, the console and the life after it are as those of any domain. */
static void test_it_is_one_of_ours(void **state)
{
	const struct control_domain *d;
	const struct grant_entry_v1 *grants;

	restore_expect_made();
	assert_string_equal(restore_done.name, "s");
	assert_string_equal(world_events, "introduce 1:1\nconsole 1:2 s\ncreated s 156\n");
	world_expect_node("/local/domain/%u/memory/static-max", "8192");
	world_expect_node("/local/domain/%u/memory/target", "4096");
	world_expect_node("/local/domain/%u/cpu/1/availability", "online");
	world_expect_node(BACKEND "/params", "serial=a.img");
	world_expect_node(BACKEND "/mode", "w");
	world_expect_node("/local/domain/%u/control/feature-suspend", "1");
	d = control_find("s");
	assert_int_equal(d->state, CONTROL_RUNNING);
	assert_int_equal(d->memory_kib, 156);
	assert_string_equal(d->config->cmdline, "a=\"b\" c");
	assert_int_equal(d->config->cpu_weight, 512);
	assert_int_equal(d->config->on_reboot, CONFIG_RESTART);
	assert_int_equal(d->config->on_crash, CONFIG_PRESERVE);
	assert_int_equal(d->config->on_poweroff, CONFIG_DESTROY);
	assert_int_equal(fake_domain(world_id)->max_pages, (8192 + 1024) / 4);
	grants = fake_frame(fake_domain(world_id)->grant_frame);
	assert_int_equal(grants[GNTTAB_RESERVED_XENSTORE].flags, GTF_permit_access);
	assert_ptr_not_equal(grants[GNTTAB_RESERVED_XENSTORE].frame, 0);
	fake_shutdown(world_id, SHUTDOWN_poweroff);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	world_expect_nothing_left();
}

/* A restart is a new life from its kernel. */
static void test_it_reboots(void **state)
{
	restore_expect_made();
	fake_shutdown(world_id, SHUTDOWN_reboot);
	mock_run();
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	assert_int_equal(control_find("s")->restarts, 1);
	assert_int_equal(fake_domain(control_find("s")->domid)->pages, 1024);
}

static void test_as_another(void **state)
{
	world_config.max_vcpus = world_config.vcpus = 2;
	strcpy(world_config.name, "other");
	assert_int_equal(restore_as(&world_config), 0);
	assert_null(control_find("s"));
	assert_non_null(control_find("other"));
	world_id = control_find("other")->domid;
	world_expect_node(BACKEND "/mode", "r");
}

/* Older xl wrote the domain file itself, and older libxc no STATIC_DATA_END; records that may be
 * passed over are. */
static void test_older_streams(void **state)
{
	struct stream_xl_header *xl;
	size_t at;

	saved_free(&saved);
	saved_new(&saved, "name='s'\ntype='pv'\nkernel='/boot/k'\nmemory=8\nvcpus=2\n");
	xl = (void *)saved.bytes;
	xl->mandatory_flags = STREAM_XL_FLAG_V2;
	at = saved_find(&saved, STREAM_PV_INFO, 0);
	saved.bytes[at - sizeof(struct stream_domain_header) - 9] = STREAM_IMAGE_V2;
	saved_take_out(&saved, STREAM_STATIC_END, 0);
	saved_take_out(&saved, STREAM_MSR_POLICY, 0);
	saved_take_out(&saved, STREAM_CPUID_POLICY, 0);
	saved_take_out(&saved, STREAM_TSC_INFO, 0);
	saved_insert(&saved, saved_find(&saved, STREAM_SHARED_INFO, 0), STREAM_OPTIONAL | 5,
		     "12345", 5);
	restore_expect_made();
	assert_int_equal(fake_domain(world_id)->tsc_mode, 2); /* as the builder has it */
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* Pieces come as the disk gives them; numbers are not aligned when the text in front is not. */
static void test_any_alignment_and_request_size(void **state)
{
	char json[1024];

	for (unsigned i = 1; i < 8; i++) {
		snprintf(json, sizeof(json), "%*s%s", (int)i, "", SAVED_JSON);
		saved_free(&saved);
		saved_new_unaligned(&saved, json);
		restore_disk->dev.max_segments = 1 + i * 3;
		restore_expect_made();
		control_destroy("s");
		mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
		world_expect_nothing_left();
		world_events[0] = 0;
	}
}

static void test_slow_disk(void **state)
{
	unsigned rounds = 0;

	restore_fill_disk();
	restore_disk->hold = true;
	restore_done.calls = 0;
	assert_int_equal(control_restore(RESTORE_DISK, NULL, restore_on_done, &saved), 0);
	assert_int_equal(control_restore(RESTORE_DISK, NULL, restore_on_done, &saved), -XEN_EBUSY);
	while (!restore_done.calls && rounds++ < 50) {
		mock_run();
		mock_disk_release(restore_disk, 1);
		mock_run();
	}
	assert_int_equal(restore_done.err, 0);
	while (mock_disk_release(restore_disk, 1))
		mock_run();
	assert_non_null(control_find("s"));
}

static void test_the_name_is_taken_meanwhile(void **state)
{
	domid_t id;

	restore_fill_disk();
	restore_disk->hold = true;
	restore_disk->dev.max_segments = 1;
	assert_int_equal(control_restore(RESTORE_DISK, NULL, restore_on_done, &saved), 0);
	mock_disk_release(restore_disk, 1);
	mock_run();
	assert_null(control_find("s"));
	strcpy(world_config.name, "s");
	assert_int_equal(control_create(&world_config, &id), -XEN_EEXIST);
	control_stop();
	restore_disk->hold = false;
	mock_disk_release(restore_disk, 8);
	mock_run();
	world_expect_nothing_left();
}

static void test_disk_faults(void **state)
{
	assert_int_equal(control_restore("missing", NULL, restore_on_done, NULL), -XEN_ENOENT);
	assert_string_equal(control_why(), "no disk 'missing'");
	restore_disk->fail_status = -XEN_EIO;
	restore_expect_refused(-XEN_EIO,
			       "restore: the disk cannot be read: EIO (xl's header at byte 0)");
	restore_disk->fail_status = 0;
	restore_disk->dev.sectors = 64;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	assert_non_null(
	    strstr(control_why(), "s: the disk ends before it does (PAGE_DATA at byte"));
	world_expect_nothing_left();
}

/* Pulled out: its requests end with an error, or the last had just come back. */
static void test_the_disk_goes(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		restore_setup(state);
		restore_fill_disk();
		restore_disk->hold = true;
		restore_disk->dev.max_segments = 4;
		restore_done.calls = 0;
		assert_int_equal(control_restore(RESTORE_DISK, NULL, restore_on_done, &saved), 0);
		mock_disk_release(restore_disk, 1);
		mock_run();
		restore_disk->fail_status = i ? -XEN_EIO : 0;
		mock_disk_release(restore_disk, 2);
		restore_disk->dev.gone = true;
		host_block_changed(&restore_disk->dev);
		mock_run();
		assert_int_equal(restore_done.calls, 1);
		assert_non_null(strstr(control_why(), i ? "s: the disk cannot be read: EIO"
							: "s: the disk has gone (PAGE_DATA"));
		restore_disk->fail_status = 0;
		world_expect_nothing_left();
	}
}

static void test_a_cut_stream(void **state)
{
	uint8_t *copy = malloc(saved.len);
	size_t len = saved.len;

	memcpy(copy, saved.bytes, len);
	for (size_t cut = 0; cut < len; cut += 1 + len / 211) {
		memcpy(saved.bytes, copy, len);
		memset(saved.bytes + cut, 0, len - cut);
		assert_int_not_equal(restore_as(NULL), 0);
		world_expect_nothing_left();
	}
	free(copy);
}

/* ---- failures ------------------------------------------------------------------------------------ */

/* Each call of the hypervisor fails once, and each allocation; it may go without some. */
static void test_every_call_may_fail(void **state)
{
	unsigned calls;

	restore_expect_made();
	calls = fake_calls();
	assert_true(calls > 20);
	for (unsigned nth = 1; nth < calls; nth++) {
		restore_setup(state);
		fake_fail_at(nth, -XEN_ENOMEM);
		if (restore_as(NULL) != 0)
			world_expect_nothing_left();
	}
	for (int nth = 1; nth < 40; nth++) {
		int err;

		restore_setup(state);
		restore_fill_disk();
		restore_done.calls = 0;
		restore_done.err = 0;
		mock_fail_after(nth);
		err = control_restore(RESTORE_DISK, NULL, restore_on_done, &saved);
		mock_run();
		mock_fail_after(-1);
		if (err || restore_done.err)
			world_expect_nothing_left();
	}
}

static void test_too_little_memory(void **state)
{
	world_setup(state);
	fake_reset(20);
	restore_disk = mock_disk_new("serial=" RESTORE_DISK, RESTORE_SECTORS);
	assert_int_equal(restore_as(NULL), -XEN_ENOMEM);
	assert_non_null(strstr(control_why(), "s: 8192 KiB are not enough for it (PAGE_DATA at"));
	world_expect_nothing_left();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, restore_setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_memory),
	    TEST(test_start_info),
	    TEST(test_shared_info),
	    TEST(test_vcpus),
	    TEST(test_it_is_one_of_ours),
	    TEST(test_it_reboots),
	    TEST(test_as_another),
	    TEST(test_older_streams),
	    TEST(test_any_alignment_and_request_size),
	    TEST(test_slow_disk),
	    TEST(test_the_name_is_taken_meanwhile),
	    TEST(test_disk_faults),
	    TEST(test_the_disk_goes),
	    TEST(test_a_cut_stream),
	    TEST(test_every_call_may_fail),
	    TEST(test_too_little_memory),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	saved_free(&saved);
	return failed;
}
