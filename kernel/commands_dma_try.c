/* commands_dma_try.c: the shell's command that has a device write where it may not, and looks whether it did.
 *
 * Caller: shell.c. Calls drivers.h, dma.h, host.h's grants in the worker. The page that others aim at is the victim's (commands_dma_page.c).
 * An NVMe controller of this domain's writes 4 KiB, or an e1000e takes its ring from there and writes to that (drivers.h), at:
 *
 *	address 0xADDRESS	anywhere
 *	mapped			a page of ours, mapped for this device: it gets there, or the others mean nothing
 *	unmapped		that, unmapped again
 *	flushed			that, after as many other unmaps as may wait for their flush
 *	other FUNCTION		a page of ours, mapped for another device of ours
 *	granted DOMAIN REF	a page of that domain's, while it is mapped by its grant: it gets there, too
 *	readonly DOMAIN REF	one that was granted for reading, and is mapped so
 *	storm 0xADDRESS COUNT	anywhere, again and again, until the device does nothing any more
 */
#include <amphi/dma.h>
#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "dma_page.h"
#include "mm.h"
#include "shell.h"
#include "worker.h"

struct trial {
	const struct aim *aim;
	uint16_t bdf, whose; /* who writes; for whom the page is mapped */
	uint64_t dma, count;
	uint8_t *page; /* that it aims at; NULL: it is somebody's */
	struct host_grant_map grant;
};

struct aim {
	const char *name;
	int argc;
	bool (*parse)(char **argv, struct trial *t);
	int (*run)(void *trial); /* in the worker */
	bool is_ours;            /* it needs a page */
};

/* ---- the device ------------------------------------------------------------------------------------ */

static const struct dma_device *device(uint16_t bdf)
{
	const struct dma_device *nvme = nvme_dma_device(bdf);

	return nvme ? nvme : e1000e_dma_device(bdf);
}

static int tell(const struct trial *t)
{
	return nvme_dma_device(t->bdf) ? nvme_tell_at(t->bdf, t->dma)
				       : e1000e_tell_at(t->bdf, t->dma);
}

/* Where a page of ours is to this device, once it is mapped for whom. */
static int map(const struct dma_device *whose, struct trial *t, enum dma_direction dir)
{
	dma_addr_t at;
	int err = dma_map(whose, t->page, PAGE_SIZE, dir, &at);

	t->dma = at.v;
	return err;
}

static void unmap(const struct dma_device *whose, const struct trial *t, enum dma_direction dir)
{
	dma_unmap(whose, (dma_addr_t){t->dma}, PAGE_SIZE, dir);
}

/* Makes all that waits for a flush have it. */
static int flush(const struct dma_device *whose)
{
	struct trial t = {.page = pages_alloc(1)};
	int err = t.page ? 0 : -XEN_ENOMEM;

	for (unsigned i = 0; !err && i <= DMA_LAZY_MAX; i++) {
		err = map(whose, &t, DMA_FROM_DEVICE);
		if (!err)
			unmap(whose, &t, DMA_FROM_DEVICE);
	}
	if (t.page)
		pages_free(t.page, 1);
	return err;
}

/* What it says is no measure: some are done with a write that got nowhere. */
static int fire(const struct trial *t)
{
	int err = tell(t);

	console_printf("@dma-try %s 0x%llx: the device says %s\n", t->aim->name,
		       (unsigned long long)t->dma, err ? "error" : "done");
	return err == -XEN_EIO ? 0 : err;
}

static void look(const struct trial *t)
{
	console_printf("@dma-try %s: the page is %s\n", t->aim->name,
		       dma_page_is_filled(t->page) ? "as it was" : "written");
}

/* ---- trials ---------------------------------------------------------------------------------------- */

static int at_address(void *ctx)
{
	return fire(ctx);
}

static int at_mapped(void *ctx)
{
	struct trial *t = ctx;
	const struct dma_device *whose = device(t->whose);
	int err = whose ? map(whose, t, DMA_BOTH) : -XEN_ENODEV;

	if (err)
		return err;
	dma_page_fill(t->page);
	err = fire(t);
	unmap(whose, t, DMA_BOTH);
	look(t);
	return err;
}

static int at_left(struct trial *t, int (*then)(const struct dma_device *whose))
{
	const struct dma_device *whose = device(t->bdf);
	int err = whose ? map(whose, t, DMA_BOTH) : -XEN_ENODEV;

	if (err)
		return err;
	unmap(whose, t, DMA_BOTH);
	err = then ? then(whose) : 0;
	dma_page_fill(t->page);
	err = err ? err : fire(t);
	look(t);
	return err;
}

static int at_unmapped(void *ctx)
{
	return at_left(ctx, NULL);
}

static int at_flushed(void *ctx)
{
	return at_left(ctx, flush);
}

/* It is looked at where it is mapped for the processor; its owner looks for himself. */
static int at_granted(void *ctx)
{
	struct trial *t = ctx;
	const struct dma_device *whose = device(t->bdf);
	enum dma_direction dir = t->grant.readonly ? DMA_TO_DEVICE : DMA_BOTH;
	int err = whose ? host_grants_map(&t->grant, 1) : -XEN_ENODEV;

	if (!err && t->grant.status != GNTST_okay)
		err = -XEN_EACCES;
	if (err)
		return err;
	t->page = t->grant.page;
	err = map(whose, t, dir);
	if (!err) {
		err = fire(t);
		look(t);
		unmap(whose, t, dir);
	}
	host_grants_unmap(&t->grant, 1);
	t->page = NULL;
	return err;
}

static int storm(void *ctx)
{
	struct trial *t = ctx;
	uint64_t n = 0;
	int err;

	do
		err = tell(t);
	while ((!err || err == -XEN_EIO) && ++n < t->count);
	console_printf("@dma-try storm: %llu times, then the device %s\n", (unsigned long long)n,
		       n < t->count ? "did not answer" : "was let be");
	return 0;
}

/* ---- words ----------------------------------------------------------------------------------------- */

static bool no_words(char **argv, struct trial *t)
{
	return true;
}

static bool parse_address(char **argv, struct trial *t)
{
	return str_to_u64(argv[0], &t->dma);
}

static bool parse_other(char **argv, struct trial *t)
{
	return commands_bdf(argv[0], &t->whose);
}

static bool parse_grant(char **argv, struct trial *t)
{
	uint64_t domain, ref;

	if (!str_to_u64(argv[0], &domain) || domain >= DOMID_FIRST_RESERVED ||
	    !str_to_u64(argv[1], &ref) || ref > UINT32_MAX)
		return false;
	t->grant = (struct host_grant_map){.owner = (domid_t)domain,
					   .ref = {(uint32_t)ref},
					   .readonly = !strcmp(t->aim->name, "readonly")};
	return true;
}

static bool parse_storm(char **argv, struct trial *t)
{
	return str_to_u64(argv[0], &t->dma) && str_to_u64(argv[1], &t->count);
}

static const struct aim aims[] = {
    {"address", 1, parse_address, at_address, false},
    {"mapped", 0, no_words, at_mapped, true},
    {"unmapped", 0, no_words, at_unmapped, true},
    {"flushed", 0, no_words, at_flushed, true},
    {"other", 1, parse_other, at_mapped, true},
    {"granted", 2, parse_grant, at_granted, false},
    {"readonly", 2, parse_grant, at_granted, false},
    {"storm", 2, parse_storm, storm, false},
};

static bool parse(int argc, char **argv, struct trial *t)
{
	unsigned n = 0;

	if (argc < 3 || !commands_bdf(argv[1], &t->bdf))
		return false;
	while (n < ARRAY_SIZE(aims) && strcmp(argv[2], aims[n].name))
		n++;
	if (n == ARRAY_SIZE(aims) || argc != 3 + aims[n].argc)
		return false;
	t->whose = t->bdf;
	t->aim = &aims[n];
	return aims[n].parse(argv + 3, t);
}

static int try_command(int argc, char **argv)
{
	struct trial t = {0};
	int err;

	if (!parse(argc, argv, &t))
		return -XEN_EINVAL;
	if (t.aim->is_ours)
		t.page = pages_alloc(1);
	if (t.aim->is_ours && !t.page)
		return -XEN_ENOMEM;
	err = worker_call(t.aim->run, &t);
	if (t.aim->is_ours)
		pages_free(t.page, 1);
	return err;
}

void commands_dma_try_add(void)
{
	static const struct shell_command table[] = {
	    {"dma-try",
	     "BUS:DEV.FN address 0xADDRESS|mapped|unmapped|flushed|other BUS:DEV.FN"
	     "|granted DOMAIN REF|readonly DOMAIN REF|storm 0xADDRESS COUNT",
	     "has an NVMe controller or an e1000e write where it may not", try_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}
