/* pv_site.c: says which site of a pv operation is not what it should be, and how.
 *
 * For boot.c and commands_info.c (pv_site.h). Symbols are panic's. No memory is taken: a kernel that
 * cannot be patched has none yet.
 */
#include "pv_site.h"

#include <amphi/printf.h>

#include "panic.h"

static size_t put_bytes(char *out, size_t cap, const uint8_t *bytes, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n && len < cap; i++)
		len += fmt_text(out + len, cap - len, " %02x", bytes[i]);
	return MIN(len, cap - 1);
}

void pv_site_text(char out[PV_SITE_TEXT], const struct pv_bad_site *bad)
{
	uint64_t offset = 0;
	const char *function = symbol_find((uint64_t)(uintptr_t)bad->site, &offset);
	size_t len =
	    fmt_text(out, PV_SITE_TEXT, "%p %s+%llu %s.%s: expected", bad->site,
		     function ? function : "?", (unsigned long long)offset, bad->group, bad->name);

	len = MIN(len, PV_SITE_TEXT - 1);
	len += put_bytes(out + len, PV_SITE_TEXT - len, bad->expected, bad->len_bytes);
	len += fmt_text(out + len, PV_SITE_TEXT - len, ", found");
	len = MIN(len, PV_SITE_TEXT - 1);
	put_bytes(out + len, PV_SITE_TEXT - len, bad->found, bad->len_bytes);
}
