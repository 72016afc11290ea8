/* selftest_upcall.c: the self-test's check of the way back from an upcall: an event at each of its instructions.
 *
 * Caller: commands_selftest.c. entry_xen.S says why that way is more than one step, and what an upcall in the middle of it does. Here it
 * is run with the trap flag set, and between two of its instructions an event is sent to ourselves: by the hypervisor's rules it is
 * delivered right there. Expected: each is taken, no register is lost, and no upcall stands on the stack of another. Where
 * there are no such upcalls (natively, in a PVH domain) there is nothing to check, and the line is the same.
 */
#include <amphi/event.h>

#include "boot.h"
#include "selftest.h"

#define FLAGS_TF 0x100u
#define ROUNDS   6u
#define TRIES    100u

extern const char upcall_return[], upcall_unmasked[], upcall_again[], upcall_masked[];

/* Where to send: at the n-th instruction that is stepped to, from upcall_return on. */
enum place {
	BEFORE_UNMASKING, /* stepping ends there, so the way back itself must find it */
	STEPPED_UNMASKING,
	AT_LOOK,
	AT_BRANCH,
	AT_IRETQ,
	AT_MASKING, /* reached by hand: whoever steps has been interrupted before */
	PLACES
};

static struct {
	port_t port;
	enum place place;
	unsigned instruction, sent, got;
	uint64_t stack;
	bool nested;
} run;

static void send(void)
{
	run.sent++;
	event_notify(run.port);
}

/* The way back from here is stepped as long as there is something to send. */
static void step_upcall(void *ctx)
{
	uint64_t stack = (uint64_t)(uintptr_t)__builtin_frame_address(0);

	if (!run.got++)
		run.stack = stack;
	run.nested |= stack != run.stack;
	run.instruction = 0;
	if (run.sent < ROUNDS)
		__asm__ volatile("pushfq\n orl $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
}

static bool is_at_place(uint64_t rip)
{
	static const unsigned instructions[PLACES] = {1, 1, 2, 3, 4, 2};

	return rip >= (uint64_t)(uintptr_t)upcall_return &&
	       rip < (uint64_t)(uintptr_t)upcall_masked &&
	       ++run.instruction == instructions[run.place];
}

/* The first is sent where nothing is on its way back yet: it begins the chain. */
static void stepped(struct trap_frame *frame)
{
	if (!run.sent) {
		send();
		return;
	}
	if (!is_at_place(frame->rip))
		return;
	send();
	if (run.place == BEFORE_UNMASKING)
		frame->rflags &= ~(uint64_t)FLAGS_TF;
	if (run.place == AT_MASKING)
		frame->rip = (uint64_t)(uintptr_t)upcall_again;
}

static __attribute__((noinline)) bool step_kernel(void)
{
	return SELFTEST_KEEPS_REGISTERS("pushfq\n pushfq\n orl $0x100, (%%rsp)\n popfq\n"
					" nop\n popfq\n nop\n");
}

/* Another event than ours ends the stepping: then once more. */
static const char *at(enum place place)
{
	bool kept = true;

	for (unsigned i = 0; i < TRIES && run.sent < ROUNDS && kept; i++) {
		run.place = place;
		run.sent = run.got = run.instruction = 0;
		run.nested = false;
		kept = step_kernel();
	}
	WANT(kept);
	WANT(run.sent == ROUNDS);
	WANT(run.got == run.sent);
	WANT(!run.nested);
	return NULL;
}

static const char *way_back(void)
{
	const char *wrong = NULL;

	if (boot.platform != BOOT_XEN_PV)
		return NULL;
	WANT(!event_bind_ipi(0, step_upcall, NULL, &run.port));
	trap_set_step(stepped);
	for (unsigned p = 0; p < PLACES && !wrong; p++) {
		run.sent = 0;
		wrong = at((enum place)p);
	}
	trap_set_step(NULL);
	event_close(run.port);
	return wrong;
}

static const struct selftest tests[] = {
    {"upcalls: events on the way back", way_back},
};
const struct selftest_room selftest_upcall = {tests, ARRAY_SIZE(tests)};
