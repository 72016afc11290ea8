/* init.c: /init of the Linux guest that is measured on amphi-hv and on real Xen: marks, works, marks, and powers off.
 *
 * No C library: the initial ramdisk is this file alone. A mark is an instruction that does nothing and carries a
 * number (count_plugin.c counts there). The work is what a build does to a kernel: processes that begin, touch fresh memory
 * and end, mappings made and taken away, and arithmetic between. Built and run by tests/bench/linux.sh.
 */
#include <sys/syscall.h>

#define PAGES     64
#define PAGE_SIZE 4096
#define PROCESSES 150
#define MAPPINGS  300

#define MARK(n) __asm__ volatile("nopl 0x616d70" #n "(%rax)")

static long call6(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static void say(const char *text, long n)
{
	(void)call6(SYS_write, 1, (long)text, n, 0, 0);
}

/* Fresh pages, each touched: a fault each. */
static void map_and_touch(void)
{
	volatile char *p = (char *)call6(SYS_mmap, 0, PAGES * PAGE_SIZE, 3, 0x22, -1);

	for (long i = 0; i < PAGES; i++)
		p[i * PAGE_SIZE] = 1;
	(void)call6(SYS_munmap, (long)p, PAGES * PAGE_SIZE, 0, 0, 0);
}

static unsigned long calculate(unsigned long x)
{
	for (unsigned i = 0; i < 20000; i++)
		x = (x ^ x >> 7) * 2862933555777941757ul + 1;
	return x;
}

static void work(void)
{
	volatile unsigned long x = 1;

	for (long i = 0; i < PROCESSES; i++) {
		long child = call6(SYS_fork, 0, 0, 0, 0, 0);

		if (!child) {
			map_and_touch();
			(void)call6(SYS_exit, 0, 0, 0, 0, 0);
		}
		x = calculate(x);
		(void)call6(SYS_wait4, child, 0, 0, 0, 0);
	}
	for (long i = 0; i < MAPPINGS; i++)
		map_and_touch();
}

void _start(void);
void __attribute__((force_align_arg_pointer)) _start(void)
{
	MARK(01);
	say("BENCH init\n", 11);
	MARK(02);
	work();
	MARK(03);
	say("BENCH done\n", 11);
	(void)call6(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0, 0);
}
