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
#include <amphi/string.h>

#include "iperf_private.h"
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

#define NS_PER_S 1000000000ull
/* Nobody measures longer by mistake than this; a server's client may ask for what it likes below. */
#define SECONDS_MAX 86400u

/* ---- the end ------------------------------------------------------------------------------------ */

bool iperf_we_send(const struct iperf *f)
{
	return f->is_server == f->params.reverse;
}

void iperf_end(struct iperf *f, int status)
{
	struct iperf_result result = {.params = f->params,
				      .sent = iperf_we_send(f),
				      .own = f->own,
				      .peer = f->peer,
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
		iperf_end(f, -XEN_ENOMEM);
}

static void send_state(struct iperf *f, uint8_t state)
{
	send_control(f, &state, 1);
}

/* in is free then: what was read into it has been read. */
static void send_json(struct iperf *f, size_t len)
{
	uint32_t be = __builtin_bswap32((uint32_t)len);

	if (len >= IPERF_JSON_MAX) {
		iperf_end(f, -XEN_E2BIG);
		return;
	}
	send_control(f, &be, sizeof(be));
	send_control(f, f->in, len);
}

static void add(struct iperf_stream_result *sum, const struct iperf_stream_result *r,
		unsigned streams)
{
	sum->bytes += r->bytes;
	sum->packets += r->packets;
	sum->lost += r->lost;
	sum->jitter_ns += r->jitter_ns / streams;
}

/* What comes after this moment is counted by nobody. */
static void send_results(struct iperf *f)
{
	struct iperf_stream_result results[IPERF_STREAMS_MAX];

	for (unsigned i = 0; i < f->n_streams; i++) {
		results[i] = f->streams[i].result;
		add(&f->own, &results[i], f->n_streams);
	}
	send_json(f, iperf_json_results(f->in, IPERF_JSON_MAX, results, f->n_streams, f->ns));
}

static void want(struct iperf *f, enum iperf_want what, uint32_t bytes)
{
	f->want = what;
	f->need = bytes;
	f->have = 0;
}

/* ---- data ---------------------------------------------------------------------------------------- */

/* As long as the stream takes it; writable goes on. */
static void pump(struct iperf_stream *s)
{
	size_t n;

	while (s->iperf->running && s->tcp) {
		n = host_tcp_send(s->tcp, s->iperf->data, IPERF_DATA_PAGES * PAGE_SIZE, true);
		s->result.bytes += n;
		if (n < IPERF_DATA_PAGES * PAGE_SIZE)
			return;
	}
}

static void begin_running(struct iperf *f)
{
	f->running = true;
	f->start_ns = host_time_ns();
	if (f->params.udp)
		iperf_udp_run(f);
	for (unsigned i = 0; i < f->n_streams && iperf_we_send(f); i++)
		pump(&f->streams[i]);
}

static void stop_running(struct iperf *f)
{
	if (f->running)
		f->ns = host_time_ns() - f->start_ns;
	f->running = false;
	iperf_udp_stop(f);
}

/* A client's time is over. */
static void time_over(void *ctx)
{
	struct iperf *f = ctx;

	stop_running(f);
	send_state(f, TEST_END);
}

void iperf_stream_ready(struct iperf *f)
{
	if (++f->n_ready < f->params.streams || !f->is_server)
		return;
	send_state(f, TEST_START);
	send_state(f, TEST_RUNNING);
	want(f, WANT_STATE, 1);
	begin_running(f);
}

static void on_stream_received(void *ctx, const void *bytes, size_t len)
{
	struct iperf_stream *s = ctx;
	struct iperf *f = s->iperf;
	size_t cookie = f->is_server ? MIN(IPERF_COOKIE_BYTES - s->cookie_got, len) : 0;

	if (cookie && memcmp(bytes, f->cookie + s->cookie_got, cookie)) {
		iperf_end(f, -XEN_EBADMSG);
		return;
	}
	s->cookie_got += (unsigned)cookie;
	s->result.bytes += len - cookie;
	if (cookie && s->cookie_got == IPERF_COOKIE_BYTES)
		iperf_stream_ready(f);
}

static void on_stream_connected(void *ctx)
{
	struct iperf_stream *s = ctx;

	(void)host_tcp_send(s->tcp, s->iperf->cookie, IPERF_COOKIE_BYTES, false);
}

static void on_stream_writable(void *ctx)
{
	pump(ctx);
}

/* At the end of a test streams close in any order; before it, it cannot go on. */
static void on_stream_ended(void *ctx, int status)
{
	struct iperf_stream *s = ctx;

	if (s->iperf->running)
		stop_running(s->iperf);
	if (status && !s->iperf->ns)
		iperf_end(s->iperf, status);
}

static const struct host_tcp_ops stream_ops = {on_stream_connected, on_stream_received,
					       on_stream_writable, on_stream_ended};

struct iperf_stream *iperf_stream_new(struct iperf *f)
{
	struct iperf_stream *s = &f->streams[f->n_streams++];

	s->iperf = f;
	return s;
}

static void open_streams(struct iperf *f)
{
	struct iperf_stream *s;
	int error = f->params.udp ? iperf_udp_open(f) : 0;

	while (!f->params.udp && f->n_streams < f->params.streams && !error) {
		s = iperf_stream_new(f);
		error = host_tcp_connect(f->name, f->port, &stream_ops, s, &s->tcp);
	}
	if (error)
		iperf_end(f, error);
}

/* ---- what is heard on it -------------------------------------------------------------------------- */

static bool read_udp_params(struct iperf *f)
{
	const char *text = f->in;
	uint64_t n = 0;

	f->params.short_numbers = !iperf_json_number(&text, "udp_counters_64bit", &n);
	text = f->in;
	(void)iperf_json_number(&text, "bandwidth", &f->params.rate_bit_s);
	text = f->in;
	if (!iperf_json_number(&text, "len", &n) || n < IPERF_PACKET_MIN || n > IPERF_PACKET_MAX)
		return false;
	f->params.packet_bytes = (unsigned)n;
	return f->params.rate_bit_s <= IPERF_RATE_MAX;
}

/* False: what cannot be, of a client. */
static bool read_params(struct iperf *f)
{
	const char *text = f->in;
	uint64_t n = 1;

	f->params.udp = iperf_json_is_true(f->in, "udp");
	f->params.reverse = iperf_json_is_true(f->in, "reverse");
	(void)iperf_json_number(&text, "parallel", &n);
	f->params.streams = (unsigned)MIN(n, 1000u);
	text = f->in;
	if (iperf_json_number(&text, "time", &n))
		f->params.seconds = (unsigned)MIN(n, SECONDS_MAX);
	if (f->params.udp && !read_udp_params(f))
		return false;
	return f->params.streams >= 1 && f->params.streams <= IPERF_STREAMS_MAX;
}

/* Each stream's in the order in which iperf3 writes them; what TCP's have none of stays 0. */
static void read_results(struct iperf *f)
{
	const char *text = f->in;
	struct iperf_stream_result r;

	while (iperf_json_number(&text, "bytes", &r.bytes)) {
		r.jitter_ns = r.lost = r.packets = 0;
		(void)iperf_json_seconds(&text, "jitter", &r.jitter_ns);
		(void)iperf_json_number(&text, "errors", &r.lost);
		(void)iperf_json_number(&text, "packets", &r.packets);
		add(&f->peer, &r, f->params.streams);
	}
}

static void json_heard(struct iperf *f)
{
	int error;

	f->in[f->need] = '\0';
	if (f->is_server && !f->params.streams) {
		if (!read_params(f)) {
			iperf_end(f, -XEN_EOPNOTSUPP);
			return;
		}
		error = f->params.udp ? iperf_udp_listen(f) : 0;
		if (error) {
			iperf_end(f, error);
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
		send_json(f, iperf_json_params(f->in, IPERF_JSON_MAX, &f->params));
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
		iperf_end(f, 0);
		break;
	default:
		iperf_end(f, state == ACCESS_DENIED ? -XEN_EBUSY : -XEN_EBADMSG);
	}
}

static void server_state(struct iperf *f, uint8_t state)
{
	if (state == TEST_END) {
		stop_running(f);
		send_state(f, EXCHANGE_RESULTS);
		want(f, WANT_LENGTH, 4);
	} else {
		iperf_end(f, state == IPERF_DONE ? 0 : -XEN_EBADMSG);
	}
}

/* All of what was wanted is in f->in. */
static void heard(struct iperf *f)
{
	uint32_t n;

	switch (f->want) {
	case WANT_COOKIE:
		memcpy(f->cookie, f->in, IPERF_COOKIE_BYTES);
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
		if (!n || n >= IPERF_JSON_MAX)
			iperf_end(f, -XEN_EBADMSG);
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

	send_control(f, f->cookie, IPERF_COOKIE_BYTES);
}

static void on_writable(void *ctx) {}

static void on_ended(void *ctx, int status)
{
	iperf_end(ctx, status ? status : -XEN_EBADMSG);
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
	struct iperf_stream *s;

	if (!f->control) {
		f->control = tcp;
		*out_ops = &control_ops;
		*out_ctx = f;
		return true;
	}
	if (f->n_streams < f->params.streams && !f->over && !f->params.udp) {
		s = iperf_stream_new(f);
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

static void make_cookie(char cookie[IPERF_COOKIE_BYTES])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (unsigned i = 0; i < IPERF_COOKIE_BYTES - 1; i++)
		cookie[i] = letters[net_random() % 32];
	cookie[IPERF_COOKIE_BYTES - 1] = '\0';
}

static struct iperf *iperf_new(iperf_ended_fn *ended, void *ctx)
{
	struct iperf *f = host_alloc(sizeof(*f));

	if (!f)
		return NULL;
	f->data = host_pages_alloc(IPERF_DATA_PAGES);
	if (!f->data) {
		host_free(f, sizeof(*f));
		return NULL;
	}
	f->ended = ended;
	f->ctx = ctx;
	f->timer.fn = time_over;
	f->timer.ctx = f;
	f->udp_work.fn = iperf_udp_work;
	f->udp_work.ctx = f;
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
	    params->seconds > SECONDS_MAX || strlen(host) >= sizeof(f->name) ||
	    (params->udp &&
	     (params->packet_bytes < IPERF_PACKET_MIN || params->packet_bytes > IPERF_PACKET_MAX ||
	      params->rate_bit_s > IPERF_RATE_MAX)))
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
	f->port = port;
	want(f, WANT_COOKIE, IPERF_COOKIE_BYTES);
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
	iperf_udp_close(f);
	if (f->control)
		host_tcp_close(f->control, false);
	host_pages_free(f->data, IPERF_DATA_PAGES);
	host_free(f, sizeof(*f));
}
