/* SPDX-License-Identifier: MIT */
/* An image's layout as a picture: where the disk's blocks lie in the file. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <stdio.h>

#include "layout.h"

/* Writes a self-contained SVG. @name: of the image, as it is to be shown. */
void picture_write_svg(FILE *out, const struct layout *layout, const char *name);

/* A kind's colour, "#1b6ac9". */
const char *picture_colour(enum layout_kind kind);

/* The colour of data by their place on the disk, in steps from the first to the last; NULL behind those. */
const char *picture_place_colour(size_t step);

/* Writes text of a document: @text may hold anything. */
void picture_write_text(FILE *out, const char *text);

#endif
