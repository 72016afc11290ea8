/* user_insn.h: what a program tried to execute when the processor refused. Private to kernel/user_*.c.
 *
 * Pure; tested and fuzzed on the host. For messages only: nothing is done because of what is said here.
 */
#ifndef KERNEL_USER_INSN_H
#define KERNEL_USER_INSN_H

#include <amphi/types.h>

#define USER_INSN_MAX 15u /* bytes of the longest */

enum user_insn_kind {
	USER_INSN_PRIVILEGED, /* name */
	USER_INSN_IN,         /* number: the port */
	USER_INSN_OUT,
	USER_INSN_INT, /* number: the vector */
};

struct user_insn {
	enum user_insn_kind kind;
	const char *name; /* the mnemonic */
	unsigned number;
};

/* The instruction at bytes, of which len can be read; dx is the program's register. false: none of these, or cut
 * off, and *out is not written. */
bool user_insn_read(const uint8_t *bytes, size_t len, uint16_t dx, struct user_insn *out);

#endif
