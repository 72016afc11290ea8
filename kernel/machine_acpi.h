/* machine_acpi.h: what firmware's tables say of the machine, for who drives its devices; private to kernel/.
 *
 * Natively, and in a PVH domain, boot has read them. A PV first domain has all its memory and clock from the hypervisor, and reads
 * them when somebody asks, which few do. Other domains have none: what acpi.h gives when there are no tables.
 */
#ifndef KERNEL_MACHINE_ACPI_H
#define KERNEL_MACHINE_ACPI_H

#include <amphi/acpi.h>

/* Worker context. */
const struct acpi_info *machine_acpi(void);

#endif
