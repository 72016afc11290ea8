/* user_decode.h: a program's system call, read and checked before anything is done. Private to
 * kernel/user_*.c.
 *
 * Pure: no state, no memory but the arguments; tested and fuzzed on the host. What the numbers mean is
 * amphi/user_calls.def's. Addresses are checked to lie in the program's half, not to be mapped: that only
 * its page tables know.
 */
#ifndef KERNEL_USER_DECODE_H
#define KERNEL_USER_DECODE_H

#include <amphi/user.h>

#define USER_CALL_ARGS 3u

struct user_call {
	enum user_call_nr nr;
	uint64_t args
	    [USER_CALL_ARGS]; /* each of the kind its row says; those of kind NONE as they came */
};

/* 0, -XEN_ENOSYS, -XEN_EFAULT (a buffer or context that cannot be the program's), -XEN_EINVAL. *out is
 * written only on 0. */
int user_decode(uint64_t nr, const uint64_t args[USER_CALL_ARGS], struct user_call *out);

/* The name of a call, or "?". */
const char *user_call_name(uint64_t nr);

#endif
