/* ping.c: asks another machine for an echo (RFC 792, RFC 4443), and looks whether it is one.
 *
 * Contract: net_stack.h. Callers: the shell's command ping, tests. Calls lwIP's raw interface. What others ask of us lwIP
 * answers by itself.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include <lwip/icmp.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/raw.h>

#include "net_stack.h"
#include "port.h"
#include "stack.h"

#define NS_PER_MS  1000000ull
#define SLOTS      64u /* echoes that can be out at a time; older ones are lost */
#define PIECE      256u
#define ECHO_BYTES 8u

/* One of the last SLOTS echoes. */
struct slot {
	uint64_t sent_ns;
	bool answered;
};

struct ping_state {
	struct net_ping *ping;
	struct raw_pcb *pcb;
	struct host_work work;
	ip_addr_t to;
	uint16_t id;
	struct slot slots[SLOTS];
};

/* PIECE bytes of an echo's data, from the n-th, n a multiple of PIECE: each byte is one more than that before it. Each echo has bytes of its
 * own, and a piece in the wrong place shows. */
static const uint8_t *piece_at(unsigned seq, unsigned n)
{
	static uint8_t ramp[2 * PIECE];

	if (!ramp[1])
		for (unsigned i = 0; i < sizeof(ramp); i++)
			ramp[i] = (uint8_t)i;
	return ramp + (uint8_t)(n / PIECE * 7 + seq * 31);
}

static void end(struct ping_state *state, int status)
{
	struct net_ping *ping = state->ping;

	net_ping_cancel(ping);
	ping->ended(ping->ctx, status);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void fill(struct pbuf *p, unsigned seq, unsigned bytes)
{
	for (unsigned at = 0; at < bytes; at += PIECE)
		(void)pbuf_take_at(p, piece_at(seq, at), (u16_t)MIN(bytes - at, PIECE),
				   (u16_t)(ECHO_BYTES + at));
}

static int send_echo(struct ping_state *state, unsigned seq)
{
	unsigned bytes = state->ping->bytes;
	struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ECHO_BYTES + bytes), PBUF_RAM);
	struct icmp_echo_hdr *h;
	err_t error;

	if (!p)
		return -XEN_ENOMEM;
	fill(p, seq, bytes);
	h = p->payload;
	memset(h, 0, ECHO_BYTES);
	ICMPH_TYPE_SET(h, IP_IS_V6(&state->to) ? ICMP6_TYPE_EREQ : ICMP_ECHO);
	h->id = state->id;
	h->seqno = lwip_htons((u16_t)seq);
	if (!IP_IS_V6(&state->to))
		h->chksum = inet_chksum(p->payload, p->tot_len);
	state->slots[seq % SLOTS] = (struct slot){.sent_ns = host_time_ns()};
	error = raw_sendto(state->pcb, p, &state->to);
	pbuf_free(p);
	net_loop_soon();
	if (error == ERR_RTE || error == ERR_VAL)
		return -XEN_EADDRNOTAVAIL;
	return error == ERR_MEM ? -XEN_ENOMEM : 0;
}

/* Each turn sends one, or finds that the last has had its time. */
static void turn(void *ctx)
{
	struct ping_state *state = ctx;
	struct net_ping *ping = state->ping;
	uint32_t pause_ms;
	int error;

	if (ping->sent == ping->count) {
		end(state, 0);
		return;
	}
	error = send_echo(state, ping->sent++);
	if (error) {
		end(state, error);
		return;
	}
	pause_ms =
	    ping->sent == ping->count || !ping->interval_ms ? ping->wait_ms : ping->interval_ms;
	host_work_after(&state->work, pause_ms * NS_PER_MS);
}

/* ---- answers ------------------------------------------------------------------------------- */

static bool data_right(const struct pbuf *p, unsigned at, unsigned seq, unsigned bytes)
{
	uint8_t piece[PIECE];

	for (unsigned done = 0, n; done < bytes; done += n) {
		n = pbuf_copy_partial(p, piece, (u16_t)MIN(bytes - done, PIECE),
				      (u16_t)(at + done));
		if (!n || memcmp(piece, piece_at(seq, done), n))
			return false;
	}
	return true;
}

static void count_answer(struct ping_state *state, unsigned seq)
{
	struct net_ping *ping = state->ping;
	struct slot *slot = &state->slots[seq % SLOTS];

	if (slot->answered) {
		ping->duplicates++;
		return;
	}
	slot->answered = true;
	ping->received++;
	ping->answer(ping->ctx, seq, host_time_ns() - slot->sent_ns);
	if (ping->received != ping->count && ping->interval_ms)
		return;
	host_work_cancel(&state->work);
	host_work_soon(&state->work);
}

/* lwIP's, for every ICMP packet to us, header and all, before lwIP itself looks at it: what is not ours goes on to it. What was sent to
 * an address of our own comes back twice, as the question and as the answer; only the answer's type is ours. */
static u8_t arrived(void *ctx, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct ping_state *state = ctx;
	struct net_ping *ping = state->ping;
	unsigned at = ip_current_header_tot_len();
	unsigned seq;
	struct icmp_echo_hdr h;

	if (pbuf_copy_partial(p, &h, sizeof(h), (u16_t)at) != sizeof(h) || h.id != state->id ||
	    ICMPH_TYPE(&h) != (IP_IS_V6(&state->to) ? ICMP6_TYPE_EREP : ICMP_ER))
		return 0;
	/* The number has 16 bits; of those that it can be, the youngest that was sent. */
	seq = (ping->sent - 1) - (uint16_t)(ping->sent - 1 - lwip_ntohs(h.seqno));
	if (seq >= ping->sent || ping->sent - seq > SLOTS)
		ping->wrong++;
	else if (p->tot_len - at != ECHO_BYTES + ping->bytes ||
		 !data_right(p, at + ECHO_BYTES, seq, ping->bytes))
		ping->wrong++;
	else
		count_answer(state, seq);
	pbuf_free(p);
	return 1;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

int net_ping_begin(struct net_ping *ping)
{
	struct ping_state *state;
	ip_addr_t to;

	if (!net_address_read(ping->address, &to) || ping->bytes > NET_PING_BYTES_MAX ||
	    !ping->count)
		return -XEN_EINVAL;
	state = host_alloc(sizeof(*state));
	if (!state)
		return -XEN_ENOMEM;
	state->pcb =
	    raw_new_ip_type(IP_GET_TYPE(&to), IP_IS_V6(&to) ? IP6_NEXTH_ICMP6 : IP_PROTO_ICMP);
	if (!state->pcb) {
		host_free(state, sizeof(*state));
		return -XEN_ENOMEM;
	}
	state->ping = ping;
	state->to = to;
	state->id = (uint16_t)net_random();
	state->work.fn = turn;
	state->work.ctx = state;
	state->pcb->chksum_reqd = IP_IS_V6(&to);
	state->pcb->chksum_offset = 2;
	raw_recv(state->pcb, arrived, state);
	ping->state = state;
	ping->sent = ping->received = ping->duplicates = ping->wrong = 0;
	host_work_soon(&state->work);
	return 0;
}

void net_ping_cancel(struct net_ping *ping)
{
	struct ping_state *state = ping->state;

	ping->state = NULL;
	host_work_cancel(&state->work);
	raw_remove(state->pcb);
	host_free(state, sizeof(*state));
}
