/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts that come to the lanes' cores. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define RARE 100u /* fewer since the start of the machine: not worth a word */
#define SHOWN 6u  /* names in a sentence */
#define KEPT 32u  /* for a command; more: all that there are, are moved */
#define IRQ_MAX 65535
#define BALANCER_FILE "/etc/default/irqbalance" /* Debian's */
#define BANNED "IRQBALANCE_BANNED_CPULIST="

struct irq {
    unsigned number;
    char name[24]; /* "": its device's own */
};

/* Interrupts that a finding is about. */
struct irqs {
    struct doctor *d;
    int column[CPU_SETSIZE]; /* core of each column of /proc/interrupts */
    unsigned columns;
    unsigned found; /* the first KEPT are in all */
    uint64_t total; /* how often they came to lanes' cores */
    struct irq all[KEPT];
};

/* ---- Where one goes ---- */

static bool comes_to_lanes(const struct doctor *d, unsigned irq)
{
    cpu_set_t set;

    if (!doctor_cpus(d->system, &set, "/proc/irq/%u/effective_affinity_list", irq) ||
        CPU_COUNT(&set) == 0) {
        if (!doctor_cpus(d->system, &set, "/proc/irq/%u/smp_affinity_list", irq))
            return false;
    }
    CPU_AND(&set, &set, &d->lanes);
    return CPU_COUNT(&set) > 0;
}

static void note_irq(struct irqs *irqs, unsigned number, const char *name)
{
    if (irqs->found < KEPT) {
        struct irq *irq = &irqs->all[irqs->found];

        irq->number = number;
        snprintf(irq->name, sizeof(irq->name), "%.23s", name);
    }
    irqs->found++;
}

static int by_number(const void *a, const void *b)
{
    unsigned x = ((const struct irq *)a)->number, y = ((const struct irq *)b)->number;

    return (x > y) - (x < y);
}

/* How to move them: to the cores without lanes.  They are sorted. */
static void say_move(const struct irqs *irqs, struct doctor_finding *f)
{
    const struct doctor *d = irqs->d;
    char numbers[KEPT * 6 + 1] = "";
    size_t used = 0;

    if (CPU_COUNT(&d->spare) == 0) {
        doctor_say(f->remedy, "leave a core without a lane, and move them there");
        return;
    }
    doctor_say(f->remedy,
               "move them to %s; one that refuses is the kernel's to place "
               "(isolcpus=managed_irq,...)",
               d->spare_name);
    for (unsigned i = 0; i < irqs->found && irqs->found <= KEPT; i++)
        used += (size_t)snprintf(numbers + used, sizeof(numbers) - used, " %u",
                                 irqs->all[i].number);
    if (irqs->found <= KEPT)
        doctor_command(f, "for i in%s; do echo %s >/proc/irq/$i/smp_affinity_list; done",
                       numbers, d->spare_text);
    else
        doctor_command(
            f, "for i in /proc/irq/[0-9]*; do echo %s >$i/smp_affinity_list; done",
            d->spare_text);
}

/* Sorts them and names the first. */
static void say_names(struct irqs *irqs, char cause[DOCTOR_TEXT_MAX])
{
    unsigned kept = irqs->found < KEPT ? irqs->found : KEPT;
    unsigned shown = kept < SHOWN ? kept : SHOWN;
    char names[SHOWN * 48] = "", rest[32] = "";
    size_t used = 0;

    qsort(irqs->all, kept, sizeof(irqs->all[0]), by_number);
    for (unsigned i = 0; i < shown; i++) {
        const struct irq *irq = &irqs->all[i];
        const char *name = irq->name;

        used += (size_t)snprintf(
            names + used, sizeof(names) - used, "%s%u%s%s%s", i > 0 ? ", " : "",
            irq->number, name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
    }
    if (irqs->found > shown)
        snprintf(rest, sizeof(rest), " and %u more", irqs->found - shown);
    doctor_say(cause, "interrupt%s %s%s come%s to the lanes' %s",
               irqs->found == 1 ? "" : "s", names, rest, irqs->found == 1 ? "s" : "",
               irqs->d->lanes_name);
}

/* ---- All ---- */

static bool take_header(void *ctx, char *line)
{
    struct irqs *irqs = ctx;
    char *at = line;

    while ((at = strstr(at, "CPU")) != NULL && irqs->columns < CPU_SETSIZE) {
        unsigned long core = strtoul(at + 3, &at, 10);
        irqs->column[irqs->columns++] = core < CPU_SETSIZE ? (int)core : 0;
    }
    return false;
}

/* " 36:   0   507163  PCI-MSIX-0000:00:02.0   1-edge   virtio1-req.0" */
static bool take_irq(void *ctx, char *line)
{
    struct irqs *irqs = ctx;
    char *at, *name;
    unsigned long irq = strtoul(line, &at, 10);
    uint64_t count = 0;

    if (at == line || *at != ':' || irq > IRQ_MAX)
        return true; /* the header, or NMI and the like, which nobody can move */
    at++;
    for (unsigned i = 0; i < irqs->columns; i++) {
        char *end;
        uint64_t n = strtoull(at, &end, 10);
        if (end == at)
            break;
        at = end;
        if (CPU_ISSET((size_t)irqs->column[i], &irqs->d->lanes))
            count += n;
    }
    if (count < RARE || !comes_to_lanes(irqs->d, (unsigned)irq))
        return true;
    name = strrchr(at, ' ');
    note_irq(irqs, (unsigned)irq, name != NULL ? name + 1 : "?");
    irqs->total += count;
    return true;
}

static void check_all(struct doctor *d)
{
    struct irqs irqs = {.d = d};

    if (!doctor_lines(d->system, take_header, &irqs, "/proc/interrupts"))
        return;
    (void)doctor_lines(d->system, take_irq, &irqs, "/proc/interrupts");
    if (irqs.found == 0) {
        doctor_ok(d, "interrupts", "", "none to speak of comes to %s", d->lanes_name);
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "interrupts", DOCTOR_WARNING, "%s", d->lanes_name);
    say_names(&irqs, f->cause);
    doctor_say(
        f->cost,
        "each stops a lane for 1 to 10 us, and its work may go on behind it; %" PRIu64
        " came since the machine was started",
        irqs.total);
    say_move(&irqs, f);
}

/* ---- A port's ---- */

static bool take_msi(void *ctx, const char *name)
{
    struct irqs *irqs = ctx;
    char *end;
    unsigned long irq = strtoul(name, &end, 10);

    if (end != name && *end == '\0' && irq <= IRQ_MAX &&
        comes_to_lanes(irqs->d, (unsigned)irq))
        note_irq(irqs, (unsigned)irq, "");
    return true;
}

void doctor_port_irqs(struct doctor *d, const char *subject, const char *path)
{
    struct irqs irqs = {.d = d};
    int64_t budget = 2000;

    if (CPU_COUNT(&d->lanes) == 0)
        return;
    /* A virtio device's interrupts are those of the PCI device around it. */
    if (!doctor_entries(d->system, take_msi, &irqs, "%s/msi_irqs", path) &&
        !doctor_entries(d->system, take_msi, &irqs, "%s/../msi_irqs", path))
        return;
    if (irqs.found == 0) {
        doctor_ok(d, "port-interrupts", subject, "they come to no lane's core");
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "port-interrupts", DOCTOR_WARNING, "%s", subject);
    say_names(&irqs, f->cause);
    (void)doctor_number(d->system, &budget, "/proc/sys/net/core/netdev_budget_usecs");
    doctor_say(f->cost,
               "the kernel receives packets there before the lane goes on, up to %" PRId64
               " us at a time (net.core.netdev_budget_usecs)",
               budget);
    say_move(&irqs, f);
}

/* ---- Who moves them ---- */

struct balancer {
    const struct doctor_system *system;
    bool runs;
};

static bool look_for_balancer(void *ctx, const char *name)
{
    struct balancer *b = ctx;
    char comm[32];

    if (name[0] >= '0' && name[0] <= '9' && strspn(name, "0123456789") == strlen(name) &&
        doctor_word(b->system, comm, sizeof(comm), "/proc/%s/comm", name))
        b->runs = strcmp(comm, "irqbalance") == 0;
    return !b->runs;
}

/* What its file says: the last line of a kind counts, as for systemd. */
struct banned {
    bool listed, masked; /* by BANNED_CPULIST; by BANNED_CPUS, or a list we cannot read */
    cpu_set_t set;
};

static bool take_banned(void *ctx, char *line)
{
    struct banned *banned = ctx;

    line += strspn(line, " ");
    banned->masked |= doctor_starts(line, "IRQBALANCE_BANNED_CPUS=");
    if (!doctor_starts(line, BANNED))
        return true;
    line += strlen(BANNED);
    line += strspn(line, "\"'");
    line[strcspn(line, "\"' ")] = '\0';
    banned->listed = true;
    banned->masked |= !doctor_cpus_read(line, &banned->set);
    return true;
}

/* Cores it keeps off: those it is told, else isolated and tickless ones. */
static void read_banned(const struct doctor *d, struct banned *ret)
{
    cpu_set_t more;

    *ret = (struct banned){.listed = false};
    (void)doctor_lines(d->system, take_banned, ret, BALANCER_FILE);
    if (ret->listed || ret->masked)
        return;
    if (doctor_cpus(d->system, &more, "/sys/devices/system/cpu/isolated"))
        CPU_OR(&ret->set, &ret->set, &more);
    if (doctor_cpus(d->system, &more, "/sys/devices/system/cpu/nohz_full"))
        CPU_OR(&ret->set, &ret->set, &more);
}

/* The cores it keeps off already stay among them: a list replaces what it does by itself. */
static void say_ban(const struct doctor *d, const struct banned *banned,
                    struct doctor_finding *f)
{
    char text[DOCTOR_TEXT_MAX];
    cpu_set_t all;

    doctor_say(f->remedy,
               "add %s to the cores it is kept off (" BANNED "... in its environment), "
               "and start it anew",
               d->lanes_text);
    if (banned->masked || !doctor_there(d->system, BALANCER_FILE))
        return;
    CPU_OR(&all, &banned->set, &d->lanes);
    doctor_cpus_text(&all, false, text, sizeof(text));
    doctor_command(
        f, "echo '" BANNED "%s' >>" BALANCER_FILE " && systemctl restart irqbalance",
        text);
}

static void check_balancer(struct doctor *d)
{
    struct balancer b = {.system = d->system};
    struct banned banned;
    cpu_set_t both;

    (void)doctor_entries(d->system, look_for_balancer, &b, "/proc");
    if (!b.runs)
        return;
    read_banned(d, &banned);
    CPU_AND(&both, &banned.set, &d->lanes);
    if (!banned.masked && CPU_EQUAL(&both, &d->lanes)) {
        doctor_ok(d, "irqbalance", "", "it runs, and keeps off %s%s", d->lanes_name,
                  banned.listed ? " as it is told" : " by itself");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "irqbalance", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "irqbalance runs and moves interrupts, also to the lanes' cores");
    doctor_say(f->cost, "what was moved away by hand comes back within 10 s");
    say_ban(d, &banned, f);
}

void doctor_check_irqs(struct doctor *d)
{
    if (CPU_COUNT(&d->lanes) == 0)
        return;
    check_all(d);
    check_balancer(d);
}
