/* SPDX-License-Identifier: MIT */
/* Options of qemu-img, for those who have them in their fingers. */
#ifndef CLI_HABITS_H
#define CLI_HABITS_H

/* What does here what qemu-img's @option, "-b" or "--output", does at its verb; NULL: nothing. */
const char *habit_find(const char *verb, const char *option);

#endif
