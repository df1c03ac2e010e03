/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"
#include "pages.h"

/* The first links of a lane have ordinary memory: a lane with few of them is to stay small.  The others lie
   LANE_CHUNK_LINKS together in huge pages, since each packet touches three or four pages of its link,
   and those of 500 links fill a TLB of 2,048.  A chunk stays with its lane. */

void *lane_link_memory(struct lane *lane, uint32_t slot)
{
    uint32_t chunk = slot / LANE_CHUNK_LINKS;

    if (chunk == 0)
        return arena_alloc(lane->config.arena, link_size(), PROA_CACHE_LINE);
    if (lane->chunks[chunk] == NULL)
        lane->chunks[chunk] = pages_map(LANE_CHUNK_LINKS * link_size());
    return lane->chunks[chunk] == NULL
               ? NULL
               : lane->chunks[chunk] + slot % LANE_CHUNK_LINKS * link_size();
}

void lane_link_memory_free(struct lane *lane, uint32_t slot, void *memory)
{
    if (slot < LANE_CHUNK_LINKS)
        arena_free(lane->config.arena, memory);
}

void lane_chunks_free(struct lane *lane)
{
    for (uint32_t i = 0; i < LANE_LINKS_MAX / LANE_CHUNK_LINKS; i++)
        pages_unmap(lane->chunks[i], LANE_CHUNK_LINKS * link_size());
}
