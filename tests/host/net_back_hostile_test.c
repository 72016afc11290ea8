/* net_back_hostile_test: frontends that send wrong packets, one after another, each by name.
 *
 * Why: netback reads what any guest cares to write, and its neighbours' traffic passes through the same code. Expected: a wrong
 * packet is answered with an error in each of its slots and told once; every slot is fetched once; a neighbour's packets pass before, between and after; nothing is left when the guest has gone.
 *
 * links: tests/host/net_world.c tests/host/net_guest.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c protocol/grant_retire.c
 * links: protocol/netif_*.c protocol/net_*.c drivers-back/netback*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net_back_bad.h"
#include "peer_recorder.h"

/* ---- what they do --------------------------------------------------------------------------- */

static void put_two(uint16_t total, uint16_t offset, uint16_t second)
{
	struct netif_tx_request req = good();

	req.size = total;
	req.flags = NETTXF_more_data;
	put(req);
	req = good();
	req.offset = offset;
	req.size = second;
	put(req);
}

static void short_packet(void)
{
	struct netif_tx_request req = good();

	req.size = 13;
	put(req);
}

static void no_bytes(void)
{
	struct netif_tx_request req = good();

	req.size = 0;
	put(req);
}

static void beyond_page(void)
{
	struct netif_tx_request req = good();

	req.offset = 4090;
	put(req);
}

static void offset_wraps(void)
{
	struct netif_tx_request req = good();

	req.offset = 0xfff0;
	req.size = 0x40;
	put(req);
}

static void longest_of_one_slot(void)
{
	struct netif_tx_request req = good();

	req.size = 65535;
	put(req);
}

static void slots_longer_than_packet(void)
{
	put_two(64, 0, 100);
}

static void nothing_left_for_the_first(void)
{
	put_two(64, 0, 64);
}

static void second_beyond_page(void)
{
	put_two(5000, 4000, 1000);
}

static void empty_second(void)
{
	put_two(64, 0, 0);
}

static void many_slots(unsigned n)
{
	struct netif_tx_request req = good();

	req.size = (uint16_t)(n * 20);
	req.flags = NETTXF_more_data;
	put(req);
	req.size = 20;
	for (unsigned i = 1; i < n; i++) {
		req.flags = i + 1 < n ? NETTXF_more_data : 0;
		put(req);
	}
}

static void nineteen_slots(void)
{
	many_slots(19);
}

static void two_hundred_slots(void)
{
	many_slots(200);
}

static void no_such_grant(void)
{
	struct netif_tx_request req = good();

	req.gref = 1000;
	put(req);
}

static void wild_grant(void)
{
	struct netif_tx_request req = good();

	req.gref = 0xffffffff;
	put(req);
}

static void anothers_grant(void)
{
	struct netif_tx_request req = good();

	req.gref = 7; /* below what any domain offers */
	put(req);
}

/* ---- extra infos ---- */

static void extra_of_type(uint8_t type)
{
	put_extra_packet(&(struct netif_extra_info){.type = type}, 1);
}

static void extra_of_no_type(void)
{
	extra_of_type(0);
}

static void extra_unknown(void)
{
	extra_of_type(200);
}

static void extra_twice(void)
{
	struct netif_extra_info infos[2] = {{.type = XEN_NETIF_EXTRA_TYPE_HASH},
					    {.type = XEN_NETIF_EXTRA_TYPE_HASH}};

	put_extra_packet(infos, 2);
}

static void multicast_of_one(void)
{
	struct netif_extra_info info = {.type = XEN_NETIF_EXTRA_TYPE_MCAST_ADD};

	memcpy(info.u.mcast.addr, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	put_extra_packet(&info, 1);
}

static void multicast_both_ways(void)
{
	struct netif_extra_info infos[2] = {{.type = XEN_NETIF_EXTRA_TYPE_MCAST_ADD},
					    {.type = XEN_NETIF_EXTRA_TYPE_MCAST_DEL}};

	infos[0].u.mcast.addr[0] = infos[1].u.mcast.addr[0] = 1;
	put_extra_packet(infos, 2);
}

static void gso(uint8_t type, uint16_t size, const struct net_recipe *recipe, uint32_t len)
{
	struct netif_extras extras = {
	    .seen = 1 << XEN_NETIF_EXTRA_TYPE_GSO, .gso = type, .gso_size = size};

	net_world_frame(guest.pages, len, recipe);
	net_guest_packet(&guest, 0, &(struct net_packet){.len = len, .extras = &extras});
}

static const struct net_recipe tcp4 = {.sport = 1}, tcp6 = {.ipv6 = true}, udp4 = {.udp = true},
			       fragment4 = {.fragment = true};

static void gso_of_no_size(void)
{
	gso(1, 0, &tcp4, 3000);
}

static void gso_of_one_byte(void)
{
	gso(1, 1, &tcp4, 3000);
}

static void gso_of_no_type(void)
{
	gso(7, 1448, &tcp4, 3000);
}

static void gso_of_udp(void)
{
	gso(1, 1448, &udp4, 3000);
}

static void gso_of_a_fragment(void)
{
	gso(1, 1448, &fragment4, 3000);
}

static void gso_of_the_other_version(void)
{
	gso(2, 1448, &tcp4, 3000);
}

static void gso_of_the_other_version_too(void)
{
	gso(1, 1448, &tcp6, 3000);
}

static void gso_without_data(void)
{
	gso(1, 1448, &tcp4, 54);
}

/* ---- headers ---- */

static void blank(const struct net_recipe *recipe, unsigned at, uint8_t value)
{
	net_world_frame(guest.pages, 200, recipe);
	if (at)
		guest.pages[at] = value;
	net_guest_packet(&guest, 0, &(struct net_packet){.len = 200, .flags = NETTXF_csum_blank});
}

static void blank_of_no_protocol(void)
{
	blank(&tcp4, 12, 0x99);
}

static void blank_of_icmp(void)
{
	blank(&tcp4, 14 + 9, 1);
}

static void blank_of_a_fragment(void)
{
	blank(&fragment4, 0, 0);
}

static void ip_header_too_short(void)
{
	blank(&tcp4, 14, 0x44);
}

static void ip_longer_than_packet(void)
{
	blank(&tcp4, 14 + 2, 0xff);
}

static void tcp_header_too_short(void)
{
	blank(&tcp4, 14 + 20 + 12, 0x10);
}

/* The packet ends within TCP's header, which says that it is 60 bytes long. */
static void header_cut_in_the_linear_part(void)
{
	net_world_frame(guest.pages, 60, &tcp4);
	guest.pages[14 + 20 + 12] = 0xf0;
	net_guest_packet(&guest, 0, &(struct net_packet){.len = 60, .flags = NETTXF_csum_blank});
}

/* Extension headers as long as the part that is looked at: TCP stands behind it. */
static void headers_behind_the_head(void)
{
	uint8_t *ip = guest.pages + 14;

	net_world_frame(guest.pages, 1000, &tcp6);
	ip[6] = 60;
	ip[40] = 6;
	ip[41] = 31;
	net_guest_packet(&guest, 0, &(struct net_packet){.len = 1000, .flags = NETTXF_csum_blank});
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct bad bad[] = {
    {"a packet shorter than a header", short_packet, REFUSED, "shorter than a header"},
    {"a packet of no bytes", no_bytes, REFUSED, "shorter than a header"},
    {"a slot beyond its page", beyond_page, REFUSED, "beyond its page"},
    {"an offset that wraps", offset_wraps, REFUSED, "beyond its page"},
    {"a frame longer than its grant", longest_of_one_slot, REFUSED, "beyond its page"},
    {"slots longer than the packet", slots_longer_than_packet, REFUSED, "longer than the packet"},
    {"nothing left for the first slot", nothing_left_for_the_first, REFUSED, "longer than"},
    {"a second slot beyond its page", second_beyond_page, REFUSED, "beyond its page"},
    {"an empty second slot", empty_second, REFUSED, "empty slot"},
    {"19 slots", nineteen_slots, REFUSED, "more slots than the limit"},
    {"200 slots", two_hundred_slots, REFUSED, "more slots than the limit"},
    {"a grant that is none", no_such_grant, REFUSED, "not granted"},
    {"a grant beyond the table", wild_grant, REFUSED, "not granted"},
    {"a grant of the toolstack's", anothers_grant, REFUSED, "not granted"},
    {"an extra info of no type", extra_of_no_type, REFUSED, "extra info"},
    {"an extra info of a type that nobody knows", extra_unknown, REFUSED, "extra info"},
    {"one extra info twice", extra_twice, REFUSED, "extra info"},
    {"a multicast address of one station", multicast_of_one, REFUSED, "extra info"},
    {"a multicast address put in and taken out", multicast_both_ways, REFUSED, "extra info"},
    {"GSO of size 0", gso_of_no_size, REFUSED, "extra info"},
    {"GSO of size 1", gso_of_one_byte, REFUSED, "impossible size"},
    {"GSO of no type", gso_of_no_type, REFUSED, "extra info"},
    {"GSO of UDP", gso_of_udp, REFUSED, "another protocol"},
    {"GSO of a fragment", gso_of_a_fragment, REFUSED, "neither TCP nor UDP"},
    {"GSO for IPv6 of IPv4", gso_of_the_other_version, REFUSED, "another protocol"},
    {"GSO for IPv4 of IPv6", gso_of_the_other_version_too, REFUSED, "another protocol"},
    {"GSO without data", gso_without_data, REFUSED, "without data"},
    {"a blank checksum of no protocol", blank_of_no_protocol, REFUSED, "neither TCP nor UDP"},
    {"a blank checksum of ICMP", blank_of_icmp, REFUSED, "neither TCP nor UDP"},
    {"a blank checksum of a fragment", blank_of_a_fragment, REFUSED, "neither TCP nor UDP"},
    {"an IP header too short", ip_header_too_short, REFUSED, "headers"},
    {"a datagram longer than its packet", ip_longer_than_packet, REFUSED, "headers"},
    {"a TCP header too short", tcp_header_too_short, REFUSED, "headers"},
    {"a header cut in the linear part", header_cut_in_the_linear_part, REFUSED, "headers"},
    {"headers behind what is looked at", headers_behind_the_head, REFUSED, "neither TCP nor UDP"},
};

static void test_bad_fronts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		play(&bad[i]);
	printf("%u bad frontends\n", (unsigned)ARRAY_SIZE(bad));
}

/* Each kind of wrong packet is answered in all its slots, so that the guest's ring goes round. */
static void test_every_slot_is_answered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t asked;

		begin();
		connect(&(struct net_plan){.ctrl = true});
		fill(0, 64);
		mock_enter(1);
		bad[i].act();
		asked = guest.queues[0].tx.out;
		net_guest_push(&guest, 0);
		assert_int_equal(answers(0), NETIF_RSP_ERROR);
		assert_int_equal(guest.queues[0].tx.in, asked);
		assert_int_equal(net_world_info().stats.refused, 1);
		end();
	}
}

/* One guest that makes all mistakes in one second is told of each. */
static void test_every_reason_is_told(void **state)
{
	(void)state;
	begin();
	connect(&(struct net_plan){.ctrl = true});
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		mock_enter(1);
		bad[i].act();
		net_guest_push(&guest, 0);
		assert_int_equal(answers(0), NETIF_RSP_ERROR);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		if (!mock_logged(bad[i].log))
			fail_msg("not told: %s", bad[i].log);
	end();
}

/* What is changed after it was fetched changes nothing, for nothing is fetched twice. */
static void test_each_slot_is_fetched_once(void **state)
{
	uint8_t *ring;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	fill(0, 9000);
	for (unsigned i = 0; i < 20; i++)
		net_guest_packet(&guest, 0, &(struct net_packet){.len = 64 + 400 * i});
	mock_enter(0);
	ring = mock_mapping(1, guest.queues[0].tx_ref);
	peer_recorder_begin(ring + 64, PAGE_SIZE - 64, true);
	net_guest_push(&guest, 0);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	assert_int_equal(answers(0), 0);
	assert_int_equal(net_hub.n_frames, 20);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_fronts),
	    cmocka_unit_test(test_every_slot_is_answered),
	    cmocka_unit_test(test_every_reason_is_told),
	    cmocka_unit_test(test_each_slot_is_fetched_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
