/* iperf_udp.c: iperf3's streams of UDP: how they are opened, paced, and what arrived of them.
 *
 * Contract: iperf_private.h. Caller: iperf.c. Calls lwIP's UDP. The control connection and the results are iperf.c's.
 *
 *   client                                server
 *   a word of four bytes         ---->                     one stream after the other: who asks is known by its port
 *                                <----    another word
 *   [packets: time, number, data, one way or the other]
 *
 * A packet's number is one more than that of the last; what is missing when the highest has come is lost, and what comes later is not.
 */
#include <amphi/string.h>

#include "iperf_private.h"
#include "port.h"
#include "stack.h"

/* As they lie in memory on this machine, and on the real program's. Its older versions had others. */
#define WORD_ASK        0x36373839u
#define WORD_ANSWER     0x39383736u
#define WORD_ANSWER_OLD 987654321u
#define HEAD_BYTES      16u /* seconds, microseconds, a number of 64 bits */
#define ASK_NS          1000000000ull
#define ASK_MAX         20u
#define TICK_NS         1000000u
/* So many packets of a stream go before others have their turn, and time to go by. */
#define BATCH    32u
#define PAUSE_NS 10000u

static struct iperf_stream *stream_of(struct iperf *f, const ip_addr_t *from, uint16_t port)
{
	for (unsigned i = 0; i < f->n_streams; i++)
		if (f->streams[i].udp.port == port && ip_addr_cmp(&f->streams[i].udp.peer, from))
			return &f->streams[i];
	return NULL;
}

static struct udp_pcb *pcb_of(const struct iperf_stream *s)
{
	return s->udp.pcb ? s->udp.pcb : s->iperf->udp;
}

static void send_word(struct iperf_stream *s, uint32_t word)
{
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, sizeof(word), PBUF_RAM);

	if (!p)
		return;
	memcpy(p->payload, &word, sizeof(word));
	(void)udp_sendto(pcb_of(s), p, &s->udp.peer, s->udp.port);
	pbuf_free(p);
	net_loop_soon();
}

/* ---- packets in ----------------------------------------------------------------------------- */

/* Sender's clock and ours need not agree: only changes of the difference count. */
static void count_jitter(struct iperf_udp *udp, int64_t transit_ns, bool first)
{
	int64_t change = transit_ns - udp->transit_ns;
	uint64_t size = (uint64_t)(change < 0 ? -change : change);

	udp->transit_ns = transit_ns;
	if (!first)
		udp->jitter_16 += size - udp->jitter_16 / 16;
}

static void count_packet(struct iperf_stream *s, struct pbuf *p)
{
	struct iperf_udp *udp = &s->udp;
	struct {
		uint32_t seconds, us, high, low;
	} head;
	uint64_t number, sent_ns;

	_Static_assert(sizeof(head) == HEAD_BYTES, "as it is on the wire");
	s->result.bytes += p->tot_len;
	if (pbuf_copy_partial(p, &head, sizeof(head), 0) != sizeof(head))
		return;
	sent_ns =
	    __builtin_bswap32(head.seconds) * 1000000000ull + __builtin_bswap32(head.us) * 1000ull;
	number = s->iperf->params.short_numbers
		     ? __builtin_bswap32(head.high)
		     : (uint64_t)__builtin_bswap32(head.high) << 32 | __builtin_bswap32(head.low);
	count_jitter(udp, (int64_t)(host_time_ns() - sent_ns), !udp->last);
	if (number > udp->last) {
		s->result.lost += number - udp->last - 1;
		udp->last = number;
	} else if (s->result.lost) {
		s->result.lost--;
	}
	s->result.packets = udp->last;
	s->result.jitter_ns = udp->jitter_16 / 16;
}

/* A server's stream is whoever asks while one is wanted; who asks again had no answer. */
static void asked(struct iperf *f, struct iperf_stream *s, const ip_addr_t *from, uint16_t port)
{
	if (s) {
		send_word(s, WORD_ANSWER);
		return;
	}
	if (f->n_streams == f->params.streams || f->over)
		return;
	s = iperf_stream_new(f);
	ip_addr_copy(s->udp.peer, *from);
	s->udp.port = port;
	s->udp.ready = true;
	send_word(s, WORD_ANSWER);
	iperf_stream_ready(f);
}

static void server_heard(void *ctx, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			 u16_t port)
{
	struct iperf *f = ctx;
	struct iperf_stream *s = stream_of(f, from, port);

	if (p->tot_len == sizeof(uint32_t))
		asked(f, s, from, port);
	else if (s)
		count_packet(s, p);
	pbuf_free(p);
}

/* ---- a client opens its streams -------------------------------------------------------------- */

static void open_next(struct iperf *f);

/* Data is as good as an answer, which may have been lost. */
static void client_heard(void *ctx, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			 u16_t port)
{
	struct iperf_stream *s = ctx;
	uint32_t word = WORD_ANSWER;

	if (p->tot_len == sizeof(word))
		(void)pbuf_copy_partial(p, &word, sizeof(word), 0);
	else
		count_packet(s, p);
	pbuf_free(p);
	if (s->udp.ready || (word != WORD_ANSWER && word != WORD_ANSWER_OLD))
		return;
	s->udp.ready = true;
	if (s->iperf->running) /* that was told on another way, and came first */
		return;
	iperf_stream_ready(s->iperf);
	open_next(s->iperf);
}

static void ask(struct iperf *f)
{
	if (f->asked++ == ASK_MAX) {
		iperf_end(f, -XEN_ETIMEDOUT);
		return;
	}
	send_word(&f->streams[f->n_streams - 1], WORD_ASK);
	host_work_after(&f->udp_work, ASK_NS);
}

/* The first one's address is everybody's. */
static void open_next(struct iperf *f)
{
	struct iperf_stream *s;

	host_work_cancel(&f->udp_work);
	if (f->n_streams == f->params.streams || f->over)
		return;
	s = iperf_stream_new(f);
	ip_addr_copy(s->udp.peer, f->streams[0].udp.peer);
	s->udp.port = f->port;
	s->udp.pcb = udp_new_ip_type(IP_GET_TYPE(&s->udp.peer));
	if (!s->udp.pcb || udp_connect(s->udp.pcb, &s->udp.peer, f->port)) {
		iperf_end(f, s->udp.pcb ? -XEN_EADDRNOTAVAIL : -XEN_ENOMEM);
		return;
	}
	udp_recv(s->udp.pcb, client_heard, s);
	f->asked = 0;
	ask(f);
}

static void resolved(void *ctx, int status, const char *text)
{
	struct iperf *f = ctx;

	if (status || !net_address_read(text, &f->streams[0].udp.peer))
		iperf_end(f, status ? status : -XEN_ENOENT);
	else
		open_next(f);
}

/* ---- packets out ------------------------------------------------------------------------------- */

static bool send_packet(struct iperf_stream *s)
{
	const struct iperf_params *params = &s->iperf->params;
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)params->packet_bytes, PBUF_RAM);
	uint64_t now_ns = host_time_ns(), number = ++s->udp.last;
	uint32_t head[HEAD_BYTES / 4] = {
	    __builtin_bswap32((uint32_t)(now_ns / 1000000000)),
	    __builtin_bswap32((uint32_t)(now_ns / 1000 % 1000000)),
	    __builtin_bswap32((uint32_t)(params->short_numbers ? number : number >> 32)),
	    __builtin_bswap32((uint32_t)number),
	};

	/* A packet that nobody has memory for is one that was lost. */
	s->result.packets = number;
	if (!p)
		return false;
	memcpy(p->payload, head, sizeof(head));
	memcpy((uint8_t *)p->payload + sizeof(head), s->iperf->data,
	       params->packet_bytes - sizeof(head));
	s->result.bytes += p->tot_len;
	(void)udp_sendto(pcb_of(s), p, &s->udp.peer, s->udp.port);
	pbuf_free(p);
	return true;
}

/* What a stream may have sent by now. */
static uint64_t allowed_bytes(const struct iperf *f)
{
	uint64_t ns = host_time_ns() - f->start_ns, rate = f->params.rate_bit_s / 8;

	if (!f->params.rate_bit_s)
		return UINT64_MAX;
	return rate * (ns / 1000000000) + rate * (ns % 1000000000 / 1000) / 1000000;
}

/* True: it has more to send at once. */
static bool send_some(struct iperf_stream *s, uint64_t allowed)
{
	for (unsigned i = 0; i < BATCH; i++)
		if (s->result.bytes >= allowed || !net_mem_ample() || !send_packet(s))
			return false;
	return true;
}

void iperf_udp_work(void *ctx)
{
	struct iperf *f = ctx;
	uint64_t allowed;
	bool more = false;

	if (!f->running) {
		ask(f);
		return;
	}
	allowed = allowed_bytes(f);
	for (unsigned i = 0; i < f->n_streams; i++)
		more |= send_some(&f->streams[i], allowed);
	net_loop_soon();
	host_work_after(&f->udp_work, more ? PAUSE_NS : TICK_NS);
}

/* ---- beginning and end --------------------------------------------------------------------------- */

int iperf_udp_listen(struct iperf *f)
{
	f->udp = udp_new_ip_type(IPADDR_TYPE_ANY);
	if (!f->udp)
		return -XEN_ENOMEM;
	ip_set_option(f->udp, SOF_REUSEADDR);
	if (udp_bind(f->udp, IP_ANY_TYPE, f->port))
		return -XEN_EADDRINUSE;
	udp_recv(f->udp, server_heard, f);
	return 0;
}

int iperf_udp_open(struct iperf *f)
{
	f->resolve = (struct net_resolve){.fn = resolved, .ctx = f};
	return net_resolve(f->name, false, &f->resolve);
}

void iperf_udp_run(struct iperf *f)
{
	host_work_cancel(&f->udp_work); /* a question: whoever begins has heard it */
	if (iperf_we_send(f))
		host_work_soon(&f->udp_work);
}

void iperf_udp_stop(struct iperf *f)
{
	host_work_cancel(&f->udp_work);
}

void iperf_udp_close(struct iperf *f)
{
	iperf_udp_stop(f);
	net_resolve_cancel(&f->resolve);
	if (f->udp)
		udp_remove(f->udp);
	for (unsigned i = 0; i < f->n_streams; i++)
		if (f->streams[i].udp.pcb)
			udp_remove(f->streams[i].udp.pcb);
}
