/* SPDX-License-Identifier: MIT */
/* Writes JSON as it comes, nothing kept: what images hold may be larger than memory. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Deepest nesting: what the command writes is far from it. */
#define JSON_DEPTH_MAX 60

/* Set out, zero the rest. Names are NULL inside arrays and at the top. */
struct json {
	FILE *out;
	unsigned depth;
	unsigned flat_depth; /* from this depth on, all stands on one line; 0: no such depth */
	uint64_t filled;     /* bit n: the container of depth n has values */
	size_t kept_size;    /* what goes to out when a container ends */
	char kept[512];
};

void json_begin_object(struct json *json, const char *name);
/* As json_begin_object, for one that is written on a line of its own. */
void json_begin_line(struct json *json, const char *name);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *name);
void json_end_array(struct json *json);

void json_number(struct json *json, const char *name, uint64_t value);
void json_boolean(struct json *json, const char *name, bool value);
/* What is no UTF-8 becomes U+FFFD. Without @value, nothing is written. */
void json_string(struct json *json, const char *name, const char *value);

#endif
