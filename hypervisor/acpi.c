/* acpi.c: reads the firmware's tables once: interrupt controllers, clock, power and reset.
 *
 * Caller: boot.c. Tables are checked for length and checksum before use, and every record within
 * them for its end; a bad table counts as absent. The soft-off value is in byte code (the DSDT's
 * \_S5 package), of which only that one shape is looked for. Reads through the direct map.
 */
#include <amphi/string.h>

#include "acpi.h"
#include "boot.h"
#include "mm.h"

#define EBDA_POINTER 0x40eul
#define BIOS_START   0xe0000ul
#define BIOS_END     0x100000ul
#define TABLE_MAX    (1u << 20)
#define SLEEP_ENABLE (1u << 13)

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
} __attribute__((packed));

static struct acpi_info info;

const struct acpi_info *acpi_info(void)
{
	return &info;
}

static const void *at(uint64_t machine_address)
{
	return maddr_to_virt((maddr_t){machine_address});
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool sum_is_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n-- != 0)
		sum += *p++;
	return sum == 0;
}

static uint64_t find_rsdp(uint64_t from, uint64_t to)
{
	for (uint64_t a = from; a + 20 <= to; a += 16)
		if (memcmp(at(a), "RSD PTR ", 8) == 0 && sum_is_zero(at(a), 20))
			return a;
	return 0;
}

/* A table that is in mapped memory (below 4 GiB, as firmware puts them), whole and unchanged. */
static const struct sdt *table_at(uint64_t address)
{
	const struct sdt *t = at(address);

	if (address == 0 || address >= 1ull << 32 || !boot_is_mapped(t, sizeof(*t)))
		return NULL;
	if (t->length < sizeof(*t) || t->length > TABLE_MAX || !boot_is_mapped(t, t->length))
		return NULL;
	return sum_is_zero((const uint8_t *)t, t->length) ? t : NULL;
}

static void read_madt(const struct sdt *t)
{
	const uint8_t *p = (const uint8_t *)t, *end = p + t->length;

	for (p += 44; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
		if (p[0] == 1 && p[1] >= 12 && info.n_ioapics < ACPI_MAX_IOAPICS) {
			info.ioapic[info.n_ioapics].address = get32(p + 4);
			info.ioapic[info.n_ioapics++].first_gsi = get32(p + 8);
		} else if (p[0] == 2 && p[1] >= 10 && p[3] < ACPI_ISA_IRQS) {
			info.isa[p[3]].gsi = get32(p + 4);
			info.isa[p[3]].active_low = (p[8] & 3) == 3;
			info.isa[p[3]].level = (p[8] >> 2 & 3) == 3;
		}
	}
}

/* Byte code: NameOp "_S5_" PackageOp length count, then two numbers, each 0, 1, or a byte after
 * 0x0a. */
static void read_s5(const struct sdt *t)
{
	const uint8_t *p = (const uint8_t *)t, *end = p + t->length - 16;
	unsigned type;

	for (p += sizeof(*t); p < end; p++)
		if (memcmp(p, "_S5_\x12", 5) == 0)
			break;
	if (p >= end)
		return;
	p += 5;
	p += (*p >> 6) + 2; /* length field, count */
	type = *p == 0x0a ? p[1] : *p;
	info.off_value = (uint16_t)((type & 7) << 10 | SLEEP_ENABLE);
}

static void read_fadt(const struct sdt *t)
{
	const uint8_t *p = (const uint8_t *)t;
	const struct sdt *dsdt;

	if (t->length < 116)
		return;
	info.pm1a_control = (uint16_t)get32(p + 64);
	info.pm1b_control = (uint16_t)get32(p + 68);
	if (t->length >= 129 && get32(p + 112) & (1u << 10) && p[116] == 1) {
		info.reset_port = (uint16_t)get64(p + 120);
		info.reset_value = p[128];
	}
	dsdt = table_at(get32(p + 40));
	if (dsdt != NULL)
		read_s5(dsdt);
}

static void read_table(uint64_t address)
{
	const struct sdt *t = table_at(address);

	if (t == NULL)
		return;
	if (memcmp(t->signature, "APIC", 4) == 0)
		read_madt(t);
	else if (memcmp(t->signature, "FACP", 4) == 0)
		read_fadt(t);
	else if (memcmp(t->signature, "HPET", 4) == 0 && t->length >= 52)
		info.hpet = get64((const uint8_t *)t + 44);
}

static void read_all(const uint8_t *rsdp)
{
	bool wide = rsdp[15] >= 2 && get64(rsdp + 24) != 0;
	const struct sdt *root = table_at(wide ? get64(rsdp + 24) : get32(rsdp + 16));
	unsigned step = wide ? 8 : 4;
	const uint8_t *p = (const uint8_t *)root;

	if (root == NULL)
		return;
	for (unsigned i = sizeof(*root); i + step <= root->length; i += step)
		read_table(wide ? get64(p + i) : get32(p + i));
}

void acpi_init(void)
{
	uint64_t ebda = (uint64_t)(get32(at(EBDA_POINTER)) & 0xffff) << 4;

	for (unsigned i = 0; i < ACPI_ISA_IRQS; i++)
		info.isa[i].gsi = i;
	if (ebda >= 0x400 && ebda < 0xa0000)
		info.rsdp = find_rsdp(ebda, ebda + 1024);
	if (info.rsdp == 0)
		info.rsdp = find_rsdp(BIOS_START, BIOS_END);
	if (info.rsdp != 0)
		read_all(at(info.rsdp));
	if (info.n_ioapics == 0) {
		info.n_ioapics = 1;
		info.ioapic[0].address = 0xfec00000;
	}
}
