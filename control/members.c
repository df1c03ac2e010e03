/* SPDX-License-Identifier: Apache-2.0 */
#include "members.h"

#include "core_internal.h"
#include "directory_group.h"
#include "seeking.h"
#include "watchers.h"

static void changed(struct core *core, const char *group, size_t len,
                    enum proa_change_kind kind, struct proa_ref ref, uint64_t version)
{
    const struct watchers_change change = {
        .is_group = true, .kind = kind, .ref = ref, .version = version};

    watchers_change(core, &change, group, len);
}

bool members_join(struct core *core, const char *group, size_t len, struct proa_ref ref,
                  uint32_t type)
{
    uint64_t version = directory_join(core->config.directory, group, len, ref, type);

    if (version == 0)
        return false;
    changed(core, group, len, PROA_CHANGE_JOINED, ref, version);
    seeking_joined(core, group, len);
    return true;
}

bool members_leave(struct core *core, const char *group, size_t len, struct proa_ref ref)
{
    uint64_t version = directory_leave(core->config.directory, group, len, ref);

    if (version == 0)
        return false;
    changed(core, group, len, PROA_CHANGE_LEFT, ref, version);
    return true;
}

bool members_rejoin(struct core *core, const char *group, size_t len, struct proa_ref old,
                    struct proa_ref ref, uint32_t type)
{
    uint64_t version =
        directory_rejoin(core->config.directory, group, len, old, ref, type);

    if (version == 0)
        return false;
    changed(core, group, len, PROA_CHANGE_LEFT, old, version - 1);
    changed(core, group, len, PROA_CHANGE_JOINED, ref, version);
    return true;
}
