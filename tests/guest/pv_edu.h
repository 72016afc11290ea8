/* pv_edu.h: QEMU's device `edu` (1234:11e8) in the hands of a test guest: it copies a page to or from any address it is told.
 *
 * For the first domain: functions are looked for by the configuration ports. The device does a copy a tenth of a second after it was told to.
 * Used by pv_iommu.c and pv_iospace.c.
 */
#ifndef GUEST_PV_EDU_H
#define GUEST_PV_EDU_H

#include "pv.h"

#define FRAME       4096u
#define PATTERN     0x5a
#define EDU_LENGTH  4088u /* the device does not take all of its page at once */
#define EDU_ID      0x11e81234u
#define EDU_WAIT_NS 3000000000ull
#define EDU_MAX     4u

struct edu {
	uint32_t bdf;
	volatile uint8_t *bar;
};

static uint8_t edu_shared_page[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t edu_bars[EDU_MAX][FRAME] __attribute__((aligned(4096)));
static unsigned edus;
static const struct start_info *edu_info;

static inline uint64_t edu_frame(const volatile void *p)
{
	return ((const uint64_t *)edu_info->mfn_list)[(uint64_t)p >> 12];
}

static inline uint64_t edu_now(void)
{
	return clock_of(&((struct shared_info *)edu_shared_page)->vcpu_info[0].time);
}

static inline uint32_t edu_config(uint32_t bdf, uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("outl %0, %w1" ::"a"(1u << 31 | bdf << 8 | offset), "d"(0xcf8));
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(0xcfc));
	return value;
}

/* First of all. */
static inline int edu_begin(const struct start_info *si)
{
	struct physdev_set_iopl iopl = {.iopl = 1};

	edu_info = si;
	return !hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)edu_shared_page,
			  si->shared_info | 0x67, UVMF_INVLPG, 0) &&
	       !hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (uint64_t)&iopl, 0, 0);
}

/* The first at or after this place on its bus: its registers are mapped, it may be bus master. */
static inline int edu_find(struct edu *out, uint32_t from)
{
	uint32_t bdf = from, end = (from | 255) + 1;

	while (bdf < end && edu_config(bdf, 0) != EDU_ID)
		bdf++;
	if (bdf == end || edus == EDU_MAX)
		return 0;
	(void)edu_config(bdf, 4);
	__asm__ volatile("outl %0, %w1" ::"a"(6), "d"(0xcfc));
	*out = (struct edu){bdf, edu_bars[edus++]};
	return hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)out->bar,
			 (edu_config(bdf, 16) & ~15u) | 0x73, UVMF_INVLPG, 0) == 0;
}

static inline volatile uint64_t *edu_reg(const struct edu *e, unsigned offset)
{
	return (volatile uint64_t *)(e->bar + offset);
}

/* A page from the device's own memory to `address`, or the other way. */
static inline void edu_copy(const struct edu *e, uint64_t address, int to_memory)
{
	uint64_t end_ns = edu_now() + EDU_WAIT_NS;

	*edu_reg(e, 0x80) = to_memory ? 0x40000 : address;
	*edu_reg(e, 0x88) = to_memory ? address : 0x40000;
	*edu_reg(e, 0x90) = EDU_LENGTH;
	*edu_reg(e, 0x98) = to_memory ? 3 : 1;
	while ((*edu_reg(e, 0x98) & 1) && edu_now() < end_ns)
		hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
}

static inline void edu_fill(volatile uint8_t *page, uint8_t byte)
{
	for (unsigned i = 0; i < FRAME; i++)
		page[i] = byte;
}

static inline int edu_all(const volatile uint8_t *page, uint8_t byte)
{
	unsigned i = 0;

	while (i < EDU_LENGTH && page[i] == byte)
		i++;
	return i == EDU_LENGTH;
}

#endif
