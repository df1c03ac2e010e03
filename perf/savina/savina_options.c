/* SPDX-License-Identifier: Apache-2.0 */
#include "savina_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT 60u
#define TIMEOUT_MAX 3600u /* seconds.  Source: PROA_DEADLINE_MAX */

static const struct savina_bench *const benches[] = {
    &savina_ping_pong,        &savina_counting,
    &savina_thread_ring,      &savina_fork_join_throughput,
    &savina_fork_join_create, &savina_big,
    &savina_chameneos,
};
#define BENCHES (sizeof(benches) / sizeof(benches[0]))

static void print_help(void)
{
    printf(
        "usage: proa-savina BENCHMARK [OPTION...]\n\n"
        "Actor benchmarks after the Savina suite, on one node of this process.  Prints\n"
        "one JSON object; status 0: every result was right, 1: not, 2: bad options.\n\n"
        "  --lanes N      1 or 2 (default 1)\n"
        "  --actors N     see below\n"
        "  --count N      see below\n"
        "  --idle POLICY  adaptive (default) or spin\n"
        "  --timeout S    seconds until it is given up (default %u)\n\n"
        "%-22s %-26s %s\n",
        TIMEOUT_DEFAULT, "benchmark", "--actors (default)",
        "--count (default on 1 lane, 2 lanes)");
    for (size_t i = 0; i < BENCHES; i++) {
        const struct savina_bench *b = benches[i];
        char actors[64] = "-";

        if (b->actors != NULL)
            snprintf(actors, sizeof(actors), "%s (%u)", b->actors, b->actors_default);
        printf("%-22s %-26s %s (%u, %u)\n", b->name, actors, b->count,
               b->count_default[0], b->count_default[1]);
    }
}

static int refuse(const char *what, const char *value, const char *wanted)
{
    fprintf(stderr, "proa-savina: %s '%s': %s\n", what, value, wanted);
    return 2;
}

static bool number(const char *text, uint32_t least, uint32_t most, uint32_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least ||
        value > most)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static const struct savina_bench *find(const char *name)
{
    for (size_t i = 0; i < BENCHES; i++) {
        if (strcmp(benches[i]->name, name) == 0)
            return benches[i];
    }
    return NULL;
}

static int read_one(struct savina_options *o, int option, const char *value)
{
    switch (option) {
    case 'l':
        if (!number(value, 1, SAVINA_LANES_MAX, &o->lanes))
            return refuse("--lanes", value, "1 or 2");
        return -1;
    case 'a':
        if (o->bench->actors == NULL)
            return refuse("--actors", value, "this benchmark has a fixed number");
        if (!number(value, o->bench->actors_min, SAVINA_ACTORS_MAX, &o->actors))
            return refuse("--actors", value, "too few, or more than 2048");
        return -1;
    case 'c':
        if (!number(value, 1, SAVINA_COUNT_MAX, &o->count))
            return refuse("--count", value, "1 to 1000000000");
        return -1;
    case 't':
        if (!number(value, 1, TIMEOUT_MAX, &o->timeout))
            return refuse("--timeout", value, "1 to 3600 seconds");
        return -1;
    case 'i':
        if (strcmp(value, "spin") != 0 && strcmp(value, "adaptive") != 0)
            return refuse("--idle", value, "adaptive or spin");
        o->idle = value[0] == 's' ? PROA_IDLE_SPIN : PROA_IDLE_ADAPTIVE;
        return -1;
    case 'h':
        print_help();
        return 0;
    default:
        return 2; /* getopt has said why */
    }
}

int savina_options_read(struct savina_options *o, int argc, char **argv)
{
    static const struct option known[] = {{"lanes", required_argument, NULL, 'l'},
                                          {"actors", required_argument, NULL, 'a'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"idle", required_argument, NULL, 'i'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option, status = -1;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? 2 : 0;
    }
    *o = (struct savina_options){.bench = find(argv[1]),
                                 .lanes = 1,
                                 .timeout = TIMEOUT_DEFAULT,
                                 .idle = PROA_IDLE_ADAPTIVE};
    if (o->bench == NULL)
        return refuse("benchmark", argv[1], "not known; see proa-savina --help");
    o->actors = o->bench->actors_default;
    while (status < 0 &&
           (option = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1)
        status = read_one(o, option, optarg);
    if (status < 0 && optind < argc - 1)
        return refuse("argument", argv[1 + optind], "not an option");
    if (o->count == 0)
        o->count = o->bench->count_default[o->lanes - 1];
    return status;
}
