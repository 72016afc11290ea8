/* panic.h: the end on our own bug, and names for addresses.
 *
 * Callers: anyone in kernel/, trap.c for exceptions nobody expected, host_bug(). A panic prints
 * the reason and a backtrace with symbols and stops the machine or domain as crashed; it takes
 * no lock, allocates nothing and reads the stack only where it is mapped. Never for a peer's bug.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <stdbool.h>
#include <stdint.h>

/* Any context. */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The same with the place of the fault: trap.c prints the registers first, then calls this with
 * the interrupted rip and rbp. */
void panic_at(uint64_t rip, uint64_t rbp, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* Prints the callers of the frame at rbp, one a line: "  #N ADDRESS function+offset". */
void backtrace_print(uint64_t rip, uint64_t rbp);

/* The function that holds address, or NULL; out_offset is the distance from its start. */
const char *symbol_find(uint64_t address, uint64_t *out_offset);

#define KASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: not so: %s", __FILE__, __LINE__, #cond))

#endif
