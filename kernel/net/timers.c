/* timers.c: lwIP's regular duties, each only while somebody needs it.
 *
 * Called by stack.c (begin, end), by lwIP when a connection wants its timer (tcp_timer_needed), and by the worker. lwIP's own list of
 * timers is left out (LWIP_TIMERS_CUSTOM): it would wake an idle domain thirty times a second, and this does so twice.
 */
#include <amphi/host.h>

#include <lwip/dhcp.h>
#include <lwip/dhcp6.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/timeouts.h>

#include "large.h"
#include "link.h"
#include "timers.h"

/* A duty runs every period for as long as needed() holds after it ran. */
struct duty {
	struct host_work work;
	uint32_t period_ms;
	void (*run)(void);
	bool (*needed)(void);
};

static void run_duty(void *ctx);
static bool open_links;

/* ---- TCP: while there is a connection ---------------------------------------------------- */

static bool tcp_needed(void)
{
	return tcp_active_pcbs || tcp_tw_pcbs;
}

static void tcp_run(void)
{
	net_links_kick();
	net_large_timers();
	tcp_tmr();
}

static struct duty tcp_duty = {{run_duty, &tcp_duty}, TCP_TMR_INTERVAL, tcp_run, tcp_needed};

/* ---- reports of multicast groups: while one is due ---------------------------------------- */

static bool mld_needed(void)
{
	struct netif *netif;
	struct mld_group *group;

	NETIF_FOREACH(netif)
	{
		for (group = netif_mld6_data(netif); group; group = group->next)
			if (group->timer)
				return true;
	}
	return false;
}

static struct duty mld_duty = {{run_duty, &mld_duty}, MLD6_TMR_INTERVAL, mld6_tmr, mld_needed};

/* ---- the rest: while there is an interface ------------------------------------------------ */

#define HALF_MS   DHCP_FINE_TIMER_MSECS
#define MINUTE_OF (DHCP_COARSE_TIMER_MSECS / HALF_MS)
_Static_assert(HALF_MS == DHCP6_TIMER_MSECS && 2 * HALF_MS == ARP_TMR_INTERVAL &&
		   2 * HALF_MS == ND6_TMR_INTERVAL && 2 * HALF_MS == DNS_TMR_INTERVAL &&
		   2 * HALF_MS == IP_TMR_INTERVAL && 2 * HALF_MS == IP6_REASS_TMR_INTERVAL,
	       "what runs each second, and twice in it");

static void second(void)
{
	etharp_tmr();
	nd6_tmr();
	dns_tmr();
	ip_reass_tmr();
	ip6_reass_tmr();
}

static void half(void)
{
	static unsigned halves;

	dhcp_fine_tmr();
	dhcp6_tmr();
	if (++halves % 2 == 0)
		second();
	if (halves % MINUTE_OF == 0)
		dhcp_coarse_tmr();
	if (mld_needed())
		host_work_after(&mld_duty.work, MLD6_TMR_INTERVAL * 1000000ull);
}

static bool half_needed(void)
{
	return open_links;
}

static struct duty half_duty = {{run_duty, &half_duty}, HALF_MS, half, half_needed};

/* ------------------------------------------------------------------------------------------- */

static void begin(struct duty *duty)
{
	if (duty->needed())
		host_work_after(&duty->work, duty->period_ms * 1000000ull);
}

static void run_duty(void *ctx)
{
	struct duty *duty = ctx;

	duty->run();
	net_loop_soon();
	begin(duty);
}

/* lwIP's: a connection begins, or waits for its last packets. */
void tcp_timer_needed(void)
{
	begin(&tcp_duty);
}

/* lwIP's, from lwip_init. */
void sys_timeouts_init(void) {}

/* Fragments that wait for their like outlive the interface they came by: when nobody will call again, their time is made to pass. */
static void forget_fragments(void)
{
	for (unsigned i = 0; i <= IP_REASS_MAXAGE; i++)
		ip_reass_tmr();
	for (unsigned i = 0; i <= IPV6_REASS_MAXAGE; i++)
		ip6_reass_tmr();
}

void net_timers_run(bool links)
{
	open_links = links;
	if (links)
		begin(&half_duty);
	else
		forget_fragments();
}
