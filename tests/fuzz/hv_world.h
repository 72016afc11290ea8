/* hv_world.h: what the fuzzers of the hypervisor's calls share: three domains and a recount.
 *
 * Used by hv_event_fuzz.c, hv_grant_fuzz.c, hv_domctl_fuzz.c and hv_calls_fuzz.c; stands on the
 * fake machine of tests/host/hv_fake.h. The input is read to its end and then gives zeros, so every
 * input is a whole program. world_check ends the program when an invariant does not hold.
 */
#ifndef HV_WORLD_H
#define HV_WORLD_H

#include "tests/host/hv_fake.h"

#define WORLD_DOMAINS 3u /* made by world_begin; domctl may make more, up to WORLD_IDS */
#define WORLD_IDS     8u
#define WORLD_FRAMES  6u /* each owns so many at first */

struct world_input {
	const uint8_t *at, *end;
};

uint8_t world_u8(struct world_input *in);
uint32_t world_u32(struct world_input *in); /* small numbers and edges more often than others */
uint64_t world_u64(struct world_input *in); /* frames, machine and guest addresses, and numbers */

/* Three domains with frames, an L1 table each in their frame 0; the first is current. */
void world_begin(void);

/* The frame of a domain of the beginning, whether it still owns it or not. */
mfn_t world_frame(unsigned domain, unsigned index);

/* Makes a vCPU of domain `id` current, if it lives and may run; whether one does. */
bool world_run(unsigned id, unsigned vcpu);

/* Makes a hypercall as the current vCPU, to its end through restarts; false when that ended the
 * machine (the first domain shut down). */
bool world_call(uint64_t op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
long world_result(void);

/* Called in each check for each domain, to say with world_pin what else pins grants. NULL: nothing does. */
extern void (*world_more_pins)(struct domain *d);
void world_pin(domid_t owner, uint32_t ref, bool readonly);

/* Both ends of channels agree; counts of ports, pins and handles are what a recount says. */
void world_check(void);

/* The input's program, up to 2 KiB of it: a byte says the domain, the next one also the vCPU, and step() reads and does the
 * rest as that one, until it says false. Each step is followed by world_check, and by more() if there is one. */
void world_play(const uint8_t *data, size_t size, bool (*step)(struct world_input *in),
		void (*more)(void));

/* Kills all domains; every page must be back. */
void world_end(void);

#endif
