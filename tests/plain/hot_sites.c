/* hot_sites.c: are the sites of hot operations, as they run, the instructions of a kernel without pvops?
 *
 * hot_sites TEXT BASE SITES SITES_END CODE < NAMES: TEXT is memory of the running kernel from address BASE on, after
 * patching; SITES..SITES_END the addresses of its records; CODE the functions of tests/plain/hot.c, whose offsets
 * and names ("000010 T hot_irq_disable") come in NAMES. Both sides are decoded by Capstone and compared as
 * text: mnemonics and operands, and how many there are. Prefixes that mean nothing are not looked at; they
 * are what fills a site. Prints a line per operation (first: where in TEXT the last byte of its
 * first site is), and the bytes of all sites; exit 1 when any differs.
 * Run by tests/bench/sites.sh and tests/qemu/hot_sites_test.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <capstone/capstone.h>

#include <amphi/pvops.h>

#define TEXT_MAX  (4u << 20)
#define CODE_MAX  4096u
#define WORDS_MAX 256u

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                                 #n,
#define PV_OP1(g, n, c, room, ret, t1, a1)                         #n,
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                 #n,
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4) #n,
#define PV_VOID0(g, n, c, room)                                    #n,
#define PV_VOID1(g, n, c, room, t1, a1)                            #n,
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                    #n,
#define PV_RAW(g, n, c, room)                                      #n,
static const char *const op_names[PV_OP_COUNT] = {
#include <amphi/pvops.def>
};

struct image {
	uint64_t base;
	size_t len_bytes;
	uint8_t *bytes;
};

static csh cs;

static void read_image(struct image *out, const char *path, size_t max)
{
	FILE *f = fopen(path, "rb");

	out->bytes = malloc(max);
	out->len_bytes = f && out->bytes ? fread(out->bytes, 1, max, f) : 0;
	if (f)
		fclose(f);
	if (out->len_bytes)
		return;
	fprintf(stderr, "hot_sites: %s cannot be read\n", path);
	exit(2);
}

static const uint8_t *at(const struct image *image, uint64_t address, size_t len)
{
	if (address >= image->base && address - image->base + len <= image->len_bytes)
		return image->bytes + (address - image->base);
	fprintf(stderr, "hot_sites: %llx is not in the text\n", (unsigned long long)address);
	exit(2);
}

/* ---- text of instructions --------------------------------------------------------------- */

/* Capstone names a segment override where there is a memory operand; in 64-bit mode those of cs, ds, es and
 * ss mean nothing (SDM vol. 1, 3.3.4). */
static void drop_overrides(char *operands)
{
	static const char *const none[] = {"cs:", "ds:", "es:", "ss:"};

	for (unsigned i = 0; i < 4; i++) {
		char *found = strstr(operands, none[i]);

		if (found)
			memmove(found, found + 3, strlen(found + 3) + 1);
	}
}

static void add_insn(char *words, const cs_insn *insn)
{
	char operands[sizeof(insn->op_str)];
	size_t len = strlen(words);

	snprintf(operands, sizeof(operands), "%s", insn->op_str);
	drop_overrides(operands);
	snprintf(words + len, WORDS_MAX - len, "%s%s%s%s", len ? "; " : "", insn->mnemonic,
		 operands[0] ? " " : "", operands);
}

/* All instructions of len bytes, up to a ret. Returns how many. */
static unsigned decode(const uint8_t *bytes, size_t len, char words[WORDS_MAX])
{
	cs_insn *insns;
	size_t n = cs_disasm(cs, bytes, len, 0, 0, &insns), i;

	words[0] = '\0';
	for (i = 0; i < n && insns[i].id != X86_INS_RET; i++)
		add_insn(words, &insns[i]);
	if (n)
		cs_free(insns, n);
	return (unsigned)i;
}

/* Where an operand is, is the compiler's choice at each site of class OPERAND: of memory the size is left, of a register
 * or a number that it is one. The operands of one instruction; more there are not. */
static void drop_choices(char *words)
{
	char *at = strchr(words, ' '), out[WORDS_MAX] = "", *next;

	for (; at; at = next) {
		char *memory = strchr(at + 1, '[');

		next = strchr(at + 1, ',');
		*at = '\0';
		if (memory && (!next || memory < next)) {
			*memory = '\0';
			strcat(strcat(out, " "), at + 1);
		} else {
			strcat(out, " choice");
		}
	}
	strcat(words, out);
}

static void same_text(char *out, const char *words, unsigned class)
{
	snprintf(out, WORDS_MAX, "%s", words);
	if (class == PV_OPERAND)
		drop_choices(out);
}

/* ---- sites ------------------------------------------------------------------------------ */

struct sites {
	const struct image *text;
	uint64_t first, end; /* addresses of the records */
};

static uint64_t place_of(const struct sites *s, uint64_t record, const struct pv_site **out)
{
	*out = (const struct pv_site *)(const void *)at(s->text, record, sizeof(**out));
	return record + (uint64_t)(int64_t)(*out)->offset;
}

/* What was found of an operation. */
struct found {
	unsigned n, wrong;
	uint64_t last_byte; /* of its first site, from the start of the text */
};

/* Each site of op must read like want. */
static struct found compare_sites(const struct sites *s, unsigned op, const char *want)
{
	char words[WORDS_MAX], have[WORDS_MAX], need[WORDS_MAX];
	struct found found = {0};
	const struct pv_site *site;

	for (uint64_t r = s->first; r < s->end; r += sizeof(*site)) {
		uint64_t place = place_of(s, r, &site);

		if (site->op != op)
			continue;
		if (!found.n++)
			found.last_byte = place + site->room - 1 - s->text->base;
		decode(at(s->text, place, site->room), site->room, words);
		same_text(have, words, site->class);
		same_text(need, want, site->class);
		if (!strcmp(have, need))
			continue;
		if (!found.wrong++)
			printf("%s at %llx: \"%s\"\n  without pvops: \"%s\"\n", op_names[op],
			       (unsigned long long)place, words, want);
	}
	return found;
}

static unsigned op_named(const char *name)
{
	unsigned op = 0;

	while (op < PV_OP_COUNT && strcmp(op_names[op], name))
		op++;
	return op;
}

/* One line of NAMES. */
static unsigned check(const struct sites *s, const struct image *code, uint64_t offset,
		      const char *name)
{
	char want[WORDS_MAX];
	unsigned op = op_named(name), n_insns;
	struct found found;
	const uint8_t *fn = at(code, offset, 1);

	if (op == PV_OP_COUNT) {
		printf("%s is no operation\n", name);
		return 1;
	}
	n_insns = decode(fn, code->len_bytes - (size_t)(fn - code->bytes), want);
	found = compare_sites(s, op, want);
	printf("hot %s sites=%u differing=%u instructions=%u first=%llu: %s\n", name, found.n,
	       found.wrong, n_insns, (unsigned long long)found.last_byte, want);
	return found.wrong;
}

static void tell_bytes(const struct sites *s)
{
	const struct pv_site *site;
	unsigned n = 0, bytes = 0;

	for (uint64_t r = s->first; r < s->end; r += sizeof(*site), n++) {
		(void)place_of(s, r, &site);
		bytes += site->room;
	}
	printf("all sites=%u bytes=%u records=%u\n", n, bytes, n * (unsigned)sizeof(*site));
}

int main(int argc, char **argv)
{
	struct image text, code = {0};
	struct sites sites = {.text = &text};
	unsigned wrong = 0;
	unsigned long long offset;
	char name[64];

	if (argc != 6 || cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return 2;
	read_image(&text, argv[1], TEXT_MAX);
	text.base = strtoull(argv[2], NULL, 16);
	sites.first = strtoull(argv[3], NULL, 16);
	sites.end = strtoull(argv[4], NULL, 16);
	read_image(&code, argv[5], CODE_MAX);
	while (scanf("%llx %*c hot_%63s", &offset, name) == 2)
		wrong += check(&sites, &code, offset, name);
	tell_bytes(&sites);
	return wrong != 0;
}
