/* pv_site.h: a site of a pv operation in words.
 *
 * Callers: boot.c, whose panic names the site that could not be patched, and the shell's `pvops verify`.
 */
#ifndef KERNEL_PV_SITE_H
#define KERNEL_PV_SITE_H

#include <amphi/pvops.h>

#define PV_SITE_TEXT 256u

/* "ADDRESS function+offset GROUP.NAME: expected BYTES, found BYTES", cut to PV_SITE_TEXT. */
void pv_site_text(char out[PV_SITE_TEXT], const struct pv_bad_site *bad);

#endif
