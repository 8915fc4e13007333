/*
 * discovery_page: nodes by the page, for ListNodes and Snapshot: in order of registration, never
 * more than one message may hold, never more than a bounded look at the fleet. No I/O.
 */
#pragma once

#include "discovery/discovery_check.h"
#include "discovery/discovery_view.h"

enum {
	PAGE_BYTES_MAX = 60 * 1024, /* within BUS_MESSAGE_MAX_BYTES, the envelope's part left */
	PAGE_SNAPSHOT_NODES = 100,
	PAGE_LIST_DEFAULT = 50,
	PAGE_LIST_MAX = 200,
	PAGE_SCAN_MAX = 4096, /* nodes looked at for one page: a page may be short and not last */
	PAGE_CURSOR_BYTES = UUID_TEXT_BYTES,
};

struct page {
	Boson__Discovery__Node **nodes;
	struct view *views;
	size_t count, capacity, bytes;
	char cursor[PAGE_CURSOR_BYTES];
};

/* 0 or -ENOMEM. */
int discovery_page_init(struct page *page, size_t capacity);
void discovery_page_fini(struct page *page);

struct page_filter {
	size_t position; /* the first to look at */
	size_t limit;
	const char *country; /* NULL: any, as the next */
	const char *status;
};

/* 0, or -EINVAL and *ret_problem. The filter borrows from the request. */
int discovery_page_filter_init(struct page_filter *filter, const struct registry *registry,
			       const Boson__Discovery__ListNodesRequest *request,
			       struct check_problem *ret_problem);

/* Fill the page; the cursor of the next one, or NULL when this is the last. ListNodes' cursor is
 * the id of the last node looked at, Snapshot's a position. */
char *discovery_page_list(struct page *page, const struct registry *registry,
			  const struct page_filter *filter);
char *discovery_page_snapshot(struct page *page, const struct registry *registry, size_t position);

/* A Snapshot's cursor; NULL is 0. */
int discovery_page_position_parse(const char *cursor, size_t *ret_position);
