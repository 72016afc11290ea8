/* bench_mark.h: an instruction that does nothing and carries a number, for who counts from outside the machine.
 *
 * tests/bench/count_plugin.c sees it go by and writes down how many instructions it has counted: BENCH_MARK(10) where a measurement
 * begins, BENCH_MARK(11) where it ends. Users: the commands that measure. A long nop: it costs one instruction anywhere, on any CPU.
 */
#ifndef KERNEL_BENCH_MARK_H
#define KERNEL_BENCH_MARK_H

#define BENCH_MARK(n) __asm__ volatile("nopl 0x616d70" #n "(%%rax)" ::: "memory")

#endif
