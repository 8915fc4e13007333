/*
 * sysctl_journal: see sysctl_journal.h. The file: a line with the kernel's boot id, then a line
 * `name old new` for each change, each flushed to the disk before the change is made. A last line
 * without its newline was never acted on.
 */
#include "forwarder/sysctl_journal.h"

#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHANGES_MAX = 64,
	NAME_BYTES = 128,
	VALUE_BYTES = 32,
	LINE_BYTES = NAME_BYTES + 2 * VALUE_BYTES + 8,
};

struct change {
	char name[NAME_BYTES], old[VALUE_BYTES], new[VALUE_BYTES];
};

struct sysctl_journal {
	char root[PATH_MAX], path[PATH_MAX];
	int fd;
	struct change changes[CHANGES_MAX];
	size_t count;
};

static int
setting_read(const char *root, const char *name, char *ret_value, size_t n)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/%s", root, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, ret_value, n - 1);
	int r = got < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	ret_value[got] = 0;
	ret_value[strcspn(ret_value, "\n")] = 0;
	return 0;
}

static int
setting_write(const char *root, const char *name, const char *value)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/%s", root, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Somebody has since turned forwarding on for all interfaces: it is theirs now on each of them. */
static bool
is_superseded(const char *root, const char *name)
{
	const char *conf = strstr(name, "/conf/");
	const char *setting = strrchr(name, '/');
	char all[NAME_BYTES], value[VALUE_BYTES];
	if (!conf || strcmp(setting, "/forwarding") != 0)
		return false;
	snprintf(all, sizeof all, "%.*s/conf/all/forwarding", (int)(conf - name), name);
	return strcmp(all, name) != 0 && setting_read(root, all, value, sizeof value) == 0 &&
	       strcmp(value, "1") == 0;
}

static void
change_undo(const char *root, const struct change *change)
{
	char now[VALUE_BYTES];
	int r = setting_read(root, change->name, now, sizeof now);
	if (r == 0 && strcmp(now, change->new) == 0 && !is_superseded(root, change->name))
		r = setting_write(root, change->name, change->old);
	if (r < 0 && r != -ENOENT) /* the interface may be gone */
		log_warn("sysctl_not_restored", "name=%s error=%s", change->name, strerror(-r));
}

static void
boot_id_read(char ret_id[LINE_BYTES])
{
	if (setting_read("/proc/sys", "kernel/random/boot_id", ret_id, LINE_BYTES) < 0)
		snprintf(ret_id, LINE_BYTES, "unknown");
}

static int
sync_folder(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof copy, "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int
journal_append(struct sysctl_journal *journal, const char *line)
{
	size_t n = strlen(line);
	ssize_t written = write(journal->fd, line, n);
	if (written < 0)
		return -errno;
	if ((size_t)written != n)
		return -ENOSPC;
	return fsync(journal->fd) < 0 ? -errno : 0;
}

/* Undoes what a journal file holds, newest first. */
static void
undo_file(const char *root, const char *path)
{
	char line[LINE_BYTES], boot_id[LINE_BYTES];
	struct change changes[CHANGES_MAX];
	size_t count = 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	boot_id_read(boot_id);
	if (fgets(line, sizeof line, file) && strchr(line, '\n') &&
	    strncmp(line, boot_id, strlen(boot_id)) == 0)
		while (count < CHANGES_MAX && fgets(line, sizeof line, file) &&
		       strchr(line, '\n') &&
		       sscanf(line, "%127s %31s %31s", changes[count].name, changes[count].old,
			      changes[count].new) == 3)
			count++;
	fclose(file);
	if (count > 0)
		log_info("sysctl_undone", "changes=%zu", count);
	while (count > 0)
		change_undo(root, &changes[--count]);
}

int
sysctl_journal_open(const char *root, const char *path, struct sysctl_journal **ret)
{
	struct sysctl_journal *journal = calloc(1, sizeof *journal);
	char line[LINE_BYTES];
	if (!journal)
		return -ENOMEM;
	snprintf(journal->root, sizeof journal->root, "%s", root);
	snprintf(journal->path, sizeof journal->path, "%s", path);
	undo_file(root, path);
	journal->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = journal->fd < 0 ? -errno : 0;
	if (r == 0) {
		boot_id_read(line);
		strcat(line, "\n");
		r = journal_append(journal, line);
	}
	if (r == 0)
		r = sync_folder(path);
	if (r < 0) {
		if (journal->fd >= 0)
			close(journal->fd);
		free(journal);
		return r;
	}
	*ret = journal;
	return 0;
}

int
sysctl_journal_set(struct sysctl_journal *journal, const char *name, const char *value)
{
	struct change *change = &journal->changes[journal->count];
	char line[LINE_BYTES], now[VALUE_BYTES];
	int r = setting_read(journal->root, name, now, sizeof now);
	if (r < 0 || strcmp(now, value) == 0)
		return r;
	for (size_t i = 0; i < journal->count; i++)
		if (strcmp(journal->changes[i].name, name) == 0 &&
		    strcmp(journal->changes[i].new, value) == 0)
			return setting_write(journal->root, name, value);
	if (journal->count == CHANGES_MAX)
		return -ENOSPC;
	/* A blank would split the line: no setting that we touch has one. */
	if (strlen(name) >= NAME_BYTES || strlen(value) >= VALUE_BYTES || strpbrk(name, " \t\n") ||
	    strpbrk(now, " \t") || *now == 0)
		return -EINVAL;
	snprintf(change->name, sizeof change->name, "%s", name);
	snprintf(change->old, sizeof change->old, "%s", now);
	snprintf(change->new, sizeof change->new, "%s", value);
	snprintf(line, sizeof line, "%s %s %s\n", change->name, change->old, change->new);
	r = journal_append(journal, line);
	if (r < 0)
		return r;
	journal->count++;
	return setting_write(journal->root, name, value);
}

int
sysctl_journal_set_own(const struct sysctl_journal *journal, const char *name, const char *value)
{
	char now[VALUE_BYTES];

	/* In a container /proc/sys is read-only, and what was set outside is all there is. */
	if (setting_read(journal->root, name, now, sizeof now) == 0 && strcmp(now, value) == 0)
		return 0;
	return setting_write(journal->root, name, value);
}

int
sysctl_journal_get(const struct sysctl_journal *journal, const char *name, char *ret_value,
		   unsigned value_bytes)
{
	return setting_read(journal->root, name, ret_value, value_bytes);
}

void
sysctl_journal_close(struct sysctl_journal **journal)
{
	if (!*journal)
		return;
	while ((*journal)->count > 0)
		change_undo((*journal)->root, &(*journal)->changes[--(*journal)->count]);
	unlink((*journal)->path);
	sync_folder((*journal)->path);
	close((*journal)->fd);
	free(*journal);
	*journal = NULL;
}
