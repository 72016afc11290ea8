/* count_plugin.c: a plugin for QEMU that counts the instructions a machine executes, idle time not among them.
 *
 * Guest time cannot tell: it goes on while the processor waits. Loaded with -plugin; at the end it writes
 * "kernel=N user=N" to standard error, by the half of the address space that an instruction lies in; and
 * "mark=N at=ALL hypercalls=N" when a program comes by an instruction that does nothing and carries a number (a long nop at
 * "amp" and that number). A hypercall is a syscall instruction in the upper half: of the kernel of a PV domain.
 * The functions it calls are QEMU's plugin interface, version 1 (docs/devel/tcg-plugins of QEMU); Debian ships no
 * header of it, so the few that are used are declared here. Built and run by selftest.sh, linux.sh and blocks.sh.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*fn)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*fn)(plugin_id, void *), void *ctx);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*fn)(unsigned cpu, void *ctx), int flags,
					    void *ctx);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						uint64_t *counter, uint64_t add);

int qemu_plugin_version = 1;
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* user and kernel. */
static uint64_t counts[2];
static uint64_t hypercalls;

static void marked(unsigned cpu, void *ctx)
{
	fprintf(stderr, "mark=%u at=%llu hypercalls=%llu\n", (unsigned)(uintptr_t)ctx,
		(unsigned long long)(counts[0] + counts[1]), (unsigned long long)hypercalls);
}

/* nopl 0x616d70NN(%rax) */
static void look_for_mark(struct qemu_plugin_insn *insn)
{
	const uint8_t *bytes = qemu_plugin_insn_data(insn);

	if (qemu_plugin_insn_size(insn) == 7 && !memcmp(bytes, "\x0f\x1f\x80", 3) &&
	    !memcmp(bytes + 4, "pma", 3))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, 0,
						       (void *)(uintptr_t)bytes[3]);
}

static void look_for_hypercall(struct qemu_plugin_insn *insn)
{
	if (qemu_plugin_insn_size(insn) == 2 && qemu_plugin_insn_vaddr(insn) >> 63 &&
	    !memcmp(qemu_plugin_insn_data(insn), "\x0f\x05", 2))
		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &hypercalls, 1);
}

/* Once per block when it is translated; what it adds runs with each instruction, so one that faults in
 * the middle of a block is counted right. */
static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_inline(
		    insn, INLINE_ADD_U64, &counts[qemu_plugin_insn_vaddr(insn) >> 63], 1);
		look_for_mark(insn);
		look_for_hypercall(insn);
	}
}

static void at_exit(plugin_id id, void *ctx)
{
	fprintf(stderr, "kernel=%llu user=%llu\n", (unsigned long long)counts[1],
		(unsigned long long)counts[0]);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
