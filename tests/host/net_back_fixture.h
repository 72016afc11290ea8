/* net_back_fixture.h: what the tests of netback's parts begin and end with; a part of each (tests/host/net_back*_test.c).
 *
 * One guest, played by net_guest.c. Included once, behind <cmocka.h>. Calls net_world.h, net_guest.h.
 */
#ifndef TESTS_NET_BACK_FIXTURE_H
#define TESTS_NET_BACK_FIXTURE_H

#include <string.h>

#include "net_guest.h"

static struct net_guest guest;

static inline void begin(void)
{
	net_world_begin();
	net_world_start_back();
}

static inline void connect(const struct net_plan *plan)
{
	net_world_attach(1, 0, NULL);
	net_guest_connect(&guest, 1, plan);
	if (strcmp(net_world_back(1, 0, "state"), "4") != 0)
		mock_bug("no connection");
}

static inline void end(void)
{
	net_guest_end(&guest);
	if (!net_world_end())
		mock_bug("something is left");
}

/* Bytes that differ from page to page, from page on. */
static inline void fill(unsigned page, uint32_t len)
{
	uint8_t *p = guest.pages + page * PAGE_SIZE;

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 253 + page);
	p[12] = 0x88, p[13] = 0xb5; /* of no protocol that anybody looks into */
}

/* Takes all responses of a queue: the worst status of those that have one; 99: there are none. */
static inline int answers(unsigned queue)
{
	struct netif_tx_response rsp;
	int worst = 99;

	while (net_guest_answer(&guest, queue, &rsp))
		if (rsp.status != NETIF_RSP_NULL)
			worst = MIN(worst, rsp.status);
	return worst;
}

static inline void send(struct net_sent *sent, const void *data, uint32_t len)
{
	struct net_device *dev = net_world_device(1, 0);

	net_world_send(dev, sent, data, len);
	net_world_kick(dev);
}

#endif
