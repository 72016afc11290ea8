/* manifest.h: what the host tool tells the service domain about the boot archive.
 *
 * The boot module of role=service is a newc archive (cpio.h). Its member "manifest" is text, one
 * statement a line, fields parted by one space:
 *
 *	domain NAME CFGFILE	a domain to create, in this order; CFGFILE is a member of the archive
 *	spare NAME CFGFILE	a domain that may be created later, when somebody asks for it
 *	file CFG-PATH MEMBER	the file a domain file calls CFG-PATH (kernel=, ramdisk=) is this member
 *	disk TARGET serial=S	the disk a domain file calls TARGET is the machine's disk of serial S
 *
 * Blank lines and lines that begin with '#' mean nothing. In a field %XX is the byte of hexadecimal
 * XX; the writer escapes '%', blanks and control bytes so. Implemented by lib/manifest.c: pure.
 */
#ifndef AMPHI_MANIFEST_H
#define AMPHI_MANIFEST_H

#include <amphi/types.h>

#define MANIFEST_MEMBER    "manifest"
#define MANIFEST_FIELD_MAX 1024u /* with the NUL, after unescaping */

enum manifest_kind { MANIFEST_DOMAIN, MANIFEST_SPARE, MANIFEST_FILE, MANIFEST_DISK };

struct manifest_line {
	enum manifest_kind kind;
	unsigned line;                  /* from 1 */
	char key[MANIFEST_FIELD_MAX];   /* NAME, CFG-PATH or TARGET */
	char value[MANIFEST_FIELD_MAX]; /* CFGFILE, MEMBER or S (without "serial=") */
};

struct manifest_reader {
	const char *text;
	size_t len, next;
	unsigned line;
};

void manifest_open(struct manifest_reader *reader, const char *text, size_t len);

/* 1: *out is the next statement. 0: end. -XEN_EINVAL: the line out->line is not understood; reading
 * may go on with the next. */
int manifest_next(struct manifest_reader *reader, struct manifest_line *out);

/* The value of the first statement of that kind and key: 0, or -XEN_ENOENT. */
int manifest_find(const char *text, size_t len, enum manifest_kind kind, const char *key, char *out,
		  size_t cap);

/* Writes one statement with its newline, escaped, as the reader takes it. Returns its length, or
 * what it would have been when that is >= cap (nothing useful is then in out). */
size_t manifest_format(char *out, size_t cap, enum manifest_kind kind, const char *key,
		       const char *value);

#endif
