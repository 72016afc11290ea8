/* netload.c: what nets.sh makes two Linux guests do: a TCP stream from one to the other, in large writes.
 *
 * netload sink PORT: takes one connection to its end. netload send ADDRESS PORT KIB: connects, sends KIB / 8 to bring the
 * connection's window to where it stays, and marks the begin and the end of KIB more with an instruction that does nothing and carries
 * a number (../count_plugin.c); `netload mark` alone marks both, and shows what that costs. `netload begin` and `netload end` mark for a
 * script. It measures nothing itself. Built by nets.sh, statically.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MARK(n) __asm__ volatile("nopl 0x616d70" #n "(%%rax)" ::: "memory")

static char buffer[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void sink(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), from;
	unsigned long long got = 0;
	ssize_t n;

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
		die("listen");
	from = accept(fd, NULL, NULL);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		got += (unsigned long long)n;
	printf("SINK %llu bytes\n", got);
}

static void send_kib(int fd, long kib)
{
	for (long left = kib * 1024, n; left > 0; left -= n) {
		n = write(fd, buffer, left < (long)sizeof(buffer) ? (size_t)left : sizeof(buffer));
		if (n <= 0)
			die("write");
	}
}

static void send_to(const char *address, int port, long kib)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = inet_addr(address);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	send_kib(fd, kib / 8);
	MARK(10);
	send_kib(fd, kib);
	shutdown(fd, SHUT_WR);
	(void)!read(fd, buffer, 1); /* the other has taken the last byte, and closes too */
	MARK(11);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "sink") && argc == 3) {
		sink(atoi(argv[2]));
	} else if (!strcmp(what, "send") && argc == 5) {
		send_to(argv[2], atoi(argv[3]), atol(argv[4]));
	} else {
		if (strcmp(what, "end"))
			MARK(10);
		if (strcmp(what, "begin"))
			MARK(11);
	}
	return 0;
}
