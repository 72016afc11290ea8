/* pv_iommu.c: the first domain gives a device to others, and has it write where it may and where it may not.
 *
 * Shows on a real unit that what a device reaches is what its owner has: QEMU's `edu` (1234:11e8) copies a page to any machine address it
 * is told. Asked: the first domain's memory while it is passed; nothing while it is nobody's; of a domain made with XEN_DOMCTL_CDF_iommu its
 * writable pages, and not those that are tables, were given up, or are another's; of a domain made without, nothing; and the way
 * back, with all memory. Its command line may be "off": there is no unit, and the device is refused, or "unsafe": iommu=off was said; or "behind": there are two devices behind each of two bridges to
 * conventional PCI, an Express one with bus 2 and one of the old kind with bus 3, and the unit cannot tell one from the other. Runs on
 * amphi-hv only: real Xen has an owner of its own for devices between two others.
 */
#include "pv.h"
#include "pv_edu.h"

#define PAGES  8u
#define ROUNDS 100u

static volatile uint8_t window[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t source[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t mine[FRAME] __attribute__((aligned(4096)));
static struct edu edu;

static void dma(uint64_t mfn, int to_memory)
{
	edu_copy(&edu, mfn << 12, to_memory);
}

/* ---- domains ------------------------------------------------------------------------------ */

static struct domain {
	domid_t id;
	uint64_t mfn[PAGES];
} own, empty;

static long domctl(struct xen_domctl *op, uint32_t cmd, domid_t id)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = id;
	return hypercall(__HYPERVISOR_domctl, (uint64_t)op, 0, 0, 0);
}

static long device(uint32_t cmd, domid_t id)
{
	struct xen_domctl op = {0};

	op.u.assign_device.u.pci.machine_sbdf = edu.bdf;
	return domctl(&op, cmd, id);
}

static long assign(domid_t id)
{
	return device(XEN_DOMCTL_assign_device, id);
}

static long deassign(domid_t id)
{
	return device(XEN_DOMCTL_deassign_device, id);
}

static long create(struct domain *d, uint32_t flags)
{
	struct xen_domctl op = {0};
	struct xen_memory_reservation r = {.nr_extents = PAGES};
	long rc;

	op.u.createdomain.flags = flags;
	op.u.createdomain.max_vcpus = 1;
	op.u.createdomain.max_grant_frames = 4;
	op.u.createdomain.max_evtchn_port = -1;
	rc = domctl(&op, XEN_DOMCTL_createdomain, 0);
	if (rc)
		return rc;
	d->id = op.domain;
	op = (struct xen_domctl){0};
	op.u.max_mem.max_memkb = PAGES * 4;
	rc = domctl(&op, XEN_DOMCTL_max_mem, d->id);
	for (unsigned i = 0; i < PAGES; i++)
		d->mfn[i] = i;
	r.domid = d->id;
	r.extent_start.p = (void *)d->mfn;
	return rc || hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uint64_t)&r, 0,
			       0) != PAGES;
}

static long destroy(struct domain *d)
{
	struct xen_domctl op = {0};

	return domctl(&op, XEN_DOMCTL_destroydomain, d->id);
}

/* Its page where we can write it. */
static long see(const struct domain *d, unsigned i)
{
	return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (uint64_t)window,
			 d->mfn[i] << 12 | 0x67, UVMF_INVLPG, d->id);
}

static void see_nothing(void)
{
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)window, 0, UVMF_INVLPG, 0);
}

static uint64_t free_pages(void)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo,
				.interface_version = XEN_SYSCTL_INTERFACE_VERSION};

	return hypercall(__HYPERVISOR_sysctl, (uint64_t)&op, 0, 0, 0) ? 0
								      : op.u.physinfo.free_pages;
}

/* ---- what is asked ------------------------------------------------------------------------ */

/* Whether the device's page gets to a page of ours. */
static int reaches_mine(void)
{
	edu_fill(mine, 1);
	dma(edu_frame(mine), 1);
	return edu_all(mine, PATTERN) ? 1 : edu_all(mine, 1) ? 0 : -1;
}

/* To a page of another's, which is mapped for us meanwhile, or just before and after. */
static int reaches(const struct domain *d, unsigned i)
{
	int reached;

	if (see(d, i))
		return -1;
	edu_fill(window, 2);
	dma(d->mfn[i], 1);
	reached = edu_all(window, PATTERN) ? 1 : edu_all(window, 2) ? 0 : -1;
	see_nothing();
	return reached;
}

static void first_domain(void)
{
	edu_fill(source, PATTERN);
	dma(edu_frame(source), 0);
	check("passed: the first domain's page is reached", reaches_mine() == 1);
	check("it may be given away", device(XEN_DOMCTL_test_assign_device, own.id) == 0);
	check("to nobody", assign(DOMID_IO) == 0);
	check("nobody's: nothing is reached", reaches_mine() == 0);
}

static long l1_of(const struct domain *d, unsigned i, unsigned cmd)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = d->mfn[i]};

	return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, d->id);
}

/* Page 0 is seen by us, page 1 never was, page 2 is a table, page 3 given up. */
static void its_own_memory(void)
{
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = own.id};

	check("its page is seen", see(&own, 0) == 0);
	see_nothing();
	check("to a domain", assign(own.id) == 0);
	check("not to another one too", assign(empty.id) == -XEN_EBUSY);
	check("its page is reached", reaches(&own, 0) == 1);
	check("a page that becomes its later on, too", reaches(&own, 1) == 1);
	check("the first domain's is not", reaches_mine() == 0);
	check("another's is not", reaches(&empty, 0) == 0);
	check("a page to be a table", see(&own, 2) == 0);
	edu_fill(window, 0);
	see_nothing();
	check("becomes one", l1_of(&own, 2, MMUEXT_PIN_L1_TABLE) == 0);
	dma(own.mfn[2], 1);
	check("and none any more", l1_of(&own, 2, MMUEXT_UNPIN_TABLE) == 0);
	check("and was not reached", see(&own, 2) == 0 && edu_all(window, 0));
	see_nothing();
	check("a page is given up", see(&own, 3) == 0);
	edu_fill(window, 3);
	see_nothing();
	r.extent_start.p = (void *)&own.mfn[3];
	check("by its owner", hypercall(__HYPERVISOR_memory_op, XENMEM_decrease_reservation,
					(uint64_t)&r, 0, 0) == 1);
	dma(own.mfn[3], 1);
	print("whoever has it now is the same\n");
}

static void empty_space(void)
{
	check("back", deassign(own.id) == 0);
	check("once", deassign(own.id) == -XEN_ENODEV);
	check("nobody's again", reaches(&own, 0) == 0);
	check("to a domain with an empty space", assign(empty.id) == 0);
	check("which reaches not even its own", reaches(&empty, 0) == 0);
	check("the domain ends", destroy(&empty) == 0);
	check("the device reaches nothing", reaches_mine() == 0);
}

static void again_and_again(void)
{
	uint64_t before;
	int ok = 1;

	check("once more", assign(own.id) == 0 && deassign(own.id) == 0);
	before = free_pages();
	for (unsigned i = 0; i < ROUNDS; i++)
		ok &= assign(own.id) == 0 && deassign(own.id) == 0;
	check("a hundred times there and back", ok);
	check("without a page lost", before && free_pages() == before);
	check("taken back", deassign(DOMID_IO) == 0 && reaches_mine() == 1);
	check("what is not there", (edu.bdf = 0xff, assign(own.id)) == -XEN_ENODEV);
	check("the host's bridge", (edu.bdf = 0, assign(own.id)) == -XEN_EINVAL);
	check("the domain ends", destroy(&own) == 0);
}

/* ---- two that are one to the unit ----------------------------------------------------------- */

static struct edu pair[2];

static long with(unsigned i, uint32_t cmd, domid_t id)
{
	edu = pair[i];
	return device(cmd, id);
}

static long neighbour_of(unsigned i, domid_t id, uint32_t *out)
{
	struct xen_domctl op = {0};
	long rc;

	op.u.get_device_group.machine_sbdf = pair[i].bdf;
	op.u.get_device_group.max_sdevs = 1;
	op.u.get_device_group.sdev_array.p = out;
	rc = domctl(&op, XEN_DOMCTL_get_device_group, id);
	return rc ? rc : op.u.get_device_group.num_sdevs;
}

static int pair_reaches_mine(unsigned i)
{
	edu = pair[i];
	return reaches_mine();
}

static int pair_reaches(unsigned i, const struct domain *d)
{
	edu = pair[i];
	return reaches(d, 0);
}

static void behind(uint32_t bus)
{
	uint32_t other = 0;

	check("two behind a bridge",
	      edu_find(&pair[0], bus << 8) && edu_find(&pair[1], pair[0].bdf + 1));
	edu = pair[0];
	edu_fill(source, PATTERN);
	for (unsigned i = 0; i < 2; i++) {
		edu_copy(&pair[i], edu_frame(source) << 12, 0);
		check("the first domain's works there", pair_reaches_mine(i) == 1);
	}
	check("the other is named", neighbour_of(0, 0, &other) == 1 && other == pair[1].bdf << 8);
	check("one alone is not given away",
	      with(0, XEN_DOMCTL_assign_device, own.id) == -XEN_EXDEV);
	check("the other to nobody", with(1, XEN_DOMCTL_assign_device, DOMID_IO) == 0);
	check("then it is", with(0, XEN_DOMCTL_assign_device, own.id) == 0);
	check("it reaches its owner's page", pair_reaches(0, &own) == 1);
	check("and not ours", pair_reaches_mine(0) == 0);
	check("nor does the other", pair_reaches_mine(1) == 0);
	check("which nobody else gets",
	      with(1, XEN_DOMCTL_assign_device, empty.id) == -XEN_EXDEV &&
		  with(1, XEN_DOMCTL_deassign_device, DOMID_IO) == -XEN_EBUSY);
	check("but the same owner", with(1, XEN_DOMCTL_assign_device, own.id) == 0 &&
					neighbour_of(0, own.id, &other) == 1 &&
					neighbour_of(0, 0, &other) == 0);
	check("back", with(0, XEN_DOMCTL_deassign_device, own.id) == 0);
	check("the second works on", pair_reaches(1, &own) == 1);
	check("back, too", with(1, XEN_DOMCTL_deassign_device, own.id) == 0);
	check("nothing is reached", pair_reaches(0, &own) == 0 && pair_reaches(1, &own) == 0);
	for (unsigned i = 0; i < 2; i++)
		check("ours again", with(i, XEN_DOMCTL_deassign_device, DOMID_IO) == 0);
	check("and all is reached", pair_reaches_mine(0) == 1 && pair_reaches_mine(1) == 1);
}

static void behind_bridges(void)
{
	check("a domain with CDF_iommu", create(&own, XEN_DOMCTL_CDF_iommu) == 0);
	check("a domain without", create(&empty, 0) == 0);
	check("its page is seen", see(&own, 0) == 0);
	see_nothing();
	behind(2);
	behind(3);
	check("the domains end", destroy(&own) == 0 && destroy(&empty) == 0);
}

/* No unit: told by the command line whether "iommu=off" was said. */
static void without_unit(int unsafe)
{
	check("a domain whose memory devices see",
	      create(&own, XEN_DOMCTL_CDF_iommu) == (unsafe ? 0 : -XEN_EINVAL));
	check("a domain", create(&empty, 0) == 0);
	check("refused, or not", assign(empty.id) == (unsafe ? 0 : -XEN_ENODEV));
	check("the domain ends", destroy(&empty) == 0);
	if (unsafe)
		check("it too", destroy(&own) == 0);
}

void guest_main(struct start_info *si)
{
	check("the device", edu_begin(si) && (si->cmd_line[0] == 'b' || edu_find(&edu, 0)));
	if (si->cmd_line[0] == 'b') {
		behind_bridges();
	} else if (si->cmd_line[0] == 'o' || si->cmd_line[0] == 'u') {
		without_unit(si->cmd_line[0] == 'u');
	} else {
		check("a domain with CDF_iommu", create(&own, XEN_DOMCTL_CDF_iommu) == 0);
		check("a domain without", create(&empty, 0) == 0);
		first_domain();
		its_own_memory();
		empty_space();
		again_and_again();
	}
	print("pv_iommu: done\n");
	end(SHUTDOWN_poweroff);
}
