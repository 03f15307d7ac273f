/* SPDX-License-Identifier: MIT */
/* The words for the library's enumerations. Scripts read them: they never change. */
#include <string.h>

#include "cleanup.h"
#include "names.h"
#include "report.h"

static const char *const types[] = {
	[VHDX_DYNAMIC] = "dynamic",
	[VHDX_FIXED] = "fixed",
	[VHDX_DIFFERENCING] = "differencing",
};

static const char *const log_states[] = {
	[VHDX_LOG_CLEAN] = "clean",
	[VHDX_LOG_EMPTY] = "empty",
	[VHDX_LOG_DIRTY] = "dirty",
	[VHDX_LOG_CORRUPT] = "corrupt",
};

static const char *const log_meanings[] = {
	[VHDX_LOG_CLEAN] = "nothing to replay",
	[VHDX_LOG_EMPTY] = "not closed cleanly, but nothing to replay",
	[VHDX_LOG_DIRTY] = "not closed cleanly, replayed in memory",
	[VHDX_LOG_CORRUPT] = "cannot be replayed",
};

static const char *const candidate_states[] = {
	[VHDX_PARENT_OPENED] = "opened",     [VHDX_PARENT_MISSING] = "missing",
	[VHDX_PARENT_OUTSIDE] = "outside",   [VHDX_PARENT_MISMATCH] = "mismatch",
	[VHDX_PARENT_UNUSABLE] = "unusable",
};

static const char *const severities[] = {
	[VHDX_NOTE] = "note",	    [VHDX_WINDOWS] = "windows", [VHDX_LEAK] = "leak",
	[VHDX_DAMAGE] = "damage",   [VHDX_LOCKED] = "locked",	[VHDX_FATAL] = "fatal",
	[VHDX_FOREIGN] = "foreign",
};

static const char *const losses[] = {
	[VHDX_LOSS_NONE] = "none",
	[VHDX_LOSS_DOUBT] = "doubt",
	[VHDX_LOSS_PART] = "part",
	[VHDX_LOSS_DISK] = "disk",
};

static const char *const mended[] = {
	[VHDX_MENDED_NEVER] = "never",
	[VHDX_MENDED_ALWAYS] = "always",
	[VHDX_MENDED_MAYBE] = "maybe",
	[VHDX_MENDED_DISCARD_LOG] = "discard-log",
};

static const char *const extent_types[] = {
	[VHDX_EXTENT_DATA] = "data",
	[VHDX_EXTENT_ZERO] = "zero",
	[VHDX_EXTENT_ABSENT] = "absent",
	[VHDX_EXTENT_PARENT] = "parent",
};

static const char *const salvage_kinds[] = {
	[VHDX_SALVAGE_ZERO] = "zero",	[VHDX_SALVAGE_PARENT] = "parent",
	[VHDX_SALVAGE_FOUND] = "found", [VHDX_SALVAGE_GUESSED] = "guessed",
	[VHDX_SALVAGE_LOST] = "lost",
};

static const char *const salvage_hows[] = {
	[VHDX_SALVAGE_NOT_KNOWN] = "unknown", [VHDX_SALVAGE_READ] = "read",
	[VHDX_SALVAGE_OVERRIDDEN] = "given",  [VHDX_SALVAGE_BY_SIGNATURE] = "found",
	[VHDX_SALVAGE_BY_GUESS] = "guessed",
};

/* A later library may have more values than this command was built with. */
#define NAME_IN(names, value) ((size_t)(value) < ARRAY_SIZE(names) ? (names)[value] : "unknown")

const char *type_name(enum vhdx_type type)
{
	return NAME_IN(types, type);
}

bool type_parse(const char *text, enum vhdx_type *ret_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i], text)) {
			*ret_type = (enum vhdx_type)i;
			return true;
		}
	report_error(NULL, "type '%s' is unknown (expected dynamic or fixed)", text);
	return false;
}

const char *log_state_name(enum vhdx_log_state state)
{
	return NAME_IN(log_states, state);
}

const char *log_state_meaning(enum vhdx_log_state state)
{
	return NAME_IN(log_meanings, state);
}

const char *candidate_state_name(enum vhdx_candidate_state state)
{
	return NAME_IN(candidate_states, state);
}

const char *severity_name(enum vhdx_severity severity)
{
	return NAME_IN(severities, severity);
}

const char *loss_name(enum vhdx_loss loss)
{
	return NAME_IN(losses, loss);
}

const char *mended_name(enum vhdx_mended how)
{
	return NAME_IN(mended, how);
}

const char *extent_type_name(enum vhdx_extent_type type)
{
	return NAME_IN(extent_types, type);
}

const char *salvage_kind_name(enum vhdx_salvage_kind kind)
{
	return NAME_IN(salvage_kinds, kind);
}

const char *salvage_how_name(enum vhdx_salvage_how how)
{
	return NAME_IN(salvage_hows, how);
}
