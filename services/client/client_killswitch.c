/*
 * client_killswitch: see the header. libnftables, a context for each use: its netlink socket is not
 * close-on-exec, and children of ours close what they did not ask for.
 */
#include "client/client_killswitch.h"

#include "log/log.h"

#include <errno.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct text {
	char *at;
	size_t n, capacity;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(text->at + text->n, text->capacity - text->n, format, arguments);
	va_end(arguments);
	/* When full, n stays at the capacity and the rest goes nowhere. */
	text->n = n < 0 || (size_t)n >= text->capacity - text->n ? text->capacity - 1
								 : text->n + (size_t)n;
}

int
client_killswitch_text(const struct client_pins *pins, const char *interface, uid_t uid,
		       char *ret_text, size_t capacity)
{
	struct text text = { .at = ret_text, .capacity = capacity };

	/* add before delete: the same text replaces a table and makes a first one. */
	put(&text, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", CLIENT_TABLE_NAME,
	    CLIENT_TABLE_NAME, CLIENT_TABLE_NAME);
	put(&text, "\tchain output {\n\t\ttype filter hook output priority filter; policy drop;\n");
	put(&text, "\t\toifname \"lo\" accept\n\t\toifname \"%s\" accept\n", interface);
	for (size_t i = 0; i < pins->n; i++)
		put(&text, "\t\tmeta skuid %u %s daddr %s %s dport %u accept\n", uid,
		    pins->pins[i].is_v6 ? "ip6" : "ip", pins->pins[i].address,
		    pins->pins[i].is_udp ? "udp" : "tcp", pins->pins[i].port);
	put(&text, "\t\tip protocol udp udp sport 68 udp dport 67 accept\n"
		   "\t\tip6 daddr { fe80::/10, ff02::/16 } udp sport 546 udp dport 547 accept\n"
		   "\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, "
		   "mld2-listener-report } ip6 hoplimit { 1, 255 } accept\n"
		   "\t\tmeta l4proto tcp reject with tcp reset\n"
		   "\t\treject with icmpx admin-prohibited\n\t}\n");
	/* What this machine forwards for others is not let out beside the tunnel either. */
	put(&text,
	    "\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n"
	    "\t\toifname \"%s\" accept\n\t\tiifname \"%s\" accept\n"
	    "\t\treject with icmpx admin-prohibited\n\t}\n}\n",
	    interface, interface);
	return text.n + 1 < text.capacity ? 0 : -ENOSPC;
}

static int
error_of(const char *message)
{
	if (strstr(message, strerror(EPERM)) != NULL || strstr(message, strerror(EACCES)) != NULL)
		return -EPERM;
	if (strstr(message, strerror(EOPNOTSUPP)) != NULL ||
	    strstr(message, strerror(EPROTONOSUPPORT)) != NULL ||
	    strstr(message, strerror(EAFNOSUPPORT)) != NULL)
		return -EOPNOTSUPP;
	if (strstr(message, strerror(ENOENT)) != NULL)
		return -ENOENT;
	return -EIO;
}

/* libnftables ends the whole process when it gets no such socket: asked for before it does. */
static int
look_for_nftables(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		return close(fd) < 0 ? -errno : 0;
	return errno == EACCES					   ? -EPERM
	       : errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? -EOPNOTSUPP
								   : -errno;
}

/* One transaction; nothing is written to our own stdout or stderr. */
static int
run(const char *commands)
{
	int r = look_for_nftables();

	if (r < 0)
		return r;
	struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
	if (context == NULL)
		return -ENOMEM;
	if (nft_ctx_buffer_error(context) != 0 || nft_ctx_buffer_output(context) != 0)
		r = -ENOMEM;
	else if (nft_run_cmd_from_buffer(context, commands) != 0) {
		const char *message = nft_ctx_get_error_buffer(context);
		r = error_of(message);
		if (r != -ENOENT)
			log_error("nft_failed", "error=%s", message);
	}
	nft_ctx_free(context);
	return r;
}

int
client_killswitch_set(const struct client_pins *pins, const char *interface, uid_t uid)
{
	char text[KILLSWITCH_TEXT_BYTES];
	int r = client_killswitch_text(pins, interface, uid, text, sizeof text);

	return r < 0 ? r : run(text);
}

int
client_killswitch_remove(void)
{
	int r = run("delete table inet " CLIENT_TABLE_NAME "\n");

	/* A kernel without nftables has no table either. */
	return r == 0 ? 1 : r == -ENOENT || r == -EOPNOTSUPP ? 0 : r;
}

int
client_killswitch_is_set(void)
{
	int r = run("list table inet " CLIENT_TABLE_NAME "\n");

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}
