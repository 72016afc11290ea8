/* tool.h: what the files of the host tool share.
 *
 * amphi-tool is an ordinary program of the host: libc, exit codes, messages on standard error. It reads
 * domain files with the parser the service domain uses (control/domain_config.c), packs the boot archive,
 * starts QEMU and follows the console. Private to tools/amphi-tool.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <amphi/domain_config.h>

/* Exit statuses of our own, above those a domain is likely to choose. */
enum { EXIT_USAGE = 2, EXIT_CONFIG = 3, EXIT_NO_QEMU = 4, EXIT_TIMEOUT = 124, EXIT_LOST = 125 };

#define MAX_DOMAINS 32u
#define MAX_PARTS   3u /* besides the one that is booted from */
#define MAX_DISKS   (MAX_DOMAINS * CONFIG_MAX_DISKS)
#define SERVICE                                                                                    \
	"service" /* the service domain's name on the console; no other domain may have it */

struct options {
	unsigned mem_total_mib;   /* 0: as much as the domains need */
	unsigned service_mem_mib; /* 0: 32, and room for a large archive */
	unsigned timeout_s;       /* 0: none */
	unsigned cpus;            /* of the machine */
	const char *accel;        /* "tcg", "kvm", NULL: what the machine has */
	const char *disk_bus;     /* "nvme" or "virtio" */
	const char
	    *net; /* of QEMU's -netdev; "none"; NULL: a user network where a file wants one */
	const char *hypervisor, *kernel; /* files */
	const char *stats_file;          /* NULL: none */
	const char *ctl;                 /* socket of the control port */
	const char *service_args;        /* more words for the service domain's command line */
	const char *hypervisor_args;     /* ... and for the hypervisor's */
	const char *qemu_args;           /* more words for QEMU, parted by blanks */
	bool icount, interactive;
	const char *output; /* of image: the disk */
	char *disk_words[MAX_DOMAINS];
	unsigned n_disk_words; /* TARGET=SERIAL, of image */
	char *part_words[MAX_PARTS];
	unsigned n_parts; /* TARGET=MIB, of image */
	char **files;
	unsigned n_files;
	char *later[MAX_DOMAINS]; /* files of domains that are not started */
	unsigned n_later;
};

struct domain_file {
	const char *path;
	char *text;
	size_t len;
	struct domain_config config;
	bool spare; /* not started by itself */
	bool ended;
	unsigned exit_code;
};

struct disk {
	const char *target;
	char serial[16];
	bool readonly;
	bool slices; /* it is not named as a whole */
};

struct plan {
	const struct options *options;
	struct domain_file *domains;
	unsigned n_domains;
	struct disk disks[MAX_DISKS];
	unsigned n_disks;
	char archive[64]; /* path of the temporary boot archive */
	char ctl[128];    /* path of the control socket */
	uint64_t archive_bytes;
};

/* main.c: a message with the program's name, and the end. */
void fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* files.c: the whole of a file, with a NUL behind it; ends the program when it cannot be read. */
char *read_file(const char *path, size_t *out_len);

/* domains.c: reads and checks domain files. Returns the number of errors, all of them told. */
unsigned domains_load(struct plan *plan);

/* disks.c: one machine disk for each file named by the domains. Returns the number of errors. */
unsigned disks_plan(struct plan *plan);

/* A disk that is no file of the host's: memory of the service domain, another domain's, a server's, one that the machine has anyway and that
 * is named by a mark of its own (serial=, PARTUUID=...), or an empty CD-ROM. */
bool is_not_ours(const struct config_disk *disk);

/* archive.c: writes the boot archive into a temporary file. */
void archive_write(struct plan *plan);

/* machine.c: the QEMU command line, NULL at its end; owned by the caller for the program's life. */
char **machine_command(const struct plan *plan);

/* ctl_socket.c: the path of a new machine's control socket, which is the asked one if there is one; connects
 * to one (-1 and errno), or to that of the only machine that runs. Faults end the program. */
const char *ctl_socket_new(const char *asked);
int ctl_socket_connect(const char *path);
int ctl_socket_find(void);
/* -1: nobody is at HOST:PORT now. */
int ctl_tcp_connect(const char *where);

/* ctl_file.c: the answer to a command that makes a file: named, or (NULL) standard output. begun: a piece has come;
 * enough: no more are wanted. end returns the status, or ends the program when the file is not whole. */
void ctl_file_prepare(const char *name, bool expected);
void ctl_file_piece(const char *text);
bool ctl_file_begun(void);
bool ctl_file_enough(void);
int ctl_file_end(int status);

/* ctl.c: the command `ctl`; argv[0] is its name. Returns the exit status. */
int ctl_main(int argc, char **argv);

/* The service domain's memory, by plan->archive_bytes. */
unsigned machine_service_mib(const struct plan *plan);

/* image.c: makes the disk of plan->options->output, or ends the program. */
void image_make(struct plan *plan);

/* What image.c and image_grub.c share: the disk that is being made. */
struct image_file {
	const char *from, *name; /* on the host; under /amphi of the disk */
};
struct image {
	const char *dir; /* of files that are made */
	FILE *menu, *manifest;
	struct image_file files[3 * MAX_DOMAINS + 4];
	unsigned n_files;
	const char *named[2 * MAX_DOMAINS]; /* kernels and ramdisks so far */
	unsigned n_named;
	uint64_t bytes, fat_bytes, disk_bytes;
	struct {
		const char *target; /* a host file whose bytes it begins with, if there is one */
		uint64_t bytes;
	} parts[MAX_PARTS];
	unsigned n_parts;
	uint32_t signature; /* of the partition table */
};

/* A temporary folder, gone at the program's end. */
void image_begin(struct image *im);
/* From the files and im->dir's grub.cfg. Sets disk_bytes. */
void image_write(struct image *im, const char *out);

/* console.c: follows the machine's console (fd) to its end or the timeout; prints it by domain, notes exit
 * codes and statistics. Returns false when the time was over. */
bool console_follow(struct plan *plan, int fd, unsigned timeout_s);

#endif
