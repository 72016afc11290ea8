/* domain_config.c: a domain file in the syntax of xl.cfg(5), read into struct domain_config.
 *
 * Not the builder: nothing is opened or made, and paths are kept as written. A statement is
 * KEY = VALUE; what each key takes is the table config_keys.def. Every fault is reported and
 * parsing goes on with the next line, so that one run shows them all. Pure. Callers:
 * kernel/service_archive.c, restore_config.c, the host tool, the fuzzer. Calls: config_lex.c, config_disk.c, printf.h,
 * string.h, config_vif.c, config_pci.c, config_cpus.c.
 */
#include <amphi/domain_config.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "config_parse.h"

/* What kind of value a key takes. Elements of a list go to take one by one, so that a LIST may also
 * be a single string, and ANY is for keys without effect that appear in both forms. */
enum shape { TEXT, NUMBER, LIST, ANY };

/* A row of config_keys.def. */
struct config_key {
	const char *name;
	enum shape shape;
	void (*take)(struct config_parser *p, const struct config_key *key, const struct token *v);
	size_t arg; /* of a plain key: the member it sets */
};

/* ---- messages ----------------------------------------------------------------------- */

/* The text is made in the parser and not on the stack: with a path in it, it is long, and the
 * service domain's worker has a small stack. */
static void say(struct config_parser *p, const struct token *at, bool is_error, const char *fmt,
		va_list args)
{
	size_t n = fmt_text(p->line, sizeof(p->line), "%s:%u:%u: %s: ", p->file_name, at->line,
			    at->column, is_error ? "error" : "note");

	if (n < sizeof(p->line))
		fmt_vtext(p->line + n, sizeof(p->line) - n, fmt, args);
	p->listener->say(p->listener->ctx, is_error, p->line);
}

/* Counted here, so that no caller can report an error and still end with 0. */
void config_error(struct config_parser *p, const struct token *at, const char *fmt, ...)
{
	va_list args;

	p->errors++;
	va_start(args, fmt);
	say(p, at, true, fmt, args);
	va_end(args);
}

void config_note(struct config_parser *p, const struct token *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(p, at, false, fmt, args);
	va_end(args);
}

/* ---- values ------------------------------------------------------------------------- */

/* What the setters of several keys share: where in the result this one's member lies. The type is
 * the setter's business; rows of config_keys.def give each key a setter that fits. */
static void *member(struct config_parser *p, const struct config_key *key)
{
	return (char *)p->out + key->arg;
}

/* Too long is an error and never a cut: half of a path is another file. */
static bool get_text(struct config_parser *p, const struct config_key *key, const struct token *v,
		     char *out, size_t cap)
{
	if (token_text(v, out, cap))
		return true;
	config_error(p, v, "%s is longer than %u characters", key->name, (unsigned)cap - 1);
	return false;
}

/* A number may stand in quotes, as xl takes it. */
static bool get_number(struct config_parser *p, const struct config_key *key, const struct token *v,
		       uint64_t *out)
{
	char text[24];

	*out = v->number;
	if (v->kind == TOKEN_NUMBER)
		return true;
	if (token_text(v, text, sizeof(text)) && str_to_u64(text, out))
		return true;
	config_error(p, v, "%s must be a number", key->name);
	return false;
}

/* Notes, no errors: files that run elsewhere shall run here, and the reader shall know what was
 * left out. */
static void know_unused(struct config_parser *p, const struct config_key *key,
			const struct token *v)
{
	config_note(p, v, "%s has no effect here", key->name);
}

/* What may be a part of a store path and of a console prefix. */
static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-_.+:@", c));
}

/* The name becomes a member of the archive, a store value and the "[NAME]" before lines that the
 * host tool parses, so its letters are few. Domain-0 is what tools call the first domain. */
static void set_name(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	char *name = p->out->name;

	if (!get_text(p, key, v, name, sizeof(p->out->name)))
		return;
	for (const char *s = name; *s; s++) {
		if (!is_name_char(*s)) {
			config_error(p, v, "name '%s' may hold only letters, digits and -_.+:@",
				     name);
			return;
		}
	}
	if (!name[0] || strcmp(name, "Domain-0") == 0)
		config_error(p, v, "name '%s' cannot be that of a guest", name);
}

/* xl would make an HVM or PVH domain without it being PV: there is no such thing under us, so a
 * file that asks for one must not start as something else. */
static void set_type(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	char type[16];

	if (!get_text(p, key, v, type, sizeof(type)) || strcmp(type, "pv") == 0)
		return;
	config_error(p, v, "type '%s' is not supported: only pv is", type);
}

static void set_builder(struct config_parser *p, const struct config_key *key,
			const struct token *v)
{
	char builder[16];

	if (!get_text(p, key, v, builder, sizeof(builder)) || strcmp(builder, "generic") == 0 ||
	    strcmp(builder, "linux") == 0)
		return;
	config_error(p, v, "builder '%s' is not supported: only generic is", builder);
}

/* Kept as written: the host tool opens it, the service domain looks it up in the manifest by these
 * bytes. */
static void set_path(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	if (get_text(p, key, v, member(p, key), CONFIG_PATH_MAX) && !*(char *)member(p, key))
		config_error(p, v, "%s names no file", key->name);
}

static void set_cmdline(struct config_parser *p, const struct config_key *key,
			const struct token *v)
{
	get_text(p, key, v, p->out->cmdline, sizeof(p->out->cmdline));
}

/* root and extra are kept aside until the end: whether they count depends on cmdline, which may
 * come later in the file (join_cmdline). */
static void set_root(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	get_text(p, key, v, p->root, sizeof(p->root));
}

static void set_extra(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	get_text(p, key, v, p->extra, sizeof(p->extra));
}

/* Limits are those a guest can live with and our numbers can hold; whether the machine has so much
 * is the builder's question. */
static void set_memory(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	uint64_t mib;

	if (!get_number(p, key, v, &mib))
		return;
	if (mib < CONFIG_MIN_MEMORY_MIB)
		config_error(p, v, "%s = %llu MiB is too small: a guest needs %u", key->name,
			     (unsigned long long)mib, CONFIG_MIN_MEMORY_MIB);
	else if (mib > CONFIG_MAX_MEMORY_MIB)
		config_error(p, v, "%s = %llu MiB is too large: at most %u", key->name,
			     (unsigned long long)mib, CONFIG_MAX_MEMORY_MIB);
	else
		*(uint32_t *)member(p, key) = (uint32_t)mib;
}

/* The bound is the hypervisor's own (xen.h's legacy vCPU slots), which shared_info has room for. */
static void set_vcpus(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	uint64_t n;

	if (!get_number(p, key, v, &n))
		return;
	if (n < 1 || n > CONFIG_MAX_VCPUS)
		config_error(p, v, "%s must be from 1 to %u", key->name, CONFIG_MAX_VCPUS);
	else
		*(uint32_t *)member(p, key) = (uint32_t)n;
}

/* Weight and cap, as large as the hypervisor's numbers are. */
static void set_cpu_number(struct config_parser *p, const struct config_key *key,
			   const struct token *v)
{
	uint64_t n;

	if (!get_number(p, key, v, &n))
		return;
	if (n > 65535) {
		config_error(p, v, "%s must be below 65536", key->name);
		return;
	}
	*(uint32_t *)member(p, key) = (uint32_t)n;
}

/* Where an element of the list stands says whose it is. */
static void set_cpus(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	(void)key;
	config_set_cpus(p, v);
}

/* Those that control.c knows. Others of xl's are refused by their name: who asks for a core dump
 * waits for a file that would not come. */
static void set_action(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	static const struct {
		const char *name;
		enum config_action action;
	} actions[] = {
	    {"destroy", CONFIG_DESTROY},
	    {"restart", CONFIG_RESTART},
	    {"preserve", CONFIG_PRESERVE},
	    {"rename-restart", CONFIG_RENAME_RESTART},
	};
	char text[32];

	if (!get_text(p, key, v, text, sizeof(text)))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(text, actions[i].name) == 0) {
			*(enum config_action *)member(p, key) = actions[i].action;
			return;
		}
	}
	if (!strncmp(text, "coredump-", 9))
		config_error(p, v, "%s '%s' is not supported: there is no place to write a core to",
			     key->name, text);
	else
		config_error(p, v, "%s '%s' is none of destroy, restart, preserve, rename-restart",
			     key->name, text);
}

static void add_disk(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	(void)key;
	config_add_disk(p, v);
}

static void add_vif(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	(void)key;
	config_add_vif(p, v);
}

static void add_pci(struct config_parser *p, const struct config_key *key, const struct token *v)
{
	(void)key;
	config_add_pci(p, v);
}

/* The row's argument is the flag, which pci_seize has the other way round; pci_msitranslate has none. */
static void set_pci_usual(struct config_parser *p, const struct config_key *key,
			  const struct token *v)
{
	uint64_t n;

	if (!get_number(p, key, v, &n))
		return;
	if (n > 1)
		config_error(p, v, "%s must be 0 or 1", key->name);
	else if (n && !key->arg)
		config_error(p, v, "%s '1' " CONFIG_PCI_NO_TRANSLATE, key->name);
	else if (n != (key->arg == CONFIG_PCI_ASK))
		p->out->pci_usual |= (uint8_t)key->arg;
}

/* A text that is one of some words, each of which is yes or no. */
struct yes_word {
	const char *word;
	bool yes;
};

static void set_word(struct config_parser *p, const struct config_key *key, const struct token *v,
		     const struct yes_word *words, bool *out)
{
	char text[16], list[64] = "";

	if (!get_text(p, key, v, text, sizeof(text)))
		return;
	for (; words->word; words++) {
		size_t at = strlen(list);

		if (!strcmp(text, words->word)) {
			*out = words->yes;
			return;
		}
		(void)fmt_text(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", words->word);
	}
	config_error(p, v, "%s '%s' is none of %s", key->name, text, list);
}

/* "default" is nothing mapped, with devices too: xl would map all, and files for a kernel that needs that say so.
 * Tables shared with a processor's are of kinds of domain that are not there. */
static void set_passthrough(struct config_parser *p, const struct config_key *key,
			    const struct token *v)
{
	static const struct yes_word words[] = {{"disabled", false},
						{"enabled", true},
						{"sync_pt", true},
						{"default", false},
						{NULL, false}};

	set_word(p, key, v, words, &p->out->passthrough);
}

/* Linux's backend has an option of its module for it; xl reads past this key. */
static void set_pci_topology(struct config_parser *p, const struct config_key *key,
			     const struct token *v)
{
	static const struct yes_word words[] = {
	    {"vpci", false}, {"passthrough", true}, {NULL, false}};

	set_word(p, key, v, words, &p->out->pci_as_is);
}

/* The .def gives each key its shape, its setter and the member it sets, and is the only list of
 * keys. */
static const struct config_key keys[] = {
#define CONFIG_KEY(name, shape, take, arg) {#name, shape, take, arg},
#include "config_keys.def"
#undef CONFIG_KEY
};
_Static_assert(ARRAY_SIZE(keys) <= CONFIG_KEYS_MAX, "seen_line has a slot for each key");

/* ---- statements --------------------------------------------------------------------- */

static void advance(struct config_parser *p)
{
	lexer_next(&p->lexer, &p->token);
}

static bool at_statement_end(const struct config_parser *p)
{
	return p->token.kind == TOKEN_NEWLINE || p->token.kind == TOKEN_END;
}

/* After an error: on with the next line. Inside a list that goes over lines this leaves its rest to
 * be read as statements, which costs further messages but no file is taken that is wrong. */
static void skip_statement(struct config_parser *p)
{
	while (!at_statement_end(p))
		advance(p);
}

/* Says that the current token is not what should stand here. */
static void unexpected(struct config_parser *p, const char *wanted)
{
	if (p->token.kind == TOKEN_BAD)
		config_error(p, &p->token, "%s", p->token.why);
	else
		config_error(p, &p->token, "%s where %s should be", token_kind_name(p->token.kind),
			     wanted);
	skip_statement(p);
}

static bool is_atom(const struct config_parser *p)
{
	return p->token.kind == TOKEN_STRING || p->token.kind == TOKEN_NUMBER;
}

/* Moves on in any case: what take finds wrong is the value, not where the statement goes on. */
static void take_atom(struct config_parser *p, const struct config_key *key)
{
	if (key->shape == TEXT && p->token.kind == TOKEN_NUMBER)
		config_error(p, &p->token, "%s must be a string", key->name);
	else if (key->shape == LIST && p->token.kind == TOKEN_NUMBER)
		config_error(p, &p->token, "%s must be a list of strings", key->name);
	else
		key->take(p, key, &p->token);
	advance(p);
}

static void skip_newlines(struct config_parser *p)
{
	while (p->token.kind == TOKEN_NEWLINE)
		advance(p);
}

/* After '[': elements parted by commas, newlines anywhere, a last comma allowed. */
static void take_list(struct config_parser *p, const struct config_key *key)
{
	for (;;) { /* each round eats a token */
		skip_newlines(p);
		if (p->token.kind == TOKEN_CLOSE)
			break;
		if (!is_atom(p)) {
			unexpected(p, "a string or ']'");
			return;
		}
		take_atom(p, key);
		skip_newlines(p);
		if (p->token.kind == TOKEN_CLOSE)
			break;
		if (p->token.kind != TOKEN_COMMA) {
			unexpected(p, "',' or ']'");
			return;
		}
		advance(p);
	}
	advance(p);
}

static void take_value(struct config_parser *p, const struct config_key *key)
{
	bool list = p->token.kind == TOKEN_OPEN;

	p->in_list = list;
	if (list && (key->shape == TEXT || key->shape == NUMBER)) {
		config_error(p, &p->token, "%s must be a %s, not a list", key->name,
			     key->shape == TEXT ? "string" : "number");
		skip_statement(p);
	} else if (list) {
		advance(p);
		take_list(p, key);
	} else if (is_atom(p)) {
		take_atom(p, key);
	} else {
		unexpected(p, "a value");
	}
}

static const struct config_key *find_key(const struct token *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strlen(keys[i].name) == name->len &&
		    memcmp(keys[i].name, name->at, name->len) == 0)
			return &keys[i];
	}
	return NULL;
}

/* The row for the name at hand; an unknown or repeated one is reported. A second assignment would
 * win in xl without a word; here it is a mistake that somebody would look for long. */
static const struct config_key *take_key(struct config_parser *p)
{
	const struct config_key *key = find_key(&p->token);
	uint16_t *seen;

	if (!key) {
		config_error(p, &p->token, "unknown key '%.*s'", (int)MIN(p->token.len, 64),
			     p->token.at);
		return NULL;
	}
	seen = &p->seen_line[key - keys];
	if (*seen) {
		config_error(p, &p->token, "key '%s' given twice, first on line %u", key->name,
			     *seen);
		return NULL;
	}
	*seen = (uint16_t)MIN(p->token.line, 65535u);
	return key;
}

/* KEY = VALUE and the end of the line. Each fault leaves the tokens at the end of a statement,
 * where the next begins. */
static void take_statement(struct config_parser *p)
{
	const struct config_key *key;

	if (p->token.kind != TOKEN_NAME) {
		unexpected(p, "a key");
		return;
	}
	key = take_key(p);
	if (!key) {
		skip_statement(p);
		return;
	}
	advance(p);
	if (p->token.kind != TOKEN_EQUALS) {
		unexpected(p, "'='");
		return;
	}
	advance(p);
	take_value(p, key);
	if (!at_statement_end(p))
		unexpected(p, "the end of the line");
}

/* ---- the whole ---------------------------------------------------------------------- */

/* Restart on reboot and destroy on the other ends are xl's defaults; the zero of config_action is
 * destroy. */
static void set_defaults(struct domain_config *c)
{
	memset(c, 0, sizeof(*c));
	c->memory_mib = 32; /* what xl takes when a file does not say */
	c->vcpus = 1;
	c->on_reboot = CONFIG_RESTART;
}

/* As xl does it: cmdline alone, or "root=ROOT EXTRA". */
static void join_cmdline(struct config_parser *p, const struct token *at)
{
	struct domain_config *c = p->out;
	size_t n;

	if (c->cmdline[0]) {
		if (p->root[0] || p->extra[0])
			config_note(p, at, "cmdline is given: root and extra have no effect");
		return;
	}
	n = fmt_text(c->cmdline, sizeof(c->cmdline), "%s%s%s%s", p->root[0] ? "root=" : "", p->root,
		     p->root[0] && p->extra[0] ? " " : "", p->extra);
	if (n >= sizeof(c->cmdline))
		config_error(p, at, "root and extra together are longer than %u characters",
			     CONFIG_CMDLINE_MAX - 1);
}

/* The key exists: callers name rows of the table. */
static bool was_given(const struct config_parser *p, const char *name)
{
	struct token token = {.at = name, .len = strlen(name)};

	return p->seen_line[find_key(&token) - keys] != 0;
}

/* What can be known only at the end. There is no better place to point at than the file's
 * beginning. */
static void check_whole(struct config_parser *p)
{
	struct token start = {.line = 1, .column = 1};
	struct domain_config *c = p->out;

	if (!was_given(p, "name"))
		config_error(p, &start, "no name: a domain needs name = \"...\"");
	if (!was_given(p, "kernel"))
		config_error(p, &start, "no kernel: a domain needs kernel = \"FILE\"");
	join_cmdline(p, &start);
	if (c->max_vcpus == 0)
		c->max_vcpus = c->vcpus;
	if (c->max_vcpus < c->vcpus)
		config_error(p, &start, "maxvcpus = %u is less than vcpus = %u", c->max_vcpus,
			     c->vcpus);
	if (c->max_memory_mib == 0)
		c->max_memory_mib = c->memory_mib;
	if (c->max_memory_mib < c->memory_mib)
		config_error(p, &start, "maxmem = %u MiB is less than memory = %u MiB",
			     c->max_memory_mib, c->memory_mib);
}

int domain_config_parse(const char *file_name, const char *text, size_t len,
			const struct config_listener *listener, struct domain_config *out)
{
	struct config_parser p = {.file_name = file_name, .listener = listener, .out = out};

	set_defaults(out);
	lexer_open(&p.lexer, text, len);
	advance(&p);
	for (;;) { /* each round eats a token */
		while (p.token.kind == TOKEN_NEWLINE)
			advance(&p);
		if (p.token.kind == TOKEN_END)
			break;
		take_statement(&p);
	}
	check_whole(&p);
	config_vif_finish(out);
	config_pci_finish(out);
	return p.errors ? -XEN_EINVAL : 0;
}
