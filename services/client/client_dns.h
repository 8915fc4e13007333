/*
 * client_dns: makes the tunnel's name server this machine's, and puts back what was before, also
 * after having been killed. Written in place (the file may be a bind mount), with a copy beside the
 * state. Where a manager owns the file, systemd-resolved is asked, and any other is left alone,
 * aloud.
 */
#pragma once

#include <stddef.h>

/* servers: addresses, NULL-terminated. 0; 1: left alone, and ret_warning says why; -errno. */
int client_dns_set(const char *resolv_conf, const char *folder, const char *interface,
		   const char *const *servers, char *ret_warning, size_t warning_bytes);

/* 1: put back; 0: nothing of ours there; -errno. */
int client_dns_restore(const char *resolv_conf, const char *folder);
