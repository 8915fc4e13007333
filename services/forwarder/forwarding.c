/*
 * forwarding: see forwarding.h. IPv4 forwards by the interface a packet came in on. IPv6 has a
 * switch for each interface since Linux 6.17 (force_forwarding); before that one for all of them,
 * which also makes the kernel deaf to router advertisements unless accept_ra is 2.
 */
#include "forwarder/forwarding.h"

#include "forwarder/sysctl_journal.h"
#include "log/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { SETTING_BYTES = 96 };

struct forwarding {
	struct sysctl_journal *journal;
	char tunnel[EXIT_INTERFACE_BYTES];
};

int
forwarding_new(const char *state_dir, const char *tunnel, struct forwarding **ret)
{
	char path[PATH_MAX];
	struct forwarding *forwarding = calloc(1, sizeof *forwarding);
	if (!forwarding)
		return -ENOMEM;
	snprintf(forwarding->tunnel, sizeof forwarding->tunnel, "%s", tunnel);
	snprintf(path, sizeof path, "%s/sysctl.journal", state_dir);
	int r = sysctl_journal_open("/proc/sys", path, &forwarding->journal);
	if (r < 0) {
		free(forwarding);
		return r;
	}
	*ret = forwarding;
	return 0;
}

static int
set(struct forwarding *forwarding, const char *family, const char *interface, const char *setting,
    const char *value)
{
	char name[SETTING_BYTES];
	snprintf(name, sizeof name, "net/%s/conf/%s/%s", family, interface, setting);
	int r = strcmp(interface, forwarding->tunnel) == 0
			? sysctl_journal_set_own(forwarding->journal, name, value)
			: sysctl_journal_set(forwarding->journal, name, value);
	if (r < 0 && r != -ENOENT)
		log_warn("forwarding_not_set", "name=%s error=%s", name, strerror(-r));
	return r;
}

/* A router listens to no advertisement unless told to; the uplink's default route came by one. */
static void
keep_advertisements(struct forwarding *forwarding, const char *uplink)
{
	char name[SETTING_BYTES], value[8];
	snprintf(name, sizeof name, "net/ipv6/conf/%s/accept_ra", uplink);
	if (sysctl_journal_get(forwarding->journal, name, value, sizeof value) == 0 &&
	    strcmp(value, "1") == 0)
		set(forwarding, "ipv6", uplink, "accept_ra", "2");
}

static int
apply6(struct forwarding *forwarding, const struct exit_surroundings *surroundings)
{
	int r = set(forwarding, "ipv6", forwarding->tunnel, "force_forwarding", "1");
	bool for_each = r == 0;
	for (size_t i = 0; i < surroundings->uplinks6_count; i++) {
		if (for_each)
			r = set(forwarding, "ipv6", surroundings->uplinks6[i], "force_forwarding",
				"1");
		else
			keep_advertisements(forwarding, surroundings->uplinks6[i]);
		if (for_each && r < 0)
			return r;
	}
	return for_each ? 0 : set(forwarding, "ipv6", "all", "forwarding", "1");
}

int
forwarding_apply(struct forwarding *forwarding, const struct exit_surroundings *surroundings)
{
	int r = sysctl_journal_set(forwarding->journal, "net/netfilter/nf_conntrack_acct", "1");
	if (r == 0)
		r = set(forwarding, "ipv4", forwarding->tunnel, "forwarding", "1");
	for (size_t i = 0; i < surroundings->uplinks4_count && r == 0; i++)
		r = set(forwarding, "ipv4", surroundings->uplinks4[i], "forwarding", "1");
	if (r == 0 && surroundings->uplinks6_count > 0)
		r = apply6(forwarding, surroundings);
	/* The exit table knows each client's addresses; this only says the same once more. */
	set(forwarding, "ipv4", forwarding->tunnel, "rp_filter", "1");
	return r;
}

void
forwarding_free(struct forwarding **forwarding)
{
	if (!*forwarding)
		return;
	sysctl_journal_close(&(*forwarding)->journal);
	free(*forwarding);
	*forwarding = NULL;
}
