/* service_console.c: guests' consoles in the service domain, and who has the terminal.
 *
 * Without a terminal taken, each guest's line is printed behind its name. With one, Ctrl-A steps
 * hypervisor -> service -> guests in order of their making -> hypervisor, as Xen's serial console
 * does with its own key. The guest in focus is raw both ways, and the kernel's own words wait
 * (are dropped) meanwhile; keys for the hypervisor go to it as debug keys. The control port may watch one
 * guest besides. Worker context. Callers:
 * control/ by hooks, service.c, service_commands.c. Calls consback.h, console.h, host_control.h.
 */
#include <amphi/consback.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "console.h"
#include "service.h"

#define KEY_STEP 0x01 /* Ctrl-A */

struct guest_console {
	struct guest_console *next;
	struct consback *back;
	domid_t domid;
	char name[CONFIG_NAME_MAX];
};

enum focus { FOCUS_SERVICE, FOCUS_HYPERVISOR, FOCUS_GUEST };

/*   focus HYPERVISOR --Ctrl-A--> SERVICE --Ctrl-A--> GUEST (first) --Ctrl-A--> ... GUEST (last) --.
 *       ^                                                                                         |
 *       '------------------------------------ Ctrl-A ---------------------------------------------'
 *   a guest that ends while it has the focus gives it to SERVICE
 */
static struct guest_console *consoles; /* in the order of their making */
static enum focus focus;
static struct guest_console *focused; /* FOCUS_GUEST only */
static struct guest_console *watched; /* by the control port */
static const struct console_watcher *watcher;
static bool terminal;

/* ---- output ----------------------------------------------------------------------------- */

/* One write, so that nothing comes between. What could move the reader's cursor or end the line early, and
 * so speak in another's name, is shown as '?'. */
static void print_line(void *ctx, const char *text, size_t len)
{
	struct guest_console *c = ctx;
	char out[CONSBACK_LINE_MAX + sizeof(c->name) + sizeof("[] \n")];
	size_t n = fmt_text(out, sizeof(out), "[%s] ", c->name);

	for (size_t i = 0; i < len && n < sizeof(out) - 1; i++)
		out[n++] = (unsigned char)text[i] >= ' ' || text[i] == '\t' ? text[i] : '?';
	out[n++] = '\n';
	console_break_line();
	console_write(out, n);
}

static void print_raw(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	console_write_raw(bytes, len);
}

/* Sees what the terminal sees. */
static void print_watched(void *ctx, const char *bytes, size_t len)
{
	if (ctx == focused)
		print_raw(ctx, bytes, len);
	watcher->write(watcher->ctx, bytes, len);
}

/* The backend speaks to one sink at a time; what it had collected of a line goes to the next one.
 */
static void set_sink(struct guest_console *c)
{
	struct consback_sink sink = {.ctx = c};

	if (c != focused)
		sink.line = print_line;
	if (c == watched)
		sink.raw = print_watched;
	else if (c == focused)
		sink.raw = print_raw;
	consback_set_sink(c->back, &sink);
}

/* ---- focus ------------------------------------------------------------------------------ */

/* The announcement is made while nobody is muted and before the guest's raw output begins, so that
 * it is seen, whole, between the two. */
static void set_focus(enum focus to, struct guest_console *guest)
{
	struct guest_console *old = focused;

	console_mute(false);
	focus = to;
	focused = guest;
	if (old)
		set_sink(old);
	console_printf("\n-- %s%s has the terminal (Ctrl-A: the next) --\n", guest ? "guest " : "",
		       guest                 ? guest->name
		       : to == FOCUS_SERVICE ? "the service domain"
					     : "the hypervisor");
	if (guest)
		set_sink(guest);
	console_mute(to != FOCUS_SERVICE);
}

/* Without guests the service domain's next is the hypervisor at once. */
static void step_focus(void)
{
	if (focus == FOCUS_HYPERVISOR)
		set_focus(FOCUS_SERVICE, NULL);
	else if (focus == FOCUS_SERVICE && consoles)
		set_focus(FOCUS_GUEST, consoles);
	else if (focus == FOCUS_GUEST && focused->next)
		set_focus(FOCUS_GUEST, focused->next);
	else
		set_focus(FOCUS_HYPERVISOR, NULL);
}

/* The hypervisor shares the serial line but reads none of it: its keys come to it by hypercall. */
static void send_debug_key(uint8_t byte)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_debug_keys};
	char key = (char)byte;

	set_xen_guest_handle(op.u.debug_keys.keys, &key);
	op.u.debug_keys.nr_keys = 1;
	(void)host_sysctl(&op);
}

/* Ctrl-A cannot be typed at a guest; Xen's own console has the same price. */
static void on_key(void *ctx, uint8_t byte)
{
	(void)ctx;
	if (byte == KEY_STEP)
		step_focus();
	/* The shell reads its ring in its own thread. */
	else if (focus == FOCUS_SERVICE)
		console_feed_shell(byte);
	else if (focus == FOCUS_HYPERVISOR)
		send_debug_key(byte);
	else
		(void)consback_input(focused->back, (const char *)&byte, 1);
}

/* For console=interactive: the guest comes first, as whoever starts one wants to see it. */
void consoles_take_terminal(void)
{
	terminal = true;
	console_take_input(on_key, NULL);
	if (consoles)
		set_focus(FOCUS_GUEST, consoles);
}

static struct guest_console *find_name(const char *name)
{
	struct guest_console *c = consoles;

	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

/* The `console` command takes the terminal also where nobody asked for it at boot. */
int consoles_focus(const char *name)
{
	struct guest_console *c = find_name(name);

	if (!c)
		return -XEN_ENOENT;
	terminal = true;
	console_take_input(on_key, NULL);
	set_focus(FOCUS_GUEST, c);
	return 0;
}

/* ---- the control port ------------------------------------------------------------------- */

int consoles_watch(const char *name, const struct console_watcher *w)
{
	struct guest_console *c = find_name(name);

	if (!c || watched)
		return c ? -XEN_EBUSY : -XEN_ENOENT;
	watched = c;
	watcher = w;
	set_sink(c);
	return 0;
}

void consoles_unwatch(const struct console_watcher *w)
{
	struct guest_console *c = watched;

	if (w != watcher)
		return;
	watched = NULL;
	watcher = NULL;
	if (c)
		set_sink(c);
}

void consoles_type(const struct console_watcher *w, uint8_t byte)
{
	if (watched && w == watcher)
		(void)consback_input(watched->back, (const char *)&byte, 1);
}

/* ---- coming and going ------------------------------------------------------------------- */

/* A console that joins does not take the focus: somebody may be typing. */
int consoles_attach(void *ctx, domid_t domid, const char *name, uint32_t port)
{
	struct guest_console *c = host_alloc(sizeof(*c)), **end = &consoles;
	struct consback_sink lines = {.line = print_line, .ctx = c};
	int err;

	(void)ctx;
	if (!c)
		return -XEN_ENOMEM;
	c->domid = domid;
	(void)str_copy(c->name, sizeof(c->name), name);
	err = consback_attach(domid, port, &lines, &c->back);
	if (err) {
		host_free(c, sizeof(*c));
		return err;
	}
	while (*end)
		end = &(*end)->next;
	*end = c;
	return 0;
}

/* May be called for a domain without a console: control takes apart what may be half made. */
void consoles_detach(void *ctx, domid_t domid)
{
	struct guest_console **at = &consoles, *c;

	(void)ctx;
	while (*at && (*at)->domid != domid)
		at = &(*at)->next;
	c = *at;
	if (!c)
		return;
	consback_detach(c->back); /* its last words come now, while it has the focus */
	if (c == watched) {
		watched = NULL;
		watcher->gone(watcher->ctx);
	}
	if (c == focused) {
		focused = NULL;
		set_focus(FOCUS_SERVICE, NULL);
	}
	*at = c->next;
	host_free(c, sizeof(*c));
}
