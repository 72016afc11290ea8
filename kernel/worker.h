/* worker.h: the one thread that is the context of amphi/host.h.
 *
 * Callers: host_*.c, block.c, drivers' interrupt handlers. Interrupt handlers queue a host_work
 * (worker_post); threads that need portable code borrow the worker (worker_call). Work runs in
 * the order it was queued.
 */
#ifndef KERNEL_WORKER_H
#define KERNEL_WORKER_H

#include <amphi/host.h>

/* Starts the thread. Once, after thread_init and time_init. */
void worker_init(void);

/* As host_work_soon, from any context, interrupt handlers included. */
void worker_post(struct host_work *work);

/* [waits] Runs fn(ctx) in the worker and returns its result; at once when the caller is the
 * worker. Thread context. */
int worker_call(int (*fn)(void *ctx), void *ctx);

bool worker_is_current(void);

#endif
