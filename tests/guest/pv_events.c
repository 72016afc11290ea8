/* pv_events.c: a PV kernel that takes its events by FIFO, as Linux does, and looks at each bit of it.
 *
 * Shows: the switch from two levels and back, order, priorities, masks, ports that are closed on a
 * queue, and every error of the three calls; and measures a send. Run as the first domain, on amphi-hv
 * or on Xen: both must print the same, but for the numbers. Events stay masked at the vCPU: what would
 * make an upcall is seen in evtchn_upcall_pending. Not asked: how many pages the array may have, which
 * is 128 on Xen and 4 on amphi-hv, where a domain has 4095 ports at most.
 */
#include "pv.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define LINK    (uint32_t) EVTCHN_FIFO_LINK_MASK
#define DEFAULT EVTCHN_FIFO_PRIORITY_DEFAULT
#define ROUNDS  1000u

static struct start_info *info;
static struct shared_info *shared;
static uint8_t page_for_shared[4096] __attribute__((aligned(4096)));
static uint8_t control_page[4096] __attribute__((aligned(4096)));
static volatile uint32_t words[1024] __attribute__((aligned(4096)));
static volatile struct evtchn_fifo_control_block *const control =
    (volatile void *)(control_page + 128);

static uint64_t frame(const volatile void *p)
{
	return ((const uint64_t *)info->mfn_list)[(uint64_t)p >> 12];
}

static long evtchn(unsigned command, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, command, (uint64_t)arg, 0, 0);
}

static long init_control(uint64_t mfn, uint32_t offset, uint32_t vcpu)
{
	struct evtchn_init_control a = {.control_gfn = mfn, .offset = offset, .vcpu = vcpu};
	long rc = evtchn(EVTCHNOP_init_control, &a);

	return rc == 0 && a.link_bits != 17 ? 1 : rc;
}

static long expand(uint64_t mfn)
{
	struct evtchn_expand_array a = {.array_gfn = mfn};

	return evtchn(EVTCHNOP_expand_array, &a);
}

static long priority(uint32_t port, uint32_t value)
{
	struct evtchn_set_priority a = {.port = port, .priority = value};

	return evtchn(EVTCHNOP_set_priority, &a);
}

static long send(uint32_t port)
{
	struct evtchn_send a = {.port = port};

	return evtchn(EVTCHNOP_send, &a);
}

static long unmask(uint32_t port)
{
	struct evtchn_unmask a = {.port = port};

	return evtchn(EVTCHNOP_unmask, &a);
}

static uint32_t new_port(void)
{
	struct evtchn_bind_ipi a = {.vcpu = 0};

	return evtchn(EVTCHNOP_bind_ipi, &a) ? 0 : a.port;
}

static long close_port(uint32_t port)
{
	struct evtchn_close a = {.port = port};

	return evtchn(EVTCHNOP_close, &a);
}

/* Whether there was an upcall to come; not any more. */
static int upcall(void)
{
	return __atomic_exchange_n(&shared->vcpu_info[0].evtchn_upcall_pending, 0,
				   __ATOMIC_SEQ_CST);
}

/* Takes one event off a queue; 0: none, or one that is masked or gone. */
static uint32_t take(unsigned queue)
{
	uint32_t port = control->head[queue], old;

	if (!(control->ready >> queue & 1))
		return 0;
	old = __atomic_fetch_and(&words[port % 1024], ~(LINKED | LINK), __ATOMIC_SEQ_CST);
	control->head[queue] = old & LINK;
	if (!(old & LINK))
		__atomic_fetch_and(&control->ready, ~(1u << queue), __ATOMIC_SEQ_CST);
	if (old & MASKED)
		return 0;
	old = __atomic_fetch_and(&words[port % 1024], ~PENDING, __ATOMIC_SEQ_CST);
	return old & PENDING ? port : 0;
}

static void check_before(uint32_t port)
{
	uint64_t table = frame((const void *)info->pt_base);

	check("set_priority with two levels", priority(port, 1) == -XEN_ENOSYS);
	check("expand_array with two levels", expand(frame(words)) == -XEN_EOPNOTSUPP);
	check("a control block for no vCPU",
	      init_control(frame(control_page), 0, 99) == -XEN_ENOENT);
	check("at an odd place", init_control(frame(control_page), 4, 0) == -XEN_EINVAL);
	check("across a page's end",
	      init_control(frame(control_page), 4096 - 64, 0) == -XEN_EINVAL);
	check("in a page table", init_control(table, 0, 0) == -XEN_EINVAL);
	check("in nobody's memory", init_control(1ull << 36, 0, 0) == -XEN_EINVAL);
	check("two levels it still is",
	      send(port) == 0 && upcall() == 1 && shared->evtchn_pending[0] == 1ull << port);
}

static void check_switch(uint32_t port)
{
	struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE};

	check("init_control", init_control(frame(control_page), 128, 0) == 0);
	check("a second time", init_control(frame(control_page), 128, 0) == -XEN_EINVAL);
	check("no event without its word", control->ready == 0 && upcall() == 0);
	check("an array in a page table",
	      expand(frame((const void *)info->pt_base)) == -XEN_EINVAL);
	check("expand_array", expand(frame(words)) == 0);
	check("what was pending comes now", upcall() == 1 && take(DEFAULT) == port);
	check("once", take(DEFAULT) == 0 && words[port] == 0);
	/* Unmapped, nothing but the hypervisor's use of it is left. */
	pin.arg1.mfn = frame(words);
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)words, 0, UVMF_INVLPG, 0);
	check("the array cannot become a page table",
	      hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&pin, 1, 0, DOMID_SELF) < 0);
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)words, frame(words) << 12 | 0x67,
		  UVMF_INVLPG, 0);
}

static void check_queues(uint32_t a, uint32_t b, uint32_t c)
{
	check("sends", send(b) == 0 && send(a) == 0 && send(c) == 0 && send(b) == 0);
	check("one upcall", upcall() == 1 && control->ready == 1u << DEFAULT);
	check("linked in a row", words[b] == (PENDING | LINKED | a) &&
				     words[a] == (PENDING | LINKED | c) &&
				     words[c] == (PENDING | LINKED));
	check("in order", take(DEFAULT) == b && take(DEFAULT) == a && take(DEFAULT) == c);
	check("and no more", take(DEFAULT) == 0);
	check("priorities", priority(a, 0) == 0 && priority(b, 15) == 0);
	check("that there are not",
	      priority(a, 16) == -XEN_EINVAL && priority(0x7fffffff, 1) == -XEN_EINVAL);
	send(b);
	send(a);
	check("two queues", control->ready == (1u << 0 | 1u << 15));
	check("each its own", take(0) == a && take(15) == b);
	upcall();
}

static void check_masks(uint32_t port)
{
	words[port] = MASKED;
	check("masked: pending and no more",
	      send(port) == 0 && words[port] == (MASKED | PENDING) && upcall() == 0);
	check("unmask", unmask(port) == 0 && words[port] == (LINKED | PENDING) && upcall() == 1);
	words[port] |= MASKED;
	check("masked on the queue", take(DEFAULT) == 0 && words[port] == (MASKED | PENDING));
	check("unmask puts it back", unmask(port) == 0 && take(DEFAULT) == port);
	upcall();
}

static void check_reuse(uint32_t port)
{
	uint32_t other;

	send(port);
	check("closed on the queue", close_port(port) == 0 && words[port] == LINKED);
	check("its priority", priority(port, 1) == -XEN_EACCES);
	other = new_port();
	check("not given out again", other != 0 && other != port);
	check("until it is off", take(DEFAULT) == 0 && words[port] == 0);
	close_port(other);
	check("then it is", new_port() == port);
	upcall();
}

static void check_scribble(uint32_t a, uint32_t b)
{
	send(a);
	words[a] |= LINK;
	control->head[DEFAULT] = 0xffffffff;
	check("a bad link is written over", send(b) == 0 && words[a] == (PENDING | LINKED | b));
	words[a] = words[b] = 0;
	control->head[DEFAULT] = control->ready = 0;
	upcall();
	check("and forgotten", send(a) == 0 && take(DEFAULT) == a && upcall() == 1);
}

static void measure(const char *again, const char *anew, uint32_t port)
{
	uint64_t from = tsc();

	for (unsigned i = 0; i < ROUNDS; i++)
		send(port);
	print_number(again, (tsc() - from) / ROUNDS);
	from = tsc();
	for (unsigned i = 0; i < ROUNDS; i++) {
		send(port);
		shared->evtchn_pending[0] = shared->vcpu_info[0].evtchn_pending_sel = 0;
		take(DEFAULT);
		upcall();
	}
	print_number(anew, (tsc() - from) / ROUNDS);
}

static void check_reset(void)
{
	struct evtchn_reset r = {.dom = DOMID_SELF};
	uint32_t port;

	check("reset", evtchn(EVTCHNOP_reset, &r) == 0);
	port = new_port();
	shared->evtchn_pending[0] = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	check("two levels again", send(port) == 0 && shared->evtchn_pending[0] == 1ull << port &&
				      upcall() == 1 && priority(port, 1) == -XEN_ENOSYS);
	check("and once more FIFO", init_control(frame(control_page), 256, 0) == 0);
}

void guest_main(struct start_info *si)
{
	uint32_t a, b, c;

	info = si;
	print("pv_events: a guest begins\n");
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)page_for_shared,
		  info->shared_info | 0x67, UVMF_INVLPG, 0);
	shared = (struct shared_info *)page_for_shared;
	a = new_port();
	b = new_port();
	c = new_port();
	check("three ports", a && b && c);
	measure("two levels: send again, ns: ", "two levels: send and take, ns: ", a);
	shared->evtchn_pending[0] = shared->vcpu_info[0].evtchn_pending_sel = 0;
	check_before(a);
	check_switch(a);
	check_queues(a, b, c);
	check_masks(c);
	check_reuse(c);
	priority(a, DEFAULT);
	priority(b, DEFAULT);
	check_scribble(a, b);
	measure("FIFO: send again, ns: ", "FIFO: send and take, ns: ", a);
	check_reset();
	print("pv_events: done\n");
	end(SHUTDOWN_reboot); /* where Xen would stay after a power-off */
}
