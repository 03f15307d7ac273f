/* SPDX-License-Identifier: MIT */
/* Errors and warnings: one line each on standard error, "vhdx VERB: FILE: what is wrong". */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>

#include <vhdx.h>

#define STATUS_DONE	    0
#define STATUS_FAILED	    1
#define STATUS_INCONSISTENT 2

/* Names the verb that lines begin with; @failed_status is what its failures exit with. */
void report_begin(const char *verb, int failed_status);

/* Prints an error line; @file may be NULL. Returns the verb's exit status for failures. */
int report_error(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As report_error, with the text of @errnum, positive, behind what was being done. */
int report_errno(const char *file, const char *what, int errnum);

/*
 * Prints a failure of the library, on @file when @error names none. Returns the exit status: that of
 * the verb's failures, or STATUS_INCONSISTENT.
 */
int report_fault(const char *file, const struct vhdx_error *error);

/* As report_fault, of this thread's last failure. */
int report_failure(const char *file);

/*
 * Closes a disk that a verb wrote to, and returns the verb's exit status: @status, unless the close is
 * the first that failed.
 */
int report_close(struct vhdx *disk, const char *file, int status);

/*
 * Keeps a warning until the verb ends, for a failure is to be one line: warnings are dropped when an
 * error was reported. Fits struct vhdx_open_options; @opaque is not used.
 */
void report_warning(void *opaque, const char *file, const char *text);

/* Prints what warnings are left. */
void report_end(void);

#endif
