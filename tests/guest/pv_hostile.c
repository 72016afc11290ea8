/* pv_hostile.c: a PV kernel that makes random hypercalls until it is ended or has had enough.
 *
 * Shows, on the real binary, that nonsense gives an error or ends the caller and nothing else. The
 * command line's number is the seed. Values are chosen near what matters: own frames, page tables,
 * the hypervisor's addresses, buffers filled with such values; now and then a FIFO of events on pages
 * that it scribbles on, and grants to itself of either version. Left out is only what would make it
 * sleep for ever (block, poll, vCPU down) or end it at once (shutdown, iret). An event that comes to a
 * callback it set at random may have it run zeros in a circle: a watchdog ends that.
 */
#include "pv.h"

#define CALLS 20000u

static uint64_t state;
static struct start_info *info;
static uint64_t buffers[8][512] __attribute__((aligned(4096)));

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t own_frame(void)
{
	return ((const uint64_t *)info->mfn_list)[next() % info->nr_pages];
}

static uint64_t table_frame(void)
{
	uint64_t pfn = info->pt_base / 4096 + next() % info->nr_pt_frames;

	return ((const uint64_t *)info->mfn_list)[pfn];
}

static uint64_t value(void)
{
	uint64_t r = next();

	switch (r >> 8 & 15) {
	case 0:
	case 1:
		return r >> 16 & 15;
	case 2:
		return own_frame();
	case 3:
		return own_frame() << 12 | (r >> 16 & 0xfff);
	case 4:
		return table_frame();
	case 5:
		return table_frame() << 12 | (r >> 16 & 0xff8);
	case 6:
		return (uint64_t)buffers[r >> 16 & 7] + (r >> 20 & 0xff8);
	case 7:
		return (uint64_t)buffers[r >> 16 & 7];
	case 8:
		return HYPERVISOR_VIRT_START + (r >> 16 << 12 & 0x7ffffffffff);
	case 9:
		return info->shared_info | (r >> 16 & 0xfff);
	case 10:
		return DOMID_SELF - (r >> 16 & 3);
	case 11:
		return 1ull << (r >> 16 & 63);
	case 12:
		return ~(r >> 16 & 0xff);
	case 13:
		return (r >> 16 & 0x3ff) << 12 | 0x67;
	case 14:
		return r >> 40;
	default:
		return r;
	}
}

static void fill(void)
{
	uint64_t *b = buffers[next() & 7];

	for (unsigned i = 0; i < 16; i++)
		b[i] = value();
}

/* The few calls that are left out. */
#define IMAGE       0x100000ull
#define IMAGE_BYTES 0x20000ull

static int forbidden(uint64_t nr, uint64_t command)
{
	if (nr == __HYPERVISOR_iret)
		return 1;
	if (nr == __HYPERVISOR_sched_op)
		return (command & 0xffffffff) != SCHEDOP_yield;
	if (nr == __HYPERVISOR_vcpu_op)
		return (command & 0xffffffff) == VCPUOP_down;
	/* It would soon have unmapped itself. */
	if (nr == __HYPERVISOR_update_va_mapping && command - IMAGE < IMAGE_BYTES)
		return next() & 63;
	/* A batch could hold any of them. */
	return nr == __HYPERVISOR_multicall;
}

/* Events by FIFO, half of it in order: words of ports and control blocks are what the hypervisor
 * writes to while this guest does. */
static void fifo(void)
{
	static const uint8_t commands[] = {
	    EVTCHNOP_init_control, EVTCHNOP_expand_array, EVTCHNOP_set_priority, EVTCHNOP_bind_ipi,
	    EVTCHNOP_close,        EVTCHNOP_unmask,       EVTCHNOP_send,         EVTCHNOP_send};
	uint64_t r = next(), page = (uint64_t)buffers[r & 3] >> 12;
	uint32_t *words = (uint32_t *)buffers[r & 3];
	uint64_t arg[3] = {(r >> 12 & 15) << 32 | (r >> 8 & 15),
			   (r >> 28 & 1) << 32 | (r >> 16 & 0xff8)};
	unsigned command = commands[r >> 32 & 7];

	if (command == EVTCHNOP_init_control || command == EVTCHNOP_expand_array)
		*(uint64_t *)arg =
		    r >> 40 & 15 ? ((const uint64_t *)info->mfn_list)[page] : value();
	hypercall(__HYPERVISOR_event_channel_op, command, (uint64_t)arg, 0, 0);
	for (unsigned i = 0; i < 8; i++)
		words[next() & 31] = (uint32_t)next();
}

static domid_t own_id;
static uint8_t window[4096] __attribute__((aligned(4096)));

/* Grants for whoever it may be, of its frames and others, and copies, maps and changes of version. */
static void grants(void)
{
	uint32_t *entry = (uint32_t *)buffers[7] + (next() & 63);
	uint64_t r = next(), ref = r & 15;
	uint64_t arg[5] = {ref, (r >> 8 & 0xfff) << 16 | DOMID_SELF, own_frame(),
			   (r >> 20 & 0xfff) << 16 | DOMID_SELF, GNTCOPY_source_gref << 16 | 99};
	domid_t dom = r & 16 ? own_id : (domid_t)(r >> 44 & 31);
	struct gnttab_map_grant_ref map = {
	    .host_addr = (uint64_t)window, .flags = r >> 40 & 7, .ref = (uint32_t)ref, .dom = dom};
	struct gnttab_set_version version = {.version = r >> 50 & 3};

	entry[0] = (uint32_t)(dom << 16 | (r >> 32 & 0x107));
	entry[1] = (uint32_t)(r & 1 ? own_frame() : next());
	entry[2] = (uint32_t)own_frame();
	hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_copy, (uint64_t)arg, 1, 0);
	hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (uint64_t)&map, 1, 0);
	if ((r >> 60) == 0)
		hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, (uint64_t)&version, 1,
			  0);
}

static void map_grant_table(void)
{
	struct evtchn_alloc_unbound port = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct evtchn_status status = {.dom = DOMID_SELF};
	uint64_t frame = 0;
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

	/* What a port says that is for oneself. */
	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uint64_t)&port, 0, 0);
	status.port = port.port;
	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_status, (uint64_t)&status, 0, 0);
	own_id = status.u.unbound.dom;
	setup.frame_list.p = &frame;
	hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uint64_t)&setup, 1, 0);
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)buffers[7], frame << 12 | 0x67,
		  UVMF_INVLPG, 0);
}

void guest_main(struct start_info *si)
{
	struct sched_watchdog watchdog = {.timeout = 10};
	const char *p = (const char *)si->cmd_line;

	info = si;
	hypercall(__HYPERVISOR_sched_op, SCHEDOP_watchdog, (uint64_t)&watchdog, 0, 0);
	map_grant_table();
	state = 88172645463325252ull;
	for (; *p; p++)
		state = state * 31 + (uint64_t)*p;
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t nr = next() % 50, a = value(), b = value();

		fill();
		if ((nr & 7) == 0)
			fifo();
		if ((nr & 7) == 1)
			grants();
		if (!forbidden(nr, a))
			hypercall(nr, a, b, value(), value());
	}
	end(SHUTDOWN_poweroff);
}
