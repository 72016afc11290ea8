/* service.h: what the files of the service role share; private to kernel/service*.c.
 *
 * service.c brings the role up and ends it, service_archive.c reads the boot archive,
 * service_console.c has the guests' consoles and the terminal's focus, service_commands.c the
 * shell's commands, service_cycle.c one of them, service_ctl.c the control port, service_ctl_tcp.c the same over TCP,
 * service_session.c what both do with an asker. Worker context but where said.
 */
#ifndef KERNEL_SERVICE_H
#define KERNEL_SERVICE_H

#include <amphi/control.h>
#include <amphi/ctl.h>
#include <amphi/manifest.h>

/* ---- the archive ---------------------------------------------------------------------- */

/* Takes the boot module. -XEN_ENOENT: there is none, or it has no manifest (then nothing below
 * finds anything). */
int archive_open(void);

/* The hooks of control.h. */
int archive_file(void *ctx, const char *path, const void **out_bytes, size_t *out_len);
int archive_disk(void *ctx, const char *target, char *out_params, size_t cap);

/* Makes the domain of a name in the manifest. Faults of its file are in the log. */
int archive_create(const char *name);

/* What its file says. */
int archive_config(const char *name, struct domain_config *out);

/* Calls fn with each domain's name, in the manifest's order. */
void archive_for_each_domain(void (*fn)(const char *name));

/* ---- consoles ------------------------------------------------------------------------- */

/* The hooks of control.h. Lines of a guest are printed as "[name] line", or as they come when
 * it has the focus. */
int consoles_attach(void *ctx, domid_t domid, const char *name, uint32_t port);
void consoles_detach(void *ctx, domid_t domid);

/* Takes the terminal's keys: from now on Ctrl-A steps through the consoles. */
void consoles_take_terminal(void);

/* Gives the terminal to a guest. -XEN_ENOENT. */
int consoles_focus(const char *name);

/* One more who sees what a guest writes, and types at it, whoever has the terminal: the control port. */
struct console_watcher {
	void (*write)(void *ctx, const char *bytes, size_t len);
	void (*gone)(void *ctx); /* the guest has ended; it is watched no more */
	void *ctx;
};

/* -XEN_ENOENT: no such guest; -XEN_EBUSY: one is watched already. w stays valid until it is over. */
int consoles_watch(const char *name, const struct console_watcher *w);
void consoles_unwatch(const struct console_watcher *w); /* nothing, when it is not w that watches */
/* Types at the guest that w watches; nothing when it does not. */
void consoles_type(const struct console_watcher *w, uint8_t byte);

/* ---- commands ------------------------------------------------------------------------- */

void service_commands_add(void);

/* [waits] Thread context: a command of ctl.h from its words to its end; answer->text is the caller's. asked->console and
 * ->capture (worker) and their ctx are the caller's, too; NULL: the words ask for neither. */
void service_run(const struct ctl_hooks *asked, int argc, char **argv, struct ctl_answer *answer);

/* [waits] Thread context: until control does not know the domain any more. 0, or -XEN_EBUSY after a time. */
int service_wait_gone(const char *name);

/* Thread context, after control has started: commands from the machine's second serial port, where there is
 * one; and by TCP, when ctl= says so. */
void service_ctl_start(void);
void service_ctl_tcp_start(void);

/* The shell's command `cycle`. */
int service_cycle(int argc, char **argv);

#endif
