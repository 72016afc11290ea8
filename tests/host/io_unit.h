/* io_unit.h: two units of a fake machine, and the registry of its functions, for tests of amphi-hv's IO spaces.
 *
 * The units are the ops beneath the real iommu/iommu.c: they keep each translation that a device once used until they are told to
 * forget it, as a real one may. The registry stands in for hypervisor/iommu_device.c: functions that the test gives to domains.
 */
#ifndef TESTS_IO_UNIT_H
#define TESTS_IO_UNIT_H

#include <amphi/types.h>

struct domain;

struct io_unit {
	bool silent;            /* neither answers: detach and flush fail, and change nothing */
	bool remembers_nothing; /* has to be told of maps, too */
	bool off;               /* iommu_is_on() is false */
	unsigned flushes;
};
extern struct io_unit io_unit;

/* Once: functions below 0x100 are behind the first unit, those up to 0x1ff behind the second. Bytes [0x1ffff000, 0x20002000) are
 * reserved behind the first. */
void io_unit_start(void);

void io_unit_give(uint16_t bdf, struct domain *d);
/* All of d's functions leave their spaces and are nobody's; the units answer for that. */
void io_unit_take(struct domain *d);

/* What a device gets at: the frame, or IO_UNIT_NOTHING. Ends the program when the frame is nobody's. */
#define IO_UNIT_NOTHING (~0ull)
uint64_t io_unit_reach(uint16_t bdf, uint64_t dma, bool write);

/* Puts firmware's pages into a context of d's, as the registry does for a function that they are for. */
void io_unit_reserve(uint32_t context, struct domain *d);

#endif
