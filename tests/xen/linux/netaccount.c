/* netaccount.c: a TCP stream whose every byte is accounted for where it is sent, where it is received, and by tcpdump at either end.
 *
 *   tcpdump -U -w - 'tcp dst port PORT' | netaccount take PORT
 *   tcpdump -U -w - 'tcp dst port PORT' | netaccount send ADDRESS PORT MIB
 *
 * The stream is made of numbers that follow each other without a pattern. Of what the program itself writes or reads, and of what
 * tcpdump saw, put in order by sequence numbers, each byte once, a sum is formed that knows each byte's place; the four must be
 * the same. tcpdump must not miss anything: the program runs at most AHEAD_BYTES ahead of it, less than the buffer that tcpdump
 * is given (-B). It begins when tcpdump has begun. Run by driver_net_tools_test in its guests; built by tools.sh, statically.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AHEAD_BYTES (4u << 20)
#define RING_BYTES  (8u << 20) /* of what came too early, by place */
#define EARLY_MAX   4096
#define STILL_S     60

/* A sum that goes by words; what does not fill one waits. */
struct sum {
	uint64_t hash, bytes;
	unsigned have;
	unsigned char word[8];
};

/* What tcpdump saw. Places are offsets in the stream. */
static struct {
	struct sum sum; /* sum.bytes is the place up to which nothing is missing */
	uint32_t first; /* sequence number of place 0 */
	int begun;
	unsigned long frames, longest, twice, early;
	struct {
		uint64_t from, to;
	} wait[EARLY_MAX];
	unsigned waiting;
} seen;

static struct sum own;
static unsigned char ring[RING_BYTES], buffer[65536], frame[300000];

static void die(const char *what)
{
	printf("ACCOUNT %s\n", what);
	exit(1);
}

/* Neither side has had a byte for a minute. */
static void stands_still(int signal)
{
	(void)signal;
	printf("ACCOUNT stands still: %llu bytes, tcpdump %llu in %lu frames, %u pieces too early, "
	       "the first %llu-%llu\n",
	       (unsigned long long)own.bytes, (unsigned long long)seen.sum.bytes, seen.frames,
	       seen.waiting, (unsigned long long)seen.wait[0].from,
	       (unsigned long long)seen.wait[0].to);
	fflush(stdout);
	_exit(1);
}

static void add_word(struct sum *s, uint64_t word)
{
	s->hash = (s->hash ^ word) * 0x9e3779b97f4a7c15u;
	s->hash ^= s->hash >> 29;
}

static void add(struct sum *s, const unsigned char *p, size_t len)
{
	uint64_t word;

	s->bytes += len;
	alarm(STILL_S);
	for (; len && s->have; len--) {
		s->word[s->have++] = *p++;
		if (s->have == 8) {
			memcpy(&word, s->word, 8);
			add_word(s, word);
			s->have = 0;
		}
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		add_word(s, word);
	}
	memcpy(s->word + s->have, p, len);
	s->have += (unsigned)len;
}

/* Bytes of [from, to) that are in the ring, up to its end at most. */
static uint64_t add_early(uint64_t from, uint64_t to)
{
	uint64_t at = from % RING_BYTES, len = to - from;

	if (len > RING_BYTES - at)
		len = RING_BYTES - at;
	add(&seen.sum, ring + at, len);
	return len;
}

static void take_early(void)
{
	for (unsigned i = 0; i < seen.waiting; i++) {
		if (seen.wait[i].from > seen.sum.bytes)
			continue;
		while (seen.wait[i].to > seen.sum.bytes)
			add_early(seen.sum.bytes, seen.wait[i].to);
		seen.wait[i] = seen.wait[--seen.waiting];
		i = (unsigned)-1; /* from the beginning, as more may fit now */
	}
}

static void keep_early(uint64_t from, const unsigned char *p, size_t len)
{
	if (seen.waiting == EARLY_MAX || from + len > seen.sum.bytes + RING_BYTES)
		die("tcpdump misses too much");
	for (size_t i = 0; i < len; i++)
		ring[(from + i) % RING_BYTES] = p[i];
	seen.wait[seen.waiting].from = from;
	seen.wait[seen.waiting++].to = from + len;
	seen.early++;
}

static void segment(uint32_t seq, const unsigned char *p, size_t len)
{
	/* the 32 bits that are nearest to where the stream is */
	int64_t off = (int32_t)(seq - seen.first - (uint32_t)seen.sum.bytes);
	size_t old = off < 0 ? (size_t)-off : 0;

	seen.frames++;
	if (len > seen.longest)
		seen.longest = len;
	if (off > 0) {
		keep_early(seen.sum.bytes + (uint64_t)off, p, len);
		return;
	}
	seen.twice += old < len ? old : len;
	if (old < len)
		add(&seen.sum, p + old, len - old);
	take_early();
}

static void take_frame(const unsigned char *f, uint32_t len)
{
	const unsigned char *ip = f + 14, *tcp;
	unsigned total, head;
	uint32_t seq;

	if (len < 54 || f[12] != 8 || f[13] != 0)
		die("no IPv4");
	total = (unsigned)(ip[2] << 8 | ip[3]);
	tcp = ip + (ip[0] & 15) * 4;
	head = (unsigned)(tcp - ip) + (tcp[12] >> 4) * 4;
	if (total > len - 14 || head > total)
		die("a frame is cut");
	memcpy(&seq, tcp + 4, 4);
	seq = ntohl(seq);
	if (tcp[13] & 2) { /* SYN */
		seen.first = seq + 1;
		seen.begun = 1;
	} else if (seen.begun && total > head) {
		segment(seq, ip + head, total - head);
	}
}

static void read_whole(void *to, size_t len)
{
	if (fread(to, 1, len, stdin) != len)
		die("tcpdump has ended");
}

static void read_record(void)
{
	uint32_t head[4]; /* seconds, their parts, bytes here, bytes on the wire */

	read_whole(head, sizeof(head));
	if (head[2] > sizeof(frame) || head[2] != head[3])
		die("a frame is cut");
	read_whole(frame, head[2]);
	take_frame(frame, head[2]);
}

static void follow(uint64_t to)
{
	while (seen.sum.bytes < to)
		read_record();
}

static void begin(void)
{
	uint32_t head[6];

	read_whole(head, sizeof(head));
	if (head[0] != 0xa1b2c3d4 || head[5] != 1)
		die("no pcap of Ethernet");
}

static void end(const char *what)
{
	follow(own.bytes);
	printf("ACCOUNT %s %llu bytes sum %016llx%02x, tcpdump %llu bytes sum %016llx%02x in %lu "
	       "frames, longest %lu, early %lu, again %lu bytes\n",
	       what, (unsigned long long)own.bytes, (unsigned long long)own.hash, own.have,
	       (unsigned long long)seen.sum.bytes, (unsigned long long)seen.sum.hash, seen.sum.have,
	       seen.frames, seen.longest, seen.early, seen.twice);
}

static void take(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), from, one = 1;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
		die("cannot listen");
	from = accept(fd, NULL, NULL);
	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		add(&own, buffer, (size_t)n);
		if (own.bytes > AHEAD_BYTES)
			follow(own.bytes - AHEAD_BYTES);
	}
	end("took");
}

static uint64_t next_number(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static void write_chunk(int fd)
{
	for (size_t i = 0; i < sizeof(buffer); i += 8) {
		uint64_t x = next_number();

		memcpy(buffer + i, &x, 8);
	}
	for (size_t at = 0; at < sizeof(buffer);) {
		ssize_t n = write(fd, buffer + at, sizeof(buffer) - at);

		if (n <= 0)
			die("cannot write");
		at += (size_t)n;
	}
	add(&own, buffer, sizeof(buffer));
}

/* The listener may not be there yet. */
static int connected(const char *address, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = inet_addr(address)};

	for (int i = 0; i < 600; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
			return fd;
		close(fd);
		usleep(100000);
	}
	die("cannot connect");
	return -1;
}

static void send_to(const char *address, int port, unsigned long mib)
{
	int fd = connected(address, port);

	while (own.bytes < (uint64_t)mib << 20) {
		write_chunk(fd);
		if (own.bytes > AHEAD_BYTES)
			follow(own.bytes - AHEAD_BYTES);
	}
	shutdown(fd, SHUT_WR);
	(void)!read(fd, buffer, 1); /* the other has taken the last byte, and closes too */
	end("sent");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	signal(SIGALRM, stands_still);
	setvbuf(stdin, NULL, _IOFBF, 1 << 20);
	if (!strcmp(what, "take") && argc == 3) {
		begin();
		take(atoi(argv[2]));
	} else if (!strcmp(what, "send") && argc == 5) {
		begin();
		send_to(argv[2], atoi(argv[3]), strtoul(argv[4], NULL, 0));
	} else {
		fprintf(stderr, "netaccount.c says how\n");
		return 2;
	}
	return 0;
}
