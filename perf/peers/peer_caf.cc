/* SPDX-License-Identifier: Apache-2.0 */
/* peer_caf - CAF, the C++ Actor Framework: two event-based actors of two systems, over tcp.
   perf/README.md says why each setting. */
#include "peer.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "perf_clock.h"

namespace
{

constexpr uint64_t window = 4096; /* messages under way; CAF itself holds nobody back */
constexpr uint64_t clock_every = 64;

struct payload {
    std::array<uint64_t, PEER_WORDS> words;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector &f, payload &p)
{
    return f(caf::meta::type_name("payload"), p.words);
}

using go_atom = caf::atom_constant<caf::atom("go")>;

bool spinning(const struct peer_end *end)
{
    return std::strcmp(end->kase->wait, "spinning") == 0;
}

struct config : caf::actor_system_config {
    explicit config(const struct peer_end *end)
    {
        load<caf::io::middleman>();
        add_message_type<payload>("payload");
        set("scheduler.max-threads", 1);
        set("scheduler.policy",
            spinning(end) ? caf::atom("stealing") : caf::atom("sharing"));
        set("middleman.workers", 0);
    }
};

/* What an end's actor works on; the actor's alone until it quits. */
struct work {
    struct peer_end *end;
    caf::actor other; /* A's */
    struct peer_samples samples;
    uint64_t number, credit, ticks;
    proa_ns warm, until, began;
    bool ok;
};

payload fill(uint64_t number)
{
    payload p;

    perf_payload_fill_n(p.words.data(), PEER_WORDS, number);
    return p;
}

void finish(caf::event_based_actor *self, struct work *w)
{
    self->send(w->other, fill(PEER_END + w->number));
    w->ok = true;
    self->quit();
}

/* ---- A ---- */

void ask(caf::event_based_actor *self, struct work *w)
{
    w->ticks = perf_clock_ticks();
    self->send(w->other, fill(w->number));
}

caf::behavior asker(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](go_atom) { ask(self, w); },
        [=](const payload &p) {
            uint64_t ticks = perf_clock_ticks() - w->ticks;
            proa_ns now = perf_clock_ns();

            if (!peer_check_echo(w->end, p.words.data(), w->number++)) {
                self->quit();
                return;
            }
            if (now >= w->warm)
                peer_samples_add(&w->samples, ticks);
            if (now < w->until)
                ask(self, w);
            else
                finish(self, w);
        },
    };
}

void tell(caf::event_based_actor *self, struct work *w)
{
    while (w->number < 2 * PEER_WARM || w->number % clock_every != 0 ||
           perf_clock_ns() < w->until) {
        if (w->number - w->credit >= window)
            return;
        self->send(w->other, fill(w->number++));
    }
    w->end->result.count = w->number;
    finish(self, w);
}

caf::behavior teller(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](go_atom) { tell(self, w); },
        [=](const payload &p) {
            w->credit += window / 4;
            if (peer_check_echo(w->end, p.words.data(), w->credit))
                tell(self, w);
            else
                self->quit();
        },
    };
}

bool run_a(struct peer_end *end, caf::actor_system &system, struct work *w)
{
    uint16_t port = static_cast<uint16_t>(std::strtoul(end->address, nullptr, 10));
    auto other = system.middleman().remote_actor("127.0.0.1", port);
    caf::scoped_actor self{system};
    proa_ns now;

    if (!other)
        return peer_fail(end, "cannot connect", system.render(other.error()).c_str());
    w->other = *other;
    if (end->phase == PEER_ROUND_TRIPS && !peer_samples_open(&w->samples))
        return peer_fail(end, "no memory", "for samples");
    now = perf_clock_ns();
    w->warm = now + end->span / 10;
    w->until = now + end->span;
    auto a = system.spawn(end->phase == PEER_ROUND_TRIPS ? asker : teller, w);
    self->send(a, go_atom::value);
    self->wait_for(a);
    return end->phase != PEER_ROUND_TRIPS ||
           peer_samples_close(&w->samples, &end->result);
}

/* ---- B ---- */

caf::behavior answerer(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](const payload &p) {
            if (peer_check_next(w->end, p.words.data())) {
                w->ok = true;
                self->quit();
            } else {
                self->send(caf::actor_cast<caf::actor>(self->current_sender()), p);
            }
        },
    };
}

caf::behavior counter(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](const payload &p) {
            struct peer_result *result = &w->end->result;

            if (peer_check_next(w->end, p.words.data())) {
                result->ns = perf_clock_ns() - w->began;
                w->ok = true;
                self->quit();
                return;
            }
            if (result->count == PEER_WARM)
                w->began = perf_clock_ns();
            if (result->count % (window / 4) == 0)
                self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                           fill(result->count));
        },
    };
}

bool run_b(struct peer_end *end, caf::actor_system &system, struct work *w)
{
    auto b = system.spawn(end->phase == PEER_ROUND_TRIPS ? answerer : counter, w);
    auto port = system.middleman().publish(b, 0, "127.0.0.1");
    caf::scoped_actor self{system};

    if (!port)
        return peer_fail(end, "cannot listen", system.render(port.error()).c_str());
    if (!peer_end_ready(end, std::to_string(*port).c_str()))
        return false;
    self->wait_for(b);
    return true;
}

bool caf_run(struct peer_end *end)
{
    struct work w {
    };

    w.end = end;
    try {
        config settings{end};
        caf::actor_system system{settings};
        bool ok = (end->is_a ? run_a : run_b)(end, system, &w) && w.ok;

        if (ok)
            peer_end_done(end);
        w.other = nullptr;
        return ok;
    } catch (const std::exception &e) {
        return peer_fail(end, "CAF", e.what());
    }
}

void caf_version(char *text, size_t len)
{
    snprintf(text, len, "%d.%d.%d", CAF_MAJOR_VERSION, CAF_MINOR_VERSION,
             CAF_PATCH_VERSION);
}

void caf_settings(const struct peer_case *kase, struct perf_json *json)
{
    perf_json_str(json, "actors", "event-based");
    perf_json_str(json, "scheduler.policy",
                  std::strcmp(kase->wait, "spinning") == 0 ? "stealing" : "sharing");
    perf_json_u64(json, "scheduler.max-threads", 1);
    perf_json_u64(json, "middleman.workers", 0);
    perf_json_u64(json, "window", window);
    perf_json_str(json, "nagle", "off, as CAF has it");
}

const struct peer_case cases[] = {
    {"tcp", "blocking", false},
    {"tcp", "spinning", false},
    {"tcp", "blocking", true},
};

} // namespace

int main(int argc, char **argv)
{
    struct peer caf_peer = {};

    caf_peer.name = "caf";
    caf_peer.cases = cases;
    caf_peer.case_count = sizeof(cases) / sizeof(cases[0]);
    caf_peer.version = caf_version;
    caf_peer.settings = caf_settings;
    caf_peer.run = caf_run;
    return peer_main(argc, argv, &caf_peer);
}
