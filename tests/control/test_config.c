/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_texts.h"

static void init__is_one_lane_and_nothing_else(void **state)
{
    struct proa_config config;

    (void)state;
    proa_config_init(&config);
    assert_int_equal(config.lanes, 1);
    assert_int_equal(config.port_count, 0);
    assert_int_equal(config.cores[0], -1);
    assert_int_equal(config.cores[PROA_LANES_MAX - 1], -1);
    assert_int_equal(config.idle, PROA_IDLE_DEFAULT);
    assert_int_equal(config.pages, PROA_PAGES_AUTO);
    assert_int_equal(config.offload_threads, 2);
    assert_false(config.has_cluster_key);
}

static void parse__reads_every_key(void **state)
{
    (void)state;
    assert_int_equal(
        parse("ports:\n"
              "  - spec: vhost:listen=/run/proa/ab\n"
              "    address: 10.0.0.1/24\n"
              "    mtu: 9000\n"
              "    faults: {seed: 18446744073709551615, loss_ppm: 1,\n"
              "             duplicate_ppm: 2, reorder_ppm: 3, corrupt_ppm: 4,\n"
              "             delay_us: 5, jitter_us: 6}\n"
              "  - spec: udp:[::1]:7401\n"
              "seeds: ['10.0.0.2:7400', \"[fd00::2]:7400\"]\n"
              "state_dir: /var/lib/proa\n"
              "socket: /run/proa/a.sock\n"
              "lanes: 2\n"
              "cores: [1, 3]\n"
              "idle: spin\n"
              "pages: none\n"
              "memory_mb: 256\n"
              "message_max: 65536\n"
              "actors_max: 1024\n"
              "offload_threads: 0\n"
              "mesh: {nodes_max: 512, published_max: 100}\n"
              "allow_spawn: [counter, 'echo']\n"
              "actors:\n"
              "  - {behaviour: counter, name: my_actor, lane: 1}\n"
              "  - behaviour: echo\n"),
        PROA_OK);
    const struct proa_config *c = &file.config;
    assert_int_equal(c->port_count, 2);
    assert_string_equal(c->ports[0].spec, "vhost:listen=/run/proa/ab");
    assert_string_equal(c->ports[0].address, "10.0.0.1/24");
    assert_int_equal(c->ports[0].mtu, 9000);
    assert_true(c->ports[0].faults.seed == UINT64_MAX);
    assert_int_equal(c->ports[0].faults.loss, 1);
    assert_int_equal(c->ports[0].faults.duplicate, 2);
    assert_int_equal(c->ports[0].faults.reorder, 3);
    assert_int_equal(c->ports[0].faults.corrupt, 4);
    assert_int_equal(c->ports[0].faults.delay_us, 5);
    assert_int_equal(c->ports[0].faults.jitter_us, 6);
    assert_string_equal(c->ports[1].spec, "udp:[::1]:7401");
    assert_string_equal(c->ports[1].address, "");
    assert_int_equal(c->seed_count, 2);
    assert_string_equal(c->seeds[1], "[fd00::2]:7400");
    assert_string_equal(c->state_dir, "/var/lib/proa");
    assert_string_equal(c->socket, "/run/proa/a.sock");
    assert_int_equal(c->lanes, 2);
    assert_int_equal(c->cores[0], 1);
    assert_int_equal(c->cores[1], 3);
    assert_int_equal(c->cores[2], -1);
    assert_int_equal(c->idle, PROA_IDLE_SPIN);
    assert_int_equal(c->pages, PROA_PAGES_NONE);
    assert_int_equal(c->memory_mb, 256);
    assert_int_equal(c->message_max, 65536);
    assert_int_equal(c->actors_max, 1024);
    assert_int_equal(c->offload_threads, 0);
    assert_int_equal(c->mesh_nodes_max, 512);
    assert_int_equal(c->mesh_published_max, 100);
    assert_int_equal(c->allow_spawn_count, 2);
    assert_string_equal(c->allow_spawn[0], "counter");
    assert_string_equal(c->allow_spawn[1], "echo");
    assert_int_equal(file.actor_count, 2);
    assert_string_equal(file.actors[0].behaviour, "counter");
    assert_string_equal(file.actors[0].name, "my_actor");
    assert_int_equal(file.actors[0].lane, 1);
    assert_int_equal(file.actors[0].line, 23);
    assert_string_equal(file.actors[1].behaviour, "echo");
    assert_string_equal(file.actors[1].name, "");
    assert_int_equal(file.actors[1].line, 24);
}

static void parse__one_port_is_enough(void **state)
{
    (void)state;
    assert_int_equal(parse(PORT), PROA_OK);
    assert_int_equal(file.config.lanes, 1);
    assert_int_equal(file.config.cores[0], -1);
    assert_string_equal(file.config.user, "");
    assert_false(file.config.seccomp);
    assert_int_equal(file.actor_count, 0);
    assert_string_equal(file.config.socket, "");
    assert_false(file.no_socket);
}

static void parse__socket_none_is_no_path(void **state)
{
    (void)state;
    assert_int_equal(parse(PORT "socket: none\n"), PROA_OK);
    assert_true(file.no_socket);
    assert_string_equal(file.config.socket, "");
}

static void parse__no_port_is_refused(void **state)
{
    (void)state;
    refused("", "n.yaml:1: ports: a node needs at least one");
    refused("# nothing\n", "n.yaml:1: ports: a node needs at least one");
    refused("lanes: 1\nports: []\n", "n.yaml:2: ports: a node needs at least one");
}

static void parse__unknown_key_is_named_with_its_line(void **state)
{
    (void)state;
    refused(PORT "lanes: 1\n\nlans: 2\n", "n.yaml:4: unknown key 'lans'");
    refused("nope: 1\n", "n.yaml:1: unknown key 'nope'");
    refused("ports:\n  - spec: ring:a\n  - spec: ring:b\n\n    speed: 3\n",
            "n.yaml:5: ports[1]: unknown key 'speed'");
    refused("ports:\n  - spec: ring:a\n    faults:\n      seed: 1\n      lost: 3\n",
            "n.yaml:5: ports[0].faults: unknown key 'lost'");
    refused(PORT "actors:\n - behaviour: echo\n   nam: x\n",
            "n.yaml:4: actors[0]: unknown key 'nam'");
}

static void parse__repeated_key_is_refused(void **state)
{
    (void)state;
    refused(PORT "lanes: 1\n# two\nlanes: 2\n", "n.yaml:4: key 'lanes' appears twice");
    refused("ports:\n  - spec: ring:a\n    mtu: 1500\n    mtu: 9000\n",
            "n.yaml:4: key 'mtu' appears twice");
}

static void parse__missing_key_is_refused(void **state)
{
    (void)state;
    refused("ports:\n  - mtu: 1500\n", "n.yaml:2: key 'spec' is missing");
    refused(PORT "actors:\n  - name: x\n", "n.yaml:3: key 'behaviour' is missing");
}

static void parse__values_of_the_wrong_kind(void **state)
{
    (void)state;
    refused(PORT "lanes: many\n",
            "n.yaml:2: lanes: 'many' is not a whole number in range");
    refused(PORT "lanes: -1\n", "n.yaml:2: lanes: '-1' is not a whole number in range");
    refused(PORT "lanes: 1.5\n", "n.yaml:2: lanes: '1.5' is not a whole number in range");
    refused(PORT "lanes: 12abc\n",
            "n.yaml:2: lanes: '12abc' is not a whole number in range");
    refused(PORT "cores:\n  - 0x\n",
            "n.yaml:3: cores: '0x' is not a whole number in range");
    refused("ports:\n  - spec: ring:a\n    mtu: 1500 B\n",
            "n.yaml:3: mtu: '1500 B' is not a whole number in range");
    refused(PORT "lanes: 4294967296\n",
            "n.yaml:2: lanes: '4294967296' is not a whole number in range");
    refused(PORT "lanes:\n", "n.yaml:2: lanes: '' is not a whole number in range");
    refused(PORT "lanes: [1]\n", "n.yaml:2: lanes: expected a single value, not a list");
    refused("ports: vhost\n", "n.yaml:1: ports: expected a list, not a single value");
    refused("ports: [a]\n",
            "n.yaml:1: ports[0]: expected a group of keys, not a single value");
    refused("[]\n", "n.yaml:1: expected a group of keys, not a list");
    refused(PORT "idle: fast\n", "n.yaml:2: idle: unknown word 'fast'");
    refused(PORT "pages: 1\n", "n.yaml:2: pages: unknown word '1'");
    refused(PORT "seeds:\n  - ''\n", "n.yaml:3: seeds[0]: must not be empty");
}

static void parse__values_out_of_range(void **state)
{
    (void)state;
    refused(PORT "lanes: 65\n", "n.yaml:2: lanes: more than 64");
    refused(PORT "lanes: 2\ncores: [1]\n",
            "n.yaml:3: cores: 1 for 2 lanes; name one each");
    refused(PORT "cores: [-2]\n",
            "n.yaml:2: cores[0]: -2 is outside 0..1023 (-1: chosen)");
    refused(PORT "lanes: 2\ncores:\n  - 1\n  - 1\n",
            "n.yaml:5: cores[1]: core 1 has a lane already");
    refused(PORT "message_max: 16777217\n", "n.yaml:2: message_max: more than 16777216");
    refused(PORT "actors_max: 16777217\n", "n.yaml:2: actors_max: more than 16777216");
    refused(PORT "offload_threads: 65\n", "n.yaml:2: offload_threads: more than 64");
    refused(PORT "mesh:\n  nodes_max: 1025\n",
            "n.yaml:3: mesh.nodes_max: more than 1024");
    refused(PORT "mesh:\n  published_max: 65537\n",
            "n.yaml:3: mesh.published_max: more than 65536");
    refused(PORT "mesh:\n  nodes: 3\n", "n.yaml:3: mesh: unknown key 'nodes'");
    refused(PORT "mesh:\n  nodes_max: many\n",
            "n.yaml:3: mesh.nodes_max: 'many' is not a whole number in range");
    refused(PORT "memory_mb: 1048577\n", "n.yaml:2: memory_mb: more than 1048576");
    refused("ports:\n  - spec: ring:a\n    mtu: 1279\n",
            "n.yaml:3: ports[0].mtu: 1279 is outside 1280..9000");
    refused("ports:\n  - spec: ring:a\n    faults:\n      loss_ppm: 1000001\n",
            "n.yaml:4: ports[0].faults.loss_ppm: more than 1000000");
    refused(PORT "actors:\n  - behaviour: echo\n    lane: 1\n",
            "n.yaml:4: actors[0].lane: 1, but the lanes are 0..0");
    refused(PORT
            "actors:\n  - {behaviour: echo, name: x}\n  - behaviour: echo\n    name: x\n",
            "n.yaml:5: actors[1].name: 'x' is taken by actors[0]");
}

static void parse__too_many_items(void **state)
{
    char text[512] = "ports:\n";

    (void)state;
    for (int i = 0; i < PROA_PORTS_MAX + 1; i++)
        strcat(text, "  - spec: ring:a\n");
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "more than 8 entries"));
    assert_non_null(strstr(err, "n.yaml:10: "));
}

static void parse__too_long_texts(void **state)
{
    char text[600], path[400];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[300] = '\0';
    snprintf(text, sizeof(text), "ports:\n  - spec: ring:%s\n", path);
    refused(text, "n.yaml:2: ports[0].spec: longer than 255 bytes");
    path[108] = '\0';
    snprintf(text, sizeof(text), PORT "socket: %s\n", path);
    refused(text, "n.yaml:2: socket: longer than 107 bytes");
    path[107] = '\0';
    snprintf(text, sizeof(text), PORT "socket: %s\n", path);
    assert_int_equal(parse(text), PROA_OK);
    path[64] = '\0';
    snprintf(text, sizeof(text), PORT "allow_spawn: [echo, %s]\n", path);
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:2: allow_spawn[1]"));
}

static void parse__broken_yaml_has_a_line(void **state)
{
    (void)state;
    assert_int_equal(parse(PORT "seeds: [\n"), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:3: "));
    assert_int_equal(parse(PORT "\tlanes: 1\n"), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:2: "));
    assert_int_equal(parse(PORT "lanes: 1\nlanes 2\nidle: spin\n"), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:"));
    assert_int_equal(parse("\xff\xfe\xfd"), PROA_BAD_CONFIG);
    refused(PORT "---\nlanes: 2\n", "n.yaml:2: a second document; only one is read");
}

static void parse__aliases_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("ports: [{spec: &a 'ring:x'}, {spec: *a}]\n"),
                     PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:1: "));
}

static void parse__control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    refused(PORT "\"a\\eb\\nc\": 1\n", "n.yaml:2: unknown key 'a?b?c'");
}

static void parse__a_nul_byte_is_refused(void **state)
{
    static const char text[] = PORT "lanes: 1\0\n";

    (void)state;
    assert_int_equal(
        config_parse("n.yaml", text, sizeof(text) - 1, &file, err, sizeof(err)),
        PROA_BAD_CONFIG);
    assert_string_equal(err, "n.yaml:1: a NUL byte: not a text file");
}

static void parse__deep_nesting_is_refused(void **state)
{
    char text[8193] = {0}; /* of the largest file libyaml takes 20 s */

    (void)state;
    memset(text, '[', sizeof(text) - 1);
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
}

/* ---- Files ---- */

static char dir[64];

static const char *write_file(const char *name, const char *text, mode_t mode)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/proa-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"n.yaml", "key"};
    char path[128];

    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

static void load__key_file_lies_beside_the_configuration(void **state)
{
    (void)state;
    write_file("key", KEY, 0600);
    const char *path = write_file("n.yaml", PORT "cluster_key_file: key\n", 0644);
    assert_int_equal(config_load(path, &file, err, sizeof(err)), PROA_OK);
    assert_true(file.config.has_cluster_key);
    assert_int_equal(file.config.cluster_key[1], 0x11);
    assert_int_equal(file.config.cluster_key[31], 0xff);
}

static void load__bad_key_files_are_refused(void **state)
{
    char wanted[256];

    (void)state;
    const char *path = write_file("n.yaml", PORT "cluster_key_file: none\n", 0644);
    assert_int_equal(config_load(path, &file, err, sizeof(err)), PROA_BAD_CONFIG);
    snprintf(wanted, sizeof(wanted),
             "%s/n.yaml:2: cluster key %s/none: No such file or directory", dir, dir);
    assert_string_equal(err, wanted);

    write_file("key", KEY, 0644);
    path = write_file("n.yaml", PORT "cluster_key_file: key\n", 0644);
    assert_int_equal(config_load(path, &file, err, sizeof(err)), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "readable by others"));

    write_file("key", "00112233\n", 0600);
    path = write_file("n.yaml", PORT "cluster_key_file: key\n", 0644);
    assert_int_equal(config_load(path, &file, err, sizeof(err)), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "64 hexadecimal digits"));
}

static void load__missing_and_odd_files(void **state)
{
    char wanted[256];

    (void)state;
    assert_int_equal(config_load("/nowhere/n.yaml", &file, err, sizeof(err)),
                     PROA_BAD_CONFIG);
    assert_string_equal(err, "/nowhere/n.yaml: No such file or directory");
    assert_int_equal(config_load(dir, &file, err, sizeof(err)), PROA_BAD_CONFIG);
    snprintf(wanted, sizeof(wanted), "%s: Is a directory", dir);
    assert_string_equal(err, wanted);
    assert_int_equal(config_load("/dev/zero", &file, err, sizeof(err)), PROA_BAD_CONFIG);
    assert_string_equal(err, "/dev/zero: longer than 64 KiB: not a configuration");
}

static void public_load__fills_the_public_half(void **state)
{
    struct proa_config config;

    (void)state;
    const char *path = write_file("n.yaml", PORT "lanes: 3\n", 0644);
    assert_int_equal(proa_config_load(path, &config, err, sizeof(err)), PROA_OK);
    assert_int_equal(config.lanes, 3);
    assert_int_equal(config.port_count, 1);
    assert_int_equal(proa_config_load("/nowhere", &config, NULL, 0), PROA_BAD_CONFIG);
}

static void public_load__actors_belong_to_the_program(void **state)
{
    struct proa_config config;

    (void)state;
    const char *path = write_file("n.yaml", PORT "actors: [{behaviour: echo}]\n", 0644);
    assert_int_equal(proa_config_load(path, &config, err, sizeof(err)), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:2: actors: only `proa node` spawns them"));
}

static void parse__reads_limits(void **state)
{
    (void)state;
    assert_int_equal(parse(PORT "user: proa:net\nseccomp: on\n"
                                "seccomp_allow: [openat, fork]\n"),
                     PROA_OK);
    assert_string_equal(file.config.user, "proa:net");
    assert_true(file.config.seccomp);
    assert_int_equal(file.config.seccomp_allow_count, 2);
    assert_string_equal(file.config.seccomp_allow[0], "openat");
    assert_string_equal(file.config.seccomp_allow[1], "fork");
    assert_int_equal(parse(PORT "user: ''\nseccomp: off\n"), PROA_BAD_CONFIG);
    assert_int_equal(parse(PORT "seccomp: off\n"), PROA_OK);
    assert_false(file.config.seccomp);
}

static void refuses__what_is_not_a_limit(void **state)
{
    char text[256], long_name[PROA_TEXT_MAX + 16];

    (void)state;
    refused(PORT "seccomp: maybe\n", "n.yaml:2: seccomp: unknown word 'maybe'");
    refused(PORT "seccomp_allow: [fork]\n",
            "n.yaml:2: seccomp_allow: does nothing without seccomp: on");
    refused(PORT "seccomp: on\nseccomp_allow:\n  - fork\n  - f00\n",
            "n.yaml:5: seccomp_allow[1]: there is no system call 'f00'");
    snprintf(text, sizeof(text), PORT "seccomp: on\nseccomp_allow: [%040d]\n", 0);
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:3: seccomp_allow[0]"));
    memset(long_name, 'u', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    char whole[PROA_TEXT_MAX + 128];
    snprintf(whole, sizeof(whole), PORT "user: %s\n", long_name);
    assert_int_equal(parse(whole), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "n.yaml:2: user"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__is_one_lane_and_nothing_else),
        cmocka_unit_test(parse__reads_every_key),
        cmocka_unit_test(parse__one_port_is_enough),
        cmocka_unit_test(parse__socket_none_is_no_path),
        cmocka_unit_test(parse__no_port_is_refused),
        cmocka_unit_test(parse__unknown_key_is_named_with_its_line),
        cmocka_unit_test(parse__repeated_key_is_refused),
        cmocka_unit_test(parse__missing_key_is_refused),
        cmocka_unit_test(parse__values_of_the_wrong_kind),
        cmocka_unit_test(parse__values_out_of_range),
        cmocka_unit_test(parse__too_many_items),
        cmocka_unit_test(parse__too_long_texts),
        cmocka_unit_test(parse__broken_yaml_has_a_line),
        cmocka_unit_test(parse__aliases_are_refused),
        cmocka_unit_test(parse__control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(parse__a_nul_byte_is_refused),
        cmocka_unit_test(parse__deep_nesting_is_refused),
        cmocka_unit_test_setup_teardown(load__key_file_lies_beside_the_configuration,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(load__bad_key_files_are_refused, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(load__missing_and_odd_files, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(public_load__fills_the_public_half, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(public_load__actors_belong_to_the_program,
                                        make_dir, remove_dir),
        cmocka_unit_test(parse__reads_limits),
        cmocka_unit_test(refuses__what_is_not_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
