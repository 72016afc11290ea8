/* shell_parse.h: a line of the shell, cut into commands and words.
 *
 * Caller: shell.c. Pure: works in the line itself, no allocation, no console; so it can be fuzzed.
 */
#ifndef KERNEL_SHELL_PARSE_H
#define KERNEL_SHELL_PARSE_H

#include "shell.h"

/* Cuts the first command off *line: its words, ended by NUL, go to argv (SHELL_MAX_ARGS + 1
 * places, the last used is followed by NULL), and *line moves behind the ';' or to the line's end.
 * Words are parted by spaces; "..." and '...' keep spaces and ';' (and lose the quotes); '#' at a
 * word's start begins a comment to the line's end.
 * Returns the number of words (0: an empty command), or -XEN_E2BIG when there are more than fit, or
 * -XEN_EINVAL for a quote that does not end; in both cases the command was passed over. */
int shell_parse(char **line, char **argv);

#endif
