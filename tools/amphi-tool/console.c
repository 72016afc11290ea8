/* console.c: follows the one serial line on which hypervisor and domains speak.
 *
 * Lines arrive as "[hv] ...", "[NAME] ..." or, from the service domain itself, without a name; all are
 * printed with one. Lines that begin with '@' after the name are reports for us:
 *	@domain NAME exit CODE		(service domain only) the end of a domain
 *	@domain NAME destroyed		(the same) by somebody's command: counts as 0
 *	@stat KEY=VALUE ...		kept for --stats, not printed
 * A guest cannot speak for another: its lines carry the name the service domain put there.
 */
#include "tool.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A longer line is taken in pieces, the later ones as the service domain's; no kernel of ours
 * writes any. */
#define LINE_MAX_BYTES 4096u

/* One line is collected at a time: QEMU's pipe gives bytes as they come, many lines or half of one.
 */
struct follower {
	struct plan *plan;
	FILE *stats;
	char line[LINE_MAX_BYTES];
	size_t len;
};

/* Splits "[name] rest" when name is one we know; otherwise it is the service domain's line.
 * Anything else in brackets is text: a domain may print "[x] " at its own line's beginning, but
 * that stands behind its name, which the service domain put first. */
static const char *speaker(const struct plan *plan, const char *line, const char **out_rest)
{
	const char *end = line[0] == '[' ? strstr(line, "] ") : NULL;
	size_t len = end ? (size_t)(end - line) - 1 : 0;

	*out_rest = line;
	if (!end && line[0] == '[' &&
	    line[strlen(line) - 1] == ']') { /* an empty line of a domain */
		end = line + strlen(line) - 1;
		len = (size_t)(end - line) - 1;
	}
	if (!end)
		return SERVICE;
	if (len == 2 && !strncmp(line + 1, "hv", 2)) {
		*out_rest = end + (end[1] ? 2 : 1);
		return "hv";
	}
	for (unsigned i = 0; i < plan->n_domains; i++) {
		const char *name = plan->domains[i].config.name;

		if (strlen(name) == len && !strncmp(line + 1, name, len)) {
			*out_rest = end + (end[1] ? 2 : 1);
			return name;
		}
	}
	return SERVICE;
}

/* Read only from the service domain's lines: a guest that prints the same has its own name before
 * it. */
static void note_exit(struct plan *plan, const char *report)
{
	char name[CONFIG_NAME_MAX], word[16];
	unsigned code = 0;
	int n = sscanf(report, "@domain %63s %15s %u", name, word, &code);

	if (!(n == 3 && !strcmp(word, "exit")) && !(n == 2 && !strcmp(word, "destroyed")))
		return;
	for (unsigned i = 0; i < plan->n_domains; i++) {
		struct domain_file *d = &plan->domains[i];

		if (strcmp(d->config.name, name))
			continue;
		d->ended = true;
		d->exit_code = code;
	}
}

/* QEMU's line ends are CR LF, and a guest may add CRs of its own. Each line is shown at once:
 * somebody watches, or a test waits for it. */
static void take_line(struct follower *f)
{
	const char *rest, *who;

	while (f->len && f->line[f->len - 1] == '\r')
		f->len--;
	f->line[f->len] = '\0';
	f->len = 0;
	who = speaker(f->plan, f->line, &rest);
	if (rest[0] == '@' && f->stats)
		fprintf(f->stats, "%s %s\n", who, rest);
	if (!strcmp(who, SERVICE))
		note_exit(f->plan, rest);
	if (strncmp(rest, "@stat ", 6)) {
		printf("[%s] %s\n", who, rest);
		fflush(stdout);
	}
}

/* A NUL from a domain cuts its own line when it is printed, and no more. */
static void take_bytes(struct follower *f, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || f->len == LINE_MAX_BYTES - 1)
			take_line(f);
		if (bytes[i] != '\n')
			f->line[f->len++] = bytes[i];
	}
}

/* Not the wall clock, which may be set while a machine runs. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Until QEMU closes its end of the pipe, which is when it ends, or the time is over. */
bool console_follow(struct plan *plan, int fd, unsigned timeout_s)
{
	struct follower f = {.plan = plan};
	double end = now() + timeout_s;
	char bytes[4096];

	if (plan->options->stats_file && !(f.stats = fopen(plan->options->stats_file, "w")))
		fail(EXIT_CONFIG, "cannot write %s", plan->options->stats_file);
	for (;;) {
		double left = end - now();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (timeout_s && left <= 0)
			return false;
		/* A poll that is interrupted, or over, asks again: the time is looked at above. */
		if (poll(&p, 1, timeout_s ? (int)(left * 1000) + 1 : -1) <= 0)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			break;
		take_bytes(&f, bytes, (size_t)n);
	}
	/* A machine that died in the middle of a line. */
	if (f.len)
		take_line(&f);
	if (f.stats)
		fclose(f.stats);
	return true;
}
