/* iperf.c: iperf3's control connection, and the streams that it is about.
 *
 * Contract: iperf.h. Callers: the shell's command iperf, tests. Calls host_tcp.h and iperf_json.c. Both roles are here, since each is the
 * other's mirror:
 *
 *   client                                server
 *   connects, cookie             ---->
 *                                <----    PARAM_EXCHANGE
 *   parameters                   ---->
 *                                <----    CREATE_STREAMS
 *   connects for each stream     ---->
 *                                <----    TEST_START, TEST_RUNNING
 *   [data, one way or the other]
 *   TEST_END                     ---->
 *                                <----    EXCHANGE_RESULTS
 *   results                      ---->
 *                                <----    results, DISPLAY_RESULTS
 *   IPERF_DONE                   ---->
 */
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/string.h>

#include "iperf.h"
#include "port.h"

enum {
	TEST_START = 1,
	TEST_RUNNING = 2,
	TEST_END = 4,
	PARAM_EXCHANGE = 9,
	CREATE_STREAMS = 10,
	EXCHANGE_RESULTS = 13,
	DISPLAY_RESULTS = 14,
	IPERF_DONE = 16,
	ACCESS_DENIED = 0xff,
};

#define COOKIE_BYTES 37u /* 36 letters and a NUL */
#define JSON_MAX     8192u
#define DATA_PAGES   8u
#define NS_PER_S     1000000000ull
/* Nobody measures longer by mistake than this; a server's client may ask for what it likes below. */
#define SECONDS_MAX 86400u

struct stream {
	struct iperf *iperf;
	struct host_tcp *tcp;
	unsigned cookie_got; /* a server's: of the first bytes */
	uint64_t bytes;
};

/* What the next bytes of the control connection are. */
enum want { WANT_COOKIE, WANT_STATE, WANT_LENGTH, WANT_JSON };

struct iperf {
	bool is_server, running, over;
	struct host_tcp_listener *listener;
	struct host_tcp *control;
	struct host_tcp *refused; /* one at a time is told why */
	uint16_t port;
	char name[256];
	char cookie[COOKIE_BYTES];
	enum want want;
	uint32_t need, have; /* bytes of what is wanted */
	char in[JSON_MAX];
	struct iperf_params params;
	struct stream streams[IPERF_STREAMS_MAX];
	unsigned n_streams, n_ready;
	uint64_t start_ns, ns, bytes, peer_bytes;
	struct host_work timer;
	uint8_t *data;
	iperf_ended_fn *ended;
	void *ctx;
};

/* ---- the end ------------------------------------------------------------------------------------ */

static bool we_send(const struct iperf *f)
{
	return f->is_server == f->params.reverse;
}

static void end(struct iperf *f, int status)
{
	struct iperf_result result = {.params = f->params,
				      .sent = we_send(f),
				      .bytes = f->bytes,
				      .peer_bytes = f->peer_bytes,
				      .ns = f->ns};

	if (f->over)
		return;
	f->over = true;
	f->running = false;
	host_work_cancel(&f->timer);
	f->ended(f->ctx, status, &result);
}

/* ---- what is said on the control connection ------------------------------------------------------- */

static void send_control(struct iperf *f, const void *bytes, size_t len)
{
	if (host_tcp_send(f->control, bytes, len, false) != len)
		end(f, -XEN_ENOMEM);
}

static void send_state(struct iperf *f, uint8_t state)
{
	send_control(f, &state, 1);
}

/* in is free then: what was read into it has been read. */
static void send_json(struct iperf *f, size_t len)
{
	uint32_t be = __builtin_bswap32((uint32_t)len);

	if (len >= JSON_MAX) {
		end(f, -XEN_E2BIG);
		return;
	}
	send_control(f, &be, sizeof(be));
	send_control(f, f->in, len);
}

/* What comes after this moment is counted by nobody. */
static void send_results(struct iperf *f)
{
	uint64_t bytes[IPERF_STREAMS_MAX];

	for (unsigned i = 0; i < f->n_streams; i++)
		f->bytes += bytes[i] = f->streams[i].bytes;
	send_json(f, iperf_json_results(f->in, JSON_MAX, bytes, f->n_streams, f->ns));
}

static void want(struct iperf *f, enum want what, uint32_t bytes)
{
	f->want = what;
	f->need = bytes;
	f->have = 0;
}

/* ---- data ---------------------------------------------------------------------------------------- */

/* As long as the stream takes it; writable goes on. */
static void pump(struct stream *s)
{
	size_t n;

	while (s->iperf->running && s->tcp) {
		n = host_tcp_send(s->tcp, s->iperf->data, DATA_PAGES * PAGE_SIZE, true);
		s->bytes += n;
		if (n < DATA_PAGES * PAGE_SIZE)
			return;
	}
}

static void begin_running(struct iperf *f)
{
	f->running = true;
	f->start_ns = host_time_ns();
	for (unsigned i = 0; i < f->n_streams && we_send(f); i++)
		pump(&f->streams[i]);
}

static void stop_running(struct iperf *f)
{
	if (f->running)
		f->ns = host_time_ns() - f->start_ns;
	f->running = false;
}

/* A client's time is over. */
static void time_over(void *ctx)
{
	struct iperf *f = ctx;

	stop_running(f);
	send_state(f, TEST_END);
}

static void on_stream_received(void *ctx, const void *bytes, size_t len)
{
	struct stream *s = ctx;
	struct iperf *f = s->iperf;
	size_t cookie = f->is_server ? MIN(COOKIE_BYTES - s->cookie_got, len) : 0;

	if (cookie && memcmp(bytes, f->cookie + s->cookie_got, cookie)) {
		end(f, -XEN_EBADMSG);
		return;
	}
	s->cookie_got += (unsigned)cookie;
	s->bytes += len - cookie;
	if (!cookie || s->cookie_got < COOKIE_BYTES || ++f->n_ready < f->params.streams)
		return;
	send_state(f, TEST_START);
	send_state(f, TEST_RUNNING);
	want(f, WANT_STATE, 1);
	begin_running(f);
}

static void on_stream_connected(void *ctx)
{
	struct stream *s = ctx;

	(void)host_tcp_send(s->tcp, s->iperf->cookie, COOKIE_BYTES, false);
}

static void on_stream_writable(void *ctx)
{
	pump(ctx);
}

/* At the end of a test streams close in any order; before it, it cannot go on. */
static void on_stream_ended(void *ctx, int status)
{
	struct stream *s = ctx;

	if (s->iperf->running)
		stop_running(s->iperf);
	if (status && !s->iperf->ns)
		end(s->iperf, status);
}

static const struct host_tcp_ops stream_ops = {on_stream_connected, on_stream_received,
					       on_stream_writable, on_stream_ended};

static struct stream *stream_new(struct iperf *f)
{
	struct stream *s = &f->streams[f->n_streams++];

	s->iperf = f;
	return s;
}

static void open_streams(struct iperf *f)
{
	struct stream *s;
	int error = 0;

	while (f->n_streams < f->params.streams && !error) {
		s = stream_new(f);
		error = host_tcp_connect(f->name, f->port, &stream_ops, s, &s->tcp);
	}
	if (error)
		end(f, error);
}

/* ---- what is heard on it -------------------------------------------------------------------------- */

/* False: what cannot be, of a client. */
static bool read_params(struct iperf *f)
{
	const char *text = f->in;
	uint64_t n = 1;

	if (iperf_json_is_true(f->in, "udp"))
		return false;
	f->params.reverse = iperf_json_is_true(f->in, "reverse");
	(void)iperf_json_number(&text, "parallel", &n);
	f->params.streams = (unsigned)MIN(n, 1000u);
	text = f->in;
	if (iperf_json_number(&text, "time", &n))
		f->params.seconds = (unsigned)MIN(n, SECONDS_MAX);
	return f->params.streams >= 1 && f->params.streams <= IPERF_STREAMS_MAX;
}

static void read_results(struct iperf *f)
{
	const char *text = f->in;
	uint64_t n;

	while (iperf_json_number(&text, "bytes", &n))
		f->peer_bytes += n;
}

static void json_heard(struct iperf *f)
{
	f->in[f->need] = '\0';
	if (f->is_server && !f->params.streams) {
		if (!read_params(f)) {
			end(f, -XEN_EOPNOTSUPP);
			return;
		}
		want(f, WANT_STATE, 1);
		send_state(f, CREATE_STREAMS);
		return;
	}
	read_results(f);
	want(f, WANT_STATE, 1);
	if (f->is_server) {
		send_results(f);
		send_state(f, DISPLAY_RESULTS);
	}
}

/* What a client does when its server says so. */
static void client_state(struct iperf *f, uint8_t state)
{
	switch (state) {
	case PARAM_EXCHANGE:
		send_json(f, iperf_json_params(f->in, JSON_MAX, &f->params));
		break;
	case CREATE_STREAMS:
		open_streams(f);
		break;
	case TEST_START:
		break;
	case TEST_RUNNING:
		host_work_after(&f->timer, f->params.seconds * NS_PER_S);
		begin_running(f);
		break;
	case EXCHANGE_RESULTS:
		send_results(f);
		want(f, WANT_LENGTH, 4);
		break;
	case DISPLAY_RESULTS:
		send_state(f, IPERF_DONE);
		end(f, 0);
		break;
	default:
		end(f, state == ACCESS_DENIED ? -XEN_EBUSY : -XEN_EBADMSG);
	}
}

static void server_state(struct iperf *f, uint8_t state)
{
	if (state == TEST_END) {
		stop_running(f);
		send_state(f, EXCHANGE_RESULTS);
		want(f, WANT_LENGTH, 4);
	} else {
		end(f, state == IPERF_DONE ? 0 : -XEN_EBADMSG);
	}
}

/* All of what was wanted is in f->in. */
static void heard(struct iperf *f)
{
	uint32_t n;

	switch (f->want) {
	case WANT_COOKIE:
		memcpy(f->cookie, f->in, COOKIE_BYTES);
		send_state(f, PARAM_EXCHANGE);
		want(f, WANT_LENGTH, 4);
		break;
	case WANT_STATE:
		f->have = 0;
		(f->is_server ? server_state : client_state)(f, (uint8_t)f->in[0]);
		break;
	case WANT_LENGTH:
		memcpy(&n, f->in, sizeof(n));
		n = __builtin_bswap32(n);
		if (!n || n >= JSON_MAX)
			end(f, -XEN_EBADMSG);
		else
			want(f, WANT_JSON, n);
		break;
	case WANT_JSON:
		json_heard(f);
	}
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct iperf *f = ctx;
	const uint8_t *b = bytes;
	size_t n;

	while (len && !f->over) {
		n = MIN(len, f->need - f->have);
		memcpy(f->in + f->have, b, n);
		f->have += (uint32_t)n;
		b += n;
		len -= n;
		if (f->have == f->need)
			heard(f);
	}
}

static void on_connected(void *ctx)
{
	struct iperf *f = ctx;

	send_control(f, f->cookie, COOKIE_BYTES);
}

static void on_writable(void *ctx) {}

static void on_ended(void *ctx, int status)
{
	end(ctx, status ? status : -XEN_EBADMSG);
}

static const struct host_tcp_ops control_ops = {on_connected, on_received, on_writable, on_ended};

/* Who comes at the wrong time is told so when it has said its cookie: a stream that is closed with bytes unread is reset, and what was
 * sent to it lost. */
static void on_refused_received(void *ctx, const void *bytes, size_t len)
{
	static const uint8_t denied = ACCESS_DENIED;
	struct iperf *f = ctx;
	struct host_tcp *tcp = f->refused;

	f->refused = NULL;
	(void)host_tcp_send(tcp, &denied, 1, false);
	host_tcp_close(tcp, false);
}

static void on_refused_ended(void *ctx, int status)
{
	struct iperf *f = ctx;

	host_tcp_close(f->refused, true);
	f->refused = NULL;
}

static const struct host_tcp_ops refused_ops = {on_writable, on_refused_received, on_writable,
						on_refused_ended};

/* The first is the control, the next its streams, until there are enough. */
static bool accepted(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
		     void **out_ctx)
{
	struct iperf *f = ctx;
	struct stream *s;

	if (!f->control) {
		f->control = tcp;
		*out_ops = &control_ops;
		*out_ctx = f;
		return true;
	}
	if (f->n_streams < f->params.streams && !f->over) {
		s = stream_new(f);
		s->tcp = tcp;
		*out_ops = &stream_ops;
		*out_ctx = s;
		return true;
	}
	if (f->refused)
		return false;
	f->refused = tcp;
	*out_ops = &refused_ops;
	*out_ctx = f;
	return true;
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static void make_cookie(char cookie[COOKIE_BYTES])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (unsigned i = 0; i < COOKIE_BYTES - 1; i++)
		cookie[i] = letters[net_random() % 32];
	cookie[COOKIE_BYTES - 1] = '\0';
}

static struct iperf *iperf_new(iperf_ended_fn *ended, void *ctx)
{
	struct iperf *f = host_alloc(sizeof(*f));

	if (!f)
		return NULL;
	f->data = host_pages_alloc(DATA_PAGES);
	if (!f->data) {
		host_free(f, sizeof(*f));
		return NULL;
	}
	f->ended = ended;
	f->ctx = ctx;
	f->timer.fn = time_over;
	f->timer.ctx = f;
	return f;
}

static int begun(struct iperf *f, int error, struct iperf **out)
{
	if (error)
		iperf_free(f);
	else
		*out = f;
	return error;
}

int iperf_client(const char *host, uint16_t port, const struct iperf_params *params,
		 iperf_ended_fn *ended, void *ctx, struct iperf **out)
{
	struct iperf *f;

	if (!params->streams || params->streams > IPERF_STREAMS_MAX || !params->seconds ||
	    params->seconds > SECONDS_MAX || strlen(host) >= sizeof(f->name))
		return -XEN_EINVAL;
	f = iperf_new(ended, ctx);
	if (!f)
		return -XEN_ENOMEM;
	(void)str_copy(f->name, sizeof(f->name), host);
	f->port = port;
	f->params = *params;
	make_cookie(f->cookie);
	want(f, WANT_STATE, 1);
	return begun(f, host_tcp_connect(host, port, &control_ops, f, &f->control), out);
}

int iperf_server(uint16_t port, iperf_ended_fn *ended, void *ctx, struct iperf **out)
{
	struct iperf *f = iperf_new(ended, ctx);

	if (!f)
		return -XEN_ENOMEM;
	f->is_server = true;
	want(f, WANT_COOKIE, COOKIE_BYTES);
	return begun(f, host_tcp_listen(port, accepted, f, &f->listener), out);
}

/* The control goes in order: its last byte is one that the other side waits for. */
void iperf_free(struct iperf *f)
{
	f->over = true;
	f->running = false;
	host_work_cancel(&f->timer);
	if (f->listener)
		host_tcp_unlisten(f->listener);
	for (unsigned i = 0; i < f->n_streams; i++)
		if (f->streams[i].tcp)
			host_tcp_close(f->streams[i].tcp, true);
	if (f->refused)
		host_tcp_close(f->refused, true);
	if (f->control)
		host_tcp_close(f->control, false);
	host_pages_free(f->data, DATA_PAGES);
	host_free(f, sizeof(*f));
}
