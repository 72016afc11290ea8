/* control.h: the life cycle of domains, as xl and libxl do it for Xen.
 *
 * Callers: kernel/service.c and the shell's commands. Implemented by control/control*.c over
 * host.h, host_control.h and the hooks below, by which the caller lends the store server, the
 * consoles and the files. Everything runs in the worker context.
 *
 * Errors: negative XEN_Exxx, and a line in the log that names the domain; control_why() has it too.
 * A domain that is not made leaves nothing behind: no domain, no store nodes, no console.
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
	CONTROL_PRESERVED, /* ended, kept by on_...="preserve" or "rename-restart" */
	CONTROL_ENDING,    /* stopped, backends are letting go */
	CONTROL_SAVING,    /* suspended, its memory is being written */
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
 * -XEN_EOPNOTSUPP: the hypervisor's domctl or sysctl is of another version than ours; control_why() names
 * both. */
int control_start(const struct control_hooks *hooks);

/* Ends all domains at once, without a word to their backends, and watches no more. Its VIRQ stays
 * bound. Not from a hook. */
void control_stop(void);

/* Makes and runs the domain of config (copied). -XEN_EEXIST: the name is in use; -XEN_ENOENT: a
 * file or disk is missing; -XEN_ENOEXEC, -XEN_ENOMEM, ... of the builder. */
int control_create(const struct domain_config *config, domid_t *out_domid);

/* What was begun has come to its end: err is 0 or as below, and then control_why() has the fault. name is
 * valid during the call. Once, never before the call that began it has returned. */
typedef void control_done_fn(void *ctx, int err, const char *name);

/* How long a backend, or a guest, has for its part when a device is attached or detached, and a guest when it is detached by force. */
#define CONTROL_DEVICE_WAIT_MS 10000u
#define CONTROL_FORCE_WAIT_MS  1000u

/* Begins to make a domain of what was saved on a disk, named as a domain file's disk= does or as
 * host_block_find does: a stream of xl's from its first byte on (control/stream.h). When done is told 0
 * the domain runs. config: copied; NULL: the one that was saved with it. Reading takes its time, other work
 * goes on meanwhile, and the name is in use from the moment it is known. -XEN_ENOENT: no such disk;
 * -XEN_EBUSY: a domain is being restored already. By done: -XEN_EEXIST, -XEN_EINVAL (the stream is not
 * whole, or wrong: record and offset are told), -XEN_EIO, and what control_create has. */
int control_restore(const char *disk, const struct domain_config *config, control_done_fn *done,
		    void *ctx);

/* Begins to write a domain to a disk, named as for control_restore: asks the guest to suspend, writes all of
 * it as xl does, and ends it (not reported to `ended`); or, when keep is set, lets it go on (a
 * checkpoint). The disk is of nobody else's use meanwhile. What it had before is gone from the moment the guest
 * has suspended, and what it is given is a stream only when done is told 0. After an error the
 * guest goes on, or control_why() says that it cannot. -XEN_ENOENT: no such domain or disk; -XEN_ESRCH;
 * -XEN_EBUSY: a domain is being saved already, a running domain has that disk or something on it, or it has partitions; -XEN_EROFS; -XEN_ENOSPC: it
 * is too small; -XEN_EOPNOTSUPP: the guest has not said that it can be suspended. By done: -XEN_ETIMEDOUT:
 * the guest does not do so in CONTROL_SUSPEND_WAIT_MS; -XEN_ESRCH: it has ended; -XEN_EIO, -XEN_EINVAL: of its memory. */
#define CONTROL_SUSPEND_WAIT_MS 60000u
int control_save(const char *name, const char *disk, bool keep, control_done_fn *done, void *ctx);

/* Begins to end it, without asking it: -XEN_ENOENT. It stops at once; backends are then told to let
 * go of its pages, and when they have (or after CONTROL_BACKEND_WAIT_MS) it is gone: control_find
 * no longer finds it. Its end is not reported to `ended`. */
#define CONTROL_BACKEND_WAIT_MS 3000u
int control_destroy(const char *name);

/* ---- of those that run: -XEN_ENOENT no such domain, -XEN_ESRCH it has ended ------------------ */

/* Stops its vCPUs where they are, and lets them go on. -XEN_EBUSY: it is paused already, or is not. */
int control_pause(const char *name);
int control_unpause(const char *name);

/* Asks the guest to end or to begin anew, by the store; whether and when it does is its own affair,
 * and on_poweroff and on_reboot hold as if it had done so by itself. */
int control_ask_poweroff(const char *name);
int control_ask_reboot(const char *name);

/* How much memory the guest shall have, which it takes or gives by its balloon; it cannot get more
 * from now on. -XEN_ERANGE: below CONFIG_MIN_MEMORY_MIB or above its maxmem. */
int control_set_memory(const char *name, uint64_t mib);

/* How many of its vCPUs shall be online, the first ones. -XEN_ERANGE: none, or more than maxvcpus. */
int control_set_vcpus(const char *name, uint64_t vcpus);

/* ---- looking -------------------------------------------------------------------------------- */

/* What the hypervisor knows of a domain, the service domain included, at this moment. */
struct control_figures {
	const char *state; /* "running", "runnable", "blocked", "paused", "ended", "ending" */
	unsigned vcpus, max_vcpus;
	uint64_t cpu_time_ns; /* of all vCPUs since its making */
	uint64_t memory_kib, max_memory_kib;
	uint64_t grants; /* entries of its grant table in use: pages it offers to others */
	uint64_t ports;  /* its event channels that are open */
};

/* 0 or the hypervisor's error; -XEN_ESRCH: no such domain. */
int control_look(domid_t domid, struct control_figures *out);

/* The text of the last error of a call above; "" when there was none since control_forget_why(). */
const char *control_why(void);
void control_forget_why(void);

/* As control's own errors: logs the text and keeps it. For hooks. Returns err. */
int control_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NULL when there is none. Pointers are valid until the worker context is left. */
const struct control_domain *control_find(const char *name);
void control_for_each(void (*fn)(void *ctx, const struct control_domain *domain), void *ctx);
unsigned control_count(void);

#endif
