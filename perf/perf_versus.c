/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_versus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct round {
    struct perf_result base, changed;
    double throughput, p50, p99, p999; /* ratios */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(values[0]), by_value);
    return count % 2 != 0 ? values[count / 2]
                          : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The median of the doubles that lie at `offset` of each round. */
static double median_of(const struct round *rounds, uint32_t count, size_t offset)
{
    double values[PERF_ROUNDS_MAX];

    for (uint32_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&rounds[i] + offset, sizeof(values[i]));
    return median(values, count);
}

static double ratio(proa_ns a, proa_ns b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

/* What a run is ranked by: the latency of asks one by one, else the rate. */
static double figure(const struct perf_options *o, const struct perf_result *result)
{
    bool latency = perf_mode_answers(o->mode) && (o->window == 1 || o->rate != 0);

    return latency ? (double)result->sent[0].trips.p50 : perf_result_rate(o, result);
}

/* The run whose figure is the (lower) median. */
static const struct perf_result *middle(const struct perf_options *o,
                                        const struct round *rounds, uint32_t count,
                                        bool base)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct perf_result *mine = base ? &rounds[i].base : &rounds[i].changed;
        uint32_t below = 0, equal = 0;

        for (uint32_t j = 0; j < count; j++) {
            const struct perf_result *other = base ? &rounds[j].base : &rounds[j].changed;

            below += figure(o, other) < figure(o, mine);
            equal += figure(o, other) == figure(o, mine);
        }
        if (below <= (count - 1) / 2 && below + equal > (count - 1) / 2)
            return mine;
    }
    return base ? &rounds[0].base : &rounds[0].changed; /* figures that are no numbers */
}

static bool run_one(const struct perf_options *o, const char *dir, const char *name,
                    uint32_t number, perf_measure measure, struct perf_result *result)
{
    char own[PROA_TEXT_MAX];

    snprintf(own, sizeof(own), "%s/%s%u", dir, name, number);
    if (mkdir(own, 0700) != 0) {
        snprintf(result->error, sizeof(result->error), "%s: cannot be made", own);
        result->ok = false;
        return false;
    }
    return measure(o, own, result);
}

static bool run_round(const struct perf_command *command, const char *dir,
                      uint32_t number, perf_measure measure, struct round *round)
{
    const struct perf_options *o = &command->options, *b = &command->base;
    const struct perf_trips *changed = &round->changed.sent[0].trips;
    const struct perf_trips *base = &round->base.sent[0].trips;
    double rate;

    if (!run_one(b, dir, "b", number, measure, &round->base)) {
        round->changed = round->base; /* for its error */
        return false;
    }
    if (!run_one(o, dir, "c", number, measure, &round->changed))
        return false;
    rate = perf_result_rate(b, &round->base);
    round->throughput = rate == 0 ? 0 : perf_result_rate(o, &round->changed) / rate;
    round->p50 = ratio(changed->p50, base->p50);
    round->p99 = ratio(changed->p99, base->p99);
    round->p999 = ratio(changed->p999, base->p999);
    return true;
}

static void sum_up(const struct perf_command *command, const struct round *rounds,
                   struct perf_versus *ret, struct perf_result *ret_changed)
{
    uint32_t n = command->rounds;

    ret->throughput = median_of(rounds, n, offsetof(struct round, throughput));
    ret->p50 = median_of(rounds, n, offsetof(struct round, p50));
    ret->p99 = median_of(rounds, n, offsetof(struct round, p99));
    ret->p999 = median_of(rounds, n, offsetof(struct round, p999));
    *ret->base = *middle(&command->base, rounds, n, true);
    *ret_changed = *middle(&command->options, rounds, n, false);
}

bool perf_versus_run(const struct perf_command *command, const char *dir,
                     perf_measure measure, struct perf_versus *ret,
                     struct perf_result *ret_changed)
{
    struct round *rounds = calloc(command->rounds, sizeof(*rounds));
    bool ok = rounds != NULL;

    *ret = (struct perf_versus){.rounds = command->rounds,
                                .base_options = &command->base,
                                .base = malloc(sizeof(*ret->base)),
                                .checked = true};
    memset(ret_changed, 0, sizeof(*ret_changed));
    if (rounds == NULL || ret->base == NULL) {
        snprintf(ret_changed->error, sizeof(ret_changed->error), "no memory");
        ok = false;
    }
    for (uint32_t i = 0; i < command->rounds && ok; i++) {
        ok = run_round(command, dir, i, measure, &rounds[i]);
        if (!ok)
            *ret_changed = rounds[i].changed;
        ret->checked = ret->checked && ok && perf_result_checked(&rounds[i].base) &&
                       perf_result_checked(&rounds[i].changed);
    }
    if (ok)
        sum_up(command, rounds, ret, ret_changed);
    free(rounds);
    return ok;
}

void perf_versus_fini(struct perf_versus *versus)
{
    free(versus->base);
    versus->base = NULL;
}
