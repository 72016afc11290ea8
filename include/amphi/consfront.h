/* consfront.h: the guest's end of its console ring (xen/io/console.h), with nothing around it.
 *
 * Callers: kernel/console*.c; early in boot, in panic and with interrupts off too: no memory is
 * taken, no lock, nothing waits, nothing of host.h is called. Implemented by
 * drivers-front/consfront.c. The caller keeps the struct, serialises its calls, maps the page
 * (start_info.console.domU.mfn) and knows the port.
 *
 * Error rule: counts of bytes. A ring whose indices are impossible is given up: writes swallow
 * everything, reads give nothing, broken is set.
 */
#ifndef AMPHI_CONSFRONT_H
#define AMPHI_CONSFRONT_H

#include <amphi/types.h>
#include <xen/io/console.h>

struct consfront {
	struct xencons_interface *ring;
	void (*notify)(void *ctx); /* tells the backend: EVTCHNOP_send on the console's port */
	void *ctx;
	uint32_t out_prod, in_cons; /* ours: the ring's copies are for the peer */
	bool broken;
};

/* Takes over the ring where it stands: bytes written before (by a loader) stay in it. */
void consfront_init(struct consfront *front, struct xencons_interface *ring,
		    void (*notify)(void *ctx), void *ctx);

/* Puts as many bytes as there is room for and notifies; returns how many. A broken ring swallows
 * all (returns len). The caller that must not lose bytes yields (SCHEDOP_yield) and calls again. */
size_t consfront_write(struct consfront *front, const char *bytes, size_t len);

/* Writes all with '\r' put before each '\n', calling relax(ctx) when the ring is full, at most
 * tries times in a row without progress; the rest is dropped then. Returns how many bytes of
 * text were written. */
size_t consfront_write_text(struct consfront *front, const char *text, size_t len,
			    void (*relax)(void *ctx), unsigned tries);

/* Takes up to cap bytes of input; notifies when it took any. */
size_t consfront_read(struct consfront *front, char *bytes, size_t cap);

/* Whether all output was taken by the backend: to wait for before a shutdown. */
bool consfront_drained(const struct consfront *front);

#endif
