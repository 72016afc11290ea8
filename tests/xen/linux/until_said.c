/* until_said.c: waits until files have a line: until_said [-n TIMES] [-t SECONDS] REGEX FILE...
 *
 * Ends with 0 when the files together have that many lines (1) that the extended expression matches, carriage returns left out; with 1 when
 * the machine has been up for so many seconds (for ever). A file may come later. Why a program: the first domain of an
 * emulated Xen shares one processor with those that it waits for, and a loop of grep(1) and sleep(1) takes half of it.
 * Run by the tests' run.sh in the first domain; built by root.sh, statically.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 100000

static regex_t wanted;

/* What is no text in a line is as good as a blank. */
static void clean(char *line, ssize_t len)
{
	char *to = line;

	for (ssize_t i = 0; i < len; i++)
		if (line[i] != '\r' && line[i] != '\n')
			*to++ = line[i] ? line[i] : ' ';
	*to = '\0';
}

static unsigned long lines_in(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long n = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (f && (len = getline(&line, &room, f)) >= 0) {
		clean(line, len);
		n += !regexec(&wanted, line, 0, NULL, 0);
	}
	if (f)
		fclose(f);
	free(line);
	return n;
}

static off_t size_of(char **paths)
{
	off_t sum = 0;
	struct stat s;

	for (; *paths; paths++)
		if (!stat(*paths, &s))
			sum += s.st_size + 1;
	return sum;
}

static int up_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int)t.tv_sec;
}

int main(int argc, char **argv)
{
	unsigned long times = 1, n;
	int end_s = 0, c;
	off_t last = -1, now;

	while ((c = getopt(argc, argv, "n:t:")) >= 0) {
		if (c == 'n')
			times = strtoul(optarg, NULL, 10);
		else if (c == 't')
			end_s = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind < 2 || regcomp(&wanted, argv[optind], REG_EXTENDED | REG_NOSUB))
		return 2;
	for (;; usleep(LOOK_US)) {
		now = size_of(argv + optind + 1);
		if (now != last) {
			n = 0;
			for (char **path = argv + optind + 1; *path; path++)
				n += lines_in(*path);
			if (n >= times)
				return 0;
		}
		last = now;
		if (end_s && up_s() >= end_s)
			return 1;
	}
}
