/* SPDX-License-Identifier: MIT */
/* Advice for the failures that people meet first: a file of another format, a lost parent, a file in use, silence. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "advice.h"
#include "cleanup.h"
#include "foreign.h"
#include "holder.h"
#include "remote.h"

#define PROBLEM_IDENTIFIER	 101
#define PROBLEM_PARENT_NOT_FOUND 820

static void advise_on_format(const char *file, char text[ADVICE_MAX])
{
	const struct foreign *foreign = foreign_find(file);

	if (foreign)
		snprintf(text, ADVICE_MAX, "; it is %s: %s", foreign->name, foreign->advice);
}

static void advise_on_lock(const char *file, char text[ADVICE_MAX])
{
	char holder[128];

	if (holder_find(file, holder, sizeof(holder)))
		snprintf(text, ADVICE_MAX, ": %s", holder);
}

const char *advice_on_name(const char *name)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://", "ftps://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncasecmp(name, schemes[i], strlen(schemes[i])))
			return "; nbdkit reads from servers: nbdkit curl URL --run 'vhdx info \"$uri\"'";
	return "";
}

static bool is_about_opening(const struct vhdx_error *error)
{
	static const char text[] = "cannot be opened:";

	return error->errnum == -ENOENT && !strncmp(error->text, text, sizeof(text) - 1);
}

static void advise_on_cause(const struct vhdx_error *error, const char *file, char text[ADVICE_MAX])
{
	if (error->problem == PROBLEM_IDENTIFIER && file)
		advise_on_format(file, text);
	else if (error->problem == PROBLEM_PARENT_NOT_FOUND && error->errnum == -ENOENT)
		snprintf(text, ADVICE_MAX, "; --parent-dir DIR looks in DIR too");
	else if (is_about_opening(error) && file)
		snprintf(text, ADVICE_MAX, "%s", advice_on_name(file));
	else if (error->errnum == -EAGAIN && file)
		advise_on_lock(file, text);
	else if (error->errnum == -ETIMEDOUT && remote_silence())
		snprintf(text, ADVICE_MAX, "; the cluster did not answer within %u s",
			 remote_silence());
}

void advise(const struct vhdx_error *error, const char *file, char text[ADVICE_MAX])
{
	text[0] = 0;
	advise_on_cause(error, file, text);
	size_t used = strlen(text);

	if (remote_left()[0])
		snprintf(text + used, ADVICE_MAX - used, "; %s", remote_left());
}
