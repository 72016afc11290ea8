/* iommu_interrupt_test.c: what messages of devices mean to a VT-d and to an AMD-Vi unit that look at them, on models of both.
 *
 * Shows: once turned on, no message arrives but what is mapped, for its sender alone and as mapped: vector, processor, trigger; a map is changed, undone,
 * and used by another; a unit that remembers entries is told each time; I/O APICs send as the tables say they do; a unit that does not answer keeps what it
 * may know from others; where a unit or firmware cannot, nothing is changed; all memory comes back. Why: a device that chooses its vector chooses
 * what its neighbour's driver, or the hypervisor, believes; and QEMU 7.2 reports no refused interrupt.
 *
 * links: iommu/iommu.c iommu/interrupt.c iommu/vtd.c iommu/vtd_queue.c iommu/vtd_fault.c iommu/vtd_interrupt.c iommu/amdvi.c iommu/amdvi_queue.c
 * iommu/amdvi_interrupt.c iommu/dmar.c iommu/ivrs.c iommu/firmware_table.c iommu/io_table.c lib/printf.c lib/text.c tests/host/iommu_world.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/iommu.h>
#include <xen/errno.h>
#include "tests/host/firmware_bytes.h"
#include "tests/host/iommu_world.h"

#define DISK    0x18u
#define CARD    0x29u
#define IOAPIC  2u
#define REFUSED (-1)

/* What arrived: the vector and the processor; or REFUSED. */
struct arrival {
	int vector;
	unsigned cpu;
	bool level;
};

static uint8_t regs[0x4000];
static bool silent; /* the unit does nothing */

static uint64_t reg(unsigned at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, regs + at, size);
	return v;
}

static void set_reg(unsigned at, unsigned size, uint64_t v)
{
	memcpy(regs + at, &v, size);
}

static uint64_t *memory(uint64_t where)
{
	return (uint64_t *)(uintptr_t)where;
}

/* ---- VT-d: VT-d 4.1, 5.1, 6.5.2, 9.10, 11.4 ---------------------------------------------------------- */

enum { CAP = 0x08, ECAP = 0x10, GCMD = 0x18, GSTS = 0x1c, FSTS = 0x34, IQT = 0x88, IQA = 0x90 };
enum { IRTA = 0xb8, RECORD = 0x200 };
#define STICKY (1u << 31 | 1u << 26 | 1u << 25 | 1u << 23)

static struct {
	bool known;
	uint64_t low, high;
} vtd_cache[65536];

static unsigned head; /* of either's queue */

static void vtd_queue(void)
{
	const uint64_t *queue = memory(reg(IQA, 8) & ~0xfffull);

	for (; head != reg(IQT, 8) >> 4; head = (head + 1) % 256) {
		uint64_t low = queue[2 * head], high = queue[2 * head + 1];

		if ((low & 15) == 4)
			for (unsigned i = 0; i < ARRAY_SIZE(vtd_cache); i++)
				if (!(low & 16) || i == (low >> 32 & 0xffff))
					vtd_cache[i].known = false;
		if ((low & 15) == 5)
			*(uint32_t *)memory(high) = (uint32_t)(low >> 32);
	}
}

static uint64_t vtd_read(unsigned at, unsigned size)
{
	return reg(at, size);
}

/* Commands that stay on, and those that are done when the status says so. */
static void vtd_write(unsigned at, unsigned size, uint64_t v)
{
	if (at == RECORD + 8 && v >> 63) {
		set_reg(at, 8, 0);
		return;
	}
	set_reg(at, size, v);
	if (silent)
		return;
	if (at == GCMD)
		set_reg(GSTS, 4, (v & STICKY) | (reg(GSTS, 4) & 0x41000000) | (v & 0x41000000));
	if (at == GCMD && !(v & 1u << 26))
		head = 0;
	if (at == IQT && reg(GSTS, 4) & 1u << 26)
		vtd_queue();
}

static struct arrival vtd_refuse(uint16_t from, unsigned index, unsigned why)
{
	if (reg(RECORD + 8, 8) >> 63) {
		set_reg(FSTS, 4, reg(FSTS, 4) | 1);
	} else {
		set_reg(RECORD, 8, (uint64_t)index << 48);
		set_reg(RECORD + 8, 8, 1ull << 63 | (uint64_t)why << 32 | from);
	}
	return (struct arrival){.vector = REFUSED};
}

static struct arrival vtd_send(uint16_t from, uint64_t address, uint32_t data)
{
	unsigned index = (unsigned)(address >> 5 & 0x7fff) | (unsigned)(address >> 2 & 1) << 15;
	const uint64_t *table = memory(reg(IRTA, 8) & ~0xfffull);
	bool checks = reg(GSTS, 4) & 1u << 25;

	assert_int_equal(address >> 20, 0xfee);
	if (!checks || (!(address & 16) && reg(GSTS, 4) & 1u << 23))
		return (struct arrival){.vector = (uint8_t)data, .cpu = address >> 12 & 0xff};
	if (!(address & 16))
		return vtd_refuse(from, 0, 0x25);
	if (address & 8)
		index += data & 0xffff;
	if (index >= 2u << (reg(IRTA, 8) & 15))
		return vtd_refuse(from, index, 0x21);
	if (!vtd_cache[index].known) {
		vtd_cache[index].low = table[2 * index];
		vtd_cache[index].high = table[2 * index + 1];
		vtd_cache[index].known = true;
	}
	if (!(vtd_cache[index].low & 1))
		return vtd_refuse(from, index, 0x22);
	/* Fixed, physical, no bit that is reserved; the sender is verified by all its bits. */
	assert_int_equal(vtd_cache[index].low & 0xffff00ffff00ffeeull, 0);
	assert_int_equal(vtd_cache[index].high >> 16, 4);
	if ((vtd_cache[index].high & 0xffff) != from)
		return vtd_refuse(from, index, 0x26);
	return (struct arrival){.vector = (int)(vtd_cache[index].low >> 16 & 0xff),
				.cpu = (unsigned)(vtd_cache[index].low >> 40 & 0xff),
				.level = vtd_cache[index].low & 16};
}

/* An entry of the new form: bit 48, the number around it, bit 11 for its highest. */
static struct arrival vtd_line(uint64_t route)
{
	assert_true(route >> 48 & 1);
	return vtd_send(0xf0f8, 0xfee00010 | (route >> 49 & 0x7fff) << 5 | (route >> 11 & 1) << 2,
			(uint8_t)route | (uint32_t)(route & 0x8000));
}

static const struct iommu_model vtd_model = {vtd_read, vtd_write};

/* 39 bits, three levels, 256 spaces, one fault record; a queue, interrupts, all may be open, coherent. */
static void vtd_reset(void)
{
	set_reg(CAP, 8, 2 | 2u << 8 | 38u << 16 | 0x20u << 24 | 1ull << 39);
	set_reg(ECAP, 8, 1 | 2 | 8 | 64);
	memset(vtd_cache, 0, sizeof(vtd_cache));
}

static uint8_t dmar[48 + 24] = {'D', 'M', 'A', 'R', 72, [36] = 38, 1};

/* ---- AMD-Vi: 2.2.2, 2.2.5, 2.4 ------------------------------------------------------------------------ */

enum { DEVICES = 0, COMMANDS = 8, CONTROL = 0x18, COMMAND_TAIL = 0x2008 };

static struct {
	bool known;
	uint64_t word;
} amd_device[65536];
static struct {
	bool known;
	uint32_t entry;
} amd_entry[64][256]; /* by the low bits of the sender */

static void amd_commands(void)
{
	const uint64_t *buffer = memory(reg(COMMANDS, 8) & 0xffffffffff000);

	if (!(reg(CONTROL, 8) & 1u << 12)) {
		head = 0;
		return;
	}
	for (; head != reg(COMMAND_TAIL, 8) / 16; head = (head + 1) % 256) {
		uint64_t low = buffer[2 * head];

		if (low >> 60 == 1)
			*memory(low & 0xffffffffffff8) = buffer[2 * head + 1];
		if (low >> 60 == 2)
			amd_device[(uint16_t)low].known = false;
		if (low >> 60 == 5)
			memset(amd_entry[low % 64], 0, sizeof(amd_entry[0]));
	}
}

static void amd_write(unsigned at, unsigned size, uint64_t v)
{
	set_reg(at, size, v);
	if (!silent && (at == COMMAND_TAIL || at == CONTROL))
		amd_commands();
}

static struct arrival amd_send(uint16_t from, uint64_t address, uint32_t data)
{
	static const struct arrival refused = {.vector = REFUSED};
	unsigned index = data & 0x7ff;
	uint64_t word;
	uint32_t entry;

	if (!amd_device[from].known) {
		amd_device[from].word =
		    memory(reg(DEVICES, 8) & 0xffffffffff000)[(unsigned)from * 4 + 2];
		amd_device[from].known = true;
	}
	word = amd_device[from].word;
	if (!(word & 1))
		return (struct arrival){.vector = (uint8_t)data, .cpu = address >> 12 & 0xff};
	assert_int_equal(word >> 60, 2);
	if (data >> 8 & 7 || index >= 1u << (word >> 1 & 15))
		return refused;
	if (!amd_entry[from % 64][index].known) {
		amd_entry[from % 64][index].entry =
		    ((uint32_t *)memory(word & 0xfffffffffffc0))[index];
		amd_entry[from % 64][index].known = true;
	}
	entry = amd_entry[from % 64][index].entry;
	if (!(entry & 1))
		return refused;
	assert_int_equal(entry & 0xff0000fe, 0);
	return (struct arrival){
	    .vector = (int)(entry >> 16 & 0xff), .cpu = entry >> 8 & 0xff, .level = data & 0x8000};
}

/* An I/O APIC makes its message as ever, and tells a level's end by the vector in its entry. */
static struct arrival amd_line(uint64_t route)
{
	return amd_send(0xa0, 0xfee00000 | (route >> 56) << 12, (uint32_t)(route & 0x87ff));
}

static const struct iommu_model amd_model = {vtd_read, amd_write};

static void amd_reset(void)
{
	memset(amd_device, 0, sizeof(amd_device));
	memset(amd_entry, 0, sizeof(amd_entry));
}

/* A unit for all functions, an I/O APIC that sends as 00:14.0, and a function that does as its neighbour. */
static uint8_t ivrs[48 + 24 + 20] = {'I', 'V', 'R', 'S', 92, [38] = 0x18};

/* ---- both -------------------------------------------------------------------------------------------- */

struct kind {
	uint8_t *table;
	size_t len;
	const struct iommu_model *model;
	void (*reset)(void);
	struct arrival (*send)(uint16_t from, uint64_t address, uint32_t data);
	struct arrival (*line)(uint64_t route);
};
static const struct kind kinds[] = {
    {dmar, sizeof(dmar), &vtd_model, vtd_reset, vtd_send, vtd_line},
    {ivrs, sizeof(ivrs), &amd_model, amd_reset, amd_send, amd_line},
};
static const struct kind *kind;

static int begin(const struct kind *k)
{
	static const uint8_t unit[] = {0, 0, 24, 0, 1, 0, 0, 0, 0,      0,    0xd9, 0xfe,
				       0, 0, 0,  0, 3, 8, 0, 0, IOAPIC, 0xf0, 31,   0};
	static const uint8_t block[] = {
	    0x10, 0, 44, 0, 8, 0, 0x40, 0, 0, 0, 0xd8,   0xfe, 0, 0, 0,  0,    0, 0, 0, 0,    0, 0,
	    0,    0, 1,  0, 0, 0, 0x48, 0, 0, 0, IOAPIC, 0xa0, 0, 1, 66, 0x98, 0, 0, 0, 0x99, 0, 0};

	kind = k;
	memcpy(dmar + 48, unit, sizeof(unit));
	memcpy(ivrs + 48, block, sizeof(block));
	dmar[37] = 1;
	firmware_seal(dmar, sizeof(dmar));
	firmware_seal(ivrs, sizeof(ivrs));
	memset(regs, 0, sizeof(regs));
	silent = false;
	k->reset();
	iommu_world_model = k->model;
	return 0;
}

/* What is no table has all units let go. */
static int end(void **state)
{
	silent = false;
	assert_int_equal(iommu_start("none", 4), -XEN_EINVAL);
	assert_int_equal(iommu_world_pages(), 0);
	assert_false(iommu_interrupts_on());
	return 0;
}

static void start(void)
{
	static const uint8_t ioapics[] = {IOAPIC};

	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	assert_int_equal(iommu_interrupts_start(ioapics, 1), 0);
}

static int vtd(void **state)
{
	return begin(&kinds[0]);
}

static int amd(void **state)
{
	return begin(&kinds[1]);
}

static void arrives(uint16_t from, const struct iommu_message *m, uint8_t vector, unsigned cpu)
{
	struct arrival a = kind->send(from, m->address, m->data);

	assert_int_equal(a.vector, vector);
	assert_int_equal(a.cpu, cpu);
	assert_false(a.level);
}

static void refused(uint16_t from, const struct iommu_message *m)
{
	assert_int_equal(kind->send(from, m->address, m->data).vector, REFUSED);
}

static const struct iommu_message plain = {.address = 0xfee03000, .data = 0x51};

static void as_ever_until_it_is_on(void **state)
{
	struct iommu_message m;

	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	assert_true(iommu_traits(iommu_get(0))->interrupts);
	assert_false(iommu_interrupts_on());
	arrives(DISK, &plain, 0x51, 3);
	assert_int_equal(iommu_interrupt_map(DISK, 0x51, 0, &m), -XEN_ENXIO);
	assert_int_equal(iommu_ioapic_map(IOAPIC, 0x51, 0, true, &m), -XEN_ENXIO);
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x51), -XEN_ENOENT);
	assert_int_equal(iommu_interrupts_forget(DISK), 0);
}

static void aliases_are_told(void **state)
{
	assert_null(iommu_alias(0));
	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	assert_int_equal(iommu_alias(0)->sender, 0x99);
	assert_null(iommu_alias(1));
}

static void nothing_arrives_that_is_not_mapped(void **state)
{
	struct iommu_message m;

	start();
	assert_true(iommu_interrupts_on());
	refused(DISK, &plain);
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 0, &m), 0);
	refused(DISK, &plain);
	m.address = 0xfee00000;
	for (unsigned kind_of = 1; kind_of < 8; kind_of++) {
		m.data = 0x61 | kind_of << 8; /* SMI, NMI, INIT and the like */
		refused(DISK, &m);
	}
}

static void for_its_sender_alone(void **state)
{
	struct iommu_message m, other;

	start();
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 5, &m), 0);
	arrives(DISK, &m, 0x61, 5);
	refused(CARD, &m);
	assert_int_equal(iommu_interrupt_map(CARD, 0x61, 5, &other), -XEN_EBUSY);
	assert_int_equal(iommu_interrupt_unmap(CARD, 0x61), -XEN_ENOENT);
	assert_int_equal(iommu_interrupt_map(CARD, 0x62, 254, &other), 0);
	arrives(CARD, &other, 0x62, 254);
	refused(DISK, &other);
	/* To another processor, by the same message. */
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 7, &other), 0);
	assert_int_equal(m.address, other.address);
	assert_int_equal(m.data, other.data);
	arrives(DISK, &m, 0x61, 7);
	/* Undone, and somebody else's. */
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x61), 0);
	refused(DISK, &m);
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x61), -XEN_ENOENT);
	assert_int_equal(iommu_interrupt_map(CARD, 0x61, 1, &m), 0);
	arrives(CARD, &m, 0x61, 1);
	refused(DISK, &m);
}

/* As a function with several plain messages sends: the number in the data. What is not mapped in the row is refused, and so is a neighbour's row. */
static void several_in_a_row(void **state)
{
	struct iommu_message first, m;

	start();
	for (uint8_t i = 0; i < 8; i++)
		assert_int_equal(iommu_interrupt_map(DISK, (uint8_t)(0x68 + i), 2, i ? &m : &first),
				 0);
	for (uint8_t i = 0; i < 8; i++) {
		m = first;
		m.data |= i;
		arrives(DISK, &m, 0x68 + i, 2);
		refused(CARD, &m);
	}
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x6b), 0);
	m.data = first.data | 3;
	refused(DISK, &m);
	m.data = first.data + 8;
	refused(DISK, &m);
}

static void what_cannot_be(void **state)
{
	struct iommu_message m;

	start();
	assert_int_equal(iommu_interrupt_map(DISK, 15, 0, &m), -XEN_EINVAL);
	assert_int_equal(iommu_interrupt_map(DISK, 16, 255, &m), -XEN_EINVAL);
	assert_int_equal(iommu_interrupt_map(DISK, 16, 254, &m), 0);
	assert_int_equal(iommu_interrupt_map(DISK, 255, 0, &m), 0);
	arrives(DISK, &m, 255, 0);
	assert_int_equal(iommu_ioapic_map(IOAPIC, 3, 0, false, &m), -XEN_EINVAL);
	assert_int_equal(iommu_ioapic_map(9, 0x40, 0, false, &m), -XEN_ENXIO);
	assert_int_equal(iommu_ioapic_unmap(9, 0x40), -XEN_ENOENT);
	assert_int_equal(iommu_interrupts_start(NULL, 0), -XEN_EBUSY);
}

static void all_of_a_function(void **state)
{
	struct iommu_message m[3], other;

	start();
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(iommu_interrupt_map(DISK, (uint8_t)(0x70 + 40 * i), i, &m[i]), 0);
	assert_int_equal(iommu_interrupt_map(CARD, 0x71, 2, &other), 0);
	for (uint8_t i = 0; i < 3; i++)
		arrives(DISK, &m[i], (uint8_t)(0x70 + 40 * i), i);
	assert_int_equal(iommu_interrupts_forget(DISK), 0);
	for (uint8_t i = 0; i < 3; i++)
		refused(DISK, &m[i]);
	arrives(CARD, &other, 0x71, 2);
}

static void lines(void **state)
{
	struct iommu_message m;
	struct arrival a;

	start();
	assert_int_equal(iommu_ioapic_map(IOAPIC, 0x83, 4, true, &m), 0);
	assert_int_equal((uint8_t)m.route, 0x83); /* by which its end is told */
	a = kind->line(m.route | 0x8000);
	assert_int_equal(a.vector, 0x83);
	assert_int_equal(a.cpu, 4);
	assert_true(a.level);
	refused(DISK, &m);
	assert_int_equal(iommu_ioapic_map(IOAPIC, 0x84, 6, false, &m), 0);
	a = kind->line(m.route);
	assert_int_equal(a.vector, 0x84);
	assert_false(a.level);
	assert_int_equal(iommu_ioapic_unmap(IOAPIC, 0x84), 0);
	assert_int_equal(kind->line(m.route).vector, REFUSED);
}

static void a_unit_that_does_not_answer(void **state)
{
	struct iommu_message m;

	start();
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 1, &m), 0);
	silent = true;
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x61), -XEN_EIO);
	assert_int_equal(iommu_interrupt_map(CARD, 0x62, 1, &m), -XEN_EIO);
	silent = false;
	assert_int_equal(iommu_interrupt_map(CARD, 0x61, 1, &m), -XEN_EBUSY);
	assert_int_equal(iommu_interrupt_map(DISK, 0x62, 1, &m), -XEN_EBUSY);
	assert_int_equal(iommu_interrupts_forget(DISK), 0);
	assert_int_equal(iommu_interrupt_map(CARD, 0x61, 1, &m), 0);
}

static void it_does_not_turn_on(void **state)
{
	static const uint8_t unknown[] = {IOAPIC, 7};

	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	assert_int_equal(iommu_interrupts_start(unknown, 2), -XEN_ENODEV);
	silent = true;
	assert_int_equal(iommu_interrupts_start(unknown, 1), -XEN_EIO);
	silent = false;
	assert_false(iommu_interrupts_on());
	assert_int_equal(iommu_interrupts_start(unknown, 1), 0);
}

static void firmware_does_not_allow_it(void **state)
{
	dmar[37] = 0;
	ivrs[83] = 2; /* an HPET, no I/O APIC */
	firmware_seal(dmar, sizeof(dmar));
	firmware_seal(ivrs, sizeof(ivrs));
	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	assert_int_equal(iommu_interrupts_start(NULL, 0), -XEN_EOPNOTSUPP);
	arrives(DISK, &plain, 0x51, 3);
}

/* Of AMD-Vi: a function's first interrupt takes a page. */
static void no_memory(void **state)
{
	struct iommu_message m;

	start();
	iommu_world_memory(0);
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 1, &m), -XEN_ENOMEM);
	iommu_world_memory(~0u);
	assert_int_equal(iommu_interrupt_map(CARD, 0x61, 1, &m), 0);
}

static void no_memory_at_the_start(void **state)
{
	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	iommu_world_memory(0);
	assert_int_equal(iommu_interrupts_start(NULL, 0), -XEN_ENOMEM);
	iommu_world_memory(~0u);
	assert_int_equal(iommu_interrupts_start(NULL, 0), 0);
}

/* Of VT-d: each refusal is told. */
static void faults(void **state)
{
	struct iommu_message m;
	struct iommu_fault f;
	bool lost;

	start();
	assert_int_equal(iommu_interrupt_map(DISK, 0x61, 1, &m), 0);
	refused(CARD, &m);
	assert_true(iommu_fault(&f, &lost));
	assert_true(f.interrupt);
	assert_int_equal(f.bdf, CARD);
	assert_int_equal(f.address, 0x61);
	assert_string_equal(f.why, "an entry of another function");
	assert_false(iommu_fault(&f, &lost));
	refused(CARD, &plain);
	assert_true(iommu_fault(&f, &lost));
	assert_string_equal(f.why, "an interrupt of the old form");
	assert_int_equal(iommu_interrupt_unmap(DISK, 0x61), 0);
	refused(DISK, &m);
	assert_true(iommu_fault(&f, &lost));
	assert_string_equal(f.why, "no such entry");
}

/* What a kernel before us left on is turned off first. */
static void it_was_on(void **state)
{
	set_reg(GSTS, 4, 1u << 25);
	assert_int_equal(iommu_start(kind->table, kind->len), 1);
	arrives(DISK, &plain, 0x51, 3);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, vtd, end),                                           \
	    cmocka_unit_test_setup_teardown(test, amd, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(as_ever_until_it_is_on),
	    cmocka_unit_test_setup_teardown(aliases_are_told, amd, end),
	    BOTH(nothing_arrives_that_is_not_mapped),
	    BOTH(for_its_sender_alone),
	    BOTH(several_in_a_row),
	    BOTH(what_cannot_be),
	    BOTH(all_of_a_function),
	    BOTH(lines),
	    BOTH(a_unit_that_does_not_answer),
	    BOTH(it_does_not_turn_on),
	    BOTH(firmware_does_not_allow_it),
	    cmocka_unit_test_setup_teardown(no_memory, amd, end),
	    cmocka_unit_test_setup_teardown(no_memory_at_the_start, vtd, end),
	    cmocka_unit_test_setup_teardown(faults, vtd, end),
	    cmocka_unit_test_setup_teardown(it_was_on, vtd, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
