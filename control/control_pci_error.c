/* control_pci_error.c: a function of a guest has an error, or was pulled out: its guest is told and heals it, or loses it.
 *
 * The steps are those by which Linux heals devices, and its xen-pciback asks guests for them; each word of ours is answered, in the time that
 * pciback.h gives, or never:
 *
 *	found ---can go on, recovered--------------------------> go on ---> healed
 *	  |  '--needs a reset, or fatal--> function reset,        ^
 *	  |                                slot is reset --recovered
 *	  '-- no driver, no answer, no way to reset it ---> quiet, taken away by force
 *
 * Not asked is the step between (aer_mmio: do its registers work): Linux's pcifront, of 6.1 and all before, calls a handler for it that most
 * drivers do not have, NVMe's among them, and falls. A driver that has looked and wants a reset makes one of its own.
 * An error of a function that is found to have one is part of the same one; later ones come after it. Callers: the kernel (amphi/control_pci.h), in the worker. Calls
 * pciback.h, pci_reset.h, control_pci_hot.c. Not here: which function it was (amphi/pci_port.h).
 */
#include <amphi/control_pci.h>
#include <amphi/host.h>
#include <amphi/pciback.h>
#include <xen/io/pciif.h>

#include "control_pci.h"
#include "pci_reset.h"

#define AT_ONCE  8u /* functions that are being healed; others are lost */
#define AGAIN_NS 100000000ull
#define AGAIN    300u /* half a minute for others' words, and for an operation that is on its way */

/* In err of aer_detected, as Linux numbers a channel's states. */
enum { LINK_WORKS = 1, LINK_FROZEN = 2, LINK_GONE = 3 };

enum step { STEP_FREE, STEP_FOUND, STEP_RESET, STEP_GO_ON, STEP_HEALED, STEP_LOST, STEPS };

/* What an answer leads to. Answers as Linux numbers them: 1 none, 2 can recover, 3 needs a reset, 4 disconnect, 5 recovered. To the last word Linux's
 * pcifront answers none, whatever came of it. */
#define ANSWERS 6u
static const uint8_t after[STEPS][ANSWERS] = {
    [STEP_FOUND] = {STEP_LOST, STEP_LOST, STEP_GO_ON, STEP_RESET, STEP_LOST, STEP_GO_ON},
    [STEP_RESET] = {STEP_LOST, STEP_LOST, STEP_LOST, STEP_LOST, STEP_LOST, STEP_GO_ON},
    [STEP_GO_ON] = {STEP_HEALED, STEP_HEALED, STEP_HEALED, STEP_HEALED, STEP_HEALED, STEP_HEALED},
};
static const uint32_t words[STEPS] = {
    [STEP_FOUND] = XEN_PCI_OP_aer_detected,
    [STEP_RESET] = XEN_PCI_OP_aer_slotreset,
    [STEP_GO_ON] = XEN_PCI_OP_aer_resume,
};

static struct trouble {
	enum step step;
	domid_t guest;
	uint16_t bdf;
	bool fatal, gone;
	bool anew, anew_fatal; /* another error, when the guest had answered to the first already */
	unsigned tries;
	struct host_work work; /* this step once more */
} troubles[AT_ONCE];

static void go(struct trouble *t, enum step step);

/* NULL: it has ended, or has the function no more. */
static const struct domain_record *owner(const struct trouble *t)
{
	for (const struct domain_record *r = control_first(); r; r = r->next)
		if (r->pub.domid == t->guest && config_find_pci(r->pub.config, 0, t->bdf))
			return r;
	return NULL;
}

static void tell(const struct trouble *t, enum host_log_level level, const char *what)
{
	const struct domain_record *r = owner(t);
	char name[PCI_NAME_MAX];

	if (!r)
		return;
	host_log(level, "%s: pci %s: %s", r->pub.config->name, control_pci_name(t->bdf, name),
		 what);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void later(struct trouble *t)
{
	host_work_after(&t->work, AGAIN_NS);
}

static void answered(void *ctx, int result)
{
	struct trouble *t = ctx;
	enum step next = result > 0 && result < (int)ANSWERS ? after[t->step][result] : STEP_LOST;

	if (t->step == STEP_FREE)
		return;
	if (result == -XEN_ETIMEDOUT)
		tell(t, HOST_LOG_WARN, "the guest does not answer to its error");
	if (t->gone)
		next = STEP_LOST;
	else if (t->fatal && t->step == STEP_FOUND && next != STEP_LOST)
		next = STEP_RESET;
	go(t, next);
}

/* A guest that has not begun with its functions, or has ended with them, has nothing that could be healed. */
static void say(struct trouble *t)
{
	int32_t state = t->gone ? LINK_GONE : t->fatal ? LINK_FROZEN : LINK_WORKS;
	int err = pciback_aer(t->bdf, words[t->step], state, answered, t);

	if (err == -XEN_EBUSY && t->tries++ < AGAIN)
		later(t);
	else if (err == -XEN_ENOTCONN && !t->gone)
		go(t, STEP_HEALED);
	else if (err)
		go(t, STEP_LOST);
}

static void reset(struct trouble *t)
{
	int err = pci_reset(t->bdf, control_pci_bridge(t->bdf));

	if (!err)
		err = pciback_restore(t->bdf);
	if (err) {
		tell(t, HOST_LOG_ERROR,
		     err == -XEN_EOPNOTSUPP ? "has an error, and there is no way to reset it"
					    : "does not come back from a reset");
		go(t, STEP_LOST);
		return;
	}
	tell(t, HOST_LOG_INFO, "reset after an error");
	say(t);
}

static void healed(struct trouble *t)
{
	tell(t, HOST_LOG_INFO, "goes on after an error");
	t->step = STEP_FREE;
	if (!t->anew)
		return;
	t->anew = false;
	t->fatal = t->anew_fatal;
	go(t, STEP_FOUND);
}

static void taken(void *ctx, int err, const char *name)
{
	(void)ctx, (void)err, (void)name;
}

/* By force: nobody waits for a guest that does not follow. What is under way with another function comes first. */
static void lost(struct trouble *t)
{
	const struct domain_record *r = owner(t);
	char name[PCI_NAME_MAX];
	int err = r ? control_pci_detach(r->pub.config->name, control_pci_name(t->bdf, name), true,
					 taken, NULL)
		    : 0;

	if (err == -XEN_EBUSY && t->tries++ < AGAIN) {
		later(t);
		return;
	}
	t->step = STEP_FREE;
}

static void lose(struct trouble *t)
{
	tell(t, HOST_LOG_ERROR,
	     t->gone ? "is not there any more: taken from the guest"
		     : "is taken from the guest, which does not heal it");
	pci_quiet(t->bdf);
	pciback_tell_failed(t->bdf);
	lost(t);
}

static void go(struct trouble *t, enum step step)
{
	static void (*const does[STEPS])(struct trouble * t) = {
	    [STEP_FOUND] = say,     [STEP_RESET] = reset, [STEP_GO_ON] = say,
	    [STEP_HEALED] = healed, [STEP_LOST] = lose,
	};

	t->step = step;
	t->tries = 0;
	does[step](t);
}

/* Without what was done when the step began. */
static void once_more(void *ctx)
{
	struct trouble *t = ctx;

	if (t->step == STEP_LOST)
		lost(t);
	else if (t->step != STEP_FREE)
		say(t);
}

/* ---- what the kernel says -------------------------------------------------------------------- */

static struct trouble *find(uint16_t bdf, domid_t guest)
{
	struct trouble *free = NULL;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		struct trouble *t = &troubles[i];

		if (t->step != STEP_FREE && t->bdf == bdf && t->guest == guest)
			return t;
		if (t->step == STEP_FREE)
			free = t;
	}
	if (free)
		*free = (struct trouble){
		    .guest = guest, .bdf = bdf, .work = {.fn = once_more, .ctx = free}};
	return free;
}

static void begin(uint16_t bdf, domid_t guest, bool fatal, bool gone)
{
	struct trouble *t = find(bdf, guest);
	bool fresh = t && t->step == STEP_FREE;

	if (!t) {
		pci_quiet(bdf);
		(void)pciback_take(bdf);
		return;
	}
	t->gone |= gone;
	if (fresh || t->step == STEP_FOUND) {
		t->fatal |= fatal;
	} else {
		t->anew_fatal = fatal || (t->anew && t->anew_fatal);
		t->anew = true;
	}
	if (fresh && owner(t))
		go(t, STEP_FOUND);
}

void control_pci_calm(uint16_t bdf)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		if (troubles[i].step == STEP_FREE || troubles[i].bdf != bdf)
			continue;
		host_work_cancel(&troubles[i].work);
		troubles[i].step = STEP_FREE;
	}
}

void control_pci_error(uint16_t bdf, domid_t guest, bool fatal)
{
	begin(bdf, guest, fatal, false);
}

void control_pci_gone(uint16_t bdf, domid_t guest)
{
	begin(bdf, guest, true, true);
}
