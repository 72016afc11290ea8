/* disk_error.c: tells of requests that a real disk could not do; the contract is disk_error.h.
 *
 * A table of commands' names and a bound on lines. Called by the drivers. Calls host_log.
 */
#include "disk_error.h"

#include <amphi/host.h>

#define TOLD_ALL 16u

void disk_error(struct block_device *disk, const struct block_request *req, const char *why,
		unsigned code)
{
	static const char *const names[] = {[BLOCK_READ] = "read",
					    [BLOCK_WRITE] = "write",
					    [BLOCK_FLUSH] = "flush",
					    [BLOCK_DISCARD] = "discard"};
	uint64_t n = ++disk->stats.errors;

	if (n <= TOLD_ALL || !(n & (n - 1)))
		host_log(HOST_LOG_WARN, "%s: %s of sector %llu: %s %x, error %llu of this disk",
			 disk->name, names[req->op], (unsigned long long)req->sector, why, code,
			 (unsigned long long)n);
}
