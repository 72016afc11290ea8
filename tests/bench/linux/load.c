/* load.c: what blocks.sh makes a Linux do with a disk: reads or writes of one size, a number of them in flight.
 *
 * load DEVICE random|read|write BYTES DEPTH COUNT. Direct and asynchronous (io_submit), as databases do it. After a first run
 * that brings standing grants and caches into the state that lasts, it marks the begin and the end of COUNT of them with an
 * instruction that does nothing and carries a number (../count_plugin.c). It measures nothing itself. Random places come from the
 * generator that the kernel's `bench random` has (kernel/commands_bench.c). Built by blocks.sh, statically.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define MARK(n)   __asm__ volatile("nopl 0x616d70" #n "(%%rax)" ::: "memory")

struct load {
	int fd, opcode, random;
	size_t bytes;
	unsigned depth;
	uint64_t slots, next;
	aio_context_t context;
	struct iocb blocks[DEPTH_MAX], *list[DEPTH_MAX];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t next_slot(struct load *l)
{
	uint64_t at = l->next;

	if (!l->random) {
		l->next = (at + 1) % l->slots;
		return at;
	}
	l->next = at * 6364136223846793005ull + 1442695040888963407ull;
	return (at >> 33) % l->slots;
}

/* Those in list, all with one call. */
static void submit(struct load *l, long n)
{
	for (long i = 0; i < n; i++)
		l->list[i]->aio_offset = (int64_t)(next_slot(l) * l->bytes);
	if (n && syscall(SYS_io_submit, l->context, n, l->list) != n)
		die("io_submit");
}

/* Waits for at least one and takes what is there; each that ended is begun again as long as some are left. */
static void run(struct load *l, uint64_t count)
{
	struct io_event ended[DEPTH_MAX];
	uint64_t in_flight = l->depth < count ? l->depth : count, left = count - in_flight;

	l->next = 0;
	for (unsigned i = 0; i < in_flight; i++)
		l->list[i] = &l->blocks[i];
	submit(l, (long)in_flight);
	while (in_flight) {
		long n = syscall(SYS_io_getevents, l->context, 1, DEPTH_MAX, ended, NULL),
		     again = 0;

		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			if (ended[i].res != (int64_t)l->bytes)
				die("a transfer");
			if (left && left--)
				l->list[again++] = (struct iocb *)(uintptr_t)ended[i].obj;
		}
		submit(l, again);
		in_flight -= (uint64_t)(n - again);
	}
}

static void prepare(struct load *l, char **argv)
{
	uint64_t size;
	char *memory;

	l->fd = open(argv[1], O_RDWR | O_DIRECT);
	if (l->fd < 0 || ioctl(l->fd, BLKGETSIZE64, &size))
		die(argv[1]);
	l->random = !strcmp(argv[2], "random");
	l->opcode = strcmp(argv[2], "write") ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	l->bytes = strtoul(argv[3], NULL, 0);
	l->depth = (unsigned)strtoul(argv[4], NULL, 0);
	if (!l->bytes || !l->depth || l->depth > DEPTH_MAX || size < l->bytes)
		exit(2);
	l->slots = size / l->bytes;
	memory = aligned_alloc(4096, l->depth * l->bytes);
	if (!memory || syscall(SYS_io_setup, DEPTH_MAX, &l->context))
		die("io_setup");
	memset(memory, 7, l->depth * l->bytes); /* there before it is measured */
	for (unsigned i = 0; i < l->depth; i++)
		l->blocks[i] = (struct iocb){.aio_data = i,
					     .aio_lio_opcode = (uint16_t)l->opcode,
					     .aio_fildes = (uint32_t)l->fd,
					     .aio_buf = (uintptr_t)memory + i * l->bytes,
					     .aio_nbytes = l->bytes};
}

int main(int argc, char **argv)
{
	static struct load load;
	uint64_t count;

	if (argc != 6)
		return 2;
	prepare(&load, argv);
	count = strtoul(argv[5], NULL, 0);
	run(&load, count / 2 + load.depth);
	MARK(10);
	run(&load, count);
	MARK(11);
	return 0;
}
