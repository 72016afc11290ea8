/* self_test.c: the ring-3 self-test: a program that looks at everything a program is promised.
 *
 * Shows: system calls and their errors, memory asked for and taken back, page faults handed over, FPU state,
 * FS base and TLS segment kept apart between two programs that take turns, and that whatever a program must
 * not do ends it and nothing else: for that it starts itself with the name of the deed and waits. Prints
 * "ok NAME" or "FAILED NAME", the same on every platform, with no figure in it that may differ; its exit
 * code is the number of failures. Run by tests/{qemu,xen}/user_test.sh as `run self_test`.
 */
#include <amphi/xen.h>

#include "deeds.h"
#include "program.h"

static unsigned failures;

/* `run self_test brief`: without what lasts half a second by the clock, for those who count instructions. */
static bool brief;

static void check(const char *name, bool ok)
{
	failures += !ok;
	say(ok ? "ok " : "FAILED ", name);
}

/* ---- system calls ----------------------------------------------------------------------- */

#define HEAP       USER_HEAP
#define READ_WRITE (USER_READ | USER_WRITE)

static long number(uint64_t nr)
{
	return call((enum user_call_nr)nr, 0, 0, 0);
}

/* The test that runs us looks for the word: not a letter of it may be written. */
static void check_half_mapped(void)
{
	char *p = (char *)CALL(pages, 1, READ_WRITE, 0);

	for (unsigned i = 0; i < 1024; i++)
		p[3072 + i] = "never\n"[i % 6];
	check("text that is half mapped", CALL(write, p + 3072, 2048, 0) == -XEN_EFAULT);
	check("and by one byte", CALL(write, p + 3072, 1025, 0) == -XEN_EFAULT);
	CALL(unpages, p, 1, 0);
}

static void check_calls(void)
{
	uint64_t kept = 0x1234567890abcdef, before = (uint64_t)CALL(time, 0, 0, 0), after;

	check("a number that is no call",
	      number(USER_CALL_COUNT) == -XEN_ENOSYS && number(~0ull) == -XEN_ENOSYS);
	check("a pid", CALL(getpid, 0, 0, 0) > 0);
	check("text of the kernel's", CALL(write, 0xffffffff80100000, 8, 0) == -XEN_EFAULT);
	check("text at the end of ours", CALL(write, USER_END - 4, 8, 0) == -XEN_EFAULT);
	check("text that is not mapped", CALL(write, HEAP + 0x800000, 8, 0) == -XEN_EFAULT);
	check_half_mapped();
	check("too much text", CALL(write, HEAP, USER_BUFFER_MAX + 1, 0) == -XEN_EINVAL);
	check("no text", CALL(write, HEAP, 0, 0) == 0);
	check("sleep", CALL(sleep, 3000000, 0, 0) == 0);
	after = (uint64_t)CALL(time, 0, 0, 0);
	check("the time passes while it sleeps", after - before >= 3000000);
	check("sleep for ever", CALL(sleep, ~0ull, 0, 0) == -XEN_EINVAL);
	check("wait for nobody", CALL(wait, 1000000, 0, 0) == -XEN_ESRCH);
	__asm__ volatile("mov %0, %%r15\n\tmov $7, %%eax\n\tsyscall\n\tmov %%r15, %0"
			 : "+r"(kept)::"rax", "rcx", "r11", "r15", "memory");
	check("registers live through a call", kept == 0x1234567890abcdef);
}

static void check_memory(void)
{
	volatile uint64_t *p = (volatile uint64_t *)CALL(pages, 3, READ_WRITE, 0), *q;
	bool zero = true;

	check("three pages", (uint64_t)p >= HEAP && (uint64_t)p < USER_HEAP_END);
	for (unsigned i = 0; i < 3 * 512; i++)
		zero &= p[i] == 0;
	check("are zero", zero);
	p[0] = 1, p[3 * 512 - 1] = 2;
	q = (volatile uint64_t *)CALL(pages, 1, READ_WRITE, 0);
	q[0] = 3;
	check("and ours alone", p[0] == 1 && p[3 * 512 - 1] == 2 && q != p);
	check("taken back", CALL(unpages, p, 3, 0) == 0);
	check("once", CALL(unpages, p, 3, 0) == -XEN_EFAULT);
	check("and given anew, as zeros", CALL(pages, 3, READ_WRITE, 0) == (long)p && p[0] == 0);
	check("no pages", CALL(pages, 0, READ_WRITE, 0) == -XEN_EINVAL);
	check("too many pages", CALL(pages, USER_HEAP_PAGES, READ_WRITE, 0) == -XEN_ENOMEM);
	check("executable pages", CALL(pages, 1, 7, 0) == -XEN_EINVAL);
	check("protect what is not mapped",
	      CALL(protect, HEAP + 0x800000, 1, USER_READ) == -XEN_EFAULT);
	check("protect the stack", CALL(protect, USER_STACK_LOW, 1, USER_READ) == -XEN_EINVAL);
	CALL(unpages, p, 3, 0);
	CALL(unpages, q, 1, 0);
}

/* ---- page faults that are ours ----------------------------------------------------------- */

static volatile uint64_t fault_count, fault_address, fault_access;

static void make_writable(struct user_context *c)
{
	fault_count++;
	fault_address = c->address;
	fault_access = c->access;
	CALL(protect, c->address & ~4095ull, 1, READ_WRITE);
	CALL(resume, c, 0, 0);
}

/* The instruction is mov (%rdx), %rax: 3 bytes. */
static void skip_it(struct user_context *c)
{
	fault_count++;
	fault_access = c->access;
	c->rip += 3;
	c->rax = 77;
	CALL(resume, c, 0, 0);
}

/* 0 when a register that system calls lose was lost here, too. */
static uint64_t read_at(uint64_t address)
{
	uint64_t value, mark = 0x55aa, in_rcx, in_r11;

	__asm__ volatile(
	    "mov %4, %%rcx\n\tmov %4, %%r11\n\tmov (%%rdx), %%rax\n\tmov %%rcx, %1\n\tmov %%r11, %2"
	    : "=a"(value), "=&r"(in_rcx), "=&r"(in_r11)
	    : "d"(address), "r"(mark)
	    : "rcx", "r11", "memory");
	return in_rcx == mark && in_r11 == mark ? value : 0;
}

static void check_faults(void)
{
	uint64_t *p = (uint64_t *)CALL(pages, 4, USER_READ, 0);
	uint64_t nothing = HEAP + 0x800000;

	CALL(on_fault, p, 4 * PAGE_SIZE, make_writable);
	for (unsigned i = 0; i < 4; i++)
		((volatile uint64_t *)p)[i * 512 + 1] = i;
	check("a write to a page that is read-only, 4 times", fault_count == 4);
	check("its address", fault_address == (uint64_t)(p + 3 * 512 + 1));
	check("and kind", fault_access == 3);
	((volatile uint64_t *)p)[1] = 5;
	check("the page can be written now", fault_count == 4 && p[1] == 5);
	CALL(on_fault, nothing, 4096, skip_it);
	fault_count = 0;
	check("a read where nothing is",
	      read_at(nothing + 8) == 77 && fault_count == 1 && fault_access == 0);
	check("a range beyond the end",
	      CALL(on_fault, USER_END - 4096, 8192, skip_it) == -XEN_EINVAL);
	check("a handler beyond it", CALL(on_fault, nothing, 4096, ~0ull) == -XEN_EINVAL);
	check("resume from nowhere", CALL(resume, nothing, 0, 0) == -XEN_EFAULT);
	CALL(on_fault, 0, 0, 0);
	CALL(unpages, p, 4, 0);
}

static void check_resume(void)
{
	struct user_context c = {.rip = 0xffffffff80100000, .rsp = USER_STACK_TOP};

	check("resume in the kernel", CALL(resume, &c, 0, 0) == -XEN_EINVAL);
	c.rip = 1ull << 63;
	check("resume at no address", CALL(resume, &c, 0, 0) == -XEN_EINVAL);
}

/* ---- what a program must not do ------------------------------------------------------------ */

static long start(const char *word)
{
	return CALL(spawn, word, length(word), 0);
}

static void check_deeds(void)
{
	for (unsigned i = 0; i < N_DEEDS; i++) {
		long status = CALL(wait, start(deeds[i].name), 0, 0);

		check(deeds[i].name,
		      status == deeds[i].status || (deeds[i].other && status == deeds[i].other));
	}
}

/* ---- two that take turns ------------------------------------------------------------------- */

#define TURNS 200u

static uint64_t read_fs(void)
{
	uint64_t value;

	__asm__ volatile("mov %%fs:0, %0" : "=r"(value));
	return value;
}
static uint64_t read_gs(void)
{
	uint64_t value;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(value));
	return value;
}

/* One turn: everything that is ours alone is set, another program runs, and it is still there. The page is
 * at the same address in both, the bases in it are not. */
static unsigned turn(uint64_t mark, bool give_way)
{
	uint64_t xmm, st;
	uint32_t mxcsr = 0x1f80 | (uint32_t)(mark % 4) << 13, mxcsr_after;

	__asm__ volatile(
	    "ldmxcsr %4\n\tmovq %3, %%xmm7\n\tpunpcklqdq %%xmm7, %%xmm7\n\tfninit\n\tfildll %3\n\t"
	    "xor %%edi, %%edi\n\tmov $7, %%eax\n\ttest %5, %5\n\tjz 1f\n\tsyscall\n\tjmp 2f\n"
	    "1:\tmov $2000000, %%ecx\n3:\tdec %%ecx\n\tjnz 3b\n"
	    "2:\tpsrldq $8, %%xmm7\n\tmovq %%xmm7, %0\n\tfistpll %1\n\tstmxcsr %2"
	    : "=r"(xmm), "=m"(st), "=m"(mxcsr_after)
	    : "m"(mark), "m"(mxcsr), "r"((uint32_t)give_way)
	    : "rax", "rcx", "rdi", "r11", "xmm7", "memory", "cc");
	return (xmm != mark) + (st != mark) + ((mxcsr_after & 0x6000) != (mxcsr & 0x6000));
}

static bool has_avx(void)
{
	uint32_t a = 1, b, c = 0, d, low, high;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if ((c >> 27 & 3) != 3) /* OSXSAVE, AVX */
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

/* The same with the upper halves of vector registers, which older forms of saving leave out. */
static unsigned turn_avx(uint64_t mark, bool give_way)
{
	uint64_t in[4] = {mark, ~mark, mark + 1, mark * 3}, out[4] = {0};

	__asm__ volatile("vmovdqu (%0), %%ymm6\n\tvmovdqu (%0), %%ymm15\n\txor %%edi, %%edi\n\t"
			 "mov $7, %%eax\n\ttest %2, %2\n\tjz 1f\n\tsyscall\n\tjmp 2f\n"
			 "1:\tmov $1000000, %%ecx\n3:\tdec %%ecx\n\tjnz 3b\n"
			 "2:\tvpxor %%ymm15, %%ymm6, %%ymm6\n\tvpor %%ymm15, %%ymm6, %%ymm6\n\t"
			 "vmovdqu %%ymm6, (%1)\n\tvzeroupper"
			 :
			 : "r"(in), "r"(out), "b"((uint32_t)give_way)
			 : "rax", "rcx", "rdi", "r11", "xmm6", "xmm15", "memory", "cc");
	for (unsigned i = 0; i < 4; i++)
		if (in[i] != out[i])
			return 1;
	return 0;
}

static int take_turns(bool give_way)
{
	uint64_t pid = (uint64_t)CALL(getpid, 0, 0, 0), mark = 0x123456789a + (pid << 40);
	volatile uint64_t *p = (volatile uint64_t *)CALL(pages, 1, READ_WRITE, 0) + pid % 16;
	unsigned wrong = 0, turns = give_way ? TURNS : 20;
	bool avx = has_avx();
	long selector;

	p[0] = pid, p[64] = ~pid;
	CALL(set_fs_base, p, 0, 0);
	selector = CALL(set_tls, p + 64, 0, 0);
	__asm__ volatile("mov %w0, %%gs" ::"r"(selector));
	for (unsigned i = 0; i < turns; i++) {
		wrong += turn(mark + i, give_way);
		wrong += avx && turn_avx(mark * i, give_way);
		wrong += read_fs() != pid || read_gs() != ~pid || p[0] != pid;
	}
	return wrong > 255 ? 255 : (int)wrong;
}

static void check_two(const char *name, const char *word)
{
	long a = start(word), b = start(word);

	check(name, a > 0 && b > a && CALL(wait, a, 0, 0) == 0 && CALL(wait, b, 0, 0) == 0);
}

/* The FS segment by its selector, and an empty one afterwards. */
static void check_tls(void)
{
	uint64_t *p = (uint64_t *)CALL(pages, 1, READ_WRITE, 0);
	long selector = CALL(set_tls, p, 0, 0);

	p[0] = 99;
	__asm__ volatile("mov %w0, %%fs" ::"r"(selector));
	check("the TLS segment", read_fs() == 99);
	p[8] = 100;
	check("the FS base", CALL(set_fs_base, p + 8, 0, 0) == 0 && read_fs() == 100);
	check("a TLS base beyond 4 GiB", CALL(set_tls, 1ull << 32, 0, 0) == -XEN_EINVAL);
	check("an FS base in the kernel",
	      CALL(set_fs_base, 0xffffffff80100000, 0, 0) == -XEN_EINVAL);
	CALL(unpages, p, 1, 0);
}

/* ---- segments, ports, watched addresses ------------------------------------------------------ */

#define DATA_SEGMENT 0x00cff3000000ffffull

static uint64_t segment_at(const void *base)
{
	return DATA_SEGMENT | (uint64_t)(uintptr_t)base << 16;
}

static void load_gs(long selector)
{
	__asm__ volatile("mov %w0, %%gs" ::"r"(selector));
}

static void check_segments(void)
{
	static uint64_t words[4] = {11, 22, 33, 44};

	for (unsigned slot = 0; slot < USER_TLS_SLOTS; slot++) {
		load_gs(CALL(set_tls, &words[slot], slot, 0));
		check("a TLS slot", read_gs() == words[slot]);
	}
	check("one too many", CALL(set_tls, words, USER_TLS_SLOTS, 0) == -XEN_EINVAL);
	check("an LDT entry", CALL(set_ldt, 5, segment_at(&words[3]), 0) == (5 << 3 | 7));
	load_gs(5 << 3 | 7);
	check("is a segment", read_gs() == 44);
	check("the last entry", CALL(set_ldt, USER_LDT_ENTRIES - 1, segment_at(words), 0) > 0);
	load_gs((USER_LDT_ENTRIES - 1) << 3 | 7);
	check("is one too", read_gs() == 11);
	check("and no more", CALL(set_ldt, USER_LDT_ENTRIES, segment_at(words), 0) == -XEN_EINVAL);
	check("a segment of ring 0", CALL(set_ldt, 5, 0x00cf93000000ffff, 0) == -XEN_EINVAL);
	check("a segment of code", CALL(set_ldt, 5, 0x00affb000000ffff, 0) == -XEN_EINVAL);
	check("a call gate", CALL(set_ldt, 5, 0x0000ec0000080000, 0) == -XEN_EINVAL);
	load_gs(0);
}

static volatile uint64_t watched[2];

static void seen(struct user_context *c)
{
	fault_count++;
	fault_address = c->address;
	fault_access = c->access;
	CALL(resume, c, 0, 0);
}

/* MOV SS puts an exception off until the next instruction is done, which is the kernel's first. */
static long call_behind_ss(void)
{
	static uint64_t selector;
	long pid;

	__asm__ volatile("mov %%ss, %0" : "=m"(*(uint16_t *)&selector));
	CALL(watch, &selector, 2, USER_READ | USER_WRITE);
	__asm__ volatile("mov %1, %%ss\n\tsyscall"
			 : "=a"(pid)
			 : "m"(*(uint16_t *)&selector), "a"((uint64_t)USER_CALL_getpid)
			 : "rcx", "r11", "memory");
	return pid;
}

static void check_watch(void)
{
	fault_count = 0;
	CALL(on_fault, HEAP, 4096, seen);
	check("watch writes", CALL(watch, watched, 8, USER_WRITE) == 0);
	watched[0] = 1;
	check("a write is seen", fault_count == 1 && watched[0] == 1);
	check("where it was", fault_address == (uint64_t)watched && fault_access == 1ull << 32);
	check("reads are not", watched[0] == 1 && fault_count == 1);
	watched[1] = 1;
	check("nor its neighbour", fault_count == 1);
	CALL(watch, (char *)watched + 9, 1, USER_READ | USER_WRITE);
	check("reads of one byte", ((volatile char *)watched)[9] == 0 && fault_count == 2);
	check("a child does not inherit it",
	      CALL(wait, start("watched"), 0, 0) == 0 && fault_count == 2);
	check("a stack selector, and at once a call", call_behind_ss() > 0);
	fault_count = 0;
	CALL(watch, 0, 0, USER_WRITE);
	watched[0] = watched[1] = 2;
	check("no more", fault_count == 0);
	check("watch the kernel", CALL(watch, 0xffffffff80100000, 8, USER_WRITE) == -XEN_EINVAL);
	check("watch across words", CALL(watch, (char *)watched + 4, 8, USER_WRITE) == -XEN_EINVAL);
	CALL(on_fault, 0, 0, 0);
}

/* 0: it was given and works; 7: it was refused. Which, is the platform's and the command line's. */
static int given(void)
{
	long error = CALL(ports, 0x80, 1, 1);

	if (error == -XEN_EPERM)
		return 7;
	__asm__ volatile("in $0x80, %%al\n\tout %%al, $0x80" ::: "rax");
	return error ? 8 : 0;
}

static void check_ports(void)
{
	long status = CALL(wait, start("given"), 0, 0);

	check("a port that may be used, or a refusal", status == 0 || status == 7);
	check("a port that nobody named", CALL(ports, 0x81, 1, 1) == -XEN_EPERM);
	check("ports beyond the last", CALL(ports, 0xffff, 2, 1) == -XEN_EINVAL);
	check("none to take back", CALL(ports, 0x80, 1, 0) == 0);
}

/* Two with an LDT entry of the same number and a watch of the same address, and other things behind them. */
static int take_turns_with_rights(void)
{
	static uint64_t mine[2];
	uint64_t pid = (uint64_t)CALL(getpid, 0, 0, 0);
	unsigned wrong = 0;

	mine[pid % 2] = pid;
	fault_count = 0;
	CALL(on_fault, HEAP, 4096, seen);
	load_gs(CALL(set_ldt, 1, segment_at(&mine[pid % 2]), 0));
	CALL(watch, &watched[pid % 2], 8, USER_WRITE);
	CALL(ports, 0x80, 1, pid % 2);
	for (unsigned i = 0; i < TURNS / 5; i++) {
		CALL(yield, 0, 0, 0);
		wrong += read_gs() != pid;
		watched[0] = watched[1] = i;
		wrong += fault_count != i + 1;
	}
	return wrong > 255 ? 255 : (int)wrong;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* More than there is room for, if they did not go away by themselves. */
static long leave_orphans(void)
{
	long failed = 0;

	for (unsigned i = 0; i < 12; i++) {
		failed += CALL(wait, start("orphans"), 0, 0);
		CALL(sleep, 4000000, 0, 0);
	}
	return failed;
}

#define SPIN_ROUNDS  60000000u
#define SPIN_LEFT_NS 5000000ull

/* Work and not time: on a machine that stands still meanwhile, time alone is over at once. */
static int spin(void)
{
	uint32_t rounds = SPIN_ROUNDS;

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds)::"cc");
	return 0;
}

/* How long it goes on after another has begun and ended beside it: no time at all if that one had to wait for
 * the end. Not how long the other takes: a busy machine may make that anything. */
static uint64_t time_left_to_spinner(void)
{
	long spinner = start("spin");
	uint64_t from;

	CALL(wait, start("code 42"), 0, 0);
	from = (uint64_t)CALL(time, 0, 0, 0);
	return CALL(wait, spinner, 0, 0) == 0 ? (uint64_t)CALL(time, 0, 0, 0) - from : 0;
}

/* Where CPUs are threads of a busy machine, one may stand still while another spins to its end; not every time. */
static bool spinner_outlives(void)
{
	for (unsigned i = 0; i < 8; i++)
		if (time_left_to_spinner() > SPIN_LEFT_NS)
			return true;
	return false;
}

static void check_children(void)
{
	long first = start("nap"), n = first > 0;

	while (n < 100 && start("nap") > 0)
		n++;
	check("programs have an end", n > 2 && n < 100 && start("nap") == -XEN_EAGAIN);
	for (long i = 0; i < n; i++)
		CALL(wait, first + i, 0, 0);
	check("and begin anew", CALL(wait, start("code 42"), 0, 0) == 42);
	check("whom nobody waits for", leave_orphans() == 0);
	if (!brief)
		check("beside one that never waits", spinner_outlives());
	check("a word that is too long",
	      CALL(spawn, USER_STACK_TOP - 4096, 4000, 0) == -XEN_EINVAL);
}

static int by_word(const char *word)
{
	for (unsigned i = 0; i < N_DEEDS; i++)
		if (same(word, deeds[i].name)) {
			deeds[i].fn();
			return 99;
		}
	if (same(word, "code 42"))
		return 42;
	if (same(word, "turns") || same(word, "slices"))
		return take_turns(same(word, "turns"));
	if (same(word, "forever"))
		for (;;)
			;
	if (same(word, "doze"))
		return (int)CALL(sleep, USER_SLEEP_MAX_NS, 0, 0);
	if (same(word, "wait_long"))
		return (int)CALL(wait, start("doze"), 0, 0);
	if (same(word, "rights"))
		return take_turns_with_rights();
	if (same(word, "watched"))
		return (watched[0] = watched[1] = 1) != 1;
	if (same(word, "given"))
		return given();
	if (same(word, "spin"))
		return spin();
	if (same(word, "nap"))
		return (int)CALL(sleep, 2000000, 0, 0);
	if (same(word, "orphans"))
		return start("nap") > 0 && start("nap") > 0 ? 0 : 1;
	say("no such word: ", word);
	return 98;
}

int program(int argc, char **argv)
{
	brief = argc == 2 && same(argv[1], "brief");
	if (argc == 2 && !brief)
		return by_word(argv[1]);
	say("ring 3: ", argv[0]);
	check("the words", argc == 1 + brief && same(argv[0], "self_test") && !argv[argc]);
	check_calls();
	check_memory();
	check_faults();
	check_resume();
	check_tls();
	check_segments();
	check_watch();
	check_ports();
	check_deeds();
	check_children();
	check_two("two that give way to each other", "turns");
	check_two("two that do not", "slices");
	check_two("two with segments and watches", "rights");
	say("ring 3: done", "");
	return (int)failures;
}
