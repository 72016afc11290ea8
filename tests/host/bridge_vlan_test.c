/* bridge_vlan_test: a port has the VLANs that it is said to have, and its frames the tags that go with them.
 *
 * Why: two customers on one bridge are kept apart by nothing else; a tag that a guest makes itself must not carry it into a
 * neighbour's VLAN, and one that is put on or taken off must leave every other byte and segment where it was. Expected: words are
 * read exactly; access, trunk and mixed ports get and give what they may, over unicast and flood; long frames, priorities, frames
 * at the limits, and a shortage of memory.
 *
 * links: tests/host/plain_memory.c tests/host/plain_grants.c drivers-back/bridge.c drivers-back/bridge_vlan.c drivers-back/bridge_table.c kernel/net.c protocol/net_parse.c protocol/net_sum.c protocol/net_fit.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/bridge.h>
#include <amphi/host.h>

#include "../../drivers-back/bridge_vlan.h"
#include "plain_memory.h"

/* ---- the host ------------------------------------------------------------------------------- */

uint64_t host_time_ns(void)
{
	return 1000000000000;
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

/* ---- ports ------------------------------------------------------------------------------------ */

enum { PLAIN, ACCESS5, OTHER5, TRUNK56, MIXED, PORTS };
static const char *const said[PORTS] = {"br0", "br0.5", "br0.5", "br0:5:6", "br0.7:5"};

static struct test_port {
	struct net_device dev;
	unsigned got;
	uint8_t bytes[8192]; /* of the last */
	uint32_t len;
	struct net_frame last;
} ports[PORTS];

static void port_send(struct net_device *dev, struct net_frame *frame)
{
	struct test_port *p = dev->driver;

	p->got++;
	p->len = 0;
	p->last = *frame;
	for (unsigned i = 0; i < frame->n_segments; i++) {
		memcpy(p->bytes + p->len, frame->segments[i].va, frame->segments[i].len_bytes);
		p->len += frame->segments[i].len_bytes;
	}
	assert_int_equal(p->len, frame->len_bytes);
	net_frame_put(frame, 0);
}

static void port_kick(struct net_device *dev)
{
	(void)dev;
}

static const struct net_ops port_ops = {.send = port_send, .kick = port_kick};

static int setup(void **state)
{
	(void)state;
	plain_memory.none_left = false;
	assert_int_equal(bridge_start("br0"), 0);
	for (unsigned i = 0; i < PORTS; i++) {
		struct test_port *p = &ports[i];

		*p = (struct test_port){.dev = {.ops = &port_ops,
						.mtu = 9000,
						.can = ~0u,
						.carrier = true,
						.n_queues = 1,
						.driver = p}};
		snprintf(p->dev.name, sizeof(p->dev.name), "vif%u.0", i);
		strcpy(p->dev.bridge, said[i]);
		assert_int_equal(host_net_register(&p->dev), 0);
	}
	return 0;
}

static unsigned frames_out;

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PORTS; i++)
		host_net_unregister(&ports[i].dev);
	bridge_stop();
	assert_int_equal(frames_out, 0);
	assert_int_equal(plain_memory.held, 0);
	return 0;
}

static void on_put(struct net_frame *frame, int status)
{
	(void)frame, (void)status;
	frames_out--;
}

/* One frame at a time; its data are a pattern. */
static uint8_t bytes[8192];
static struct net_frame frame;

static void make(uint8_t to, uint8_t from, int tag, uint32_t len)
{
	uint32_t at = 12;

	memset(bytes, 0, 12);
	memset(bytes, to == 0xff ? 0xff : 0, 6);
	bytes[0] |= 2, bytes[5] = to;
	bytes[6] = 2, bytes[11] = from;
	if (tag >= 0) {
		bytes[12] = 0x81, bytes[13] = 0;
		bytes[14] = (uint8_t)(tag >> 8), bytes[15] = (uint8_t)tag;
		at = 16;
	}
	bytes[at] = 0x88, bytes[at + 1] = 0xb5;
	for (uint32_t i = at + 2; i < len; i++)
		bytes[i] = (uint8_t)(i * 3 + i / 256);
	frame = (struct net_frame){.len_bytes = len,
				   .n_segments = 1,
				   .segments[0] = {.va = bytes, .len_bytes = len},
				   .done = on_put,
				   .holders = 1};
}

/* Sends what was made and says who got it: bit i for port i. */
static unsigned send(unsigned port)
{
	unsigned before[PORTS], who = 0;
	uint8_t sent[sizeof(bytes)];

	memcpy(sent, bytes, sizeof(bytes));
	for (unsigned i = 0; i < PORTS; i++)
		before[i] = ports[i].got;
	frames_out++;
	host_net_receive(&ports[port].dev, &frame);
	host_net_batch_end(&ports[port].dev);
	assert_int_equal(frames_out, 0);
	assert_memory_equal(bytes, sent, sizeof(bytes)); /* it was lent */
	for (unsigned i = 0; i < PORTS; i++)
		who |= (unsigned)(ports[i].got != before[i]) << i;
	return who;
}

static unsigned sent(unsigned port, uint8_t to, uint8_t from, int tag)
{
	make(to, from, tag, 60);
	return send(port);
}

static int tag_at(unsigned port)
{
	const uint8_t *b = ports[port].bytes;

	return b[12] == 0x81 ? b[14] << 8 | b[15] : -1;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void test_words(void **state)
{
	static const char *const wrong[] = {
	    "br0.",
	    "br0.0",
	    "br0.4095",
	    "br0.5.6",
	    "br0:",
	    "br0:4095",
	    "br0:5:",
	    "br0:5.6",
	    "br0.x",
	    "br0:1:2:3:4:5:6:7:8:9",
	    "br0.99999999999",
	    "sixteen-letters.",
	};
	struct vlan_rule rule;
	char name[16];

	(void)state;
	assert_true(vlan_rule_read("xenbr0", name, sizeof(name), &rule));
	assert_string_equal(name, "xenbr0");
	assert_false(rule.aware);
	assert_true(
	    vlan_rule_read("fifteen-letters.4094:0:1:2:3:4:5:6:7", name, sizeof(name), &rule));
	assert_string_equal(name, "fifteen-letters");
	assert_true(rule.aware);
	assert_int_equal(rule.access, 4094);
	assert_int_equal(rule.n_trunks, 8);
	assert_int_equal(rule.trunks[7], 7);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(vlan_rule_read(wrong[i], name, sizeof(name), &rule));
}

/* To everybody: who has the VLAN, and with which tag. */
static void test_flood(void **state)
{
	(void)state;
	assert_int_equal(sent(ACCESS5, 0xff, 1, -1),
			 1 << PLAIN | 1 << OTHER5 | 1 << TRUNK56 | 1 << MIXED);
	assert_int_equal(tag_at(PLAIN), 5);
	assert_int_equal(tag_at(OTHER5), -1);
	assert_int_equal(tag_at(TRUNK56), 5);
	assert_int_equal(tag_at(MIXED), 5);
	assert_int_equal(sent(PLAIN, 0xff, 2, -1),
			 0); /* without a tag nobody has it but other plain ones */
	assert_int_equal(sent(PLAIN, 0xff, 2, 6), 1 << TRUNK56);
	assert_int_equal(sent(MIXED, 0xff, 3, -1), 1 << PLAIN);
	assert_int_equal(tag_at(PLAIN), 7);
	assert_int_equal(sent(PLAIN, 0xff, 4, 7), 1 << MIXED);
	assert_int_equal(tag_at(MIXED), -1);
}

/* What a guest may not send goes nowhere, and is learned nowhere. */
static void test_kept_out(void **state)
{
	(void)state;
	assert_int_equal(sent(ACCESS5, 0xff, 1, 5), 0);
	assert_int_equal(sent(ACCESS5, 0xff, 1, 6), 0);
	assert_int_equal(sent(TRUNK56, 0xff, 2, -1), 0);
	assert_int_equal(sent(TRUNK56, 0xff, 2, 7), 0);
	assert_int_equal(sent(MIXED, 0xff, 3, 7), 0); /* its own, but with a tag */
	assert_int_equal(ports[ACCESS5].dev.stats[0].drops[NET_DROP_filtered], 2);
	assert_int_equal(ports[TRUNK56].dev.stats[0].drops[NET_DROP_filtered], 2);
	assert_int_equal(sent(PLAIN, 1, 9, 5),
			 1 << ACCESS5 | 1 << OTHER5 | 1 << TRUNK56 | 1 << MIXED); /* not known */
	assert_int_equal(sent(ACCESS5, 0xff, 1, 0x2000), 1 << PLAIN | 1 << OTHER5 | 1 << TRUNK56 |
							     1 << MIXED); /* a priority alone */
	assert_int_equal(tag_at(TRUNK56), 0x2005);
	assert_int_equal(tag_at(OTHER5), -1);
}

/* Once an address was heard: one port, and only in its VLAN. */
static void test_unicast(void **state)
{
	(void)state;
	(void)sent(ACCESS5, 0xff, 1, -1);
	(void)sent(TRUNK56, 0xff, 2, 5);
	(void)sent(TRUNK56, 0xff, 2, 6);
	assert_int_equal(sent(ACCESS5, 2, 1, -1), 1 << TRUNK56);
	assert_int_equal(tag_at(TRUNK56), 5);
	assert_int_equal(sent(TRUNK56, 1, 2, 5), 1 << ACCESS5);
	assert_int_equal(tag_at(ACCESS5), -1);
	assert_int_equal(sent(TRUNK56, 1, 2, 6),
			 1 << PLAIN); /* 1 is of another VLAN: not known in this one */
	assert_int_equal(tag_at(PLAIN), 6);
	assert_int_equal(sent(OTHER5, 1, 4, -1), 1 << ACCESS5);
}

/* Nothing but the tag is another: short, longer than its headers, and in segments. */
static void test_bytes(void **state)
{
	static const uint32_t lengths[] = {14, 16, 60, 255, 256, 257, 260, 1514, 5000};

	(void)state;
	(void)sent(TRUNK56, 0xff, 2, 5);
	(void)sent(ACCESS5, 0xff, 1, -1);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		uint32_t len = lengths[i];

		make(2, 1, -1, len);
		assert_int_equal(send(ACCESS5), 1 << TRUNK56);
		assert_int_equal(ports[TRUNK56].len, len + 4);
		assert_memory_equal(ports[TRUNK56].bytes, bytes, 12);
		assert_memory_equal(ports[TRUNK56].bytes + 12, "\x81\0\0\5", 4);
		assert_memory_equal(ports[TRUNK56].bytes + 16, bytes + 12, len - 12);
		if (len < 18)
			continue;
		make(1, 2, 5, len);
		frame.n_segments = 3;
		frame.segments[0].len_bytes = len / 2 + 9 > len ? len : len / 2 + 9;
		frame.segments[1] = (struct net_segment){.va = bytes + frame.segments[0].len_bytes};
		frame.segments[2] = frame.segments[1];
		frame.segments[2].len_bytes = len - frame.segments[0].len_bytes;
		frame.hash = 77;
		assert_int_equal(send(TRUNK56), 1 << ACCESS5);
		assert_int_equal(ports[ACCESS5].len, len - 4);
		assert_int_equal(ports[ACCESS5].last.hash, 77);
		assert_memory_equal(ports[ACCESS5].bytes, bytes, 12);
		assert_memory_equal(ports[ACCESS5].bytes + 12, bytes + 16, len - 16);
	}
}

/* What lies in another's page is referred to behind the headers, too. */
static void test_references(void **state)
{
	struct vlan_rule rule = {.aware = true, .trunks = {5}, .n_trunks = 1};
	struct net_frame *d;

	(void)state;
	make(2, 1, -1, 1000);
	frame.owner = 3;
	frame.flags = NET_CSUM_BLANK;
	frame.gso = NET_GSO_TCPV4;
	frame.gso_size = 100;
	frame.segments[0].ref = (gref_t){9};
	frame.segments[0].offset = 40;
	frame.n_segments = 2;
	frame.segments[0].len_bytes = 900;
	frame.segments[1] = (struct net_segment){.len_bytes = 100, .offset = 8, .ref = {10}};
	frames_out++;
	d = vlan_dress(&rule, &frame, 5);
	assert_ptr_not_equal(d, &frame);
	assert_int_equal(d->n_segments, 3);
	assert_int_equal(d->segments[0].ref.v, 0);
	assert_int_equal(d->segments[0].len_bytes + d->segments[1].len_bytes, 904);
	assert_int_equal(d->segments[1].ref.v, 9);
	assert_int_equal(d->segments[1].offset, 40 + d->segments[0].len_bytes - 4);
	assert_memory_equal(&d->segments[2], &frame.segments[1], sizeof(struct net_segment));
	assert_int_equal(d->owner, 3);
	assert_int_equal(d->flags, NET_CSUM_BLANK);
	assert_int_equal(d->gso, NET_GSO_TCPV4);
	assert_int_equal(d->gso_size, 100);
	net_frame_put(d, 0);
	assert_int_equal(frames_out, 0);
	/* What has no segment to spare, or no length, is the caller's still. */
	frame.n_segments = NET_SEGMENTS_MAX;
	assert_null(vlan_dress(&rule, &frame, 5));
	frame.n_segments = 2;
	frame.len_bytes = NET_FRAME_MAX - 3;
	assert_null(vlan_dress(&rule, &frame, 5));
}

static void test_no_memory(void **state)
{
	(void)state;
	(void)sent(TRUNK56, 0xff, 2, 5);
	vlan_trim();
	plain_memory.none_left = true;
	assert_int_equal(sent(ACCESS5, 2, 1, -1), 0);
	assert_int_equal(ports[TRUNK56].dev.stats[0].drops[NET_DROP_no_memory], 1);
	assert_int_equal(sent(OTHER5, 1, 3, -1), 1 << ACCESS5); /* needs none */
	plain_memory.none_left = false;
}

/* A port whose words cannot be read is none. */
static void test_wrong_word(void **state)
{
	struct net_device dev = {.ops = &port_ops, .name = "x", .bridge = "br0.5.6", .n_queues = 1};

	(void)state;
	assert_int_equal(host_net_register(&dev), 0);
	assert_null(dev.user);
	host_net_unregister(&dev);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_words), TEST(test_flood),      TEST(test_kept_out),  TEST(test_unicast),
	    TEST(test_bytes), TEST(test_references), TEST(test_no_memory), TEST(test_wrong_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
