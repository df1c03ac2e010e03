/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include <proa/types.h>

PROA_NORETURN void proa_assert_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "proa: %s:%d: broken promise: %s\n", file, line, what);
    abort();
}
