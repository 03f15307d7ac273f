/* SPDX-License-Identifier: MIT */
/* This thread's last error, and the table of problems that errors and findings refer to. */
#ifndef VHDX_BASE_ERROR_H
#define VHDX_BASE_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

#include <vhdx.h>

enum problem {
	NO_PROBLEM = 0,
#define PROBLEM(number, name, severity, loss, mended, section, text, mend) \
	PROBLEM_##name = (number),
#include "base/problems.def"
#undef PROBLEM
};

/*
 * Records this thread's last error and returns @errnum, a negative errno. @file may be NULL; @offset
 * may be VHDX_NO_OFFSET.
 */
int vhdx_fail(int errnum, enum problem problem, const char *file, uint64_t offset,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* As vhdx_fail, for a failed call: the text of @errnum is added to what was being done. */
int vhdx_fail_errno(int errnum, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As vhdx_fail_errno, for storage that failed at @offset of the file. */
int vhdx_fail_io(int errnum, const char *file, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* An argument that a caller got wrong: -EINVAL. */
int vhdx_fail_argument(const char *format, ...) __attribute__((format(printf, 1, 2)));

int vhdx_fail_memory(void);

/* Replaces control characters, which strings of an image may hold: errors and findings are one line. */
void vhdx_text_to_line(char *text);

/* Chapter 8 of the table: the parent locator and the chain. */
static inline bool problem_is_about_parent(unsigned problem)
{
	return problem / 100 == 8;
}

/* Space may be had another time. */
static inline bool error_is_no_space(int errnum)
{
	return errnum == -ENOSPC || errnum == -EDQUOT;
}

/* What a problem of that severity makes a call return. */
int vhdx_problem_errno(enum problem problem);

/* What is wrong with a structure, told to a caller who knows its name and reports it. */
struct fault {
	enum problem problem;
	uint64_t offset;
	char text[200];
};

/* Fills in *ret_fault and returns -EUCLEAN. */
int vhdx_fault_set(struct fault *ret_fault, enum problem problem, uint64_t offset,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A copy of an error that outlives the thread's next one. */
struct kept_error {
	struct vhdx_error error;
	char *file;
	char *text;
};

/* Copies this thread's last error. Without memory for it, the error is kept without its texts. */
void vhdx_error_keep(struct kept_error *ret_kept);

/* Makes it this thread's last error again, and returns its errno. */
int vhdx_error_raise(const struct kept_error *kept);

void vhdx_error_drop(struct kept_error *kept);

#endif
