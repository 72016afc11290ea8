/* count_plugin.c: a plugin for QEMU that counts the instructions a machine executes, idle time not among them.
 *
 * Guest time cannot tell: it goes on while the processor waits. Loaded with -plugin; at the end it writes
 * "kernel=N user=N" to standard error, by the half of the address space that an instruction lies in; and
 * "mark=N at=ALL hypercalls=N" when a program comes by an instruction that does nothing and carries a number (a long nop at
 * "amp" and that number). A hypercall is a syscall instruction in the upper half: of the kernel of a PV domain;
 * "mark=N grants=N" says how many of them were about grants.
 * With -plugin count.so,where=FILE each pair of marks 16 and 17 besides leaves FILE.1, FILE.2, ...: lines "ADDRESS COUNT", how often
 * instructions of the block that begins there were executed between them; where.py makes functions of that.
 * The functions it calls are QEMU's plugin interface, version 1 (docs/devel/tcg-plugins of QEMU); Debian ships no
 * header of it, so the few that are used are declared here. Built and run by selftest.sh, linux.sh and blocks.sh.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, uint64_t *counter,
					      uint64_t add);
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
static uint64_t hypercalls, grants;

/* Blocks by their address: the same code in two domains is one, and so is a block that is translated again. */
#define BLOCKS (1u << 20)
static struct block {
	uint64_t address, count, before;
} * blocks; /* NULL: nobody asked */
static const char *where;
static unsigned n_where;

static void where_begins(void)
{
	for (size_t i = 0; blocks && i < BLOCKS; i++)
		blocks[i].before = blocks[i].count;
}

static void where_ends(void)
{
	char name[4096];
	FILE *out;

	if (!blocks)
		return;
	snprintf(name, sizeof(name), "%s.%u", where, ++n_where);
	out = fopen(name, "w");
	for (size_t i = 0; out && i < BLOCKS; i++)
		if (blocks[i].count != blocks[i].before)
			fprintf(out, "%016llx %llu\n", (unsigned long long)blocks[i].address,
				(unsigned long long)(blocks[i].count - blocks[i].before));
	if (out)
		fclose(out);
}

/* When the table is full, what is new is not counted. */
static void count_block(struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t i = (size_t)(address * 0x9e3779b97f4a7c15ull >> 44), tries = 0;

	for (; tries < BLOCKS && blocks[i].address && blocks[i].address != address; tries++)
		i = (i + 1) % BLOCKS;
	if (tries == BLOCKS)
		return;
	blocks[i].address = address;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &blocks[i].count,
						 qemu_plugin_tb_n_insns(tb));
}

static void marked(unsigned cpu, void *ctx)
{
	fprintf(stderr, "mark=%u at=%llu hypercalls=%llu\n", (unsigned)(uintptr_t)ctx,
		(unsigned long long)(counts[0] + counts[1]), (unsigned long long)hypercalls);
	fprintf(stderr, "mark=%u grants=%llu\n", (unsigned)(uintptr_t)ctx,
		(unsigned long long)grants);
	if ((uintptr_t)ctx == 16)
		where_begins();
	if ((uintptr_t)ctx == 17)
		where_ends();
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

/* A hypercall page has 32 bytes for each, by number (GNTTABOP_*: 20). */
static void look_for_hypercall(struct qemu_plugin_insn *insn)
{
	uint64_t at = qemu_plugin_insn_vaddr(insn);

	if (qemu_plugin_insn_size(insn) != 2 || !(at >> 63) ||
	    memcmp(qemu_plugin_insn_data(insn), "\x0f\x05", 2))
		return;
	qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &hypercalls, 1);
	if (at % 4096 / 32 == 20)
		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &grants, 1);
}

/* Once per block when it is translated; what it adds runs with each instruction, so one that faults in
 * the middle of a block is counted right. */
static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	if (blocks)
		count_block(tb);
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
	if (argc == 1 && !strncmp(argv[0], "where=", 6)) {
		where = argv[0] + 6;
		blocks = calloc(BLOCKS, sizeof(*blocks));
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
