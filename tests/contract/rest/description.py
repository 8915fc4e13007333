"""GET /openapi.json: is it an OpenAPI document, and does each answer keep to it?

The judge is Debian's python3-jsonschema: OpenAPI 3.0's schemas are JSON Schema (draft 4's words) but
for what is not used here."""

import copy
import json
import re

from jsonschema import Draft4Validator, FormatChecker, RefResolver

REF = {"type": "object", "required": ["$ref"], "additionalProperties": False,
       "properties": {"$ref": {"type": "string", "pattern": "^#/components/(schemas|responses)/"}}}

# What an OpenAPI 3.0 document may hold, as far as this one uses it: closed objects, so that a word
# that OpenAPI does not know is found.
DOCUMENT = {
    "type": "object", "required": ["openapi", "info", "paths"], "additionalProperties": False,
    "properties": {
        "openapi": {"enum": ["3.0.3"]},
        "info": {"type": "object", "required": ["title", "version"],
                 "properties": {"title": {"type": "string"}, "version": {"type": "string"}}},
        "servers": {"$ref": "#/definitions/servers"},
        "paths": {"type": "object", "additionalProperties": False,
                  "patternProperties": {"^/": {"$ref": "#/definitions/path"}}},
        "components": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "schemas": {"$ref": "#/definitions/schemas"},
                "responses": {"type": "object",
                              "additionalProperties": {"$ref": "#/definitions/response"}},
                "securitySchemes": {"type": "object", "additionalProperties": {
                    "type": "object", "required": ["type", "scheme"],
                    "properties": {"type": {"enum": ["http"]}, "scheme": {"enum": ["bearer"]}}}},
            }},
    },
    "definitions": {
        "servers": {"type": "array", "items": {"type": "object", "required": ["url"]}},
        "schemas": {"type": "object", "additionalProperties": False,
                    "patternProperties": {"^[A-Za-z0-9._-]+$": {"$ref": "#/definitions/schema"}}},
        "path": {"type": "object", "additionalProperties": False, "minProperties": 1,
                 "patternProperties": {"^(get|post|delete|put|patch)$":
                                       {"$ref": "#/definitions/operation"}}},
        "operation": {
            "type": "object", "required": ["responses", "summary"], "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1},
                "operationId": {"type": "string"},
                "security": {"type": "array", "items": {"type": "object"}},
                "servers": {"$ref": "#/definitions/servers"},
                "parameters": {"type": "array", "items": {"$ref": "#/definitions/parameter"}},
                "requestBody": {"type": "object", "required": ["content"],
                                "additionalProperties": False,
                                "properties": {"required": {"type": "boolean"},
                                               "content": {"$ref": "#/definitions/content"}}},
                "responses": {"type": "object", "minProperties": 1, "additionalProperties": False,
                              "patternProperties": {"^([1-5][0-9][0-9]|default)$": {"anyOf": [
                                  REF, {"$ref": "#/definitions/response"}]}}},
            }},
        "parameter": {
            "type": "object", "required": ["name", "in", "schema"], "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "in": {"enum": ["path", "query", "header"]},
                           "required": {"type": "boolean"},
                           "schema": {"$ref": "#/definitions/schema"}}},
        "content": {"type": "object", "minProperties": 1, "additionalProperties": {
            "type": "object", "required": ["schema"], "additionalProperties": False,
            "properties": {"schema": {"$ref": "#/definitions/schema"}}}},
        "response": {
            "type": "object", "required": ["description"], "additionalProperties": False,
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "content": {"$ref": "#/definitions/content"},
                "headers": {"type": "object", "additionalProperties": {
                    "type": "object", "required": ["schema"], "additionalProperties": False,
                    "properties": {"required": {"type": "boolean"},
                                   "schema": {"$ref": "#/definitions/schema"}}}},
            }},
        "schema": {"anyOf": [REF, {
            "type": "object", "required": ["type"], "additionalProperties": False,
            "properties": {
                "type": {"enum": ["object", "array", "string", "integer", "number", "boolean"]},
                "format": {"enum": ["int32", "int64", "byte"]},
                "description": {"type": "string"}, "minimum": {"type": "number"},
                "enum": {"type": "array", "minItems": 1, "uniqueItems": True},
                "required": {"type": "array", "minItems": 1},
                "items": {"$ref": "#/definitions/schema"},
                "properties": {"type": "object",
                               "additionalProperties": {"$ref": "#/definitions/schema"}},
                "additionalProperties": {"$ref": "#/definitions/schema"},
            }}]},
    },
}


def close_objects(value):
    """Answers say what the document says and nothing else."""
    if isinstance(value, dict):
        if value.get("type") == "object" and "properties" in value:
            value.setdefault("additionalProperties", False)
        for part in value.values():
            close_objects(part)
    elif isinstance(value, list):
        for part in value:
            close_objects(part)


class Description:
    def __init__(self, answer):
        assert answer.status == 200, answer
        self.document = answer.json
        Draft4Validator(DOCUMENT).validate(self.document)
        self.check_references(self.document)
        self.check_parameters()
        closed = copy.deepcopy(self.document)
        close_objects(closed["components"]["schemas"])
        self.closed = closed
        self.seen = {}

    def rows(self):
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield method.upper(), path, operation

    def target(self, path, operation):
        """A path as it is asked for, parameters still in it."""
        servers = operation.get("servers", self.document["servers"])
        return servers[0]["url"].rstrip("/") + path

    def resolve(self, value):
        if "$ref" not in value:
            return value
        found = self.closed
        for part in value["$ref"].lstrip("#/").split("/"):
            found = found[part]
        return found

    def check_references(self, value):
        if isinstance(value, dict):
            if "$ref" in value:
                found = self.document
                for part in value["$ref"].lstrip("#/").split("/"):
                    found = found[part]
            for part in value.values():
                self.check_references(part)
        elif isinstance(value, list):
            for part in value:
                self.check_references(part)

    def check_parameters(self):
        """Each {name} of a path is a parameter that is required, and each such one is in it."""
        for method, path, operation in self.rows():
            named = set(re.findall(r"{(\w+)}", path))
            said = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == said, (method, path, named, said)
            assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")

    def check(self, method, path, answer):
        """Is this answer one of those described? Remembers that it was seen."""
        operation = self.closed["paths"][path][method.lower()]
        described = operation["responses"].get(str(answer.status))
        assert described is not None, "%s %s: %s is not described" % (method, path, answer)
        described = self.resolve(described)
        self.seen.setdefault((method, path), set()).add(answer.status)
        self.check_headers(method, path, described, answer)
        self.check_body(method, path, described, answer)

    def check_headers(self, method, path, described, answer):
        for name, header in described.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            assert value is not None, "%s %s: no %s in %s" % (method, path, name, answer)
            if header["schema"]["type"] == "integer":
                value = int(value)
            Draft4Validator(header["schema"]).validate(value)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers.get("x-request-id", "0" * 32))

    def check_body(self, method, path, described, answer):
        content = described.get("content")
        if content is None:
            assert answer.body == b"", "%s %s: a body: %s" % (method, path, answer)
            return
        kind = answer.headers["content-type"].split(";")[0]
        assert kind in content, "%s %s: %s" % (method, path, kind)
        value = answer.body.decode("utf-8")
        if kind == "application/json":
            value = json.loads(value, object_pairs_hook=unique)
        Draft4Validator(content[kind]["schema"], format_checker=FormatChecker(),
                        resolver=RefResolver("", self.closed)).validate(value)
        if answer.status >= 400 and "error" in value:
            assert len(answer.body) <= 1024


def unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)
