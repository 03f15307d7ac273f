/* SPDX-License-Identifier: MIT */
/* A fuzz target's only function: libFuzzer, AFL++ and run.c call it. */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
