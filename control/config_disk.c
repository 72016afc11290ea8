/* config_disk.c: one disk of a domain file, as xl-disk-configuration(5) writes it.
 *
 * A disk is fields parted by commas: up to four without a name (target, format, vdev, access) and
 * named ones in any order; target= goes on to the next named field, so it may hold commas. With an
 * old prefix (phy: file:) the format is left out of the unnamed ones. Errors point at the column of
 * the field. Pure. Callers: domain_config.c, control_block.c. Calls config_words.c, string.h.
 */
#include <amphi/domain_config.h>
#include <amphi/string.h>

#include "config_parse.h"

/* The disk that is being read. text is its own copy, cut at the commas as reading goes on, so
 * places in it are places in the string; they are columns of the file too as long as no escape
 * stands before them. */
struct spec {
	struct config_parser *p;
	const struct token *token; /* the whole string */
	struct config_disk *disk;
	unsigned unnamed; /* which unnamed field comes next, an enum disk_field */
	char text[CONFIG_PATH_MAX + 128];
	bool writable; /* it was said */
	bool failed;
};

enum disk_field { FIELD_TARGET, FIELD_FORMAT, FIELD_VDEV, FIELD_ACCESS, FIELD_TOO_MANY };

/* A token that stands for the field which begins at text + offset. The 1 is the opening quote,
 * which belongs to the token and not to its text. */
static struct token field_token(const struct spec *s, size_t offset)
{
	struct token at = *s->token;

	at.column += 1 + (unsigned)offset;
	return at;
}

#define SPEC_ERROR(s, offset, ...)                                                                 \
	do {                                                                                       \
		struct token at_ = field_token(s, offset);                                         \
		config_error((s)->p, &at_, __VA_ARGS__);                                           \
		(s)->failed = true;                                                                \
	} while (0)

static void set_target(struct spec *s, size_t at, const char *value)
{
	if (!str_copy(s->disk->target, sizeof(s->disk->target), value))
		SPEC_ERROR(s, at, "disk target longer than %u characters", CONFIG_PATH_MAX - 1);
}

/* Empty is raw, as in xl. Other formats (qcow2, vhd) would need somebody to understand them between
 * the file and the backend, and there is nobody. */
static void set_format(struct spec *s, size_t at, const char *value)
{
	if (value[0] && strcmp(value, "raw") != 0)
		SPEC_ERROR(s, at, "disk format '%s' is not supported: only raw is", value);
}

/* The number is what blkfront and the guest know the disk by (virtual-device in the store), the
 * name what people do; both are kept. */
static void set_vdev(struct spec *s, size_t at, const char *value)
{
	if (!config_vdev_number(value, &s->disk->devid) ||
	    !str_copy(s->disk->vdev, sizeof(s->disk->vdev), value))
		SPEC_ERROR(s, at, "disk vdev '%s' is not one of xvda, hda, sda and so on", value);
}

/* Nothing said is "rw", or "ro" of a CD-ROM (check_disk). */
static void set_access(struct spec *s, size_t at, const char *value)
{
	bool ro = strcmp(value, "ro") == 0 || strcmp(value, "r") == 0;

	if (!ro && value[0] && strcmp(value, "rw") != 0 && strcmp(value, "w") != 0)
		SPEC_ERROR(s, at, "disk access '%s' is none of rw, w, ro, r", value);
	s->disk->readonly = ro;
	s->writable = !ro && value[0];
}

static void set_devtype(struct spec *s, size_t at, const char *value)
{
	s->disk->cdrom = strcmp(value, "cdrom") == 0;
	if (!s->disk->cdrom && strcmp(value, "disk") != 0)
		SPEC_ERROR(s, at, "disk devtype '%s' is neither disk nor cdrom", value);
}

static void set_cdrom(struct spec *s, size_t at, const char *value)
{
	(void)at, (void)value;
	s->disk->cdrom = true;
}

/* A domain by its name, since its number is another after each start; and the two names of the service domain. */
static void set_backend(struct spec *s, size_t at, const char *value)
{
	uint64_t number;

	s->disk->backend[0] = 0;
	if (!value[0] || strcmp(value, "0") == 0 || strcmp(value, "Domain-0") == 0)
		return;
	if (str_to_u64(value, &number))
		SPEC_ERROR(s, at, "disk backend '%s' is a number: say the domain's name", value);
	else if (!str_copy(s->disk->backend, sizeof(s->disk->backend), value))
		SPEC_ERROR(s, at, "disk backend longer than %u characters", CONFIG_NAME_MAX - 1);
}

static void set_discard(struct spec *s, size_t at, const char *value)
{
	(void)at, (void)value;
	s->disk->no_discard = false;
}

static void set_no_discard(struct spec *s, size_t at, const char *value)
{
	(void)at, (void)value;
	s->disk->no_discard = true;
}

static void set_no_flush_cache(struct spec *s, size_t at, const char *value)
{
	(void)at, (void)value;
	s->disk->no_flush_cache = true;
}

static void set_no_persistent(struct spec *s, size_t at, const char *value)
{
	(void)at, (void)value;
	s->disk->no_persistent = true;
}

/* For keys that say how dom0 shall do its work: files made for xl have them, and nothing is lost
 * here. */
static void set_nothing(struct spec *s, size_t at, const char *value)
{
	(void)s, (void)at, (void)value;
}

/* The text of a field stands whole behind its name, also here: the word is cut at its end. */
static void set_limit(struct spec *s, size_t at, const char *value)
{
	const char *why = config_limit_word(s->text + at, &s->disk->limit);

	(void)value;
	if (why)
		SPEC_ERROR(s, at, "disk '%s': %s", s->text + at, why);
}

/* The first four are also the order of the fields without a name (enum disk_field). Flags stand alone. */
static const struct named_field {
	const char *name;
	void (*set)(struct spec *s, size_t at, const char *value);
	bool is_flag;
} named_fields[] = {
    {"target", set_target, false},
    {"format", set_format, false},
    {"vdev", set_vdev, false},
    {"access", set_access, false},
    {"devtype", set_devtype, false},
    {"cdrom", set_cdrom, true},
    {"backend", set_backend, false},
    {"backendtype", set_nothing, false},
    {"direct-io-safe", set_nothing, true},
    {"discard", set_discard, true},
    {"no-discard", set_no_discard, true},
    {"no-flush-cache", set_no_flush_cache, true},
    {"no-persistent", set_no_persistent, true},
    {"iops", set_limit, false},
    {"bps", set_limit, false},
    {"burst", set_limit, false},
};

/* The unnamed ones are the first four of the same table. */
static void take_unnamed(struct spec *s, size_t at, const char *value)
{
	if (s->unnamed >= FIELD_TOO_MANY) {
		SPEC_ERROR(s, at, "disk has a field '%s' too many", value);
		return;
	}
	named_fields[s->unnamed++].set(s, at, value);
}

/* By length and bytes: the name is a piece of the text and no string of its own. */
static const struct named_field *find_named(const char *name, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(named_fields); i++) {
		const char *n = named_fields[i].name;

		if (strlen(n) == len && memcmp(n, name, len) == 0)
			return &named_fields[i];
	}
	return NULL;
}

/* A file name may hold a '='; what looks like a key is taken for a misspelt one. */
static bool is_key_like(const char *field, const char *equals)
{
	while (field < equals && ((*field >= 'a' && *field <= 'z') || *field == '-'))
		field++;
	return field == equals;
}

static void take_field(struct spec *s, char *field)
{
	size_t at = (size_t)(field - s->text);
	char *equals = strchr(field, '=');
	const struct named_field *named =
	    find_named(field, equals ? (size_t)(equals - field) : strlen(field));

	/* Named, or a bare word that is a flag; a bare "target" is an unnamed value. */
	if (named && (equals || named->is_flag))
		named->set(s, at, equals ? equals + 1 : "");
	else if (equals && is_key_like(field, equals))
		SPEC_ERROR(s, at, "unknown disk key '%.*s'", (int)(equals - field), field);
	else
		take_unnamed(s, at, field);
}

/* Old prefixes say how dom0 is to open the target; we find it by the target alone. */
static char *skip_prefix(struct spec *s)
{
	static const char *const prefixes[] = {"phy:", "file:", "raw:"};

	for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_starts(s->text, prefixes[i]))
			return s->text + strlen(prefixes[i]);
	}
	return s->text;
}

/* The comma that ends a field, or NULL. xl takes all that follows target= for the target; a known
 * key after it is surely meant as one, so there it ends here. */
static char *field_end(char *field)
{
	char *comma = strchr(field, ',');

	if (!str_starts(field, "target="))
		return comma;
	for (; comma; comma = strchr(comma + 1, ',')) { /* each step eats a comma */
		char *equals = strchr(comma, '=');

		if (equals && find_named(comma + 1, (size_t)(equals - comma - 1)))
			return comma;
	}
	return NULL;
}

static void take_fields(struct spec *s)
{
	char *field = skip_prefix(s), *comma;
	bool old = field != s->text;

	while (field) { /* each step eats a field */
		while (*field == ' ')
			field++;
		comma = field_end(field);
		if (comma)
			*comma = 0;
		take_field(s, field);
		field = comma ? comma + 1 : NULL;
		/* "phy:/dev/x,xvda,w" has no place for a format: the prefix stood for it. */
		if (old && s->unnamed == FIELD_FORMAT)
			s->unnamed = FIELD_VDEV;
	}
}

/* A CD-ROM is read-only and may be empty; of xl's ways to say so, "" is the one that is left of a file. */
static void check_kind(struct spec *s)
{
	if (s->disk->cdrom && s->writable)
		SPEC_ERROR(s, 0, "a CD-ROM cannot be written to");
	if (!s->disk->cdrom && !s->disk->target[0])
		SPEC_ERROR(s, 0, "disk without a target");
	s->disk->readonly |= s->disk->cdrom;
}

/* One message a disk: what follows from an error that was told already is not told again. Numbers
 * are compared and not names, because the number is what the store and the guest know a disk by. */
static void check_disk(struct spec *s)
{
	struct domain_config *c = s->p->out;

	if (!s->failed)
		check_kind(s);
	if (!s->failed && !s->disk->vdev[0])
		SPEC_ERROR(s, 0, "disk without a vdev");
	for (unsigned i = 0; !s->failed && i < c->n_disks; i++) {
		if (c->disks[i].devid == s->disk->devid)
			SPEC_ERROR(s, 0, "disk vdev '%s' given twice", s->disk->vdev);
	}
}

/* Read into the array's next slot, which counts only when all of it was good. */
void config_add_disk(struct config_parser *p, const struct token *token)
{
	struct spec s = {.p = p, .token = token};

	if (p->out->n_disks == CONFIG_MAX_DISKS) {
		config_error(p, token, "more than %u disks", CONFIG_MAX_DISKS);
		return;
	}
	if (!token_text(token, s.text, sizeof(s.text))) {
		config_error(p, token, "disk longer than %u characters",
			     (unsigned)sizeof(s.text) - 1);
		return;
	}
	s.disk = &p->out->disks[p->out->n_disks];
	*s.disk = (struct config_disk){.limit.burst_ms = CONFIG_BURST_USUAL_MS};
	take_fields(&s);
	check_disk(&s);
	if (!s.failed)
		p->out->n_disks++;
}
