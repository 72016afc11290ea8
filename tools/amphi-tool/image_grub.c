/* image_grub.c: writes the disk of image.c: a partition table, GRUB for BIOS and UEFI, one FAT partition.
 *
 * By Debian's grub-mkimage and mtools; nothing is mounted, and nobody need be root. GRUB's first stage is in
 * sector 0 and finds its core in sector 1 by itself; for UEFI the core is a file where firmware looks for
 * it. A name that ends in .qcow2 has qemu-img turn the disk into that. Called by image.c.
 */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR     512u
#define PART_AT    (1ull << 20) /* the gap before it has room for GRUB's core */
#define MIB        1048576ull
#define SPARE_MIB  16u /* free, for files that grow */
#define LEAST_MIB  40u /* mformat makes FAT16 of it */
#define GRUB_DIR   "/usr/lib/grub"
#define TYPE_FAT   0xef /* an EFI system partition, which BIOSes do not mind */
#define TYPE_LINUX 0x83
#define BOOT_CODE  440u /* of sector 0; the partition table is behind it */

static char dir[64];

static void drop_dir(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (dir[0] && system(command))
		warn("%s is left", dir);
}

void image_begin(struct image *im)
{
	snprintf(dir, sizeof(dir), "/tmp/amphi-image.XXXXXX");
	if (!mkdtemp(dir)) {
		dir[0] = '\0';
		fail(EXIT_LOST, "cannot make a temporary folder: %s", strerror(errno));
	}
	atexit(drop_dir);
	im->dir = dir;
	/* By it the service domain knows the disk's partitions from those of any other. */
	if (getrandom(&im->signature, sizeof(im->signature), 0) != sizeof(im->signature))
		fail(EXIT_LOST, "no random number: %s", strerror(errno));
}

/* Runs a program with these words, the last NULL, and ends ours when it fails. */
static void run(const char *package, const char *program, ...)
{
	const char *words[32] = {program};
	unsigned n = 1;
	va_list args;
	int status;
	pid_t pid;

	va_start(args, program);
	while ((words[n] = va_arg(args, const char *)) != NULL && n < 30)
		n++;
	va_end(args);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execvp(program, (char *const *)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail(EXIT_LOST, "cannot run %s: %s", program, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fail(EXIT_CONFIG, "%s is not installed: it is in Debian's package %s", program,
		     package);
	if (status)
		fail(EXIT_LOST, "%s failed", program);
}

static const char *part(const struct image *im, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", im->dir, name);
	return strdup(path);
}

/* ---- GRUB ------------------------------------------------------------------------------------ */

static void make_core(const struct image *im, const char *format, const char *package,
		      const char *out, const char *own)
{
	char folder[64];

	snprintf(folder, sizeof(folder), GRUB_DIR "/%s", format);
	if (access(folder, R_OK))
		fail(EXIT_CONFIG, "%s is not there: it is in Debian's package %s", folder, package);
	run("grub-common", "grub-mkimage", "-O", format, "-d", folder, "-p", "/", "-c",
	    part(im, "core.cfg"), "-o", out, "normal", "multiboot2", "part_msdos", "fat", "search",
	    "search_fs_file", "configfile", "serial", "terminal", "echo", own, NULL);
}

static void write_search(const struct image *im)
{
	const char *path = part(im, "core.cfg");
	FILE *f = fopen(path, "w");

	if (!f ||
	    fputs("search --file --set=root /amphi/amphi-hv\nset prefix=($root)/\n"
		  "configfile /grub.cfg\n",
		  f) < 0 ||
	    fclose(f))
		fail(EXIT_LOST, "%s: %s", path, strerror(errno));
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* Of the old geometry nothing looks at more than that it is beyond. */
static void make_entry(uint8_t *sector, unsigned i, uint8_t type, uint64_t at, uint64_t bytes)
{
	static const uint8_t far[3] = {0xfe, 0xff, 0xff};
	uint8_t *entry = sector + 446 + 16 * i;

	entry[0] = i ? 0 : 0x80;
	memcpy(entry + 1, far, 3);
	entry[4] = type;
	memcpy(entry + 5, far, 3);
	put32(entry + 8, at / SECTOR);
	put32(entry + 12, bytes / SECTOR);
}

/* The partition that is booted from, and behind it those of the domains. */
static void make_table(uint8_t *sector, const struct image *im)
{
	uint64_t at = PART_AT + im->fat_bytes;

	put32(sector + BOOT_CODE, im->signature);
	make_entry(sector, 0, TYPE_FAT, PART_AT, im->fat_bytes);
	for (unsigned i = 0; i < im->n_parts; i++) {
		make_entry(sector, i + 1, TYPE_LINUX, at, im->parts[i].bytes);
		at += im->parts[i].bytes;
	}
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

/* Whole files, into their partitions; a target that is no file of the host leaves zeros. */
static void fill_parts(const struct image *im, FILE *disk)
{
	uint64_t at = PART_AT + im->fat_bytes;

	for (unsigned i = 0; i < im->n_parts; at += im->parts[i++].bytes) {
		char *bytes;
		size_t len;

		if (access(im->parts[i].target, R_OK))
			continue;
		bytes = read_file(im->parts[i].target, &len);
		if (fseeko(disk, (off_t)at, SEEK_SET) || (len && fwrite(bytes, len, 1, disk) != 1))
			fail(EXIT_LOST, "a partition cannot be written: %s", strerror(errno));
		free(bytes);
	}
}

static void write_start(const struct image *im, const char *disk, const char *core_path)
{
	uint8_t sector[SECTOR] = {0};
	size_t boot_len, core_len;
	char *boot = read_file(GRUB_DIR "/i386-pc/boot.img", &boot_len);
	char *core = read_file(core_path, &core_len);
	FILE *f = fopen(disk, "wb");

	if (boot_len < BOOT_CODE || core_len > PART_AT - SECTOR)
		fail(EXIT_LOST, "GRUB's parts are not of the sizes expected");
	memcpy(sector, boot, BOOT_CODE);
	make_table(sector, im);
	if (!f || fwrite(sector, SECTOR, 1, f) != 1 || fwrite(core, core_len, 1, f) != 1 ||
	    fflush(f) || ftruncate(fileno(f), (off_t)im->disk_bytes))
		fail(EXIT_LOST, "%s: %s", disk, strerror(errno));
	fill_parts(im, f);
	if (fclose(f))
		fail(EXIT_LOST, "%s: %s", disk, strerror(errno));
	free(boot);
	free(core);
}

static void copy(const char *at, const char *from, const char *folder, const char *name)
{
	char to[128];

	snprintf(to, sizeof(to), "::%s/%s", folder, name);
	run("mtools", "mcopy", "-i", at, from, to, NULL);
}

static void fill_partition(const struct image *im, const char *disk)
{
	char at[4200], sectors[24];

	snprintf(at, sizeof(at), "%s@@%llu", disk, (unsigned long long)PART_AT);
	snprintf(sectors, sizeof(sectors), "%llu", (unsigned long long)(im->fat_bytes / SECTOR));
	run("mtools", "mformat", "-i", at, "-T", sectors, "-h", "16", "-s", "63", "-v", "AMPHI",
	    "::", NULL);
	run("mtools", "mmd", "-i", at, "::/EFI", "::/EFI/BOOT", "::/amphi", "::/amphi/domains",
	    "::/amphi/files", NULL);
	copy(at, part(im, "bootx64.efi"), "/EFI/BOOT", "BOOTX64.EFI");
	copy(at, part(im, "grub.cfg"), "", "grub.cfg");
	for (unsigned i = 0; i < im->n_files; i++)
		copy(at, im->files[i].from, "/amphi", im->files[i].name);
}

/* Whole MiB, so that the partition ends where sectors of any size do. */
void image_write(struct image *im, const char *out)
{
	size_t len = strlen(out);
	bool qcow2 = len > 6 && !strcmp(out + len - 6, ".qcow2");
	const char *disk = qcow2 ? part(im, "disk.img") : out;
	uint64_t mib = im->bytes / MIB + 4 + SPARE_MIB;

	im->fat_bytes = MAX(mib, LEAST_MIB) * MIB;
	im->disk_bytes = PART_AT + im->fat_bytes;
	for (unsigned i = 0; i < im->n_parts; i++)
		im->disk_bytes += im->parts[i].bytes;
	write_search(im);
	make_core(im, "i386-pc", "grub-pc-bin", part(im, "core.img"), "biosdisk");
	make_core(im, "x86_64-efi", "grub-efi-amd64-bin", part(im, "bootx64.efi"), "efi_gop");
	write_start(im, disk, part(im, "core.img"));
	fill_partition(im, disk);
	if (qcow2)
		run("qemu-utils", "qemu-img", "convert", "-O", "qcow2", disk, out, NULL);
}
