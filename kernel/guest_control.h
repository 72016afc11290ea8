/* guest_control.h: what the toolstack asks of this domain through the store's control/ nodes.
 *
 * Caller: main.c, once, where another domain has the store. Implemented by guest_control.c. Requests are
 * taken (the node is emptied, which is their acknowledgement) and carried out: power-off, reboot, suspend,
 * a key of sysrq. Not the toolstack's word: what the user does at the shell.
 */
#ifndef KERNEL_GUEST_CONTROL_H
#define KERNEL_GUEST_CONTROL_H

/* [waits] Worker. Watches the nodes and says what is understood. 0 or a negative XEN_Exxx. */
int guest_control_start(void);

#endif
