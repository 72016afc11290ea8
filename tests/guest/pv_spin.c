/* pv_spin.c: a PV kernel that wants a whole CPU, and says how much of one it got.
 *
 * Shows what share of the CPUs a domain has: it calculates from 1 s after the start of the machine
 * to END seconds after it, by the hypervisor's clock, and prints how much of that time it has run,
 * by its run state, in millionths. Its command line is NAME END. It is a domain of the service domain's, so its
 * words come out only where guest_console lets them.
 */
#include "pv.h"

#define NS_PER_S 1000000000ull

static uint8_t shared_page[4096] __attribute__((aligned(4096)));
static struct shared_info *const shared = (void *)shared_page;

static uint64_t now(void)
{
	return clock_of(&shared->vcpu_info[0].time);
}

static uint64_t had(void)
{
	struct vcpu_runstate_info run = {0};

	hypercall(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, (uint64_t)&run, 0);
	return run.time[RUNSTATE_running];
}

/* In one write: others say theirs at the same time. */
static void say(const char *word, unsigned n, uint64_t v)
{
	static char text[64] = "spin ";
	unsigned at = 5, digits = 0;

	for (unsigned i = 0; i < n && i < 32; i++)
		text[at++] = word[i];
	text[at++] = ' ';
	for (uint64_t rest = v; rest || !digits; rest /= 10)
		digits++;
	for (unsigned i = digits; i > 0; i--, v /= 10)
		text[at + i - 1] = (char)('0' + v % 10);
	at += digits;
	text[at++] = '\n';
	print_n(text, at);
}

void guest_main(struct start_info *si)
{
	char *word = (char *)si->cmd_line;
	uint64_t end_s = 0, begin, before;
	unsigned n = 0;

	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)shared_page, si->shared_info | 7,
		  UVMF_INVLPG, 0);
	while (word[n] != ' ' && word[n])
		n++;
	for (unsigned i = n + 1; word[n] && word[i] >= '0' && word[i] <= '9'; i++)
		end_s = end_s * 10 + (uint64_t)(word[i] - '0');
	while (now() < NS_PER_S)
		;
	begin = now();
	before = had();
	while (now() < end_s * NS_PER_S)
		;
	before = (had() - before) * 1000 / ((now() - begin) / 1000);
	/* After the others have ended too: printing must not cost them anything. */
	while (now() < (end_s + 1) * NS_PER_S)
		;
	say(word, n, before);
	end(SHUTDOWN_poweroff);
}
