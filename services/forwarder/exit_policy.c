/*
 * exit_policy: see exit_policy.h.
 */
#include "forwarder/exit_policy.h"

#include "log/log.h"
#include "log/text_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHECK_AFTER_MS = 50, /* others change rules in bursts */
	DRAIN_BYTES = 16 * 1024,
};

struct exit_policy {
	struct loop *loop;
	struct nft_ctx *owner;	/* its socket owns the exit table */
	struct nft_ctx *reader; /* output goes to a buffer; sees what is loaded */
	struct mnl_socket *monitor;
	struct loop_fd *watch;
	struct loop_timer *check;
	char *guard_text; /* as nft lists it, when it is as it should be */
	bool is_applied, is_in_force;
	struct exit_rules rules;
	struct exit_surroundings surroundings;
	struct exit_client clients[EXIT_CLIENTS_MAX];
	size_t client_count;
};

/* libnftables opens its socket without the flag; whoever inherited it would keep our rules alive
 * after our death. */
static void
set_netlink_close_on_exec(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		int fd = atoi(entry->d_name), protocol;
		socklen_t n = sizeof protocol;
		if (fd > STDERR_FILENO &&
		    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) == 0 &&
		    protocol == NETLINK_NETFILTER)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	if (folder)
		closedir(folder);
}

/* Runs commands; says the first line of what libnftables has against them, unless quiet. */
static int
run(struct nft_ctx *context, const char *commands, bool quiet)
{
	if (nft_run_cmd_from_buffer(context, commands) == 0)
		return 0;
	const char *error = nft_ctx_get_error_buffer(context);
	if (!quiet)
		log_error("exit_policy_refused", "error=%.*s", (int)strcspn(error, "\n"), error);
	return -EIO;
}

static int
run_replace_guard(struct exit_policy *policy)
{
	struct text_file file;
	char *text;
	if (text_file_open(&file) < 0)
		return -ENOMEM;
	exit_rules_write_guard(&policy->rules, file.stream);
	int r = text_file_close(&file, &text, NULL);
	if (r == 0)
		r = run(policy->reader, text, false);
	free(text);
	return r;
}

static int
run_replace_exit(struct exit_policy *policy)
{
	struct text_file file;
	char *text;
	if (text_file_open(&file) < 0)
		return -ENOMEM;
	exit_rules_write_exit(&policy->rules, &policy->surroundings, policy->clients,
			      policy->client_count, file.stream);
	int r = text_file_close(&file, &text, NULL);
	if (r == 0)
		r = run(policy->owner, text, false);
	free(text);
	return r;
}

/* A table as nft lists it; NULL when there is none. */
static char *
table_list(struct exit_policy *policy, const char *name)
{
	char command[EXIT_TABLE_BYTES + 32];
	snprintf(command, sizeof command, "list table inet %s", name);
	if (run(policy->reader, command, true) < 0)
		return NULL;
	return strdup(nft_ctx_get_output_buffer(policy->reader));
}

static char *
guard_list(struct exit_policy *policy)
{
	char name[EXIT_TABLE_BYTES];
	exit_rules_guard_name(policy->rules.interface, name);
	return table_list(policy, name);
}

static int
guard_load(struct exit_policy *policy)
{
	int r = run_replace_guard(policy);
	if (r < 0)
		return r;
	free(policy->guard_text);
	policy->guard_text = guard_list(policy);
	return policy->guard_text ? 0 : -EIO;
}

static bool
guard_is_whole(struct exit_policy *policy)
{
	char *now = guard_list(policy);
	bool whole = now && policy->guard_text && strcmp(now, policy->guard_text) == 0;
	free(now);
	return whole;
}

static bool
exit_is_there(struct exit_policy *policy)
{
	char name[EXIT_TABLE_BYTES];
	exit_rules_exit_name(policy->rules.interface, name);
	char *now = table_list(policy, name);
	free(now);
	return now != NULL;
}

/* Another program changed the rules (an administrator's flush, Docker, firewalld). The exit table
 * is ours alone to change; the guard may be gone. */
static void
on_check(struct loop *loop, void *arg)
{
	(void)loop;
	struct exit_policy *policy = arg;
	policy->check = NULL;
	bool guard = guard_is_whole(policy);
	bool exit = !policy->is_applied || exit_is_there(policy);
	if (guard && exit)
		return;
	log_warn("exit_policy_damaged", "guard=%s exit=%s", guard ? "whole" : "damaged",
		 exit ? "whole" : "gone");
	int r = guard ? 0 : guard_load(policy);
	if (r == 0 && !exit)
		r = run_replace_exit(policy);
	policy->is_in_force = r == 0 && policy->is_applied;
	log_write(r == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "exit_policy_repaired", "result=%s",
		  strerror(-r));
}

static int
on_generation_attribute(const struct nlattr *attribute, void *arg)
{
	if (mnl_attr_get_type(attribute) == NFTA_GEN_PROC_PID)
		*(uint32_t *)arg = be32toh(mnl_attr_get_u32(attribute));
	return MNL_CB_OK;
}

static int
on_rules_message(const struct nlmsghdr *header, void *arg)
{
	uint32_t pid = 0;
	if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof(struct nfgenmsg), on_generation_attribute, &pid);
	if (pid != (uint32_t)gettid())
		*(bool *)arg = true;
	return MNL_CB_OK;
}

static void
on_rules_changed(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)events;
	struct exit_policy *policy = arg;
	char buffer[DRAIN_BYTES];
	bool foreign = false;
	ssize_t n;
	while ((n = recv(fd, buffer, sizeof buffer, 0)) >= 0 || errno == ENOBUFS) {
		if (n < 0)
			foreign = true; /* missed some */
		else
			mnl_cb_run(buffer, (size_t)n, 0, 0, on_rules_message, &foreign);
	}
	if (foreign && !policy->check)
		loop_timer_start(loop, CHECK_AFTER_MS, 0, on_check, policy, &policy->check);
}

static int
monitor_start(struct exit_policy *policy)
{
	int group = NFNLGRP_NFTABLES;
	policy->monitor = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!policy->monitor || mnl_socket_bind(policy->monitor, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(policy->monitor, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) <
		    0)
		return -errno;
	return loop_fd_add(policy->loop, mnl_socket_get_fd(policy->monitor), EPOLLIN,
			   on_rules_changed, policy, &policy->watch);
}

static struct nft_ctx *
context_new(void)
{
	struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!context)
		return NULL;
	nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_STATELESS);
	if (nft_ctx_buffer_error(context) != 0 || nft_ctx_buffer_output(context) != 0) {
		nft_ctx_free(context);
		return NULL;
	}
	return context;
}

static void
policy_free(struct exit_policy *policy)
{
	loop_timer_stop(&policy->check);
	loop_fd_remove(&policy->watch);
	if (policy->monitor)
		mnl_socket_close(policy->monitor);
	if (policy->owner)
		nft_ctx_free(policy->owner);
	if (policy->reader)
		nft_ctx_free(policy->reader);
	free(policy->guard_text);
	free(policy);
}

int
exit_policy_new(struct loop *loop, const char *interface, struct exit_policy **ret)
{
	struct exit_policy *policy = calloc(1, sizeof *policy);
	if (!policy)
		return -ENOMEM;
	policy->loop = loop;
	snprintf(policy->rules.interface, sizeof policy->rules.interface, "%s", interface);
	policy->owner = context_new();
	policy->reader = context_new();
	int r = policy->owner && policy->reader ? 0 : -ENOMEM;
	set_netlink_close_on_exec();
	if (r == 0)
		r = monitor_start(policy);
	if (r == 0)
		r = guard_load(policy);
	if (r < 0) {
		policy_free(policy);
		return r;
	}
	*ret = policy;
	return 0;
}

int
exit_policy_apply(struct exit_policy *policy, const struct exit_rules *rules,
		  const struct exit_surroundings *surroundings)
{
	policy->rules = *rules;
	policy->surroundings = *surroundings;
	int r = run_replace_exit(policy);
	if (r < 0)
		return r;
	policy->is_applied = true;
	policy->is_in_force = true;
	return 0;
}

static int
client_run(struct exit_policy *policy, const char *verb, const struct exit_client *client)
{
	struct text_file file;
	char *text;
	if (text_file_open(&file) < 0)
		return -ENOMEM;
	exit_rules_write_client(&policy->rules, verb, client, file.stream);
	int r = text_file_close(&file, &text, NULL);
	if (r == 0)
		r = run(policy->owner, text, false);
	free(text);
	return r;
}

static size_t
client_find(const struct exit_policy *policy, const struct exit_client *client)
{
	size_t i = 0;
	while (i < policy->client_count && memcmp(&policy->clients[i], client, sizeof *client) != 0)
		i++;
	return i;
}

int
exit_policy_client_add(struct exit_policy *policy, const struct exit_client *client)
{
	if (client_find(policy, client) < policy->client_count)
		return 0;
	if (policy->client_count == EXIT_CLIENTS_MAX)
		return -ENOSPC;
	int r = policy->is_applied ? client_run(policy, "add", client) : 0;
	if (r == 0)
		policy->clients[policy->client_count++] = *client;
	return r;
}

void
exit_policy_client_remove(struct exit_policy *policy, const struct exit_client *client)
{
	size_t i = client_find(policy, client);
	if (i == policy->client_count)
		return;
	policy->clients[i] = policy->clients[--policy->client_count];
	if (policy->is_applied && client_run(policy, "delete", client) < 0)
		run_replace_exit(policy);
}

bool
exit_policy_is_in_force(const struct exit_policy *policy)
{
	return policy->is_in_force;
}

void
exit_policy_close(struct exit_policy **policy)
{
	char name[EXIT_TABLE_BYTES], command[EXIT_TABLE_BYTES + 32];
	if (!*policy)
		return;
	if ((*policy)->is_applied) {
		exit_rules_exit_name((*policy)->rules.interface, name);
		snprintf(command, sizeof command, "delete table inet %s", name);
		run((*policy)->owner, command, false);
	}
	exit_rules_guard_name((*policy)->rules.interface, name);
	snprintf(command, sizeof command, "delete table inet %s", name);
	run((*policy)->reader, command, false);
	policy_free(*policy);
	*policy = NULL;
}
