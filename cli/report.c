/* SPDX-License-Identifier: MIT */
/* Errors and warnings, one line each; warnings wait for the verb's end, and errors silence them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "advice.h"
#include "cleanup.h"
#include "report.h"
#include "text.h"

/* More would tell nothing new: there is about one a file of a chain. */
#define WARNINGS_MAX 256

struct warning {
	char *file;
	char *text;
};

static const char *current_verb;
static int failed_status = STATUS_FAILED;
static bool failed;
static struct warning warnings[WARNINGS_MAX];
static size_t nwarnings;

void report_begin(const char *verb, int status)
{
	current_verb = verb;
	failed_status = status;
}

static void write_head(const char *file)
{
	fputs("vhdx", stderr);
	if (current_verb)
		fprintf(stderr, " %s", current_verb);
	fputs(": ", stderr);
	if (file) {
		text_write(stderr, *file ? file : "''");
		fputs(": ", stderr);
	}
}

static void write_line(const char *file, const char *text)
{
	failed = true;
	write_head(file);
	text_write(stderr, text);
	fputc('\n', stderr);
}

int report_error(const char *file, const char *format, ...)
{
	auto_free char *text = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		text = NULL;
	write_line(file, text ? text : "out of memory");
	return failed_status;
}

int report_errno(const char *file, const char *what, int errnum)
{
	return report_error(file, "%s: %s", what, strerror(errnum));
}

/* "at byte N; problem M": where, and what to look up. */
static void describe_place(const struct vhdx_error *error, char *place, size_t size)
{
	size_t used = 0;

	place[0] = 0;
	if (error->offset != VHDX_NO_OFFSET)
		used = (size_t)snprintf(place, size, "at byte %" PRIu64, error->offset);
	if (error->problem)
		snprintf(place + used, size - used, "%sproblem %u", used ? "; " : "",
			 error->problem);
}

int report_fault(const char *file, const struct vhdx_error *error)
{
	const char *text = *error->text ? error->text : strerror(-error->errnum);
	const char *remark = strstr(text, " (");
	size_t length = strlen(text), head = remark ? (size_t)(remark - text) : length;
	char place[64], advice[ADVICE_MAX];
	bool closed = remark && text[length - 1] == ')';

	/* A pipe has no name for the library, which calls it "(stream)": the caller knows more. */
	if (*error->file && (*error->file != '(' || !file))
		file = error->file;
	describe_place(error, place, sizeof(place));
	advise(error, file, advice);
	if (error->errnum == -ECANCELED)
		report_error(file, "interrupted");
	else if (!*place)
		report_error(file, "%.*s%s%s", (int)head, text, advice, text + head);
	else
		report_error(file, "%.*s%s%.*s%s%s)", (int)head, text, advice,
			     (int)(length - head) - closed, text + head, closed ? "; " : " (",
			     place);
	return error->errnum == -EUCLEAN ? STATUS_INCONSISTENT : failed_status;
}

int report_failure(const char *file)
{
	return report_fault(file, vhdx_last_error());
}

int report_close(struct vhdx *disk, const char *file, int status)
{
	return vhdx_close(disk) && !status ? report_failure(file) : status;
}

void report_warning(void *opaque, const char *file, const char *text)
{
	(void)opaque;
	if (nwarnings == WARNINGS_MAX)
		return;
	struct warning *warning = &warnings[nwarnings++];

	warning->file = strdup(file ? file : "");
	warning->text = strdup(text);
}

void report_end(void)
{
	for (size_t i = 0; i < nwarnings; i++) {
		if (!failed && warnings[i].text) {
			write_head("warning");
			text_write(stderr, warnings[i].file && *warnings[i].file ? warnings[i].file
										 : "image");
			fputs(": ", stderr);
			text_write(stderr, warnings[i].text);
			fputc('\n', stderr);
		}
		free(warnings[i].file);
		free(warnings[i].text);
	}
	nwarnings = 0;
}
