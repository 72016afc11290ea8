/* drivers_test: functions that come and go one by one are offered to the drivers, and taken from them in the right order.
 *
 * Shows: a function that answers is offered to each driver until one takes it, or fails with it; one that does not answer is
 * nobody's; one that comes back has its old place in the list, with what it is now; at the end its driver gives it up before
 * its interrupts go. Why: a driver that is asked twice, or after its function went, would use memory it gave back.
 *
 * links: tests/host/no_lines.c drivers-native/drivers.c drivers-native/pci.c lib/pci_cap.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/machine.h>
#include <amphi/pci.h>

#include "drivers-native/disk_watch.h"
#include "drivers-native/nic.h"

static uint32_t id_there; /* of the one function there is */
static char order[16];    /* what was called: a letter each */
static int answers[5];
static const struct pci_function *offered;
static unsigned warned;

static void called(char what)
{
	size_t n = strlen(order);

	assert_true(n + 1 < sizeof(order));
	order[n] = what;
	order[n + 1] = '\0';
}

static int probe(unsigned which, const struct pci_function *f)
{
	called((char)('0' + which));
	offered = f;
	return answers[which];
}
int nvme_probe(const struct pci_function *f)
{
	return probe(0, f);
}
int virtio_blk_probe(const struct pci_function *f)
{
	return probe(1, f);
}
int ahci_probe(const struct pci_function *f)
{
	return probe(2, f);
}
int virtio_net_probe(const struct pci_function *f)
{
	return probe(3, f);
}
int e1000e_probe(const struct pci_function *f)
{
	return probe(4, f);
}
void disk_watch_remove(uint16_t bdf)
{
	assert_int_equal(bdf, 0x0310);
	called('d');
}
void disk_watch_error(uint16_t bdf, enum drivers_error what)
{
	assert_int_equal(bdf, 0x0310);
	assert_int_equal(what, DRIVERS_ERROR_OVER);
	called('D');
}
void nic_error(uint16_t bdf, enum drivers_error what)
{
	assert_int_equal(bdf, 0x0310);
	assert_int_equal(what, DRIVERS_ERROR_OVER);
	called('N');
}
void nic_remove(uint16_t bdf)
{
	assert_int_equal(bdf, 0x0310);
	called('n');
}
void machine_pci_appeared(uint16_t bdf, uint16_t physical)
{
	assert_int_equal(bdf, 0x0310);
	assert_int_equal(physical, bdf);
	called('a');
}
void machine_msi_unbind(uint16_t bdf)
{
	assert_int_equal(bdf, 0x0310);
	called('i');
}
void host_log(enum host_log_level level, const char *fmt, ...)
{
	warned++;
}
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	assert_in_range(bdf, 0x0310, 0x0310 + 100);
	return offset == 0 ? id_there : offset == 8 ? 0x01080200 : 0;
}
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value) {}
void *machine_mmio_map(maddr_t start, size_t len)
{
	return NULL;
}
int machine_msi_bind(struct machine_msi *msi)
{
	return -XEN_ENODEV;
}

static int setup(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(answers); i++)
		answers[i] = -XEN_ENODEV;
	order[0] = '\0';
	warned = 0;
	id_there = 0x00101b36;
	return 0;
}

static void one_is_offered_until_it_is_taken(void **state)
{
	const struct pci_function *first;

	answers[2] = 0;
	drivers_native_add(0x0310);
	assert_string_equal(order, "a012");
	assert_true(offered->bdf == 0x0310 && offered->vendor == 0x1b36 && offered->device == 0x10);
	assert_int_equal(offered->class_code, 0x010802);
	first = offered;
	id_there = 0x10d38086;
	answers[2] = -XEN_ENODEV;
	drivers_native_add(0x0310);
	assert_string_equal(order, "a012a01234");
	assert_ptr_equal(offered, first);
	assert_int_equal(first->vendor, 0x8086);
	assert_int_equal(warned, 0);
}

static void one_that_fails_is_offered_no_further(void **state)
{
	answers[1] = -XEN_EBUSY;
	drivers_native_add(0x0310);
	assert_string_equal(order, "a01");
	assert_int_equal(warned, 1);
}

static void one_that_is_not_there_is_nobodys(void **state)
{
	id_there = ~0u;
	drivers_native_add(0x0310);
	assert_string_equal(order, "");
}

static void interrupts_go_last(void **state)
{
	drivers_native_remove(0x0310);
	assert_string_equal(order, "dni");
}

/* The list has an end. */
static void more_than_there_is_room_for(void **state)
{
	unsigned n = 0;

	for (uint16_t bdf = 0x0310; bdf < 0x0310 + 100; bdf++)
		n += pci_look(bdf) != NULL;
	assert_int_equal(n, 64);
	assert_non_null(pci_get(63));
	assert_null(pci_get(64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(one_is_offered_until_it_is_taken, setup),
	    cmocka_unit_test_setup(one_that_fails_is_offered_no_further, setup),
	    cmocka_unit_test_setup(one_that_is_not_there_is_nobodys, setup),
	    cmocka_unit_test_setup(interrupts_go_last, setup),
	    cmocka_unit_test_setup(more_than_there_is_room_for, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
