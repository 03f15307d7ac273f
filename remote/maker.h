/* SPDX-License-Identifier: MIT */
/* Names a process so that others can tell later whether it still lives, at least those on its machine. */
#ifndef REMOTE_MAKER_H
#define REMOTE_MAKER_H

#include <stdbool.h>

#define MAKER_SIZE 128

void maker_self(char ret_name[MAKER_SIZE]);

/* Does it surely? Of a process of another machine nothing is sure. */
bool maker_lives(const char *name);

#endif
