/*
 * client_width: do packets of full size come through by UDP? Some paths swallow them without a word
 * (a smaller MTU, its ICMP lost) while handshakes and pings pass. Echoes are sent through the
 * tunnel in pairs, a large one and then a small one: where the small ones alone come back, many
 * times in a row, the path is narrow. Says what to send when; client_narrow.c sends and hears. A
 * node that answers no echoes is never found narrow. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	/* Pairs in a row of which the large one alone was lost. A few are chance, or a queue that
	 * is full; more of them where a large one came through before. */
	WIDTH_PAIRS_FIRST = 8,
	WIDTH_PAIRS_LATER = 20,
	WIDTH_PAIR_MS = 150,   /* between them, while it is not known */
	WIDTH_CALM_MS = 5000,  /* when it is, and while there is traffic */
	WIDTH_ASK_MS = 5000,   /* between small ones alone, while the node has answered none: */
	WIDTH_UNHEARD_MAX = 8, /* so many pairs without any answer, and the pause doubles */
	WIDTH_PAUSE_MAX_MS = 60 * 1000,
};

/* Times are monotonic. */
struct client_width {
	bool has_echoed;     /* the node, ever */
	bool is_wide;	     /* a large one came through since the start */
	unsigned narrow;     /* small ones in a row that came back alone */
	unsigned unheard;    /* times that something was sent since the last answer */
	uint16_t sequence;   /* of the echoes sent last */
	uint16_t large_back; /* of the newest large one that is not missing */
	int64_t next_ms;
};

enum width_echoes { WIDTH_NONE, WIDTH_SMALL, WIDTH_PAIR };

/* Another node: whether it answers is not known. */
void client_width_init(struct client_width *width);

/* Packets go by UDP from now on. */
void client_width_start(struct client_width *width, int64_t now_ms);

/* What to send now, and under which number. has_traffic: something else went out since the last
 * echoes. */
enum width_echoes client_width_due(struct client_width *width, bool has_traffic, int64_t now_ms,
				   uint16_t *ret_sequence);
void client_width_heard(struct client_width *width, uint16_t sequence, bool is_large,
			int64_t now_ms);

bool client_width_is_narrow(const struct client_width *width);
