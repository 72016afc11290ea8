/* bridge_test: frames go where their address was heard, and nowhere else.
 *
 * Why: a bridge that forgets, floods or believes too much shows one guest the other's traffic, or melts in a loop. Expected:
 * learning per VLAN, ageing, flooding to all but the port of origin, the hold that stops thieves and loops, the bound of a
 * guest's port, ports that come and go, and the domain's own interface in between.
 * links: tests/host/plain_memory.c tests/host/plain_grants.c drivers-back/bridge.c drivers-back/bridge_vlan.c drivers-back/bridge_table.c kernel/net.c protocol/net_parse.c protocol/net_sum.c protocol/net_fit.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/bridge.h>
#include <amphi/host.h>

#include "plain_memory.h"

/* ---- the host ------------------------------------------------------------------------------- */

static uint64_t now_ns;

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
	fail_msg("%s:%d: %s", file, line, what);
	__builtin_unreachable();
}

/* ---- ports ---------------------------------------------------------------------------------- */

#define PORTS 4u

/* peer: whatever is sent to this port comes in at that one, as a guest does that bridges two of its own. */
struct test_port {
	struct net_device dev;
	unsigned got, kicks;
	uint32_t last_len;
	struct test_port *peer;
	unsigned looped;
};
static struct test_port ports[PORTS];

static unsigned frames_out; /* not put yet */

static void on_put(struct net_frame *frame, int status)
{
	(void)status;
	frames_out--;
	free(frame);
}

/* A frame of len bytes from one address to another (their last bytes), with a tag when vlan is not 0. */
static struct net_frame *frame_new(uint8_t to, uint8_t from, unsigned vlan, uint32_t len)
{
	struct net_frame *frame = calloc(1, sizeof(*frame) + len);
	uint8_t *head = (uint8_t *)(frame + 1);

	memset(head, to == 0xff ? 0xff : 0, NET_MAC_BYTES);
	head[0] |= 0x02, head[5] = to;
	head[6] = 0x02, head[11] = from;
	head[12] = vlan ? 0x81 : 0x88, head[13] = vlan ? 0x00 : 0xb5;
	head[14] = (uint8_t)(vlan >> 8), head[15] = (uint8_t)vlan;
	frame->len_bytes = len;
	frame->n_segments = 1;
	frame->segments[0] = (struct net_segment){head, len, 0, {0}};
	frame->done = on_put;
	frame->holders = 1;
	frames_out++;
	return frame;
}

static void port_send(struct net_device *dev, struct net_frame *frame)
{
	struct test_port *p = dev->driver;

	p->got++;
	p->last_len = frame->len_bytes;
	if (!p->peer) {
		net_frame_put(frame, 0);
		return;
	}
	p->looped++;
	assert_true(p->looped < 100);
	host_net_receive(&p->peer->dev, frame);
	host_net_batch_end(&p->peer->dev);
}

static void port_kick(struct net_device *dev)
{
	((struct test_port *)dev->driver)->kicks++;
}

static const struct net_ops port_ops = {.send = port_send, .kick = port_kick};

static void port_up(unsigned i)
{
	struct test_port *p = &ports[i];

	*p = (struct test_port){.dev = {.ops = &port_ops,
					.bridge = "br0",
					.mtu = 1500,
					.can = ~0u,
					.carrier = true,
					.n_queues = 1,
					.driver = p}};
	(void)snprintf(p->dev.name, sizeof(p->dev.name), "vif%u.0", i);
	assert_int_equal(host_net_register(&p->dev), 0);
}

static int setup(void **state)
{
	unsigned i;

	(void)state;
	now_ns = 1000000000000;
	assert_int_equal(bridge_start("br0"), 0);
	for (i = 0; i < PORTS; i++)
		port_up(i);
	return 0;
}

static int teardown(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < PORTS; i++)
		if (host_net_find(ports[i].dev.name))
			host_net_unregister(&ports[i].dev);
	bridge_stop();
	assert_null(host_net_next(NULL));
	assert_int_equal(frames_out, 0);
	assert_int_equal(plain_memory.held, 0);
	return 0;
}

/* Sends and says who got it: bit i for port i. */
static unsigned sent(unsigned port, struct net_frame *frame)
{
	unsigned before[PORTS], i, who = 0;

	for (i = 0; i < PORTS; i++)
		before[i] = ports[i].got;
	host_net_receive(&ports[port].dev, frame);
	host_net_batch_end(&ports[port].dev);
	for (i = 0; i < PORTS; i++)
		who |= (ports[i].got != before[i]) << i;
	return who;
}

static void pass_ms(unsigned ms)
{
	now_ns += ms * 1000000ull;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void test_learns(void **state)
{
	(void)state;
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0xe); /* nobody knows 2 */
	assert_int_equal(sent(1, frame_new(1, 2, 0, 60)), 0x1);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0x2);
	assert_int_equal(sent(2, frame_new(0xff, 3, 0, 60)), 0xb);
	assert_int_equal(sent(0, frame_new(1, 9, 0, 60)), 0); /* back where it came from: no */
	assert_int_equal(ports[1].kicks, 3);
}

static void test_forgets(void **state)
{
	(void)state;
	assert_int_equal(sent(1, frame_new(0xff, 2, 0, 60)), 0xd);
	pass_ms(BRIDGE_AGE_MS - 1);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0x2);
	pass_ms(2);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0xe);
}

/* One address may be in two places, under two tags. */
static void test_tags(void **state)
{
	(void)state;
	assert_int_equal(sent(1, frame_new(0xff, 2, 10, 60)), 0xd);
	assert_int_equal(sent(2, frame_new(0xff, 2, 20, 60)), 0xb);
	assert_int_equal(sent(0, frame_new(2, 1, 10, 60)), 0x2);
	assert_int_equal(sent(0, frame_new(2, 1, 20, 60)), 0x4);
	assert_int_equal(sent(0, frame_new(2, 1, 30, 60)), 0xe);
}

static void test_nobody_takes_an_address(void **state)
{
	(void)state;
	assert_int_equal(sent(1, frame_new(0xff, 2, 0, 60)), 0xd);
	assert_int_equal(sent(3, frame_new(0xff, 2, 0, 60)), 0); /* a thief */
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0x2);
	assert_int_equal(ports[3].dev.stats[0].drops[NET_DROP_spoofed], 1);
	pass_ms(BRIDGE_HOLD_MS + 1); /* silent since: it has moved */
	assert_int_equal(sent(3, frame_new(0xff, 2, 0, 60)), 0x7);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0x8);
}

/* Two ports whose guest sends out of one what comes in at the other: a broadcast goes round once. */
static void test_a_loop_ends(void **state)
{
	(void)state;
	ports[1].peer = &ports[2];
	ports[2].peer = &ports[1];
	(void)sent(0, frame_new(0xff, 1, 0, 60));
	assert_int_equal(ports[1].looped + ports[2].looped, 2);
	assert_int_equal(ports[3].got, 1);
}

static void count_addresses(const struct bridge_port_info *info, void *ctx)
{
	if (!strcmp(info->dev->name, "vif0.0"))
		*(unsigned *)ctx = info->addresses;
}

static void test_a_guest_has_so_many_addresses(void **state)
{
	unsigned i, n = 0;

	(void)state;
	for (i = 1; i <= BRIDGE_GUEST_ADDRESSES; i++)
		assert_int_equal(sent(0, frame_new(0xff, (uint8_t)i, 0, 60)), 0xe);
	assert_int_equal(sent(0, frame_new(0xff, 200, 0, 60)), 0);
	bridge_for_each_port(count_addresses, &n);
	assert_int_equal(n, BRIDGE_GUEST_ADDRESSES);
	pass_ms(BRIDGE_AGE_MS + 1); /* the old ones make room */
	assert_int_equal(sent(0, frame_new(0xff, 200, 0, 60)), 0xe);
}

static void test_sources_that_cannot_be(void **state)
{
	struct net_frame *frame = frame_new(2, 1, 0, 60);
	uint8_t *head = frame->segments[0].va;

	(void)state;
	head[6] = 0x03; /* a group sends nothing */
	assert_int_equal(sent(0, frame), 0);
	frame = frame_new(2, 0, 0, 60);
	head = frame->segments[0].va;
	head[6] = 0;
	assert_int_equal(sent(0, frame), 0);
	frame = frame_new(2, 1, 0, 60);
	memcpy(frame->segments[0].va, "\x01\x80\xc2\0\0\x0e", 6); /* between neighbours only */
	assert_int_equal(sent(0, frame), 0);
}

static void test_ports_come_and_go(void **state)
{
	(void)state;
	assert_int_equal(sent(1, frame_new(0xff, 2, 0, 60)), 0xd);
	host_net_unregister(&ports[1].dev);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0xc);
	port_up(1);
	ports[2].dev.carrier = false;
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0xa);
	assert_int_equal(ports[2].dev.stats[0].drops[NET_DROP_down], 1);
	ports[3].dev.mtu = 100;
	assert_int_equal(sent(0, frame_new(2, 1, 0, 1000)), 0x2);
	assert_int_equal(ports[3].dev.stats[0].drops[NET_DROP_too_long], 1);
}

/* ---- the own interface ------------------------------------------------------------------------- */

static unsigned own_got, own_batches;

static void own_received(struct net_device *dev, struct net_frame *frame)
{
	assert_string_equal(dev->name, "br0");
	own_got++;
	net_frame_put(frame, 0);
}
static void own_batch_end(struct net_device *dev)
{
	(void)dev;
	own_batches++;
}
static void own_changed(struct net_device *dev)
{
	(void)dev;
}
static const struct net_user_ops own_user = {own_received, own_batch_end, own_changed};

static void wire_mtu(struct net_device *dev, uint16_t mtu)
{
	dev->mtu = mtu < 1500 ? 1500 : mtu > 9000 ? 9000 : mtu;
}

/* A wire grows with the widest guest, and back; the domain's own frames are for everybody. */
static void test_long_frames(void **state)
{
	static const struct net_ops wire_ops = {
	    .send = port_send, .kick = port_kick, .set_mtu = wire_mtu};
	struct net_device *own = host_net_find("br0");

	(void)state;
	host_net_unregister(&ports[3].dev);
	ports[3].dev = (struct net_device){.name = "eth0",
					   .ops = &wire_ops,
					   .bridge = "br0",
					   .uplink = true,
					   .mtu = 1500,
					   .can = ~0u,
					   .carrier = true,
					   .n_queues = 1,
					   .driver = &ports[3]};
	assert_int_equal(host_net_register(&ports[3].dev), 0);
	assert_int_equal(ports[3].dev.mtu, 1500);
	assert_int_equal(sent(3, frame_new(0xff, 9, 0, 60)), 0x7);
	ports[0].dev.mtu = 4000;
	host_net_changed(&ports[0].dev);
	assert_int_equal(ports[3].dev.mtu, 4000);
	assert_int_equal(own->mtu, 1500);
	assert_int_equal(sent(0, frame_new(9, 1, 0, 4014)), 0x8);
	for (unsigned i = 0; i < 3; i++) {
		ports[i].dev.mtu = 9500;
		host_net_changed(&ports[i].dev);
	}
	assert_int_equal(ports[3].dev.mtu, 9000);
	assert_int_equal(own->mtu, 9000);
	for (unsigned i = 0; i < 3; i++)
		host_net_unregister(&ports[i].dev);
	assert_int_equal(ports[3].dev.mtu, 1500);
	assert_int_equal(own->mtu, 1500);
}

static void test_own_interface(void **state)
{
	struct net_device *own = host_net_find("br0");

	(void)state;
	assert_non_null(own);
	assert_true(own->carrier);
	assert_int_equal(host_net_attach(own, &own_user, NULL), 0);
	assert_int_equal(sent(0, frame_new(0xff, 1, 0, 60)), 0xe);
	assert_int_equal(own_got, 1);
	assert_int_equal(own_batches, 1);
	own->ops->send(own, frame_new(1, 0x77, 0, 60));
	own->ops->kick(own);
	assert_int_equal(ports[0].got, 1);
	assert_int_equal(ports[0].kicks, 1);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(sent(2, frame_new(0x77, 3, 0, 60)), 0);
	assert_int_equal(own_got, 2);
	for (unsigned i = 0; i < PORTS; i++) {
		assert_true(own->carrier);
		host_net_unregister(&ports[i].dev);
	}
	assert_false(own->carrier);
}

/* It need not say a word: what is for it goes to nobody else, and nobody takes its address. */
static void test_own_address(void **state)
{
	struct net_device *own = host_net_find("br0");
	struct net_frame *frame;

	(void)state;
	for (unsigned thief = 0; thief < 2; thief++) {
		frame = frame_new(1, 9, 0, 60);
		memcpy((uint8_t *)frame->segments[0].va + thief * NET_MAC_BYTES, own->mac,
		       NET_MAC_BYTES);
		own_got = 0;
		assert_int_equal(host_net_attach(own, &own_user, NULL), 0);
		assert_int_equal(sent(0, frame), 0);
		assert_int_equal(own_got, !thief);
		host_net_detach(own);
	}
	assert_int_equal(ports[0].dev.stats[0].drops[NET_DROP_spoofed], 1);
}

/* An interface that names no bridge is nobody's port, but a wire is the default one's; another name makes another bridge. */
static void test_which_bridge(void **state)
{
	struct test_port other = {
	    .dev = {.name = "x", .ops = &port_ops, .mtu = 9000, .carrier = true, .driver = &other}};

	(void)state;
	assert_int_equal(host_net_register(&other.dev), 0);
	assert_null(other.dev.user);
	host_net_unregister(&other.dev);
	other.dev.uplink = true;
	assert_int_equal(host_net_register(&other.dev), 0);
	assert_int_equal(sent(0, frame_new(0xff, 1, 0, 60)), 0xe);
	assert_int_equal(other.got, 1);
	host_net_unregister(&other.dev);
	(void)strcpy(other.dev.bridge, "br1");
	assert_int_equal(host_net_register(&other.dev), 0);
	assert_non_null(host_net_find("br1"));
	assert_int_equal(host_net_find("br1")->mtu, 9000);
	assert_int_equal(sent(0, frame_new(0xff, 1, 0, 60)), 0xe);
	assert_int_equal(other.got, 1);
	host_net_unregister(&other.dev);
}

static struct {
	unsigned in, out, ended;
} looked;

static void look(void *ctx, const struct net_frame *frame, bool to_device)
{
	assert_ptr_equal(ctx, &looked);
	looked.ended += !frame;
	looked.in += frame && !to_device;
	looked.out += frame && to_device;
}

/* Who looks on at a port sees what it gives and gets, and no other's; its end is told once. */
static void test_looking_on(void **state)
{
	(void)state;
	memset(&looked, 0, sizeof(looked));
	assert_int_equal(bridge_tap("vif9.0", look, &looked), -XEN_ENODEV);
	assert_int_equal(bridge_tap("vif1.0", look, &looked), 0);
	assert_int_equal(bridge_tap("vif1.0", look, &looked), -XEN_EBUSY);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0xe);
	assert_int_equal(looked.out, 1);
	assert_int_equal(sent(1, frame_new(1, 2, 0, 60)), 0x1);
	assert_int_equal(looked.in, 1);
	assert_int_equal(sent(2, frame_new(1, 3, 0, 60)), 0x1);
	assert_int_equal(looked.in + looked.out, 2);
	assert_int_equal(bridge_tap("vif1.0", NULL, NULL), 0);
	assert_int_equal(sent(0, frame_new(2, 1, 0, 60)), 0x2);
	assert_int_equal(looked.in + looked.out, 2);
	assert_int_equal(bridge_tap("br0", look, &looked), 0);
	assert_int_equal(bridge_tap("vif1.0", look, &looked), 0);
	host_net_unregister(&ports[1].dev);
	assert_int_equal(looked.ended, 1);
	assert_int_equal(bridge_tap("vif1.0", NULL, NULL), -XEN_ENODEV);
}

/* Which addresses are at a wire: a guest that takes one of them is a guest. */
static void test_outside(void **state)
{
	static const uint8_t at_wire[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 9},
			     at_guest[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 1},
			     nobody[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 7};

	(void)state;
	ports[3].dev.uplink = true;
	(void)sent(3, frame_new(1, 9, 0, 60));
	(void)sent(0, frame_new(9, 1, 0, 60));
	assert_true(bridge_is_outside(at_wire));
	assert_false(bridge_is_outside(at_guest));
	assert_false(bridge_is_outside(nobody));
	(void)sent(3, frame_new(1, 7, 5, 60)); /* of a VLAN, where the domain's stack is not */
	assert_false(bridge_is_outside(nobody));
	pass_ms(BRIDGE_HOLD_MS + 1);
	(void)sent(1, frame_new(1, 9, 0, 60));
	assert_false(bridge_is_outside(at_wire));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_learns),
	    TEST(test_forgets),
	    TEST(test_tags),
	    TEST(test_nobody_takes_an_address),
	    TEST(test_a_loop_ends),
	    TEST(test_a_guest_has_so_many_addresses),
	    TEST(test_sources_that_cannot_be),
	    TEST(test_ports_come_and_go),
	    TEST(test_own_interface),
	    TEST(test_own_address),
	    TEST(test_which_bridge),
	    TEST(test_looking_on),
	    TEST(test_long_frames),
	    TEST(test_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
