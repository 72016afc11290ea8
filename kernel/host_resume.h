/* host_resume.h: what the kernel's side of host.h does when the domain wakes up in a new world.
 *
 * Caller: suspend.c, in the worker. Implemented by host_event.c and host_store.c. In a new world
 * (suspend.h) no port is bound and the store has a new server that knows no watch of ours; the portable rooms
 * are told afterwards, each by its own resume call.
 */
#ifndef KERNEL_HOST_RESUME_H
#define KERNEL_HOST_RESUME_H

/* After event_forget(): host_event_close() of a port of the old world does nothing. Interrupts off. */
void host_event_forget(void);

/* [waits] The ring goes on at boot.store_port, and every watch is asked for anew (each fires once). A client
 * without a connection stays so. 0 or a negative XEN_Exxx. */
int host_store_resume(void);

#endif
