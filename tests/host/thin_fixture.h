/* thin_fixture.h: what platform files of pvops refer to and tests of them on the host never run, and the thin entries themselves.
 *
 * Included once by a test that links pvops/xen_pv.c.
 */
#ifndef TESTS_THIN_FIXTURE_H
#define TESTS_THIN_FIXTURE_H

#include "pvops/lock.h"

char pv_shared_page[PAGE_SIZE];
void pv_xen_irq_enable(void);
void pv_xen_restore_fl(void);
void pv_xen_iret(void);
void pv_xen_sysret(void);
void pv_unfilled(void);
void pv_xen_irq_enable(void) {}
void pv_xen_restore_fl(void) {}
void pv_xen_iret(void) {}
void pv_xen_sysret(void) {}
void pv_unfilled(void) {}
/* The file itself: its code becomes part of this program. */
__asm__(".include \"pvops/thin.S\"\n .text\n");

void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve) {}

#endif
