/* commands_dma.c: the shell's command that says how devices reach memory, and tries what they may not.
 *
 * Caller: shell.c. Calls dma.h, iommu.h in the worker. A map that is no more undone than made grows here: what a driver shares with its
 * device for good is the difference when nothing is in flight. `dma send` has QEMU's teaching device (edu), which no driver of ours has, send
 * messages that it was given and that it was not.
 */
#include <amphi/dma.h>
#include <amphi/host_iommu.h>
#include <amphi/iommu.h>
#include <amphi/machine.h>
#include <amphi/pci_name.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "lapic.h"
#include "shell.h"
#include "trap.h"
#include "worker.h"

/* "shared" is what is not the common case: a map for which the processor's own area had no slot. */
static void list_pool(void)
{
	struct dma_pool_counts p;

	dma_pool_count(&p);
	if (p.bytes)
		console_printf(
		    "swiotlb: %llu of %llu KiB in use, at most %llu; %u areas, %llu "
		    "maps, %llu shared, %llu refused\n",
		    (unsigned long long)p.used_bytes >> 10, (unsigned long long)p.bytes >> 10,
		    (unsigned long long)p.max_bytes >> 10, p.areas, (unsigned long long)p.maps,
		    (unsigned long long)p.shared, (unsigned long long)p.full);
}

static int list(void *ctx)
{
	struct dma_counts c;

	console_printf("device  layer           maps       unmaps      flushes tables wrong\n");
	for (unsigned n = 0; dma_count(n, &c); n++)
		console_printf("%02x:%02x.%x %-7s %12llu %12llu %12llu %6u %5llu\n", c.bdf >> 8,
			       c.bdf >> 3 & 31, c.bdf & 7, c.layer, (unsigned long long)c.maps,
			       (unsigned long long)c.unmaps, (unsigned long long)c.flushes,
			       c.tables, (unsigned long long)c.wrong);
	list_pool();
	return 0;
}

bool commands_bdf(const char *text, uint16_t *out_bdf)
{
	char whole[16] = "0000:";
	struct pci_name name;

	if (!str_copy(whole + 5, sizeof(whole) - 5, text) || !pci_name_parse(whole, &name))
		return false;
	*out_bdf = (uint16_t)(name.bus << 8 | name.devfn);
	return true;
}

static int cut(void *ctx)
{
	const uint16_t *bdf = ctx;

	return dma_cut(*bdf);
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* docs/specs/edu of QEMU: its id, and the registers by which it raises an interrupt and takes it back. */
#define EDU             0x11e81234u
#define EDU_RAISE       0x60u
#define EDU_TAKE_BACK   0x64u
#define REG_COMMAND     0x04u
#define REG_BAR         0x10u
#define COMMAND_DMA_MEM 6u
#define ARRIVES_US      20000u

struct sending {
	uint16_t bdf;
	const char *whose;
	uint8_t vector;
	struct iommu_message message;
};

static unsigned n_arrived;

static void arrived(void *ctx)
{
	n_arrived++;
}

static int raise(const struct sending *s)
{
	volatile uint32_t *regs;

	if (machine_pci_read(s->bdf, 0, 4) != EDU)
		return -XEN_ENODEV;
	regs = machine_mmio_map((maddr_t){machine_pci_read(s->bdf, REG_BAR, 4) & ~15u}, PAGE_SIZE);
	if (!regs)
		return -XEN_ENOMEM;
	machine_pci_write(s->bdf, REG_COMMAND, 2,
			  machine_pci_read(s->bdf, REG_COMMAND, 2) | COMMAND_DMA_MEM);
	host_iommu_msi(s->bdf, s->message.address, s->message.data);
	regs[EDU_RAISE / 4] = 1;
	machine_delay_us(ARRIVES_US);
	regs[EDU_TAKE_BACK / 4] = 1;
	machine_mmio_unmap((void *)(uintptr_t)regs, PAGE_SIZE);
	return 0;
}

/* The message of a vector that is the function's own, its neighbour's, nobody's any more; or one as it would be without a unit. */
static int prepare(struct sending *s)
{
	uint32_t cpu = lapic_read(LAPIC_ID) >> 24;
	bool is_own = strcmp(s->whose, "neighbours");
	uint16_t owner = is_own ? iommu_sender(s->bdf) : s->bdf ^ 8;
	int err = iommu_interrupt_map(owner, s->vector, cpu, &s->message);

	if (!err && strcmp(s->whose, "own") && is_own)
		err = iommu_interrupt_unmap(owner, s->vector);
	if (!strcmp(s->whose, "plain"))
		s->message =
		    (struct iommu_message){.address = 0xfee00000u | cpu << 12, .data = s->vector};
	/* Where nobody looks at messages, only this one means something. */
	return err == -XEN_ENXIO && !strcmp(s->whose, "plain") ? 0 : err;
}

/* In the worker. */
static int send(void *ctx)
{
	static uint8_t vector;
	struct sending *s = ctx;
	unsigned before = n_arrived;
	int err = vector ? 0 : irq_vector_alloc(arrived, NULL, &vector);

	s->vector = vector;
	if (!err)
		err = prepare(s);
	if (!err)
		err = raise(s);
	(void)iommu_interrupt_unmap(iommu_sender(s->bdf), vector);
	(void)iommu_interrupt_unmap(s->bdf ^ 8, vector);
	if (!err)
		console_printf("@dma send %s %s\n", s->whose,
			       n_arrived != before ? "arrived" : "nothing");
	return err;
}

static int dma_command(int argc, char **argv)
{
	struct sending s = {0};
	uint16_t bdf;

	if (argc == 1)
		return worker_call(list, NULL);
	if (argc < 3 || !commands_bdf(argv[2], &bdf))
		return -XEN_EINVAL;
	if (argc == 3 && !strcmp(argv[1], "cut"))
		return worker_call(cut, &bdf);
	if (argc != 4 || strcmp(argv[1], "send"))
		return -XEN_EINVAL;
	s.bdf = bdf;
	s.whose = argv[3];
	return worker_call(send, &s);
}

void commands_dma_add(void)
{
	static const struct shell_command table[] = {
	    {"dma", "[cut BUS:DEV.FN | send BUS:DEV.FN own|neighbours|none|plain]",
	     "how each device reaches memory; takes it from one; has an edu send a message",
	     dma_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}
