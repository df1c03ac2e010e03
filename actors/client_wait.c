/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "client_wait.h"

#define SPIN (20 * PROA_US) /* before sleeping: a wake-up costs 35 to 70 us */
#define PAUSE 50000         /* ns */

proa_ns client_now(const struct proa_client *client)
{
    return client->home->clock(client->home->clock_ctx);
}

static bool anything(const struct proa_client *client, bool answers_only)
{
    return !byte_ring_is_empty(client->answers) ||
           (!answers_only && !byte_ring_is_empty(client->tells));
}

static void sleep_until(struct proa_client *client, bool answers_only, proa_ns until)
{
    struct pollfd pfd = {.fd = client->bell.fd, .events = POLLIN};
    proa_ns now = client_now(client);
    struct timespec left;

    if (now >= until)
        return;
    left.tv_sec = (time_t)((until - now) / PROA_S);
    left.tv_nsec = (long)((until - now) % PROA_S);
    doorbell_arm(&client->bell);
    if (!anything(client, answers_only))
        ppoll(&pfd, 1, &left, NULL);
    doorbell_disarm(&client->bell);
    client->fd_set = false;
}

void client_wait(struct proa_client *client, bool answers_only, proa_ns until)
{
    proa_ns spin;

    if (client->home->pump != NULL) {
        client->home->pump(client->home->pump_ctx);
        return;
    }
    spin = client_now(client) + SPIN;
    while (!anything(client, answers_only)) {
        proa_ns now = client_now(client);

        if (now >= until)
            return;
        if (now >= spin) {
            sleep_until(client, answers_only, until);
            return;
        }
    }
}

void client_pause(struct proa_client *client)
{
    struct timespec pause = {0, PAUSE};

    if (client->home->pump != NULL)
        client->home->pump(client->home->pump_ctx);
    else
        nanosleep(&pause, NULL);
}

static void set_fd(struct proa_client *client)
{
    const uint64_t one = 1;

    if (!client->fd_set && write(client->bell.fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: it is readable all the same. */
    }
    client->fd_set = true;
}

/* Is there something to take?  A SET that is owed may be read by now. */
static bool due(const struct proa_client *client)
{
    return client->stash_first != NULL || client->sets_owed > 0 ||
           anything(client, false);
}

void client_level(struct proa_client *client)
{
    if (!client->fd_used)
        return;
    if (!due(client)) {
        doorbell_disarm(&client->bell);
        client->fd_set = false;
        doorbell_arm(&client->bell);
    }
    if (due(client))
        set_fd(client);
}
