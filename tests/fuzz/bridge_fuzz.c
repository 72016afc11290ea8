/* bridge_fuzz.c: whatever guests send, and in whatever order their interfaces come and go, a bridge gives each frame back once.
 *
 * Why: the bridge is the place where one guest's frames meet another's. The input is a list of steps of 4 bytes: a frame from a
 * port to an address, time that passes, a port that goes or comes, loses its carrier, or answers from within. Called by
 * libFuzzer; a frame leaves with no tag but its port's; at the end nothing is held and nothing is leaked.
 * links: tests/host/plain_memory.c tests/host/plain_grants.c drivers-back/bridge.c drivers-back/bridge_vlan.c drivers-back/bridge_table.c kernel/net.c protocol/net_parse.c protocol/net_sum.c protocol/net_fit.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/bridge.h>
#include <amphi/host.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now_ns;
static long held;
uint64_t host_time_ns(void)
{
	return now_ns;
}
void host_log(enum host_log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}
void host_bug(const char *what, const char *file, int line)
{
	(void)what, (void)file, (void)line;
	abort();
}

#define PORTS 6u

static struct {
	struct net_device dev;
	unsigned answers; /* frames that it will answer from within send */
} ports[PORTS];

static void on_put(struct net_frame *frame, int status)
{
	(void)status;
	held--;
	free(frame);
}

/* Kinds: small, tagged, with a segment that is not ours, long, and long TCP, which is none. */
static struct net_frame *frame_new(uint8_t kind, uint8_t to, uint8_t from)
{
	uint32_t len = kind & 8 ? 5000 : 60;
	struct net_frame *frame = calloc(1, sizeof(*frame) + len);
	uint8_t *head = (uint8_t *)(frame + 1);

	head[0] = to & 0x80 ? 0xff : 2, head[5] = to & 15;
	head[6] = from & 0x80 ? 0 : 2, head[11] = from & 15;
	head[12] = kind & 1 ? 0x81 : 8, head[15] = kind >> 4;
	*frame = (struct net_frame){.len_bytes = len,
				    .n_segments = 1,
				    .gso = kind & 4 ? NET_GSO_TCPV4 : NET_GSO_NONE,
				    .gso_size = 1400,
				    .segments[0] = {head, len, 0, {0}},
				    .done = on_put,
				    .holders = 1};
	if (kind & 2) {
		frame->n_segments = 2;
		frame->segments[1] = (struct net_segment){NULL, 20, 4000, {1}};
		frame->segments[0].len_bytes -= 20;
	}
	held++;
	return frame;
}

/* Which VLANs a port has, by its number; and the tags that frames may leave it with. */
static const char *const vlans[] = {"", ".5", ":5:6", ".5:6:0"};
static const uint16_t tags[] = {0xffff, 1 << 0, 1 << 5 | 1 << 6, 1 << 0 | 1 << 6};

static void check_frame(unsigned i, const struct net_frame *frame)
{
	const uint8_t *head = frame->segments[0].va;
	unsigned tag = head[12] == 0x81 && !head[13] ? head[15] : 0;
	uint32_t len = 0;

	for (unsigned s = 0; s < frame->n_segments; s++)
		len += frame->segments[s].len_bytes;
	if (len != frame->len_bytes || frame->n_segments > NET_SEGMENTS_MAX || tag > 15 ||
	    !(tags[i % 4] >> tag & 1))
		abort();
}

static void port_send(struct net_device *dev, struct net_frame *frame)
{
	unsigned i = (unsigned)(uintptr_t)dev->driver;
	const uint8_t *head = frame->segments[0].va;

	if (dev->gone || !dev->carrier)
		abort();
	check_frame(i, frame);
	if (ports[i].answers) {
		ports[i].answers--;
		host_net_receive(dev, frame_new(0, head[11], (uint8_t)i));
		host_net_batch_end(dev);
	}
	net_frame_put(frame, 0);
}

static void port_kick(struct net_device *dev)
{
	if (dev->gone)
		abort();
}

static const struct net_ops port_ops = {.send = port_send, .kick = port_kick};

static void port_toggle(unsigned i, uint8_t how)
{
	struct net_device *dev = &ports[i].dev;

	if (dev->name[0]) {
		host_net_unregister(dev);
		dev->name[0] = 0;
		return;
	}
	*dev = (struct net_device){.ops = &port_ops,
				   .name = {'v', (char)('0' + i)},
				   .bridge = {'b', 'r', how & 1 ? '1' : '0'},
				   .mtu = how & 2 ? 9000 : 1500,
				   .can = how >> 2,
				   .carrier = true,
				   .uplink = how & 128,
				   .n_queues = 1,
				   .driver = (void *)(uintptr_t)i};
	strcpy(dev->bridge + 3, vlans[i % 4]);
	if (host_net_register(dev))
		abort();
}

static void step(const uint8_t *s)
{
	unsigned i = (s[0] >> 3) % PORTS;
	struct net_device *dev = &ports[i].dev;

	switch (s[0] & 7) {
	case 0:
		port_toggle(i, s[1]);
		break;
	case 1:
		now_ns += (uint64_t)s[1] * s[2] * 10000000;
		break;
	case 2:
		ports[i].answers = s[1] & 3;
		break;
	case 3:
		if (dev->name[0]) {
			dev->carrier = s[1] & 1;
			host_net_changed(dev);
		}
		break;
	default:
		if (!dev->name[0])
			break;
		host_net_receive(dev, frame_new(s[1], s[2], s[3]));
		host_net_batch_end(dev);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned i;

	now_ns = 0;
	memset(ports, 0, sizeof(ports));
	if (bridge_start("br0"))
		abort();
	for (i = 0; i < PORTS / 2; i++)
		port_toggle(i, (uint8_t)(i * 40));
	for (; size >= 4; data += 4, size -= 4)
		step(data);
	for (i = 0; i < PORTS; i++)
		if (ports[i].dev.name[0])
			port_toggle(i, 0);
	bridge_stop();
	if (held || host_net_next(NULL))
		abort();
	return 0;
}
