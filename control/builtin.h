/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.h - the behaviours every proa program knows, for first steps and for the demo.

   echo     answers each ask, of any type, with its own payload.
   counter  BUILTIN_INC with a little-endian u64: adds it and answers the sum, a little-endian
            u64; a tell only adds.  BUILTIN_GET answers the sum.

   Threads: constant.  Units: bytes.  Errors: as any behaviour's. */
#ifndef BUILTIN_H
#define BUILTIN_H

#include <proa/actor.h>

enum { BUILTIN_INC = 1, BUILTIN_GET = 2 };

extern const struct proa_behaviour builtin_echo;
extern const struct proa_behaviour builtin_counter;

#define BUILTIN_COUNT 2
extern const struct proa_behaviour *const builtin_all[BUILTIN_COUNT];

/* builtin_find returns the behaviour of that type name among `count` of them, then among the
   built-in ones; NULL when there is none. */
const struct proa_behaviour *builtin_find(const struct proa_behaviour *const *behaviours,
                                          unsigned count, const char *type_name);

#endif
