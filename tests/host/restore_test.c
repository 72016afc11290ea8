/* restore_test.c: a saved domain is made again from its stream, and what is wrong in a stream is refused with
 * its place, leaving nothing.
 *
 * Why: the stream is a file from anywhere; it holds page tables and registers, and the only way to find a
 * fault is before the guest runs. The stream is that of saved_guest.c, spoiled in one place; the hypervisor
 * is the fake, which checks page tables and counts what is left; the disk is the mock's.
 *
 * links: control/restore.c control/restore_domain.c control/restore_stream.c control/restore_memory.c control/restore_vcpu.c control/restore_config.c control/json.c
 * links: control/control.c control/control_list.c control/control_store.c control/domain_builder.c control/control_ask.c
 * links: control/control_version.c lib/start_layout.c control/builder_memory.c control/builder_start.c control/builder_unpack.c
 * links: control/domain_config.c control/config_lex.c control/config_disk.c control/config_cpus.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/control_world.c tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c tests/host/saved_guest.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/control.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"
#include "saved_guest.h"

#define DISK         "save" /* the world's hook calls it serial=save */
#define DISK_SECTORS 1024u

static struct saved saved;
static struct mock_disk *disk;
static int done_err;
static unsigned done_calls;
static char done_name[64];

static void on_done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &saved);
	done_calls++;
	done_err = err;
	snprintf(done_name, sizeof(done_name), "%s", name);
}

static int setup(void **state)
{
	world_setup(state);
	saved_free(&saved);
	saved_new(&saved, NULL);
	disk = mock_disk_new("serial=" DISK, DISK_SECTORS);
	return 0;
}

/* Writes the stream to the disk; the rest of the disk is full of something else. */
static void fill_disk(void)
{
	memset(disk->data, 0xee, DISK_SECTORS * SECTOR_SIZE);
	assert_true(saved.len <= DISK_SECTORS * SECTOR_SIZE);
	memcpy(disk->data, saved.bytes, saved.len);
}

static int restore_as(const struct domain_config *config)
{
	fill_disk();
	done_calls = 0;
	assert_int_equal(control_restore(DISK, config, on_done, &saved), 0);
	mock_run();
	assert_int_equal(done_calls, 1);
	return done_err;
}

static void expect_restored(void)
{
	const struct control_domain *d;
	int err = restore_as(NULL);

	if (err)
		fail_msg("%d: %s", err, control_why());
	d = control_find("s");
	assert_non_null(d);
	world_id = d->domid;
}

/* The whole text, so that the place in it is checked too. */
static void expect_refused(int err, const char *fmt, ...)
{
	char why[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	assert_int_equal(restore_as(NULL), err);
	if (strcmp(control_why(), why) != 0)
		fail_msg("wanted '%s', said '%s'", why, control_why());
	world_expect_nothing_left();
}

static void expect_refused_at(int err, uint32_t type, unsigned nth, const char *text,
			      const char *name)
{
	expect_refused(err, "s: %s (%s at byte %zu)", text, name, saved_find(&saved, type, nth));
}

/* ---- what is made ------------------------------------------------------------------------------ */

static void test_memory(void **state)
{
	uint64_t list[SAVED_PFNS];
	uint8_t page[PAGE_SIZE];
	struct fake_domain *d;

	expect_restored();
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

	expect_restored();
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

	expect_restored();
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

	expect_restored();
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

	expect_restored();
	assert_string_equal(done_name, "s");
	assert_string_equal(world_events, "introduce 1:1\nconsole 1:2 s\ncreated s 156\n");
	world_expect_node("/local/domain/%u/memory/static-max", "8192");
	world_expect_node("/local/domain/%u/memory/target", "4096");
	world_expect_node("/local/domain/%u/cpu/1/availability", "online");
	world_expect_node(BACKEND "/params", "serial=a.img");
	world_expect_node(BACKEND "/mode", "w");
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
	expect_restored();
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
	expect_restored();
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
		disk->dev.max_segments = 1 + i * 3;
		expect_restored();
		control_destroy("s");
		mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
		world_expect_nothing_left();
		world_events[0] = 0;
	}
}

static void test_slow_disk(void **state)
{
	unsigned rounds = 0;

	fill_disk();
	disk->hold = true;
	done_calls = 0;
	assert_int_equal(control_restore(DISK, NULL, on_done, &saved), 0);
	assert_int_equal(control_restore(DISK, NULL, on_done, &saved), -XEN_EBUSY);
	while (!done_calls && rounds++ < 50) {
		mock_run();
		mock_disk_release(disk, 1);
		mock_run();
	}
	assert_int_equal(done_err, 0);
	while (mock_disk_release(disk, 1))
		mock_run();
	assert_non_null(control_find("s"));
}

static void test_the_name_is_taken_meanwhile(void **state)
{
	domid_t id;

	fill_disk();
	disk->hold = true;
	disk->dev.max_segments = 1;
	assert_int_equal(control_restore(DISK, NULL, on_done, &saved), 0);
	mock_disk_release(disk, 1);
	mock_run();
	assert_null(control_find("s"));
	strcpy(world_config.name, "s");
	assert_int_equal(control_create(&world_config, &id), -XEN_EEXIST);
	control_stop();
	disk->hold = false;
	mock_disk_release(disk, 8);
	mock_run();
	world_expect_nothing_left();
}

static void test_disk_faults(void **state)
{
	assert_int_equal(control_restore("missing", NULL, on_done, NULL), -XEN_ENOENT);
	assert_string_equal(control_why(), "no disk 'missing'");
	disk->fail_status = -XEN_EIO;
	expect_refused(-XEN_EIO, "restore: the disk cannot be read: EIO (xl's header at byte 0)");
	disk->fail_status = 0;
	disk->dev.sectors = 64;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	assert_non_null(
	    strstr(control_why(), "s: the disk ends before it does (PAGE_DATA at byte"));
	world_expect_nothing_left();
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

/* ---- headers ----------------------------------------------------------------------------------- */

static void test_headers(void **state)
{
	struct stream_xl_header *xl = (void *)saved.bytes;
	size_t format = sizeof(*xl) + xl->optional_bytes;

	xl->magic[0] = 0;
	expect_refused(-XEN_EINVAL,
		       "restore: no saved domain, or not all of one (xl's header at byte 0)");
	xl->magic[0] = 'X';
	xl->byte_order = 0x04030201;
	expect_refused(-XEN_EOPNOTSUPP, "restore: of another byte order (xl's header at byte 0)");
	xl->byte_order = STREAM_XL_BYTE_ORDER;
	xl->mandatory_flags = 7;
	expect_refused(-XEN_EOPNOTSUPP, "restore: flags 0x7 (xl's header at byte 0)");
	xl->mandatory_flags = 3;
	saved.bytes[48] = 255;
	saved.bytes[49] = 255;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	saved_free(&saved);
	saved_new(&saved, NULL);
	saved.bytes[format] = 'l';
	expect_refused(-XEN_EINVAL, "s: no stream of libxl's (libxl's header at byte %zu)", format);
	saved.bytes[format] = 'L';
	saved.bytes[format + 11] = 3;
	expect_refused(-XEN_EOPNOTSUPP, "s: of version 3, options 0x0 (libxl's header at byte %zu)",
		       format);
	saved.bytes[format + 11] = 2;
	saved.bytes[format + 16] = 3;
	expect_refused(-XEN_EOPNOTSUPP, "s: of type 3 (libxl's record at byte %zu)", format + 16);
	saved.bytes[format + 16] = 1;
	saved.bytes[format + 24] = 0;
	expect_refused(-XEN_EINVAL, "s: no stream of libxc's (libxc's header at byte %zu)",
		       format + 24);
	saved.bytes[format + 24] = 255;
	saved.bytes[format + 39] = 4;
	expect_refused(-XEN_EOPNOTSUPP, "s: of version 4 (libxc's header at byte %zu)",
		       format + 24);
	saved.bytes[format + 39] = 3;
	saved.bytes[format + 48] = 2;
	expect_refused(-XEN_EOPNOTSUPP,
		       "s: a domain of type 2, which is not PV (libxc's domain header at byte %zu)",
		       format + 48);
	saved.bytes[format + 48] = 1;
	saved.bytes[saved.len - 8] = 4;
	expect_refused(-XEN_EOPNOTSUPP,
		       "s: of type 4 behind libxc's part (libxl's record at byte %zu)",
		       saved.len - 8);
}

/* ---- records ----------------------------------------------------------------------------------- */

static void test_order_of_records(void **state)
{
	static const struct {
		uint32_t taken_out;
		int err;
		const char *why;
	} cases[] = {
	    {STREAM_PV_INFO, -XEN_EINVAL, "s: no PV_INFO before it (STATIC_DATA_END at"},
	    {STREAM_STATIC_END, -XEN_EINVAL, "s: it stands out of order (PV_P2M_FRAMES at"},
	    {STREAM_PV_P2M_FRAMES, -XEN_EINVAL, "s: it stands out of order (PAGE_DATA at"},
	    {STREAM_PAGE_DATA, -XEN_EINVAL, "s: a part of its page list is page 0x3, of type 16"},
	    {STREAM_SHARED_INFO, -XEN_EINVAL, "s: no SHARED_INFO"},
	    {STREAM_VCPU_BASIC, -XEN_EINVAL, "s: no VCPU_BASIC of vCPU 0"},
	    {STREAM_END, -XEN_EINVAL, "s: it stands out of order"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		saved_free(&saved);
		saved_new(&saved, NULL);
		saved_take_out(&saved, cases[i].taken_out,
			       cases[i].taken_out == STREAM_PAGE_DATA ? 1 : 0);
		(void)restore_as(NULL);
		if (cases[i].taken_out != STREAM_END &&
		    strncmp(control_why(), cases[i].why, strlen(cases[i].why)) != 0 &&
		    cases[i].taken_out != STREAM_PAGE_DATA)
			fail_msg("wanted '%s', said '%s'", cases[i].why, control_why());
		assert_int_not_equal(done_err, 0);
		world_expect_nothing_left();
	}
}

static void test_lengths_and_types_of_records(void **state)
{
	size_t at = saved_find(&saved, STREAM_TSC_INFO, 0);
	struct stream_record *r = (void *)(saved.bytes + at);

	r->body_bytes = 16;
	expect_refused_at(-XEN_EINVAL, STREAM_TSC_INFO, 0, "it is of 16 bytes", "TSC_INFO");
	r->body_bytes = STREAM_RECORD_MAX + 1;
	expect_refused(-XEN_EINVAL, "s: it is of 134217729 bytes (a record at byte %zu)", at);
	r->body_bytes = 24;
	r->type = 0x13;
	expect_refused(-XEN_EOPNOTSUPP, "s: of the unknown type 19 (a record at byte %zu)", at);
	r->type = STREAM_HVM_CONTEXT;
	expect_refused(-XEN_EOPNOTSUPP, "s: of the unknown type 9 (a record at byte %zu)", at);
	r->type = STREAM_TSC_INFO;
	saved_insert(&saved, at, STREAM_TSC_INFO, saved.bytes + at + 8, 24);
	expect_refused_at(-XEN_EINVAL, STREAM_TSC_INFO, 1, "there was one already", "TSC_INFO");
	*saved_body(&saved, STREAM_PV_INFO, 0) = 4;
	expect_refused_at(-XEN_EOPNOTSUPP, STREAM_PV_INFO, 0, "a guest of 32 bits", "PV_INFO");
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void test_list_of_pages(void **state)
{
	struct stream_p2m_frames *f = (void *)saved_body(&saved, STREAM_PV_P2M_FRAMES, 0);
	uint64_t *pfn = (void *)(f + 1);

	f->start_pfn = 1;
	expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
			  "a list from 0x1 to 0x27 for 2048 pages", "PV_P2M_FRAMES");
	f->start_pfn = 0;
	f->end_pfn = 0xffffffff;
	expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
			  "a list from 0x0 to 0xffffffff for 2048 pages", "PV_P2M_FRAMES");
	f->end_pfn = 512;
	expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
			  "it is of 16 bytes, for pages up to 0x200", "PV_P2M_FRAMES");
	f->end_pfn = SAVED_PFNS - 1;
	*pfn = SAVED_PFNS;
	expect_refused(-XEN_EINVAL, "s: a part of its page list is page 0x28, which there is not");
	*pfn = SAVED_HOLE;
	expect_refused(-XEN_EINVAL, "s: a part of its page list is page 0xc, which there is not");
	*pfn = SAVED_L1;
	expect_refused(-XEN_EINVAL, "s: a part of its page list is page 0x8, of type 1");
}

static void expect_page_refused(unsigned pfn, uint64_t number, const char *text)
{
	uint64_t *at = saved_number(&saved, pfn), before = *at;

	*at = number;
	expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, pfn < SAVED_L4, text, "PAGE_DATA");
	*at = before;
}

static void test_numbers_of_pages(void **state)
{
	uint32_t *count = (void *)saved_body(&saved, STREAM_PAGE_DATA, 0);

	expect_page_refused(20, SAVED_PFNS, "page 0x28 of 0x28");
	expect_page_refused(20, 20 | 1ull << 52, "page 0x14 of 0x28");
	expect_page_refused(20, 21, "page 0x15 comes a second time");
	expect_page_refused(20, 20 | 5ull << 60, "page 0x14 is of the unknown type 5");
	expect_page_refused(20, 20 | 8ull << 60, "page 0x14 is of the unknown type 8");
	expect_page_refused(20, 20 | 0xfull << 60, "it is of 139552 bytes and has 33 pages");
	expect_page_refused(SAVED_HOLE, SAVED_HOLE, "it is of 139552 bytes and has 35 pages");
	*count = 0;
	expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0, "it is of 139552 bytes for 0 pages",
			  "PAGE_DATA");
	*count = STREAM_BATCH_PAGES + 1;
	expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0, "it is of 139552 bytes for 1025 pages",
			  "PAGE_DATA");
}

/* Kinds of pages without content: one is there, empty; of the others there is none. */
static void test_pages_without_content(void **state)
{
	uint64_t numbers[3] = {2, 41 | 0xeull << 60, 42 | 0xdull << 60};
	struct stream_p2m_frames *f = (void *)saved_body(&saved, STREAM_PV_P2M_FRAMES, 0);

	f->end_pfn = 42;
	saved_insert(&saved, saved_find(&saved, STREAM_TSC_INFO, 0), STREAM_PAGE_DATA, numbers,
		     sizeof(numbers));
	expect_restored();
	assert_int_equal(fake_domain(world_id)->pages, SAVED_PFNS);
}

static void test_tables(void **state)
{
	uint64_t *l1 = saved_page(&saved, SAVED_L1), *l4 = saved_page(&saved, SAVED_L4);

	l1[30] = 0x28007;
	expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0,
			  "entry 30 of table 0x8 names page 0x28 of 0x28", "PAGE_DATA");
	l1[30] = SAVED_HOLE << 12 | 7;
	expect_refused(-XEN_EINVAL, "s: a table names page 0xc, which did not come");
	l1[30] = SAVED_L2 << 12 | 7; /* writable: the hypervisor finds it */
	expect_refused(-XEN_EINVAL, "s: the hypervisor refuses its page tables: EINVAL");
	l1[30] = 0x00000ffffffff000;  /* not present: whatever it is */
	l4[256] = 0x0000fffffffff007; /* the hypervisor's own */
	l4[271] = 7;
	expect_restored();
	assert_false(fake_guest_writable(world_id, 30 * PAGE_SIZE));
}

/* ---- vCPUs ------------------------------------------------------------------------------------- */

static struct vcpu_guest_context *context(unsigned vcpu)
{
	return (void *)(saved_body(&saved, STREAM_VCPU_BASIC, vcpu) + 8);
}

static void test_contexts(void **state)
{
	struct vcpu_guest_context *c = context(1);

	c->ctrlreg[3] = SAVED_L3 << 12;
	expect_refused(-XEN_EINVAL, "s: its page table is page 0x6, of type 3");
	c->ctrlreg[3] = 0x5555ull << 12;
	expect_refused(-XEN_EINVAL, "s: its page table is page 0x5555, which there is not");
	c->ctrlreg[3] = SAVED_L4 << 12;
	c->ctrlreg[1] = SAVED_DATA << 12 | 1;
	expect_refused(-XEN_EINVAL, "s: its user's page table is page 0x9, of type 0");
	c->ctrlreg[1] = SAVED_DATA << 12;
	c->gdt_ents = 7169;
	expect_refused(-XEN_EINVAL, "s: a GDT of 7169 entries");
	c->gdt_ents = 513;
	c->gdt_frames[1] = SAVED_L1;
	expect_refused(-XEN_EINVAL, "s: its GDT is page 0x8, of type 1");
	c->gdt_ents = 0;
	context(0)->user_regs.rdx = SAVED_L1;
	expect_refused(-XEN_EINVAL, "s: its start info is page 0x8, of type 1");
	context(0)->user_regs.rdx = SAVED_START_INFO;
	((struct start_info *)saved_page(&saved, 0))->store_mfn = SAVED_HOLE;
	expect_refused(-XEN_EINVAL, "s: the store's ring is page 0xc, which there is not");
	((struct start_info *)saved_page(&saved, 0))->store_mfn = SAVED_STORE;
	((struct start_info *)saved_page(&saved, 0))->console.domU.mfn = ~0ull;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	((struct start_info *)saved_page(&saved, 0))->console.domU.mfn = SAVED_CONSOLE;
	expect_restored();
	assert_int_equal(fake_domain(world_id)->second.ctrlreg[1], 0);
}

static void test_records_of_vcpus(void **state)
{
	size_t at = saved_find(&saved, STREAM_VCPU_EXTENDED, 1);
	uint32_t *vcpu = (void *)(saved.bytes + at + 8);
	uint64_t xsave[3] = {1, 3, 3}, msrs[3] = {1, 0x10, 0};

	*vcpu = 2;
	expect_refused_at(-XEN_EINVAL, STREAM_VCPU_EXTENDED, 1, "of vCPU 2 of 2", "VCPU_EXTENDED");
	*vcpu = 0;
	expect_refused_at(-XEN_EINVAL, STREAM_VCPU_EXTENDED, 1, "a second of vCPU 0",
			  "VCPU_EXTENDED");
	*vcpu = 1;
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, 8); /* empty: says nothing */
	saved_insert(&saved, at, STREAM_VCPU_XSAVE, xsave, sizeof(xsave));
	expect_restored();
	assert_int_equal(control_destroy("s"), 0);
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	((uint64_t *)(void *)saved_body(&saved, STREAM_VCPU_XSAVE, 0))[2] = 7; /* AVX */
	expect_refused(-XEN_ENOSYS, "s: vCPU 1's vector state are refused: ENOSYS");
	saved_take_out(&saved, STREAM_VCPU_XSAVE, 0);
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, sizeof(msrs));
	expect_refused(-XEN_ENOSYS, "s: vCPU 1's MSRs are refused: ENOSYS");
	saved_take_out(&saved, STREAM_VCPU_MSRS, 0);
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, 16);
	expect_refused_at(-XEN_EINVAL, STREAM_VCPU_MSRS, 0, "it is of 16 bytes", "VCPU_MSRS");
}

/* ---- configurations ------------------------------------------------------------------------------ */

static void expect_config_refused(const char *json, const char *why)
{
	saved_free(&saved);
	saved_new(&saved, json);
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	if (!strstr(control_why(), why))
		fail_msg("wanted '%s', said '%s'", why, control_why());
	world_expect_nothing_left();
}

#define B "\"b_info\": {\"max_vcpus\": 1, \"target_memkb\": 8192}"
#define C "\"c_info\": {\"type\": \"pv\", \"name\": \"s\"}"

static void test_configurations(void **state)
{
	expect_config_refused("", "is no JSON at character 0");
	expect_config_refused("{" C ", " B "} x", "is no JSON at character");
	expect_config_refused("{" C ", " B, "is no JSON at character");
	expect_config_refused("{" C "; " B "}", "is no JSON at character");
	expect_config_refused("{\"c_info\": {\"name\": \"\\u00e9\"}}", "is no JSON at character");
	expect_config_refused("[[[[[[[[[[[[[[1]]]]]]]]]]]]]]", "is no JSON at character");
	expect_config_refused("{\"c_info\": {\"type\": \"hvm\"}}", "c_info.type is 'hvm'");
	expect_config_refused("{" B "}", "it is not of a PV domain");
	expect_config_refused("{\"c_info\": {\"type\": \"pv\", \"name\": \"a/b\"}, " B "}",
			      "no name that a domain can have");
	expect_config_refused("{" C "}", "too many vCPUs, or none");
	expect_config_refused("{" C ", \"b_info\": {\"max_vcpus\": 33, \"target_memkb\": 8192}}",
			      "too many vCPUs, or none");
	expect_config_refused("{" C ", \"b_info\": {\"max_vcpus\": 1}}", "too little memory");
	expect_config_refused("{" C ", \"b_info\": {\"max_vcpus\": \"1\"}}",
			      "b_info.max_vcpus is '1'");
	expect_config_refused("{" C ", \"b_info\": {\"target_memkb\": 9999999999999}}",
			      "b_info.target_memkb is '9999999999999'");
	expect_config_refused("{" C ", " B ", \"disks\": [{\"vdev\": \"q\"}]}",
			      "disks[].vdev is 'q'");
	expect_config_refused("{" C ", " B ", \"disks\": [{\"vdev\": \"xvda\"}]}",
			      "a disk has no name or no target");
	expect_config_refused("{" C ", " B ", \"on_crash\": \"sing\"}", "on_crash is 'sing'");
	saved_free(&saved);
	saved_new(&saved, "{" C ", " B ", \"disks\": [{\"vdev\": \"xvda\", \"pdev_path\": "
			  "\"missing.img\"}]}");
	assert_int_equal(restore_as(NULL), -XEN_ENOENT);
	assert_non_null(strstr(control_why(), "s: disk xvda 'missing.img': ENOENT"));
	world_expect_nothing_left();
}

static void test_the_name_is_in_use(void **state)
{
	strcpy(world_config.name, "s");
	world_create();
	assert_int_equal(restore_as(NULL), -XEN_EEXIST);
	assert_string_equal(control_why(), "s: a domain of this name is there already");
	assert_int_equal(control_count(), 1);
	assert_int_equal(fake_domain_count(), 1);
}

/* ---- failures ------------------------------------------------------------------------------------ */

/* Each call of the hypervisor fails once, and each allocation; it may go without some. */
static void test_every_call_may_fail(void **state)
{
	unsigned calls;

	expect_restored();
	calls = fake_calls();
	assert_true(calls > 20);
	for (unsigned nth = 1; nth < calls; nth++) {
		setup(state);
		fake_fail_at(nth, -XEN_ENOMEM);
		if (restore_as(NULL) != 0)
			world_expect_nothing_left();
	}
	for (int nth = 1; nth < 40; nth++) {
		int err;

		setup(state);
		fill_disk();
		done_calls = 0;
		done_err = 0;
		mock_fail_after(nth);
		err = control_restore(DISK, NULL, on_done, &saved);
		mock_run();
		mock_fail_after(-1);
		if (err || done_err)
			world_expect_nothing_left();
	}
}

static void test_too_little_memory(void **state)
{
	world_setup(state);
	fake_reset(20);
	disk = mock_disk_new("serial=" DISK, DISK_SECTORS);
	assert_int_equal(restore_as(NULL), -XEN_ENOMEM);
	assert_non_null(strstr(control_why(), "s: 8192 KiB are not enough for it (PAGE_DATA at"));
	world_expect_nothing_left();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
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
	    TEST(test_a_cut_stream),
	    TEST(test_headers),
	    TEST(test_order_of_records),
	    TEST(test_lengths_and_types_of_records),
	    TEST(test_list_of_pages),
	    TEST(test_numbers_of_pages),
	    TEST(test_pages_without_content),
	    TEST(test_tables),
	    TEST(test_contexts),
	    TEST(test_records_of_vcpus),
	    TEST(test_configurations),
	    TEST(test_the_name_is_in_use),
	    TEST(test_every_call_may_fail),
	    TEST(test_too_little_memory),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	saved_free(&saved);
	return failed;
}
