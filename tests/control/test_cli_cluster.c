/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `proa cluster`, `ls --groups` and `ls --group`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cli_cluster.h"

static struct cli_cluster cluster;
static struct cli_answer answer;

static int setup(void **state)
{
    (void)state;
    memset(&cluster, 0, sizeof(cluster));
    answer = (struct cli_answer){.fd = -1, .stop_fd = -1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(answer.text);
    return 0;
}

/* All lines so far, as the socket carries them. */
static const char *said(void)
{
    cli_answer_bytes(&answer, "", 1); /* ends the text */
    return answer.text;
}

static struct core_mesh_info info(uint64_t node, enum mesh_state state, uint32_t ip,
                                  uint16_t port)
{
    return (struct core_mesh_info){
        .node = node, .addr = addr_v4(ip, port), .state = state};
}

static void cluster__says_all_of_each_node_by_address(void **state)
{
    (void)state;
    cluster.node = 0x1e1d83c612336605;
    strcpy(cluster.address, "10.0.0.2:7400");
    cluster.own = (struct core_mesh_own){
        .names = 1, .members = 2, .known = 2, .linked = 1, .complete = true};
    cluster.count = 2;
    cluster.all[0] = info(0x69c2b7a0e4d81f53, MESH_LINKED_UP, 0x0a000003, 7400);
    cluster.all[0].names = 7;
    cluster.all[0].members = 1000;
    cluster.all[0].links = 2;
    cluster.all[0].rtt_ns = 3200;
    cluster.all[1] = info(0, MESH_CALLING, 0x0a000001, 7400);
    cli_cluster_print(&cluster, &answer);
    assert_non_null(strstr(
        said(),
        " node 1e1d83c612336605 at 10.0.0.2:7400: complete, 1 of 2 other nodes linked; "
        "publishes 1 name, 2 memberships\n"
        " NODE             STATE       NAMES  MEMBERS LINKS       RTT  ADDRESS\n"
        " -                calling         0        0     0         -  10.0.0.1:7400\n"
        " 69c2b7a0e4d81f53 linked          7     1000     2     3.2us  10.0.0.3:7400\n"));
}

static void cluster__has_a_word_for_every_state(void **state)
{
    static const char *const words[] = {"calling", "syncing", "linked",
                                        "lost",    "cut",     "refused"};

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        cluster.all[i] = info(i + 1, (enum mesh_state)(MESH_CALLING + i), i, 1);
    cluster.count = 6;
    cluster.all[0].rtt_ns = 12345678;
    cli_cluster_print(&cluster, &answer);
    assert_non_null(strstr(said(), ": not complete, 0 of 0 "));
    for (unsigned i = 0; i < 6; i++) {
        char wanted[64];

        snprintf(wanted, sizeof(wanted), "\n %016x %-8s ", i + 1, words[i]);
        assert_non_null(strstr(answer.text, wanted));
    }
    assert_non_null(strstr(answer.text, " 12.3ms "));
}

static void groups__hostile_names_stay_one_word(void **state)
{
    (void)state;
    cli_group_print("a b\x1b[2J\n", 8, 3, 12, &answer);
    assert_non_null(strstr(said(), "        3         12  a%20b%1b[2J%0a\n"));
}

static void group__a_member_says_state_load_and_type(void **state)
{
    const struct proa_ref ref = {0x1e1d83c612336605, 0x02000007, 0x8de83ff9};

    (void)state;
    cli_group_member_print(ref, "worker", true, 0, &answer);
    cli_group_member_print(ref, "-", false, 65535, &answer);
    assert_string_equal(said(),
                        " 1e1d83c612336605/2.7/8de83ff9    found      0  worker\n"
                        " 1e1d83c612336605/2.7/8de83ff9    silent 65535  -\n bytes 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cluster__says_all_of_each_node_by_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(cluster__has_a_word_for_every_state, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(groups__hostile_names_stay_one_word, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(group__a_member_says_state_load_and_type, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
