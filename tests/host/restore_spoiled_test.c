/* restore_spoiled_test.c: what is wrong in a saved domain's stream is refused with its place, leaving nothing.
 *
 * Why: the stream is a file from anywhere; it holds page tables and registers, and before the guest runs is the
 * only time to find a fault. The good stream of saved_guest.c is spoiled in one place at a time. Expected: the
 * text names what is wrong, the record, and where it begins.
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

/* ---- headers ----------------------------------------------------------------------------------- */

static void test_headers(void **state)
{
	struct stream_xl_header *xl = (void *)saved.bytes;
	size_t format = sizeof(*xl) + xl->optional_bytes;

	xl->magic[0] = 0;
	restore_expect_refused(
	    -XEN_EINVAL, "restore: no saved domain, or not all of one (xl's header at byte 0)");
	xl->magic[0] = 'X';
	xl->byte_order = 0x04030201;
	restore_expect_refused(-XEN_EOPNOTSUPP,
			       "restore: of another byte order (xl's header at byte 0)");
	xl->byte_order = STREAM_XL_BYTE_ORDER;
	xl->mandatory_flags = 7;
	restore_expect_refused(-XEN_EOPNOTSUPP, "restore: flags 0x7 (xl's header at byte 0)");
	xl->mandatory_flags = 3;
	saved.bytes[48] = 255;
	saved.bytes[49] = 255;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	saved_free(&saved);
	saved_new(&saved, NULL);
	saved.bytes[format] = 'l';
	restore_expect_refused(-XEN_EINVAL, "s: no stream of libxl's (libxl's header at byte %zu)",
			       format);
	saved.bytes[format] = 'L';
	saved.bytes[format + 11] = 3;
	restore_expect_refused(-XEN_EOPNOTSUPP,
			       "s: of version 3, options 0x0 (libxl's header at byte %zu)", format);
	saved.bytes[format + 11] = 2;
	saved.bytes[format + 16] = 3;
	restore_expect_refused(-XEN_EOPNOTSUPP, "s: of type 3 (libxl's record at byte %zu)",
			       format + 16);
	saved.bytes[format + 16] = 1;
	saved.bytes[format + 24] = 0;
	restore_expect_refused(-XEN_EINVAL, "s: no stream of libxc's (libxc's header at byte %zu)",
			       format + 24);
	saved.bytes[format + 24] = 255;
	saved.bytes[format + 39] = 4;
	restore_expect_refused(-XEN_EOPNOTSUPP, "s: of version 4 (libxc's header at byte %zu)",
			       format + 24);
	saved.bytes[format + 39] = 3;
	saved.bytes[format + 48] = 2;
	restore_expect_refused(
	    -XEN_EOPNOTSUPP,
	    "s: a domain of type 2, which is not PV (libxc's domain header at byte %zu)",
	    format + 48);
	saved.bytes[format + 48] = 1;
	saved.bytes[saved.len - 8] = 4;
	restore_expect_refused(-XEN_EOPNOTSUPP,
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
		assert_int_not_equal(restore_done.err, 0);
		world_expect_nothing_left();
	}
}

static void test_lengths_and_types_of_records(void **state)
{
	size_t at = saved_find(&saved, STREAM_TSC_INFO, 0);
	struct stream_record *r = (void *)(saved.bytes + at);

	r->body_bytes = 16;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_TSC_INFO, 0, "it is of 16 bytes", "TSC_INFO");
	r->body_bytes = STREAM_RECORD_MAX + 1;
	restore_expect_refused(-XEN_EINVAL, "s: it is of 134217729 bytes (a record at byte %zu)",
			       at);
	r->body_bytes = 24;
	r->type = 0x13;
	restore_expect_refused(-XEN_EOPNOTSUPP, "s: of the unknown type 19 (a record at byte %zu)",
			       at);
	r->type = STREAM_HVM_CONTEXT;
	restore_expect_refused(-XEN_EOPNOTSUPP, "s: of the unknown type 9 (a record at byte %zu)",
			       at);
	r->type = STREAM_TSC_INFO;
	saved_insert(&saved, at, STREAM_TSC_INFO, saved.bytes + at + 8, 24);
	restore_expect_refused_at(-XEN_EINVAL, STREAM_TSC_INFO, 1, "there was one already",
				  "TSC_INFO");
	*saved_body(&saved, STREAM_PV_INFO, 0) = 4;
	restore_expect_refused_at(-XEN_EOPNOTSUPP, STREAM_PV_INFO, 0, "a guest of 32 bits",
				  "PV_INFO");
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void test_list_of_pages(void **state)
{
	struct stream_p2m_frames *f = (void *)saved_body(&saved, STREAM_PV_P2M_FRAMES, 0);
	uint64_t *pfn = (void *)(f + 1);

	f->start_pfn = 1;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
				  "a list from 0x1 to 0x27 for 2048 pages", "PV_P2M_FRAMES");
	f->start_pfn = 0;
	f->end_pfn = 0xffffffff;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
				  "a list from 0x0 to 0xffffffff for 2048 pages", "PV_P2M_FRAMES");
	f->end_pfn = 512;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PV_P2M_FRAMES, 0,
				  "it is of 16 bytes, for pages up to 0x200", "PV_P2M_FRAMES");
	f->end_pfn = SAVED_PFNS - 1;
	*pfn = SAVED_PFNS;
	restore_expect_refused(-XEN_EINVAL,
			       "s: a part of its page list is page 0x28, which there is not");
	*pfn = SAVED_HOLE;
	restore_expect_refused(-XEN_EINVAL,
			       "s: a part of its page list is page 0xc, which there is not");
	*pfn = SAVED_L1;
	restore_expect_refused(-XEN_EINVAL, "s: a part of its page list is page 0x8, of type 1");
}

static void expect_page_refused(unsigned pfn, uint64_t number, const char *text)
{
	uint64_t *at = saved_number(&saved, pfn), before = *at;

	*at = number;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, pfn < SAVED_L4, text, "PAGE_DATA");
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
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0,
				  "it is of 139552 bytes for 0 pages", "PAGE_DATA");
	*count = STREAM_BATCH_PAGES + 1;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0,
				  "it is of 139552 bytes for 1025 pages", "PAGE_DATA");
}

/* Kinds of pages without content: one is there, empty; of the others there is none. */
static void test_pages_without_content(void **state)
{
	uint64_t numbers[3] = {2, 41 | 0xeull << 60, 42 | 0xdull << 60};
	struct stream_p2m_frames *f = (void *)saved_body(&saved, STREAM_PV_P2M_FRAMES, 0);

	f->end_pfn = 42;
	saved_insert(&saved, saved_find(&saved, STREAM_TSC_INFO, 0), STREAM_PAGE_DATA, numbers,
		     sizeof(numbers));
	restore_expect_made();
	assert_int_equal(fake_domain(world_id)->pages, SAVED_PFNS);
}

static void test_tables(void **state)
{
	uint64_t *l1 = saved_page(&saved, SAVED_L1), *l4 = saved_page(&saved, SAVED_L4);

	l1[30] = 0x28007;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_PAGE_DATA, 0,
				  "entry 30 of table 0x8 names page 0x28 of 0x28", "PAGE_DATA");
	l1[30] = SAVED_HOLE << 12 | 7;
	restore_expect_refused(-XEN_EINVAL, "s: a table names page 0xc, which did not come");
	l1[30] = SAVED_L2 << 12 | 7; /* writable: the hypervisor finds it */
	restore_expect_refused(-XEN_EINVAL, "s: the hypervisor refuses its page tables: EINVAL");
	l1[30] = l1[31] = SAVED_STORE << 12 | 7; /* twice and more, before it comes: one frame */
	restore_expect_made();
	restore_setup(state);
	l1 = saved_page(&saved, SAVED_L1);
	l4 = saved_page(&saved, SAVED_L4);
	l1[30] = 0x00000ffffffff000;  /* not present: whatever it is */
	l4[256] = 0x0000fffffffff007; /* the hypervisor's own */
	l4[271] = 7;
	restore_expect_made();
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
	restore_expect_refused(-XEN_EINVAL, "s: its page table is page 0x6, of type 3");
	c->ctrlreg[3] = 0x5555ull << 12;
	restore_expect_refused(-XEN_EINVAL, "s: its page table is page 0x5555, which there is not");
	c->ctrlreg[3] = SAVED_L4 << 12;
	c->ctrlreg[1] = SAVED_DATA << 12 | 1;
	restore_expect_refused(-XEN_EINVAL, "s: its user's page table is page 0x9, of type 0");
	c->ctrlreg[1] = SAVED_DATA << 12;
	c->gdt_ents = 7169;
	restore_expect_refused(-XEN_EINVAL, "s: a GDT of 7169 entries");
	c->gdt_ents = 513;
	c->gdt_frames[1] = SAVED_L1;
	restore_expect_refused(-XEN_EINVAL, "s: its GDT is page 0x8, of type 1");
	c->gdt_ents = 0;
	context(0)->user_regs.rdx = SAVED_L1;
	restore_expect_refused(-XEN_EINVAL, "s: its start info is page 0x8, of type 1");
	context(0)->user_regs.rdx = SAVED_START_INFO;
	((struct start_info *)saved_page(&saved, 0))->store_mfn = SAVED_HOLE;
	restore_expect_refused(-XEN_EINVAL, "s: the store's ring is page 0xc, which there is not");
	((struct start_info *)saved_page(&saved, 0))->store_mfn = SAVED_STORE;
	((struct start_info *)saved_page(&saved, 0))->console.domU.mfn = ~0ull;
	assert_int_equal(restore_as(NULL), -XEN_EINVAL);
	((struct start_info *)saved_page(&saved, 0))->console.domU.mfn = SAVED_CONSOLE;
	restore_expect_made();
	assert_int_equal(fake_domain(world_id)->second.ctrlreg[1], 0);
}

static void test_records_of_vcpus(void **state)
{
	size_t at = saved_find(&saved, STREAM_VCPU_EXTENDED, 1);
	uint32_t *vcpu = (void *)(saved.bytes + at + 8);
	uint64_t xsave[3] = {1, 3, 3}, msrs[3] = {1, 0x10, 0};

	*vcpu = 2;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_VCPU_EXTENDED, 1, "of vCPU 2 of 2",
				  "VCPU_EXTENDED");
	*vcpu = 0;
	restore_expect_refused_at(-XEN_EINVAL, STREAM_VCPU_EXTENDED, 1, "a second of vCPU 0",
				  "VCPU_EXTENDED");
	*vcpu = 1;
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, 8); /* empty: says nothing */
	saved_insert(&saved, at, STREAM_VCPU_XSAVE, xsave, sizeof(xsave));
	restore_expect_made();
	assert_int_equal(control_destroy("s"), 0);
	mock_advance(CONTROL_BACKEND_WAIT_MS * 1000000ull);
	((uint64_t *)(void *)saved_body(&saved, STREAM_VCPU_XSAVE, 0))[2] = 7; /* AVX */
	restore_expect_refused(-XEN_ENOSYS, "s: vCPU 1's vector state are refused: ENOSYS");
	saved_take_out(&saved, STREAM_VCPU_XSAVE, 0);
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, sizeof(msrs));
	restore_expect_refused(-XEN_ENOSYS, "s: vCPU 1's MSRs are refused: ENOSYS");
	saved_take_out(&saved, STREAM_VCPU_MSRS, 0);
	saved_insert(&saved, at, STREAM_VCPU_MSRS, msrs, 16);
	restore_expect_refused_at(-XEN_EINVAL, STREAM_VCPU_MSRS, 0, "it is of 16 bytes",
				  "VCPU_MSRS");
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
	expect_config_refused("{" C ", " B ", \"nics\": [{\"mac\": \"01:00:00:00:00:00\"}]}",
			      "nics[].mac is '01:00:00:00:00:00'");
	expect_config_refused("{" C ", " B ", \"nics\": [{\"mtu\": 5000000000}]}",
			      "nics[].mtu is '5000000000'");
	expect_config_refused("{" C ", " B ", \"nics\": [{\"rate_bytes_per_interval\": 5, "
			      "\"rate_interval_usecs\": 0}]}",
			      "an interface has a rate in no time");
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, restore_setup)
	const struct CMUnitTest tests[] = {
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
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	saved_free(&saved);
	return failed;
}
