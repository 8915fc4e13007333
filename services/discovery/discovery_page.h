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
			       struct field_problem *ret_problem);

/* Fills the page; the cursor of the next one, which is the id of the last node looked at, or NULL
 * when this is the last. */
char *discovery_page_list(struct page *page, const struct registry *registry,
			  const struct page_filter *filter);

/* Fills the page from *position on, which moves. True when there are more. */
bool discovery_page_snapshot(struct page *page, const struct registry *registry, size_t *position);

/* Where a Snapshot stands: behind the relay of a number, or before the node of a position. Its
 * cursor counts for one life of one replica (epoch): others have other positions. */
struct page_position {
	bool is_node;
	size_t at;
};

/* NULL is the beginning. 0, or -EINVAL: no cursor of ours. */
int discovery_page_position_parse(const char *cursor, uint32_t epoch, struct page_position *ret);
void discovery_page_position_format(const struct page_position *position, uint32_t epoch,
				    char ret_cursor[PAGE_CURSOR_BYTES]);
