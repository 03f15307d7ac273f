/* SPDX-License-Identifier: MIT */
/* An image's layout as a page for a browser: the picture, to be zoomed into, and a table of extents. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdio.h>

#include "layout.h"

/* Writes one self-contained document. @name: of the image, as it is to be shown. */
void page_write(FILE *out, const struct layout *layout, const char *name);

#endif
