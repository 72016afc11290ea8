/* guest_control_words.h: what a toolstack may write to a domain's control/ nodes, and what each means.
 *
 * Caller: guest_control.c. Pure; any context; host tests and a fuzzer link it. The words are those of Xen's
 * xenstore-paths.pandoc; a word that is none of them asks for nothing. Texts come from the store and end
 * with NUL.
 */
#ifndef KERNEL_GUEST_CONTROL_WORDS_H
#define KERNEL_GUEST_CONTROL_WORDS_H

#include <stdbool.h>

enum control_request {
	CONTROL_NOTHING, /* "": the node's value at rest */
	CONTROL_POWEROFF,
	CONTROL_REBOOT,
	CONTROL_SUSPEND,
	CONTROL_UNKNOWN,
};

/* control/shutdown: poweroff, halt, reboot, suspend. */
enum control_request control_shutdown_word(const char *text);

/* control/sysrq: one letter; the shell's command line for it, or NULL. */
const char *control_sysrq_line(const char *text);

/* The nodes that say what a domain understands, by index from 0; NULL ends. *out_request: what it is for. */
const char *control_feature(unsigned i, enum control_request *out_request);

#endif
