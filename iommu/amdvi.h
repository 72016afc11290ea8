/* amdvi.h: one unit of AMD-Vi: its registers, the table of devices, and the buffers of commands and of events.
 *
 * Private to iommu/amdvi*.c. Numbers are those of AMD's I/O Virtualization Technology specification 3.08, chapters 2 (tables, commands, events) and 3 (registers).
 */
#ifndef IOMMU_AMDVI_H
#define IOMMU_AMDVI_H

#include "iommu_ops.h"

enum {
	AMDVI_DEVICES = 0x00,
	AMDVI_COMMANDS = 0x08,
	AMDVI_EVENTS = 0x10,
	AMDVI_CONTROL = 0x18,
	AMDVI_FEATURES = 0x30,
	AMDVI_COMMAND_HEAD = 0x2000,
	AMDVI_COMMAND_TAIL = 0x2008,
	AMDVI_EVENT_HEAD = 0x2010,
	AMDVI_EVENT_TAIL = 0x2018,
	AMDVI_STATUS = 0x2020,
};
#define AMDVI_REGISTERS_BYTES 0x4000u

/* Of CONTROL, and of STATUS. */
#define AMDVI_ON               (1u << 0)
#define AMDVI_EVENTS_ON        (1u << 2)
#define AMDVI_EVENT_INTERRUPTS (1u << 3)
#define AMDVI_COMMANDS_ON      (1u << 12)
#define AMDVI_EVENTS_LOST      (1u << 0)
#define AMDVI_EVENT_INTERRUPT  (1u << 1)

struct amdvi_device { /* 2.2.2.1 */
	uint64_t table, number, interrupts, reserved;
};
struct amdvi_entry { /* of both buffers */
	uint64_t low, high;
};
#define AMDVI_DEVICES_ALL    65536u
#define AMDVI_DEVICE_PAGES   ((unsigned)PAGES_FOR(AMDVI_DEVICES_ALL * sizeof(struct amdvi_device)))
#define AMDVI_BUFFER_ENTRIES 256u /* a page each */

struct amdvi {
	struct iommu unit;
	volatile void *regs;
	uint16_t bdf;
	struct amdvi_device *devices;
	struct amdvi_entry *commands, *events;
	unsigned tail, event_head;
	uint64_t *answer, asked;
	maddr_t answer_at;
	/* The table of those that are in no space: nothing is in it, so that what they try is an event. */
	void *nothing;
	maddr_t nothing_at;
};

/* amdvi_queue.c. Buffers, and their registers; then commands are taken. */
int amdvi_queue_start(struct amdvi *a);
void amdvi_queue_stop(struct amdvi *a);
int amdvi_forget_device(struct amdvi *a, uint16_t number, uint16_t bdf);
/* len 0: the whole space. */
int amdvi_forget_pages(struct amdvi *a, uint16_t number, uint64_t dma, uint64_t len, bool tables);
/* device: its entry, too. */
int amdvi_forget_interrupts(struct amdvi *a, uint16_t bdf, bool device);
/* The entries of all devices, and their interrupts. */
int amdvi_forget_devices(struct amdvi *a);
bool amdvi_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost);
void amdvi_fault_interrupt(struct iommu *unit, uint64_t address, uint32_t data);

/* amdvi_interrupt.c. */
int amdvi_interrupts(struct iommu *unit, bool on);
void amdvi_interrupts_free(struct amdvi *a);
int amdvi_interrupt(struct iommu *unit, uint16_t from, uint8_t vector,
		    const struct iommu_target *to);
struct iommu_message amdvi_message(uint8_t vector);

#endif
