/* SPDX-License-Identifier: MIT */
/* Finds what a mistyped word was meant to be. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/* The search for the name that is nearest to a word. */
struct nearest {
	const char *word;
	const char *name; /* so far; NULL: none is near */
	size_t edits;
};

struct nearest nearest_begin(const char *word);

/* Offers a name of at most 32 bytes; a longer one is never near. */
void nearest_offer(struct nearest *nearest, const char *name);

#endif
