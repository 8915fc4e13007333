/*
 * client_state: see the header.
 */
#include "client/client_state.h"

#include "client/client_exit.h"
#include "identity/state_file.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Abstract: it lives in the network namespace, and nowhere on disk. */
static const char namespace_lock[] = "\0higgs-client";

int
client_state_path(const char *folder, const char *name, char ret_path[CLIENT_PATH_BYTES])
{
	int n = snprintf(ret_path, CLIENT_PATH_BYTES, "%s/%s", folder, name);

	return n > 0 && n < CLIENT_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int
client_state_open(const char *folder)
{
	char path[CLIENT_PATH_BYTES];
	size_t n = strlen(folder);

	if (n == 0 || n >= sizeof path)
		return -ENAMETOOLONG;
	memcpy(path, folder, n + 1);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return access(path, W_OK | X_OK) < 0 ? -errno : 0;
}

int
client_lock_take(const char *folder, struct client_lock *ret)
{
	struct client_lock lock = { .folder_fd = -1, .namespace_fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[CLIENT_PATH_BYTES];
	int r = client_state_path(folder, "lock", path);

	if (r < 0)
		return r;
	memcpy(address.sun_path, namespace_lock, sizeof namespace_lock - 1);
	socklen_t n =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof namespace_lock - 1);
	lock.folder_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock.folder_fd < 0 || flock(lock.folder_fd, LOCK_EX | LOCK_NB) < 0)
		goto failed;
	lock.namespace_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lock.namespace_fd < 0 || bind(lock.namespace_fd, (struct sockaddr *)&address, n) < 0)
		goto failed;
	*ret = lock;
	return 0;
failed:
	r = errno == EWOULDBLOCK || errno == EADDRINUSE ? -EAGAIN : -errno;
	client_lock_release(&lock);
	return r;
}

void
client_lock_release(struct client_lock *lock)
{
	if (lock->folder_fd >= 0)
		close(lock->folder_fd);
	if (lock->namespace_fd >= 0)
		close(lock->namespace_fd);
	*lock = (struct client_lock){ .folder_fd = -1, .namespace_fd = -1 };
}

int
client_state_id(const char *folder, char ret_id[UUID_TEXT_BYTES])
{
	char path[CLIENT_PATH_BYTES], text[UUID_TEXT_BYTES + 2];
	uint8_t id[UUID_BYTES];
	int r = client_state_path(folder, "client_id", path);

	if (r < 0)
		return r;
	ssize_t n = state_file_read(path, true, text, sizeof text);
	if (n >= 0) {
		text[strcspn(text, "\n")] = '\0';
		if (uuid_parse(text, id) == 0) {
			memcpy(ret_id, text, UUID_TEXT_BYTES);
			return 0;
		}
	}
	if (n != -ENOENT)
		log_warn("client_id_replaced", "path=%s error=%s", path,
			 n < 0 ? strerror((int)-n) : "no UUID in it");
	r = uuid_generate_text(ret_id);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "%s\n", ret_id);
	return state_file_replace(path, 0600, text, strlen(text));
}

int
client_state_note_interface(const char *folder, const char *name)
{
	char path[CLIENT_PATH_BYTES];
	int r = client_state_path(folder, "interface", path);

	return r < 0 ? r : state_file_replace(path, 0600, name, strlen(name));
}

void
client_state_noted_interface(const char *folder, char ret_name[16])
{
	char path[CLIENT_PATH_BYTES];

	if (client_state_path(folder, "interface", path) < 0 ||
	    state_file_read(path, true, ret_name, 16) < 0)
		ret_name[0] = '\0';
}

void
client_state_forget_interface(const char *folder)
{
	char path[CLIENT_PATH_BYTES];

	if (client_state_path(folder, "interface", path) == 0)
		unlink(path);
}

static bool
is_access_key(const char *key)
{
	size_t n = strlen(key);

	for (const char *c = key; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return n >= 8 && n + 1 < CLIENT_ACCESS_KEY_BYTES;
}

/* With sudo the file is the user's, and the reader root. */
static bool
is_open_to_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 ||
					(st.st_uid != geteuid() && geteuid() != 0));
}

/* A terminal, a pipe, a folder: nothing waits for somebody to type. */
static bool
is_no_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int
client_access_key_read(const char *path, char ret_key[CLIENT_ACCESS_KEY_BYTES], char *ret_error,
		       size_t error_bytes)
{
	char shown[CLIENT_TEXT_BYTES / 2], text[CLIENT_ACCESS_KEY_BYTES];
	ssize_t n = state_file_read(path, false, text, sizeof text);

	client_escape(path, shown, sizeof shown);
	if (n < 0 && is_no_file(path)) {
		snprintf(ret_error, error_bytes,
			 "%s: not a file; --key-file takes one that holds the access key", shown);
		return EXIT_NO_INPUT;
	}
	if (n != -ENOENT && is_open_to_others(path)) {
		key_wipe(text, sizeof text);
		snprintf(ret_error, error_bytes,
			 "%s: others can read this access key, or it is not yours; chmod 600 it",
			 shown);
		return EXIT_NOT_PERMITTED;
	}
	if (n < 0 && n != -EFBIG && n != -EINVAL) {
		snprintf(ret_error, error_bytes,
			 "%s: %s; --key-file takes a file with your access key", shown,
			 strerror((int)-n));
		return n == -EACCES ? EXIT_NOT_PERMITTED : EXIT_NO_INPUT;
	}
	if (n >= 0)
		text[strcspn(text, "\r\n")] = '\0';
	if (n < 0 || !is_access_key(text)) {
		snprintf(ret_error, error_bytes,
			 "%s: no access key in it: one line of text is expected", shown);
		key_wipe(text, sizeof text);
		return EXIT_USAGE_WRONG;
	}
	memcpy(ret_key, text, sizeof text);
	key_wipe(text, sizeof text);
	return 0;
}
