/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <stdarg.h>
#include <stdlib.h>

#include "config.h"
#include "doctor_internal.h"
#include "doctor_print.h"
#include "node_build.h"

/* ---- Findings ---- */

static struct doctor_finding *next_finding(struct doctor_report *report)
{
    if (report->count < DOCTOR_FINDINGS_MAX)
        return &report->findings[report->count++];
    report->left_off++;
    return &report->spill;
}

static struct doctor_finding *add_to(struct doctor_report *report, const char *check,
                                     enum doctor_severity severity)
{
    struct doctor_finding *f = next_finding(report);

    memset(f, 0, sizeof(*f));
    f->check = check;
    f->severity = severity;
    return f;
}

struct doctor_finding *doctor_add(struct doctor *d, const char *check,
                                  enum doctor_severity severity, const char *subject, ...)
{
    struct doctor_finding *f = add_to(d->report, check, severity);
    va_list args;

    va_start(args, subject);
    vsnprintf(f->subject, sizeof(f->subject), subject, args);
    va_end(args);
    doctor_print_safe(f->subject);
    return f;
}

static bool say(char text[DOCTOR_TEXT_MAX], const char *format, va_list args)
{
    int n = vsnprintf(text, DOCTOR_TEXT_MAX, format, args);

    doctor_print_safe(text);
    return n >= 0 && n < (int)DOCTOR_TEXT_MAX;
}

void doctor_say(char text[DOCTOR_TEXT_MAX], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!say(text, format, args))
        strcpy(text + DOCTOR_TEXT_MAX - 4, "...");
    va_end(args);
}

void doctor_cores_name(const cpu_set_t *set, char *buf, size_t len)
{
    snprintf(buf, len, CPU_COUNT(set) == 1 ? "core " : "cores ");
    doctor_cpus_text(set, false, buf + strlen(buf), len - strlen(buf));
}

void doctor_command(struct doctor_finding *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!say(f->command, format, args))
        f->command[0] = '\0';
    va_end(args);
}

void doctor_ok(struct doctor *d, const char *check, const char *subject,
               const char *format, ...)
{
    struct doctor_finding *f = doctor_add(d, check, DOCTOR_OK, "%s", subject);
    va_list args;

    va_start(args, format);
    (void)say(f->cause, format, args);
    va_end(args);
}

/* ---- Kernel parameters ---- */

struct param_search {
    const char *name;
    bool found;
};

static bool look_for_param(void *ctx, char *line)
{
    struct param_search *search = ctx;
    size_t len = strlen(search->name);

    for (const char *word = line; word != NULL; word = strchr(word, ' ')) {
        word += *word == ' ';
        if (strncmp(word, search->name, len) == 0 &&
            (word[len] == '=' || word[len] == ' ' || word[len] == '\0'))
            search->found = true;
    }
    return false; /* it is one line */
}

/* The running kernel was given NAME or NAME=... */
static bool has_param(const struct doctor *d, const char *name)
{
    struct param_search search = {.name = name};

    (void)doctor_lines(d->system, look_for_param, &search, "/proc/cmdline");
    return search.found;
}

void doctor_kernel_param(const struct doctor *d, struct doctor_finding *f,
                         const char *name, const char *param)
{
    doctor_say(f->remedy, "kernel parameter %s, and a new start of the machine", param);
    /* Debian's GRUB reads the files of that folder; each adds a word. */
    if (doctor_there(d->system, "/etc/default/grub.d") && !has_param(d, name))
        doctor_command(f,
                       "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"' "
                       ">/etc/default/grub.d/proa-%s.cfg && update-grub",
                       param, name);
}

/* ---- NUMA ---- */

int doctor_node_of(const struct doctor *d, int core)
{
    cpu_set_t nodes, cores;

    if (!doctor_cpus(d->system, &nodes, "/sys/devices/system/node/online"))
        return -1;
    for (int node = 0; node < CPU_SETSIZE; node++) {
        if (CPU_ISSET((size_t)node, &nodes) &&
            doctor_cpus(d->system, &cores, "/sys/devices/system/node/node%d/cpulist",
                        node) &&
            CPU_ISSET((size_t)core, &cores))
            return node;
    }
    return -1;
}

/* The table has a column for each node that is online. */
unsigned doctor_distance(const struct doctor *d, int from, int to)
{
    cpu_set_t nodes;
    char row[1024], *at = row;
    unsigned long value = 0;

    if (!doctor_cpus(d->system, &nodes, "/sys/devices/system/node/online") ||
        !doctor_word(d->system, row, sizeof(row),
                     "/sys/devices/system/node/node%d/distance", from))
        return 0;
    for (int node = 0; node <= to; node++) {
        char *end = at;

        if (!CPU_ISSET((size_t)node, &nodes))
            continue;
        value = strtoul(at, &end, 10);
        if (end == at)
            return 0;
        at = end;
    }
    return value >= 10 && value < 256 ? (unsigned)value : 0;
}

/* ---- All checks ---- */

static void look_at_config(struct doctor *d)
{
    const struct proa_config *config = d->config;

    d->dpdk = config->port_count == 0;
    for (unsigned i = 0; i < config->port_count; i++) {
        const char *spec = config->ports[i].spec;
        d->dpdk |= !doctor_starts(spec, "ring:");
        d->af_xdp |= doctor_starts(spec, "af_xdp:");
        d->vfio |= doctor_starts(spec, "ethdev:") && !doctor_starts(spec, "ethdev:net_");
    }
    d->spins = config->idle == PROA_IDLE_SPIN;
    d->memory_mb = node_memory_mb(config);
}

struct flag_search {
    bool found;
};

static bool look_for_hypervisor(void *ctx, char *line)
{
    struct flag_search *search = ctx;

    if (!doctor_starts(line, "flags"))
        return true;
    search->found = strstr(line, " hypervisor") != NULL;
    return false;
}

void doctor_examine(const struct doctor_system *system, const struct proa_config *config,
                    bool named, struct doctor_report *ret)
{
    struct doctor d = {.system = system, .config = config, .named = named, .report = ret};
    struct flag_search flags = {false};

    look_at_config(&d);
    (void)doctor_lines(system, look_for_hypervisor, &flags, "/proc/cpuinfo");
    d.guest = flags.found;
    doctor_place(&d);
    doctor_check_ports(&d);
    doctor_check_memory(&d);
    doctor_check_cores(&d);
    doctor_check_power(&d);
    doctor_check_irqs(&d);
    doctor_check_kernel(&d);
}

void doctor_refuse(struct doctor_report *report, const char *path, const char *err)
{
    struct doctor_finding *f = add_to(report, "configuration", DOCTOR_ERROR);

    snprintf(f->subject, sizeof(f->subject), "%s", path);
    doctor_print_safe(f->subject);
    doctor_say(f->cause, "the configuration was not taken: %s", err);
    doctor_say(f->cost,
               "the node does not start; what follows is for a node of one lane");
    doctor_say(f->remedy, "correct it; docs/config.md lists the keys");
}

enum doctor_exit doctor_exit_status(const struct doctor_report *report)
{
    enum doctor_severity worst = DOCTOR_OK;

    for (unsigned i = 0; i < report->count; i++) {
        if (report->findings[i].severity > worst)
            worst = report->findings[i].severity;
    }
    return worst == DOCTOR_ERROR     ? DOCTOR_EXIT_ERRORS
           : worst == DOCTOR_WARNING ? DOCTOR_EXIT_WARNINGS
                                     : DOCTOR_EXIT_OK;
}

enum doctor_exit doctor_run(const char *path, enum doctor_form form, FILE *to)
{
    struct config_file *file = malloc(sizeof(*file));
    struct doctor_report *report = calloc(1, sizeof(*report));
    enum doctor_exit status = DOCTOR_EXIT_USAGE;
    char err[2 * PROA_TEXT_MAX] = "";
    struct doctor_system system;

    if (file != NULL && report != NULL) {
        bool named = path != NULL;
        if (named && config_load(path, file, err, sizeof(err)) != PROA_OK) {
            doctor_refuse(report, path, err);
            named = false;
        }
        if (!named)
            proa_config_init(&file->config);
        doctor_system_here(&system);
        doctor_examine(&system, &file->config, named, report);
        status = doctor_exit_status(report);
        if (form == DOCTOR_AS_JSON)
            doctor_print_json(report, path, to);
        else if (form == DOCTOR_AS_COMMANDS)
            doctor_print_commands(report, to);
        else
            doctor_print_text(report, path, to);
    } else {
        fprintf(stderr,
                "proa: doctor: no memory for a report of %zu KiB; end something "
                "else, or raise the limit (ulimit -v)\n",
                sizeof(*report) / 1024);
    }
    free(file);
    free(report);
    return status;
}
