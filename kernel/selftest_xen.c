/* selftest_xen.c: the self-test's checks of event channels and grants, each with ourselves as the peer.
 *
 * Caller: commands_selftest.c. Where there are none (natively, on KVM) both refuse as their headers say, and that
 * is what is checked; the line is the same. Calls the hypercall beneath for the one thing the contract does not
 * tell: our own domain's number.
 */
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>

#include "boot.h"
#include "mm.h"
#include "selftest.h"

static void count(void *ctx)
{
	++*(volatile unsigned *)ctx;
}

static const char *refused_events(void)
{
	port_t port;

	WANT(event_alloc_unbound(DOMID_SELF, count, NULL, &port) == -XEN_ENOSYS);
	WANT(event_bound() == 0);
	return NULL;
}

/* An event to ourselves is delivered within the call, or at the latest when interrupts are on again. */
static const char *send_and_mask(port_t from, volatile unsigned *got)
{
	event_notify(from);
	WANT(*got == 1);
	return NULL;
}

static const char *held_back(port_t from, port_t to, volatile unsigned *got)
{
	event_mask(to);
	event_notify(from);
	event_notify(from);
	WANT(*got == 1);
	event_unmask(to);
	WANT(*got == 2);
	return NULL;
}

/* Two ports of ours, bound to each other. Two notifications of a port that is masked are one. */
static const char *events(void)
{
	volatile unsigned here = 0, there = 0;
	unsigned bound = event_bound();
	port_t a, b;
	const char *wrong;

	if (!boot_on_xen())
		return refused_events();
	WANT(event_alloc_unbound(DOMID_SELF, count, (void *)&here, &a) == 0);
	WANT(event_bind_interdomain(DOMID_SELF, a.v, count, (void *)&there, &b) == 0);
	WANT(event_bound() == bound + 2);
	here = there = 0; /* a port may have been told of nothing while it was bound */
	wrong = send_and_mask(a, &there);
	wrong = wrong ? wrong : held_back(a, b, &there);
	wrong = wrong ? wrong : send_and_mask(b, &here);
	event_close(b);
	event_close(a);
	WANT(event_bound() == bound);
	return wrong;
}

/* ---- grants ----------------------------------------------------------------------------- */

static const char *refused_grants(void)
{
	gref_t ref;

	WANT(grant_offer(0, (mfn_t){0}, true, &ref) == -XEN_ENOSPC);
	WANT(grant_free() == 0);
	return NULL;
}

/* Grants want a number and not DOMID_SELF. A port that waits for ourselves tells it. */
static domid_t own_number(void)
{
	struct evtchn_status status = {.dom = DOMID_SELF};
	int64_t error;
	port_t port;

	if (event_alloc_unbound(DOMID_SELF, NULL, NULL, &port))
		return DOMID_INVALID;
	status.port = port.v;
	error = hypercall_event_channel_op(EVTCHNOP_status, &status);
	event_close(port);
	return error ? DOMID_INVALID : status.u.unbound.dom;
}

static uint64_t frame_of(void *page)
{
	return maddr_to_mfn(virt_to_maddr(page)).v;
}

/* Between a page that we know by its grant and one of our own. Returns the status. */
static int16_t copy(domid_t self, gref_t ref, void *page, bool to_grant)
{
	struct gnttab_copy op = {.len = 8, .status = GNTST_general_error};
	unsigned gref = to_grant ? GNTCOPY_dest_gref : GNTCOPY_source_gref;

	(to_grant ? &op.dest : &op.source)->u.ref = ref.v;
	(to_grant ? &op.dest : &op.source)->domid = self;
	(to_grant ? &op.source : &op.dest)->u.gmfn = frame_of(page);
	(to_grant ? &op.source : &op.dest)->domid = DOMID_SELF;
	op.flags = (uint16_t)gref;
	return grants_copy(&op, 1) ? GNTST_general_error : op.status;
}

static const char *copied(domid_t self, volatile char *page, gref_t ref, bool readonly)
{
	volatile char *other = pages_alloc(1);

	WANT(other);
	page[3] = 'p';
	WANT(copy(self, ref, (void *)other, false) == GNTST_okay);
	WANT(other[3] == 'p');
	other[3] = 'o';
	WANT((copy(self, ref, (void *)other, true) == GNTST_okay) == !readonly);
	WANT(page[3] == (readonly ? 'p' : 'o'));
	pages_free((void *)other, 1);
	return NULL;
}

/* While it is mapped the right cannot be taken back. */
static const char *mapped(volatile char *page, struct grant_mapping *map)
{
	volatile char *window = map->va;

	WANT(grants_map(map, 1) == 0 && map->status == GNTST_okay);
	WANT(window[3] == page[3]);
	page[3]++;
	WANT(window[3] == page[3]);
	WANT(selftest_write_faults(window) == map->readonly);
	WANT(grant_end(map->ref) == -XEN_EBUSY);
	grants_unmap(map, 1);
	WANT(map->status == GNTST_general_error);
	WANT(selftest_write_faults(window));
	return NULL;
}

/* A PVH domain's own page has one number of its physical memory: mapped at a second one, Xen takes it
 * away from the first. So there nobody maps what is his own. */
static const char *loop(volatile char *page, bool readonly)
{
	struct grant_mapping map = {.owner = own_number(), .readonly = readonly};
	const char *wrong;

	map.va = vmap_reserve(1);
	WANT(map.va && map.owner != DOMID_INVALID);
	WANT(!grant_offer(map.owner, (mfn_t){frame_of((void *)page)}, readonly, &map.ref));
	wrong = copied(map.owner, page, map.ref, readonly);
	if (!wrong && boot.platform == BOOT_XEN_PV)
		wrong = mapped(page, &map);
	if (wrong)
		return wrong;
	WANT(grant_end(map.ref) == 0);
	vmap_release(map.va, 1);
	return NULL;
}

static const char *grants(void)
{
	unsigned used = grant_used(), others = grant_mapped();
	char *page;
	const char *wrong;

	if (!boot_on_xen())
		return refused_grants();
	page = pages_alloc(1);
	WANT(page);
	wrong = loop(page, true);
	wrong = wrong ? wrong : loop(page, false);
	if (wrong)
		return wrong;
	pages_free(page, 1);
	WANT(grant_used() == used && grant_mapped() == others);
	return NULL;
}

static const struct selftest tests[] = {
    {"events", events},
    {"grants", grants},
};
const struct selftest_room selftest_xen = {tests, ARRAY_SIZE(tests)};
