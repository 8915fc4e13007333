/*
 * client_dns: see the header. Our text is known by its first line; a file that has another one by
 * the time of restoring is somebody else's and stays.
 */
#include "client/client_dns.h"

#include "client/client_state.h"
#include "identity/state_file.h"
#include "wg/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RESOLVECTL_TIMEOUT_MS = 3000, SERVERS_MAX = 4, MODE = 0644 };

static const char mark[] =
	"# By higgs, until `higgs disconnect`. The file before is in its state.\n";

/* What stood in the file: 'a' absent, or 'p' present and then its text. */
enum { WAS_ABSENT = 'a', WAS_PRESENT = 'p' };

static int
write_in_place(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
	int r = 0;

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < n && r == 0;) {
		ssize_t written = write(fd, text + at, n - at);
		if (written < 0)
			r = -errno;
		else
			at += (size_t)written;
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int
back_up(const char *resolv_conf, const char *folder)
{
	char path[CLIENT_PATH_BYTES], text[STATE_FILE_MAX_BYTES];
	int r = client_state_path(folder, "resolv.conf.before", path);

	if (r < 0)
		return r;
	ssize_t n = state_file_read(resolv_conf, false, text + 1, sizeof text - 1);
	if (n == -ENOENT) {
		text[0] = WAS_ABSENT;
		n = 0;
	} else if (n < 0) {
		return (int)n;
	} else {
		text[0] = WAS_PRESENT;
	}
	/* Ours is never backed up over what was there before us. */
	if (n > 0 && strncmp(text + 1, mark, sizeof mark - 1) == 0)
		return 0;
	return state_file_replace(path, 0600, text, (size_t)n + 1);
}

static int
set_by_resolved(const char *interface, const char *const *servers)
{
	const char *argv[SERVERS_MAX + 4] = { "resolvectl", "dns", interface };
	const char *domain[] = { "resolvectl", "domain", interface, "~.", NULL };
	size_t n = 3;

	for (size_t i = 0; i < SERVERS_MAX && servers[i] != NULL; i++)
		argv[n++] = servers[i];
	argv[n] = NULL;
	int r = child_run(argv, NULL, 0, NULL, 0, RESOLVECTL_TIMEOUT_MS);
	return r < 0 ? r : child_run(domain, NULL, 0, NULL, 0, RESOLVECTL_TIMEOUT_MS);
}

/* 1: a manager's link, and this is where it leads. */
static int
managed(const char *resolv_conf, char *ret_target, size_t capacity)
{
	struct stat st;

	if (lstat(resolv_conf, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISLNK(st.st_mode))
		return 0;
	ssize_t n = readlink(resolv_conf, ret_target, capacity - 1);
	if (n < 0)
		return -errno;
	ret_target[n] = '\0';
	return 1;
}

int
client_dns_set(const char *resolv_conf, const char *folder, const char *interface,
	       const char *const *servers, char *ret_warning, size_t warning_bytes)
{
	char target[PATH_MAX], text[CLIENT_PATH_BYTES];
	int r = managed(resolv_conf, target, sizeof target);

	if (r < 0)
		return r;
	if (r == 1) {
		if (strstr(target, "systemd/resolve") != NULL &&
		    set_by_resolved(interface, servers) == 0)
			return 0;
		snprintf(ret_warning, warning_bytes,
			 "%s is managed by another program and left alone; set the name server %s "
			 "there, or names may not resolve",
			 resolv_conf, servers[0]);
		return 1;
	}
	size_t n = (size_t)snprintf(text, sizeof text, "%s", mark);
	for (size_t i = 0; i < SERVERS_MAX && servers[i] != NULL; i++) {
		int line_n = snprintf(text + n, sizeof text - n, "nameserver %s\n", servers[i]);
		if (line_n < 0 || (size_t)line_n >= sizeof text - n)
			return -EINVAL;
		n += (size_t)line_n;
	}
	r = back_up(resolv_conf, folder);
	return r < 0 ? r : write_in_place(resolv_conf, text, n);
}

int
client_dns_restore(const char *resolv_conf, const char *folder)
{
	char path[CLIENT_PATH_BYTES], before[STATE_FILE_MAX_BYTES], now[STATE_FILE_MAX_BYTES];
	int r = client_state_path(folder, "resolv.conf.before", path);

	if (r < 0)
		return r;
	ssize_t before_n = state_file_read(path, true, before, sizeof before);
	if (before_n == -ENOENT)
		return 0;
	if (before_n < 1)
		return before_n < 0 ? (int)before_n : -EBADMSG;
	ssize_t now_n = state_file_read(resolv_conf, false, now, sizeof now);
	/* Empty: killed between truncating and writing. */
	bool is_ours = now_n == 0 || (now_n > 0 && strncmp(now, mark, sizeof mark - 1) == 0);
	if (is_ours && before[0] == WAS_ABSENT)
		r = unlink(resolv_conf) < 0 && errno != ENOENT ? -errno : 0;
	else if (is_ours)
		r = write_in_place(resolv_conf, before + 1, (size_t)before_n - 1);
	if (r < 0)
		return r;
	unlink(path);
	return is_ours ? 1 : 0;
}
