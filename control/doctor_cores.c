/* SPDX-License-Identifier: Apache-2.0 */
/* The lanes' cores: which they are, and whether anything else runs there. */
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define CLAIM                                                                            \
    "@proa-core-" /* cores.c: a running node's name for a core it has a lane on */

/* ---- Sets ---- */

static void remove_cores(cpu_set_t *from, const cpu_set_t *what)
{
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, what))
            CPU_CLR(core, from);
    }
}

static void read_isolated(const struct doctor *d, cpu_set_t *ret)
{
    cpu_set_t more;

    if (!doctor_cpus(d->system, ret, "/sys/devices/system/cpu/isolated"))
        CPU_ZERO(ret);
    /* By a cpuset of the kind "isolated". */
    if (doctor_cpus(d->system, &more, "/sys/fs/cgroup/cpuset.cpus.isolated"))
        CPU_OR(ret, ret, &more);
}

/* ---- Which ---- */

static bool take_claim(void *ctx, char *line)
{
    cpu_set_t *claimed = ctx;
    const char *at = strstr(line, CLAIM);
    char *end;

    if (at == NULL || at[strlen(CLAIM)] < '0' || at[strlen(CLAIM)] > '9')
        return true;
    unsigned long core = strtoul(at + strlen(CLAIM), &end, 10);
    if (*end == '\0' && core < CPU_SETSIZE)
        CPU_SET(core, claimed);
    return true;
}

/* As cores_choose: the highest that no lane has, of any node; else one to share. */
static int choose(const struct doctor *d)
{
    int shared = -1;

    for (int core = CPU_SETSIZE - 1; core >= 0; core--) {
        size_t at = (size_t)core;
        if (!CPU_ISSET(at, &d->system->allowed))
            continue;
        if (!CPU_ISSET(at, &d->lanes) && !CPU_ISSET(at, &d->claimed))
            return core;
        if (shared < 0 ||
            (CPU_ISSET((size_t)shared, &d->lanes) && !CPU_ISSET(at, &d->lanes)))
            shared = core;
    }
    return shared;
}

static void not_allowed(struct doctor *d, unsigned lane, int core)
{
    struct doctor_finding *f = doctor_add(d, "lane-core", DOCTOR_ERROR, "lane %u", lane);
    cpu_set_t wider = d->system->allowed;
    char text[128];

    doctor_cpus_text(&d->system->allowed, false, text, sizeof(text));
    doctor_say(f->cause,
               "core %d is not among those this process may run on (%s): it is isolated, "
               "offline, or kept from it",
               core, text);
    doctor_say(f->cost, "the node does not start when it is started from here");
    CPU_SET((size_t)core, &wider);
    doctor_cpus_text(&wider, false, text, sizeof(text));
    doctor_say(
        f->remedy,
        "start it by taskset -c %s proa node ..., or CPUAffinity=%s in a systemd unit",
        text, text);
}

static void say_shared(struct doctor *d, unsigned lane, int core, bool ours)
{
    struct doctor_finding *f =
        doctor_add(d, "lane-core", ours ? DOCTOR_WARNING : DOCTOR_NOTE, "lane %u", lane);

    if (ours) {
        doctor_say(f->cause, "there is no core left for it: it shares core %d", core);
        doctor_say(f->cost, "two lanes on a core wait for each other's time slices, "
                            "milliseconds each");
        doctor_say(f->remedy, "fewer lanes, more cores, or end the other node");
    } else {
        doctor_say(f->cause, "a lane of a running proa node is on core %d already", core);
        doctor_say(f->cost,
                   "nothing when it is this configuration's own node; else the two "
                   "lanes wait for each other's time slices, milliseconds each");
        doctor_say(f->remedy, "another core in `cores`, if it is another node");
    }
}

/* In the order of the lanes, as cores_choose. */
static void place_lane(struct doctor *d, unsigned lane)
{
    int core = d->config->cores[lane];
    bool ours;

    if (core < 0) {
        core = choose(d);
    } else if (core >= CPU_SETSIZE || !CPU_ISSET((size_t)core, &d->system->allowed)) {
        not_allowed(d, lane, core);
        return;
    }
    if (core < 0)
        return;
    ours = d->config->cores[lane] < 0 &&
           (CPU_ISSET((size_t)core, &d->lanes) || CPU_ISSET((size_t)core, &d->claimed));
    if (ours || CPU_ISSET((size_t)core, &d->claimed))
        say_shared(d, lane, core, ours);
    d->report->core[lane] = core;
    CPU_SET((size_t)core, &d->lanes);
}

static bool siblings_of(const struct doctor *d, int core, cpu_set_t *ret)
{
    return doctor_cpus(d->system, ret,
                       "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                       core);
}

/* Other threads of the lanes' processor cores that may go offline: no lane's of any node, ours to
   use, not core 0, which cannot, and not the last that nobody has a lane on. */
static void choose_offline(struct doctor *d)
{
    cpu_set_t isolated, siblings, left = d->spare;

    read_isolated(d, &isolated);
    remove_cores(&left, &d->claimed);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET((size_t)core, &d->lanes) || !siblings_of(d, core, &siblings))
            continue;
        CPU_AND(&siblings, &siblings, &left);
        remove_cores(&siblings, &isolated);
        for (size_t other = 1; other < CPU_SETSIZE; other++) {
            if (!CPU_ISSET(other, &siblings) || CPU_COUNT(&left) < 2)
                continue;
            CPU_CLR(other, &left);
            CPU_SET(other, &d->offline);
        }
    }
    remove_cores(&d->spare, &d->offline);
}

void doctor_place(struct doctor *d)
{
    struct doctor_report *report = d->report;

    report->lanes = d->config->lanes != 0 ? d->config->lanes : 1;
    if (report->lanes > PROA_LANES_MAX)
        report->lanes = PROA_LANES_MAX;
    CPU_ZERO(&d->claimed);
    (void)doctor_lines(d->system, take_claim, &d->claimed, "/proc/net/unix");
    for (unsigned i = 0; i < report->lanes; i++)
        report->core[i] = report->node[i] = -1;
    for (unsigned i = 0; i < report->lanes; i++)
        place_lane(d, i);
    for (unsigned i = 0; i < report->lanes; i++) {
        if (report->core[i] >= 0)
            report->node[i] = doctor_node_of(d, report->core[i]);
    }
    d->spare = d->system->allowed;
    remove_cores(&d->spare, &d->lanes);
    choose_offline(d);
    doctor_cpus_text(&d->lanes, false, d->lanes_text, sizeof(d->lanes_text));
    doctor_cores_name(&d->lanes, d->lanes_name, sizeof(d->lanes_name));
    doctor_cores_name(&d->spare, d->spare_name, sizeof(d->spare_name));
    doctor_cpus_text(&d->spare, false, d->spare_text, sizeof(d->spare_text));
}

/* ---- Alone ---- */

static void check_spare(struct doctor *d)
{
    if (CPU_COUNT(&d->spare) > 0) {
        doctor_ok(d, "control-core", "", "the control thread and the kernel have %s",
                  d->spare_name);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "control-core", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause, "the lanes have every core this process may use (%s)",
               d->lanes_text);
    doctor_say(f->cost,
               "the control thread and everything else run on the lanes' cores, a "
               "time slice of some milliseconds at a time");
    doctor_say(f->remedy, "leave a core without a lane");
    if (d->report->lanes > 1)
        doctor_say(f->setting, "lanes: %u", d->report->lanes - 1);
}

/* The lanes' cores that are not in set, as text. */
static bool missing_from(const struct doctor *d, const cpu_set_t *set, char *buf,
                         size_t len)
{
    cpu_set_t missing = d->lanes;

    remove_cores(&missing, set);
    doctor_cores_name(&missing, buf, len);
    return CPU_COUNT(&missing) > 0;
}

static void read_tickless(const struct doctor *d, cpu_set_t *ret)
{
    if (!doctor_cpus(d->system, ret, "/sys/devices/system/cpu/nohz_full"))
        CPU_ZERO(ret); /* "(null)" too */
}

/* The lanes' cores and all that either parameter names already: kernels before 5.18 want the same
   cores in both. */
static void suggest_cores(struct doctor *d, struct doctor_finding *f, const char *name,
                          const char *flags)
{
    char param[256], text[200];
    cpu_set_t all, more;

    if (CPU_COUNT(&d->spare) == 0) {
        doctor_say(f->remedy,
                   "more cores, or fewer lanes: the kernel needs one of its own");
        return;
    }
    read_isolated(d, &more);
    CPU_OR(&all, &d->lanes, &more);
    read_tickless(d, &more);
    CPU_OR(&all, &all, &more);
    doctor_cpus_text(&all, false, text, sizeof(text));
    snprintf(param, sizeof(param), "%s=%s%s", name, flags, text);
    doctor_kernel_param(d, f, name, param);
}

/* There are isolated cores enough, only the lanes are elsewhere. */
static bool suggest_isolated(const struct doctor *d, struct doctor_finding *f,
                             const cpu_set_t *isolated)
{
    char cores[300], all[160];
    unsigned found = 0;
    size_t used = 0;
    cpu_set_t set;

    for (int core = CPU_SETSIZE - 1; core >= 0 && found < d->report->lanes; core--) {
        if (!CPU_ISSET((size_t)core, isolated) || CPU_ISSET((size_t)core, &d->claimed) ||
            used + 8 > sizeof(cores))
            continue;
        used += (size_t)snprintf(cores + used, sizeof(cores) - used, "%s%d",
                                 found > 0 ? ", " : "", core);
        found++;
    }
    if (found < d->report->lanes)
        return false;
    CPU_OR(&set, isolated, &d->system->allowed);
    doctor_cpus_text(&set, false, all, sizeof(all));
    doctor_say(f->setting, "cores: [%s]", cores);
    doctor_say(f->remedy,
               "there are isolated cores; start the node by taskset -c %s proa node "
               "...",
               all);
    return true;
}

/* The second flag moves the interrupts of devices that have one for each core away. */
static void suggest_isolation(struct doctor *d, struct doctor_finding *f)
{
    char all[160];
    cpu_set_t set;
    size_t used;

    suggest_cores(d, f, "isolcpus", "domain,managed_irq,");
    if (CPU_COUNT(&d->spare) == 0)
        return;
    CPU_OR(&set, &d->lanes, &d->system->allowed);
    doctor_cpus_text(&set, false, all, sizeof(all));
    used = strlen(f->remedy);
    snprintf(
        f->remedy + used, sizeof(f->remedy) - used,
        "; then name the lanes' cores in `cores` and start the node by taskset -c %s "
        "proa node ...",
        all);
}

static void check_isolated(struct doctor *d)
{
    cpu_set_t isolated;
    char text[128];

    read_isolated(d, &isolated);
    if (!missing_from(d, &isolated, text, sizeof(text))) {
        doctor_ok(d, "isolated-cores", "", "the scheduler puts nothing on %s",
                  d->lanes_name);
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "isolated-cores", DOCTOR_WARNING, "%s", text);
    doctor_say(f->cause, "the scheduler may put other work on %s (isolcpus)", text);
    doctor_say(f->cost, "a lane that was put aside stands still for a time slice, some "
                        "milliseconds, and finds its caches cold");
    if (!suggest_isolated(d, f, &isolated))
        suggest_isolation(d, f);
}

static void check_tick(struct doctor *d)
{
    cpu_set_t free_of_it;
    char text[128];

    read_tickless(d, &free_of_it);
    if (!missing_from(d, &free_of_it, text, sizeof(text))) {
        doctor_ok(d, "tick", "", "no timer tick while a lane is alone on its core");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "tick", DOCTOR_WARNING, "%s", text);
    doctor_say(f->cause, "the kernel's timer tick interrupts %s (nohz_full)", text);
    doctor_say(f->cost,
               "100 to 1,000 interrupts a second (CONFIG_HZ) of 1 to 10 us each: little "
               "throughput, but each is in some message's latency");
    suggest_cores(d, f, "nohz_full", "");
}

static void check_first(struct doctor *d)
{
    if (!CPU_ISSET(0, &d->lanes) || CPU_COUNT(&d->spare) == 0)
        return;
    struct doctor_finding *f = doctor_add(d, "first-core", DOCTOR_NOTE, "core 0");
    doctor_say(f->cause,
               "a lane is on core 0, which cannot be freed of the kernel's timers "
               "and of interrupts that have no other place");
    doctor_say(f->cost, "more interrupts of some microseconds than on any other core");
    doctor_say(f->remedy, "other cores in `cores`; free: %s", d->spare_text);
}

/* ---- Siblings ---- */

static void say_sibling(struct doctor *d, int core, int sibling)
{
    bool lane = CPU_ISSET((size_t)sibling, &d->lanes);
    struct doctor_finding *f =
        doctor_add(d, "smt-sibling", DOCTOR_WARNING, "core %d", core);

    doctor_say(f->cause, "cores %d and %d are two threads of one processor core%s", core,
               sibling, lane ? ", and both have a lane" : "");
    doctor_say(
        f->cost,
        "they share its units and its first caches: %s, each typically has half to "
        "two thirds of its throughput, and sleeping or waking either delays the other",
        lane ? "while both are busy" : "while the other is busy");
    if (!CPU_ISSET((size_t)sibling, &d->offline)) {
        doctor_say(f->remedy,
                   lane ? "cores of different processor cores in `cores`; see lscpu -e"
                        : "another core in `cores`, whose sibling can be spared; see "
                          "lscpu -e");
        return;
    }
    doctor_say(f->remedy, "take the sibling offline; it comes back by echo 1");
    doctor_command(f, "echo 0 >/sys/devices/system/cpu/cpu%d/online", sibling);
}

static void check_siblings(struct doctor *d)
{
    unsigned found = 0;
    bool known = false;
    cpu_set_t isolated, siblings;

    read_isolated(d, &isolated);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET((size_t)core, &d->lanes) || !siblings_of(d, core, &siblings))
            continue;
        known = true;
        for (int other = 0; other < CPU_SETSIZE; other++) {
            bool lane = CPU_ISSET((size_t)other, &d->lanes);
            if (other == core || !CPU_ISSET((size_t)other, &siblings) ||
                (lane && other < core) || (!lane && CPU_ISSET((size_t)other, &isolated)))
                continue;
            say_sibling(d, core, other);
            found++;
        }
    }
    if (known && found == 0)
        doctor_ok(d, "smt-sibling", "", "no lane shares its processor core");
}

void doctor_check_cores(struct doctor *d)
{
    if (CPU_COUNT(&d->lanes) == 0)
        return;
    check_spare(d);
    check_isolated(d);
    check_tick(d);
    check_first(d);
    check_siblings(d);
}
