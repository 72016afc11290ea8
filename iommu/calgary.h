/* calgary.h: one bus of IBM's Calgary or CalIOC2: its registers, and the table of what its devices see.
 *
 * Private to iommu/calgary*.c. The chip has four PCI host bridges, each with a table of its own; each is a unit here. No manual was published: numbers
 * are those that Linux's driver used until 5.3. All registers are big-endian, and so are the table's entries. No such machine was at hand:
 * what is here was seen working on a model of the registers only (calgary_test).
 */
#ifndef IOMMU_CALGARY_H
#define IOMMU_CALGARY_H

#include "iommu_ops.h"

#define CALGARY_ID              0x02a11014u /* of the host bridge, 00.0 of its bus: device and vendor */
#define CALIOC2_ID              0x03081014u
#define CALGARY_BRIDGES         4u
#define CALGARY_REGISTERS_BYTES 0x100000u
#define CALGARY_HOLES           3u

/* Registers of bridge n, in the chip's. */
#define CALGARY_TABLE(n)  (0x0580u + 8 * (n))      /* 64 bits: where, how large */
#define CALGARY_BUSES(n)  (0x4020u + 0x1000 * (n)) /* the buses behind it */
#define CALGARY_SPLIT(n)  (0x4870u + 0x1000 * (n)) /* 64 bits: what is on its way */
#define CALGARY_BRIDGE(n) (0x8000u + 0x1000 * (n)) /* where those below begin */
enum {
	CALGARY_STATUS = 0x110,
	CALGARY_PLSSR = 0x120,
	CALGARY_CONFIG = 0x160,
	CALGARY_MEM_1_LOW = 0x190,
	CALGARY_MEM_1_HIGH = 0x1a0,
	CALGARY_MEM_1_SIZE = 0x1c0,
	CALGARY_ARBITRATION = 0x200,
	CALGARY_MEM_2_LOW = 0x2b0,
	CALGARY_MEM_2_HIGH = 0x2c0,
	CALGARY_MEM_2_SIZE_HIGH = 0x2d0,
	CALGARY_MEM_2_SIZE_LOW = 0x2e0,
	CALIOC2_MIGRATION_STATE = 0xda0,
	CALIOC2_MIGRATION = 0xda8,
	CALIOC2_SAVIOR = 0xdb0,
};

/* Of CONFIG. */
#define CALGARY_TRANSLATE 0x20000000u
#define CALGARY_SLOTS_OFF 0x1c000000u
#define CALGARY_NO_DAC                                                                             \
	0x01000000u /* no addresses of more than 32 bits, which would not be translated */
#define CALGARY_MEM_2_ON 0x00400000u
#define CALGARY_REPORTS  0x00100000u
/* Of STATUS: all but which agent it was, which says something only with one of these. */
#define CALGARY_ERRORS 0xffe0ffffu
/* Of MIGRATION, and of its STATE. */
#define CALIOC2_SOFT_STOP   0x80000000u
#define CALIOC2_STOP_FAILED 0x40000000u
#define CALIOC2_SAVIOR_FIX  0x00800000u
/* Of TABLE: what is ours to say; the size is the order over 64 KiB. */
#define CALGARY_TABLE_BITS        0x0000ffffffff800full
#define CALGARY_SIZES             8u
#define CALGARY_TABLE_BYTES(size) (0x10000u << (size))
#define CALGARY_ENTRIES(size)     (CALGARY_TABLE_BYTES(size) / 8)

/* Addresses that the bridge does not translate, or takes for its devices' memory. */
struct calgary_hole {
	uint64_t start, end;
};

/* A table, and what was taken for it so that it lies on a border of its size. */
struct calgary_table {
	uint64_t *entries;
	maddr_t where;
	void *pages;
	unsigned size;
};

struct calgary {
	struct iommu unit;
	struct io_table_other kind; /* of its space's table */
	volatile void *regs;
	unsigned bridge; /* of the chip's */
	uint8_t bus;     /* the first behind it */
	bool is_calioc2;
	struct calgary_table table;   /* its one space's */
	struct calgary_table nothing; /* seen while no function is in the space */
	unsigned n_functions, n_holes;
	struct calgary_hole holes[CALGARY_HOLES];
};

/* calgary_table.c. -XEN_ENOMEM. */
int calgary_table_new(struct calgary_table *t, unsigned size);
void calgary_table_free(struct calgary_table *t);
/* The space's table is c's. */
void calgary_shape(struct iommu *unit, struct io_table *t);

/* calgary_bus.c. 32 bits of the bridge's registers. */
uint32_t calgary_get(const struct calgary *c, unsigned reg);
void calgary_set(const struct calgary *c, unsigned reg, uint32_t value);
void calgary_read_holes(struct calgary *c);
/* From the return on the bus sees this table, and nothing is remembered of what was there before. -XEN_EIO: it does not come to rest. */
int calgary_show(const struct calgary *c, const struct calgary_table *t);
void calgary_translate(const struct calgary *c, bool on);
bool calgary_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost);

#endif
