/* SPDX-License-Identifier: MIT */
/* Where pictures are written to. */
#ifndef CLI_DRAW_H
#define CLI_DRAW_H

#include <stdbool.h>
#include <stdio.h>

#include "layout.h"

typedef void draw_fn(FILE *out, const struct layout *layout, const char *name);

/*
 * Writes what @function draws to the file at @path, or to standard output if that is "-". Returns STATUS_DONE,
 * or the exit status, with the error reported.
 */
int draw_to(const struct layout *layout, const char *name, const char *path, bool replace,
	    draw_fn *function);

#endif
