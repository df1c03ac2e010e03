/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/outcomes.h>

struct meaning {
    const char *name;
    enum proa_ran ran;
};

static const struct meaning meanings[PROA_OUTCOME_COUNT] = {
    /* OK of an ask comes with the reply: it ran.  A tell that was OK has no more to say. */
    [PROA_OK] = {"ok", PROA_RAN_YES},

    [PROA_AGAIN] = {"try again", PROA_RAN_NO},
    [PROA_FULL] = {"mailbox full", PROA_RAN_NO},
    [PROA_NO_SUCH_ACTOR] = {"no such actor", PROA_RAN_NO},
    [PROA_NO_ROUTE] = {"no route", PROA_RAN_NO},
    [PROA_TOO_LARGE] = {"too large", PROA_RAN_NO},
    [PROA_STOPPED] = {"stopped", PROA_RAN_NO},
    [PROA_INVALID] = {"invalid argument", PROA_RAN_NO},
    [PROA_NOT_AN_ASK] = {"not an ask", PROA_RAN_NO},
    [PROA_LIMIT] = {"limit reached", PROA_RAN_NO},

    [PROA_NOT_SENT] = {"not sent", PROA_RAN_NO},
    [PROA_REFUSED_FULL] = {"refused: mailbox full", PROA_RAN_NO},
    [PROA_REFUSED_NO_ACTOR] = {"refused: no such actor", PROA_RAN_NO},
    [PROA_REFUSED_UNKNOWN_TYPE] = {"refused: unknown type", PROA_RAN_NO},
    [PROA_REFUSED_BAD_LENGTH] = {"refused: bad length", PROA_RAN_NO},
    [PROA_REFUSED_EXPIRED] = {"refused: expired", PROA_RAN_NO},
    [PROA_REFUSED_STOPPED] = {"refused: stopped", PROA_RAN_NO},
    [PROA_REFUSED_DROPPED] = {"refused: dropped", PROA_RAN_NO},
    [PROA_REFUSED_BUSY] = {"refused: lane busy", PROA_RAN_NO},
    [PROA_REFUSED_HOPS] = {"refused: too many hops", PROA_RAN_NO},
    [PROA_REFUSED_NOT_ALLOWED] = {"refused: not allowed there", PROA_RAN_NO},

    [PROA_NO_REPLY] = {"no reply", PROA_RAN_YES},
    [PROA_MAYBE_EXECUTED] = {"maybe executed", PROA_RAN_MAYBE},

    [PROA_NOT_FOUND] = {"not found", PROA_RAN_NO},
    [PROA_UNKNOWN] = {"unknown", PROA_RAN_NO},
    [PROA_WRONG_TYPE] = {"wrong type", PROA_RAN_NO},
    [PROA_ALREADY_REGISTERED] = {"already registered", PROA_RAN_NO},
    [PROA_NO_QUORUM] = {"no quorum", PROA_RAN_NO},
    [PROA_NOT_JOINED] = {"not joined", PROA_RAN_NO},

    [PROA_ALREADY_RUNNING] = {"already running", PROA_RAN_NO},
    [PROA_BAD_CONFIG] = {"bad configuration", PROA_RAN_NO},
    [PROA_NO_PORT] = {"no port", PROA_RAN_NO},
    [PROA_NO_MEMORY] = {"no memory", PROA_RAN_NO},
    /* A wait that ended says nothing about the work, which may run yet. */
    [PROA_TIMEOUT] = {"timeout", PROA_RAN_MAYBE},

    [PROA_IN_DOUBT] = {"in doubt", PROA_RAN_MAYBE},
};

const char *proa_outcome_name(enum proa_outcome outcome)
{
    if ((unsigned int)outcome >= PROA_OUTCOME_COUNT)
        return "?";
    return meanings[outcome].name;
}

enum proa_ran proa_outcome_ran(enum proa_outcome outcome)
{
    if ((unsigned int)outcome >= PROA_OUTCOME_COUNT)
        return PROA_RAN_MAYBE;
    return meanings[outcome].ran;
}
