/* SPDX-License-Identifier: MIT */
/* The distance between words, by which a mistyped one is told from a strange one. */
#include <string.h>

#include "nearest.h"

#define WORD_MAX  32
#define EDITS_MAX 2

static size_t least(size_t a, size_t b, size_t c)
{
	size_t least_ab = a < b ? a : b;

	return least_ab < c ? least_ab : c;
}

/* The edits that lead from @word to @name (Levenshtein). */
static size_t distance(const char *word, const char *name)
{
	size_t row[WORD_MAX + 1];
	size_t columns = strlen(name);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; word[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1,
				       diagonal + (word[i - 1] != name[j - 1]));
			diagonal = above;
		}
	}
	return row[columns];
}

struct nearest nearest_begin(const char *word)
{
	/* Of a word of two letters, another one remains nothing when both are changed. */
	size_t allowed = strlen(word) / 2;

	return (struct nearest){word, NULL, (allowed < EDITS_MAX ? allowed : EDITS_MAX) + 1};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	if (strlen(nearest->word) > WORD_MAX || strlen(name) > WORD_MAX)
		return;
	size_t edits = distance(nearest->word, name);

	if (edits < nearest->edits) {
		nearest->edits = edits;
		nearest->name = name;
	}
}
