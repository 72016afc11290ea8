/* hv_iommu_fault_test.c: what the hypervisor makes of faults: lines, the owner's event, and the end of a device that does nothing else.
 *
 * hypervisor/iommu_fault.c on a unit that tells as many faults as it is given, and a clock that stands still unless told. Why: a guest makes its device
 * fault as fast as the bus goes; that must cost neither the console nor a processor. Expected: eight lines a second and one for the rest;
 * sixteen faults an interrupt, the others a millisecond later; bus mastering off at the 2000th fault of a second, not at one less, of that function (and what
 * sends by its number) only, and again when its owner has asked for it anew.
 *
 * links: hypervisor/iommu_fault.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/iommu.h>

#include "hypervisor/apic.h"
#include "hypervisor/boot.h"
#include "hypervisor/domain.h"
#include "hypervisor/iommu_device.h"
#include "hypervisor/irq.h"
#include "hypervisor/pci_config.h"
#include "hypervisor/time.h"

#define BDF     0x0020u
#define OTHER   0x0028u
#define UNKNOWN 0x0f00u
#define SECOND  1000000000ull
#define COMMAND 0x0007u

static struct domain owner = {.id = 7};
static struct io_device devices[] = {{.bdf = BDF, .owner = &owner}, {.bdf = OTHER}};
static struct {
	struct iommu_fault fault;
	unsigned waiting, taken; /* faults of the unit */
	bool lost, one_sender;
	uint64_t now_ns;
	irq_fn *interrupt;
	struct hv_timer *timer;
	bool armed;
	uint32_t command[2];
	unsigned lines, more, stops, events, lost_lines;
	char last[200];
	uint64_t option; /* 0: none */
	unsigned vector;
} world;

/* ---- what it asks -------------------------------------------------------------------------------- */

bool iommu_fault(struct iommu_fault *out_fault, bool *out_lost)
{
	*out_lost = world.lost;
	world.lost = false;
	if (!world.waiting)
		return false;
	world.waiting--;
	world.taken++;
	*out_fault = world.fault;
	return true;
}

void iommu_fault_interrupt(uint64_t address, uint32_t data)
{
	assert_int_equal(data, world.vector);
}

unsigned irq_vector_alloc(irq_fn *fn, void *ctx)
{
	world.interrupt = fn;
	return world.vector;
}

uint32_t apic_id(void)
{
	return 0;
}

bool boot_option_number(const char *key, uint64_t *out)
{
	assert_string_equal(key, "iommu_faults");
	if (world.option)
		*out = world.option;
	return world.option;
}

uint64_t time_now_ns(void)
{
	return world.now_ns;
}

void timer_set(struct hv_timer *t, uint64_t due_ns)
{
	assert_true(due_ns > world.now_ns);
	world.timer = t;
	world.armed = true;
}

struct io_device *io_sender_first(uint16_t bdf)
{
	for (unsigned i = 0; i < 2; i++)
		if (devices[i].bdf == bdf)
			return &devices[i];
	return NULL;
}

/* The two send by one number when the test says so. */
struct io_device *io_sender_next(const struct io_device *dev, const struct io_device *after)
{
	return world.one_sender && !after ? &devices[dev == &devices[0]] : NULL;
}

uint32_t pci_config_read(uint16_t bdf, unsigned offset, unsigned width)
{
	assert_int_equal(offset, 4);
	assert_int_equal(width, 2);
	return world.command[bdf == OTHER];
}

/* The half above is status, where ones clear. */
void pci_config_write(uint16_t bdf, unsigned offset, uint32_t value)
{
	assert_int_equal(offset, 4);
	assert_int_equal(value >> 16, 0);
	world.command[bdf == OTHER] = value;
}

void iospace_fault(struct domain *d, const struct iommu_fault *fault)
{
	assert_ptr_equal(d, &owner);
	world.events++;
}

void hv_printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(world.last, sizeof(world.last), fmt, args);
	va_end(args);
	world.lines += strstr(world.last, "may not write") != NULL;
	world.more += strstr(world.last, "more faults") && !strstr(world.last, "could be told");
	world.lost_lines += strstr(world.last, "could be told") != NULL;
	world.stops += strstr(world.last, "may not master") != NULL;
}

/* ---- words for what follows ------------------------------------------------------------------------ */

static uint64_t next_second = 10;

/* Each test has seconds of its own, as what was counted of earlier ones stays. */
static int begin(void **state)
{
	memset(&world, 0, sizeof(world));
	next_second += 10;
	world.now_ns = next_second * SECOND;
	world.fault =
	    (struct iommu_fault){.bdf = BDF, .write = true, .address = 0x5000, .why = "so"};
	world.command[0] = world.command[1] = COMMAND;
	world.vector = 0x55;
	memset(&devices[0].faults, 0, sizeof(devices[0].faults));
	memset(&devices[1].faults, 0, sizeof(devices[1].faults));
	world.option = 2000;
	iommu_fault_listen();
	return 0;
}

/* The interrupt, and the timer for as long as there is more. */
static void happen(unsigned faults)
{
	world.waiting = faults;
	world.interrupt(NULL);
	while (world.armed) {
		world.armed = false;
		world.timer->fn(world.timer->ctx);
	}
	assert_int_equal(world.waiting, 0);
}

/* ---- what is asked --------------------------------------------------------------------------------- */

static void one_is_a_line_and_an_event(void **state)
{
	happen(1);
	assert_string_equal(world.last, "iommu: domain 7: 00:04.0 may not write 5000: so");
	assert_int_equal(world.events, 1);
	world.fault.bdf = OTHER;
	happen(1);
	assert_string_equal(world.last, "iommu: nobody's: 00:05.0 may not write 5000: so");
	world.fault.bdf = UNKNOWN;
	world.fault.interrupt = true;
	happen(1);
	assert_string_equal(world.last, "iommu: unknown: 0f:00.0 may not send interrupt 5000: so");
	assert_int_equal(world.events, 1);
}

static void few_at_once(void **state)
{
	world.waiting = 40;
	world.interrupt(NULL);
	assert_int_equal(world.taken, 16);
	assert_true(world.armed);
	world.armed = false;
	world.timer->fn(NULL);
	assert_int_equal(world.taken, 32);
	assert_true(world.armed);
	world.armed = false;
	world.timer->fn(NULL);
	assert_int_equal(world.taken, 40);
	assert_false(world.armed);
}

static void eight_lines_a_second(void **state)
{
	happen(500);
	assert_int_equal(world.lines, 8);
	assert_int_equal(world.events, 500);
	assert_int_equal(world.more, 0);
	world.now_ns += SECOND;
	happen(1);
	assert_int_equal(world.more, 1);
	assert_int_equal(world.lines, 9);
	world.now_ns += SECOND;
	happen(8);
	assert_int_equal(world.more, 1);
	world.now_ns += SECOND;
	happen(1);
	assert_int_equal(world.more, 1);
}

static void a_storm_is_stopped(void **state)
{
	happen(1999);
	assert_int_equal(world.command[0], COMMAND);
	world.now_ns += SECOND;
	happen(1999);
	assert_int_equal(world.command[0], COMMAND);
	assert_int_equal(world.stops, 0);
	happen(1);
	assert_int_equal(world.command[0], COMMAND & ~PCI_COMMAND_MASTER);
	assert_int_equal(world.command[1], COMMAND);
	assert_int_equal(world.stops, 1);
	assert_string_equal(world.last,
			    "iommu: 00:04.0 does nothing but faults: it may not master the bus");
	happen(3000);
	assert_int_equal(world.stops, 1);
	assert_int_equal(world.lines, 16);
}

/* What it had on its way when it was stopped stops it no second time, but a later second does. */
static void and_again(void **state)
{
	happen(2500);
	world.command[0] = COMMAND;
	world.now_ns += SECOND;
	happen(1999);
	assert_int_equal(world.command[0], COMMAND);
	happen(1);
	assert_int_equal(world.command[0], COMMAND & ~PCI_COMMAND_MASTER);
	assert_int_equal(world.stops, 2);
}

static void each_for_itself(void **state)
{
	happen(1500);
	world.fault.bdf = OTHER;
	happen(1500);
	assert_int_equal(world.stops, 0);
	assert_int_equal(world.lines, 16);
	world.fault.bdf = UNKNOWN;
	happen(5000);
	assert_int_equal(world.stops, 0);
	assert_int_equal(world.lines, 24);
	assert_int_equal(world.command[0], COMMAND);
}

static void all_that_send_by_one_number(void **state)
{
	world.one_sender = true;
	happen(2000);
	assert_int_equal(world.stops, 2);
	assert_int_equal(world.command[0], COMMAND & ~PCI_COMMAND_MASTER);
	assert_int_equal(world.command[1], COMMAND & ~PCI_COMMAND_MASTER);
}

static void as_many_as_said(void **state)
{
	world.option = 20;
	iommu_fault_listen();
	happen(19);
	assert_int_equal(world.stops, 0);
	happen(1);
	assert_int_equal(world.stops, 1);
	world.option = 0;
	world.vector = 0;
	iommu_fault_listen();
	assert_string_equal(world.last, "iommu: no vector is left: faults are not told");
}

static void lost_ones_are_said_once_a_second(void **state)
{
	happen(1);
	assert_int_equal(world.lost_lines, 0);
	for (unsigned i = 0; i < 5; i++) {
		world.lost = true;
		happen(i);
	}
	assert_int_equal(world.lost_lines, 1);
	world.now_ns += SECOND;
	world.lost = true;
	happen(3);
	assert_int_equal(world.lost_lines, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(one_is_a_line_and_an_event, begin),
	    cmocka_unit_test_setup(few_at_once, begin),
	    cmocka_unit_test_setup(eight_lines_a_second, begin),
	    cmocka_unit_test_setup(a_storm_is_stopped, begin),
	    cmocka_unit_test_setup(and_again, begin),
	    cmocka_unit_test_setup(each_for_itself, begin),
	    cmocka_unit_test_setup(all_that_send_by_one_number, begin),
	    cmocka_unit_test_setup(as_many_as_said, begin),
	    cmocka_unit_test_setup(lost_ones_are_said_once_a_second, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
