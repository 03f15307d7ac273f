/* SPDX-License-Identifier: MIT */
/* Fills the template of the page with the picture and with the extents, as JSON. */
#include <inttypes.h>
#include <string.h>

#include "cleanup.h"
#include "page.h"
#include "page.html.h"
#include "picture.h"

/* Numbers and our own words only: nothing in them needs to be escaped. */
static void write_place(FILE *out, uint64_t offset)
{
	if (offset == VHDX_NO_OFFSET)
		fputs(",-1", out);
	else
		fprintf(out, ",%" PRIu64, offset);
}

static void write_extents(FILE *out, const struct layout *layout)
{
	for (size_t i = 0; i < layout->run_count; i++) {
		const struct layout_run *run = &layout->runs[i];

		fprintf(out, "%s[%d", i ? ",\n" : "", run->kind);
		write_place(out, run->disk_offset);
		write_place(out, run->file_offset);
		fprintf(out, ",%" PRIu64 "]", run->length);
	}
}

static void write_data(FILE *out, const struct layout *layout)
{
	fprintf(out, "{\"disk\": %" PRIu64 ", \"file\": %" PRIu64 ", \"all\": %" PRIu64,
		layout->disk.size, layout->file.size, layout->all_runs);
	fprintf(out, ", \"last\": %" PRIu64 ", \"data\": %d, \"parent\": %d, \"kinds\": [",
		layout->last_data, KIND_DATA, KIND_PARENT);
	for (int kind = 0; kind < KINDS; kind++)
		fprintf(out, "%s{\"name\": \"%s\", \"colour\": \"%s\"}", kind ? ", " : "",
			layout_kind_name((enum layout_kind)kind),
			picture_colour((enum layout_kind)kind));
	fputs("], \"places\": [", out);
	for (size_t i = 0; picture_place_colour(i); i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", picture_place_colour(i));
	fputs("], \"extents\": [", out);
	write_extents(out, layout);
	fputs("]}", out);
}

static void write_name(FILE *out, const struct layout *layout, const char *name)
{
	(void)layout;
	picture_write_text(out, name);
}

static void write_picture(FILE *out, const struct layout *layout, const char *name)
{
	picture_write_svg(out, layout, name);
}

static void write_json(FILE *out, const struct layout *layout, const char *name)
{
	(void)name;
	write_data(out, layout);
}

void page_write(FILE *out, const struct layout *layout, const char *name)
{
	static const struct {
		const char *mark;
		void (*write)(FILE *out, const struct layout *layout, const char *name);
	} parts[] = {{"@NAME@", write_name}, {"@SVG@", write_picture}, {"@DATA@", write_json}};
	const char *rest = page_html;

	/* The marks stand in the template in this order. */
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *mark = strstr(rest, parts[i].mark);

		fwrite(rest, 1, (size_t)(mark - rest), out);
		parts[i].write(out, layout, name);
		rest = mark + strlen(parts[i].mark);
	}
	fputs(rest, out);
}
