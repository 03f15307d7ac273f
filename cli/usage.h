/* SPDX-License-Identifier: MIT */
/* What the command says of itself, and of words that are no verbs. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include <stdio.h>

#include "verb.h"

/* The verb of this name; NULL: there is none. */
const struct verb *usage_find(const char *name);

/* Lists the verbs by what people want to do. */
void usage_print(FILE *out);

/* Reports that @word is no verb, with what may have been meant. Returns the exit status. */
int usage_report_unknown(const char *word);

#endif
