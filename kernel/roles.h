/* roles.h: what a role's own file gives to kmain.
 *
 * Caller: main.c, in the shell's thread, after everything else is up; commands_disk.c for a driver domain. Implemented by
 * kernel/service.c. Parts that touch drivers or the store go through worker_call.
 */
#ifndef KERNEL_ROLES_H
#define KERNEL_ROLES_H

/* role=service: brings up disks, store, backends and consoles, adds its shell commands, begins the
 * domains of the boot archive, and returns; the shell's prompt follows. Later ends are its own to
 * watch for. */
void service_main(void);

/* Worker context: blkback, with the limits of the command line. The store works. Negative XEN_Exxx. */
int serve_disks(void);

#endif
