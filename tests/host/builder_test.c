/* builder_test.c: a built domain is what a PV kernel expects to wake up in, and a failure at any
 * call leaves nothing.
 *
 * Why: the builder's mistakes show only inside a guest that dies early, or as memory that never
 * comes back. Here the guest's view is read through its own page tables (the fake hypervisor has
 * checked them by Xen's rules), and every single call is made to fail in turn.
 *
 * links: tests/host/plain_memory.c control/domain_builder.c lib/start_layout.c control/builder_memory.c
 * links: control/builder_start.c lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: control/builder_unpack.c unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c
 */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/domain_builder.h>
#include <amphi/start_layout.h>

#include "fake_control.h"
#include "plain_memory.h"

static struct domain_plan plan;
static struct built_domain built;
static char why[BUILD_WHY_MAX];

/* ---- the part of host.h the builder uses ---------------------------------------------- */

uint64_t host_time_ns(void)
{
	return 12345;
}

/* ---- tests ------------------------------------------------------------------------------ */

static int setup(void **state)
{
	fake_reset(4096);
	plan = (struct domain_plan){.name = "g",
				    .kernel_name = "/boot/k",
				    .cmdline = "role=guest do=\"halt\"",
				    .memory_kib = 8192,
				    .max_memory_kib = 8192,
				    .max_vcpus = 1,
				    .service = 7};
	plan.kernel = fake_kernel(&plan.kernel_bytes);
	plain_memory = (struct plain_memory){0};
	return 0;
}

static struct start_info read_start_info(void)
{
	struct fake_domain *d = fake_domain(built.domid);
	struct start_info si;

	assert_true(fake_guest_read(d->id, d->context.user_regs.rsi, &si, sizeof(si)));
	return si;
}

static uint64_t p2m(const struct start_info *si, uint64_t pfn)
{
	uint64_t mfn;

	assert_true(fake_guest_read(built.domid, si->mfn_list + pfn * 8, &mfn, 8));
	return mfn;
}

static void build_ok(void)
{
	int err = domain_build(&plan, &built, why);

	if (err)
		fail_msg("%s", why);
	assert_int_equal(plain_memory.held, 0);
}

static void test_registers(void **state)
{
	struct fake_domain *d;

	build_ok();
	d = fake_domain(built.domid);
	assert_true(d->paused);
	assert_true(d->context_set);
	assert_int_equal(d->context.user_regs.rip, FAKE_KERNEL_BASE + 0x100123);
	assert_int_equal(d->context.user_regs.cs, 0xe033);
	assert_int_equal(d->context.user_regs.ss, 0xe02b);
	assert_int_equal(d->context.kernel_ss, 0xe02b);
	assert_int_equal(d->context.user_regs.rsp, d->context.kernel_sp);
	assert_true(fake_guest_writable(d->id, d->context.user_regs.rsp - 8));
	assert_int_equal(d->context.flags & VGCF_in_kernel, VGCF_in_kernel);
	assert_int_equal(d->max_pages, (8192 + 1024) / 4);
	assert_int_equal(d->max_vcpus, 1);
	assert_int_equal(d->handle, 12345);
	assert_int_equal(domain_unpause(built.domid), 0);
	assert_false(d->paused);
}

static void test_start_info(void **state)
{
	struct start_info si;

	build_ok();
	si = read_start_info();
	assert_string_equal(si.magic, "xen-3.0-x86_64");
	assert_int_equal(si.nr_pages, 2048);
	assert_int_equal(si.flags, 0);
	assert_int_equal(si.shared_info >> 12, fake_domain(built.domid)->shared_info.v);
	assert_string_equal((char *)si.cmd_line, plan.cmdline);
	assert_int_equal(si.store_evtchn, built.store_port);
	assert_int_equal(si.console.domU.evtchn, built.console_port);
	assert_int_not_equal(built.store_port, built.console_port);
	assert_int_equal(fake_domain(built.domid)->port_peer[built.store_port], 7);
	assert_int_equal(si.store_mfn, built.store_frame.v);
	assert_int_equal(si.console.domU.mfn, built.console_frame.v);
	assert_int_equal(si.mod_len, 0);
	/* Parts are packed upwards, and 512 KiB and a border of 4 MiB follow the last. */
	assert_true(si.mfn_list >= FAKE_KERNEL_BASE + 0x114000);
	assert_true(si.pt_base > si.mfn_list);
	assert_true(fake_guest_writable(built.domid, FAKE_KERNEL_BASE + 0x3fffff));
	assert_false(fake_guest_writable(built.domid, FAKE_KERNEL_BASE + 0x400000));
}

static void test_memory(void **state)
{
	/* One byte more than is written at once. */
	static uint8_t ramdisk[256 * 4096 + 1], bytes[sizeof(ramdisk)], zeros[0x4000];
	struct start_info si;
	uint64_t entry;

	for (unsigned i = 0; i < sizeof(ramdisk); i++)
		ramdisk[i] = (uint8_t)(i * 7 + i / 4096 + i / (256 * 4096));
	plan.ramdisk = ramdisk;
	plan.ramdisk_bytes = sizeof(ramdisk);
	build_ok();
	si = read_start_info();
	/* The kernel's data, and zeroes where the file has none, though frames are not clean. */
	assert_true(fake_guest_read(built.domid, FAKE_KERNEL_DATA, bytes, 5000));
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(bytes[i], 0x5a);
	assert_true(fake_guest_read(built.domid, FAKE_KERNEL_DATA + 5000, bytes, 5000));
	assert_memory_equal(bytes, zeros, 5000);
	/* The last page of zeroes is the hypervisor's stubs. */
	assert_true(fake_guest_read(built.domid, FAKE_KERNEL_BASE + 0x113000, bytes, 1));
	assert_int_equal(bytes[0], 0xf4);
	assert_int_equal(si.mod_len, sizeof(ramdisk));
	assert_true(fake_guest_read(built.domid, si.mod_start, bytes, sizeof(ramdisk)));
	assert_memory_equal(bytes, ramdisk, sizeof(ramdisk));
	/* The p2m list is what the page tables do, and the tables themselves are read-only. */
	for (uint64_t pfn = 0; pfn < 1024; pfn++) {
		uint64_t va = FAKE_KERNEL_BASE + pfn * PAGE_SIZE;
		bool table = va >= si.pt_base && va < si.pt_base + si.nr_pt_frames * PAGE_SIZE;

		assert_int_equal(fake_guest_writable(built.domid, va), !table);
	}
	assert_true(fake_guest_read(built.domid, si.pt_base + 511 * 8, &entry, 8));
	assert_int_equal(entry >> 12, p2m(&si, (si.pt_base - FAKE_KERNEL_BASE) / 4096 + 1));
	assert_memory_equal(fake_frame((mfn_t){p2m(&si, 0x110)}), "ZZZZ", 4);
}

/* A kernel may make its calls by itself, as boot loaders do. */
static void test_no_hypercall_page(void **state)
{
	static uint8_t kernel[20000];
	static const uint8_t note[] = {XEN_ELFNOTE_HYPERCALL_PAGE, 0, 0, 0, 'X', 'e', 'n', 0};
	uint8_t byte;

	assert_true(plan.kernel_bytes <= sizeof(kernel));
	memcpy(kernel, plan.kernel, plan.kernel_bytes);
	*(uint8_t *)memmem(kernel, sizeof(kernel), note, sizeof(note)) = 99;
	plan.kernel = kernel;
	build_ok();
	assert_true(fake_guest_read(built.domid, FAKE_KERNEL_BASE + 0x113000, &byte, 1));
	assert_int_equal(byte, 0);
}

static void test_rings_are_granted(void **state)
{
	struct grant_entry_v1 *table;
	struct shared_info *shared;
	uint8_t zeros[4096] = {0};

	build_ok();
	table = fake_frame(fake_domain(built.domid)->grant_frame);
	assert_int_equal(table[0].flags, GTF_permit_access);
	assert_int_equal(table[0].domid, 7);
	assert_int_equal(table[0].frame, built.console_frame.v);
	assert_int_equal(table[1].frame, built.store_frame.v);
	assert_int_equal(table[2].flags, 0);
	assert_memory_equal(fake_frame(built.store_frame), zeros, 4096);
	assert_memory_equal(fake_frame(built.console_frame), zeros, 4096);
	shared = fake_frame(fake_domain(built.domid)->shared_info);
	assert_int_equal(shared->vcpu_info[0].evtchn_upcall_mask, 1);
}

/* Every call of the hypervisor is made to fail once; each time nothing is left and the reason is
 * told. Three may fail: the clock's, the memory map's, and the look at how much memory is free. */
static void test_every_failure_unwinds(void **state)
{
	unsigned calls, survived = 0;

	build_ok();
	calls = fake_calls();
	for (unsigned nth = 1; nth <= calls; nth++) {
		setup(state);
		fake_fail_at(nth, -XEN_ENOMEM);
		if (domain_build(&plan, &built, why) == 0) {
			survived++;
			assert_int_equal(domain_destroy(built.domid), 0);
		} else {
			assert_non_null(strstr(why, "g: cannot "));
			assert_non_null(strstr(why, "ENOMEM"));
		}
		assert_int_equal(plain_memory.held, 0);
		fake_expect_nothing_left();
	}
	assert_int_equal(survived, 3);
	assert_true(calls > 20);
}

static void test_every_allocation_failure_unwinds(void **state)
{
	int err = -1;

	for (unsigned nth = 1; err; nth++) {
		setup(state);
		plain_memory.fail_in = nth;
		err = domain_build(&plan, &built, why);
		assert_int_equal(plain_memory.held, 0);
		if (err) {
			assert_int_equal(err, -XEN_ENOMEM);
			fake_expect_nothing_left();
		} else {
			assert_true(nth >= 5); /* the state, the list, start info, context */
		}
	}
}

static void expect_refusal(int err, const char *part)
{
	assert_int_equal(domain_build(&plan, &built, why), err);
	if (!strstr(why, part))
		fail_msg("wanted '%s', got '%s'", part, why);
	fake_expect_nothing_left();
}

static void test_refusals_name_the_thing(void **state)
{
	plan.kernel = "#!/bin/sh\n";
	plan.kernel_bytes = 10;
	expect_refusal(-XEN_ENOEXEC, "g: kernel '/boot/k' is not an ELF file");
	setup(state);
	plan.memory_kib = 1024;
	expect_refusal(-XEN_ENOMEM,
		       "g: memory too small: 1024 KiB, and the kernel ends at 1104 KiB");
	plan.memory_kib = 1200;
	expect_refusal(-XEN_ENOMEM,
		       "g: memory too small: 1200 KiB given, at least 1652 KiB needed");
	plan.memory_kib = 1652;
	build_ok();
	assert_int_equal(domain_destroy(built.domid), 0);
	plan.memory_kib = plan.max_memory_kib = 16 * 1024 + 4;
	expect_refusal(-XEN_ENOMEM, "g: memory: 16388 KiB asked for, 16384 KiB are free");
	fake_fail_at(1, -XEN_ENOSYS); /* the number is not told: the last page is asked for */
	expect_refusal(-XEN_ENOMEM, "g: memory: 16388 KiB asked for, 16384 KiB are free");
}

/* ---- the layout alone ------------------------------------------------------------------- */

static void test_layout_sizes(void **state)
{
	struct start_layout l = {.virt_base = 0, .kernel_end_paddr = 4096, .pages = 1 << 20};

	/* 4 GiB: 8 MiB of p2m; the mapping takes 4 L1 tables for 12 MiB, counted in themselves. */
	assert_true(layout_plan(&l));
	assert_int_equal(l.p2m_pfn, 1);
	assert_int_equal(l.start_info_pfn, 1 + 2048);
	assert_int_equal(l.n_level[4] + l.n_level[3] + l.n_level[2], 3);
	assert_int_equal(l.end_pfn, 3072);
	assert_int_equal(l.n_level[1], 6);
	assert_int_equal(l.stack_pfn, l.tables_pfn + l.n_tables);
	assert_int_equal(l.needs_pages, l.stack_pfn + 1 + 128);
}

static void test_layout_across_borders(void **state)
{
	/* 1 MiB below a border of 512 GiB: two tables of every level but the highest. */
	struct start_layout l = {
	    .virt_base = (1ull << 39) - 0x100000, .kernel_end_paddr = 4096, .pages = 4096};
	uint64_t pfn, flags;
	unsigned level, index;

	assert_true(layout_plan(&l));
	assert_int_equal(l.n_level[4], 1);
	assert_int_equal(l.n_level[3], 2);
	assert_int_equal(l.n_level[2], 2);
	assert_int_equal(l.n_level[1], 3);
	layout_table(&l, 3, &level, &index);
	assert_int_equal(level, 2);
	assert_int_equal(index, 0);
	/* The second L3 is behind the first, and its slot 0 is the second L2. */
	assert_true(layout_entry(&l, 4, 0, 1, &pfn, &flags));
	assert_int_equal(pfn, l.tables_pfn + 2);
	assert_true(layout_entry(&l, 3, 1, 0, &pfn, &flags));
	assert_int_equal(pfn, l.tables_pfn + 4);
	assert_false(layout_entry(&l, 3, 1, 1, &pfn, &flags));
	assert_false(layout_entry(&l, 1, 0, 255, &pfn, &flags));
	assert_true(layout_entry(&l, 1, 0, 256, &pfn, &flags));
	assert_int_equal(pfn, 0);
	assert_true(layout_entry(&l, 1, 1, 0, &pfn, &flags));
	assert_int_equal(pfn, 256);
}

/* Linux takes the border behind the tables for the end of the mapping, and leaves what is beyond writable
 * and executable. A domain that has no 4 MiB to give for that is as it was. */
static void test_layout_ends_behind_tables(void **state)
{
	for (uint64_t n = 1; n < 2100; n++) {
		struct start_layout l = {.virt_base = 0xffffffff80000000ull,
					 .kernel_end_paddr = n << 12,
					 .pages = 65536};

		assert_true(layout_plan(&l));
		assert_int_equal(ROUND_UP(l.tables_pfn + l.n_tables, 1024), l.end_pfn);
		assert_true(l.tables_pfn > l.console_pfn && l.tables_pfn <= l.console_pfn + 131);
		assert_int_equal(l.stack_pfn, l.tables_pfn + l.n_tables);
		assert_true(l.needs_pages <= l.end_pfn && l.end_pfn < l.needs_pages + 1024);
	}
	for (uint64_t n = 800; n < 1000; n++) {
		struct start_layout l = {
		    .virt_base = 0, .kernel_end_paddr = n << 12, .pages = n + 150};

		assert_true(layout_plan(&l));
		assert_int_equal(l.tables_pfn, l.console_pfn + 1);
	}
}
static void test_layout_refuses_addresses(void **state)
{
	static const uint64_t bad[] = {
	    0xffffffffffe00000ull, /* wraps */
	    0x00007fffffe00000ull, /* reaches beyond the lower half */
	    0x0000800000000000ull, /* not canonical */
	    0xffff800000000000ull, /* the hypervisor's */
	};

	struct start_layout lowest = {
	    .virt_base = 0xffff880000000000ull, .kernel_end_paddr = 4096, .pages = 4096};

	assert_true(layout_plan(&lowest)); /* the first that is the guest's again */
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct start_layout l = {
		    .virt_base = bad[i], .kernel_end_paddr = 4096, .pages = 4096};

		assert_false(layout_plan(&l));
		assert_true(l.pages >= l.needs_pages);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_registers, setup),
	    cmocka_unit_test_setup(test_start_info, setup),
	    cmocka_unit_test_setup(test_memory, setup),
	    cmocka_unit_test_setup(test_no_hypercall_page, setup),
	    cmocka_unit_test_setup(test_rings_are_granted, setup),
	    cmocka_unit_test_setup(test_every_failure_unwinds, setup),
	    cmocka_unit_test_setup(test_every_allocation_failure_unwinds, setup),
	    cmocka_unit_test_setup(test_refusals_name_the_thing, setup),
	    cmocka_unit_test(test_layout_sizes),
	    cmocka_unit_test(test_layout_across_borders),
	    cmocka_unit_test(test_layout_ends_behind_tables),
	    cmocka_unit_test(test_layout_refuses_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
