/* boot_option.c: the words of the hypervisor's command line.
 *
 * Called by the files that start the machine, each for its own words, and once by boot.c, which has all of them looked at. A word that nobody
 * knows, and a value that cannot be what its key is for, is said by name and not heeded: the machine starts with what it would have had
 * without. (Where that would be another machine than was meant, the first domain's size, its reader stops.) Reads boot_info().
 */
#include <amphi/string.h>

#include "boot.h"
#include "io.h"

#define VALUE_MAX 48u

/* What a value has to be: one of a list; none at all; ...; STRICT: what its reader says, who stops the machine. */
enum kind { WORDS, NONE, NUMBER, SIZE, STRICT };

/* What there is. words: each behind a blank. */
static const struct option {
	const char *key;
	enum kind kind;
	const char *words;
} options[] = {
    {"console", WORDS, " com1 none"},
    {"guest_console", NONE, NULL},
    {"dom0_mem", STRICT, NULL},
    {"dom0_max_vcpus", STRICT, NULL},
    {"maxcpus", NUMBER, NULL},
    {"iommu", WORDS,
     " on off no required on,nointremap off,nointremap no,nointremap required,nointremap"},
    {"iommu_faults", NUMBER, NULL},
    {"iospace_tables", SIZE, NULL},
    {"panic", WORDS, " halt reboot"},
};

/* The end of the word that begins at s: the first `end`, or the text's. */
static const char *word_end(const char *s, char end)
{
	while (*s != '\0' && *s != end)
		s++;
	return s;
}

/* ---- values ------------------------------------------------------------------------------ */

bool boot_option(const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);
	const char *end;

	for (const char *s = boot_info()->cmdline; *s != '\0'; s = *end == ' ' ? end + 1 : end) {
		end = word_end(s, ' ');
		if (strncmp(s, key, n) != 0 || (s[n] != '=' && s + n != end))
			continue;
		s += s[n] == '=' ? n + 1 : n;
		n = MIN((size_t)(end - s), cap - 1);
		memcpy(out, s, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

bool boot_option_number(const char *key, uint64_t *out)
{
	char text[VALUE_MAX];

	return boot_option(key, text, sizeof(text)) && str_to_u64(text, out);
}

bool boot_read_size(const char *text, uint64_t *out_bytes)
{
	/* As Xen has it, SIZE,max:SIZE: the first is meant, there is no ballooning above it. */
	size_t n = (size_t)(word_end(text, ',') - text);
	char digits[VALUE_MAX];
	unsigned shift = 20;
	uint64_t value;

	if (n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (n != 0 && strchr("kKmMgG", digits[n - 1]) != NULL) {
		shift = strchr("kK", digits[n - 1]) ? 10 : strchr("gG", digits[n - 1]) ? 30 : 20;
		digits[n - 1] = '\0';
	}
	if (!str_to_u64(digits, &value) || value >= 1ull << 34)
		return false;
	*out_bytes = value << shift;
	return true;
}

bool boot_option_size(const char *key, uint64_t *out_bytes)
{
	char text[VALUE_MAX];

	return boot_option(key, text, sizeof(text)) && boot_read_size(text, out_bytes);
}

/* ---- all of them ------------------------------------------------------------------------- */

/* Whether list has the value, which ends at end. */
static bool has_word(const char *list, const char *value, const char *end)
{
	size_t n = (size_t)(end - value);

	while (*list == ' ') {
		const char *next = word_end(++list, ' ');

		if ((size_t)(next - list) == n && strncmp(list, value, n) == 0)
			return true;
		list = next;
	}
	return false;
}

static const struct option *find(const char *word, const char *key_end)
{
	size_t n = (size_t)(key_end - word);

	for (const struct option *o = options; o < options + ARRAY_SIZE(options); o++)
		if (strlen(o->key) == n && strncmp(o->key, word, n) == 0)
			return o;
	return NULL;
}

/* text: the value, cut to what tells which it was. */
static void check_value(const struct option *o, const char *text, const char *value,
			const char *end)
{
	uint64_t n;

	if (o->kind == WORDS && !has_word(o->words, value, end))
		hv_printk("command line: %s=%s is none of%s: not heeded", o->key, text, o->words);
	else if (o->kind == NUMBER && !str_to_u64(text, &n))
		hv_printk("command line: %s=%s is not a number: not heeded", o->key, text);
	else if (o->kind == SIZE && !boot_read_size(text, &n))
		hv_printk("command line: %s=%s is not a size (such as 32M): not heeded", o->key,
			  text);
	else if (o->kind == NONE && *value == '=')
		hv_printk("command line: %s takes no value", o->key);
}

static void check(const char *word, const char *end)
{
	const char *key_end = MIN(word_end(word, '='), end);
	const char *value = key_end == end ? end : key_end + 1;
	const struct option *o = find(word, key_end);
	const char *from = o ? value : word;
	char text[VALUE_MAX];
	size_t n = MIN((size_t)(end - from), sizeof(text) - 1);

	memcpy(text, from, n);
	text[n] = '\0';
	if (!o)
		hv_printk("command line: unknown word: %s", text);
	else
		check_value(o, text, o->kind == NONE ? key_end : value, end);
}

void boot_options_check(void)
{
	const char *end;

	for (const char *s = boot_info()->cmdline; *s != '\0'; s = *end == ' ' ? end + 1 : end) {
		end = word_end(s, ' ');
		if (end != s)
			check(s, end);
	}
}
