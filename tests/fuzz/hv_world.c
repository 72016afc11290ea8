/* hv_world.c: three domains for the fuzzers, and the recount of what connects them.
 *
 * See hv_world.h. The recount walks what the hypervisor keeps, from both sides, and trusts neither:
 * ports against their peers, virqs and pirqs against ports, active grants against handles.
 */
#include "hv_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mfn_t frames[WORLD_DOMAINS][WORLD_FRAMES];
static uint64_t free_before;
static long result;

#define MUST(cond) ((cond) ? (void)0 : broken(#cond, __LINE__))

static void broken(const char *what, int line)
{
	fprintf(stderr, "invariant broken: %s (line %d)\n", what, line);
	abort();
}

/* ---- input ----------------------------------------------------------------------------- */

uint8_t world_u8(struct world_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

uint32_t world_u32(struct world_input *in)
{
	static const uint32_t edges[] = {0xffffffff, 0x80000000, 0x7fffffff, 4095,
					 4096,       511,        512,        DOMID_SELF};
	uint8_t kind = world_u8(in);

	if (kind < 160)
		return kind % 16;
	if (kind < 200)
		return edges[kind % ARRAY_SIZE(edges)];
	return (uint32_t)world_u8(in) << (kind % 4 * 8) | world_u8(in);
}

uint64_t world_u64(struct world_input *in)
{
	uint8_t kind = world_u8(in), n = world_u8(in);
	uint64_t mfn = world_frame(n % WORLD_DOMAINS, n / WORLD_DOMAINS).v;

	switch (kind % 8) {
	case 0:
		return mfn;
	case 1:
		return (mfn << PAGE_SHIFT) + kind / 8 * 8;
	case 2:
		return FAKE_GUEST_BASE + n * 64ull;
	case 3:
		return FAKE_GUEST_BASE + FAKE_GUEST_SIZE - n;
	case 4:
		return ~0ull - n;
	case 5:
		return (uint64_t)n << (kind / 8 * 2);
	default:
		return n % 16;
	}
}

/* ---- the three domains ----------------------------------------------------------------- */

mfn_t world_frame(unsigned domain, unsigned index)
{
	return frames[domain % WORLD_DOMAINS][index % WORLD_FRAMES];
}

void world_begin(void)
{
	struct domain *d;
	unsigned i, j;

	if (!hv_test_percpu.self)
		fake_start();
	free_before = fake_free_pages();
	fake.preempt_after = -1;
	fake.log[0] = '\0';
	memset(fake_arena, 0, sizeof(fake_arena));
	for (i = 0; i < WORLD_DOMAINS; i++) {
		d = fake_domain(2, 32);
		for (j = 0; j < WORLD_FRAMES; j++)
			frames[i][j] = fake_frame(d);
		MUST(page_get(mfn_to_page(frames[i][0]), d));
		MUST(page_get_type(mfn_to_page(frames[i][0]), PT_L1) == 0);
	}
}

bool world_run(unsigned id, unsigned vcpu)
{
	struct domain *d = domain_find((domid_t)(id % WORLD_IDS));
	struct vcpu *v = d ? d->vcpu[vcpu % d->max_vcpus] : NULL;
	bool may = v && !d->dying && !d->shut_down && v->sched.pause_count == 0 &&
		   !(v->sched.holds & (HOLD_DOWN | HOLD_DEAD));

	if (may)
		fake_run(v);
	if (d)
		domain_put(d);
	return may;
}

bool world_call(uint64_t op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct guest_regs r = {.rax = op, .rdi = a0, .rsi = a1, .rdx = a2, .r10 = a3, .rip = 2};
	jmp_buf ended;
	unsigned turns = 0;

	fake.on_machine_end = &ended;
	if (setjmp(ended))
		return false;
	do {
		r.rip = 2;
		hypercall_from_guest(&r);
		MUST(++turns < 10000);
	} while (r.rip == 0 && !current_domain()->shut_down);
	result = (long)r.rax;
	return true;
}

long world_result(void)
{
	return result;
}

static void end_one(struct domain *d, void *ctx)
{
	struct page_info *l1;

	/* The reference world_begin took stands for a loaded root. */
	if (ctx && d->id < WORLD_DOMAINS) {
		l1 = mfn_to_page(frames[d->id][0]);
		page_put_type(l1);
		page_put(l1);
	}
	while (domain_kill(d) == -XEN_ERESTART)
		;
}

void world_play(const uint8_t *data, size_t size, bool (*step)(struct world_input *in),
		void (*more)(void))
{
	struct world_input in = {data, data + MIN(size, 2048)};
	bool on = true;

	while (on && in.at < in.end) {
		if (!world_run(world_u8(&in), in.at < in.end ? *in.at : 0))
			continue;
		on = step(&in);
		world_check();
		if (more)
			more();
	}
}

void world_end(void)
{
	bool alive[WORLD_IDS];
	unsigned i;

	fake_run(NULL);
	fake.preempt_after = -1;
	fake.pirqs_bound = 0;
	for (i = 0; i < WORLD_IDS; i++) {
		struct domain *d = domain_find((domid_t)i);

		alive[i] = d != NULL;
		if (d)
			domain_put(d);
	}
	domain_for_each(end_one, alive);
	/* Those of the beginning have one more reference, the maker's. */
	for (i = 0; i < WORLD_DOMAINS; i++) {
		struct domain *d = domain_find((domid_t)i);

		MUST(d != NULL);
		domain_put(d);
		domain_put(d);
	}
	MUST(domain_next(0) == NULL);
	MUST(fake_free_pages() == free_before);
}

/* ---- recount --------------------------------------------------------------------------- */

static const struct event_port *port_of(const struct domain *d, uint32_t port)
{
	const struct event_port *chunk = d->events.chunk[port / EVENT_CHUNK];

	return chunk ? &chunk[port % EVENT_CHUNK] : NULL;
}

static void check_port(const struct domain *d, uint32_t port, const struct event_port *p)
{
	const struct event_port *other;

	MUST(port != 0 && p->vcpu < d->max_vcpus && p->last_vcpu < d->max_vcpus);
	MUST(p->priority < EVTCHN_FIFO_MAX_QUEUES && p->last_priority < EVTCHN_FIFO_MAX_QUEUES);
	switch (p->state) {
	case EVTCHNSTAT_interdomain:
		other = port_of(p->u.remote.domain, p->u.remote.port);
		MUST(other && other->state == EVTCHNSTAT_interdomain);
		MUST(other->u.remote.domain == d && other->u.remote.port == port);
		MUST(!p->u.remote.domain->events.closed);
		break;
	case EVTCHNSTAT_pirq:
		MUST(d->events.pirq_port[p->u.what] == port);
		break;
	case EVTCHNSTAT_virq:
		MUST(p->u.what < NR_VIRQS);
		break;
	}
}

static void check_events(struct domain *d)
{
	const struct event_port *p;
	uint32_t port, open = 0, i, j;

	for (port = 0; port < EVENT_PORTS; port++) {
		p = port_of(d, port);
		if (!p)
			port += EVENT_CHUNK - 1;
		if (!p || p->state == EVTCHNSTAT_closed)
			continue;
		open++;
		check_port(d, port, p);
	}
	MUST(open == d->events.n_open);
	MUST(!d->events.closed || (open == 0 && !d->events.fifo));
	for (i = 0; i < d->max_vcpus; i++)
		for (j = 0; j < NR_VIRQS; j++)
			if (d->vcpu[i]->events.virq_port[j])
				MUST(port_of(d, d->vcpu[i]->events.virq_port[j])->state ==
				     EVTCHNSTAT_virq);
}

/* Of the references the fuzzers use; a table has more. */
static uint32_t pins[WORLD_IDS][64][2];
void (*world_more_pins)(struct domain *d);

void world_pin(domid_t owner, uint32_t ref, bool readonly)
{
	if (owner < WORLD_IDS && ref < ARRAY_SIZE(pins[0]))
		pins[owner][ref][readonly ? 0 : 1]++;
}

static void count_handles(struct domain *d)
{
	const struct grant_track *t;
	uint32_t handle, used = 0;

	for (handle = 0; handle < d->grants.n_chunks * GRANT_TRACK_CHUNK; handle++) {
		t = &d->grants.track[handle / GRANT_TRACK_CHUNK][handle % GRANT_TRACK_CHUNK];
		if (!t->maps)
			continue;
		used++;
		MUST(!t->busy && t->ref < t->owner->grants.n_frames * GRANTS_PER_FRAME);
		world_pin(t->owner->id, t->ref, t->readonly);
	}
	MUST(used == d->grants.n_mapped);
}

static void check_pins(struct domain *d)
{
	uint32_t ref, limit = d->grants.n_frames * (d->grants.version == 1 ? 512 : 256);
	const struct grant_active *a;
	uint16_t told;

	for (ref = 0; ref < MIN(limit, ARRAY_SIZE(pins[0])); ref++) {
		a = &d->grants.active[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
		MUST(a->readers == pins[d->id][ref][0]);
		MUST(a->writers == pins[d->id][ref][1]);
		if (!d->grants.shared[0])
			continue;
		told = d->grants.version == 1
			   ? ((struct grant_entry_v1 *)d->grants.shared[0])[ref].flags
			   : d->grants.status[0][ref];
		/* The owner can clear these itself, and only loses by it; here it does not. */
		MUST(!a->writers || (told & GTF_writing));
		MUST(!(a->readers || a->writers) || (told & GTF_reading));
		MUST(d->grants.version == 1 || a->readers || a->writers || told == 0);
	}
}

static void check_one(struct domain *d, void *ctx)
{
	check_events(d);
	count_handles(d);
	if (world_more_pins)
		world_more_pins(d);
}

static void check_two(struct domain *d, void *ctx)
{
	if (d->id < WORLD_IDS)
		check_pins(d);
}

void world_check(void)
{
	memset(pins, 0, sizeof(pins));
	domain_for_each(check_one, NULL);
	domain_for_each(check_two, NULL);
}
