/*
 * gateway_openapi: the API described; see the header.
 */
#include "gateway/gateway_openapi.h"

#include "gateway/gateway_openapi_answers.h"
#include "gateway/gateway_schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
write_parameter(struct json_text *text, const char *name, const char *in,
		const ProtobufCFieldDescriptor *field)
{
	json_text_open(text, '{');
	json_text_member(text, "name", name);
	json_text_member(text, "in", in);
	json_text_member_bool(text, "required", strcmp(in, "path") == 0);
	json_text_key(text, "schema");
	if (field != NULL)
		gateway_schema_write_field(text, field);
	else
		gateway_schema_write_type(text, "string", NULL);
	json_text_close(text, '}');
}

static bool
path_has_parameter(const char *path, const char *name)
{
	char parameter[JSON_NAME_BYTES + 2];
	snprintf(parameter, sizeof(parameter), "{%s}", name);
	return strstr(path, parameter) != NULL;
}

/* Of the request message: what the path names, and, where there is no body, the query. */
static void
write_parameters(struct json_text *text, const struct gateway_endpoint *endpoint,
		 const ProtobufCMessageDescriptor *input)
{
	json_text_key(text, "parameters");
	json_text_open(text, '[');
	for (unsigned int i = 0; input != NULL && i < input->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &input->fields[i];
		char name[JSON_NAME_BYTES];
		if (!json_field_is_visible(field, 0))
			continue;
		json_field_name(field, name);
		if (path_has_parameter(endpoint->path, name))
			write_parameter(text, name, "path", field);
		else if (endpoint->body_max_bytes == 0)
			write_parameter(text, name, "query", field);
	}
	if ((endpoint->flags & ENDPOINT_PROOF) != 0)
		write_parameter(text, "Higgs-Proof", "header", NULL);
	json_text_close(text, ']');
}

static void
write_operation(struct json_text *text, const struct gateway_endpoint *endpoint)
{
	unsigned int index;
	const ProtobufCMethodDescriptor *rpc = gateway_endpoint_rpc(endpoint, &index);
	char method[8] = "";
	for (size_t i = 0; endpoint->method[i] != '\0' && i + 1 < sizeof(method); i++)
		method[i] = (char)tolower((unsigned char)endpoint->method[i]);

	json_text_key(text, method);
	json_text_open(text, '{');
	json_text_member(text, "summary", endpoint->summary);
	if (rpc != NULL)
		json_text_member(text, "operationId", rpc->name);
	if (endpoint->who != WHO_ANYONE)
		json_text_key(text, "security"), json_text_raw(text, "[{\"bearer\":[]}]");
	if ((endpoint->flags & ENDPOINT_ROOT_ONLY) != 0)
		json_text_key(text, "servers"), json_text_raw(text, "[{\"url\":\"/\"}]");
	write_parameters(text, endpoint, rpc != NULL ? rpc->input : NULL);
	if (endpoint->body_max_bytes > 0) {
		json_text_key(text, "requestBody");
		json_text_open(text, '{');
		json_text_member_bool(text, "required", true);
		gateway_openapi_write_content(text, gateway_schema_name(rpc->input));
		json_text_close(text, '}');
	}
	gateway_openapi_write_responses(text, endpoint, rpc);
	json_text_close(text, '}');
}

/* All rows of one path stand together; a path is written where its first row is. */
static void
write_path(struct json_text *text, size_t row)
{
	const char *path = gateway_endpoints[row].path;
	for (size_t i = 0; i < row; i++) {
		if (strcmp(gateway_endpoints[i].path, path) == 0)
			return;
	}
	json_text_key(text, path);
	json_text_open(text, '{');
	for (size_t i = row; i < gateway_endpoints_n; i++) {
		if (strcmp(gateway_endpoints[i].path, path) == 0)
			write_operation(text, &gateway_endpoints[i]);
	}
	json_text_close(text, '}');
}

int
gateway_openapi_make(char **ret)
{
	struct json_text text = { 0 };
	json_text_open(&text, '{');
	json_text_member(&text, "openapi", "3.0.3");
	json_text_key(&text, "info");
	json_text_open(&text, '{');
	json_text_member(&text, "title", "BosonServer");
	json_text_member(&text, "version", BOSON_VERSION);
	json_text_close(&text, '}');
	json_text_key(&text, "servers");
	json_text_raw(&text, "[{\"url\":\"" GATEWAY_BASE_PATH "\"}]");
	json_text_key(&text, "paths");
	json_text_open(&text, '{');
	for (size_t i = 0; i < gateway_endpoints_n; i++)
		write_path(&text, i);
	json_text_close(&text, '}');
	json_text_key(&text, "components");
	json_text_open(&text, '{');
	gateway_openapi_write_errors(&text);
	gateway_schema_write_components(&text);
	json_text_close(&text, '}');
	json_text_close(&text, '}');
	if (json_text_failed(&text)) {
		json_text_fini(&text);
		return -ENOMEM;
	}
	*ret = text.bytes;
	return 0;
}
