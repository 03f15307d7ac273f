/* SPDX-License-Identifier: MIT */
/* Findings of check and repair, as text and as JSON. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>
#include <stdio.h>

#include <vhdx.h>

struct json;

/* The finding on a line, behind its file's name if that is wanted; what is lost and what mends it below. */
void finding_write(FILE *out, const struct vhdx_finding *finding, bool with_file);

/* The finding as an object of an array. */
void finding_json(struct json *json, const struct vhdx_finding *finding);

#endif
