/* disk_error.h: one line about a request that a real disk could not do.
 *
 * Callers: the drivers of drivers-native. Worker context. Says device, command and sector, and does not flood: of a
 * disk's errors the first sixteen are told, then each whose number is a power of two. Counts in disk->stats.errors.
 */
#ifndef DRIVERS_NATIVE_DISK_ERROR_H
#define DRIVERS_NATIVE_DISK_ERROR_H

#include <amphi/block.h>

/* why: "status", "no answer"; code: the device's own word for it, shown in hexadecimal. */
void disk_error(struct block_device *disk, const struct block_request *req, const char *why,
		unsigned code);

#endif
