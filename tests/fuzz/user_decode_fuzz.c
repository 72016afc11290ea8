/* user_decode_fuzz.c: no number a program passes gets through that a call could not bear.
 *
 * Why: these four numbers are all a hostile program says, and kernel/user_call.c adds and shifts them without
 * another look. The input is the number and three arguments; what passes is checked again, by sums in 128
 * bits. Called by libFuzzer; calls kernel/user_decode.c.
 * links: kernel/user_decode.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/xen.h>
#include "kernel/user_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef unsigned __int128 wide;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_lie(uint64_t start, wide len, uint64_t low, uint64_t end)
{
	must(start >= low && (wide)start + len <= end);
}

static void check(const struct user_call *c)
{
	const uint64_t *a = c->args;

	switch (c->nr) {
	case USER_CALL_exit:
		must(a[0] < USER_ENDED_BY);
		break;
	case USER_CALL_write:
	case USER_CALL_spawn:
		must_lie(a[0], a[1], USER_LOW, USER_END);
		must(a[1] <= USER_BUFFER_MAX);
		break;
	case USER_CALL_pages:
		must(a[0] >= 1 && a[0] <= USER_HEAP_PAGES && (a[1] & ~3ull) == 0);
		break;
	case USER_CALL_protect:
		must((a[2] & ~3ull) == 0 && a[2] & USER_READ);
		must_lie(a[0], (wide)a[1] * PAGE_SIZE, USER_HEAP, USER_HEAP_END);
		break;
	case USER_CALL_unpages:
		must_lie(a[0], (wide)a[1] * PAGE_SIZE, USER_HEAP, USER_HEAP_END);
		must(a[0] % PAGE_SIZE == 0 && a[1] > 0);
		break;
	case USER_CALL_set_fs_base:
		must(a[0] < USER_END);
		break;
	case USER_CALL_on_fault:
		must_lie(a[0], a[1], 0, USER_END);
		must(a[2] < USER_END);
		break;
	case USER_CALL_resume:
		must_lie(a[0], sizeof(struct user_context), USER_LOW, USER_END);
		break;
	case USER_CALL_set_tls:
		must(a[0] <= UINT32_MAX && a[1] < USER_TLS_SLOTS);
		break;
	case USER_CALL_set_ldt:
		must(a[0] < USER_LDT_ENTRIES);
		/* data, present, of ring 3 */
		must(a[1] == 0 || (a[1] >> 43 & 0x1f) == 0x1e);
		break;
	case USER_CALL_ports:
		must((wide)a[0] + a[1] <= 65536 && a[1] && a[2] <= 1);
		break;
	case USER_CALL_watch:
		must_lie(a[0], a[1], 0, USER_END);
		must(a[1] <= 8 && (a[1] == 0 || a[0] % a[1] == 0));
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t words[1 + USER_CALL_ARGS];
	struct user_call call;
	int error;

	if (size < 1 + USER_CALL_ARGS * 8)
		return 0;
	words[0] = data[0] % 32;
	memcpy(&words[1], data + 1, USER_CALL_ARGS * 8);
	error = user_decode(words[0], &words[1], &call);
	must(error == 0 || error == -XEN_ENOSYS || error == -XEN_EFAULT || error == -XEN_EINVAL);
	must((error == -XEN_ENOSYS) == (words[0] >= USER_CALL_COUNT));
	if (!error)
		check(&call);
	return 0;
}
