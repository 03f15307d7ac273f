/* SPDX-License-Identifier: MIT */
/* Where the messages of a running mount go: to standard error, or in the background to the system's log. */
#ifndef FUSE_LOG_H
#define FUSE_LOG_H

#include <stdbool.h>

/* Lines name @file from here on; of libfuse's, the first is kept for log_fuse_text. */
void log_begin(const char *file);

/* The mount is there, and from here on libfuse's lines are shown. In the background there is no stderr. */
void log_start(bool background);

/* What libfuse gave as the reason of its first failure, else @otherwise. */
const char *log_fuse_text(const char *otherwise);

/* A warning about the file, for before the process goes to the background. */
void log_warning(const char *text);

/* The library's last failure in this thread. One that fails as the one before is not repeated. */
void log_failure(void);

/* The same, repeated or not. */
void log_last_failure(void);

#endif
