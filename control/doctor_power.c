/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the lanes' cores run, and how fast they wake. */
#include <inttypes.h>
#include <stdio.h>

#include "doctor_internal.h"

#define IDLE_US 10 /* a deeper state takes longer to leave: C1 takes 1 or 2, C1E 10 */
#define STATES_MAX 16

/* ---- Frequency ---- */

static bool khz_of(const struct doctor *d, int core, const char *what, int64_t *ret)
{
    return doctor_number(d->system, ret, "/sys/devices/system/cpu/cpu%d/cpufreq/%s", core,
                         what) &&
           *ret > 0;
}

static void say_governor(struct doctor *d, const cpu_set_t *set, const char *governor)
{
    struct doctor_finding *f;
    char text[128], words[384];
    int64_t least = 0, most = 0;
    int core = 0;

    while (!CPU_ISSET((size_t)core, set))
        core++;
    doctor_cores_name(set, text, sizeof(text));
    doctor_cpus_text(set, true, words, sizeof(words));
    f = doctor_add(d, "governor", DOCTOR_WARNING, "%s", text);
    doctor_say(f->cause, "the cpufreq governor of %s is %s, not performance", text,
               governor);
    if (khz_of(d, core, "scaling_min_freq", &least) &&
        khz_of(d, core, "cpuinfo_max_freq", &most) && least < most)
        doctor_say(
            f->cost,
            "a lane that was idle may begin at %" PRId64 " of %" PRId64
            " MHz, %.1f times slower, until the governor notices, milliseconds later",
            least / 1000, most / 1000, (double)most / (double)least);
    else
        doctor_say(f->cost, "a lane that was idle begins at a low frequency until the "
                            "governor notices, milliseconds later");
    doctor_command(f,
                   "for c in %s; do echo performance "
                   ">/sys/devices/system/cpu/cpu$c/cpufreq/scaling_governor; done",
                   words);
}

static void check_governor(struct doctor *d)
{
    char governor[32], other[32] = "";
    cpu_set_t slow;
    bool known = false;

    CPU_ZERO(&slow);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET((size_t)core, &d->lanes) ||
            !doctor_word(d->system, governor, sizeof(governor),
                         "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", core))
            continue;
        known = true;
        if (strcmp(governor, "performance") == 0)
            continue;
        CPU_SET((size_t)core, &slow);
        strcpy(other, governor);
    }
    if (CPU_COUNT(&slow) > 0)
        say_governor(d, &slow, other);
    else if (known)
        doctor_ok(d, "governor", "", "performance");
    else
        doctor_ok(d, "governor", "", "%s",
                  d->guest ? "the hypervisor's matter" : "no frequency scaling here");
}

static void check_cap(struct doctor *d)
{
    for (int core = 0; core < CPU_SETSIZE; core++) {
        int64_t cap, most;

        if (!CPU_ISSET((size_t)core, &d->lanes) ||
            !khz_of(d, core, "scaling_max_freq", &cap) ||
            !khz_of(d, core, "cpuinfo_max_freq", &most) || cap >= most)
            continue;
        struct doctor_finding *f =
            doctor_add(d, "frequency-cap", DOCTOR_WARNING, "core %d", core);
        doctor_say(f->cause,
                   "core %d may run at %" PRId64 " MHz only, though it can %" PRId64,
                   core, cap / 1000, most / 1000);
        doctor_say(f->cost, "everything on it takes %.2f times as long",
                   (double)most / (double)cap);
        doctor_command(f,
                       "echo %" PRId64 " >/sys/devices/system/cpu/cpu%d/cpufreq/"
                       "scaling_max_freq",
                       most, core);
    }
}

/* ---- Idle states ---- */

struct deep {
    int core;        /* of the deepest */
    int64_t latency; /* its us to wake */
    char name[32];
    uint32_t states; /* bit: state of that number is deeper than IDLE_US somewhere */
    cpu_set_t cores; /* with such */
    bool known;
};

static void look_at_state(const struct doctor *d, int core, int state, struct deep *deep)
{
    int64_t latency, off;

    if (!doctor_number(d->system, &latency,
                       "/sys/devices/system/cpu/cpu%d/cpuidle/state%d/latency", core,
                       state))
        return;
    deep->known = true;
    if (latency <= IDLE_US ||
        (doctor_number(d->system, &off,
                       "/sys/devices/system/cpu/cpu%d/cpuidle/state%d/disable", core,
                       state) &&
         off != 0))
        return;
    CPU_SET((size_t)core, &deep->cores);
    deep->states |= 1u << state;
    if (latency <= deep->latency)
        return;
    deep->latency = latency;
    deep->core = core;
    if (!doctor_word(d->system, deep->name, sizeof(deep->name),
                     "/sys/devices/system/cpu/cpu%d/cpuidle/state%d/name", core, state))
        snprintf(deep->name, sizeof(deep->name), "state%d", state);
}

static void say_deep(struct doctor *d, const struct deep *deep)
{
    struct doctor_finding *f;
    char text[128], words[384], states[64] = "";

    doctor_cores_name(&deep->cores, text, sizeof(text));
    doctor_cpus_text(&deep->cores, true, words, sizeof(words));
    for (unsigned i = 0, n = 0; i < STATES_MAX; i++) {
        if ((deep->states >> i & 1) != 0)
            n += (unsigned)snprintf(states + n, sizeof(states) - n, "%s%u",
                                    n > 0 ? " " : "", i);
    }
    f = doctor_add(d, "idle-states", d->spins ? DOCTOR_NOTE : DOCTOR_WARNING, "%s", text);
    doctor_say(f->cause, "%s may sleep as deep as %s", text, deep->name);
    if (d->spins)
        doctor_say(f->cost, "nothing while `idle: spin` keeps the lanes awake");
    else
        doctor_say(f->cost,
                   "the first packet for a lane that sleeps comes %" PRId64
                   " us later, by the kernel's own table",
                   deep->latency);
    doctor_say(f->remedy, "turn the deep states off on these cores, which costs power");
    if (!d->spins)
        doctor_say(f->setting, "idle: spin");
    doctor_command(f,
                   "for c in %s; do for s in %s; do echo 1 "
                   ">/sys/devices/system/cpu/cpu$c/cpuidle/state$s/disable; done; done",
                   words, states);
}

static void check_idle(struct doctor *d)
{
    struct deep deep = {.latency = 0};

    for (int core = 0; core < CPU_SETSIZE; core++) {
        for (int state = 0; CPU_ISSET((size_t)core, &d->lanes) && state < STATES_MAX;
             state++)
            look_at_state(d, core, state, &deep);
    }
    if (deep.states != 0) {
        say_deep(d, &deep);
    } else if (deep.known || !d->guest) {
        doctor_ok(d, "idle-states", "", "%s",
                  deep.known ? "none that takes long to leave" : "the kernel has none");
    } else if (d->spins) {
        doctor_ok(d, "idle-states", "",
                  "the hypervisor's matter, and the lanes do not sleep");
    } else {
        struct doctor_finding *f = doctor_add(d, "idle-states", DOCTOR_NOTE, "%s", "");
        doctor_say(f->cause,
                   "this is a virtual machine: a lane that sleeps gives its core to "
                   "the hypervisor");
        doctor_say(f->cost,
                   "it wakes when the hypervisor gives it back: some 10 us, more on a "
                   "busy host");
        doctor_say(f->setting, "idle: spin");
    }
}

void doctor_check_power(struct doctor *d)
{
    if (CPU_COUNT(&d->lanes) == 0)
        return;
    check_governor(d);
    check_cap(d);
    check_idle(d);
}
