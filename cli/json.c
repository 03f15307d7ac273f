/* SPDX-License-Identifier: MIT */
/* Writes JSON as it comes. Strings are always valid UTF-8, whatever a file name or an image holds. */
#include <assert.h>
#include <string.h>

#include "digits.h"
#include "json.h"
#include "utf8.h"

/* A call of stdio for each piece would be most of the work where a map has millions of lines. */
static void flush(struct json *json)
{
	fwrite_unlocked(json->kept, 1, json->kept_size, json->out);
	json->kept_size = 0;
}

static void write_text(struct json *json, const char *text, size_t length)
{
	if (length > sizeof(json->kept) - json->kept_size)
		flush(json);
	if (length > sizeof(json->kept)) {
		fwrite_unlocked(text, 1, length, json->out);
		return;
	}
	memcpy(json->kept + json->kept_size, text, length);
	json->kept_size += length;
}

static void write_char(struct json *json, char character)
{
	if (json->kept_size == sizeof(json->kept))
		flush(json);
	json->kept[json->kept_size++] = character;
}

static void write_escaped(struct json *json, const char **text)
{
	const char *start = *text;
	uint32_t character;
	char escape[8];

	if (!utf8_next(text, &character)) {
		write_text(json, "\\ufffd", 6);
	} else if (character == '"' || character == '\\') {
		write_char(json, '\\');
		write_char(json, (char)character);
	} else if (character < 0x20 || character == 0x7f) {
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)character & 0xff);
		write_text(json, escape, 6);
	} else {
		write_text(json, start, (size_t)(*text - start));
	}
}

static void write_string(struct json *json, const char *text)
{
	write_char(json, '"');
	while (*text) {
		size_t plain = utf8_count_plain(text);

		write_text(json, text, plain);
		text += plain;
		if (*text)
			write_escaped(json, &text);
	}
	write_char(json, '"');
}

static bool is_flat(const struct json *json)
{
	return json->flat_depth && json->depth >= json->flat_depth;
}

static void write_break(struct json *json)
{
	write_char(json, '\n');
	for (unsigned i = 0; i < json->depth; i++)
		write_text(json, "    ", 4);
}

/* What goes before a value: the comma, the line, the name. */
static void begin_value(struct json *json, const char *name)
{
	uint64_t bit = UINT64_C(1) << json->depth;
	bool first = !(json->filled & bit);

	json->filled |= bit;
	if (json->depth && !first)
		write_char(json, ',');
	if (json->depth && !is_flat(json))
		write_break(json);
	else if (json->depth && !first)
		write_char(json, ' ');
	if (name) { /* a word of this program's or of the library's: nothing in it needs an escape */
		write_char(json, '"');
		write_text(json, name, strlen(name));
		write_text(json, "\": ", 3);
	}
}

static void begin_container(struct json *json, const char *name, char bracket)
{
	begin_value(json, name);
	write_char(json, bracket);
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
	write_char(json, bracket);
	if (!json->depth)
		write_char(json, '\n');
	flush(json);
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
	if (sizeof(json->kept) - json->kept_size < DIGITS_MAX)
		flush(json);
	json->kept_size += digits_decimal(value, json->kept + json->kept_size);
}

void json_boolean(struct json *json, const char *name, bool value)
{
	begin_value(json, name);
	write_text(json, value ? "true" : "false", value ? 4 : 5);
}

void json_string(struct json *json, const char *name, const char *value)
{
	if (!value)
		return;
	begin_value(json, name);
	write_string(json, value);
}
