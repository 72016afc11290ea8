/* ctl_file.c: what `amphi-tool ctl pcap` makes of its answer: a file, or bytes for the program behind a pipe.
 *
 * Pieces come in base64 (amphi/ctl.h). Ctrl-C, and a reader that has gone, end the file where it is; the control port is told by
 * ctl.c, which asks here. Knows nothing of what is in the file.
 */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <amphi/ctl.h>

static struct {
	FILE *to;
	const char *name;
	bool begun;
	volatile sig_atomic_t enough;
} file;

static void on_signal(int number)
{
	(void)number;
	file.enough = 1;
}

/* expected: the command's answer will be a file. What is in the way is said before the machine is asked. */
void ctl_file_prepare(const char *name, bool expected)
{
	if (name && !expected)
		fail(EXIT_USAGE, "ctl: -o: this command makes no file");
	if (!expected)
		return;
	if (!name && isatty(STDOUT_FILENO))
		fail(EXIT_USAGE, "ctl: a terminal can do nothing with the file: say -o FILE, or "
				 "send it elsewhere");
	file.name = name ? name : "standard output";
	file.to = name ? fopen(name, "wb") : stdout;
	if (!file.to)
		fail(EXIT_CONFIG, "ctl: %s: %s", name, strerror(errno));
}

/* The first piece. Until then Ctrl-C ends the program, as ever. */
static void begin(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	file.begun = true;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* What is no base64 ends it: the line has lost bytes, and no file is better than a wrong one. */
static size_t decode(const char *text, uint8_t *out)
{
	unsigned held = 0, bits = 0;
	size_t n = 0;

	for (; *text && *text != '='; text++) {
		if (digit(*text) < 0 || n == CTL_PIECE_BYTES)
			fail(EXIT_LOST, "ctl: a piece of the file is broken");
		held = held << 6 | (unsigned)digit(*text);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(held >> bits);
		}
	}
	return n;
}

/* Each piece goes on at once: who is behind a pipe looks on. */
void ctl_file_piece(const char *text)
{
	uint8_t bytes[CTL_PIECE_BYTES + 1];
	size_t n = decode(text, bytes);

	if (!file.begun)
		begin();
	if (!file.to || fwrite(bytes, 1, n, file.to) != n || fflush(file.to))
		file.enough = 1;
}

bool ctl_file_begun(void)
{
	return file.begun;
}

bool ctl_file_enough(void)
{
	return file.enough;
}

/* The exit status, by what the command's was. */
int ctl_file_end(int status)
{
	if (file.to && (ferror(file.to) || fclose(file.to))) {
		if (errno == EPIPE)
			return status;
		fail(EXIT_CONFIG, "ctl: %s: %s", file.name, strerror(errno));
	}
	return status;
}
