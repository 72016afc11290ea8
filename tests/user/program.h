/* program.h: a program's end of amphi/user.h: system calls, text, and where it starts.
 *
 * Taken in by the one C file that a program here is (of tests/user or examples, built by the Makefile as a static
 * ELF64 with no library). The includer has int program(int argc, char **argv), whose result is the exit code.
 */
#ifndef TESTS_USER_PROGRAM_H
#define TESTS_USER_PROGRAM_H

#include <amphi/user.h>

int program(int argc, char **argv);

static inline long call(enum user_call_nr nr, uint64_t a, uint64_t b, uint64_t c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((uint64_t)nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

#define CALL(name, a, b, c) call(USER_CALL_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c))

/* rdi and rsi are the arguments; the stack is as after a call. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall program\n\tmov %eax, "
	"%edi\n\t"
	"xor %eax, %eax\n\tsyscall\n\tud2\n");

static inline size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* One line is one call, so that two programs do not mix theirs. */
static inline void say(const char *first, const char *second)
{
	char line[160];
	size_t n = 0;

	for (; *first && n < sizeof(line) - 1; first++)
		line[n++] = *first;
	for (; *second && n < sizeof(line) - 1; second++)
		line[n++] = *second;
	line[n++] = '\n';
	CALL(write, line, n, 0);
}

#endif
