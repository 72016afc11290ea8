/* host_time.c: host.h's clock, log and last word, for the kernel.
 *
 * Callers: the portable rooms. Calls time.h, console.h, panic.h. Deferred work is in worker.c.
 */
#include <amphi/host.h>
#include "console.h"
#include "panic.h"
#include "time.h"

_Static_assert((int)HOST_LOG_ERROR == (int)LOG_ERROR, "the levels have the same order");

/* Never steps back, also over a hypervisor's corrections: see the platforms' clocks. */
uint64_t host_time_ns(void)
{
	return time_ns();
}

void host_log(enum host_log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	klog_v((enum log_level)level, fmt, args);
	va_end(args);
}

/* Portable code found its own state wrong. Going on could write to a disk, so the kernel ends;
 * its file and line are worth more than a backtrace alone. */
void host_bug(const char *what, const char *file, int line)
{
	panic("%s:%d: not so: %s", file, line, what);
}
