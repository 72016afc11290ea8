/* acpi.c: reads the firmware's tables once: interrupt controllers, clock, power and reset.
 *
 * Callers: boot code of the kernel and of the hypervisor; calls the view it is given. Tables are
 * checked for length and checksum before use, and every record within them for its end. The
 * soft-off value is in byte code (the DSDT's \_S5 package), of which only that one shape is looked
 * for. Numbers of offsets and types: ACPI specification 6.4, chapter 5.
 */
#include <amphi/acpi.h>
#include <amphi/string.h>

/* Where a PC without UEFI keeps the root pointer (5.2.5.1), and what is right for QEMU's q35 when
 * there are no tables at all: power-off at PM1a's port there, reset by the chipset. */
#define EBDA_POINTER  0x40eul
#define BIOS_START    0xe0000ul
#define BIOS_END      0x100000ul
#define RSDP_BYTES    20u
#define RSDP_WIDE     36u
#define TABLE_MAX     (1u << 20)
#define SLEEP_ENABLE  (1u << 13)
#define QEMU_OFF_PORT 0x604
#define QEMU_IOAPIC   0xfec00000u
#define CHIPSET_RESET 0xcf9
#define RESET_COLD    0x06

struct reader {
	acpi_view_fn *view;
	void *ctx;
	struct acpi_info *out;
};

/* What every table begins with (5.2.6). */
struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
} __attribute__((packed));

/* By bytes: fields lie at any address, and firmware keeps to no alignment. */
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

/* On 16-byte borders, with the checksum of the first 20 bytes: the letters alone also stand in
 * programs that look for them. */
static uint64_t find_rsdp(const struct reader *r, uint64_t from, uint64_t bytes)
{
	const uint8_t *p = r->view(r->ctx, from, bytes);

	for (uint64_t i = 0; p && i + RSDP_BYTES <= bytes; i += 16)
		if (memcmp(p + i, "RSD PTR ", 8) == 0 && sum_is_zero(p + i, RSDP_BYTES))
			return from + i;
	return 0;
}

/* The first KiB of the BIOS's own memory, whose segment it notes, or its ROM. */
static uint64_t search_rsdp(const struct reader *r)
{
	const uint8_t *segment = r->view(r->ctx, EBDA_POINTER, 2);
	uint64_t ebda = segment ? (uint64_t)(segment[0] | segment[1] << 8) << 4 : 0, found = 0;

	if (ebda >= 0x400 && ebda < 0xa0000)
		found = find_rsdp(r, ebda, 1024);
	return found ? found : find_rsdp(r, BIOS_START, BIOS_END - BIOS_START);
}

/* A table below 4 GiB, where firmware puts them, that is whole and unchanged. */
static const struct sdt *table_at(const struct reader *r, uint64_t address)
{
	const struct sdt *t = NULL;
	uint32_t length;

	if (address != 0 && address < 1ull << 32)
		t = r->view(r->ctx, address, sizeof(*t));
	if (!t)
		return NULL;
	length = get32((const uint8_t *)t + 4);
	if (length < sizeof(*t) || length > TABLE_MAX)
		return NULL;
	t = r->view(r->ctx, address, length);
	return t && sum_is_zero((const uint8_t *)t, length) ? t : NULL;
}

/* One that is not enabled is a place for a CPU, or broken. Firmware may tell of a CPU in both forms. */
static void add_cpu(struct acpi_info *out, uint32_t id, uint32_t flags)
{
	if (!(flags & 1) || out->n_cpus == ACPI_MAX_CPUS)
		return;
	for (unsigned i = 0; i < out->n_cpus; i++)
		if (out->cpu[i] == id)
			return;
	out->cpu[out->n_cpus++] = id;
}

/* Types 0 and 9 are local APICs, with ids of 8 and of 32 bits; an 8-bit id of 255 is none. */
static bool read_cpu(const uint8_t *p, struct acpi_info *out)
{
	if (p[0] == 0 && p[1] >= 8 && p[3] != 255)
		add_cpu(out, p[3], get32(p + 4));
	else if (p[0] == 9 && p[1] >= 16)
		add_cpu(out, get32(p + 4), get32(p + 8));
	else
		return false;
	return true;
}

/* 5.2.12: type 1 is an I/O APIC, type 2 says that an ISA interrupt comes elsewhere or otherwise
 * than by rule (low, level). A record of length 0 would never end the walk, hence the least of 2.
 */
static void read_madt(const struct sdt *t, struct acpi_info *out)
{
	const uint8_t *p = (const uint8_t *)t, *end = p + t->length;

	for (p += 44; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
		if (read_cpu(p, out))
			continue;
		if (p[0] == 1 && p[1] >= 12 && out->n_ioapics < ACPI_MAX_IOAPICS) {
			out->ioapic[out->n_ioapics].id = p[2];
			out->ioapic[out->n_ioapics].address = get32(p + 4);
			out->ioapic[out->n_ioapics++].first_gsi = get32(p + 8);
		} else if (p[0] == 2 && p[1] >= 10 && p[3] < ACPI_ISA_IRQS) {
			out->isa[p[3]].gsi = get32(p + 4);
			out->isa[p[3]].active_low = (p[8] & 3) == 3;
			out->isa[p[3]].level = (p[8] >> 2 & 3) == 3;
		}
	}
}

/* Byte code: NameOp "_S5_" PackageOp length count, then two numbers, each 0, 1, or a byte after
 * 0x0a. An interpreter for the rest would be larger than the kernel; every firmware we know writes
 * this one as a constant. The 16 bytes are more than the longest form takes. */
static uint16_t find_s5(const struct sdt *t)
{
	const uint8_t *p = (const uint8_t *)t + sizeof(*t), *end = (const uint8_t *)t + t->length;
	unsigned type;

	while (end - p > 16 && memcmp(p, "_S5_\x12", 5) != 0)
		p++;
	if (end - p <= 16)
		return 0;
	p += 5;
	p += (*p >> 6) + 2; /* length field, count */
	type = *p == 0x0a ? p[1] : *p;
	return (uint16_t)((type & 7) << 10 | SLEEP_ENABLE);
}

/* 5.2.9. The reset register counts only when its flag is set and it is a port; the DSDT is reached
 * from here and from nowhere else. What is not told leaves the values acpi_read began with. */
static void read_fadt(const struct reader *r, const struct sdt *t, struct acpi_info *out)
{
	const uint8_t *p = (const uint8_t *)t;
	const struct sdt *dsdt;
	uint16_t off;

	if (t->length < 116)
		return;
	if (t->length >= 129 && get32(p + 112) & (1u << 10) && p[116] == 1) {
		out->reset_port = (uint16_t)get64(p + 120);
		out->reset_value = p[128];
	}
	out->pm_timer = p[91] == 4 ? (uint16_t)get32(p + 76) : 0;
	out->pm_timer_wide = get32(p + 112) & 1u << 8;
	out->rtc_century = p[108] & 0x7f;
	out->no_rtc = p[109] & 1u << 5;
	dsdt = table_at(r, get32(p + 40));
	off = dsdt ? find_s5(dsdt) : 0;
	if (off == 0 || get32(p + 64) == 0)
		return;
	out->pm1a_control = (uint16_t)get32(p + 64);
	out->pm1b_control = (uint16_t)get32(p + 68);
	out->off_value = off;
	out->power_told = true;
}

/* PCI Firmware Specification 3.2, table 4-3: after 8 bytes the first segment's entry, which is a PC's only one. */
static void read_mcfg(const uint8_t *p, struct acpi_info *out)
{
	if (p[52] | p[53]) /* of another segment */
		return;
	out->ecam = get64(p + 44);
	out->ecam_first_bus = p[54];
	out->ecam_last_bus = p[55];
}

/* RSDT with step 4, XSDT with step 8 (5.2.7, 5.2.8). A table that is damaged is passed over, as
 * others may be whole. */
static void read_root(const struct reader *r, uint64_t address, unsigned step)
{
	const struct sdt *root = table_at(r, address);
	const uint8_t *p = (const uint8_t *)root;

	for (unsigned i = sizeof(*root); root && i + step <= root->length; i += step) {
		uint64_t at = step == 8 ? get64(p + i) : get32(p + i);
		const struct sdt *t = table_at(r, at);

		if (!t)
			continue;
		if (memcmp(t->signature, "APIC", 4) == 0)
			read_madt(t, r->out);
		else if (memcmp(t->signature, "FACP", 4) == 0)
			read_fadt(r, t, r->out);
		else if (memcmp(t->signature, "MCFG", 4) == 0 && t->length >= 60)
			read_mcfg((const uint8_t *)t, r->out);
		else if (memcmp(t->signature, "HPET", 4) == 0 && t->length >= 52)
			r->out->hpet = get64((const uint8_t *)t + 44);
		else if (memcmp(t->signature, "DMAR", 4) == 0)
			r->out->dmar.address = at, r->out->dmar.len = t->length;
		else if (memcmp(t->signature, "IVRS", 4) == 0)
			r->out->ivrs.address = at, r->out->ivrs.len = t->length;
	}
}

void acpi_read(acpi_view_fn *view, void *ctx, uint64_t rsdp, struct acpi_info *out)
{
	struct reader r = {view, ctx, out};
	const uint8_t *p;

	*out = (struct acpi_info){
	    .pm1a_control = QEMU_OFF_PORT,
	    .off_value = SLEEP_ENABLE,
	    .reset_port = CHIPSET_RESET,
	    .reset_value = RESET_COLD,
	};
	for (unsigned i = 0; i < ACPI_ISA_IRQS; i++)
		out->isa[i].gsi = i;
	rsdp = rsdp ? rsdp : search_rsdp(&r);
	p = rsdp ? view(ctx, rsdp, RSDP_BYTES) : NULL;
	if (p && p[15] >= 2 && view(ctx, rsdp, RSDP_WIDE) && get64(p + 24) != 0)
		read_root(&r, get64(p + 24), 8);
	else if (p)
		read_root(&r, get32(p + 16), 4);
	if (out->n_ioapics == 0) {
		out->n_ioapics = 1;
		out->ioapic[0].address = QEMU_IOAPIC;
	}
}
