/* SPDX-License-Identifier: MIT */
/* The words for the library's enumerations, on the command line and in what is printed. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stdbool.h>

#include <vhdx.h>

/* "dynamic", "fixed", "differencing". */
const char *type_name(enum vhdx_type type);

/* Reads one of these; reports anything else. */
bool type_parse(const char *text, enum vhdx_type *ret_type);

const char *log_state_name(enum vhdx_log_state state);
/* What that state means, for people. */
const char *log_state_meaning(enum vhdx_log_state state);
const char *candidate_state_name(enum vhdx_candidate_state state);
const char *severity_name(enum vhdx_severity severity);
const char *loss_name(enum vhdx_loss loss);
const char *mended_name(enum vhdx_mended how);
const char *extent_type_name(enum vhdx_extent_type type);

const char *salvage_kind_name(enum vhdx_salvage_kind kind);
const char *salvage_how_name(enum vhdx_salvage_how how);

#endif
