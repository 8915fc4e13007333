/*
 * lab: a volunteer's home as network namespaces without names: they go with the process that made
 * them, however it ends. Sockets are made inside them and used from anywhere.
 *
 *	client ---- tunnel interface, node ---- up0, home ---- inet
 *	10.90.0.2   10.90.0.1    192.168.1.10   192.168.1.1    198.51.100.80
 *	fd48..::2   fd48..::1    2001:db8:2::10 (the router)   2001:db8:80::80
 *	                                        192.168.1.20 (a printer)
 *	                                        169.254.169.254
 *
 * The test networks of RFC 5737 stand for the internet: `inet` is what a node's owner allows.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LAB_DEADLINE_MS = 10000, LAB_PORT = 7777 };

struct lab {
	int client, node, home, inet; /* namespaces */
	char tunnel[16];	      /* the node's interface towards the client */
};

/* False, and the reason printed, when this machine cannot: not root, no namespaces. */
bool lab_can_run(void);

/* with_tunnel: the client hangs on the node by a veth in the tunnel's place. Asserts. */
void lab_up(struct lab *lab, bool with_tunnel);
void lab_down(struct lab *lab);

/* This thread goes to a namespace. */
void lab_enter(int ns);

/* Runs a shell command in a namespace; asserts that it succeeds. */
void lab_run(int ns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a command prints; malloc'd. */
char *lab_output(int ns, const char *command);

/* Fails with the first line that differs: two dumps of the kernel's state. */
void lab_assert_same(const char *before, const char *after);

/* A UDP socket bound to address (NULL: any) and port (0: any) in a namespace. */
int lab_udp(int ns, const char *address, uint16_t port);
void lab_send(int fd, const char *to, uint16_t port, const char *text);

/* Waits for a datagram; false at the deadline. *ret_from may be NULL. */
bool lab_receive(int fd, char *text, size_t n, struct sockaddr_in6 *ret_from);

/* TCP: a listener that does not block, a connection that is under way, and whether one has come. */
int lab_tcp_listen(int ns, uint16_t port);
int lab_tcp_connect(int ns, const char *to, uint16_t port);
bool lab_accepts(int listener);

/* IPv4 of another protocol. */
int lab_raw(int ns, int protocol);
void lab_send_raw(int fd, const char *to, const char *text);

/* Nothing waits at fd. */
bool lab_is_silent(int fd);
