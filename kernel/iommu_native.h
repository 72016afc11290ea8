/* iommu_native.h: the machine's IOMMUs, where the machine is ours.
 *
 * Caller: main.c, before the drivers start. Implemented by iommu_native.c.
 */
#ifndef KERNEL_IOMMU_NATIVE_H
#define KERNEL_IOMMU_NATIVE_H

/* Turns on what firmware tells of, as iommu= wishes, and sets dma.h's policy. Worker context. What cannot be used is said, and devices
 * go without. */
void iommu_native_start(void);

#endif
