/* resolve.c: the address behind a name.
 *
 * Contract: net_stack.h. Callers: tcp_stream.c, the shell's commands. Calls lwIP's resolver, which cannot be told to forget a question:
 * so what it is given is a note of ours, and the asker may leave before the answer.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include <lwip/dns.h>

#include "link.h"
#include "net_stack.h"
#include "stack.h"

struct net_question {
	struct net_resolve *asker; /* NULL: has left */
	struct host_work work;     /* when the answer is here at once */
	int status;
	char address[NET_ADDR_CHARS];
};

static void answer(void *ctx)
{
	struct net_question *q = ctx;
	struct net_resolve *asker = q->asker;

	if (asker) {
		asker->question = NULL;
		asker->fn(asker->ctx, q->status, q->address);
	}
	host_free(q, sizeof(*q));
}

static void found(const char *name, const ip_addr_t *address, void *ctx)
{
	struct net_question *q = ctx;

	q->status = address ? 0 : -XEN_ENOENT;
	if (address)
		ipaddr_ntoa_r(address, q->address, sizeof(q->address));
	answer(q);
}

int net_resolve(const char *name, bool want_ip6, struct net_resolve *asker)
{
	struct net_question *q;
	ip_addr_t address;
	err_t error;

	if (!*name || strlen(name) >= DNS_MAX_NAME_LENGTH)
		return -XEN_EINVAL;
	q = host_alloc(sizeof(*q));
	if (!q)
		return -XEN_ENOMEM;
	q->work = (struct host_work){.fn = answer, .ctx = q};
	q->asker = asker;
	asker->question = q;
	if (net_address_read(name, &address)) {
		(void)str_copy(q->address, sizeof(q->address), name);
		host_work_soon(&q->work);
		return 0;
	}
	error = dns_gethostbyname_addrtype(name, &address, found, q,
					   want_ip6 ? LWIP_DNS_ADDRTYPE_IPV6
						    : LWIP_DNS_ADDRTYPE_IPV4_IPV6);
	if (error == ERR_INPROGRESS)
		return 0;
	q->status = error == ERR_OK ? 0 : error == ERR_MEM ? -XEN_ENOMEM : -XEN_ENOENT;
	if (!error)
		ipaddr_ntoa_r(&address, q->address, sizeof(q->address));
	host_work_soon(&q->work);
	return 0;
}

void net_resolve_cancel(struct net_resolve *asker)
{
	if (asker->question)
		asker->question->asker = NULL;
	asker->question = NULL;
}
