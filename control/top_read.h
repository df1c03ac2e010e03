/* SPDX-License-Identifier: Apache-2.0 */
/* top_read.h - takes a node's figures, for `proa top` and telemetry.

   Threads: ordinary ones; several at a time.  A lane is asked for its links and answers at the
            end of its loop; all else is only read.
   Units:   as top_lines.h.
   Errors:  none: what is not to be had is left out. */
#ifndef TOP_READ_H
#define TOP_READ_H

#include "lane.h"
#include "top_lines.h"

struct proa_node;

/* top_read fills a snapshot. */
void top_read(struct proa_node *node, struct top_snapshot *ret);

/* top_read_types sums the behaviours of the lanes first..end - 1, at most max; *left_out counts
   those beyond. */
unsigned top_read_types(struct proa_node *node, unsigned first, unsigned end,
                        struct top_type *types, unsigned max, uint64_t *left_out);

/* top_read_links is lane_links, one at a time. */
unsigned top_read_links(struct proa_node *node, unsigned lane, struct lane_link_info *ret,
                        unsigned max);

#endif
