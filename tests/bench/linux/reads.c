/* reads.c: /init of a Linux on a machine of its own: loads the modules that lie beside it, reads an NVMe by pages past the cache, and powers off.
 *
 * Marks (count_plugin.c) 1 and 2 are around READS reads of 4 KiB, one at a time, 3 and 4 around the same once more. Modules are loaded in the order of the command
 * line's words after "--". Built and run by tests/bench/iospace.sh.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READS 2000
#define PAGE  4096

#define MARK(n) __asm__ volatile("nopl 0x616d70" #n "(%rax)")

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (syscall(SYS_finit_module, fd, "", 0))
		perror(path);
	close(fd);
}

static void reads(int fd, void *page)
{
	for (unsigned i = 0; i < READS; i++)
		if (pread(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
			perror("read");
}

int main(int argc, char **argv)
{
	void *page = aligned_alloc(PAGE, PAGE);
	int fd = -1;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	for (int i = 1; i < argc; i++)
		load(argv[i]);
	for (unsigned tries = 0; fd < 0 && tries < 200; tries++) {
		usleep(50000);
		fd = open("/dev/nvme0n1", O_RDONLY | O_DIRECT | O_CLOEXEC);
	}
	reads(fd, page);
	MARK(01);
	reads(fd, page);
	MARK(02);
	MARK(03);
	reads(fd, page);
	MARK(04);
	puts("reads: done");
	reboot(RB_POWER_OFF);
	return 0;
}
