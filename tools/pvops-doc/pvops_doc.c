/* pvops_doc.c: prints the table of docs/pvops.md from the tables the kernel is made of.
 *
 * pvops_doc < PROVIDED, where a line "OPERATION KIND FUNCTION FILE" stands for each pvops_provide() in the kernel.
 * Linked with pvops/ as it is (tools/docs.sh), and asks the planner what a site becomes natively and in a Xen PV
 * domain; Capstone puts the bytes in words. Runs no operation. KVM and Xen PVH are native but for what the
 * kernel provides there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <capstone/capstone.h>

#include <amphi/hypercall.h>
#include "pvops/impl.h"
#include "pvops/lock_relax.h"

#define PROVIDED_MAX 64u

/* What pvops/ wants of the kernel; nothing of it is run. */
char hypercall_page[64 * 32];
void lock_relax(void) {}
void pvops_refused(const char *op, int64_t error)
{
	abort();
}
static const struct pvops_env env;

struct row {
	const char *group, *name, *type, *class;
};
#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_RAW(g, n, c, room)              {#g, #n, "no C call", #c},
#define PV_OP0(g, n, c, room, ret)         {#g, #n, #ret " (void)", #c},
#define PV_OP1(g, n, c, room, ret, t1, a1) {#g, #n, #ret " (" #t1 " " #a1 ")", #c},
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                                                 \
	{#g, #n, #ret " (" #t1 " " #a1 ", " #t2 " " #a2 ")", #c},
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4)                                 \
	{#g, #n, #ret " (" #t1 " " #a1 ", " #t2 " " #a2 ", " #t3 " " #a3 ", " #t4 " " #a4 ")", #c},
#define PV_VOID0(g, n, c, room)         {#g, #n, "void (void)", #c},
#define PV_VOID1(g, n, c, room, t1, a1) {#g, #n, "void (" #t1 " " #a1 ")", #c},
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                                                    \
	{#g, #n, "void (" #t1 " " #a1 ", " #t2 " " #a2 ")", #c},
static const struct row rows[PV_OP_COUNT] = {
#include <amphi/pvops.def>
};

static struct provided {
	char op[64], kind[32], fn[64], file[64];
} provided[PROVIDED_MAX];
static unsigned n_provided;
static csh cs;

static void read_provided(void)
{
	struct provided *p = provided;

	while (n_provided < PROVIDED_MAX &&
	       scanf("%63s %31s %63s %63s", p->op, p->kind, p->fn, p->file) == 4)
		p++, n_provided++;
}

/* Which platforms a file of the kernel is for, by its name. */
static bool is_for(const char *file, const char *platform)
{
	if (strstr(file, "kvm"))
		return !strcmp(platform, "KVM");
	if (strstr(file, "xen") || strstr(file, "lock_wait"))
		return !strncmp(platform, "Xen", 3);
	return !strcmp(platform, "native");
}

static bool print_provided(unsigned op, const char *platform)
{
	char name[80];
	bool any = false;

	snprintf(name, sizeof(name), "PV_%s_%s", rows[op].group, rows[op].name);
	for (unsigned i = 0; i < n_provided; i++) {
		if (strcmp(provided[i].op, name) || !is_for(provided[i].file, platform))
			continue;
		printf("%s%s `%s()`", any ? ", " : "",
		       strstr(provided[i].kind, "HYPERCALL") ? "hypercall by" : "call of",
		       provided[i].fn);
		any = true;
	}
	return any;
}

/* Prefixes by cs are what fills a site; Capstone names them where there is an operand in memory. */
static void print_insns(const uint8_t *code, size_t len)
{
	cs_insn *insns;
	size_t n = cs_disasm(cs, code, len, 0, 0, &insns);

	putchar('`');
	for (size_t i = 0; i < n; i++) {
		char *overridden = strstr(insns[i].op_str, "%cs:");

		if (overridden)
			memmove(overridden, overridden + 4, strlen(overridden + 4) + 1);
		printf("%s%s%s%s", i ? "; " : "", insns[i].mnemonic, insns[i].op_str[0] ? " " : "",
		       insns[i].op_str);
	}
	putchar('`');
	if (n)
		cs_free(insns, n);
}

static void print_planned(unsigned op)
{
	const struct pv_impl *impl = &pv_impls[op];

	if (impl->kind == PV_UNFILLED)
		printf("unfilled: `ud2`");
	else if (impl->kind == PV_INLINE && !impl->code_len)
		printf("nothing: a `nop`");
	else if (impl->kind == PV_INLINE)
		print_insns(impl->code, impl->code_len);
	else
		printf("%s `%s()`", impl->kind == PV_HYPERCALL ? "hypercall by" : "call of",
		       impl->name);
}

/* Of the classes that are an instruction's name: bytes differ from site to site. */
static bool has_operands(unsigned op)
{
	static const char *const classes[] = {"STORE", "LOAD", "AND", "OR", "INVLPG"};

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		if (!strcmp(rows[op].class, classes[i]))
			return true;
	return false;
}

static void print_bytes(unsigned op)
{
	struct pv_place at = {.site = pv_impls[op].fn + 0x1000,
			      .slot = pv_impls[op].fn,
			      .room = pv_room[op],
			      .class = (uint8_t)(!strcmp(rows[op].class, "JUMP")   ? PV_JUMP
						 : !strcmp(rows[op].class, "FULL") ? PV_FULL
										   : PV_BARE)};
	uint8_t code[PV_ROOM_MAX];

	if (has_operands(op)) {
		printf("it, with any operands");
		return;
	}
	if (pv_impls[op].kind != PV_INLINE || pv_plan(&at, &pv_impls[op], code)) {
		printf("%u bytes", pv_room[op]);
		return;
	}
	for (unsigned i = 0; i < pv_room[op]; i++)
		printf("%s%02x", i ? " " : "`", code[i]);
	printf("`");
}

/* A cell for one platform; the fillings of native or Xen PV are in force. */
static void print_cell(unsigned op, const char *platform)
{
	printf(" | ");
	if (!print_provided(op, platform))
		print_planned(op);
}

static void print_row(unsigned op)
{
	printf("| %s.%s | `%s`", rows[op].group, rows[op].name, rows[op].type);
	pvops_init_native(&env);
	print_cell(op, "native");
	printf(" | ");
	print_bytes(op);
	printf(" | ");
	(void)print_provided(op, "KVM");
	printf(" | ");
	(void)print_provided(op, "Xen PVH");
	pvops_init_xen_pv(&env);
	print_cell(op, "Xen PV");
	printf(" | %s |\n", rows[op].class);
}

int main(void)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) ||
	    cs_option(cs, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT))
		return 1;
	read_provided();
	for (unsigned op = 0; op < PV_OP_COUNT; op++)
		print_row(op);
	return 0;
}
