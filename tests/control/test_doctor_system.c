/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void word__first_line_without_control_characters(void **state)
{
    struct machine *m = *state;
    char buf[16];

    machine_put(m, "/sys/a", "one\x1b[2J\xff\ntwo\n");
    assert_true(doctor_word(&m->system, buf, sizeof(buf), "/sys/%s", "a"));
    assert_string_equal(buf, "one?[2J?");
    machine_put(m, "/sys/a", "no newline");
    assert_true(doctor_word(&m->system, buf, sizeof(buf), "/sys/a"));
    assert_string_equal(buf, "no newline");
    machine_put(m, "/sys/a", "sixteen bytes..\n");
    assert_true(doctor_word(&m->system, buf, sizeof(buf), "/sys/a"));
    machine_put(m, "/sys/a", "seventeen bytes..\n");
    assert_false(doctor_word(&m->system, buf, sizeof(buf), "/sys/a"));
    machine_put(m, "/sys/a", "%s", "");
    assert_false(doctor_word(&m->system, buf, sizeof(buf), "/sys/a"));
    assert_false(doctor_word(&m->system, buf, sizeof(buf), "/sys/none"));
    assert_false(doctor_word(&m->system, buf, sizeof(buf), "/sys")); /* a folder */
}

static void word__never_waits_for_a_pipe(void **state)
{
    struct machine *m = *state;
    char path[128], buf[16];

    snprintf(path, sizeof(path), "%s/proc/pipe", m->root);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(doctor_word(&m->system, buf, sizeof(buf), "/proc/pipe"));
}

static void number__whole_and_in_range(void **state)
{
    static const char *const bad[] = {
        "", "x", "12x", "0x10", "1 2", "--1", "99999999999999999999", "1.5"};
    struct machine *m = *state;
    int64_t value = 7;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        machine_put(m, "/sys/n", "%s\n", bad[i]);
        assert_false(doctor_number(&m->system, &value, "/sys/n"));
    }
    assert_int_equal(value, 7);
    machine_put(m, "/sys/n", "-1\n");
    assert_true(doctor_number(&m->system, &value, "/sys/n"));
    assert_int_equal(value, -1);
    machine_put(m, "/sys/n", "4294967296 \n");
    assert_true(doctor_number(&m->system, &value, "/sys/n"));
    assert_true(value == INT64_C(4294967296));
}

static void choice__the_word_in_brackets(void **state)
{
    struct machine *m = *state;
    char buf[8];

    machine_put(m, "/sys/c", "always [never]\n");
    assert_true(doctor_choice(&m->system, buf, sizeof(buf), "/sys/c"));
    assert_string_equal(buf, "never");
    machine_put(m, "/sys/c", "always ]never[\n");
    assert_false(doctor_choice(&m->system, buf, sizeof(buf), "/sys/c"));
    machine_put(m, "/sys/c", "[a word too long]\n");
    assert_false(doctor_choice(&m->system, buf, sizeof(buf), "/sys/c"));
}

static void cpus__lists_and_what_is_none(void **state)
{
    static const char *const bad[] = {
        "a",    "1-",     "-1",     "3-1", "1,,2",
        "1024", "0-1024", "(null)", "1 2", "99999999999999999999"};
    cpu_set_t set;
    char text[64];

    (void)state;
    assert_true(doctor_cpus_read("0-2,8,10-11", &set));
    assert_int_equal(CPU_COUNT(&set), 6);
    doctor_cpus_text(&set, false, text, sizeof(text));
    assert_string_equal(text, "0-2,8,10-11");
    doctor_cpus_text(&set, true, text, sizeof(text));
    assert_string_equal(text, "0 1 2 8 10 11");
    doctor_cpus_text(&set, true, text, 7); /* what does not fit is left off */
    assert_string_equal(text, "0 1 2");
    assert_true(doctor_cpus_read("", &set));
    assert_int_equal(CPU_COUNT(&set), 0);
    assert_true(doctor_cpus_read("1023", &set));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(doctor_cpus_read(bad[i], &set));
    assert_true(CPU_ISSET(1023, &set));
}

static void target__last_name_of_a_link(void **state)
{
    struct machine *m = *state;
    char buf[8];

    machine_link(m, "/sys/l", "../../drivers/ixgbe");
    assert_true(doctor_target(&m->system, buf, sizeof(buf), "/sys/l"));
    assert_string_equal(buf, "ixgbe");
    machine_link(m, "/sys/l", "../a_name_too_long");
    assert_false(doctor_target(&m->system, buf, sizeof(buf), "/sys/l"));
    machine_put(m, "/sys/f", "ixgbe");
    assert_false(doctor_target(&m->system, buf, sizeof(buf), "/sys/f"));
}

static void usable__by_owner_group_and_others(void **state)
{
    struct machine *m = *state;
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/dev/vfio/7", m->root);
    assert_int_equal(stat(path, &st), 0);
    m->system.uid = st.st_uid + 1;
    m->system.gid = st.st_gid + 1;
    assert_int_equal(chmod(path, 0660), 0);
    assert_false(doctor_usable(&m->system, "/dev/vfio/7"));
    m->system.gid = st.st_gid;
    assert_true(doctor_usable(&m->system, "/dev/vfio/7"));
    assert_int_equal(chmod(path, 0646), 0);
    assert_false(doctor_usable(&m->system, "/dev/vfio/7")); /* the group's word counts */
    m->system.gid++;
    assert_true(doctor_usable(&m->system, "/dev/vfio/7"));
    m->system.uid = 0;
    assert_int_equal(chmod(path, 0), 0);
    assert_true(doctor_usable(&m->system, "/dev/vfio/7"));
    assert_false(doctor_usable(&m->system, "/dev/vfio/8"));
}

struct seen {
    unsigned lines;
    size_t longest;
    char last[16];
};

static bool see(void *ctx, char *line)
{
    struct seen *seen = ctx;
    size_t len = strlen(line);

    seen->lines++;
    if (len > seen->longest)
        seen->longest = len;
    snprintf(seen->last, sizeof(seen->last), "%.15s", line);
    return strcmp(line, "stop") != 0;
}

static void lines__long_ones_are_cut_and_fn_may_stop(void **state)
{
    struct machine *m = *state;
    struct seen seen = {0};
    char *text = malloc(3 * DOCTOR_LINE_MAX);

    assert_non_null(text);
    memset(text, 'x', 3 * DOCTOR_LINE_MAX - 1);
    text[3 * DOCTOR_LINE_MAX - 1] = '\0';
    machine_put(m, "/proc/l", "a\n%s\nb\tc\nstop\nnever\n", text);
    assert_true(doctor_lines(&m->system, see, &seen, "/proc/l"));
    assert_int_equal(seen.lines, 4);
    assert_int_equal(seen.longest, DOCTOR_LINE_MAX - 1);
    assert_string_equal(seen.last, "stop");
    assert_false(doctor_lines(&m->system, see, &seen, "/proc/none"));
    free(text);
}

static bool count_names(void *ctx, const char *name)
{
    unsigned *count = ctx;

    assert_true(name[0] != '.');
    *count += 1;
    return *count < 2;
}

static void entries__none_hidden_until_fn_stops(void **state)
{
    struct machine *m = *state;
    unsigned count = 0;

    machine_put(m, "/d/.hidden", "x");
    machine_put(m, "/d/a", "x");
    assert_true(doctor_entries(&m->system, count_names, &count, "/d"));
    assert_int_equal(count, 1);
    machine_put(m, "/d/b", "x");
    machine_put(m, "/d/c", "x");
    count = 0;
    assert_true(doctor_entries(&m->system, count_names, &count, "/d"));
    assert_int_equal(count, 2);
    assert_false(doctor_entries(&m->system, count_names, &count, "/none"));
}

static void plain__no_name_that_a_shell_would_take_apart(void **state)
{
    static const char *const bad[] = {"",    "-f",   "a b", "a;b", "$(x)", "../x",
                                      "a/b", "a\nb", ".",   "..",  "a'b",  "\xc3\xa4"};

    (void)state;
    assert_true(doctor_plain("eth0"));
    assert_true(doctor_plain("enp3s0f1.100"));
    assert_true(doctor_plain("0000:03:00.0"));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(doctor_plain(bad[i]));
}

static void here__this_machine(void **state)
{
    struct doctor_system here;
    struct doctor_nic nic;

    (void)state;
    doctor_system_here(&here);
    assert_true(CPU_COUNT(&here.allowed) > 0);
    assert_true(here.memlock <= here.memlock_hard);
    assert_true(doctor_there(&here, "/proc/self/status"));
    assert_false(here.nic(here.ctx, "none0", "", &nic));
    assert_false(here.nic(here.ctx, "a_name_that_is_too_long", "", &nic));
    if (here.nic(here.ctx, "lo", "", &nic)) {
        assert_false(nic.ethernet);
        assert_int_equal(nic.queues, 1);
        assert_int_equal(nic.program, 0);
    }
}

#define MACHINE_TEST(name)                                                               \
    cmocka_unit_test_setup_teardown(name, machine_good, machine_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(word__first_line_without_control_characters),
        MACHINE_TEST(word__never_waits_for_a_pipe),
        MACHINE_TEST(number__whole_and_in_range),
        MACHINE_TEST(choice__the_word_in_brackets),
        cmocka_unit_test(cpus__lists_and_what_is_none),
        MACHINE_TEST(target__last_name_of_a_link),
        MACHINE_TEST(usable__by_owner_group_and_others),
        MACHINE_TEST(lines__long_ones_are_cut_and_fn_may_stop),
        MACHINE_TEST(entries__none_hidden_until_fn_stops),
        cmocka_unit_test(plain__no_name_that_a_shell_would_take_apart),
        cmocka_unit_test(here__this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
