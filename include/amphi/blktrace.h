/* blktrace.h: how a service domain asks a guest of ours for the steps of its disks' requests, and is told.
 *
 * Both sides' contract, in the guest's own directory of the store: the service domain writes what it wants to know, the
 * guest, once that is over, a node for each request. No part of Xen's ABI: a guest that knows nothing of it
 * answers nothing. Callers: kernel/disk_trace.c (the guest), control/ctl_blktrace.c (the other side); implemented by
 * protocol/blktrace.c. Pure; any context. Texts end with NUL, and what a guest wrote is believed as far as it has
 * this form.
 */
#ifndef AMPHI_BLKTRACE_H
#define AMPHI_BLKTRACE_H

#include <amphi/blkfront.h>

/* "EVERY" of all disks, or "EVERY VDEV" of one; "0": it is over, and the answer is wanted. */
#define BLKTRACE_ASK "control/blktrace"
/* The guest's: a directory with a node for each request, named by numbers from 0 without a gap, oldest first. */
#define BLKTRACE_TOLD "data/blktrace"

#define BLKTRACE_TEXT_MAX 256u

/* False: it is no such word. */
bool blktrace_asked(const char *text, unsigned *out_vdev, unsigned *out_every);

/* A request as text: twelve decimal numbers with a blank between each two, in the struct's order. */
void blktrace_text(const struct blkfront_trace *trace, char out[BLKTRACE_TEXT_MAX]);
/* False: it is none, or its steps are not in order. */
bool blktrace_parse(const char *text, struct blkfront_trace *out);

#endif
