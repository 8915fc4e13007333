/*
 * identity_secrets: see the header.
 */
#include "identity_secrets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRETS_MAX = 512, SECRET_MIN_CHARS = 16, LINE_BYTES = 1024 };

static char *noted[SECRETS_MAX];
static size_t count;
static int log_fd = -1, stderr_fd = -1;

void
secrets_begin(void)
{
	char path[] = "/tmp/test_identity_log.XXXXXX";

	log_fd = mkostemp(path, O_CLOEXEC | O_APPEND);
	stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (log_fd < 0 || stderr_fd < 0)
		abort();
	unlink(path);
	fflush(stderr);
	dup2(log_fd, STDERR_FILENO);
	setenv("BOSON_LOG_LEVEL", "debug", 1);
}

void
secrets_add(const char *text)
{
	if (text == NULL || strlen(text) < SECRET_MIN_CHARS || count == SECRETS_MAX)
		return;
	noted[count] = strdup(text);
	if (noted[count] == NULL)
		abort();
	count++;
}

void
secrets_add_file(const char *path)
{
	char line[LINE_BYTES];
	FILE *in = fopen(path, "r");

	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		secrets_add(line);
	}
	if (in != NULL)
		fclose(in);
}

bool
secrets_are_in(const char *text)
{
	for (size_t i = 0; i < count; i++) {
		if (strstr(text, noted[i]) == NULL)
			continue;
		dprintf(stderr_fd >= 0 ? stderr_fd : STDERR_FILENO, "secret %zu was found\n", i);
		return true;
	}
	return false;
}

/* All that was said, to be freed. */
static char *
read_log(size_t *ret_n)
{
	struct stat st = { 0 };
	char *text;

	fflush(stderr);
	fstat(log_fd, &st);
	text = calloc(1, (size_t)st.st_size + 1);
	if (text == NULL || pread(log_fd, text, (size_t)st.st_size, 0) != st.st_size)
		abort();
	*ret_n = (size_t)st.st_size;
	return text;
}

size_t
secrets_count_said(const char *what)
{
	size_t n, found = 0;
	char *text = read_log(&n);

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		found++;
	free(text);
	return found;
}

bool
secrets_end(size_t *ret_count, size_t *ret_log_bytes)
{
	char *text = read_log(ret_log_bytes);
	bool good;

	dup2(stderr_fd, STDERR_FILENO);
	good = !secrets_are_in(text);
	fputs(text, stderr);
	free(text);
	*ret_count = count;
	while (count > 0)
		free(noted[--count]);
	close(log_fd);
	close(stderr_fd);
	log_fd = stderr_fd = -1;
	return good;
}
