/* ctl_table.h: answers as tables, for people in columns and for scripts in JSON; private to control/.
 *
 * A column's key is a promise to scripts, its heading is not. Cells of a row stand in the columns' order.
 */
#ifndef CONTROL_CTL_TABLE_H
#define CONTROL_CTL_TABLE_H

#include <amphi/ctl.h>

#define CTL_NOTHING (~0ull) /* a number that is not known: "-", null */

enum ctl_kind {
	CTL_TEXT,
	CTL_NUMBER,
	CTL_TENTHS, /* a number of tenths */
	CTL_TIME,   /* ns; for people in seconds */
};

struct ctl_column {
	const char *heading, *key;
	int width; /* negative: to the left */
	enum ctl_kind kind;
};

struct ctl_cell {
	const char *text; /* CTL_TEXT */
	uint64_t number;
};

/* One line more, as it is. What does not fit into the answer is left out and makes it -XEN_EMSGSIZE. */
void ctl_line(struct ctl_answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void ctl_table_begin(struct ctl_answer *a, const struct ctl_column *columns, unsigned n);
void ctl_table_row(struct ctl_answer *a, const struct ctl_column *columns, unsigned n,
		   const struct ctl_cell *cells);
void ctl_table_end(struct ctl_answer *a);

#endif
