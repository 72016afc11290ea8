/* builder_unpack_test.c: a domain built from a packed kernel is the same as from that kernel unpacked.
 *
 * Shows: the segments arrive though they were unpacked in the memory they are copied to; a domain too small for the
 * unpacked image, or for moving it, is refused before a byte is in the wrong place; a damaged kernel and each call that
 * fails leave nothing. Why: the image is unpacked over the domain's own memory, so an order that is wrong
 * would write over what is still to be read. The packer is ours, in a dozen lines: lz4 without compression.
 *
 * links: tests/host/plain_memory.c control/domain_builder.c lib/start_layout.c control/builder_memory.c control/builder_unpack.c
 * links: control/builder_start.c lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/domain_builder.h>
#include <amphi/unpack.h>

#include "fake_control.h"
#include "plain_memory.h"

#define PACKED_AT (2 * 512u)

static struct domain_plan plan;
static struct built_domain built;
static char why[BUILD_WHY_MAX];
static uint8_t image[1 << 20];

uint64_t host_time_ns(void)
{
	return 12345;
}

static uint8_t *put_le(uint8_t *at, uint64_t n, unsigned bytes)
{
	memcpy(at, &n, bytes);
	return at + bytes;
}

/* One block of literals (lz4's block format: a token, then the length in bytes of 255), in a frame, in a bzImage. */
static uint8_t *packed_kernel; /* its bytes, as they are: nothing is compressed */

static void pack(const void *kernel, size_t len, size_t padding)
{
	uint8_t *block = put_le(image + PACKED_AT, 0x184c2102, 4), *at = block + 4;
	size_t rest = len + padding - 15;

	*at++ = 0xf0;
	for (; rest >= 255; rest -= 255)
		*at++ = 255;
	*at++ = (uint8_t)rest;
	packed_kernel = memcpy(at, kernel, len);
	memset(at + len, 0, padding);
	at += len + padding;
	(void)put_le(block, (uint64_t)(at - block - 4), 4);
	at = put_le(at, len + padding, 4);
	plan.kernel = image;
	plan.kernel_bytes = (size_t)(at - image);
	image[0x1f1] = 1;
	(void)put_le(image + 0x1fe, 0xaa55, 2);
	memcpy(image + 0x202, "HdrS", 4);
	(void)put_le(image + 0x206, 0x0208, 2);
	(void)put_le(image + 0x248, 0, 4);
	(void)put_le(image + 0x24c, plan.kernel_bytes - PACKED_AT, 4);
}

static void plan_packed(size_t padding, uint64_t memory_kib)
{
	size_t len;
	const void *kernel = fake_kernel(&len);

	fake_reset(4096);
	plan = (struct domain_plan){.name = "g",
				    .kernel_name = "/boot/k",
				    .cmdline = "",
				    .memory_kib = memory_kib,
				    .max_memory_kib = memory_kib,
				    .max_vcpus = 1,
				    .service = 7};
	pack(kernel, len, padding);
	plain_memory = (struct plain_memory){0};
}

static void expect_refusal(int err, const char *part)
{
	assert_int_equal(domain_build(&plan, &built, why), err);
	if (!strstr(why, part))
		fail_msg("wanted '%s', got '%s'", part, why);
	assert_int_equal(plain_memory.held, 0);
	fake_expect_nothing_left();
}

static void it_is_as_if_it_had_not_been_packed(void **state)
{
	uint8_t bytes[5000], zeros[5000] = {0};

	plan_packed(0, 1652); /* what the kernel needs unpacked */
	if (domain_build(&plan, &built, why))
		fail_msg("%s", why);
	assert_int_equal(plain_memory.held, 0);
	assert_true(fake_guest_read(built.domid, FAKE_KERNEL_DATA, bytes, sizeof(bytes)));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0x5a);
	assert_true(
	    fake_guest_read(built.domid, FAKE_KERNEL_DATA + sizeof(bytes), bytes, sizeof(bytes)));
	assert_memory_equal(bytes, zeros, sizeof(bytes));
}

/* 4 KiB of the image are before its data; the last page that lets the data move down is the one before its place. */
static void what_cannot_be_moved_is_refused(void **state)
{
	unsigned refused = 0;

	for (size_t pages = 130; pages < 150; pages++) {
		plan_packed(pages * PAGE_SIZE, 1652);
		if (domain_build(&plan, &built, why)) {
			assert_non_null(strstr(why, "g: memory too small: 1652 KiB given"));
			fake_expect_nothing_left();
			refused++;
		} else {
			uint8_t byte;

			assert_true(fake_guest_read(built.domid, FAKE_KERNEL_DATA, &byte, 1));
			assert_int_equal(byte, 0x5a);
			assert_int_equal(domain_destroy(built.domid), 0);
		}
	}
	assert_true(refused > 0 && refused < 5);
}

static void a_domain_smaller_than_the_image_is_refused(void **state)
{
	plan_packed(600 * 1024, 400);
	expect_refusal(-XEN_ENOMEM, "g: memory too small: 400 KiB given, and the kernel is 6");
}

static void a_kernel_that_ends_too_high_is_refused(void **state)
{
	plan_packed(0, 1024);
	expect_refusal(-XEN_ENOMEM,
		       "g: memory too small: 1024 KiB, and the kernel ends at 1104 KiB");
}

static void damage_is_named(void **state)
{
	plan_packed(0, 8192);
	memset(image + PACKED_AT + 4, 0, 4);
	expect_refusal(-XEN_ENOEXEC,
		       "g: kernel '/boot/k' is a bzImage whose packed kernel is damaged");
	plan_packed(0, 8192);
	plan.kernel_bytes = 1000;
	expect_refusal(-XEN_ENOEXEC, "g: kernel '/boot/k' is a bzImage cut short");
	plan_packed(0, 8192);
	packed_kernel[0] = 0;
	expect_refusal(-XEN_ENOEXEC, "g: kernel '/boot/k' is not an ELF file");
}

static void every_failure_unwinds(void **state)
{
	unsigned calls, survived = 0;

	plan_packed(0, 8192);
	assert_int_equal(domain_build(&plan, &built, why), 0);
	calls = fake_calls();
	for (unsigned nth = 1; nth <= calls; nth++) {
		plan_packed(0, 8192);
		fake_fail_at(nth, -XEN_ENOMEM);
		if (domain_build(&plan, &built, why) == 0) {
			survived++;
			assert_int_equal(domain_destroy(built.domid), 0);
		}
		assert_int_equal(plain_memory.held, 0);
		fake_expect_nothing_left();
	}
	assert_int_equal(survived, 3); /* as in builder_test.c */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_as_if_it_had_not_been_packed),
	    cmocka_unit_test(what_cannot_be_moved_is_refused),
	    cmocka_unit_test(a_domain_smaller_than_the_image_is_refused),
	    cmocka_unit_test(a_kernel_that_ends_too_high_is_refused),
	    cmocka_unit_test(damage_is_named),
	    cmocka_unit_test(every_failure_unwinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
