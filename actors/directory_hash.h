/* SPDX-License-Identifier: Apache-2.0 */
/* directory_hash.h - the hash of a name, inlined where readers look names up.

   Threads: any.  Units: bytes.  Errors: none. */
#ifndef DIRECTORY_HASH_H
#define DIRECTORY_HASH_H

/* Inlined, so that the hash of a short name is a dozen instructions and no call. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "directory_impl.h"

static inline struct name_key name_hash(const struct directory *dir, const char *name,
                                        size_t len)
{
    XXH128_hash_t hash =
        XXH3_128bits_withSecret(name, len, dir->secret, sizeof(dir->secret));

    return (struct name_key){hash.low64, hash.high64};
}

#endif
