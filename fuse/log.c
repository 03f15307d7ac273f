/* SPDX-License-Identifier: MIT */
/* One line a message. Whoever uses the files is given an errno; why it failed is said here. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <fuse_lowlevel.h>
#include <vhdx.h>

#include "log.h"
#include "report.h"

static const char *log_file = "";
static bool started;
static bool detached;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static char fuse_line[256]; /* being written */
static char first_fuse_text[sizeof(fuse_line)];
static _Atomic(int) last_errnum;

/* Its lines begin with its name, and ours have a form of their own. */
static void finish_fuse_line(void)
{
	const char *text = strncmp(fuse_line, "fuse: ", 6) ? fuse_line : fuse_line + 6;

	if (detached)
		syslog(LOG_ERR, "%s", text);
	else if (started)
		report_error(log_file, "%s", text);
	else if (!*first_fuse_text)
		strcpy(first_fuse_text, text);
	*fuse_line = 0;
}

/* Some lines come in pieces; a newline ends them, or that there is no more room. */
static void catch_fuse(enum fuse_log_level level, const char *format, va_list args)
{
	if (level == FUSE_LOG_DEBUG)
		vfprintf(stderr, format, args);
	if (level > FUSE_LOG_ERR)
		return;
	pthread_mutex_lock(&writing);
	size_t used = strlen(fuse_line);
	size_t room = sizeof(fuse_line) - used;
	bool is_full = vsnprintf(fuse_line + used, room, format, args) >= (int)room;
	size_t end = strcspn(fuse_line, "\n");

	if (is_full || fuse_line[end]) {
		fuse_line[end] = 0;
		finish_fuse_line();
	}
	pthread_mutex_unlock(&writing);
}

void log_begin(const char *file)
{
	log_file = file;
	fuse_set_log_func(catch_fuse);
}

void log_start(bool background)
{
	started = true;
	detached = background;
	if (background)
		openlog("vhdx-mount", LOG_PID, LOG_DAEMON);
}

const char *log_fuse_text(const char *otherwise)
{
	return *first_fuse_text ? first_fuse_text : otherwise;
}

void log_warning(const char *text)
{
	report_warning(NULL, log_file, text);
}

void log_last_failure(void)
{
	const struct vhdx_error *error = vhdx_last_error();

	pthread_mutex_lock(&writing);
	if (detached)
		syslog(LOG_ERR, "%s: %s", *error->file ? error->file : log_file, error->text);
	else
		report_failure(log_file);
	pthread_mutex_unlock(&writing);
}

void log_failure(void)
{
	int errnum = vhdx_last_error()->errnum;

	if (atomic_exchange(&last_errnum, errnum) != errnum)
		log_last_failure();
}
