/*
 * exit_policy: a node's rules in the kernel: the persistent guard, and the exit table that the
 * kernel removes when this process dies (exit_rules has the text). libnftables in this process; no
 * shell. Needs CAP_NET_ADMIN. Loop thread.
 *
 * The exit table lives as long as the netlink socket it was made on: exit_policy makes that socket
 * close-on-exec, and no child of ours gets a descriptor (wg/child.h).
 */
#pragma once

#include "forwarder/exit_rules.h"
#include "loop/loop.h"

struct exit_policy;

/* Puts the guard up: from here on nothing passes between the tunnel and anything else. In one
 * transaction, in place of the one that an earlier run left. */
int exit_policy_new(struct loop *loop, const char *interface, struct exit_policy **ret);

/* Loads the exit table in one transaction, in place of the present one. Flows go on. -EIO, and the
 * old table stays (or none). Strings that rules points to must outlive the policy. */
int exit_policy_apply(struct exit_policy *policy, const struct exit_rules *rules,
		      const struct exit_surroundings *surroundings);

/* A session's addresses. One that is there already is fine, so is removing one that is not. */
int exit_policy_client_add(struct exit_policy *policy, const struct exit_client *client);
void exit_policy_client_remove(struct exit_policy *policy, const struct exit_client *client);

/* Both tables as we loaded them, as far as known. A change by others is noticed by netlink and
 * repaired within the second (F40). */
bool exit_policy_is_in_force(const struct exit_policy *policy);

/* Takes the exit table down, and then the guard. */
void exit_policy_close(struct exit_policy **policy);
