/* netcheck.c: what a Linux in a test asks of its network beyond what busybox can: echoes of every length, and groups.
 *
 * netcheck pings ADDRESS FIRST-LAST[/STEP]...: sends an echo request of each of these lengths and compares each byte of the answers.
 * Several are on their way, as far as their sum is short, and one that is not answered within two seconds is sent again, at most
 * five times: a network may lose packets, and how many were sent again is told. netcheck hear GROUP PORT: joins a group of
 * IPv4 (which is an IGMP report, and a filter where the interface has one), and prints what it hears first. netcheck say GROUP PORT
 * WORD: sends it once. Run by driver_net_tools_test and netfront_tools_test in their guests; built by tools.sh, statically.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LENGTHS = 65508, WAYS = 16, WINDOW_BYTES = 96 * 1024, AGAIN_MS = 2000, TRIES = 6 };

/* One request on its way; tries is 0 when the place is free. */
struct way {
	unsigned len, tries;
	long sent_ms;
};

static struct way ways[WAYS];
static unsigned under_way_bytes;
static unsigned long sent, answered, again, wrong, lost;
static unsigned char table[2 * 65536], packet[65536 + 64];
static struct sockaddr_in peer;
static int icmp_fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint16_t sum(const unsigned char *p, unsigned len)
{
	uint32_t s = 0;

	for (unsigned i = 0; i + 1 < len; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		s += (uint32_t)(p[len - 1] << 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* The bytes of a length are its own: a packet that brings another's is seen. */
static const unsigned char *bytes_of(unsigned len)
{
	return table + len * 7 % 65536;
}

static void send_one(struct way *w)
{
	struct icmphdr *h = (struct icmphdr *)packet;

	memset(h, 0, sizeof(*h));
	h->type = ICMP_ECHO;
	h->un.echo.id = htons(0x4150);
	h->un.echo.sequence = htons((uint16_t)w->len);
	memcpy(packet + sizeof(*h), bytes_of(w->len), w->len);
	h->checksum = htons(sum(packet, (unsigned)sizeof(*h) + w->len));
	if (sendto(icmp_fd, packet, sizeof(*h) + w->len, 0, (struct sockaddr *)&peer,
		   sizeof(peer)) < 0)
		perror("PINGS cannot send"); /* tried again after a while */
	w->sent_ms = now_ms();
	w->tries++;
}

static void end_of(struct way *w)
{
	under_way_bytes -= w->len;
	w->tries = 0;
}

/* An answer that is none of ours, or comes a second time after one was sent again, is nobody's. */
static void take(const unsigned char *p, unsigned len)
{
	unsigned head = (p[0] & 15u) * 4, data = head + (unsigned)sizeof(struct icmphdr);
	const struct icmphdr *h = (const struct icmphdr *)(p + head);

	if (len < data || h->type != ICMP_ECHOREPLY || ntohs(h->un.echo.id) != 0x4150)
		return;
	for (struct way *w = ways; w < ways + WAYS; w++) {
		if (!w->tries || w->len != ntohs(h->un.echo.sequence))
			continue;
		if (len - data != w->len || memcmp(p + data, bytes_of(w->len), w->len)) {
			wrong++;
			printf("PINGS %u bytes came back as %u, or as others\n", w->len,
			       len - data);
		}
		answered++;
		end_of(w);
		return;
	}
}

static void hear(int timeout_ms)
{
	struct pollfd p = {.fd = icmp_fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, timeout_ms) > 0 && (n = recv(icmp_fd, packet, sizeof(packet), 0)) > 0)
		take(packet, (unsigned)n);
	for (struct way *w = ways; w < ways + WAYS; w++) {
		if (!w->tries || now_ms() - w->sent_ms < AGAIN_MS)
			continue;
		if (w->tries == TRIES) {
			printf("PINGS lost %u\n", w->len);
			lost++;
			end_of(w);
			continue;
		}
		again++;
		send_one(w);
	}
}

static struct way *free_way(void)
{
	for (struct way *w = ways; w < ways + WAYS; w++)
		if (!w->tries)
			return w;
	return NULL;
}

static void ping(unsigned len)
{
	struct way *w;

	while (!(w = free_way()) || (under_way_bytes && under_way_bytes + len > WINDOW_BYTES))
		hear(100);
	w->len = len;
	under_way_bytes += len;
	sent++;
	send_one(w);
}

static int pings(char **ranges, int n)
{
	int bytes = 4 << 20;
	unsigned seed = 1;

	icmp_fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (icmp_fd < 0 || setsockopt(icmp_fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(icmp_fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		die("raw socket");
	for (unsigned i = 0; i < sizeof(table); i++)
		table[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
	for (int i = 0; i < n; i++) {
		unsigned first, last, step = 1;

		if (sscanf(ranges[i], "%u-%u/%u", &first, &last, &step) < 2 || last >= LENGTHS ||
		    !step)
			return 2;
		for (unsigned len = first; len <= last; len += step)
			ping(len);
	}
	while (under_way_bytes || answered + lost < sent)
		hear(100);
	printf("PINGS sent=%lu answered=%lu wrong=%lu lost=%lu again=%lu\n", sent, answered, wrong,
	       lost, again);
	return wrong || lost;
}

static int group_hear(const char *group, int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct ip_mreq join = {.imr_multiaddr.s_addr = inet_addr(group)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char word[100] = "";

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)))
		die("join");
	printf("GROUP %s joined\n", group);
	fflush(stdout);
	if (recv(fd, word, sizeof(word) - 1, 0) < 0)
		die("recv");
	printf("GROUP %s heard %s\n", group, word);
	return 0;
}

static int group_say(const char *group, int port, const char *word)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = inet_addr(group)};

	if (sendto(socket(AF_INET, SOCK_DGRAM, 0), word, strlen(word), 0, (struct sockaddr *)&to,
		   sizeof(to)) < 0)
		die("say");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "pings") && argc > 3) {
		peer.sin_family = AF_INET;
		peer.sin_addr.s_addr = inet_addr(argv[2]);
		return pings(argv + 3, argc - 3);
	}
	if (!strcmp(what, "hear") && argc == 4)
		return group_hear(argv[2], atoi(argv[3]));
	if (!strcmp(what, "say") && argc == 5)
		return group_say(argv[2], atoi(argv[3]), argv[4]);
	fprintf(stderr, "netcheck.c says how\n");
	return 2;
}
