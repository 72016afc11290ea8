/* commands_ip.c: the shell's commands ip, ping and host.
 *
 * Caller: shell.c. Calls the stack (net/net_stack.h) in the worker, and prints. What more there is of the network at the prompt has files
 * of its own (commands_ip_*.c).
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/string.h>
#include "commands.h"
#include "commands_ip_wait.h"
#include "console.h"
#include "shell.h"
#include "worker.h"

#define NS_PER_MS 1000000ull
#define ULL(x)    ((unsigned long long)(x))

/* ---- ip -------------------------------------------------------------------------------------- */

static void print_line(const char *text)
{
	console_printf("%s\n", text);
}

static int show_all(void *ctx)
{
	net_show_addresses(print_line);
	net_show_routes(print_line);
	return 0;
}

static int show_routes(void *ctx)
{
	net_show_routes(print_line);
	return 0;
}

static int show_neighbours(void *ctx)
{
	net_show_neighbours(print_line);
	return 0;
}

struct change {
	const char *network, *address, *dev;
};

static int addr_add(void *ctx)
{
	struct change *c = ctx;

	return net_address_add(c->dev, c->address);
}

static int addr_del(void *ctx)
{
	struct change *c = ctx;

	return net_address_del(c->dev, c->address);
}

static int gateway_add(void *ctx)
{
	struct change *c = ctx;

	return net_gateway_set(c->address, c->dev);
}

static int gateway_del(void *ctx)
{
	net_gateway_clear();
	return 0;
}

static int route_add(void *ctx)
{
	struct change *c = ctx;

	return net_route_add(c->network, c->address, c->dev);
}

static int route_del(void *ctx)
{
	return net_route_del(((struct change *)ctx)->network);
}

static int dns_add(void *ctx)
{
	return net_dns_add(((struct change *)ctx)->address);
}

enum { NONE, MAY, MUST };

/* The words before; whether a network, an address and "dev IF" have to follow them. */
static const struct {
	const char *words[3];
	int (*run)(void *ctx);
	bool network;
	uint8_t address, dev;
} forms[] = {
    {{NULL}, show_all},
    {{"addr"}, show_all},
    {{"route"}, show_routes},
    {{"route", "show"}, show_routes},
    {{"neigh"}, show_neighbours},
    {{"addr", "add"}, addr_add, false, MUST, MUST},
    {{"addr", "del"}, addr_del, false, MUST, MUST},
    {{"route", "add", "default"}, gateway_add, false, MUST, MAY},
    {{"route", "del", "default"}, gateway_del},
    {{"route", "add"}, route_add, true, MAY, MAY},
    {{"route", "del"}, route_del, true},
    {{"dns"}, dns_add, false, MUST, NONE},
};

static bool fits(uint8_t how, const char *word)
{
	return how == MAY || (how == MUST) == (word != NULL);
}

/* How many of argv's words stand before the address in that form; -1: it is another. */
static int matches(const char *const words[3], int argc, char **argv)
{
	int n = 0;

	while (n < 3 && words[n]) {
		if (n >= argc || strcmp(words[n], argv[n]))
			return -1;
		n++;
	}
	return n;
}

/* "via" and "dev" may be said as people are used to, and need not be. */
static int take_words(struct change *c, int argc, char **argv)
{
	int i = 0;

	i += i < argc && !strcmp(argv[i], "via");
	if (i < argc && strcmp(argv[i], "dev"))
		c->address = argv[i++];
	i += i < argc && !strcmp(argv[i], "dev");
	if (i < argc)
		c->dev = argv[i++];
	return i == argc ? 0 : -XEN_EINVAL;
}

static int ip(int argc, char **argv)
{
	struct change c;
	int n;

	for (unsigned f = 0; f < ARRAY_SIZE(forms); f++) {
		n = matches(forms[f].words, argc - 1, argv + 1);
		if (n < 0 || (forms[f].network && n == argc - 1))
			continue;
		c = (struct change){.network = forms[f].network ? argv[1 + n++] : NULL};
		if (take_words(&c, argc - 1 - n, argv + 1 + n) ||
		    !fits(forms[f].address, c.address) || !fits(forms[f].dev, c.dev))
			continue;
		return worker_call(forms[f].run, &c);
	}
	return -XEN_EINVAL;
}

/* ---- ping ------------------------------------------------------------------------------------ */

struct ping {
	struct net_ping net;
	struct net_wait wait;
	bool quiet, begun;
	uint64_t least_ns, most_ns, sum_ns;
};

static void answered(void *ctx, unsigned seq, uint64_t ns)
{
	struct ping *p = ctx;

	p->least_ns = p->net.received == 1 ? ns : MIN(p->least_ns, ns);
	p->most_ns = MAX(p->most_ns, ns);
	p->sum_ns += ns;
	if (!p->quiet)
		console_printf("%u bytes from %s: seq=%u time=%llu.%03llu ms\n", p->net.bytes,
			       p->net.address, seq, ULL(ns / NS_PER_MS),
			       ULL(ns % NS_PER_MS / 1000));
}

static void ended(void *ctx, int status)
{
	struct ping *p = ctx;

	p->begun = false;
	net_wait_end(&p->wait, status);
}

static int begin(void *ctx)
{
	struct ping *p = ctx;
	int error = net_ping_begin(&p->net);

	p->begun = !error;
	return error;
}

static int cancel(void *ctx)
{
	struct ping *p = ctx;

	if (p->begun)
		net_ping_cancel(&p->net);
	return 0;
}

static void print_result(const struct ping *p)
{
	uint64_t average_ns = p->net.received ? p->sum_ns / p->net.received : 0;

	console_printf("@ping %s sent=%u received=%u twice=%u wrong=%u least_ns=%llu "
		       "average_ns=%llu most_ns=%llu\n",
		       p->net.address, p->net.sent, p->net.received, p->net.duplicates,
		       p->net.wrong, ULL(p->least_ns), ULL(average_ns), ULL(p->most_ns));
}

/* A letter's number, which is the next word. */
static bool take_option(struct net_ping *net, char letter, const char *word)
{
	uint64_t n;

	if (!word || !str_to_u64(word, &n) || n > UINT32_MAX)
		return false;
	switch (letter) {
	case 'c':
		net->count = (unsigned)n;
		return n;
	case 's':
		net->bytes = (unsigned)n;
		return n <= NET_PING_BYTES_MAX;
	case 'i':
		net->interval_ms = (uint32_t)n;
		return true;
	case 'W':
		net->wait_ms = (uint32_t)n;
		return true;
	default:
		return false;
	}
}

/* The index of the host's word; 0: used wrongly. */
static int take_options(struct ping *p, int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-q"))
			p->quiet = true;
		else if (!take_option(&p->net, argv[i][1], i + 1 < argc ? argv[i + 1] : NULL))
			return 0;
		else
			i++;
	}
	return i == argc - 1 ? i : 0;
}

static int ping(int argc, char **argv)
{
	char address[NET_ADDR_CHARS];
	struct ping p = {.net = {.address = address,
				 .count = 4,
				 .bytes = 56,
				 .interval_ms = 1000,
				 .wait_ms = 2000,
				 .answer = answered,
				 .ended = ended,
				 .ctx = &p}};
	int host = take_options(&p, argc, argv), error;

	if (!host)
		return -XEN_EINVAL;
	error = net_wait_ready();
	if (!error)
		error = net_lookup(argv[host], false, address);
	if (!error)
		error = worker_call(begin, &p);
	if (error)
		return error == -XEN_EINVAL ? -XEN_ENOENT : error;
	error = net_wait(&p.wait, 0);
	(void)worker_call(cancel, &p);
	if (!p.quiet || p.net.received != p.net.sent || p.net.wrong)
		print_result(&p);
	if (error)
		return error;
	return p.net.received && !p.net.wrong ? 0 : -XEN_ETIMEDOUT;
}

/* ---- host ------------------------------------------------------------------------------------ */

static int host(int argc, char **argv)
{
	char address[NET_ADDR_CHARS];
	bool want_ip6 = argc == 3 && !strcmp(argv[1], "-6");
	int error;

	if (argc != 2 + want_ip6)
		return -XEN_EINVAL;
	error = net_wait_ready();
	if (!error)
		error = net_lookup(argv[argc - 1], want_ip6, address);
	if (!error)
		console_printf("%s %s\n", argv[argc - 1], address);
	return error;
}

void commands_ip_add(void)
{
	static const struct shell_command table[] = {
	    {"ip", "[addr|route|neigh|...]", "addresses, routes, neighbours; see kernel.md", ip},
	    {"ping", "[-c N] [-s SIZE] HOST", "asks for echoes, of up to 65507 bytes", ping},
	    {"host", "[-6] NAME", "the address behind a name", host},
	};

	shell_add(table, ARRAY_SIZE(table));
}
