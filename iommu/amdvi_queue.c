/* amdvi_queue.c: tells an AMD-Vi unit what to forget, waits until it has, and reads what it refused (2.4, 2.5).
 *
 * Callers: amdvi.c and, by its ops, iommu.c. Commands go into a page that the unit reads; the last of each batch has it write a number into memory, and
 * the batch is done when the number is there. Events come in a page that the unit writes.
 */
#include <amphi/host_iommu.h>
#include <amphi/xen.h>

#include "amdvi.h"

/* Commands (2.4). */
#define WAIT              (1ull << 60)
#define FORGET_DEVICE     (2ull << 60)
#define FORGET_PAGES      (3ull << 60)
#define FORGET_INTERRUPTS (5ull << 60)
#define WAIT_STORE        1u
#define NUMBER(n)         ((uint64_t)(n) << 32)
#define PAGES_SEVERAL     1u
#define PAGES_TABLES      2u
#define EVERY_PAGE        0x7ffffffffffff000ull
#define BUFFER_SIZE       (8ull << 56) /* 2^8 entries */

/* Events (2.5). */
#define EVENT_KIND(low)    ((unsigned)((low) >> 60))
#define EVENT_INTERRUPT(l) ((l) >> 51 & 1)
#define EVENT_PRESENT(l)   ((l) >> 52 & 1)
#define EVENT_WRITE(l)     ((l) >> 53 & 1)
enum {
	DEVICE_ENTRY = 1,
	PAGE_FAULT,
	DEVICE_READ,
	TABLE_READ,
	COMMAND_WRONG,
	COMMAND_READ,
	NO_ANSWER,
	REQUEST_WRONG
};

static void put(struct amdvi *a, uint64_t low, uint64_t high)
{
	a->commands[a->tail] = (struct amdvi_entry){low, high};
	a->tail = (a->tail + 1) % AMDVI_BUFFER_ENTRIES;
}

static int finish(struct amdvi *a)
{
	uint64_t want = ++a->asked;

	put(a, WAIT | WAIT_STORE | a->answer_at.v, want);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	host_iommu_write64(a->regs, AMDVI_COMMAND_TAIL, a->tail * sizeof(struct amdvi_entry));
	for (unsigned us = 0; us < IOMMU_ANSWER_US; us++) {
		if (__atomic_load_n(a->answer, __ATOMIC_ACQUIRE) == want)
			return 0;
		host_iommu_pause();
	}
	host_iommu_log("%s does not do what its buffer asks: status %llx", a->unit.name,
		       (unsigned long long)host_iommu_read64(a->regs, AMDVI_STATUS));
	return -XEN_EIO;
}

int amdvi_queue_start(struct amdvi *a)
{
	maddr_t commands, events;

	a->commands = host_iommu_pages(1, &commands);
	a->events = host_iommu_pages(1, &events);
	a->answer = host_iommu_pages(1, &a->answer_at);
	if (!a->commands || !a->events || !a->answer)
		return -XEN_ENOMEM;
	host_iommu_write64(a->regs, AMDVI_COMMANDS, commands.v | BUFFER_SIZE);
	host_iommu_write64(a->regs, AMDVI_EVENTS, events.v | BUFFER_SIZE);
	host_iommu_write64(a->regs, AMDVI_COMMAND_HEAD, 0);
	host_iommu_write64(a->regs, AMDVI_COMMAND_TAIL, 0);
	host_iommu_write64(a->regs, AMDVI_EVENT_HEAD, 0);
	host_iommu_write64(a->regs, AMDVI_EVENT_TAIL, 0);
	return 0;
}

void amdvi_queue_stop(struct amdvi *a)
{
	void *pages[] = {a->commands, a->events, a->answer};

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i])
			host_iommu_pages_free(pages[i], 1);
}

int amdvi_forget_device(struct amdvi *a, uint16_t number, uint16_t bdf)
{
	put(a, FORGET_DEVICE | bdf, 0);
	put(a, FORGET_PAGES | NUMBER(number), EVERY_PAGE | PAGES_SEVERAL | PAGES_TABLES);
	return finish(a);
}

/* How many pages one command is for is told by the lowest bit of the address that is not set, above which is the address: a range is
 * widened to the power of two that holds it. */
static uint64_t several(uint64_t dma, uint64_t len)
{
	unsigned order = 1;

	while ((dma >> PAGE_SHIFT >> order) != ((dma + len - 1) >> PAGE_SHIFT >> order))
		order++;
	if (order > 50)
		return EVERY_PAGE | PAGES_SEVERAL;
	return ((dma & ~((PAGE_SIZE << order) - 1)) | ((PAGE_SIZE << (order - 1)) - PAGE_SIZE)) |
	       PAGES_SEVERAL;
}

int amdvi_forget_pages(struct amdvi *a, uint16_t number, uint64_t dma, uint64_t len, bool tables)
{
	uint64_t what = EVERY_PAGE | PAGES_SEVERAL;

	if (len)
		what = len == PAGE_SIZE ? dma : several(dma, len);
	put(a, FORGET_PAGES | NUMBER(number), what | (tables || !len ? PAGES_TABLES : 0));
	return finish(a);
}

int amdvi_forget_interrupts(struct amdvi *a, uint16_t bdf, bool device)
{
	if (device)
		put(a, FORGET_DEVICE | bdf, 0);
	put(a, FORGET_INTERRUPTS | bdf, 0);
	return finish(a);
}

#define DEVICES_AT_ONCE 32u

/* Newer units have one command for all (2.4.8); those that have not are as good as they. */
int amdvi_forget_devices(struct amdvi *a)
{
	int err = 0;

	for (unsigned bdf = 0; bdf < AMDVI_DEVICES_ALL && !err; bdf++) {
		put(a, FORGET_DEVICE | bdf, 0);
		put(a, FORGET_INTERRUPTS | bdf, 0);
		if (bdf % DEVICES_AT_ONCE == DEVICES_AT_ONCE - 1)
			err = finish(a);
	}
	return err;
}

/* ---- events ---------------------------------------------------------------------------------------- */

static const char *reason(uint64_t low)
{
	switch (EVENT_KIND(low)) {
	case 0:
		return "a record that does not say what"; /* a model's, not a unit's */
	case DEVICE_ENTRY:
		return "a wrong entry of the function";
	case PAGE_FAULT:
		return EVENT_PRESENT(low) ? "no right to it" : "nothing is mapped";
	case DEVICE_READ:
		return "a table of functions that cannot be read";
	case TABLE_READ:
		return "a table that cannot be read";
	case COMMAND_WRONG:
	case COMMAND_READ:
		return "a command that is wrong";
	case NO_ANSWER:
		return "it does not answer";
	case REQUEST_WRONG:
		return "a request that is not allowed";
	}
	return "a reason of another number";
}

bool amdvi_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost)
{
	struct amdvi *a = container_of(unit, struct amdvi, unit);
	unsigned tail =
	    (unsigned)host_iommu_read64(a->regs, AMDVI_EVENT_TAIL) / 16 % AMDVI_BUFFER_ENTRIES;
	struct amdvi_entry *entry;
	uint64_t low, status = host_iommu_read64(a->regs, AMDVI_STATUS);

	*out_lost |= status & AMDVI_EVENTS_LOST;
	/* Written with 1 is cleared, and the next event interrupts again. */
	host_iommu_write64(a->regs, AMDVI_STATUS,
			   status & (AMDVI_EVENTS_LOST | AMDVI_EVENT_INTERRUPT));
	entry = &a->events[a->event_head];
	/* A model of a unit may write an event and not move the tail; entries are zero until they are events. */
	low = __atomic_load_n(&entry->low, __ATOMIC_ACQUIRE);
	if (a->event_head == tail && !low)
		return false;
	*out_fault = (struct iommu_fault){
	    .bdf = (uint16_t)low,
	    .address = EVENT_KIND(low) ? entry->high : 0,
	    .interrupt = EVENT_KIND(low) == PAGE_FAULT && EVENT_INTERRUPT(low),
	    .write = EVENT_WRITE(low),
	    .why = reason(low),
	};
	*entry = (struct amdvi_entry){0};
	a->event_head = (a->event_head + 1) % AMDVI_BUFFER_ENTRIES;
	host_iommu_write64(a->regs, AMDVI_EVENT_HEAD, a->event_head * sizeof(struct amdvi_entry));
	return true;
}

void amdvi_fault_interrupt(struct iommu *unit, uint64_t address, uint32_t data)
{
	struct amdvi *a = container_of(unit, struct amdvi, unit);
	uint64_t control = host_iommu_read64(a->regs, AMDVI_CONTROL);

	host_iommu_msi(a->bdf, address, data);
	host_iommu_write64(a->regs, AMDVI_CONTROL, control | AMDVI_EVENT_INTERRUPTS);
}
