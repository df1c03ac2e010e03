/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_print.h"

#include <string.h>

static const char *const severity_names[DOCTOR_SEVERITIES] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_NOTE] = "note",
    [DOCTOR_WARNING] = "warning",
    [DOCTOR_ERROR] = "error",
};

static unsigned count_of(const struct doctor_report *report,
                         enum doctor_severity severity)
{
    unsigned n = 0;

    for (unsigned i = 0; i < report->count; i++)
        n += report->findings[i].severity == severity;
    return n;
}

/* ---- Text ---- */

static void print_part(FILE *to, const char *what, const char *text)
{
    if (text[0] != '\0')
        fprintf(to, "    %-8s %s\n", what, text);
}

static void print_finding(const struct doctor_finding *f, FILE *to)
{
    bool subject = f->subject[0] != '\0';

    if (f->severity == DOCTOR_OK) {
        fprintf(to, "ok       %s%s%s: %s\n", f->check, subject ? ", " : "", f->subject,
                f->cause);
        return;
    }
    fprintf(to, "%-8s %s%s%s\n", severity_names[f->severity], f->check,
            subject ? ", " : "", f->subject);
    print_part(to, "cause", f->cause);
    print_part(to, "cost", f->cost);
    print_part(to, "remedy", f->remedy);
    print_part(to, "write", f->setting);
    print_part(to, "run", f->command);
    fprintf(to, "\n");
}

static void print_lanes(const struct doctor_report *report, FILE *to)
{
    for (unsigned i = 0; i < report->lanes; i++) {
        if (report->core[i] < 0)
            fprintf(to, "%s lane %u nowhere", i > 0 ? "," : "", i);
        else
            fprintf(to, "%s lane %u on core %d", i > 0 ? "," : "", i, report->core[i]);
    }
}

void doctor_print_text(const struct doctor_report *report, const char *path, FILE *to)
{
    char name[PROA_TEXT_MAX];

    snprintf(name, sizeof(name), "%s", path != NULL ? path : "no configuration");
    doctor_print_safe(name);
    fprintf(to, "proa doctor, %s:", name);
    print_lanes(report, to);
    fprintf(to, "\n\n");
    for (int severity = DOCTOR_SEVERITIES - 1; severity >= 0; severity--) {
        for (unsigned i = 0; i < report->count; i++) {
            if (report->findings[i].severity == (enum doctor_severity)severity)
                print_finding(&report->findings[i], to);
        }
    }
    if (report->left_off > 0)
        fprintf(to, "%u more findings had no room\n", report->left_off);
    fprintf(to, "\nerrors %u, warnings %u, notes %u, ok %u\n",
            count_of(report, DOCTOR_ERROR), count_of(report, DOCTOR_WARNING),
            count_of(report, DOCTOR_NOTE), count_of(report, DOCTOR_OK));
}

/* ---- JSON ---- */

/* Bytes that are no ASCII are shown as '?', so that the document is UTF-8 whatever they were. */
static void print_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < ' ')
            fprintf(to, "\\u%04x", c);
        else
            fputc(c <= '~' ? c : '?', to);
    }
    fputc('"', to);
}

/* null when there is no text. */
static void print_member(FILE *to, const char *key, const char *text)
{
    fprintf(to, ", \"%s\": ", key);
    if (text == NULL || text[0] == '\0')
        fprintf(to, "null");
    else
        print_string(to, text);
}

static void print_number(FILE *to, const char *key, int number)
{
    if (number < 0)
        fprintf(to, ", \"%s\": null", key);
    else
        fprintf(to, ", \"%s\": %d", key, number);
}

void doctor_print_json(const struct doctor_report *report, const char *path, FILE *to)
{
    fprintf(to, "{\"version\": \"" PROA_VERSION "\", \"status\": %d",
            (int)doctor_exit_status(report));
    print_member(to, "config", path);
    fprintf(to, ",\n \"counts\": {\"error\": %u, \"warning\": %u, \"note\": %u, ",
            count_of(report, DOCTOR_ERROR), count_of(report, DOCTOR_WARNING),
            count_of(report, DOCTOR_NOTE));
    fprintf(to, "\"ok\": %u, \"left_off\": %u},\n \"lanes\": [",
            count_of(report, DOCTOR_OK), report->left_off);
    for (unsigned i = 0; i < report->lanes; i++) {
        fprintf(to, "%s{\"lane\": %u", i > 0 ? ", " : "", i);
        print_number(to, "core", report->core[i]);
        print_number(to, "numa_node", report->node[i]);
        fprintf(to, "}");
    }
    fprintf(to, "],\n \"findings\": [");
    for (unsigned i = 0; i < report->count; i++) {
        const struct doctor_finding *f = &report->findings[i];
        fprintf(to, "%s\n  {\"check\": \"%s\", \"severity\": \"%s\"", i > 0 ? "," : "",
                f->check, severity_names[f->severity]);
        print_member(to, "subject", f->subject);
        print_member(to, "cause", f->cause);
        print_member(to, "cost", f->cost);
        print_member(to, "remedy", f->remedy);
        print_member(to, "setting", f->setting);
        print_member(to, "command", f->command);
        fprintf(to, "}");
    }
    fprintf(to, "\n ]}\n");
}

/* ---- Commands ---- */

static bool said_before(const struct doctor_report *report, unsigned at)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct doctor_finding *f = &report->findings[i];
        bool before = f->severity > report->findings[at].severity ||
                      (f->severity == report->findings[at].severity && i < at);
        if (before && strcmp(f->command, report->findings[at].command) == 0)
            return true;
    }
    return false;
}

void doctor_print_commands(const struct doctor_report *report, FILE *to)
{
    for (int severity = DOCTOR_ERROR; severity >= (int)DOCTOR_WARNING; severity--) {
        for (unsigned i = 0; i < report->count; i++) {
            const struct doctor_finding *f = &report->findings[i];
            if (f->severity != (enum doctor_severity)severity || f->command[0] == '\0' ||
                said_before(report, i))
                continue;
            fprintf(to, "# %s: %s: %s\n%s\n", severity_names[severity], f->check,
                    f->cause, f->command);
        }
    }
}
