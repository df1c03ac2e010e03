/* SPDX-License-Identifier: Apache-2.0 */
/* No processor built for has x86's AES instructions: names are hashed by XXH3. */
#include "directory_hash.h"

bool directory_aes_here(void)
{
    return false;
}

struct name_key directory_key_aes(const struct directory *dir, const char *name,
                                  size_t len)
{
    (void)dir, (void)name, (void)len;
    PROA_ASSERT(!"dir->aes is false");
    return (struct name_key){0, 0};
}

enum proa_outcome directory_lookup_aes(const struct directory *dir, const char *name,
                                       size_t len, uint32_t type, proa_ns now,
                                       struct proa_ref *ret_ref)
{
    (void)type, (void)now, (void)ret_ref;
    directory_key_aes(dir, name, len);
    return PROA_UNKNOWN;
}
