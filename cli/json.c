/* SPDX-License-Identifier: MIT */
/* Writes JSON as it comes. Strings are always valid UTF-8, whatever a file name or an image holds. */
#include <assert.h>
#include <inttypes.h>

#include "json.h"
#include "utf8.h"

static void write_string(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		const char *start = text;
		uint32_t character;

		if (!utf8_next(&text, &character))
			fputs("\\ufffd", out);
		else if (character == '"' || character == '\\')
			fprintf(out, "\\%c", (char)character);
		else if (character < 0x20 || character == 0x7f)
			fprintf(out, "\\u%04" PRIx32, character);
		else
			fwrite(start, 1, (size_t)(text - start), out);
	}
	fputc('"', out);
}

static bool is_flat(const struct json *json)
{
	return json->flat_depth && json->depth >= json->flat_depth;
}

static void write_break(struct json *json)
{
	fputc('\n', json->out);
	for (unsigned i = 0; i < json->depth; i++)
		fputs("    ", json->out);
}

/* What goes before a value: the comma, the line, the name. */
static void begin_value(struct json *json, const char *name)
{
	uint64_t bit = UINT64_C(1) << json->depth;
	bool first = !(json->filled & bit);

	json->filled |= bit;
	if (json->depth && !first)
		fputc(',', json->out);
	if (json->depth && is_flat(json))
		fputs(first ? "" : " ", json->out);
	else if (json->depth)
		write_break(json);
	if (name) {
		write_string(json->out, name);
		fputs(": ", json->out);
	}
}

static void begin_container(struct json *json, const char *name, char bracket)
{
	begin_value(json, name);
	fputc(bracket, json->out);
	json->depth++;
	assert(json->depth <= JSON_DEPTH_MAX);
	json->filled &= ~(UINT64_C(1) << json->depth);
}

static void end_container(struct json *json, char bracket)
{
	bool empty = !(json->filled & UINT64_C(1) << json->depth);
	bool flat = is_flat(json);

	json->depth--;
	if (!empty && !flat)
		write_break(json);
	if (json->flat_depth > json->depth)
		json->flat_depth = 0;
	fputc(bracket, json->out);
	if (!json->depth)
		fputc('\n', json->out);
}

void json_begin_object(struct json *json, const char *name)
{
	begin_container(json, name, '{');
}

void json_begin_line(struct json *json, const char *name)
{
	begin_container(json, name, '{');
	if (!json->flat_depth)
		json->flat_depth = json->depth;
}

void json_end_object(struct json *json)
{
	end_container(json, '}');
}

void json_begin_array(struct json *json, const char *name)
{
	begin_container(json, name, '[');
}

void json_end_array(struct json *json)
{
	end_container(json, ']');
}

void json_number(struct json *json, const char *name, uint64_t value)
{
	begin_value(json, name);
	fprintf(json->out, "%" PRIu64, value);
}

void json_boolean(struct json *json, const char *name, bool value)
{
	begin_value(json, name);
	fputs(value ? "true" : "false", json->out);
}

void json_string(struct json *json, const char *name, const char *value)
{
	if (!value)
		return;
	begin_value(json, name);
	write_string(json->out, value);
}
