/* no_lines.c: a machine whose functions have messages and no line.
 *
 * For tests and fuzzers that link drivers-native/pci.c and bind no line themselves.
 */
#include <amphi/machine.h>
#include <amphi/xen.h>

int machine_line_bind(uint16_t bdf, void (*fn)(void *ctx), void *ctx)
{
	(void)bdf, (void)fn, (void)ctx;
	return -XEN_ENODEV;
}
