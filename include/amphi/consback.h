/* consback.h: the service domain's end of a guest's console (xen/io/console.h).
 *
 * Callers: kernel/service.c and control/ (attach at creation, detach when the domain is gone).
 * Implemented by drivers-back/consback.c on host.h alone. All calls and callbacks are made in
 * the worker context; none waits. Not here: which console has the focus, prefixes, log files.
 *
 * A guest that lies in its ring's indices loses its console (state broken, one warning); one
 * that floods is read at most CONSBACK_BYTES_PER_S and waits in its own full ring. Error rule: 0
 * or a negative XEN_Exxx. */
#ifndef AMPHI_CONSBACK_H
#define AMPHI_CONSBACK_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define CONSBACK_LINE_MAX    512u  /* longer lines are given in pieces */
#define CONSBACK_INPUT_MAX   1024u /* input that waits for the guest to read */
#define CONSBACK_BYTES_PER_S (4u << 20)

struct consback_sink {
	/* One line without its end (CR and LF are taken off), as the guest sent it; text ends
	 * with NUL but may contain any other byte, escapes included. NULL: lines are not wanted. */
	void (*line)(void *ctx, const char *text, size_t len);
	/* Bytes as they come, for a console in focus. NULL: not wanted. */
	void (*raw)(void *ctx, const char *bytes, size_t len);
	void *ctx;
};

struct consback;

/* Maps the page of grant entry GNTTAB_RESERVED_CONSOLE, binds peer_port (start_info.console's
 * port in the domain). The sink is copied. -XEN_EINVAL: page or port refused; -XEN_ENOMEM. */
int consback_attach(domid_t domid, uint32_t peer_port, const struct consback_sink *sink,
		    struct consback **out);

/* Reads what is still in the ring (so that last words are not lost), gives an unfinished line, then
 * unmaps and frees. */
void consback_detach(struct consback *console);

/* Changes where output goes, from now on. */
void consback_set_sink(struct consback *console, const struct consback_sink *sink);

/* Types bytes at the guest. Returns how many were taken: what neither the ring nor the waiting
 * buffer holds is not. */
size_t consback_input(struct consback *console, const char *bytes, size_t len);

struct consback_stats {
	uint64_t bytes_out, lines, bytes_in, delays; /* out, in: as the guest sees it */
	bool broken;
};
void consback_count(const struct consback *console, struct consback_stats *out);

#endif
