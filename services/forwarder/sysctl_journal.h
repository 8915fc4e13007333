/*
 * sysctl_journal: kernel settings that we change, and the way back. Before each change the old
 * value is on the disk, so that a start after a crash can undo it; a clean stop undoes it itself.
 * What somebody else changed after us is left alone. No thread of its own; a write is a few ms
 * (fsync).
 */
#pragma once

struct sysctl_journal;

/* root: "/proc/sys"; path: the journal's file. What an earlier run left in it is undone first,
 * unless the machine was started anew since. */
int sysctl_journal_open(const char *root, const char *path, struct sysctl_journal **ret);

/* name: "net/ipv4/conf/eth0/forwarding". Nothing is done when the value is there already. -ENOENT:
 * no such setting. */
int sysctl_journal_set(struct sysctl_journal *journal, const char *name, const char *value);

/* For what goes with an interface of our own: written, and not undone. */
int sysctl_journal_set_own(const struct sysctl_journal *journal, const char *name,
			   const char *value);

/* The present value, without the newline. */
int sysctl_journal_get(const struct sysctl_journal *journal, const char *name, char *ret_value,
		       unsigned value_bytes);

/* Undoes everything, newest first, and removes the file. */
void sysctl_journal_close(struct sysctl_journal **journal);
