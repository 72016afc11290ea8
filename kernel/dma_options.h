/* dma_options.h: what the command line says of devices' memory, told to dma.h.
 *
 * Caller: main.c, before any driver starts. Implemented by kernel/host_dma.c.
 */
#ifndef KERNEL_DMA_OPTIONS_H
#define KERNEL_DMA_OPTIONS_H

void dma_options(void);

#endif
