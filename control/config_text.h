/* config_text.h: a checked domain file as text again; private to control/.
 *
 * User: save_stream.c, which puts it in front of a saved domain. Implemented by config_text.c; pure. What the text
 * says is what domain_config_parse() made of the file: that, and xl, read it back.
 */
#ifndef CONTROL_CONFIG_TEXT_H
#define CONTROL_CONFIG_TEXT_H

#include <amphi/domain_config.h>

/* Writes the text and a NUL. Its length without the NUL; not below cap: it did not fit. */
size_t domain_config_text(const struct domain_config *config, char *out, size_t cap);

#endif
