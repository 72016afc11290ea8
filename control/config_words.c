/* config_words.c: words about a disk that commands know as well: its name in the guest, and its limits.
 *
 * Pure. Callers: config_disk.c, ctl_block.c, the host tool. Calls string.h.
 */
#include <amphi/domain_config.h>
#include <amphi/string.h>

/* ---- device numbers: xen-vbd-interface(7) ------------------------------------------- */

/* Letters as a number without a zero: a 0, z 25, aa 26. The bound keeps the product small; a letter
 * behind it is left over and no partition, so the name is refused. */
static bool take_letters(const char **at, uint32_t *out)
{
	uint32_t n = 0;
	const char *s = *at;

	for (; *s >= 'a' && *s <= 'z' && n < 1000; s++)
		n = n * 26 + (uint32_t)(*s - 'a' + 1);
	*out = n - 1;
	*at = s;
	return n > 0;
}

/* None, or 1 to 255 without a leading zero: "xvda0" and "xvda01" name nothing. */
static bool take_partition(const char *s, uint32_t *out)
{
	uint64_t n = 0;

	*out = 0;
	if (*s == 0)
		return true;
	if (*s == '0' || !str_to_u64(s, &n) || n > 255)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* xen-vbd-interface(7): the number is the Linux one of the name where there is one (major 202, 3
 * and 22, 8), which also says how many partitions a disk may have; xvd's beyond the 16th have bit
 * 28 and a numbering of their own. *out is set from unchecked parts and counts only when true comes
 * back. */
bool config_vdev_number(const char *vdev, uint32_t *out)
{
	uint32_t disk, part;
	const char *s = vdev;
	bool xvd = str_starts(s, "xvd"), hd = str_starts(s, "hd"), sd = str_starts(s, "sd");

	s += xvd ? 3 : 2;
	if (!(xvd || hd || sd) || !take_letters(&s, &disk) || !take_partition(s, &part))
		return false;
	if (xvd)
		*out = disk < 16 && part < 16 ? 202u << 8 | disk << 4 | part
					      : 1u << 28 | disk << 8 | part;
	else if (hd)
		*out = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | part;
	else
		*out = 8u << 8 | disk << 4 | part;
	return xvd ? disk < 1u << 20 : hd ? disk < 4 && part < 64 : disk < 16 && part < 16;
}

/* ---- limits ------------------------------------------------------------------------- */

/* K, M and G as in sizes (of 1024), also of a count: it is one rule to remember. */
static bool take_scaled(const char *text, uint64_t max, uint64_t *out)
{
	static const char suffixes[] = "KMG";
	char digits[24];
	size_t len = strlen(text);
	unsigned shift = 0;

	if (!len || len >= sizeof(digits))
		return false;
	for (unsigned i = 0; suffixes[i]; i++)
		if (text[len - 1] == suffixes[i])
			shift = 10 * (i + 1);
	(void)str_copy(digits, sizeof(digits), text);
	if (shift)
		digits[len - 1] = 0;
	if (!str_to_u64(digits, out) || *out > max >> shift)
		return false;
	*out <<= shift;
	return true;
}

/* "200ms", "2s", or seconds without a unit. */
static bool take_time(const char *text, uint32_t *out_ms)
{
	char digits[24];
	size_t len = strlen(text);
	bool ms = len > 2 && !strcmp(text + len - 2, "ms");
	uint64_t n;

	if (!len || len >= sizeof(digits))
		return false;
	(void)str_copy(digits, sizeof(digits), text);
	if (ms)
		digits[len - 2] = 0;
	else if (digits[len - 1] == 's')
		digits[len - 1] = 0;
	if (!str_to_u64(digits, &n) || n > CONFIG_BURST_MAX_MS / (ms ? 1 : 1000))
		return false;
	*out_ms = (uint32_t)(ms ? n : n * 1000);
	return true;
}

const char *config_limit_word(const char *word, struct config_limit *limit)
{
	if (str_starts(word, "iops="))
		return take_scaled(word + 5, CONFIG_IOPS_MAX, &limit->iops)
			   ? NULL
			   : "not a number of requests per second (K, M; 0: no limit)";
	if (str_starts(word, "bps="))
		return take_scaled(word + 4, CONFIG_BPS_MAX, &limit->bps)
			   ? NULL
			   : "not a number of bytes per second (K, M, G; 0: no limit)";
	if (str_starts(word, "burst="))
		return take_time(word + 6, &limit->burst_ms) ? NULL
							     : "not a time up to 60 s (2s, 200ms)";
	return "none of iops=, bps=, burst=";
}
