/* commands_dma.c: the shell's command that says how devices reach memory.
 *
 * Caller: shell.c. Calls dma.h in the worker. A map that is no more undone than made grows here: what a driver shares with its
 * device for good is the difference when nothing is in flight.
 */
#include <amphi/dma.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "shell.h"
#include "worker.h"

static int list(void *ctx)
{
	struct dma_counts c;

	console_printf("device  layer          maps       unmaps      flushes tables wrong\n");
	for (unsigned n = 0; dma_count(n, &c); n++)
		console_printf("%02x:%02x.%x %-6s %12llu %12llu %12llu %6u %5llu\n", c.bdf >> 8,
			       c.bdf >> 3 & 31, c.bdf & 7, c.layer, (unsigned long long)c.maps,
			       (unsigned long long)c.unmaps, (unsigned long long)c.flushes,
			       c.tables, (unsigned long long)c.wrong);
	return 0;
}

/* Hexadecimal digits of *text, at most max; moves it behind them. */
static unsigned hex(const char **text, unsigned max)
{
	unsigned value = 0;

	for (; max--; (*text)++) {
		unsigned digit = (unsigned char)**text - '0',
			 letter = ((unsigned char)**text | 0x20u) - 'a';

		if (digit > 9 && letter > 5)
			break;
		value = value * 16 + (digit <= 9 ? digit : letter + 10);
	}
	return value;
}

/* BUS:DEV.FN, as it is printed. */
static bool parse_bdf(const char *text, uint16_t *out_bdf)
{
	unsigned bus = hex(&text, 2), dev, fn;

	if (*text++ != ':')
		return false;
	dev = hex(&text, 2);
	if (*text++ != '.')
		return false;
	fn = hex(&text, 1);
	*out_bdf = (uint16_t)(bus << 8 | dev << 3 | fn);
	return !*text && dev < 32 && fn < 8;
}

static int cut(void *ctx)
{
	const uint16_t *bdf = ctx;

	return dma_cut(*bdf);
}

static int dma_command(int argc, char **argv)
{
	uint16_t bdf;

	if (argc == 1)
		return worker_call(list, NULL);
	if (argc != 3 || strcmp(argv[1], "cut") || !parse_bdf(argv[2], &bdf))
		return -XEN_EINVAL;
	return worker_call(cut, &bdf);
}

void commands_dma_add(void)
{
	static const struct shell_command table[] = {
	    {"dma", "[cut BUS:DEV.FN]", "how each device reaches memory; takes it from one",
	     dma_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}
