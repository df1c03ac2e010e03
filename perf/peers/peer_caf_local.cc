/* SPDX-License-Identifier: Apache-2.0 */
/* peer_caf_local - CAF's actors of one process, beside proa-savina's: ping-pong and counting of the Savina
   suite, spawning, and the memory of idle actors; on one core and on two.  One JSON object a line.

   With one worker thread pinned to core 0, or with two free to use cores 0 and 1: CAF decides where an
   actor runs.  Messages carry their number, and the receiver compares it.  perf/README.md says why each
   setting.  Options: --seconds N, of each measurement. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <caf/all.hpp>

extern "C" {
#include "perf_clock.h"
}

namespace
{

constexpr uint64_t window = 1000; /* increments under way: a mailbox has no bound */
constexpr uint64_t clock_every = 64;
constexpr uint64_t batch = 1000; /* actors alive at once while spawning is timed */
constexpr unsigned idle_actors = 100000;
constexpr unsigned state_size =
    64; /* bytes, as the other actors whose memory is measured */

using go_atom = caf::atom_constant<caf::atom("go")>;
using ping_atom = caf::atom_constant<caf::atom("ping")>;
using add_atom = caf::atom_constant<caf::atom("add")>;
using credit_atom = caf::atom_constant<caf::atom("credit")>;
using end_atom = caf::atom_constant<caf::atom("end")>;

struct work {
    caf::actor other;
    proa_ns until;
    uint64_t number, credit, counted;
    bool ok;
};

struct rate {
    uint64_t count;
    double per_s;
    bool ok;
};

/* ---- Ping-pong ---- */

caf::behavior pong(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](ping_atom, uint64_t number) {
            w->ok = w->ok && number == w->counted++;
            self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                       ping_atom::value, number);
        },
        [=](end_atom) { self->quit(); },
    };
}

caf::behavior ping(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](go_atom) { self->send(w->other, ping_atom::value, w->number); },
        [=](ping_atom, uint64_t number) {
            w->ok = w->ok && number == w->number++;
            if (w->number % clock_every == 0 && perf_clock_ns() >= w->until) {
                self->send(w->other, end_atom::value);
                self->quit();
            } else {
                self->send(w->other, ping_atom::value, w->number);
            }
        },
    };
}

/* ---- Counting ---- */

caf::behavior counter(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](add_atom, uint64_t number) {
            w->ok = w->ok && number == w->counted++;
            if (w->counted % (window / 4) == 0)
                self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                           credit_atom::value, w->counted);
        },
        [=](end_atom) { self->quit(); },
    };
}

void produce(caf::event_based_actor *self, struct work *w)
{
    while (w->number % clock_every != 0 || perf_clock_ns() < w->until) {
        if (w->number - w->credit >= window)
            return;
        self->send(w->other, add_atom::value, w->number++);
    }
    self->send(w->other, end_atom::value);
    self->quit();
}

caf::behavior producer(caf::event_based_actor *self, struct work *w)
{
    return {
        [=](go_atom) { produce(self, w); },
        [=](credit_atom, uint64_t counted) {
            w->credit = counted;
            produce(self, w);
        },
    };
}

using actor_body = caf::behavior (*)(caf::event_based_actor *, struct work *);

struct rate run_pair(caf::actor_system &system, actor_body first, actor_body second,
                     proa_ns span, unsigned messages_each)
{
    struct work a {
    }, b{};
    caf::scoped_actor self{system};
    proa_ns began;

    a.ok = b.ok = true;
    a.other = system.spawn(second, &b);
    auto starter = system.spawn(first, &a);
    began = perf_clock_ns();
    a.until = began + span;
    self->send(starter, go_atom::value);
    self->wait_for(starter, a.other);
    proa_ns took = perf_clock_ns() - began;
    return {a.number * messages_each,
            static_cast<double>(a.number * messages_each) * 1e9 /
                static_cast<double>(took),
            a.ok && b.ok && a.number == b.counted && a.number > 0};
}

/* ---- Spawning ---- */

caf::behavior child(caf::event_based_actor *self)
{
    return {
        [=](add_atom, uint64_t number) {
            self->quit();
            return number;
        },
    };
}

/* As proa-savina fork-join-create: each is made, works once, answers and stops. */
caf::behavior parent(caf::event_based_actor *self, struct work *w)
{
    auto fork = [=] {
        for (uint64_t i = 0; i < batch; i++)
            self->send(self->spawn(child), add_atom::value, w->number++);
    };

    return {
        [=](go_atom) { fork(); },
        [=](uint64_t number) {
            w->credit += number;
            if (++w->counted < w->number)
                return;
            if (perf_clock_ns() < w->until)
                fork();
            else
                self->quit();
        },
    };
}

struct rate run_spawn(caf::actor_system &system, proa_ns span)
{
    struct work w {
    };
    caf::scoped_actor self{system};
    proa_ns began = perf_clock_ns();

    w.until = began + span;
    auto a = system.spawn(parent, &w);
    self->send(a, go_atom::value);
    self->wait_for(a);
    proa_ns took = perf_clock_ns() - began;
    uint64_t all = w.number * (w.number - 1) / 2;
    return {w.number, static_cast<double>(w.number) * 1e9 / static_cast<double>(took),
            w.counted == w.number && w.credit == all};
}

/* ---- Memory ---- */

struct idle_state {
    char bytes[state_size];
};

caf::behavior idle(caf::stateful_actor<idle_state> *self)
{
    memset(self->state.bytes, 1, sizeof(self->state.bytes));
    return {
        [=](end_atom) { self->quit(); },
    };
}

uint64_t resident()
{
    std::ifstream file("/proc/self/statm");
    uint64_t size = 0, pages = 0;

    file >> size >> pages;
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t run_memory(caf::actor_system &system)
{
    std::vector<caf::actor> actors;

    malloc_trim(0);
    actors.reserve(idle_actors);
    memset(static_cast<void *>(actors.data()), 0, idle_actors * sizeof(caf::actor));
    uint64_t before = resident();
    for (unsigned i = 0; i < idle_actors; i++)
        actors.push_back(system.spawn(idle));
    uint64_t after = resident();
    for (auto &a : actors)
        caf::anon_send(a, end_atom::value);
    actors.clear();
    system.await_all_actors_done();
    return (after - before) / idle_actors;
}

/* ---- The program ---- */

struct config : caf::actor_system_config {
    explicit config(int threads)
    {
        set("scheduler.max-threads", threads);
        set("scheduler.policy", caf::atom("stealing"));
    }
};

void print(const char *key, const char *unit, const struct rate &r)
{
    printf("\"%s\": {\"%s\": %llu, \"%s_per_s\": %.1f}, ", key, unit,
           static_cast<unsigned long long>(r.count), unit, r.per_s);
}

bool run_placement(int cores, proa_ns span)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = 0; i < cores; i++)
        CPU_SET(i, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        fprintf(stderr, "peer_caf_local: this process may not use core %d\n", cores - 1);
        return false;
    }
    config settings{cores};
    caf::actor_system system{settings};
    uint64_t memory = run_memory(system); /* first: from a heap that is still small */
    struct rate trips = run_pair(system, ping, pong, span, 2);
    struct rate counted = run_pair(system, producer, counter, span, 1);
    struct rate spawned = run_spawn(system, span);
    bool ok = trips.ok && counted.ok && spawned.ok && memory > state_size;
    printf("{\"peer\": \"caf\", \"version\": \"%d.%d.%d\", \"transport\": \"local\", "
           "\"placement\": \"%s\", \"settings\": {\"scheduler.policy\": \"stealing\", "
           "\"scheduler.max-threads\": %d, \"counting_window\": %llu, "
           "\"alive_while_spawning\": %llu, \"idle_actors\": %u, \"state_bytes\": %u}, ",
           CAF_MAJOR_VERSION, CAF_MINOR_VERSION, CAF_PATCH_VERSION,
           cores == 1 ? "same core" : "two cores", cores,
           static_cast<unsigned long long>(window),
           static_cast<unsigned long long>(batch), idle_actors, state_size);
    print("ping_pong", "messages", trips);
    print("counting", "messages", counted);
    print("spawn", "actors", spawned);
    printf("\"memory_per_actor_bytes\": %llu, \"checked\": %s}\n",
           static_cast<unsigned long long>(memory), ok ? "true" : "false");
    fflush(stdout);
    return ok;
}

} // namespace

int main(int argc, char **argv)
{
    double seconds = 1;

    if (argc == 3 && strcmp(argv[1], "--seconds") == 0)
        seconds = strtod(argv[2], nullptr);
    if ((argc != 1 && argc != 3) || !(seconds > 0 && seconds <= 3600)) {
        fprintf(stderr, "usage: %s [--seconds N]\n", argv[0]);
        return 2;
    }
    proa_ns span = static_cast<proa_ns>(seconds * 1e9);
    bool ok = run_placement(2, span);
    return run_placement(1, span) && ok ? 0 : 1;
}
