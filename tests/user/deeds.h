/* deeds.h: what a program must not do, each a function by its name, and how it ends.
 *
 * Taken in by self_test.c, which starts itself with the name of a deed and waits. Whatever is here must end the
 * program, by the same exception on every platform, and nothing else.
 */
#ifndef TESTS_USER_DEEDS_H
#define TESTS_USER_DEEDS_H

#include <amphi/xen.h>

#include "program.h"

static void __attribute__((noinline)) overrun(unsigned depth)
{
	volatile char room[1024];

	room[0] = (char)depth;
	if (depth < 1000000)
		overrun(depth + 1);
	room[1] = room[0];
}

static void touch(uint64_t address)
{
	*(volatile char *)address = 1;
}

static void peek(uint64_t address)
{
	(void)*(volatile char *)address;
}

#define DEED(name, text)                                                                           \
	static void do_##name(void)                                                                \
	{                                                                                          \
		__asm__ volatile(text ::: "rax", "rbx", "rcx", "rdx", "memory");                   \
	}
DEED(cli, "cli")
DEED(sti, "sti")
DEED(hlt, "hlt")
DEED(iopl, "pushfq; orl $0x3000, (%%rsp); popfq; cli") /* the flag is not a program's to change */
DEED(cr0_write, "xor %%eax, %%eax; mov %%rax, %%cr0")
DEED(cr2, "mov %%cr2, %%rax")
DEED(cr4, "mov %%cr4, %%rax")
DEED(cr8, "mov %%cr8, %%rax")
DEED(dr7, "mov %%db7, %%rax")
DEED(dr0_write, "mov %%rax, %%db0")
DEED(lidt, "sub $16, %%rsp; lidt (%%rsp)")
DEED(lldt, "xor %%eax, %%eax; lldt %%ax")
DEED(ltr, "xor %%eax, %%eax; ltr %%ax")
DEED(lmsw, "xor %%eax, %%eax; lmsw %%ax")
DEED(clts, "clts")
DEED(invd, "invd")
DEED(wbinvd, "wbinvd")
DEED(rdpmc, "xor %%ecx, %%ecx; rdpmc")
DEED(ins, "mov $0x60, %%edx; sub $16, %%rsp; mov %%rsp, %%rdi; insb")
DEED(int_debug, "int $1")
DEED(int_page, "int $14")
DEED(int_pic, "int $0x21")
DEED(jump_noncanonical, "movabs $0x800000000000, %%rax; jmp *%%rax")
DEED(jump_kernel, "movabs $0xffffffff80100000, %%rax; jmp *%%rax")
DEED(stack_noncanonical, "movabs $0x800000000010, %%rsp; push %%rax")
DEED(selector_ss, "xor %%eax, %%eax; mov %%eax, %%ss")
DEED(selector_ldt, "mov $0x7, %%eax; mov %%eax, %%fs")
DEED(selector_beyond, "mov $0xfff3, %%eax; mov %%eax, %%es")
DEED(stack_bottom, "movabs $0x7ffffeffe8, %%rsp; mov %%rsp, %%rbp; 1: push %%rax; jmp 1b")
DEED(icebp, ".byte 0xf1")
DEED(sysenter, "sysenter")
DEED(port, "in $0x60, %%al")
DEED(out, "out %%al, $0x80")
DEED(cr0, "mov %%cr0, %%rax")
DEED(cr3, "xor %%eax, %%eax; mov %%rax, %%cr3")
DEED(rdmsr, "mov $0xc0000080, %%ecx; rdmsr")
DEED(wrmsr, "mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")
DEED(lgdt, "sub $16, %%rsp; lgdt (%%rsp)")
DEED(invlpg, "invlpg (%%rsp)")
DEED(swapgs, "swapgs")
/* By a jump and not by iret, whose pops QEMU's TCG makes with the kernel's rights: SMAP is in their way. */
DEED(gate, "push $8; push $8; ljmp *(%%rsp)")
DEED(int, "int $0x80")
DEED(ud2, "ud2")
DEED(int3, "int3")
DEED(divide, "xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx")
DEED(selector, "mov $0x18, %%eax; mov %%eax, %%ds")
DEED(noncanonical, "movabs $0x8000000000000000, %%rax; mov (%%rax), %%rax")
DEED(gap, "mov $0x123456, %%eax; jmp *%%rax")

static void do_image(void)
{
	touch(0xffffffff80100000);
}
static void do_read_image(void)
{
	peek(0xffffffff80100000);
}
static void do_direct(void)
{
	peek(0xffff880000100000);
}
static void do_null(void)
{
	touch(0);
}
static void do_code(void)
{
	touch((uint64_t)do_null);
}
static void do_stack(void)
{
	overrun(0);
}
/* Data is not code; without no-execute in the processor it would be, so the bytes are ud2's. */
static void do_data(void)
{
	static volatile uint8_t bytes[2] = {0x0f, 0x0b};

	((void (*)(void))(uintptr_t)bytes)();
}
/* A fault for the handler, with no stack to call it on. */
static void do_no_stack(void)
{
	CALL(on_fault, USER_LOW, 4096, do_null);
	__asm__ volatile("mov $0x11000, %%esp; mov $0x10008, %%edx; mov (%%rdx), %%rax" ::
			     : "rax", "rdx", "memory");
}
/* A trap after every instruction. */
static void do_step(void)
{
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" ::: "memory", "cc");
}

/* Text that is no code either. */
static void do_rodata(void)
{
	touch((uint64_t) "read only");
}
static void do_exec_stack(void)
{
	volatile uint8_t bytes[2] = {0x0f, 0x0b};

	((void (*)(void))(uintptr_t)bytes)();
}
/* Not every processor looks: without CR0.AM, or under an emulator, the flag means nothing. */
static void do_align(void)
{
	__asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; mov 1(%%rsp), %%rax" ::
			     : "rax", "memory", "cc");
}
/* A port that was given and taken back, or refused. */
static void do_port_after(void)
{
	CALL(ports, 0x80, 1, 1);
	CALL(ports, 0x80, 1, 0);
	__asm__ volatile("in $0x80, %%al" ::: "rax");
}
static void do_port_beside(void)
{
	CALL(ports, 0x80, 1, 1);
	__asm__ volatile("in $0x80, %%ax" ::: "rax");
}
/* An entry that was there. */
static void do_ldt_gone(void)
{
	uint16_t selector = (uint16_t)CALL(set_ldt, 3, 0x00cff3000000ffff, 0);

	CALL(set_ldt, 3, 0, 0);
	__asm__ volatile("mov %w0, %%gs" ::"r"((uint32_t)selector));
}
/* Nobody to tell of it. */
static void do_watch(void)
{
	static volatile uint64_t here;

	CALL(watch, &here, 8, USER_WRITE);
	here = 1;
}

enum { GENERAL_PROTECTION = USER_ENDED_BY + 13, PAGE_FAULT = USER_ENDED_BY + 14 };

static const struct deed {
	const char *name;
	void (*fn)(void);
	long status, other; /* 0: no other */
} deeds[] = {
    {"cli", do_cli, GENERAL_PROTECTION, 0},
    {"hlt", do_hlt, GENERAL_PROTECTION, 0},
    {"sti", do_sti, GENERAL_PROTECTION, 0},
    {"iopl", do_iopl, GENERAL_PROTECTION, 0},
    {"cr0_write", do_cr0_write, GENERAL_PROTECTION, 0},
    {"cr2", do_cr2, GENERAL_PROTECTION, 0},
    {"cr4", do_cr4, GENERAL_PROTECTION, 0},
    {"cr8", do_cr8, GENERAL_PROTECTION, 0},
    {"dr7", do_dr7, GENERAL_PROTECTION, 0},
    {"dr0_write", do_dr0_write, GENERAL_PROTECTION, 0},
    {"lidt", do_lidt, GENERAL_PROTECTION, 0},
    {"lldt", do_lldt, GENERAL_PROTECTION, 0},
    {"ltr", do_ltr, GENERAL_PROTECTION, 0},
    {"lmsw", do_lmsw, GENERAL_PROTECTION, 0},
    {"clts", do_clts, GENERAL_PROTECTION, 0},
    {"invd", do_invd, GENERAL_PROTECTION, 0},
    {"wbinvd", do_wbinvd, GENERAL_PROTECTION, 0},
    {"rdpmc", do_rdpmc, GENERAL_PROTECTION, 0},
    {"ins", do_ins, GENERAL_PROTECTION, 0},
    {"int_debug", do_int_debug, GENERAL_PROTECTION, 0},
    {"int_page", do_int_page, GENERAL_PROTECTION, 0},
    {"int_pic", do_int_pic, GENERAL_PROTECTION, 0},
    {"jump_noncanonical", do_jump_noncanonical, GENERAL_PROTECTION, 0},
    {"stack_noncanonical", do_stack_noncanonical, GENERAL_PROTECTION, USER_ENDED_BY + 12},
    {"selector_ss", do_selector_ss, GENERAL_PROTECTION, 0},
    {"selector_ldt", do_selector_ldt, GENERAL_PROTECTION, 0},
    {"selector_beyond", do_selector_beyond, GENERAL_PROTECTION, 0},
    {"ldt_gone", do_ldt_gone, GENERAL_PROTECTION, 0},
    {"port_after", do_port_after, GENERAL_PROTECTION, 0},
    {"port_beside", do_port_beside, GENERAL_PROTECTION, 0},
    {"sysenter", do_sysenter, GENERAL_PROTECTION, USER_ENDED_BY + 6},
    {"align", do_align, 99, USER_ENDED_BY + 17},
    {"port", do_port, GENERAL_PROTECTION, 0},
    {"out", do_out, GENERAL_PROTECTION, 0},
    {"cr0", do_cr0, GENERAL_PROTECTION, 0},
    {"cr3", do_cr3, GENERAL_PROTECTION, 0},
    {"rdmsr", do_rdmsr, GENERAL_PROTECTION, 0},
    {"wrmsr", do_wrmsr, GENERAL_PROTECTION, 0},
    {"lgdt", do_lgdt, GENERAL_PROTECTION, 0},
    {"invlpg", do_invlpg, GENERAL_PROTECTION, 0},
    {"swapgs", do_swapgs, GENERAL_PROTECTION, 0},
    {"gate", do_gate, GENERAL_PROTECTION, 0},
    {"int", do_int, GENERAL_PROTECTION, 0},
    {"selector", do_selector, GENERAL_PROTECTION, 0},
    {"noncanonical", do_noncanonical, GENERAL_PROTECTION, 0},
    {"ud2", do_ud2, USER_ENDED_BY + 6, 0},
    {"int3", do_int3, USER_ENDED_BY + 3, 0},
    {"divide", do_divide, USER_ENDED_BY + 0, 0},
    {"step", do_step, USER_ENDED_BY + 1, 0},
    {"icebp", do_icebp, USER_ENDED_BY + 1, USER_ENDED_BY + 6},
    {"watch", do_watch, USER_ENDED_BY + 1, 0},
    {"jump_kernel", do_jump_kernel, PAGE_FAULT, 0},
    {"stack_bottom", do_stack_bottom, PAGE_FAULT, 0},
    {"rodata", do_rodata, PAGE_FAULT, 0},
    {"exec_stack", do_exec_stack, PAGE_FAULT, 0},
    {"image", do_image, PAGE_FAULT, 0},
    {"read_image", do_read_image, PAGE_FAULT, 0},
    {"direct", do_direct, PAGE_FAULT, 0},
    {"null", do_null, PAGE_FAULT, 0},
    {"code", do_code, PAGE_FAULT, 0},
    {"data", do_data, PAGE_FAULT, 0},
    {"gap", do_gap, PAGE_FAULT, 0},
    {"stack", do_stack, PAGE_FAULT, 0},
    {"no_stack", do_no_stack, PAGE_FAULT, 0},
};
#define N_DEEDS (sizeof(deeds) / sizeof(deeds[0]))

#endif
