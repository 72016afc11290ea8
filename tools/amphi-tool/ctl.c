/* ctl.c: `amphi-tool ctl`: one command to the service domain of a running machine, and its answer.
 *
 * The protocol is amphi/ctl.h's, over the socket of the machine's second serial port, or by TCP. Lines of another
 * asker's tag are passed over. A machine that is still starting has nobody at the port, and drops what comes:
 * so an empty request is sent until it is answered, and the command once after it. `console` makes the
 * terminal that of a guest until Ctrl-]; `pcap` makes a file until Ctrl-C. Called by main.c; calls ctl_socket.c,
 * ctl_file.c.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <amphi/ctl.h>

#define KNOCK_MS 300
#define LOOK_MS  200
/* For the end of a file that was told to end. */
#define LAST_WORDS_S 10
/* The last letter of a tag: what the answer is to. */
#define KNOCK_TAG    'k'
#define COMMAND_TAG  'c'
#define EXIT_REFUSED 1
/* When nobody says how long. */
#define PATIENCE_S 30

static const char usage[] = "usage: amphi-tool ctl [--socket PATH | --tcp HOST:PORT] [--json] "
			    "[--timeout SECONDS] [-o FILE]\n"
			    "                      COMMAND [WORD...]\n"
			    "`amphi-tool ctl help` lists the commands\n";

struct link {
	int fd;
	const char *tcp; /* HOST:PORT; NULL: a socket of this machine */
	char tag[CTL_TAG_MAX];
	double end; /* when there is no more patience */
	bool json;
	bool lasting;  /* nobody said how long: a file has no end but its own */
	bool stopping; /* it was told that it is enough */
	char line[4096];
	size_t len;
	char in[4096]; /* read, and not taken */
	size_t in_at, in_len;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Words go over the line as they are, so that what the line cannot carry is refused here, by name. */
static void make_request(char *out, size_t cap, const struct link *l, int argc, char **argv)
{
	size_t n = (size_t)snprintf(out, cap, "%s%s", l->tag, l->json ? " --json" : "");

	for (int i = 0; i < argc; i++) {
		for (const char *c = argv[i]; *c; c++)
			if (*c <= ' ' || *c > '~')
				fail(EXIT_USAGE,
				     "ctl: '%s': words are of printable ASCII without blanks",
				     argv[i]);
		if (!argv[i][0])
			fail(EXIT_USAGE, "ctl: an empty word");
		n += (size_t)snprintf(out + n, cap - n, " %s", argv[i]);
		if (n >= cap)
			fail(EXIT_USAGE, "ctl: the command is longer than %u characters",
			     CTL_LINE_MAX - CTL_TAG_MAX - 8);
	}
}

/* The other end is not there any more. A forwarded TCP port is there before the machine behind it listens: while we knock, it is tried
 * again. */
static void lost(struct link *l)
{
	if (!l->tcp || l->tag[strlen(l->tag) - 1] != KNOCK_TAG || now() >= l->end)
		fail(EXIT_LOST, "ctl: the machine has gone");
	usleep(KNOCK_MS * 1000);
	close(l->fd);
	l->fd = ctl_tcp_connect(l->tcp);
	l->len = l->in_at = l->in_len = 0;
}

/* A reset byte first: who was here before us may have left half a line. */
static void send_line(struct link *l, const char *text)
{
	char bytes[CTL_LINE_MAX + 4];
	int n = snprintf(bytes, sizeof(bytes), "%c%s\n", CTL_BYTE_RESET, text);

	for (int at = 0; at < n;) {
		ssize_t done = l->fd < 0 ? -1 : write(l->fd, bytes + at, (size_t)(n - at));

		if (done <= 0)
			return lost(l);
		at += (int)done;
	}
}

/* ---- answers -------------------------------------------------------------------------------- */

/* What has come and was not taken is as good as what poll tells of. */
static bool has_byte(const struct link *l)
{
	return l->in_at < l->in_len;
}

/* False: the other end has gone. */
static bool take_byte(struct link *l, char *out)
{
	ssize_t n;

	if (!has_byte(l)) {
		n = read(l->fd, l->in, sizeof(l->in));
		l->in_at = 0;
		l->in_len = n > 0 ? (size_t)n : 0;
	}
	if (!has_byte(l))
		return false;
	*out = l->in[l->in_at++];
	return true;
}

/* One line, without its end; false: none within ms. */
static bool read_line(struct link *l, int ms)
{
	double until = now() + ms / 1000.0;
	char c;

	for (;;) {
		struct pollfd p = {.fd = l->fd, .events = POLLIN};
		double left = until - now();

		if (!has_byte(l) && (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) <= 0))
			return false;
		if (!take_byte(l, &c)) {
			lost(l);
			return false;
		}
		if (c == '\n' || l->len == sizeof(l->line) - 1)
			break;
		l->line[l->len++] = c;
	}
	l->line[l->len] = '\0';
	l->len = 0;
	return true;
}

/* What stands behind our tag, and which of the protocol's kinds it is; NULL: not for us. */
static const char *ours(const struct link *l, char *out_kind)
{
	size_t len = strlen(l->tag);

	if (strncmp(l->line, l->tag, len) || !strchr(">.!~=", l->line[len]) || !l->line[len])
		return NULL;
	*out_kind = l->line[len];
	return l->line + len + 1 + (l->line[len + 1] == ' ');
}

static void json_string(const char *text, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			putchar('\\');
		putchar(text[i] < ' ' ? '?' : text[i]);
	}
	putchar('"');
}

/* "ENOENT g: no such domain" */
static int refused(const struct link *l, const char *text)
{
	size_t name = strcspn(text, " ");
	const char *why = text + name + (text[name] == ' ');

	if (!l->json) {
		warn("ctl: %s (%.*s)", why, (int)name, text);
		return EXIT_REFUSED;
	}
	printf("{\"error\":");
	json_string(text, name);
	printf(",\"message\":");
	json_string(why, strlen(why));
	printf("}\n");
	return EXIT_REFUSED;
}

/* Any answer to an empty request is a sign that somebody is there. */
static void knock(struct link *l)
{
	char kind;

	while (now() < l->end) {
		send_line(l, l->tag);
		/* A slow machine may answer several knocks, the last of them after the command. */
		while (read_line(l, KNOCK_MS))
			if (ours(l, &kind) && kind != '>') {
				l->tag[strlen(l->tag) - 1] = COMMAND_TAG;
				return;
			}
	}
	fail(EXIT_TIMEOUT, "ctl: nobody answers at the machine's control port");
}

/* ---- a guest's console ---------------------------------------------------------------------- */

static struct termios before;
static bool is_terminal;

static void restore_terminal(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Keys go to the guest one by one, Ctrl-C too. Put back however we end. */
static void take_terminal(void)
{
	struct termios raw;

	is_terminal = !tcgetattr(STDIN_FILENO, &before);
	if (!is_terminal)
		return;
	raw = before;
	cfmakeraw(&raw);
	atexit(restore_terminal);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs("-- Ctrl-] leaves the console --\r\n", stderr);
}

/* Guests end lines as they like; a raw terminal wants both. False: the end has come. */
static bool show_bytes(const char *bytes, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == CTL_BYTE_RESET)
			return false;
		if (bytes[i] == '\n' && is_terminal)
			putchar('\r');
		putchar(bytes[i]);
	}
	fflush(stdout);
	return true;
}

/* What is typed; false when there is no more to come. Ctrl-] goes as what it is: the protocol's end. */
static bool send_typed(const struct link *l)
{
	char bytes[256];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n <= 0)
		return false;
	if (write(l->fd, bytes, (size_t)n) != n)
		fail(EXIT_LOST, "ctl: the machine has gone");
	return true;
}

/* One byte at a time: behind the one that ends it there is a line, which read_line wants. Without a
 * terminal it lasts as long as --timeout says; with one, until somebody leaves it. */
static void be_console(struct link *l)
{
	const char reset = CTL_BYTE_RESET;
	bool typing = true, ending = false;
	char byte;

	take_terminal();
	for (;;) {
		struct pollfd p[2] = {{.fd = l->fd, .events = POLLIN},
				      {.fd = typing ? STDIN_FILENO : -1, .events = POLLIN}};
		double left = l->end - now();
		int ms = has_byte(l) || (!is_terminal && left <= 0) ? 0
			 : is_terminal                              ? -1
								    : (int)(left * 1000) + 1;
		int ready = poll(p, 2, ms);

		ready += has_byte(l);
		if (ready == 0 && ending)
			fail(EXIT_TIMEOUT, "ctl: the console does not end");
		if (ready == 0) {
			ending = true;
			l->end = now() + 5;
			if (write(l->fd, &reset, 1) != 1)
				fail(EXIT_LOST, "ctl: the machine has gone");
			typing = false;
		}
		if (p[1].revents)
			typing = send_typed(l);
		if (!p[0].revents && !has_byte(l))
			continue;
		if (!take_byte(l, &byte))
			fail(EXIT_LOST, "ctl: the machine has gone");
		if (!show_bytes(&byte, 1))
			break;
	}
	l->end = now() + 5;
}

/* ---- the whole answer ----------------------------------------------------------------------- */

/* A file is enough when somebody says so, or when nobody reads it any more, or at the end of our time. False: there is
 * no patience left. */
static bool goes_on(struct link *l)
{
	const char reset = CTL_BYTE_RESET;
	bool late = now() >= l->end && !l->lasting;

	if (l->stopping || !ctl_file_begun())
		return now() < l->end;
	if (!late && !ctl_file_enough())
		return true;
	l->stopping = true;
	l->end = now() + LAST_WORDS_S;
	return write(l->fd, &reset, 1) == 1;
}

/* Until the answer's end. What is said beside a file goes where it is no part of it. */
static int show_answer(struct link *l)
{
	while (goes_on(l)) {
		const char *text;
		char kind;

		if (!read_line(l, LOOK_MS))
			continue;
		text = ours(l, &kind);
		if (!text)
			continue;
		if (kind == '=') {
			ctl_file_piece(text);
			continue;
		}
		if (kind == '!')
			return refused(l, text);
		if (kind == '.')
			return 0;
		if (kind == '~')
			be_console(l);
		else
			fprintf(ctl_file_begun() ? stderr : stdout, "%s\n", text);
	}
	fail(EXIT_TIMEOUT, "ctl: no answer in time");
}

/* ---- the command ---------------------------------------------------------------------------- */

enum { OPT_SOCKET = 1, OPT_TCP, OPT_JSON, OPT_TIMEOUT };

static unsigned seconds(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || !n || n > 100000)
		fail(EXIT_USAGE, "ctl: --timeout: '%s' is not a number of seconds", text);
	return (unsigned)n;
}

/* What of the options is not the link's own. */
struct asked {
	const char *socket_path;
	const char *file; /* NULL: standard output */
	unsigned timeout_s;
};

/* Options stand before the command: what follows is its own ("+" ends getopt there). False: not to be understood. */
static bool take_options(int argc, char **argv, struct link *l, struct asked *out)
{
	static const struct option options[] = {{"socket", required_argument, NULL, OPT_SOCKET},
						{"tcp", required_argument, NULL, OPT_TCP},
						{"json", no_argument, NULL, OPT_JSON},
						{"timeout", required_argument, NULL, OPT_TIMEOUT},
						{NULL, 0, NULL, 0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		if (opt == OPT_SOCKET)
			out->socket_path = optarg;
		else if (opt == OPT_TCP)
			l->tcp = optarg;
		else if (opt == OPT_JSON)
			l->json = true;
		else if (opt == 'o')
			out->file = optarg;
		else if (opt == OPT_TIMEOUT)
			out->timeout_s = seconds(optarg);
		else
			return false;
	}
	return optind < argc;
}

static int connect_to(const struct link *l, const char *path)
{
	int fd = l->tcp ? ctl_tcp_connect(l->tcp)
		 : path ? ctl_socket_connect(path)
			: ctl_socket_find();

	if (fd < 0 && !l->tcp)
		fail(EXIT_NO_QEMU, "ctl: %s: %s", path, strerror(errno));
	return fd;
}

int ctl_main(int argc, char **argv)
{
	struct asked asked = {.socket_path = getenv("AMPHI_CTL")};
	struct link l = {.fd = -1};
	char request[CTL_LINE_MAX];

	if (!take_options(argc, argv, &l, &asked))
		return fputs(usage, stderr), EXIT_USAGE;
	/* Different from those that others have used a moment ago. */
	snprintf(l.tag, sizeof(l.tag), "%x%03x%c", (unsigned)getpid(), (unsigned)time(NULL) & 0xfff,
		 COMMAND_TAG);
	make_request(request, sizeof(request), &l, argc - optind, argv + optind);
	ctl_file_prepare(asked.file, !strcmp(argv[optind], "pcap"));
	l.tag[strlen(l.tag) - 1] = KNOCK_TAG;
	l.lasting = !asked.timeout_s;
	l.end = now() + (asked.timeout_s ? asked.timeout_s : PATIENCE_S);
	l.fd = connect_to(&l, asked.socket_path);
	knock(&l);
	send_line(&l, request);
	return ctl_file_end(show_answer(&l));
}
