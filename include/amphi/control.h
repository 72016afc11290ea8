/* control.h: the life cycle of domains, as xl and libxl do it for Xen.
 *
 * Callers: kernel/service.c and the shell's commands. Implemented by control/control*.c over
 * host.h, host_control.h and the hooks below, by which the caller lends the store server, the
 * consoles and the files. Everything runs in the worker context.
 *
 * Errors: negative XEN_Exxx, and a line in the log that names the domain. A domain that is not made
 * leaves nothing behind: no domain, no store nodes, no console.
 */
#ifndef AMPHI_CONTROL_H
#define AMPHI_CONTROL_H

#include <amphi/domain_config.h>
#include <amphi/host_control.h>

/* The exit code of a domain that crashed (shutdown reason r other than poweroff, reboot, suspend):
 * CONTROL_CRASH_BASE + r. Orderly ends give the store node data/exit-code, or 0. */
#define CONTROL_CRASH_BASE 128

enum control_state {
	CONTROL_RUNNING,
	CONTROL_PRESERVED, /* ended, kept by on_...="preserve" */
	CONTROL_ENDING,    /* stopped, backends are letting go */
};

struct control_domain {
	const struct domain_config *config; /* control's own copy */
	domid_t domid;
	enum control_state state;
	uint64_t memory_kib;
	unsigned restarts;
	int exit_code; /* of the last end */
};

struct control_hooks {
	/* The bytes of a file named in a domain file; they stay valid. 0 or -XEN_ENOENT. */
	int (*file)(void *ctx, const char *path, const void **out_bytes, size_t *out_len);
	/* What blkback shall open (the vbd's `params`) for a target. 0 or -XEN_ENOENT. */
	int (*disk)(void *ctx, const char *target, char *out_params, size_t cap);
	/* The store server takes the domain's ring (its reserved grant, its port), or drops it. */
	int (*introduce)(void *ctx, domid_t domid, uint32_t port);
	void (*release)(void *ctx, domid_t domid);
	int (*console_attach)(void *ctx, domid_t domid, const char *name, uint32_t port);
	void (*console_detach)(void *ctx, domid_t domid);
	/* After it runs; when it has stopped by itself, with all it has still there (NULL: not
	 * wanted); and when it is gone for good or preserved (not before a restart). */
	void (*created)(void *ctx, const struct control_domain *domain);
	void (*died)(void *ctx, const struct control_domain *domain);
	void (*ended)(void *ctx, const char *name, int exit_code);
	void *ctx;
};

/* Makes this domain's own nodes and begins to watch for deaths (VIRQ_DOM_EXC). hooks stays valid.
 */
int control_start(const struct control_hooks *hooks);

/* Ends all domains at once, without a word to their backends, and watches no more. Its VIRQ stays
 * bound. Not from a hook. */
void control_stop(void);

/* Makes and runs the domain of config (copied). -XEN_EEXIST: the name is in use; -XEN_ENOENT: a
 * file or disk is missing; -XEN_ENOEXEC, -XEN_ENOMEM, ... of the builder. */
int control_create(const struct domain_config *config, domid_t *out_domid);

/* Begins to end it, without asking it: -XEN_ENOENT. It stops at once; backends are then told to let
 * go of its pages, and when they have (or after CONTROL_BACKEND_WAIT_MS) it is gone: control_find
 * no longer finds it. Its end is not reported to `ended`. */
#define CONTROL_BACKEND_WAIT_MS 3000u
int control_destroy(const char *name);

/* NULL when there is none. Pointers are valid until the worker context is left. */
const struct control_domain *control_find(const char *name);
void control_for_each(void (*fn)(void *ctx, const struct control_domain *domain), void *ctx);
unsigned control_count(void);

#endif
