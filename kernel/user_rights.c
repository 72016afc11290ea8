/* user_rights.c: what a program may be given beyond its memory: an LDT, ports, an address to be watched.
 *
 * Called by user_call.c for the calls, by user_cpu.c at a switch, by user_fault.c for debug exceptions. Most programs
 * have none of it, and a CPU on which nobody had any is left alone: a switch costs them one comparison. Ports are
 * only those of the kernel's command line, and only where the kernel itself may use them.
 */
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/x86_tables.h>

#include "boot.h"
#include "cmdline.h"
#include "mm.h"
#include "user_parts.h"

#define SELECTOR_LDT        7u /* of the LDT, ring 3 */
#define DESCRIPTOR_ACCESSED (1ull << 40)
#define DR6_WATCH           1u
#define DR6_CLEAR           0xffff0ff0u
#define DR7_FIXED           0x400u
#define DR7_ON              0x101u /* number 0, and exact */

static const struct user_rights nothing;

/* What is loaded on each CPU. */
static struct loaded {
	const uint64_t *ldt;
	const struct pv_ports *ports;
	uint64_t dr7;
	bool any; /* of it; or it is nothing */
} cpus[CPUS_MAX];

static struct loaded *this(void)
{
	return &cpus[this_cpu()->cpu];
}

/* ---- the switch ----------------------------------------------------------------------------- */

static void load_ldt(const uint64_t *ldt)
{
	if (this()->ldt == ldt)
		return;
	pv_set_ldt(ldt, ldt ? USER_LDT_ENTRIES : 0);
	this()->ldt = ldt;
}

/* The TSS with a bitmap is made for programs with ports, and is the CPU's from the first on. */
static void load_ports(const struct pv_ports *ports, struct user_tables *tables)
{
	if (ports) {
		if (!tables->tss && user_platform.begin_ports)
			user_platform.begin_ports(tables);
		pv_update_io_bitmap(tables->tss, ports);
	} else if (this()->ports) {
		pv_invalidate_io_bitmap(tables->tss);
	}
	this()->ports = ports;
}

/* Off while the address changes: the old rule with the new address is nobody's. */
static void load_watch(const struct user_rights *r)
{
	if (!r->dr7 && !this()->dr7)
		return;
	pv_set_debugreg(7, DR7_FIXED);
	if (r->dr7) {
		pv_set_debugreg(0, r->watched);
		pv_set_debugreg(7, r->dr7);
	}
	this()->dr7 = r->dr7;
}

void user_rights_load(const struct user_rights *r, struct user_tables *tables)
{
	struct loaded *cpu = this();

	r = r ? r : &nothing;
	if (!r->any && !cpu->any)
		return;
	cpu->any = r->any;
	load_ldt(r->ldt);
	load_ports(r->ports, tables);
	load_watch(r);
}

void user_rights_forget(void)
{
	*this() = (struct loaded){0};
}

/* The program that runs has something from now on. */
static void begin_rights(struct user_rights *r)
{
	r->any = this()->any = true;
}

/* ---- LDT -------------------------------------------------------------------------------------- */

/* The table comes with the first entry and stays until the program ends. */
int64_t user_set_ldt(struct user_rights *r, unsigned entry, uint64_t descriptor)
{
	begin_rights(r);
	if (!r->ldt) {
		r->ldt = pages_alloc((unsigned)PAGES_FOR(USER_LDT_ENTRIES * 8));
		if (!r->ldt)
			return -XEN_ENOMEM;
		pv_alloc_ldt(r->ldt, USER_LDT_ENTRIES);
		load_ldt(r->ldt);
	}
	/* The processor would set the bit at the first load, and a table on PV is written by call. */
	pv_write_ldt_entry(&r->ldt[entry], descriptor ? descriptor | DESCRIPTOR_ACCESSED : 0);
	return entry << 3 | SELECTOR_LDT;
}

/* A program may empty an entry whose selector it holds. */
bool user_ldt_has(const struct user_rights *r, uint16_t selector)
{
	return r->ldt && selector >> 3 < USER_LDT_ENTRIES && r->ldt[selector >> 3];
}

/* ---- ports ---------------------------------------------------------------------------------- */

static void change(struct pv_ports *ports, unsigned first, unsigned n, bool allow)
{
	static uint64_t last_version;

	for (unsigned p = first; p < first + n; p++)
		if (allow)
			ports->denied[p / 8] &= (uint8_t) ~(1u << p % 8);
		else
			ports->denied[p / 8] |= (uint8_t)(1u << p % 8);
	ports->version = ++last_version;
}

static int make_ports(struct user_rights *r)
{
	int error = user_platform.make_port_tables ? user_platform.make_port_tables() : 0;

	if (error)
		return error;
	r->ports = kmalloc(sizeof(*r->ports));
	if (!r->ports)
		return -XEN_ENOMEM;
	memset(r->ports->denied, 0xff, sizeof(r->ports->denied));
	return 0;
}

/* Where the kernel may use no ports, a hypervisor might let an instruction pass and answer with ones: better
 * a clear refusal. */
int user_set_ports(struct user_rights *r, struct user_tables *tables, unsigned first, unsigned n,
		   bool allow)
{
	int error = 0;

	if (allow &&
	    (!boot.privileged || first < cmdline.port_first || first + n - 1 > cmdline.port_last))
		return -XEN_EPERM;
	if (!r->ports)
		error = allow ? make_ports(r) : 0;
	if (error || !r->ports)
		return error;
	begin_rights(r);
	change(r->ports, first, n, allow);
	load_ports(r->ports, tables);
	return 0;
}

/* ---- a watched address ----------------------------------------------------------------------- */

/* SDM vol. 3, "Debug control register": kind of access in bits 16 and 17, size in 18 and 19. */
void user_set_watch(struct user_rights *r, uint64_t address, unsigned size, unsigned access)
{
	static const uint64_t sizes[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
	uint64_t kind = access & USER_READ ? 3 : 1;

	begin_rights(r);
	r->watched = address;
	r->dr7 = size ? DR7_FIXED | DR7_ON | kind << 16 | sizes[size] << 18 : 0;
	load_watch(r);
}

/* The register keeps what it told until it is cleared. */
bool user_watch_hit(const struct user_rights *r)
{
	bool hit = r->dr7 && pv_get_debugreg(6) & DR6_WATCH;

	pv_set_debugreg(6, DR6_CLEAR);
	return hit;
}

void user_rights_free(struct user_rights *r)
{
	if (r->ldt) {
		pv_free_ldt(r->ldt, USER_LDT_ENTRIES);
		pages_free(r->ldt, (unsigned)PAGES_FOR(USER_LDT_ENTRIES * 8));
	}
	kfree(r->ports, sizeof(*r->ports));
	*r = (struct user_rights){0};
}
