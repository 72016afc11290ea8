/* disk_trace.h: the service domain's wish to see the requests of our disks, as far as they pass through us.
 *
 * Caller: main.c, once, in a domain whose disks are another's. Implemented by disk_trace.c; the words are
 * amphi/blktrace.h's.
 */
#ifndef KERNEL_DISK_TRACE_H
#define KERNEL_DISK_TRACE_H

/* [waits] Worker. 0 or a negative XEN_Exxx. */
int disk_trace_start(void);

#endif
