/* service_commands.c: the shell's commands of a service domain: those of ctl.h, and cycle.
 *
 * The rows of ctl.h become commands of the shell as they are. Commands run in the shell's thread; what
 * they do runs in the worker by worker_call. A domain's end is not instant (its backends let go first), so
 * whoever gave the command waits for it here. Caller: shell.c, service_ctl.c. Calls ctl.h, control.h,
 * service.h.
 */
#include <amphi/host.h>
#include <amphi/string.h>
#include "console.h"
#include "mm.h"
#include "power.h"
#include "service.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

/* Longer than control gives the backends, so that a wait that ends here is a fault and no
 * impatience. */
#define GONE_WAIT_MS (CONTROL_BACKEND_WAIT_MS + 2000u)
/* How often things are looked at again that nobody announces. */
#define LOOK_MS      1u
#define COMMANDS_MAX 48u

/* ---- one command --------------------------------------------------------------------------- */

static int create_hook(void *ctx, const char *name)
{
	(void)ctx;
	return archive_create(name);
}

static int config_hook(void *ctx, const char *name, struct domain_config *out)
{
	(void)ctx;
	return archive_config(name, out);
}

static int console_hook(void *ctx, const char *name)
{
	(void)ctx;
	return consoles_focus(name);
}

static const struct ctl_hooks of_shell = {.console = console_hook};

/* worker_call takes one function and one pointer, and gives back one number: hence these. */
struct call {
	const struct ctl_hooks *asked;
	struct ctl_hooks hooks;
	int argc;
	char **argv;
	struct ctl_answer *answer;
	struct wait_queue done;
	bool is_done;
};

static int asked_console(void *ctx, const char *name)
{
	const struct ctl_hooks *asked = ((struct call *)ctx)->asked;

	return asked->console(asked->ctx, name);
}

static int asked_capture(void *ctx, const struct capture_want *want)
{
	const struct ctl_hooks *asked = ((struct call *)ctx)->asked;

	return asked->capture(asked->ctx, want);
}

/* In the worker: what the command began has ended. */
static void done_hook(void *ctx, int err, const char *name)
{
	struct call *c = ctx;

	(void)name;
	c->answer->err = err;
	if (err)
		c->answer->len = 0;
	c->answer->logged = err;
	(void)str_copy(c->answer->why, sizeof(c->answer->why), err ? control_why() : "");
	c->is_done = true;
	wait_wake(&c->done);
}

static int run_work(void *ctx)
{
	struct call *c = ctx;

	ctl_run(&c->hooks, c->argc, c->argv, c->answer);
	return 0;
}

static int is_there_work(void *ctx)
{
	return control_find(ctx) != NULL;
}

/* By looking again: control tells `ended` only of domains that end by themselves. */
int service_wait_gone(const char *name)
{
	uint64_t end = time_ns() + GONE_WAIT_MS * NS_PER_MS;

	while (worker_call(is_there_work, (void *)name)) {
		if (time_ns() > end)
			return -XEN_EBUSY;
		thread_sleep_ns(LOOK_MS * NS_PER_MS);
	}
	return 0;
}

/* "destroy a; create a" works: the prompt, or the answer, comes when the name is free. */
void service_run(const struct ctl_hooks *asked, int argc, char **argv, struct ctl_answer *answer)
{
	struct call c = {.asked = asked,
			 .hooks = {.create = create_hook,
				   .console = asked_console,
				   .capture = asked && asked->capture ? asked_capture : NULL,
				   .done = done_hook,
				   .config = config_hook,
				   .ctx = &c},
			 .argc = argc,
			 .argv = argv,
			 .answer = answer};

	(void)worker_call(run_work, &c);
	if (answer->begun)
		WAIT_UNTIL(&c.done, c.is_done);
	if (answer->err || !answer->ending[0])
		return;
	answer->err = service_wait_gone(answer->ending);
	/* It has no exit code, and whoever started the machine waits for one. */
	if (!answer->err)
		console_printf("@domain %s destroyed\n", answer->ending);
	else
		(void)str_copy(answer->why, sizeof(answer->why), "its backends do not let it go");
}

/* ---- for the shell ------------------------------------------------------------------------- */

/* What control found wrong is in the log already, and a wrong use the shell tells. */
static void tell(const char *command, const struct ctl_answer *answer)
{
	console_write(answer->text, answer->len);
	if (answer->err && !answer->logged && !str_starts(answer->why, "usage:"))
		console_printf("%s: %s\n", command, answer->why);
}

static int run_command(int argc, char **argv)
{
	struct ctl_answer answer = {.cap = CTL_ANSWER_MAX, .text = kmalloc(CTL_ANSWER_MAX)};

	if (!answer.text)
		return -XEN_ENOMEM;
	service_run(&of_shell, argc, argv, &answer);
	tell(argv[0], &answer);
	kfree(answer.text, CTL_ANSWER_MAX);
	return answer.err;
}

/* Without a domain's name it is the service domain itself that starts anew, as in any kernel. */
static int reboot(int argc, char **argv)
{
	if (argc > 1)
		return run_command(argc, argv);
	console_drain();
	power_reboot();
}

static const struct shell_command own[] = {
    {"cycle", "NAME N [MS [DISK]]",
     "makes and ends a domain N times, saved and restored between, looks for leaks", service_cycle},
    {"reboot", "[NAME]", "asks a domain to start anew; starts the machine anew", reboot},
};

/* The shell has `help` and `netstat` of its own, and nowhere to put a file. */
static bool is_port_only(const char *name)
{
	static const char *const names[] = {"help", "netstat", "pcap"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Every other command of ctl.h. */
void service_commands_add(void)
{
	static struct shell_command table[COMMANDS_MAX];
	const struct ctl_command *c;
	unsigned n = 0;

	for (unsigned i = 0; (c = ctl_command(i)) && n < COMMANDS_MAX; i++)
		if (!is_port_only(c->name))
			table[n++] =
			    (struct shell_command){c->name, c->usage, c->help, run_command};
	shell_add(table, n);
	shell_add(own, ARRAY_SIZE(own));
}
