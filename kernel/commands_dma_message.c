/* commands_dma_message.c: the shell's command that has a device send an interrupt that is not its own, and says whether it came.
 *
 * Caller: shell.c. Calls drivers.h in the worker. An NVMe controller of this domain's has its own message, by which it is seen that one comes at all,
 * replaced by one that is another controller's of ours, nobody's, or of the form in which processor and vector are told to everybody. What comes is counted
 * for the vectors of ours that could; what was nobody's has nowhere to come to.
 */
#include <amphi/drivers.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "shell.h"
#include "worker.h"

#define LISTENERS   4u
#define NEW_FORM    0x10u      /* of an address: VT-d 5.1.2.2 */
#define INDEX(n)    ((n) << 5) /* there */
#define INDEX_OF(a) ((a) >> 5 & 0xffu)
#define OLD_FORM    0xfee00000u
#define NOBODYS     0x1fu /* the vectors of exceptions are given to no device */

struct listener {
	uint16_t bdf;
	unsigned count;
	struct nvme_message message;
};

struct sending {
	uint16_t bdf, whose;
	const char *what;
};

static struct listener listeners[LISTENERS];
static unsigned n_listeners;

static int listen(uint16_t bdf, struct listener **out)
{
	struct listener *l = listeners;
	int err;

	while (l < listeners + n_listeners && l->bdf != bdf)
		l++;
	*out = l;
	if (l < listeners + n_listeners)
		return 0;
	if (n_listeners == LISTENERS)
		return -XEN_ENOSPC;
	err = nvme_listen(bdf, &l->count, &l->message);
	if (!err) {
		l->bdf = bdf;
		n_listeners++;
	}
	return err;
}

/* The entry's number is in the address (VT-d) or in the data (AMD-Vi, where there is one form). */
static struct nvme_message message_of(const char *what, const struct listener *l)
{
	bool vtd = l->message.address & NEW_FORM;

	if (!strcmp(what, "nobodys") && vtd)
		return (struct nvme_message){OLD_FORM | NEW_FORM | INDEX(NOBODYS), 0};
	if (!strcmp(what, "nobodys"))
		return (struct nvme_message){l->message.address, NOBODYS};
	if (!strcmp(what, "old") && vtd)
		return (struct nvme_message){OLD_FORM, INDEX_OF(l->message.address)};
	return l->message;
}

static int send(void *ctx)
{
	const struct sending *s = ctx;
	struct nvme_message message;
	struct listener *l;
	int err = listen(s->whose, &l);

	if (err)
		return err;
	message = message_of(s->what, l);
	l->count = 0;
	return nvme_send_message(s->bdf, &message);
}

/* After what the worker had to do meanwhile: it counts, too. */
static int say_count(void *ctx)
{
	const struct sending *s = ctx;
	struct listener *l;
	int err = listen(s->whose, &l);

	if (!err)
		console_printf("@dma-message %s: %s\n", s->what,
			       l->count ? "it came" : "nothing came");
	return err;
}

static bool is_known(const char *what)
{
	return !strcmp(what, "own") || !strcmp(what, "nobodys") || !strcmp(what, "old");
}

static int message_command(int argc, char **argv)
{
	struct sending s = {0};
	int err;

	if (argc < 3 || !commands_bdf(argv[1], &s.bdf))
		return -XEN_EINVAL;
	s.whose = s.bdf;
	s.what = argv[2];
	if (!strcmp(s.what, "other") ? argc != 4 || !commands_bdf(argv[3], &s.whose)
				     : argc != 3 || !is_known(s.what))
		return -XEN_EINVAL;
	err = worker_call(send, &s);
	return err ? err : worker_call(say_count, &s);
}

void commands_dma_message_add(void)
{
	static const struct shell_command table[] = {
	    {"dma-message", "BUS:DEV.FN own|nobodys|old|other BUS:DEV.FN",
	     "has an NVMe controller send an interrupt that is not its own", message_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}
