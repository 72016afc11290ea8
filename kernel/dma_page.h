/* dma_page.h: the page that devices are aimed at: what is in it before, so that whatever is written shows.
 *
 * Private to kernel/: commands_dma_page.c makes one for others to aim at, commands_dma_try.c its own. Its first 256 bytes are zeros, which to a
 * network card are descriptors without a buffer, the rest a pattern.
 */
#ifndef KERNEL_DMA_PAGE_H
#define KERNEL_DMA_PAGE_H

#include <amphi/types.h>

void dma_page_fill(uint8_t *page);
bool dma_page_is_filled(const uint8_t *page);

#endif
