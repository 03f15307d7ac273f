/* SPDX-License-Identifier: MIT */
/* This thread's last error, and the table of problems. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/error.h"

static _Thread_local struct vhdx_error last = {.file = "", .text = "", .offset = VHDX_NO_OFFSET};
static _Thread_local char last_file[PATH_MAX];
static _Thread_local char last_text[1024];

static const struct vhdx_problem problems[] = {
#define PROBLEM(number, name, severity, loss, mended, section, text, mend) \
	{number, #name, VHDX_##severity, VHDX_LOSS_##loss, VHDX_MENDED_##mended, section, \
	 text,	 mend},
#include "base/problems.def"
#undef PROBLEM
};

const struct vhdx_error *vhdx_last_error(void)
{
	return &last;
}

const struct vhdx_problem *vhdx_problem_at(size_t index)
{
	return index < ARRAY_SIZE(problems) ? &problems[index] : NULL;
}

enum row {
#define PROBLEM(number, name, severity, loss, mended, section, text, mend) ROW_##name,
#include "base/problems.def"
#undef PROBLEM
};

/* One more than the row of each number; a damaged BAT asks for a row 67 million times. */
static const uint8_t row_of[] = {
#define PROBLEM(number, name, severity, loss, mended, section, text, mend) \
	[number] = ROW_##name + 1,
#include "base/problems.def"
#undef PROBLEM
};

_Static_assert(ARRAY_SIZE(problems) < UINT8_MAX, "rows fit into row_of");

const struct vhdx_problem *vhdx_get_problem(unsigned number)
{
	if (number >= ARRAY_SIZE(row_of) || !row_of[number])
		return NULL;
	return &problems[row_of[number] - 1];
}

int vhdx_problem_errno(enum problem problem)
{
	const struct vhdx_problem *row = vhdx_get_problem(problem);

	return row && row->severity == VHDX_FOREIGN ? -ENOTSUP : -EUCLEAN;
}

void vhdx_text_to_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* Through a buffer of its own, for the arguments may be the last error's own texts. */
static void set_text(const char *format, va_list args)
{
	char text[sizeof(last_text)];

	vsnprintf(text, sizeof(text), format, args);
	vhdx_text_to_line(text);
	memcpy(last_text, text, strlen(text) + 1);
}

static void set_place(int errnum, enum problem problem, const char *file, uint64_t offset)
{
	if (file && file != last_file)
		snprintf(last_file, sizeof(last_file), "%s", file);
	else if (!file)
		last_file[0] = 0;
	last = (struct vhdx_error){errnum, problem, last_file, offset, last_text};
}

int vhdx_fail(int errnum, enum problem problem, const char *file, uint64_t offset,
	      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(format, args);
	va_end(args);
	set_place(errnum, problem, file, offset);
	return errnum;
}

/* The text that was set gets the text of @errnum. */
static int fail_because(int errnum, const char *file, uint64_t offset)
{
	char reason[128];
	size_t used = strlen(last_text);

	snprintf(last_text + used, sizeof(last_text) - used, ": %s",
		 strerror_r(-errnum, reason, sizeof(reason)));
	set_place(errnum, NO_PROBLEM, file, offset);
	return errnum;
}

int vhdx_fail_errno(int errnum, const char *file, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(format, args);
	va_end(args);
	return fail_because(errnum, file, VHDX_NO_OFFSET);
}

int vhdx_fail_io(int errnum, const char *file, uint64_t offset, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(format, args);
	va_end(args);
	return fail_because(errnum, file, offset);
}

int vhdx_fail_argument(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(format, args);
	va_end(args);
	set_place(-EINVAL, NO_PROBLEM, NULL, VHDX_NO_OFFSET);
	return -EINVAL;
}

int vhdx_fail_memory(void)
{
	return vhdx_fail(-ENOMEM, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "out of memory");
}

int vhdx_fault_set(struct fault *ret_fault, enum problem problem, uint64_t offset,
		   const char *format, ...)
{
	va_list args;

	ret_fault->problem = problem;
	ret_fault->offset = offset;
	va_start(args, format);
	vsnprintf(ret_fault->text, sizeof(ret_fault->text), format, args);
	va_end(args);
	return -EUCLEAN;
}

void vhdx_error_keep(struct kept_error *ret_kept)
{
	ret_kept->file = strdup(last_file);
	ret_kept->text = strdup(last_text);
	ret_kept->error = last;
	ret_kept->error.file = ret_kept->file ? ret_kept->file : "";
	ret_kept->error.text = ret_kept->text ? ret_kept->text : "out of memory";
}

int vhdx_error_raise(const struct kept_error *kept)
{
	snprintf(last_text, sizeof(last_text), "%s", kept->error.text);
	set_place(kept->error.errnum, (enum problem)kept->error.problem, kept->error.file,
		  kept->error.offset);
	return kept->error.errnum;
}

void vhdx_error_drop(struct kept_error *kept)
{
	free(kept->file);
	free(kept->text);
	*kept = (struct kept_error){0};
}
