/* SPDX-License-Identifier: Apache-2.0 */
/* events_node.h - a real node's side of event.h and log.h: the functions its user installs.

   Threads: events_node_init: before the control thread runs.
   Units:   none.  Errors: none. */
#ifndef EVENTS_NODE_H
#define EVENTS_NODE_H

struct proa_node;

/* events_node_init lets log lines go to stderr. */
void events_node_init(struct proa_node *node);

#endif
