/* SPDX-License-Identifier: Apache-2.0 */
/* demo_load.h - the demo's load: one actor that sends, one that checks.

   The driver lives on B, the sink on A.  Each second the driver tells as fast as the link takes
   it for LOAD_TELL_PART of the second, asks the sink to account for what came (the ask arrives
   behind all tells), and spends the rest of the second asking one question at a time, on a link
   that carries nothing else: so the messages per second are those of full load and the round
   trips those of an idle one.

   Every tell has 32 bytes: its number, and three words that follow from it.  The sink checks all
   of them, and that the numbers of each sender follow on one another.

   Threads: behaviours; the report is read on the lane that made it.
   Units:   proa_ns, messages.  Errors: in the report.
   Bounds:  LOAD_SENDERS senders at one sink. */
#ifndef DEMO_LOAD_H
#define DEMO_LOAD_H

#include <proa/actor.h>

#define LOAD_TELL_LEN 32u
#define LOAD_TELL_PART (700 * PROA_MS) /* of each second */
#define LOAD_BURST 128u                /* tells between two looks at the clock */
#define LOAD_SENDERS 8u
#define LOAD_MAILBOX 65536u /* of the sink: several bursts of full packets */

enum {
    LOAD_TELL = 1, /* to the sink: a numbered message */
    LOAD_PING,     /* to the sink, ask: answered with its own payload */
    LOAD_ACCOUNT,  /* to the sink, ask: answered with struct load_account */
    LOAD_GO,       /* the driver to itself */
};

/* What the sink knows about one sender. */
struct load_account {
    uint64_t received;
    uint64_t missing;    /* numbers left out */
    uint64_t disordered; /* numbers that came late or twice */
    uint64_t damaged;    /* payloads that do not follow from their number */
};

/* What the driver reports after each second, and once more at the end over all seconds. */
struct load_report {
    uint32_t second;   /* 1 and on */
    bool last;         /* the figures below are of all seconds */
    uint64_t messages; /* tells that the sink has checked */
    proa_ns span;      /* that took so long, from the first tell to the account */
    uint64_t rtts;
    proa_ns rtt_p50, rtt_p99, rtt_p999;
    uint64_t
        undelivered; /* tells refused by the sink's mailbox, and said so; of all seconds */
    struct proa_ref to;  /* load_arg.report_to */
    const char *failure; /* NULL, or why the load ended: a message lost, twice, ... */
};

/* The driver's argument, borrowed by proa_spawn. */
struct load_arg {
    struct proa_ref sink;
    uint32_t seconds;
    /* Called on the driver's lane, in its handlers. */
    void (*report)(struct proa_actor *self, const struct load_report *report);
    struct proa_ref report_to; /* for report: copied into each struct load_report */
};

extern const struct proa_behaviour load_sink;
extern const struct proa_behaviour load_driver;

#endif
