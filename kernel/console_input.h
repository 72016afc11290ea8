/* console_input.h: between the console's output half, which picks the sink, and its input half.
 *
 * Caller: console.c, once. Private to the console.
 */
#ifndef KERNEL_CONSOLE_INPUT_H
#define KERNEL_CONSOLE_INPUT_H

#include "console.h"

/* From now on input is read from this sink. */
void console_input_init(const struct console_sink *sink);

#endif
