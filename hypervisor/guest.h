/* guest.h: the only way to a guest's memory by its virtual addresses.
 *
 * Both sides: hypercall handlers call, guest.c copies. Addresses are those of the vCPU running on
 * this CPU, in the address space it is running in. Every call may meet an address that is not
 * mapped: it then returns -XEN_EFAULT, and a prefix may have been copied. A guest can change its
 * memory at any moment, so read a thing once and check the copy. Calls neither block nor take a
 * lock, and may be made with locks held and interrupts off. Not promised: atomicity beyond an
 * aligned 8-byte word copied alone. Host tests link a fake in guest.c's place.
 */
#ifndef HV_GUEST_H
#define HV_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether [va, va + bytes) is a guest's to name: canonical, no wrap, outside our hole. Says
 * nothing about what is mapped there. A range of no bytes is in order anywhere. */
bool guest_range_ok(uint64_t va, uint64_t bytes);

/* Copy n bytes from or to the guest. 0 or -XEN_EFAULT. n == 0 is in order. */
int guest_copy_from(void *dst, uint64_t src, size_t n);
int guest_copy_to(uint64_t dst, const void *src, size_t n);

/* Writes n zero bytes. 0 or -XEN_EFAULT. */
int guest_clear(uint64_t dst, size_t n);

/* Where to go on when the instruction at rip, in our own code, faulted on a guest's address; 0
 * when it is not one of ours that may. Called by the trap handler for #PF and #GP in ring 0. */
uint64_t guest_fixup(uint64_t rip);

/* One object of obj's type at a guest address (a number). 0 or -XEN_EFAULT. */
#define guest_read(obj, va)  guest_copy_from((obj), (va), sizeof(*(obj)))
#define guest_write(va, obj) guest_copy_to((va), (obj), sizeof(*(obj)))

/* The address of element i of a XEN_GUEST_HANDLE. Wraps round for an absurd i, which the range
 * check of the copy then catches or which names other memory of the same guest. */
#define handle_at(h, i) ((uint64_t)(uintptr_t)(h).p + (uint64_t)(i) * sizeof(*(h).p))
#define handle_null(h)  ((h).p == NULL)

/* Element i of a XEN_GUEST_HANDLE to or from *obj, which must have the handle's element size. */
#define handle_read(obj, h, i)                                                                     \
	(guest_copy_from((obj), handle_at(h, i),                                                   \
			 sizeof(*(h).p) +                                                          \
			     0 * sizeof(char[sizeof(*(obj)) == sizeof(*(h).p) ? 1 : -1])))
#define handle_write(h, i, obj)                                                                    \
	(guest_copy_to(handle_at(h, i), (obj),                                                     \
		       sizeof(*(h).p) +                                                            \
			   0 * sizeof(char[sizeof(*(obj)) == sizeof(*(h).p) ? 1 : -1])))

/* n elements from element i on. The caller has bounded n. */
#define handle_read_n(objs, h, i, n)  guest_copy_from((objs), handle_at(h, i), (n) * sizeof(*(h).p))
#define handle_write_n(h, i, objs, n) guest_copy_to(handle_at(h, i), (objs), (n) * sizeof(*(h).p))

#endif
