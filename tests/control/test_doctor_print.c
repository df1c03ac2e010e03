/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "doctor_print.h"

static char out[8192];

/* A report with one finding of each severity, the worst last. */
static struct doctor_report *sample(void)
{
    struct doctor_report *report = calloc(1, sizeof(*report));

    assert_non_null(report);
    report->lanes = 2;
    report->core[0] = 3;
    report->core[1] = -1;
    report->node[1] = -1;
    report->count = DOCTOR_SEVERITIES;
    for (unsigned i = 0; i < DOCTOR_SEVERITIES; i++) {
        struct doctor_finding *f = &report->findings[i];
        f->check = "swap";
        f->severity = (enum doctor_severity)i;
        snprintf(f->cause, sizeof(f->cause), "cause %u", i);
        if (i > 0)
            snprintf(f->command, sizeof(f->command), "run %u", i);
    }
    return report;
}

static void printed(const struct doctor_report *report, const char *path,
                    enum doctor_form form)
{
    FILE *file = fmemopen(out, sizeof(out), "w");

    assert_non_null(file);
    if (form == DOCTOR_AS_TEXT)
        doctor_print_text(report, path, file);
    else if (form == DOCTOR_AS_JSON)
        doctor_print_json(report, path, file);
    else
        doctor_print_commands(report, file);
    assert_int_equal(fclose(file), 0);
}

static void text__worst_first_and_only_what_is_there(void **state)
{
    struct doctor_report *report = sample();

    (void)state;
    strcpy(report->findings[3].subject, "eth0");
    strcpy(report->findings[3].setting, "lanes: 1");
    printed(report, "n\033ode.yaml", DOCTOR_AS_TEXT);
    assert_string_equal(out, "proa doctor, n?ode.yaml: lane 0 on core 3, lane 1 nowhere\n"
                             "\n"
                             "error    swap, eth0\n"
                             "    cause    cause 3\n"
                             "    write    lanes: 1\n"
                             "    run      run 3\n"
                             "\n"
                             "warning  swap\n"
                             "    cause    cause 2\n"
                             "    run      run 2\n"
                             "\n"
                             "note     swap\n"
                             "    cause    cause 1\n"
                             "    run      run 1\n"
                             "\n"
                             "ok       swap: cause 0\n"
                             "\n"
                             "errors 1, warnings 1, notes 1, ok 1\n");
    report->left_off = 2;
    printed(report, NULL, DOCTOR_AS_TEXT);
    assert_non_null(strstr(out, "proa doctor, no configuration:"));
    assert_non_null(strstr(out, "2 more findings had no room\n"));
    free(report);
}

static void json__stable_keys_and_escapes(void **state)
{
    struct doctor_report *report = sample();

    (void)state;
    report->count = 1;
    strcpy(report->findings[0].cause, "a \"quote\", a \\ and \x01\xc3");
    printed(report, "x\ny", DOCTOR_AS_JSON);
    assert_string_equal(
        out,
        "{\"version\": \"" PROA_VERSION "\", \"status\": 0, \"config\": \"x\\u000ay\",\n"
        " \"counts\": {\"error\": 0, \"warning\": 0, \"note\": 0, \"ok\": 1, "
        "\"left_off\": 0},\n"
        " \"lanes\": [{\"lane\": 0, \"core\": 3, \"numa_node\": 0}, "
        "{\"lane\": 1, \"core\": null, \"numa_node\": null}],\n"
        " \"findings\": [\n"
        "  {\"check\": \"swap\", \"severity\": \"ok\", \"subject\": null, \"cause\": "
        "\"a \\\"quote\\\", a \\\\ and \\u0001?\", \"cost\": null, \"remedy\": null, "
        "\"setting\": null, \"command\": null}\n"
        " ]}\n");
    free(report);
}

static void commands__of_errors_and_warnings_once(void **state)
{
    struct doctor_report *report = sample();

    (void)state;
    printed(report, NULL, DOCTOR_AS_COMMANDS);
    assert_string_equal(out, "# error: swap: cause 3\nrun 3\n"
                             "# warning: swap: cause 2\nrun 2\n");
    strcpy(report->findings[2].command, "run 3");
    report->findings[report->count++] = report->findings[2];
    printed(report, NULL, DOCTOR_AS_COMMANDS);
    assert_string_equal(out, "# error: swap: cause 3\nrun 3\n");
    memset(report->findings[3].command, 0, DOCTOR_TEXT_MAX);
    printed(report, NULL, DOCTOR_AS_COMMANDS);
    assert_string_equal(out, "# warning: swap: cause 2\nrun 3\n");
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__worst_first_and_only_what_is_there),
        cmocka_unit_test(json__stable_keys_and_escapes),
        cmocka_unit_test(commands__of_errors_and_warnings_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
