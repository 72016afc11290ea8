/* iommu.h: units that stand between devices and memory, whoever made them.
 *
 * Both sides: the hypervisor, or the kernel on a bare machine, calls; iommu/ drives VT-d, AMD-Vi and Calgary beneath the
 * one `struct iommu_ops`. A *space* is what a device sees as memory: DMA addresses that lead to machine pages, or nowhere.
 * A function that is in no space reaches nothing, and what it tries is a fault.
 *
 * Context: the caller lets in one call at a time, for all units. Nothing waits but for a unit's own answer, at most
 * IOMMU_ANSWER_US. Errors: 0 or a negative XEN_Exxx; -XEN_EIO always means that the unit did not answer, and then what it
 * still remembers of its tables is unknown: no page that was unmapped may be given to anybody else.
 * Not promised: that a change is seen before the flush that follows it.
 */
#ifndef AMPHI_IOMMU_H
#define AMPHI_IOMMU_H

#include <amphi/types.h>

#define IOMMU_ANSWER_US 1000000u

/* What a device may do. */
#define IOMMU_READ  1u
#define IOMMU_WRITE 2u

struct iommu;
struct iommu_space;

/* What a unit can. Set when it is found, never changed. */
struct iommu_traits {
	uint8_t address_bits; /* DMA addresses are below 1 << this */
	bool large_2m, large_1g;
	bool interrupts; /* it can check and translate them too */
	uint16_t spaces; /* at most so many at a time */
};

struct iommu_fault {
	uint16_t bdf;
	uint64_t address; /* as the device sent it; of an interrupt its index */
	bool write, interrupt;
	const char *why; /* static: the reason as the manual words it, shortened */
};

/* One unit of a machine: which functions are behind it. */
#define IOMMU_SCOPES 64u
struct iommu_scope {
	uint16_t first_bdf, last_bdf;
};

/* Firmware's word that the requests of these functions come as another's (IVRS). */
#define IOMMU_ALIASES 32u
struct iommu_alias {
	uint16_t first_bdf, last_bdf, sender;
};

/* What firmware keeps for a device, and the device may use before anybody asks (RMRR; unity map of IVRS). Every space that
 * the functions join has to have it at the same addresses. Without rights: no unit translates these addresses, and no space has
 * anything there. */
struct iommu_reserved {
	uint16_t first_bdf, last_bdf;
	uint64_t start, end; /* whole pages; end is not in it */
	unsigned rights;
};

/* Finds the units of a table of firmware and turns them on: from the return on, no function reaches memory unless it is
 * attached or passed. table: len bytes of a DMAR or an IVRS, untrusted; read only during the call. Returns the number of units, -XEN_EINVAL:
 * not such a table, -XEN_ENODEV: none that can be driven, -XEN_EIO, -XEN_ENOMEM; on an error all is as before. */
int iommu_start(const void *table, size_t len);
/* The same for an IBM xSeries with Calgary or CalIOC2: ebda is what there is of its extended BIOS data area (machine address: 16 times the word at
 * 0x40e), where the BIOS says where the chips are. A unit is a bus: it has one space for all functions on it, which see what any of them may see;
 * none of them can be passed. -XEN_ENODEV: no such machine, and nothing was touched. */
int iommu_start_calgary(const void *ebda, size_t len);
/* The n-th unit; NULL beyond the last. */
struct iommu *iommu_get(unsigned n);
/* The unit that a function is behind. NULL: none. */
struct iommu *iommu_of(uint16_t bdf);
const struct iommu_traits *iommu_traits(const struct iommu *unit);
const char *iommu_name(const struct iommu *unit);
/* The n-th thing that is reserved, in all units; NULL beyond the last. */
const struct iommu_reserved *iommu_reserved(unsigned n);
/* The n-th alias, in all units; NULL beyond the last. */
const struct iommu_alias *iommu_alias(unsigned n);

/* ---- senders ---------------------------------------------------------------------------------------
 * A unit knows a function by the number in its requests, which is not always its own: a conventional bus has no numbers of senders, and what comes
 * from it bears the number of the bridge that it leaves by. Functions that have a number in common are one to the unit: they have to be in
 * one space, and have one owner. */

/* The numbers that a function's requests may come as, its own among them; the first is what they and its interrupts do come as, as far as
 * anybody says: firmware, or else the bridges above it. */
#define IOMMU_NAMES 3u
struct iommu_names {
	unsigned n;
	uint16_t name[IOMMU_NAMES];
};
void iommu_names(uint16_t bdf, struct iommu_names *out);
/* The first of them. */
uint16_t iommu_sender(uint16_t bdf);
/* A bridge by whose own number those behind it send: it has nothing to send itself. */
bool iommu_lends(uint16_t bridge);

static inline bool iommu_is_name(const struct iommu_names *of, uint16_t number)
{
	for (unsigned i = 0; i < of->n; i++)
		if (of->name[i] == number)
			return true;
	return false;
}

/* Whether no unit can tell one from the other. */
static inline bool iommu_names_meet(const struct iommu_names *a, const struct iommu_names *b)
{
	for (unsigned i = 0; i < a->n; i++)
		if (iommu_is_name(b, a->name[i]))
			return true;
	return false;
}

/* Whether firmware keeps it for a function that has these numbers: what is a bridge's is of all who send as it. */
static inline bool iommu_is_kept_for(const struct iommu_reserved *r,
				     const struct iommu_names *names)
{
	for (unsigned i = 0; i < names->n; i++)
		if (names->name[i] >= r->first_bdf && names->name[i] <= r->last_bdf)
			return true;
	return false;
}

/* ---- spaces and functions -------------------------------------------------------------------------- */

/* An empty space of this unit, whose tables take at most max_tables pages (its root is one). -XEN_ENOMEM, or
 * -XEN_ENOSPC: the unit has no more. Freed with all that is mapped; -XEN_EBUSY while a function is in it. */
int iommu_space_new(struct iommu *unit, unsigned max_tables, struct iommu_space **out_space);
int iommu_space_free(struct iommu_space *space);
unsigned iommu_space_tables(const struct iommu_space *space);
unsigned iommu_space_functions(const struct iommu_space *space);
/* From now on its tables may take so many pages; what it has more than that it keeps. */
void iommu_space_limit(struct iommu_space *space, unsigned max_tables);

/* A function joins a space; from the return on it sees that and nothing else. -XEN_EXDEV: it is behind another unit;
 * -XEN_EBUSY: it is in a space already, or passed. */
int iommu_attach(struct iommu_space *space, uint16_t bdf);
/* It leaves: from the return on it reaches nothing, and nothing of it is on its way. */
int iommu_detach(struct iommu_space *space, uint16_t bdf);
/* It reaches all memory at machine addresses (it is its owner's to trust), or nothing again. -XEN_EBUSY: it is in a space;
 * -XEN_ENXIO: no unit has it. */
int iommu_pass(uint16_t bdf, bool open);

/* DMA addresses [dma, dma+len) lead to [to, to+len), with rights. All three are multiples of 4 KiB, len > 0. All or nothing.
 * -XEN_EEXIST: something is mapped there already; -XEN_ENOMEM: no memory, or max_tables; -XEN_EINVAL. Where the sizes fit,
 * the unit's large pages are used. No flush is needed after it.
 * -XEN_EIO is not nothing: it is mapped, and the caller's to unmap, but the unit was told in vain. */
int iommu_map(struct iommu_space *space, uint64_t dma, maddr_t to, uint64_t len, unsigned rights);
/* Undoes maps, whole ones: -XEN_ENOENT, with nothing changed, when a page of it is not mapped; -XEN_EINVAL when it would cut a large one.
 * Devices may reach the pages until the flush. */
int iommu_unmap(struct iommu_space *space, uint64_t dma, uint64_t len);
/* Undoes the map of one page of 4 KiB, and says where it led. As iommu_unmap. */
int iommu_take(struct iommu_space *space, uint64_t dma, maddr_t *out_to, unsigned *out_rights);
/* Where dma leads: -XEN_ENOENT: nowhere. */
int iommu_lookup(const struct iommu_space *space, uint64_t dma, maddr_t *out_to,
		 unsigned *out_rights);

/* One entry of the tables. */
struct iommu_piece {
	uint64_t dma; /* IN: from here on; OUT: its first address, which may be below */
	maddr_t to;
	uint64_t len;
	unsigned rights;
};
/* The first that is mapped; false: there is none. */
bool iommu_next(const struct iommu_space *space, struct iommu_piece *piece);

/* After the return devices see the tables as they are: of one page, of a range, of the whole space. -XEN_EIO. */
int iommu_flush_entry(struct iommu_space *space, uint64_t dma);
int iommu_flush_range(struct iommu_space *space, uint64_t dma, uint64_t len);
int iommu_flush_all(struct iommu_space *space);
/* Takes empty tables out of the space, flushes, and gives their memory back. Returns how many they were, or -XEN_EIO. */
int iommu_space_prune(struct iommu_space *space);

/* ---- interrupts ------------------------------------------------------------------------------------
 * Until iommu_interrupts_start(), devices send what messages they like: a write to 0xfee..... is no DMA to a unit. From then on a
 * message means what is mapped for its sender under its number, and else nothing: a function raises no vector but its own, whatever it
 * writes there. The number is the vector itself, so a vector is one sender's at a time. I/O APICs are senders, too. Messages of the
 * units themselves (iommu_fault_interrupt) are not looked at. Not covered: what processors send each other, the old controllers' line. */

/* Turns it on in all units or in none. ioapics: ids (MADT) of the n that the caller uses: each has to be behind a unit. Returns 0,
 * -XEN_EOPNOTSUPP: a unit, or firmware, does not have it, -XEN_ENODEV: nobody says what one of the I/O APICs sends as, -XEN_ENOMEM, -XEN_EIO. */
int iommu_interrupts_start(const uint8_t *ioapics, unsigned n);
bool iommu_interrupts_on(void);

struct iommu_message {
	uint64_t address; /* for the MSI capability, or an entry of MSI-X */
	uint32_t data;
	uint64_t
	    route; /* for an entry of an I/O APIC's: all but trigger, polarity and mask (bits 15, 13, 16), which are the caller's */
};

/* From the return on, *out_message sent by bdf is this vector at the local APIC with the id cpu, fixed and edge. Once more for a vector
 * that bdf has: it goes to another processor, with the same message. Of vectors that are mapped in a row for bdf, as many as a power of 2 and the first
 * a multiple of it, the first one's message means the n-th when n is added to its data, as a function with several plain messages does. -XEN_EBUSY: the vector is another sender's of this unit; -XEN_EINVAL: no such
 * vector (16 and up are) or a cpu beyond 254; -XEN_ENXIO: nobody is asked about bdf's interrupts: it sends as ever; -XEN_ENOMEM, -XEN_EIO. */
int iommu_interrupt_map(uint16_t bdf, uint8_t vector, uint32_t cpu,
			struct iommu_message *out_message);
/* As the above for an input of the I/O APIC with that id; level: as the input's entry says. */
int iommu_ioapic_map(uint8_t ioapic, uint8_t vector, uint32_t cpu, bool level,
		     struct iommu_message *out_message);
/* After the return it raises nothing. -XEN_ENOENT: it is not mapped for this sender; -XEN_EIO: the vector stays taken. */
int iommu_interrupt_unmap(uint16_t bdf, uint8_t vector);
int iommu_ioapic_unmap(uint8_t ioapic, uint8_t vector);
/* All of a function's, when it changes hands. */
int iommu_interrupts_forget(uint16_t bdf);
/* How many are mapped, in all units; those that a unit did not forget among them. */
uint32_t iommu_interrupts_used(void);

/* The next fault of any unit that nobody was told yet; false: there is none. May be called from an interrupt's handler's
 * worker, as often as wished. When a unit lost some since, *out_lost is set. */
bool iommu_fault(struct iommu_fault *out_fault, bool *out_lost);
/* From now on each unit sends this message-signalled interrupt when it has a fault to tell. */
void iommu_fault_interrupt(uint64_t address, uint32_t data);

#endif
