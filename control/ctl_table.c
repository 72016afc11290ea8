/* ctl_table.c: writes answers as columns or as JSON into the answer's buffer.
 *
 * JSON is one document over several lines, a row each, so that no line is long. Texts come from domain
 * files and are escaped. Pure. Caller: ctl_commands.c. Calls printf.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "ctl_table.h"

#define ROW_MAX   1536u /* a target may be long */
#define NS_PER_MS 1000000ull

/* ---- lines ---------------------------------------------------------------------------------- */

static void add_line(struct ctl_answer *a, const char *text)
{
	size_t len = strlen(text);

	if (a->cut || a->cap - a->len < len + 1) {
		a->cut = true;
		return;
	}
	memcpy(a->text + a->len, text, len);
	a->text[a->len + len] = '\n';
	a->len += len + 1;
}

void ctl_line(struct ctl_answer *a, const char *fmt, ...)
{
	char text[ROW_MAX];
	va_list args;

	va_start(args, fmt);
	a->cut |= fmt_vtext(text, sizeof(text), fmt, args) >= sizeof(text);
	va_end(args);
	add_line(a, text);
}

/* ---- one row while it is made --------------------------------------------------------------- */

struct row {
	char text[ROW_MAX];
	size_t len;
	bool cut;
};

__attribute__((format(printf, 2, 3))) static void add(struct row *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	r->len += fmt_vtext(r->text + r->len, sizeof(r->text) - r->len, fmt, args);
	va_end(args);
	if (r->len < sizeof(r->text))
		return;
	r->len = sizeof(r->text) - 1;
	r->cut = true;
}

static void end_row(struct ctl_answer *a, const struct row *r)
{
	a->cut |= r->cut;
	add_line(a, r->text);
}

/* ---- for people ----------------------------------------------------------------------------- */

static void number_text(const struct ctl_column *c, const struct ctl_cell *cell, char *out,
			size_t cap)
{
	uint64_t n = cell->number, ms = n / NS_PER_MS;

	if (n == CTL_NOTHING)
		(void)str_copy(out, cap, "-");
	else if (c->kind == CTL_NUMBER)
		fmt_text(out, cap, "%llu", (unsigned long long)n);
	else if (c->kind == CTL_TENTHS)
		fmt_text(out, cap, "%llu.%u", (unsigned long long)(n / 10), (unsigned)(n % 10));
	else
		fmt_text(out, cap, "%llu.%03u", (unsigned long long)(ms / 1000),
			 (unsigned)(ms % 1000));
}

/* The last column is not padded: no line ends in blanks. */
static void add_field(struct row *r, const struct ctl_column *c, const char *text, bool last)
{
	unsigned width = (unsigned)(c->width < 0 ? -c->width : c->width);
	size_t len = strlen(text), pad = len < width ? width - len : 0;

	for (size_t i = 0; c->width > 0 && i < pad; i++)
		add(r, " ");
	add(r, "%s", text);
	for (size_t i = 0; c->width < 0 && i < pad && !last; i++)
		add(r, " ");
	if (!last)
		add(r, "  ");
}

static void text_row(struct row *r, const struct ctl_column *columns, unsigned n,
		     const struct ctl_cell *cells)
{
	char number[32];

	for (unsigned i = 0; i < n; i++) {
		if (columns[i].kind != CTL_TEXT)
			number_text(&columns[i], &cells[i], number, sizeof(number));
		add_field(r, &columns[i], columns[i].kind == CTL_TEXT ? cells[i].text : number,
			  i + 1 == n);
	}
}

/* ---- for scripts ---------------------------------------------------------------------------- */

static void add_string(struct row *r, const char *text)
{
	add(r, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			add(r, "\\%c", c);
		else if (c < ' ' || c > '~')
			add(r, "\\u%04x", c);
		else
			add(r, "%c", c);
	}
	add(r, "\"");
}

/* Times stay in ns: a script can divide, and nothing is lost. */
static void json_row(struct row *r, const struct ctl_column *columns, unsigned n,
		     const struct ctl_cell *cells)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t number = cells[i].number;

		add(r, "%s\"%s\":", i ? "," : "{", columns[i].key);
		if (columns[i].kind == CTL_TEXT)
			add_string(r, cells[i].text);
		else if (number == CTL_NOTHING)
			add(r, "null");
		else if (columns[i].kind == CTL_TENTHS)
			add(r, "%llu.%u", (unsigned long long)(number / 10),
			    (unsigned)(number % 10));
		else
			add(r, "%llu", (unsigned long long)number);
	}
	add(r, "}");
}

/* ---- tables --------------------------------------------------------------------------------- */

void ctl_table_begin(struct ctl_answer *a, const struct ctl_column *columns, unsigned n)
{
	struct row r = {0};

	a->rows = 0;
	if (a->json) {
		add_line(a, "[");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		add_field(&r, &columns[i], columns[i].heading, i + 1 == n);
	end_row(a, &r);
}

/* A comma goes before a row and not behind it: nobody knows yet which is the last. */
void ctl_table_row(struct ctl_answer *a, const struct ctl_column *columns, unsigned n,
		   const struct ctl_cell *cells)
{
	struct row r = {0};

	if (a->json && a->rows)
		add(&r, ",");
	if (a->json)
		json_row(&r, columns, n, cells);
	else
		text_row(&r, columns, n, cells);
	end_row(a, &r);
	a->rows++;
}

void ctl_table_end(struct ctl_answer *a)
{
	if (a->json)
		add_line(a, "]");
}
