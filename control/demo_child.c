/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_child.h"

#include <errno.h>
#include <poll.h>
#include <proa/client.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "demo_family.h"
#include "demo_visitor.h"
#include "eal.h"
#include "node_internal.h"
#include "kernel_clock.h"

void child_say(const char *format, ...)
{
    char text[DEMO_NOTE_MAX + 2];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (n > (int)sizeof(text) - 2)
        n = (int)sizeof(text) - 2;
    text[n] = '\n';
    (void)!send(DEMO_FD, text, (size_t)n + 1, MSG_NOSIGNAL);
}

bool child_fail(const char *what, enum proa_outcome outcome)
{
    child_say("fail %s: %s", what, proa_outcome_name(outcome));
    return false;
}

/* ---- Starting ---- */

static bool read_key(uint8_t key[PROA_KEY_LEN])
{
    size_t len = 0;

    while (len < PROA_KEY_LEN) {
        ssize_t got = read(DEMO_FD, key + len, PROA_KEY_LEN - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    return true;
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool start(struct demo_child *c, struct proa_config *config)
{
    char err[PROA_TEXT_MAX], address[64];
    enum proa_outcome outcome;

    if (!read_key(config->cluster_key))
        return false;
    config->has_cluster_key = true;
    config->idle = c->options->idle;
    config->pages = c->options->pages;
    outcome = proa_node_start(config, &c->node, err, sizeof(err));
    sodium_memzero(config->cluster_key, sizeof(config->cluster_key));
    if (outcome != PROA_OK) {
        child_say("fail %s", err);
        return false;
    }
    proa_node_address(c->node, address, sizeof(address));
    child_say("up %016llx %s %d %s", (unsigned long long)proa_node_id(c->node), address,
              c->node->lanes[0].core, eal_huge() ? "huge" : "ordinary");
    return true;
}

/* True when the parent or a signal wants this process to end. */
static bool is_over(struct demo_child *c)
{
    struct pollfd fds[2] = {{.fd = c->signals, .events = POLLIN},
                            {.fd = DEMO_FD, .events = POLLRDHUP}};

    if (poll(fds, 2, 0) <= 0)
        return false;
    c->orphan = fds[0].revents == 0 && (fds[1].revents & (POLLRDHUP | POLLHUP)) != 0;
    return fds[0].revents != 0 || c->orphan;
}

static bool join(struct demo_child *c)
{
    proa_ns until = clock_now() + CHILD_JOIN_FOR;
    char err[PROA_TEXT_MAX];

    while (!is_over(c)) {
        if (proa_node_join(c->node, 100 * PROA_MS, err, sizeof(err)) == PROA_OK) {
            child_say("joined");
            return true;
        }
        if (clock_now() >= until) {
            child_say("fail %s", err);
            return false;
        }
    }
    return false;
}

bool child_open(struct demo_child *c, const struct options *options,
                struct proa_config *config)
{
    enum proa_outcome outcome;

    *c = (struct demo_child){
        .options = options, .dir = options->words[1], .signals = block_signals()};
    if (c->signals < 0 || !start(c, config) || !join(c))
        return false;
    outcome = proa_client_open(c->node, &c->client);
    return outcome == PROA_OK || child_fail("client", outcome);
}

void child_leave(struct demo_child *c)
{
    if (c->client != NULL)
        proa_client_close(c->client);
    c->client = NULL;
    if (c->node != NULL)
        proa_node_close(c->node);
    c->node = NULL;
}

void child_close(struct demo_child *c)
{
    child_leave(c);
    if (c->orphan)
        family_remove_dir(c->dir);
}

/* ---- Listening ---- */

bool child_hear(struct demo_child *c)
{
    ssize_t got = recv(DEMO_FD, c->command + c->command_len,
                       sizeof(c->command) - 1 - c->command_len, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    c->orphan = got <= 0;
    if (got > 0)
        c->command_len += (size_t)got;
    return got > 0;
}

bool child_command(struct demo_child *c, char line[CHILD_COMMAND_MAX])
{
    char *end = memchr(c->command, '\n', c->command_len);
    size_t len;

    if (end == NULL)
        return false;
    len = (size_t)(end - c->command);
    memcpy(line, c->command, len);
    line[len] = '\0';
    c->command_len -= len + 1;
    memmove(c->command, end + 1, c->command_len);
    return true;
}

void child_pass_notes(struct demo_child *c)
{
    struct proa_client_event event;

    while (c->client != NULL && proa_client_take(c->client, 0, &event) == PROA_OK) {
        if (!event.is_answer && event.change == NULL && event.type == DEMO_NOTE)
            child_say("%.*s", (int)event.len, (const char *)event.data);
    }
}
