/* machine_acpi.c: firmware's tables in a domain that owns the machine and did not need them to start (machine_acpi.h).
 *
 * Called by machine_pci.c and machine_input.c in the worker context. Reads with lib/acpi.c, through windows that are given back.
 */
#include "machine_acpi.h"

#include <amphi/machine.h>

#include "boot.h"

/* What acpi_read has looked at, to be unmapped when it is done. */
#define VIEWS_MAX 64u
struct views {
	unsigned n;
	struct {
		void *va;
		size_t len;
	} view[VIEWS_MAX];
};

static const void *view(void *ctx, uint64_t address, uint64_t len)
{
	struct views *v = ctx;
	void *va = v->n < VIEWS_MAX && machine_has_devices()
		       ? machine_mmio_map((maddr_t){address}, len)
		       : NULL;

	if (!va)
		return NULL;
	v->view[v->n].va = va;
	v->view[v->n++].len = len;
	return va;
}

const struct acpi_info *machine_acpi(void)
{
	static bool looked;
	static struct acpi_info found;
	static struct views views;

	if (boot.platform != BOOT_XEN_PV)
		return &boot.acpi;
	if (looked)
		return &found;
	looked = true;
	acpi_read(view, &views, 0, &found);
	while (views.n) {
		views.n--;
		machine_mmio_unmap(views.view[views.n].va, views.view[views.n].len);
	}
	return &found;
}
