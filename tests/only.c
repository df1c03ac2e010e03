/* SPDX-License-Identifier: Apache-2.0 */
/* only.c - PROA_TEST=PATTERN in the environment: a cmocka program runs only the tests whose name matches,
   with * and ?.  Linked whole into every one of them; tests/mutants.py runs single tests so.

   Threads: none.  Units: none.  Errors: a pattern that matches nothing runs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

__attribute__((constructor)) static void only(void)
{
    cmocka_set_test_filter(getenv("PROA_TEST"));
}
