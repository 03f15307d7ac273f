/* SPDX-License-Identifier: MIT */
/* What a check found, in a few plain sentences: by kinds of faults, not one by one. */
#ifndef CLI_DIAGNOSIS_H
#define CLI_DIAGNOSIS_H

#include <stdbool.h>

#include <vhdx.h>

struct diagnosis {
	const struct vhdx_problem_total *totals; /* of all rows of the table of problems */
	const struct vhdx_check_result *result;
	bool for_windows; /* what Windows refuses counts */
};

/* Receives one sentence at a time; its text is gone afterwards. */
typedef void sentence_fn(void *opaque, const char *sentence);

/* At least one sentence. */
void diagnose(const struct diagnosis *diagnosis, sentence_fn *tell, void *opaque);

#endif
