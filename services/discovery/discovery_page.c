/* discovery_page: see the header. */
#include "discovery/discovery_page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_OVERHEAD_BYTES = 4 };

int
discovery_page_init(struct page *page, size_t capacity)
{
	memset(page, 0, sizeof(*page));
	page->nodes = calloc(capacity, sizeof(*page->nodes));
	page->views = calloc(capacity, sizeof(*page->views));
	page->capacity = capacity;
	if (page->nodes != NULL && page->views != NULL)
		return 0;
	discovery_page_fini(page);
	return -ENOMEM;
}

void
discovery_page_fini(struct page *page)
{
	for (size_t i = 0; page->views != NULL && i < page->count; i++)
		discovery_view_fini(&page->views[i]);
	free(page->nodes);
	free(page->views);
	memset(page, 0, sizeof(*page));
}

/* False when it does not fit any more. */
static bool
add(struct page *page, const struct registry_node *node, enum view_audience audience)
{
	struct view *view = &page->views[page->count];
	size_t n;

	if (page->count == page->capacity)
		return false;
	discovery_view_fill(view, node, audience);
	n = boson__discovery__node__get_packed_size(&view->node) + NODE_OVERHEAD_BYTES;
	if (page->bytes + n > PAGE_BYTES_MAX) {
		discovery_view_fini(view);
		return false;
	}
	page->bytes += n;
	page->nodes[page->count++] = &view->node;
	return true;
}

static bool
is_status(const char *text)
{
	return strcmp(text, "online") == 0 || strcmp(text, "degraded") == 0 ||
	       strcmp(text, "offline") == 0;
}

int
discovery_page_filter_init(struct page_filter *filter, const struct registry *registry,
			   const Boson__Discovery__ListNodesRequest *request,
			   struct field_problem *ret_problem)
{
	memset(filter, 0, sizeof(*filter));
	filter->limit = request->has_limit ? request->limit : PAGE_LIST_DEFAULT;
	if (filter->limit == 0 || filter->limit > PAGE_LIST_MAX)
		return field_wrong(ret_problem, "range", "limit");
	if (request->country != NULL && !field_is_country(request->country))
		return field_wrong(ret_problem, "field", "country");
	if (request->status != NULL && !is_status(request->status))
		return field_wrong(ret_problem, "field", "status");
	filter->country = request->country;
	filter->status = request->status;
	if (request->cursor != NULL) {
		const struct registry_node *last;
		uint8_t id[UUID_BYTES];

		if (uuid_parse(request->cursor, id) != 0 ||
		    (last = registry_find(registry, id)) == NULL)
			return field_wrong(ret_problem, "field", "cursor");
		filter->position = last->position + 1;
	}
	return 0;
}

static bool
is_wanted(const struct registry_node *node, const struct page_filter *filter)
{
	if (node->deleted)
		return false;
	if (filter->status != NULL &&
	    strcmp(filter->status, registry_status_name(node->status)) != 0)
		return false;
	return filter->country == NULL || strcmp(node->country, filter->country) == 0;
}

char *
discovery_page_list(struct page *page, const struct registry *registry,
		    const struct page_filter *filter)
{
	size_t end = registry->count;
	size_t at;

	if (end - filter->position > PAGE_SCAN_MAX)
		end = filter->position + PAGE_SCAN_MAX;
	for (at = filter->position; at < end; at++)
		if (is_wanted(registry->nodes[at], filter) &&
		    !add(page, registry->nodes[at], VIEW_PUBLIC))
			break;
	if (at == registry->count || at == filter->position)
		return NULL;
	uuid_format(registry->nodes[at - 1]->id, page->cursor);
	return page->cursor;
}

bool
discovery_page_snapshot(struct page *page, const struct registry *registry, size_t *position)
{
	for (; *position < registry->count; (*position)++)
		if (!registry->nodes[*position]->deleted &&
		    !add(page, registry->nodes[*position], VIEW_INTERNAL))
			return true;
	return false;
}

int
discovery_page_position_parse(const char *cursor, uint32_t epoch, struct page_position *ret)
{
	char again[PAGE_CURSOR_BYTES];
	unsigned int from;
	char kind;

	*ret = (struct page_position){ .is_node = false };
	if (cursor == NULL)
		return 0;
	if (sscanf(cursor, "%8x-%c%9zu", &from, &kind, &ret->at) != 3)
		return -EINVAL;
	ret->is_node = kind == 'n';
	discovery_page_position_format(ret, epoch, again); /* sscanf takes more than we gave */
	return strcmp(cursor, again) == 0 ? 0 : -EINVAL;
}

void
discovery_page_position_format(const struct page_position *position, uint32_t epoch,
			       char ret_cursor[PAGE_CURSOR_BYTES])
{
	(void)snprintf(ret_cursor, PAGE_CURSOR_BYTES, "%08x-%c%zu", epoch,
		       position->is_node ? 'n' : 'r', position->at);
}
