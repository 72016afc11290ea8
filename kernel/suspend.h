/* suspend.h: a domain is stopped so that its memory can be carried elsewhere, and goes on there.
 *
 * Caller: guest_control.c, when the toolstack asks (control/shutdown = suspend); host tests of the order.
 * suspend.c has the steps of this kernel as a table; suspend_order.c walks it there and back;
 * suspend_xen_pv.c and boot_xen_pvh.c do what the hypervisor's interface wants. The worker runs all of it, on
 * the CPU that booted, so the portable rooms stand still. Errors: a step that cannot be taken says why in
 * words; what was done before it is undone and the domain goes on.
 */
#ifndef KERNEL_SUSPEND_H
#define KERNEL_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

/* How it ended. In the same world the hypervisor has kept ports, grants and timers; in a new one it knows
 * nothing but memory and registers, and everything else is told to it again. */
enum suspend_end { SUSPEND_SAME_WORLD, SUSPEND_NEW_WORLD };

struct suspend_step {
	const char *name;
	/* Prepares. NULL: done (or nothing to do); else why it cannot be, and nothing has changed. The
	 * function may be NULL. */
	const char *(*stop)(void);
	/* The way back, after the stop of this step. May be NULL. Cannot fail. */
	void (*go_on)(enum suspend_end end);
};

struct suspend_report {
	enum suspend_end end;
	const char *step, *why; /* not NULL: refused */
};

/* Takes the steps in order, calls leave, and takes all of those that were taken back in reverse order. leave
 * returns 0 (in a new world), 1 (in the same), or a negative XEN_Exxx. */
struct suspend_report suspend_run(const struct suspend_step *steps, unsigned n,
				  int64_t (*leave)(void));

/* Worker, CPU 0. Returns in the same world, in a new one, or refused, and has told which in the log. */
struct suspend_report suspend_domain(void);

/* Whether there is any use in offering it: false natively, in a first domain, on a hypervisor without it.
 * Any thread. */
bool suspend_possible(void);

/* ---- the platform's part: interrupts off ---------------------------------------------------- */

/* What memory must not hold while it is carried: frames that are not the domain's own. NULL or why not. */
const char *suspend_xen_pv_stop(void);
/* The call itself, as leave above. */
int64_t suspend_xen_pv_leave(void);
/* The shared page, the grant table, what start_info tells anew. */
void suspend_xen_pv_go_on(enum suspend_end end);

int64_t suspend_xen_pvh_leave(void);
void suspend_xen_pvh_go_on(enum suspend_end end);

#endif
