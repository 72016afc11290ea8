/* net_back_ctrl_test: the control ring of netback: hashes, and pages kept mapped.
 *
 * Why: a guest that spreads its packets by a hash of its own finds them on the wrong processor if we compute another; and
 * pages that stay mapped are memory of the guest that we write to without asking again. Expected: every message answered
 * as xen/io/netif.h says, wrong ones changing nothing; no hypercall for packets in staged pages, and the same bytes.
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

#include "net_back_fixture.h"

#define OK      XEN_NETIF_CTRL_STATUS_SUCCESS
#define INVALID XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER
#define TOO_BIG XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW

static uint32_t answer; /* data of the last response */

static uint32_t ask(uint16_t type, uint32_t a, uint32_t b, uint32_t c)
{
	struct xen_netif_ctrl_request req = {
	    .id = (uint16_t)(type * 5), .type = type, .data = {a, b, c}};
	struct xen_netif_ctrl_response rsp;

	assert_true(net_guest_ctrl(&guest, &req, &rsp));
	assert_int_equal(rsp.id, req.id);
	assert_int_equal(rsp.type, type);
	answer = rsp.data;
	return rsp.status;
}

/* The last page of the guest is what messages point to. */
#define LIST (GUEST_PAGES - 1)

static void *list_page(void)
{
	return guest.pages + LIST * PAGE_SIZE;
}

static uint32_t list_ref(void)
{
	return guest.refs[LIST].v;
}

static void ready(unsigned queues)
{
	begin();
	connect(&(struct net_plan){.n_queues = queues, .ctrl = true});
	assert_string_equal(net_world_back(1, 0, "feature-ctrl-ring"), "1");
}

/* ---- hashes ---- */

static void test_before_an_algorithm(void **state)
{
	(void)state;
	ready(2);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS, 0, 0, 0),
			 XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 1, 0, 0), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 7, 0, 0), INVALID);
	assert_int_equal(ask(0, 0, 0, 0), XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
	assert_int_equal(ask(11, 0, 0, 0), XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
	assert_int_equal(ask(65535, 0, 0, 0), XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
	end();
}

static void test_what_is_refused(void **state)
{
	uint32_t *map = NULL;

	(void)state;
	ready(2);
	map = list_page();
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 1, 0, 0), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS, 0, 0, 0), OK);
	assert_int_equal(answer, NETIF_HASH_TYPES);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 16, 0, 0), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, list_ref(), 41, 0), TOO_BIG);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 9999, 40, 0), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 9999, 0, 0), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE, 0, 0, 0), OK);
	assert_int_equal(answer, NETIF_HASH_MAP_MAX);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 129, 0, 0), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 4, 0, 0), OK);
	map[0] = map[1] = map[2] = 1;
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 3, 2), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 1, ~0u), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 129, 0), TOO_BIG);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 3, 1), OK);
	map[1] = 2; /* a queue that is not there */
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 2, 0), INVALID);
	end();
}

/* Microsoft's verification suite: 66.9.149.187:2794 to 161.142.100.80:1766. */
static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
static const struct net_recipe known = {
    .source = {66, 9, 149, 187}, .dest = {161, 142, 100, 80}, .sport = 2794, .dport = 1766};

static void set_hash(uint32_t types)
{
	memcpy(list_page(), key, sizeof(key));
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 1, 0, 0), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, list_ref(), 40, 0), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, types, 0, 0), OK);
}

/* A packet of the recipe: which queue got it, and what the guest is told of its hash. */
static unsigned arrives(const struct net_recipe *recipe, struct net_got *got)
{
	static uint8_t data[200];
	struct net_sent sent = {0};
	unsigned q = 0;

	net_world_frame(data, sizeof(data), recipe);
	send(&sent, data, sizeof(data));
	net_sent_free(&sent);
	while (q < guest.n_queues && !net_guest_got(&guest, q, got))
		q++;
	return q;
}

static void test_hash_chooses_the_queue(void **state)
{
	static struct net_got got;
	struct net_recipe udp = known;

	(void)state;
	ready(4);
	for (unsigned q = 0; q < 4; q++)
		net_guest_post(&guest, q, 8);
	set_hash(NETIF_HASH_TYPES);
	assert_int_equal(arrives(&known, &got), 0x51ccc178 % 4);
	assert_int_equal(got.extras.hash, 0x51ccc178);
	assert_int_equal(got.extras.hash_type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
	assert_int_equal(got.extras.hash_algorithm, 1);
	udp.udp = true;
	assert_int_equal(arrives(&udp, &got), 0x323e8fc2 % 4);
	assert_int_equal(got.extras.hash, 0x323e8fc2);
	assert_int_equal(got.extras.hash_type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4);
	set_hash(XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
	assert_in_range(arrives(&known, &got), 0, 3);
	assert_int_equal(got.extras.seen, 0);
	end();
}

static void test_mapping_chooses_the_queue(void **state)
{
	static struct net_got got;

	(void)state;
	ready(4);
	for (unsigned q = 0; q < 4; q++)
		net_guest_post(&guest, q, 8);
	set_hash(NETIF_HASH_TYPES);
	memset(list_page(), 0, 64);
	((uint32_t *)list_page())[0x51ccc178 % 7] = 3;
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 7, 0, 0), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, list_ref(), 7, 0), OK);
	assert_int_equal(arrives(&known, &got), 3);
	end();
}

/* ---- pages kept mapped ---- */

/* The list of all pages of one kind, from..to, for a queue. */
static uint32_t stage(uint16_t type, const gref_t *refs, unsigned n, uint16_t flags)
{
	struct xen_netif_gref *list = list_page();

	for (unsigned i = 0; i < n; i++)
		list[i] = (struct xen_netif_gref){.ref = refs[i].v, .flags = flags, .status = 77};
	return ask(type, 0, list_ref(), n);
}

/* The list has to be written to when pages are taken back: a page of the rx kind. */
static void writable_list(void)
{
	mock_enter(1);
	assert_int_equal(host_grant_end(guest.refs[LIST]), 0);
	host_grant_offer(0, list_page(), false, &guest.refs[LIST]);
}

static void test_staged_pages_need_no_hypercall(void **state)
{
	static struct net_guest other;
	static struct net_got got;
	uint64_t copies, mapped;

	(void)state;
	ready(1);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, 0, 0, 0), OK);
	assert_int_equal(answer, NETIF_STAGED_MAX);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.refs, LIST,
			       XEN_NETIF_CTRLF_GREF_readonly),
			 OK);
	assert_int_equal(net_world_info().n_staged, LIST);
	net_world_attach(2, 0, NULL);
	net_guest_connect(&other, 2, &(struct net_plan){.ctrl = true});
	net_hub.forwards = true;
	net_hub.records = false;
	for (unsigned i = 0; i < GUEST_PAGES; i++)
		((struct xen_netif_gref *)other.pages)[i] =
		    (struct xen_netif_gref){.ref = other.rx_refs[i].v};
	{
		struct xen_netif_ctrl_request req = {.type = XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING,
						     .data = {0, other.refs[0].v, GUEST_PAGES}};
		struct xen_netif_ctrl_response rsp;

		assert_true(net_guest_ctrl(&other, &req, &rsp));
		assert_int_equal(rsp.status, OK);
	}
	net_guest_post(&other, 0, 40);
	fill(0, 9000);
	copies = mock_calls.copies;
	mapped = mock_calls.map_calls;
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 9000});
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 64});
	net_guest_push(&guest, 0);
	assert_int_equal(answers(0), 0);
	assert_int_equal(mock_calls.copies, copies);
	assert_int_equal(mock_calls.map_calls, mapped);
	assert_true(net_guest_got(&other, 0, &got));
	assert_int_equal(got.len, 9000);
	assert_memory_equal(got.data, guest.pages, 9000);
	assert_true(net_guest_got(&other, 0, &got));
	assert_int_equal(got.len, 64);
	assert_memory_equal(got.data, guest.pages, 64);
	net_guest_end(&other);
	end();
}

/* Only one side is mapped: the hypervisor copies, and finds both grants. */
static void test_one_side_staged(void **state)
{
	static struct net_guest other;
	static struct net_got got;

	(void)state;
	ready(1);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.refs, LIST,
			       XEN_NETIF_CTRLF_GREF_readonly),
			 OK);
	net_world_attach(2, 0, NULL);
	net_guest_connect(&other, 2, &(struct net_plan){0});
	net_hub.forwards = true;
	net_hub.records = false;
	net_guest_post(&other, 0, 40);
	fill(0, 20000);
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 20000, .first = 100});
	net_guest_push(&guest, 0);
	assert_int_equal(answers(0), 0);
	assert_true(net_guest_got(&other, 0, &got));
	assert_int_equal(got.status, 0);
	assert_int_equal(got.len, 20000);
	assert_memory_equal(got.data, guest.pages, 20000);
	net_guest_end(&other);
	end();
}

/* Kept mapped for reading, and then posted for what comes in. */
static void test_staged_for_reading_is_not_written(void **state)
{
	struct netif_rx_request req = {.id = 5};
	struct netif_rx_response rsp;
	struct ring *rx = &guest.queues[0].rx;
	struct net_sent sent = {0};
	uint8_t data[64] = {1};

	(void)state;
	ready(1);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.refs, 1,
			       XEN_NETIF_CTRLF_GREF_readonly),
			 OK);
	req.gref = guest.refs[0].v;
	memcpy((uint8_t *)ring_slot(rx, rx->out++), &req, sizeof(req));
	ring_front_push(rx);
	send(&sent, data, sizeof(data));
	net_sent_free(&sent);
	memcpy(&rsp, (uint8_t *)ring_slot(rx, 0), sizeof(rsp));
	assert_int_equal(rsp.status, NETIF_RSP_ERROR);
	end();
}

static void test_lists_that_are_refused(void **state)
{
	gref_t twice[2];

	(void)state;
	ready(1);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 1, list_ref(), 1), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, list_ref(), 0), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, list_ref(), 513), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, 9999, 1), INVALID);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, 1, 0, 0), INVALID);
	/* writable pages of a grant that is for reading */
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.refs, 3, 0), INVALID);
	twice[0] = twice[1] = guest.rx_refs[0];
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, twice, 2, 0), INVALID);
	assert_int_equal(net_world_info().n_staged, 0);
	mock_enter(0);
	netback_staging_limit(8);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.rx_refs, 9, 0), INVALID);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.rx_refs, 8, 0), OK);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.rx_refs + 8, 1, 0),
			 INVALID);
	netback_staging_limit(3072);
	end();
}

static void test_taken_back(void **state)
{
	struct xen_netif_gref *list;

	(void)state;
	ready(1);
	writable_list();
	list = list_page();
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.rx_refs, 4, 0), OK);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, guest.rx_refs + 2, 4, 0), OK);
	assert_int_equal(answer, 2);
	assert_int_equal(list[0].status, OK);
	assert_int_equal(list[1].status, OK);
	assert_int_equal(list[2].status, INVALID);
	assert_int_equal(net_world_info().n_staged, 2);
	mock_enter(1);
	assert_int_equal(host_grant_end(guest.rx_refs[2]), 0); /* it is mapped no more */
	host_grant_offer(0, guest.rx_pages + 2 * PAGE_SIZE, false, &guest.rx_refs[2]);
	end();
}

/* A frame on its way points into it. */
static void test_in_use_stays(void **state)
{
	(void)state;
	ready(1);
	writable_list();
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.refs, 1,
			       XEN_NETIF_CTRLF_GREF_readonly),
			 OK);
	net_hub.keeps = true;
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 1000});
	net_guest_push(&guest, 0);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, guest.refs, 1, 0), OK);
	assert_int_equal(answer, 0);
	mock_enter(0);
	net_hub_release(0);
	mock_run();
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, guest.refs, 1, 0), OK);
	assert_int_equal(answer, 1);
	end();
}

static void test_connection_ends_with_all(void **state)
{
	(void)state;
	ready(1);
	assert_int_equal(stage(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, guest.rx_refs, GUEST_PAGES, 0),
			 OK);
	net_hub.keeps = true;
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 9000});
	net_guest_push(&guest, 0);
	end();
}

static void test_no_ring_of_that_name(void **state)
{
	(void)state;
	begin();
	net_world_attach(1, 0, NULL);
	net_guest_offer(&guest, 1, &(struct net_plan){.ctrl = true});
	net_world_put_front(1, 0, "ctrl-ring-ref", "77777");
	net_guest_say(&guest, "4");
	assert_string_equal(net_world_back(1, 0, "state"), "6");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_before_an_algorithm),
	    cmocka_unit_test(test_what_is_refused),
	    cmocka_unit_test(test_hash_chooses_the_queue),
	    cmocka_unit_test(test_mapping_chooses_the_queue),
	    cmocka_unit_test(test_staged_pages_need_no_hypercall),
	    cmocka_unit_test(test_one_side_staged),
	    cmocka_unit_test(test_staged_for_reading_is_not_written),
	    cmocka_unit_test(test_lists_that_are_refused),
	    cmocka_unit_test(test_taken_back),
	    cmocka_unit_test(test_in_use_stays),
	    cmocka_unit_test(test_connection_ends_with_all),
	    cmocka_unit_test(test_no_ring_of_that_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
