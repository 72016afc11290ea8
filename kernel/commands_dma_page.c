/* commands_dma_page.c: the shell's commands of a domain that others' devices are aimed at.
 *
 * Caller: shell.c. Calls host.h for grants, in the worker. `dma-page` makes a page, once, and says where it is and what its bytes add up to;
 * `dma-grant` grants it, for as long as it likes, and ends that. A grant that is in use, by a device too, does not end: that is said, and
 * tried again by who asked.
 */
#include <amphi/host.h>
#include <amphi/sha256.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "dma_page.h"
#include "mm.h"
#include "shell.h"
#include "worker.h"

#define PAGE_BYTE  0xa5
#define ZERO_BYTES 256u
#define GRANTS_MAX 4u

static uint8_t *page;
static gref_t granted[GRANTS_MAX];
static unsigned n_granted;

void dma_page_fill(uint8_t *at)
{
	memset(at, 0, ZERO_BYTES);
	memset(at + ZERO_BYTES, PAGE_BYTE, PAGE_SIZE - ZERO_BYTES);
}

bool dma_page_is_filled(const uint8_t *at)
{
	unsigned i = 0;

	while (i < PAGE_SIZE && at[i] == (i < ZERO_BYTES ? 0 : PAGE_BYTE))
		i++;
	return i == PAGE_SIZE;
}

static int make(void)
{
	if (page)
		return 0;
	page = pages_alloc(1);
	if (!page)
		return -XEN_ENOMEM;
	dma_page_fill(page);
	return 0;
}

static int page_command(int argc, char **argv)
{
	struct sha256 h;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_CHARS];
	int err = make();

	if (err)
		return err;
	sha256_init(&h);
	sha256_update(&h, page, PAGE_SIZE);
	sha256_final(&h, digest);
	sha256_hex(digest, hex);
	console_printf("@dma-page 0x%llx %s\n", (unsigned long long)virt_to_maddr(page).v, hex);
	return 0;
}

struct offer {
	domid_t peer;
	bool readonly;
};

static int offer(void *ctx)
{
	const struct offer *o = ctx;
	int err = n_granted < GRANTS_MAX ? make() : -XEN_ENOSPC;

	if (!err)
		err = host_grant_offer(o->peer, page, o->readonly, &granted[n_granted]);
	if (!err)
		console_printf("@dma-grant %u\n", granted[n_granted++].v);
	return err;
}

/* What was written to it is gone, too: the next checksum is the first one. */
static int end_all(void *ctx)
{
	while (n_granted) {
		int err = host_grant_end(granted[n_granted - 1]);

		if (err)
			return err;
		n_granted--;
	}
	if (page)
		dma_page_fill(page);
	console_printf("@dma-grant ended\n");
	return 0;
}

static int grant_command(int argc, char **argv)
{
	struct offer o = {0};
	uint64_t peer;

	if (argc == 2 && !strcmp(argv[1], "end"))
		return worker_call(end_all, NULL);
	if (argc < 2 || !str_to_u64(argv[1], &peer) || peer >= DOMID_FIRST_RESERVED)
		return -XEN_EINVAL;
	o.peer = (domid_t)peer;
	o.readonly = argc == 3 && !strcmp(argv[2], "readonly");
	if (argc > 3 || (argc == 3 && !o.readonly))
		return -XEN_EINVAL;
	return worker_call(offer, &o);
}

void commands_dma_page_add(void)
{
	static const struct shell_command table[] = {
	    {"dma-page", "", "a page for others' devices to try and write: where, and its SHA-256",
	     page_command},
	    {"dma-grant", "DOMAIN [readonly] | end",
	     "grants that page; ends all its grants, and fills it anew", grant_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}
