/* cmdline.c: reads the kernel command line into struct cmdline.
 *
 * Caller: kmain, once, and the host tests. Calls string functions only. The text comes from a
 * loader or another domain and may hold anything: each word is cut off and looked up in a table
 * of keys; what is not there is given to complain and skipped.
 */
#include <amphi/string.h>
#include <amphi/types.h>
#include "cmdline.h"

/* One KEY[=VALUE]; neither is ended by NUL. value is NULL when there was no '='. */
struct word {
	const char *key, *value;
	size_t key_len, value_len;
};

/* Takes a value; returns what is wrong with it, or NULL. */
typedef const char *key_fn(struct cmdline *out, const char *value, size_t len);

/* Words are not ended by NUL: they lie in the text as it came. */
static bool equals(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

/* Index of the name that equals value, or -1. */
static int lookup(const char *const *names, unsigned count, const char *value, size_t len)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (names[i] && equals(value, len, names[i]))
			return (int)i;
	return -1;
}

/* Each take_*() changes out only when the value is good: a bad word leaves what was there
 * before. */
static const char *take_role(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {
	    [ROLE_NATIVE] = "native",
	    [ROLE_GUEST] = "guest",
	    [ROLE_SERVICE] = "service",
	};
	int i = lookup(names, ARRAY_SIZE(names), value, len);

	if (i < 0)
		return "no such role";
	out->role = (enum role)i;
	return NULL;
}

static const char *take_console(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {
	    [CONSOLE_AUTO] = "auto",     [CONSOLE_SERIAL] = "serial",
	    [CONSOLE_RING] = "ring",     [CONSOLE_HYPERVISOR] = "hypervisor",
	    [CONSOLE_SCREEN] = "screen", [CONSOLE_INTERACTIVE] = "interactive",
	};
	int i = lookup(names, ARRAY_SIZE(names), value, len);

	if (i < 0)
		return "no such console";
	out->console = (enum console_choice)i;
	return NULL;
}

/* The table's order is the enum's. Whether the platform can be had is not known here: platform.c
 * refuses. */
static const char *take_pvops(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {
	    [PVOPS_AUTO] = "auto",     [PVOPS_NATIVE] = "native",   [PVOPS_KVM] = "kvm",
	    [PVOPS_XEN_PV] = "xen-pv", [PVOPS_XEN_PVH] = "xen-pvh",
	};
	int i = lookup(names, ARRAY_SIZE(names), value, len);

	if (i < 0)
		return "no such platform";
	out->pvops = (enum pvops_choice)i;
	return NULL;
}

/* By name or by number; both tables are in the order of enum log_level. */
static const char *take_loglevel(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	static const char *const digits[] = {"0", "1", "2", "3"};
	int i = lookup(names, ARRAY_SIZE(names), value, len);

	if (i < 0)
		i = lookup(digits, ARRAY_SIZE(digits), value, len);
	if (i < 0)
		return "no such log level";
	out->loglevel = (unsigned)i;
	return NULL;
}

static const char *take_fpu(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {"eager", "lazy"};
	int i = lookup(names, ARRAY_SIZE(names), value, len);

	if (i < 0)
		return "no such way to switch the FPU";
	out->fpu_lazy = i == 1;
	return NULL;
}

/* One hexadecimal number of 16 bits at most, all of the text. */
static bool take_port(const char *text, size_t len, uint16_t *out)
{
	unsigned value = 0;

	if (!len || len > 4)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned char)text[i] - '0', letter = (text[i] | 0x20) - 'a';

		if (digit > 9 && letter > 5)
			return false;
		value = value * 16 + (digit <= 9 ? digit : letter + 10);
	}
	*out = (uint16_t)value;
	return true;
}

/* FIRST-LAST. */
static const char *take_ports(struct cmdline *out, const char *value, size_t len)
{
	uint16_t first, last;
	size_t at = 0;

	while (at < len && value[at] != '-')
		at++;
	if (at == len || !take_port(value, at, &first) ||
	    !take_port(value + at + 1, len - at - 1, &last) || first > last)
		return "not FIRST-LAST, hexadecimal";
	out->port_first = first;
	out->port_last = last;
	return NULL;
}

/* Too long is refused and not cut: half a list of commands may do something that nobody meant. */
static const char *take_text(char *to, size_t cap, const char *value, size_t len)
{
	if (len >= cap)
		return "too long";
	memcpy(to, value, len);
	to[len] = '\0';
	return NULL;
}

static const char *take_name(struct cmdline *out, const char *value, size_t len)
{
	return take_text(out->name, sizeof(out->name), value, len);
}

/* Not taken apart here: what addresses look like is the stack's to know. */
static const char *take_ip(struct cmdline *out, const char *value, size_t len)
{
	return take_text(out->ip, sizeof(out->ip), value, len);
}

/* Not taken apart here. The shell reads them, by the rules for what is typed. */
static const char *take_commands(struct cmdline *out, const char *value, size_t len)
{
	return take_text(out->commands, sizeof(out->commands), value, len);
}

static const char *take_stay(struct cmdline *out, const char *value, size_t len)
{
	out->stay = true;
	return NULL;
}

/* Decimal, of so few digits that it cannot overflow. */
static bool small_number(const char *value, size_t len, unsigned digits, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9' || i >= digits)
			return false;
		*out = *out * 10 + (unsigned)(value[i] - '0');
	}
	return len != 0;
}

/* At least the one that reads this, and four digits are more CPUs than anybody has. */
static const char *take_maxcpus(struct cmdline *out, const char *value, size_t len)
{
	unsigned n;

	if (!small_number(value, len, 4, &n) || !n)
		return "no such number of CPUs";
	out->maxcpus = n;
	return NULL;
}

static const char *take_vfs(struct cmdline *out, const char *value, size_t len)
{
	unsigned n;

	if (!small_number(value, len, 4, &n))
		return "no such number of functions";
	out->vfs = n;
	return NULL;
}

static const char *take_iommu(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {[DMA_POLICY_DIRECT] = "off",
					    [DMA_POLICY_STRICT] = "strict",
					    [DMA_POLICY_LAZY] = "lazy"};
	static const char without[] = ",nointremap";
	size_t tail = sizeof(without) - 1;
	bool told = len > tail && !memcmp(value + len - tail, without, tail);
	int i = lookup(names, ARRAY_SIZE(names), value, told ? len - tail : len);

	if (i < 0)
		return "neither off, strict nor lazy";
	out->intremap = !told;
	out->iommu = (enum dma_policy)i;
	return NULL;
}

static const char *take_dma_debug(struct cmdline *out, const char *value, size_t len)
{
	out->dma_debug = DMA_DEBUG_SAY;
	return NULL;
}

static const char *take_dma_panic(struct cmdline *out, const char *value, size_t len)
{
	out->dma_debug = DMA_DEBUG_STOP;
	return NULL;
}

/* 20: what is there beside the first MiB of a machine. */
static const char *take_dma_mask(struct cmdline *out, const char *value, size_t len)
{
	unsigned bits;

	if (!small_number(value, len, 2, &bits) || bits <= 20 || bits > 63)
		return "not a number of bits from 21 to 63";
	out->dma_mask_bits = bits;
	return NULL;
}

static const char *take_dma_untrusted(struct cmdline *out, const char *value, size_t len)
{
	out->dma_untrusted = true;
	return NULL;
}

/* Digits, with K or M behind them: KiB without. */
static bool take_size(const char *value, size_t len, uint64_t *out)
{
	unsigned unit = 10, n;

	if (len && (value[len - 1] == 'K' || value[len - 1] == 'M'))
		unit = value[--len] == 'M' ? 20 : 10;
	if (!small_number(value, len, 6, &n))
		return false;
	*out = (uint64_t)n << unit;
	return true;
}

/* SIZE[,MOST]: without the second it does not grow. */
static const char *take_swiotlb(struct cmdline *out, const char *value, size_t len)
{
	uint64_t first, most;
	size_t at = 0;

	while (at < len && value[at] != ',')
		at++;
	if (!take_size(value, at, &first) ||
	    !take_size(at < len ? value + at + 1 : value, at < len ? len - at - 1 : at, &most) ||
	    first > most || !most)
		return "not SIZE[,MOST], with K or M, that is not 0";
	out->pool_first = first;
	out->pool_max = most;
	return NULL;
}

static const char *take_persistent(struct cmdline *out, const char *value, size_t len)
{
	unsigned per_queue, all;
	size_t at = 0;

	while (at < len && value[at] != ',')
		at++;
	if (at == len || !small_number(value, at, 5, &per_queue) ||
	    !small_number(value + at + 1, len - at - 1, 5, &all))
		return "not PAGES,PAGES";
	out->persistent_set = true;
	out->persistent_queue = per_queue;
	out->persistent_all = all;
	return NULL;
}

/* Words with commas between them; all of them are known, or none counts. */
static const char *take_blkfront(struct cmdline *out, const char *value, size_t len)
{
	static const char *const names[] = {"old-keys", "large-sectors"};
	bool told[ARRAY_SIZE(names)] = {false};

	for (size_t at = 0, end; at <= len; at = end + 1) {
		int i;

		for (end = at; end < len && value[end] != ',';)
			end++;
		i = lookup(names, ARRAY_SIZE(names), value + at, end - at);
		if (i < 0)
			return "neither old-keys nor large-sectors";
		told[i] = true;
	}
	out->disk_old_keys = told[0];
	out->disk_large_sectors = told[1];
	return NULL;
}

/* tcp:PORT[,any] */
static const char *take_ctl(struct cmdline *out, const char *value, size_t len)
{
	static const char any[] = ",any";
	const size_t tail = sizeof(any) - 1;
	bool is_any = len > tail && !memcmp(value + len - tail, any, tail);
	unsigned port;

	len -= is_any ? tail : 0;
	if (len < 4 || memcmp(value, "tcp:", 4) || !small_number(value + 4, len - 4, 5, &port) ||
	    !port || port > UINT16_MAX)
		return "not tcp:PORT[,any]";
	out->ctl_port = (uint16_t)port;
	out->ctl_any = is_any;
	return NULL;
}

/* Everything the kernel understands. A word that takes no value must not have one, so that a
 * misspelt "stay=0" is reported and does not mean its contrary. */
static const struct key {
	const char *name;
	bool has_value;
	key_fn *take;
} keys[] = {
    {"role", true, take_role},
    {"console", true, take_console},
    {"loglevel", true, take_loglevel},
    {"name", true, take_name},
    {"do", true, take_commands},
    {"stay", false, take_stay},
    {"fpu", true, take_fpu},
    {"ports", true, take_ports},
    {"pvops", true, take_pvops},
    {"maxcpus", true, take_maxcpus},
    {"vfs", true, take_vfs},
    {"persistent", true, take_persistent},
    {"blkfront", true, take_blkfront},
    {"ip", true, take_ip},
    {"ctl", true, take_ctl},
    {"iommu", true, take_iommu},
    {"dma_debug", false, take_dma_debug},
    {"dma_panic", false, take_dma_panic},
    {"dma_mask", true, take_dma_mask},
    {"dma_untrusted", false, take_dma_untrusted},
    {"swiotlb", true, take_swiotlb},
};

/* Loaders end lines as they like, so line ends count. */
static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Cuts the word at *text, which is no space, and moves *text behind it. A quote that does not end
 * reaches to the end of the text. */
static struct word next_word(const char **text)
{
	const char *p = *text;
	struct word w = {.key = p};
	char end = ' ';

	while (*p && *p != '=' && !is_space(*p))
		p++;
	w.key_len = (size_t)(p - w.key);
	if (*p == '=') {
		/* Only a value can be quoted, and only as a whole: what follows the quote begins
		 * a new word. */
		if (*++p == '"' || *p == '\'')
			end = *p++;
		w.value = p;
		while (*p && (end == ' ' ? !is_space(*p) : *p != end))
			p++;
		w.value_len = (size_t)(p - w.value);
		if (*p && end != ' ')
			p++;
	}
	*text = p;
	return w;
}

static const char *apply(struct cmdline *out, const struct word *w)
{
	const struct key *k;

	for (k = keys; k < keys + ARRAY_SIZE(keys); k++) {
		if (!equals(w->key, w->key_len, k->name))
			continue;
		if (k->has_value != (w->value != NULL))
			return k->has_value ? "needs a value" : "takes no value";
		return k->take(out, w->value, w->value_len);
	}
	return "unknown word";
}

/* Later words win over earlier ones. Complaints name the whole word, as it was written. */
void cmdline_parse(const char *text, struct cmdline *out, cmdline_complain_fn *complain)
{
	const char *why, *start;
	struct word w;

	memset(out, 0, sizeof(*out));
	out->loglevel = 1;
	out->iommu = DMA_POLICY_LAZY;
	out->intremap = true;
	out->port_first = 1; /* to 0: none */
	for (;;) {
		while (is_space(*text))
			text++;
		if (!*text)
			return;
		start = text;
		w = next_word(&text);
		why = apply(out, &w);
		if (why && complain)
			complain(why, start, (size_t)(text - start));
	}
}
