/* lent.h: devices that another domain lends to this one (a guest's pci=[...]), as the kernel starts and awaits them.
 *
 * Callers: main.c (role=guest), the shell's `serve`. Implemented by lent.c: pcifront finds the functions, the drivers of drivers-native take them,
 * and on disks of theirs partitions are looked for. Functions come and go as long as the domain runs.
 */
#ifndef KERNEL_LENT_H
#define KERNEL_LENT_H

/* In the worker, once. Returns pcifront's error. */
int lent_start(void);

/* [waits] Thread context. Until what the toolstack promised is here, its disks and their partitions are registered, or ten seconds have passed: a
 * backend that does not answer by then will not. At once in a domain that nothing was promised to. */
void lent_wait(void);

#endif
