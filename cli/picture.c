/* SPDX-License-Identifier: MIT */
/*
 * Draws a layout as SVG: the disk's cells and the file's, below each other. Data have the colour of their place
 * on the disk in both, so that the order of blocks in the file can be seen.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "picture.h"
#include "text.h"
#include "utf8.h"

#define CELL	8 /* pixels */
#define MARGIN	16
#define CAPTION 22
#define WIDTH	(LAYOUT_COLUMNS * CELL + 2 * MARGIN)

static const char *const colours[KINDS] = {
	[KIND_FREE] = "#eeeeee",    [KIND_PARENT] = "#fcb4fc",	 [KIND_HEADER] = "#555555",
	[KIND_LOG] = "#d62728",	    [KIND_METADATA] = "#e377c2", [KIND_BAT] = "#8c564b",
	[KIND_BITMAP] = "#9c27b0",  [KIND_DATA] = "#23888e",	 [KIND_PARTIAL] = "#ff9800",
	[KIND_ZERO] = "#b0bec5",    [KIND_UNMAPPED] = "#d7ccc8", [KIND_UNDEFINED] = "#9933ff",
	[KIND_DAMAGED] = "#000000",
};

/* From the first data on the disk to the last: even steps of lightness, which all eyes tell apart. */
static const char *const places[] = {
	"#440154", "#481a6c", "#472f7d", "#414487", "#39568c", "#31688e", "#2a788e", "#23888e",
	"#1f988b", "#22a884", "#35b779", "#54c568", "#7ad151", "#a5db36", "#d2e21b", "#fde725",
};

const char *picture_colour(enum layout_kind kind)
{
	return colours[kind];
}

const char *picture_place_colour(size_t step)
{
	return step < ARRAY_SIZE(places) ? places[step] : NULL;
}

void picture_write_text(FILE *out, const char *text)
{
	while (*text) {
		const char *start = text;
		uint32_t character;

		if (!utf8_next(&text, &character) || text_is_unsafe(character) ||
		    character == 0xfffe || character == 0xffff)
			fputs("\xef\xbf\xbd", out);
		else if (strchr("<>&\"'", (int)*start) && *start)
			fprintf(out, "&#%d;", *start);
		else
			fwrite(start, 1, (size_t)(text - start), out);
	}
}

/* ---- Cells ---- */

/* What is seen of a cell: equal ones beside each other are drawn as one. */
struct look {
	enum layout_kind kind;
	unsigned place; /* of data */
	unsigned share; /* that is stored here, in eighths, at least one */
};

static struct look look_at(const struct layout_cell *cell, uint64_t last_data)
{
	struct look look = {.kind = KIND_FREE};
	uint64_t used = 0, all;

	for (int kind = KIND_FIRST_STORED; kind < KINDS; kind++) {
		used += cell->bytes[kind];
		if (cell->bytes[kind] > (look.kind ? cell->bytes[look.kind] : 0))
			look.kind = (enum layout_kind)kind;
	}
	all = used + cell->bytes[KIND_FREE] + cell->bytes[KIND_PARENT];
	if (!used && cell->bytes[KIND_PARENT])
		look.kind = KIND_PARENT;
	if (look.kind == KIND_DATA)
		look.place = (unsigned)(cell->places / (double)cell->bytes[KIND_DATA] /
					(double)last_data * (double)ARRAY_SIZE(places));
	if (look.place >= ARRAY_SIZE(places))
		look.place = ARRAY_SIZE(places) - 1;
	if (used)
		look.share = used * 8 < all ? 1 : (unsigned)((double)used / (double)all * 8);
	return look;
}

static bool same_look(struct look a, struct look b)
{
	return a.kind == b.kind && a.place == b.place && a.share == b.share;
}

/* As people read them, or where a cell is too small for that to tell its ends apart, in bytes. */
static void write_ends(FILE *out, uint64_t first, uint64_t last)
{
	char from[TEXT_SIZE_MAX], to[TEXT_SIZE_MAX];

	if (strcmp(text_size(first, from), text_size(last, to)) != 0)
		fprintf(out, "%s to %s", from, to);
	else
		fprintf(out, "%" PRIu64 " to %" PRIu64 " bytes", first, last);
}

/* Told when the pointer rests on it, and to who cannot see. */
static void write_title(FILE *out, const struct layout_space *space, size_t first, size_t end)
{
	char size[TEXT_SIZE_MAX];
	uint64_t last = end * space->cell_size < space->size ? end * space->cell_size : space->size;
	uint64_t bytes[KINDS] = {0};

	for (size_t i = first; i < end; i++)
		for (int kind = 0; kind < KINDS; kind++)
			bytes[kind] += space->cells[i].bytes[kind];
	fputs("<title>", out);
	write_ends(out, first * space->cell_size, last);
	fputc(':', out);
	for (int kind = 0; kind < KINDS; kind++)
		if (bytes[kind])
			fprintf(out, " %s %s;", layout_kind_name((enum layout_kind)kind),
				text_size(bytes[kind], size));
	fputs("</title>", out);
}

static void write_run(FILE *out, const struct layout_space *space, struct look look, size_t first,
		      size_t end)
{
	const char *colour = look.kind == KIND_DATA ? places[look.place] : colours[look.kind];

	fprintf(out, "<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%d\" fill=\"%s\"",
		first % LAYOUT_COLUMNS * CELL, first / LAYOUT_COLUMNS * CELL, (end - first) * CELL,
		CELL - 1, colour);
	if (look.share && look.share < 8)
		fprintf(out, " fill-opacity=\"%.2f\"", 0.3 + 0.7 * look.share / 8);
	fputc('>', out);
	write_title(out, space, first, end);
	fputs("</rect>\n", out);
}

static void write_grid(FILE *out, const struct layout_space *space, uint64_t last_data)
{
	size_t end;

	for (size_t first = 0; first < space->count; first = end) {
		size_t row_end = first - first % LAYOUT_COLUMNS + LAYOUT_COLUMNS;
		struct look look = look_at(&space->cells[first], last_data);

		for (end = first + 1; end < space->count && end < row_end; end++)
			if (!same_look(look, look_at(&space->cells[end], last_data)))
				break;
		write_run(out, space, look, first, end);
	}
}

static unsigned grid_height(const struct layout_space *space)
{
	return (unsigned)((space->count + LAYOUT_COLUMNS - 1) / LAYOUT_COLUMNS) * CELL;
}

/* ---- The whole ---- */

static unsigned write_space(FILE *out, const struct layout_space *space, uint64_t last_data,
			    const char *id, const char *what, unsigned top)
{
	char size[TEXT_SIZE_MAX], cell[TEXT_SIZE_MAX];

	fprintf(out,
		"<text x=\"%d\" y=\"%u\" class=\"caption\">%s: %s, a cell is %s</text>\n"
		"<g id=\"%s\" transform=\"translate(%d %u)\">\n",
		MARGIN, top + 14, what, text_size(space->size, size),
		text_size(space->cell_size, cell), id, MARGIN, top + CAPTION);
	write_grid(out, space, last_data);
	fputs("</g>\n", out);
	return top + CAPTION + grid_height(space) + MARGIN;
}

static void write_swatch(FILE *out, unsigned x, unsigned y, const char *colour)
{
	fprintf(out,
		"<rect x=\"%u\" y=\"%u\" width=\"12\" height=\"12\" fill=\"%s\" stroke=\"#999999\" "
		"stroke-width=\"0.5\"/>",
		x, y, colour);
}

#define LEGEND_COLUMNS 4
#define LEGEND_WIDTH   ((WIDTH - 2 * MARGIN) / LEGEND_COLUMNS)
#define LEGEND_HEIGHT  20

static void write_key(FILE *out, const struct layout *layout, enum layout_kind kind, unsigned x,
		      unsigned y)
{
	char disk[TEXT_SIZE_MAX], file[TEXT_SIZE_MAX];
	uint64_t on_disk = layout->disk.totals[kind], in_file = layout->file.totals[kind];

	write_swatch(out, x, y, colours[kind]);
	fprintf(out, "<text x=\"%u\" y=\"%u\">%s", x + 18, y + 10, layout_kind_name(kind));
	if (on_disk)
		fprintf(out, ", disk %s", text_size(on_disk, disk));
	if (in_file)
		fprintf(out, ", file %s", text_size(in_file, file));
	fputs("</text>\n", out);
}

static unsigned legend_rows(const struct layout *layout)
{
	unsigned keys = 0;

	for (int kind = 0; kind < KINDS; kind++)
		keys += layout->disk.totals[kind] || layout->file.totals[kind];
	return (keys + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS;
}

static void write_legend(FILE *out, const struct layout *layout, unsigned top)
{
	unsigned keys = 0;

	for (int kind = 0; kind < KINDS; kind++) {
		if (!layout->disk.totals[kind] && !layout->file.totals[kind])
			continue;
		write_key(out, layout, (enum layout_kind)kind,
			  MARGIN + keys % LEGEND_COLUMNS * LEGEND_WIDTH,
			  top + keys / LEGEND_COLUMNS * LEGEND_HEIGHT);
		keys++;
	}
	top += legend_rows(layout) * LEGEND_HEIGHT + 4;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		write_swatch(out, MARGIN + (unsigned)i * 12, top, places[i]);
	fprintf(out,
		"<text x=\"%u\" y=\"%u\">data, from the first on the disk to the last; pale: a part of "
		"the cell</text>\n",
		MARGIN + (unsigned)ARRAY_SIZE(places) * 12 + 8, top + 10);
}

void picture_write_svg(FILE *out, const struct layout *layout, const char *name)
{
	unsigned top = 40;
	unsigned height = top + 2 * (CAPTION + MARGIN) + grid_height(&layout->disk) +
			  grid_height(&layout->file) + (legend_rows(layout) + 1) * LEGEND_HEIGHT +
			  MARGIN;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" width=\"%d\" "
		"height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<style>.caption{font-size:14px;font-weight:bold}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
		"<text x=\"%d\" y=\"26\" font-size=\"18\">",
		WIDTH, height, WIDTH, height, MARGIN);
	picture_write_text(out, name);
	fputs("</text>\n", out);
	top = write_space(out, &layout->disk, layout->last_data, "disk", "The disk", top);
	top = write_space(out, &layout->file, layout->last_data, "file", "The file", top);
	write_legend(out, layout, top);
	fputs("</svg>\n", out);
}
