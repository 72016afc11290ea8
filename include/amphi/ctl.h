/* ctl.h: commands on domains as people and scripts give them: a line in, lines out.
 *
 * Callers: the service domain's shell (kernel/service_commands.c), and whoever commands it from outside
 * (kernel/service_session.c); tests, a fuzzer.
 * Implemented by control/ctl*.c over control.h. The commands are rows of control/ctl_commands.c; each is
 * run in the worker context and waits for nothing. ctl_parse and ctl_reply are pure.
 *
 * The control port's protocol is lines of printable ASCII, ended by a newline (a carriage return before it
 * is passed over). TAG, one to CTL_TAG_MAX - 1 letters and digits, is the asker's and tells its answer from
 * what an asker before it has left unread:
 *
 *	asker                                 service domain
 *	TAG [--json] COMMAND [WORD...]  --->
 *	                                <---  TAG> LINE          any number: the answer
 *	                                <---  TAG.               the end: done
 *	                                or    TAG! ERROR TEXT    the end: refused; ERROR is a name as ENOENT
 *
 * The command `console` makes the port that of a guest for a while: bytes go both ways as they are, except
 * CTL_BYTE_RESET, which ends it from either side (a guest's own is given as '?').
 *
 *	TAG console NAME                --->
 *	                                <---  TAG~               then the guest's bytes
 *	bytes typed at the guest        --->
 *	CTL_BYTE_RESET                  --->                     unless the guest ends before
 *	                                <---  CTL_BYTE_RESET TAG.
 *
 * The command `pcap` is answered with the pieces of a file (capture.h), in base64 of CTL_PIECE_BYTES each but the last, until
 * the asker sends CTL_BYTE_RESET, or the file is whole:
 *
 *	TAG pcap NAME                   --->
 *	                                <---  TAG= BASE64        any number
 *	CTL_BYTE_RESET                  --->                     unless it ends before
 *	                                <---  TAG> N frames, N dropped
 *	                                <---  TAG.               or TAG! ENODEV TEXT: the interface has gone
 *
 * A line that has no TAG is answered under the tag "?". One that is too long is refused whole.
 * With --json, the LINEs are one JSON document: an array of objects with the keys of ctl_commands.c, which
 * stay what they are, or {"ok":true}. Errors: each names the thing that is wrong.
 */
#ifndef AMPHI_CTL_H
#define AMPHI_CTL_H

#include <amphi/capture.h>
#include <amphi/control.h>

#define CTL_LINE_MAX    256u /* with the NUL */
#define CTL_TAG_MAX     17u
#define CTL_WORDS_MAX   8u
#define CTL_WHY_MAX     200u
#define CTL_PIECE_BYTES 720u   /* a multiple of 3: 960 characters */
#define CTL_ANSWER_MAX  32768u /* 32 domains with room to spare */

/* What commands ask of the service domain beyond control.h. */
struct ctl_hooks {
	/* Makes the domain of this name of the boot modules; control_why() then has the fault. */
	int (*create)(void *ctx, const char *name);
	/* Gives it the terminal, or makes ready to give it the port. -XEN_ENOENT. */
	int (*console)(void *ctx, const char *name);
	/* Makes ready to send what passes at an interface. NULL: only a control port can. */
	int (*capture)(void *ctx, const struct capture_want *want);
	/* What a command has begun (ctl_answer's begun) has ended, as control.h says. */
	control_done_fn *done;
	/* The file of a domain of the boot modules, as `create` reads it; control_why() has the fault. */
	int (*config)(void *ctx, const char *name, struct domain_config *out);
	void *ctx;
};

struct ctl_request {
	char tag[CTL_TAG_MAX]; /* "?" when there was none */
	int argc;
	char *argv[CTL_WORDS_MAX + 1]; /* into the line; NULL behind the last */
};

struct ctl_answer {
	/* IN: where the lines go, each ended by a newline */
	char *text;
	size_t cap;
	/* OUT */
	size_t len;
	int err;               /* 0 or a negative XEN_Exxx */
	char why[CTL_WHY_MAX]; /* of err; "" without one */
	bool logged;           /* why is in the log as well */
	bool begun;            /* the command is done when `done` is called, once */
	char
	    ending[CONFIG_NAME_MAX]; /* the command is done when this domain is gone; "": at once */
	/* control/ctl*.c's */
	bool json, cut;
	unsigned rows;
};

struct ctl_command {
	const char *name, *usage, *help;
};

/* The commands in their order; NULL behind the last. */
const struct ctl_command *ctl_command(unsigned i);

/* Worker. argv[0] is a command's name; --json may stand anywhere behind it. The words are not kept. */
void ctl_run(const struct ctl_hooks *hooks, int argc, char **argv, struct ctl_answer *out);

/* Cuts the line (ended by NUL, without its newline) into a request. 0, or a negative XEN_Exxx with the
 * reason in why (CTL_WHY_MAX); tag is valid in any case. */
int ctl_parse(char *line, struct ctl_request *out, char *why);

/* Calls write with each piece of the reply to a request, the end included. */
void ctl_reply(const char *tag, const struct ctl_answer *answer,
	       void (*write)(void *ctx, const char *text, size_t len), void *ctx);

/* ---- lines from bytes ------------------------------------------------------------------- */

struct ctl_input {
	char line[CTL_LINE_MAX];
	size_t len;
	bool too_long;
};

#define CTL_BYTE_RESET 0x1d /* forgets the line begun: an asker sends it first */

/* One byte more. True: line is whole, ended by NUL, until the next call. A line that is too long is given
 * as what fits of it, with too_long set. */
bool ctl_input_byte(struct ctl_input *in, uint8_t byte);

#endif
