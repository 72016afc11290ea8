/* ctl_socket.c: where the control ports of running machines are: a UNIX socket each, in one folder.
 *
 * The folder is the user's own, in XDG_RUNTIME_DIR or /tmp, and nobody else may look into it: who reaches a
 * socket commands the machine. A socket is named after the process that runs the machine. Callers: main.c
 * makes one, ctl.c finds one.
 */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX ".ctl"

/* The folder's path; false: it is not there and make was not said, or it is not ours. */
static bool folder(char *out, size_t cap, bool make)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (run && run[0])
		snprintf(out, cap, "%s/amphi", run);
	else
		snprintf(out, cap, "/tmp/amphi-%u", (unsigned)getuid());
	if (make && mkdir(out, 0700) && errno != EEXIST)
		fail(EXIT_CONFIG, "cannot make the folder %s: %s", out, strerror(errno));
	if (lstat(out, &st))
		return false;
	/* In /tmp anybody can make a folder of this name, and then has what we put there. */
	if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077))
		fail(EXIT_CONFIG, "%s: is not a folder of yours alone (mode 0700)", out);
	return true;
}

/* As QEMU will: a longer path it would refuse in words of its own. */
static void check_length(const char *path)
{
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		fail(EXIT_CONFIG, "%s: is longer than a socket's name can be", path);
}

/* A machine that was killed leaves its socket, which QEMU would not take; anything else of this name is
 * somebody's. */
static void make_room(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return;
	if (!S_ISSOCK(st.st_mode))
		fail(EXIT_CONFIG, "--ctl: %s is there and is not a socket", path);
	if (ctl_socket_connect(path) >= 0)
		fail(EXIT_CONFIG, "--ctl: %s is another machine's", path);
	unlink(path);
}

const char *ctl_socket_new(const char *asked)
{
	static char path[4096];

	if (asked) {
		check_length(asked);
		make_room(asked);
		return asked;
	}
	folder(path, sizeof(path) - 32, true);
	snprintf(path + strlen(path), 32, "/%u" SUFFIX, (unsigned)getpid());
	check_length(path);
	make_room(path);
	return path;
}

int ctl_socket_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check_length(path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* "HOST:PORT", "[ADDRESS]:PORT". -1: nobody is there yet. */
int ctl_tcp_connect(const char *where)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
	const char *colon = strrchr(where, ':');
	char host[256];
	size_t len = colon ? (size_t)(colon - where) : 0;
	int fd = -1, err;

	if (len >= 2 && where[0] == '[' && where[len - 1] == ']')
		where++, len -= 2;
	if (!len || len >= sizeof(host) || !colon[1])
		fail(EXIT_USAGE, "ctl: --tcp: '%s' is not HOST:PORT", where);
	memcpy(host, where, len);
	host[len] = '\0';
	err = getaddrinfo(host, colon + 1, &hints, &all);
	if (err)
		fail(EXIT_USAGE, "ctl: --tcp: %s: %s", where, gai_strerror(err));
	for (a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd;
}

static bool is_socket_name(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) && !strcmp(name + len - strlen(SUFFIX), SUFFIX);
}

/* A machine that was killed leaves its socket; nobody answers there, and it is removed. */
static int try(const char *path)
{
	int fd = ctl_socket_connect(path);

	if (fd < 0 && errno == ECONNREFUSED)
		unlink(path);
	return fd;
}

/* The one machine that runs. With two, a command must say which it means: none is taken by chance. */
int ctl_socket_find(void)
{
	char dir[2048], path[4096], first[4096] = "";
	struct dirent *entry;
	int found = -1, fd;
	DIR *d;

	if (!folder(dir, sizeof(dir), false) || !(d = opendir(dir)))
		fail(EXIT_NO_QEMU, "ctl: no machine runs (no control port in %s)", dir);
	while ((entry = readdir(d)) != NULL) {
		if (!is_socket_name(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		fd = try(path);
		if (fd < 0)
			continue;
		if (found >= 0)
			fail(EXIT_USAGE,
			     "ctl: several machines run: say --socket %s, or --socket %s", first,
			     path);
		found = fd;
		strcpy(first, path);
	}
	closedir(d);
	if (found < 0)
		fail(EXIT_NO_QEMU, "ctl: no machine runs (no control port in %s)", dir);
	return found;
}
