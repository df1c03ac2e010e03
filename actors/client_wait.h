/* SPDX-License-Identifier: Apache-2.0 */
/* client_wait.h - how a client's thread waits, and keeps its eventfd true.

   Threads: the client's.  Units: proa_ns.  Errors: none. */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include "client_ring.h"

proa_ns client_now(const struct proa_client *client);

/* client_wait returns when there may be an answer (or, unless answers_only, a tell), or at
   `until`. */
void client_wait(struct proa_client *client, bool answers_only, proa_ns until);

/* client_pause lets some time pass, 50 us or one pump. */
void client_pause(struct proa_client *client);

/* client_level makes the eventfd readable if and only if there is something to take, once
   proa_client_fd was called.  At the end of each call that waits or takes. */
void client_level(struct proa_client *client);

#endif
