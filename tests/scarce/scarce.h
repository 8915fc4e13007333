/*
 * scarce: malloc and its kin, as ours, so that a test can make the n-th of them fail (F32). Linked
 * into a test or into a service's program: what a program defines itself stands before libc's and
 * the sanitizer's, for the libraries, too. Memory still comes from there, and leaks are still seen.
 *
 * What libzmq, libczmq and the C++ runtime ask for does not fail: they abort by design, and then
 * the process is gone and is started anew, as by any other death.
 *
 *	one thread	scarce_begin .. scarce_end around what is tried
 *	a program	a page that it shares with the test, by the environment's BOSON_SCARCE
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SCARCE_SWEEP_MAX = 20000 };

#define SCARCE_ENVIRONMENT "BOSON_SCARCE"
#define SCARCE_SHOW	   "BOSON_SCARCE_SHOW" /* where each was refused, on stderr */

/* While it is on, allocations are counted, and those from first (1 is the next) on fail, `count` of
 * them. */
struct scarce {
	atomic_bool is_on;
	atomic_ulong first, count, seen, refused;
};

/* This thread. */
void scarce_begin(unsigned long first, unsigned long count);
/* Was anything refused? */
bool scarce_end(void);

/* All threads of this process but those that spare themselves. */
extern struct scarce *scarce_process;
void scarce_spare_this_thread(void);

void scarce_start(struct scarce *scarce, unsigned long first, unsigned long count);
bool scarce_stop(struct scarce *scarce);

/* Something to be tried with too little memory: false when it failed, as it may then. What it made
 * it takes away again, either way; what must hold either way it asserts itself. */
typedef bool (*scarce_fn)(void);

/* Tries it with nothing refused, then with the first allocation refused, then with the second, and
 * so on until it makes no more; and again with all from the n-th on refused. The number of
 * allocations that it makes, or 0: it failed when nothing was refused. */
unsigned long scarce_sweep(scarce_fn fn);
