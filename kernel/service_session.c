/* service_session.c: what a service domain does with somebody who gives it commands: lines in, answers out.
 *
 * The protocol is amphi/ctl.h's. A thread of the way's makes lines of the bytes, has each run to its end and writes the answer; for a while
 * the session may be a guest's console, or send what passes at an interface. Callers: service_ctl.c, service_ctl_tcp.c.
 * Calls ctl.h, capture.h, service_commands.c, service_console.c.
 *
 *      lines --console--> a guest's bytes both ways --RESET, or the guest has ended--> lines
 *        '-----pcap-----> pieces of a file out -------RESET, or it is whole----------> lines
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "service_session.h"
#include "time.h"
#include "wall_clock.h"
#include "worker.h"

#define POLL_NS (20 * NS_PER_MS)
/* Pieces of a file that go out before it is looked whether the asker has had enough. */
#define PIECES_MAX 16u

/* ---- input ---------------------------------------------------------------------------------- */

size_t session_input(struct session *s, const uint8_t *bytes, size_t len)
{
	size_t i = 0;

	for (; i < len && s->written - s->taken < s->ring_bytes; i++)
		s->ring[s->written++ % s->ring_bytes] = bytes[i];
	wait_wake(&s->filled);
	return i;
}

void session_end(struct session *s)
{
	s->gone = true;
	wait_wake(&s->filled);
}

static bool is_empty(const struct session *s)
{
	return s->written == s->taken;
}

/* [waits] for a byte; false: the session has gone, or what is done meanwhile (NULL: lines) wants to be looked at. */
static bool take_byte(struct session *s, bool (*over)(const struct session *s), uint8_t *out)
{
	for (; s->polled; thread_sleep_ns(POLL_NS)) {
		s->way->poll(s);
		if (!is_empty(s) || s->gone || (over && over(s)))
			break;
	}
	WAIT_UNTIL(&s->filled, !is_empty(s) || s->gone || (over && over(s)));
	if (s->gone || (over && over(s)))
		return false;
	*out = s->ring[s->taken++ % s->ring_bytes];
	s->heard_ns = time_ns();
	if (s->way->taken)
		s->way->taken(s);
	return true;
}

static void put(void *ctx, const char *text, size_t len)
{
	struct session *s = ctx;

	if (!s->gone)
		s->way->put(s, text, len);
}

static void put_text(struct session *s, const char *text)
{
	put(s, text, strlen(text));
}

/* ---- a guest's console ---------------------------------------------------------------------- */

/* In the worker, as the next: what the guest writes. */
static void write_watched(void *ctx, const char *bytes, size_t len)
{
	struct session *s = ctx;
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != CTL_BYTE_RESET)
			continue;
		s->way->put_now(s, bytes + from, i - from);
		s->way->put_now(s, "?", 1);
		from = i + 1;
	}
	s->way->put_now(s, bytes + from, len - from);
}

static void watched_gone(void *ctx)
{
	struct session *s = ctx;

	s->watching = false;
	wait_wake(&s->filled);
}

static bool is_unwatched(const struct session *s)
{
	return !s->watching;
}

/* The command's part: the session is given away when the answer has begun. */
static int want_console(void *ctx, const char *name)
{
	struct session *s = ctx;

	(void)str_copy(s->guest, sizeof(s->guest), name);
	return control_find(name) ? 0 : -XEN_ENOENT;
}

static int watch_work(void *ctx)
{
	struct session *s = ctx;
	int err;

	s->watcher = (struct console_watcher){write_watched, watched_gone, s};
	err = consoles_watch(s->guest, &s->watcher);
	s->watching = !err;
	return err;
}

static int unwatch_work(void *ctx)
{
	struct session *s = ctx;

	consoles_unwatch(&s->watcher);
	s->watching = false;
	return 0;
}

struct typed {
	struct session *s;
	uint8_t byte;
};

static int type_work(void *ctx)
{
	const struct typed *t = ctx;

	consoles_type(&t->s->watcher, t->byte);
	return 0;
}

/* Until the asker or the guest ends it. What was typed and not taken is forgotten, or it would be read as
 * a command. */
static void be_console(struct session *s, const char *tag)
{
	static const char reset = CTL_BYTE_RESET;
	struct typed t = {.s = s};

	put_text(s, tag);
	put_text(s, "~\n");
	(void)worker_call(watch_work, s); /* one that has gone meanwhile is at its end already */
	while (take_byte(s, is_unwatched, &t.byte) && t.byte != CTL_BYTE_RESET)
		(void)worker_call(type_work, &t);
	if (!s->watching)
		s->taken = s->written;
	(void)worker_call(unwatch_work, s);
	put(s, &reset, 1);
}

/* ---- what passes at an interface --------------------------------------------------------------- */

static void on_news(void *ctx)
{
	struct session *s = ctx;

	s->news = true;
	wait_wake(&s->filled);
}

/* What was typed comes first: under load there is always something new. */
static bool has_news(const struct session *s)
{
	return s->news && is_empty(s);
}

/* The command's part. It is opened at once, so that what cannot be is the command's refusal. */
static int want_capture(void *ctx, const struct capture_want *want)
{
	struct session *s = ctx;
	const char *told_by;

	s->want = *want;
	s->want.epoch_ns = wall_clock_ns(&told_by) - time_ns();
	return capture_open(&s->want, on_news, s, &s->capture);
}

struct reading {
	struct session *s;
	uint8_t bytes[CTL_PIECE_BYTES];
	size_t len;
	struct capture_state state;
};

static int read_work(void *ctx)
{
	struct reading *r = ctx;

	r->s->news = false;
	r->len = capture_read(r->s->capture, r->bytes, sizeof(r->bytes));
	capture_look(r->s->capture, &r->state);
	return 0;
}

static int stop_work(void *ctx)
{
	struct session *s = ctx;

	capture_stop(s->capture);
	return 0;
}

static int close_work(void *ctx)
{
	struct session *s = ctx;

	capture_close(s->capture);
	s->capture = NULL;
	return 0;
}

/* RFC 4648, 4. to has room for 4 characters for each 3 bytes, the last of which may be two or one. */
static size_t base64(const uint8_t *bytes, size_t len, char *to)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16 |
				 (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (i + 2 < len ? bytes[i + 2] : 0);

		to[n++] = digits[three >> 18];
		to[n++] = digits[three >> 12 & 63];
		to[n++] = i + 1 < len ? digits[three >> 6 & 63] : '=';
		to[n++] = i + 2 < len ? digits[three & 63] : '=';
	}
	return n;
}

/* One line, in one piece. */
static void put_piece(struct session *s, const char *tag, const struct reading *r)
{
	char line[CTL_TAG_MAX + 4 + CTL_PIECE_BYTES / 3 * 4];
	size_t n = fmt_text(line, sizeof(line), "%s= ", tag);

	n += base64(r->bytes, r->len, line + n);
	line[n++] = '\n';
	put(s, line, n);
}

/* Some of what is there; false: all of it is out, and no more comes. */
static bool send_pieces(struct session *s, const char *tag, struct reading *r)
{
	for (unsigned i = 0; i < PIECES_MAX && !s->gone; i++) {
		(void)worker_call(read_work, r);
		if (!r->len)
			return !r->state.ended;
		put_piece(s, tag, r);
	}
	s->news = true;
	return true;
}

/* Until the asker has enough, or the file is whole; what was kept until then still goes out, so that the file ends with a
 * whole frame. Other bytes than RESET are nothing. */
static void be_capture(struct session *s, const char *tag)
{
	struct reading r = {.s = s};
	uint8_t byte = 0;

	while (send_pieces(s, tag, &r) && !s->gone) {
		if (take_byte(s, has_news, &byte) && byte == CTL_BYTE_RESET) {
			(void)worker_call(stop_work, s);
			s->news = true;
		}
	}
	s->answer.len =
	    fmt_text(s->answer.text, s->answer.cap, "%llu frames, %llu dropped\n",
		     (unsigned long long)r.state.frames, (unsigned long long)r.state.dropped);
	(void)worker_call(close_work, s);
	put_text(s, tag);
	put_text(s, "> ");
	put(s, s->answer.text, s->answer.len);
	s->answer.len = 0;
	if (!r.state.gone)
		return;
	s->answer.err = -XEN_ENODEV;
	fmt_text(s->answer.why, sizeof(s->answer.why), "%s has gone", s->want.name);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void obey(struct session *s)
{
	const struct ctl_hooks hooks = {.console = want_console, .capture = want_capture, .ctx = s};
	struct ctl_answer *answer = &s->answer;
	struct ctl_request request;

	answer->len = 0;
	answer->err = ctl_parse(s->in.line, &request, answer->why);
	s->guest[0] = 0;
	if (s->in.too_long) {
		answer->err = -XEN_E2BIG;
		(void)str_copy(answer->why, sizeof(answer->why), "the line is too long");
	}
	if (!answer->err)
		service_run(&hooks, request.argc, request.argv, answer);
	if (!answer->err && s->guest[0])
		be_console(s, request.tag);
	if (s->capture)
		be_capture(s, request.tag);
	ctl_reply(request.tag, answer, put, s);
	s->heard_ns = time_ns();
}

void session_run(struct session *s)
{
	uint8_t byte;

	s->heard_ns = time_ns();
	while (take_byte(s, NULL, &byte))
		if (ctl_input_byte(&s->in, byte))
			obey(s);
}
