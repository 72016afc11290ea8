/* blktrace.c: the texts by which a guest's disks' requests are asked for and told.
 *
 * Contract: blktrace.h. Pure: calls printf.h. Who reads does not trust: a number is digits alone, in the range of its
 * member, and nothing stands behind the last.
 */
#include <amphi/blktrace.h>
#include <amphi/printf.h>

/* One number and what stands behind it: a blank, or the end when it is the last. */
static bool number(const char **at, bool last, uint64_t max, uint64_t *out)
{
	const char *p = *at;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (*p != (last ? '\0' : ' '))
		return false;
	*at = p + !last;
	*out = value;
	return true;
}

bool blktrace_asked(const char *text, unsigned *out_vdev, unsigned *out_every)
{
	uint64_t every, vdev = BLKFRONT_ANY;
	const char *at = text;

	if (!number(&at, true, UINT32_MAX, &every) &&
	    !(number(&at, false, UINT32_MAX, &every) && number(&at, true, UINT32_MAX, &vdev)))
		return false;
	*out_every = (unsigned)every;
	*out_vdev = (unsigned)vdev;
	return true;
}

enum { N_VDEV, N_QUEUE, N_NUMBER, N_OP, N_FAILED, N_SECTOR, N_BYTES, N_STEPS };
#define NUMBERS (N_STEPS + BLKFRONT_STEPS)

void blktrace_text(const struct blkfront_trace *t, char out[BLKTRACE_TEXT_MAX])
{
	const uint64_t *at = t->at_ns;

	fmt_text(out, BLKTRACE_TEXT_MAX, "%u %u %u %u %u %llu %llu %llu %llu %llu %llu %llu",
		 t->vdev, t->queue, t->number, t->op, t->status != 0, (unsigned long long)t->sector,
		 (unsigned long long)t->bytes, (unsigned long long)at[0], (unsigned long long)at[1],
		 (unsigned long long)at[2], (unsigned long long)at[3], (unsigned long long)at[4]);
}

bool blktrace_parse(const char *text, struct blkfront_trace *out)
{
	static const uint64_t most[N_STEPS] = {
	    [N_VDEV] = UINT32_MAX, [N_QUEUE] = UINT32_MAX, [N_NUMBER] = UINT32_MAX,
	    [N_OP] = UINT8_MAX,    [N_FAILED] = 1,         [N_SECTOR] = UINT64_MAX,
	    [N_BYTES] = UINT64_MAX};
	uint64_t n[NUMBERS];

	_Static_assert(NUMBERS == 12, "as blktrace.h says and blktrace_text writes");
	for (unsigned i = 0; i < NUMBERS; i++)
		if (!number(&text, i == NUMBERS - 1, i < N_STEPS ? most[i] : UINT64_MAX, &n[i]) ||
		    (i > N_STEPS && n[i] < n[i - 1]))
			return false;
	*out = (struct blkfront_trace){.vdev = (unsigned)n[N_VDEV],
				       .queue = (unsigned)n[N_QUEUE],
				       .number = (uint32_t)n[N_NUMBER],
				       .op = (uint8_t)n[N_OP],
				       .status = n[N_FAILED] ? -XEN_EIO : 0,
				       .sector = n[N_SECTOR],
				       .bytes = n[N_BYTES]};
	__builtin_memcpy(out->at_ns, &n[N_STEPS], sizeof(out->at_ns));
	return true;
}
