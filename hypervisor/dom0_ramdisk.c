/* dom0_ramdisk.c: the first domain's ramdisk, made of the boot modules behind its kernel.
 *
 * One module is the ramdisk as it is. Of several an archive is made (amphi/cpio.h), each a member named by
 * the last word of its command line: so a boot menu can name the domain files and kernels one by one, and
 * somebody who changes one of them changes a file and not an archive. Caller: dom0.c. Calls cpio.h.
 */
#include <amphi/cpio.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "boot.h"
#include "io.h"

/* Where it goes: put NULL only counts. */
struct out {
	boot_put_fn *put;
	void *ctx;
	uint64_t at;
};

static void put(struct out *o, const void *bytes, uint64_t n)
{
	if (o->put != NULL && n != 0)
		o->put(o->ctx, o->at, bytes, n);
	o->at += n;
}

/* A module without a name gets its number, so that it is there and can be seen. */
static void member_name(const struct boot_info *boot, unsigned i, char *out, size_t cap)
{
	const char *name = boot->modules[i].cmdline;

	for (const char *blank; (blank = strchr(name, ' ')) != NULL; name = blank + 1)
		;
	if (*name != '\0')
		(void)str_copy(out, cap, name);
	else
		fmt_text(out, cap, "module-%u", i);
}

static void put_member(struct out *o, const struct boot_info *boot, unsigned i)
{
	static const char zeros[4];
	const struct boot_module *m = &boot->modules[i];
	uint64_t len = m->end - m->start;
	uint8_t header[CPIO_HEADER_MAX];
	char name[64];
	size_t n;

	member_name(boot, i, name, sizeof(name));
	n = cpio_write_header(header, name, len);
	if (n == 0)
		hv_panic("boot module %u (%s) is too large for an archive", i, name);
	put(o, header, n);
	put(o, maddr_to_virt((maddr_t){m->start}), len);
	put(o, zeros, cpio_padding(len));
}

uint64_t dom0_ramdisk(const struct boot_info *boot, boot_put_fn *fn, void *ctx)
{
	struct out o = {fn, ctx, 0};
	uint8_t trailer[CPIO_HEADER_MAX];

	if (boot->n_modules == 2)
		put(&o, maddr_to_virt((maddr_t){boot->modules[1].start}),
		    boot->modules[1].end - boot->modules[1].start);
	if (boot->n_modules <= 2)
		return o.at;
	for (unsigned i = 1; i < boot->n_modules; i++)
		put_member(&o, boot, i);
	put(&o, trailer, cpio_write_trailer(trailer));
	return o.at;
}
