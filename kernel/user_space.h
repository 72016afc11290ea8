/* user_space.h: the address space of one program. Private to kernel/user_*.c.
 *
 * Natively one top table holds the kernel's half and the program's. A PV domain has two: the kernel runs on
 * the first, the program on the second, which has no kernel half; the tables below the top are the same
 * pages. The kernel never uses a program's addresses: it finds the page and works on it through the direct
 * map, so nothing of the program's can fault under the kernel, and SMAP stays on.
 * Thread context. Errors: negative XEN_Exxx; -XEN_EFAULT when an address is not mapped that way.
 */
#ifndef KERNEL_USER_SPACE_H
#define KERNEL_USER_SPACE_H

#include <amphi/user.h>

#include "page_bitmap.h"

#define USER_EXEC 4u /* beside USER_READ and USER_WRITE; only the loader maps such pages */

struct user_space {
	uint64_t *roots[2]; /* direct-map addresses; the kernel's, the program's */
	unsigned n_roots;
	struct page_bitmap heap; /* of [USER_HEAP, USER_HEAP_END) */
	uint64_t heap_words[USER_HEAP_PAGES / 64];
};

/* An empty space of n_roots top tables. -XEN_ENOMEM. */
int user_space_init(struct user_space *s, unsigned n_roots);

/* Gives back every page and table. No processor may have it loaded. */
void user_space_free(struct user_space *s);

/* Maps n zeroed pages at va, which are not mapped yet. All or nothing but tables. -XEN_ENOMEM. */
int user_space_map(struct user_space *s, uint64_t va, unsigned n, unsigned prot);

/* Takes pages away, or changes their rights; -XEN_EFAULT, and nothing done, when one is not mapped. */
int user_space_unmap(struct user_space *s, uint64_t va, unsigned n);
int user_space_protect(struct user_space *s, uint64_t va, unsigned n, unsigned prot);

/* Where the kernel finds the byte at va: up to the end of its page. NULL: not mapped, or not writable
 * when the program could not write there. */
void *user_space_at(const struct user_space *s, uint64_t va, bool write);

/* Copies between the kernel and the program. Part may be done when it fails. load ignores the program's
 * rights: it is for the loader. */
int user_copy_from(const struct user_space *s, void *to, uint64_t from, size_t len);
int user_copy_to(const struct user_space *s, uint64_t to, const void *from, size_t len);
int user_copy_load(const struct user_space *s, uint64_t to, const void *from, size_t len);

#endif
