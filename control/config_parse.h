/* config_parse.h: what the files of the domain-file parser share; private to control/.
 *
 * domain_config.c reads statements and plain values, config_disk.c understands one disk, config_vif.c one
 * interface, config_pci.c one PCI function, config_cpus.c which processors a vCPU may run on. All report through config_error, which counts.
 */
#ifndef CONTROL_CONFIG_PARSE_H
#define CONTROL_CONFIG_PARSE_H

#include <amphi/domain_config.h>

#include "config_lex.h"

#define CONFIG_KEYS_MAX 160u

struct config_parser {
	const char *file_name;
	const struct config_listener *listener;
	struct domain_config *out;
	struct lexer lexer;
	struct token token;                  /* the one to be looked at next */
	uint16_t seen_line[CONFIG_KEYS_MAX]; /* where key i was given; 0: not */
	unsigned errors;
	bool in_list;        /* the value at hand is an element of a list */
	unsigned n_cpus;     /* elements of cpus = [...] so far */
	unsigned pci_column; /* of the first field of the element of pci = [...] at hand */
	char root[CONFIG_SPEC_MAX], extra[CONFIG_CMDLINE_MAX];
	char line[CONFIG_PATH_MAX + 256]; /* of a message, while it is made */
};

void config_error(struct config_parser *p, const struct token *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void config_note(struct config_parser *p, const struct token *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One element of disk = [...], a string. */
void config_add_disk(struct config_parser *p, const struct token *spec);

/* One element of vif = [...], a string. */
void config_add_vif(struct config_parser *p, const struct token *spec);

/* Gives those without an address one, when the domain's name is known. */
void config_vif_finish(struct domain_config *c);

/* Why msitranslate=1 is refused, of a function and of all. */
#define CONFIG_PCI_NO_TRANSLATE                                                                    \
	"is for guests with a device model: a PV guest asks for its messages"

/* One element of pci = [...], a string; and when all is read. */
void config_add_pci(struct config_parser *p, const struct token *spec);
void config_pci_finish(struct domain_config *c);

/* The value of cpus, or one element of its list. */
void config_set_cpus(struct config_parser *p, const struct token *v);

#endif
