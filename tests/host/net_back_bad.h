/* net_back_bad.h: a frontend that breaks a rule, and what is to come of it; a part of net_back_*_test.c.
 *
 * Each bad front has a neighbour, whose packets must pass before, between and after. Included once. Calls
 * net_back_fixture.h.
 */
#ifndef TESTS_NET_BACK_BAD_H
#define TESTS_NET_BACK_BAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "net_back_fixture.h"

static struct net_guest neighbour;

enum outcome { REFUSED, ENDS, LIVES };

struct bad {
	const char *name;
	void (*act)(void);
	enum outcome outcome;
	const char *log; /* NULL: no matter */
};

static inline struct netif_tx_request good(void)
{
	return (struct netif_tx_request){.gref = guest.refs[0].v, .size = 64};
}

static inline void put(struct netif_tx_request req)
{
	net_guest_tx(&guest, 0, &req);
}

static inline void put_extra_packet(const struct netif_extra_info *infos, unsigned n)
{
	struct netif_tx_request req = good();

	req.flags = NETTXF_extra_info;
	put(req);
	for (unsigned i = 0; i < n; i++) {
		struct netif_extra_info info = infos[i];

		info.flags = i + 1 < n ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
		net_guest_extra(&guest, 0, &info);
	}
}

static inline void neighbour_is_well(void)
{
	assert_int_equal(net_guest_ask(&neighbour, 0, 64, 0), NETIF_RSP_OKAY);
	mock_enter(1);
}

static inline void play(const struct bad *b)
{
	unsigned frames;

	begin();
	connect(&(struct net_plan){.ctrl = true});
	net_world_attach(2, 0, NULL);
	net_guest_connect(&neighbour, 2, &(struct net_plan){0});
	neighbour_is_well();
	frames = net_hub.n_frames;
	fill(0, 64);
	b->act();
	if (guest.queues[0].tx.out != guest.queues[0].tx.out_pushed)
		net_guest_push(&guest, 0);
	mock_run();
	if (b->log && !mock_logged(b->log))
		fail_msg("%s: not logged: %s", b->name, b->log);
	if (b->outcome == REFUSED && net_hub.n_frames != frames)
		fail_msg("%s: it got through", b->name);
	if ((b->outcome == ENDS) != (strcmp(net_world_back(1, 0, "state"), "6") == 0))
		fail_msg("%s: state %s", b->name, net_world_back(1, 0, "state"));
	neighbour_is_well();
	if (b->outcome != ENDS) {
		while (answers(0) != 99)
			;
		fill(0, 64);
		guest.queues[0].tx.shared->rsp_event = guest.queues[0].tx.in + 1;
		assert_int_equal(net_guest_ask(&guest, 0, 64, 0), NETIF_RSP_OKAY);
	}
	net_guest_end(&neighbour);
	end();
}

#endif
