/* vtd.h: one unit of Intel's VT-d: its registers, its tables, and the queue by which it is told to forget.
 *
 * Private to iommu/vtd*.c. Numbers are those of the VT-d specification 4.1, chapters 9 (tables), 6.5 (queue) and 11 (registers).
 */
#ifndef IOMMU_VTD_H
#define IOMMU_VTD_H

#include "iommu_ops.h"

/* Registers. */
enum {
	VTD_VER = 0x00,
	VTD_CAP = 0x08,
	VTD_ECAP = 0x10,
	VTD_GCMD = 0x18,
	VTD_GSTS = 0x1c,
	VTD_RTADDR = 0x20,
	VTD_FSTS = 0x34,
	VTD_FECTL = 0x38,
	VTD_FEDATA = 0x3c,
	VTD_FEADDR = 0x40,
	VTD_FEUADDR = 0x44,
	VTD_PMEN = 0x64,
	VTD_IQH = 0x80,
	VTD_IQT = 0x88,
	VTD_IQA = 0x90,
	VTD_IRTA = 0xb8,
};
#define VTD_REGISTERS_BYTES 4096u

/* Of GCMD and GSTS. */
#define VTD_TRANSLATE (1u << 31)
#define VTD_ROOT      (1u << 30)
#define VTD_QUEUE     (1u << 26)
#define VTD_IRQ       (1u << 25)
#define VTD_IRQ_TABLE (1u << 24)

/* Of FSTS: faults were lost; the queue stopped at a request it does not know, or that nobody answered. */
#define VTD_FAULTS_LOST  (1u << 0)
#define VTD_QUEUE_FAILED (7u << 4)

struct vtd_entry { /* of the root's table and the buses' (9.1, 9.3); of the queue */
	uint64_t low, high;
};

#define VTD_BUSES 256u
struct vtd {
	struct iommu unit;
	volatile void *regs;
	uint64_t cap, ecap;
	bool noncoherent;
	struct vtd_entry *root;
	struct vtd_entry
	    *bus[VTD_BUSES];     /* a page each, NULL until a function of it is in a space */
	struct vtd_entry *queue; /* a page: 256 requests */
	unsigned tail;
	uint32_t *answer; /* behind the requests, in a page of its own */
	maddr_t answer_at;
	uint32_t asked;
	unsigned fault_offset, n_faults, fault_next;
	struct vtd_entry
	    *interrupts; /* a page: one for each vector; NULL: they are not looked at */
	maddr_t interrupts_at;
};

/* Waits until GSTS says so. -XEN_EIO. */
int vtd_command(struct vtd *v, uint32_t bit, bool on);
/* The unit has seen what was written at p. */
void vtd_clean(const struct vtd *v, const void *p, size_t len);

/* vtd_queue.c. Memory and registers of the queue; then it is on. */
int vtd_queue_start(struct vtd *v);
void vtd_queue_stop(struct vtd *v);
int vtd_forget_all(struct vtd *v);
/* What is known of a function's entry, and of the space it was in. */
int vtd_forget_function(struct vtd *v, uint16_t number, uint16_t bdf);
/* len 0: the whole space. */
int vtd_forget_pages(struct vtd *v, uint16_t number, uint64_t dma, uint64_t len, bool tables);

/* Of one vector; NULL: of all. */
int vtd_forget_interrupts(struct vtd *v, const uint8_t *vector);

/* vtd_interrupt.c. */
int vtd_interrupts(struct iommu *unit, bool on);
int vtd_interrupts_stop(struct vtd *v);
int vtd_interrupt(struct iommu *unit, uint16_t from, uint8_t vector, const struct iommu_target *to);
struct iommu_message vtd_message(uint8_t vector);

/* vtd_fault.c. */
bool vtd_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost);
void vtd_fault_interrupt(struct iommu *unit, uint64_t address, uint32_t data);

#endif
