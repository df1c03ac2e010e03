/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static struct options o;
static char err[256];

/* Reads "proa" and up to seven more words. */
static bool read_words(const char *a, const char *b, const char *c, const char *d,
                       const char *e, const char *f)
{
    const char *words[] = {"proa", a, b, c, d, e, f, NULL};
    int argc = 0;

    while (words[argc] != NULL)
        argc++;
    err[0] = '\0';
    return options_read(argc, (char **)(uintptr_t)words, &o, err, sizeof(err));
}

#define READ(...) READ_(__VA_ARGS__, NULL, NULL, NULL, NULL, NULL, NULL)
#define READ_(a, b, c, d, e, f, ...) read_words(a, b, c, d, e, f)

static void read__every_verb(void **state)
{
    (void)state;
    assert_true(READ("node", "--config", "n.yaml"));
    assert_int_equal(o.verb, OPTIONS_NODE);
    assert_string_equal(o.config, "n.yaml");
    assert_null(o.socket);
    assert_true(READ("demo"));
    assert_int_equal(o.verb, OPTIONS_DEMO);
    assert_int_equal(o.seconds, 10);
    assert_int_equal(o.pages, PROA_PAGES_AUTO);
    assert_int_equal(o.idle, PROA_IDLE_ADAPTIVE);
    assert_true(READ("keygen"));
    assert_int_equal(o.word_count, 0);
    assert_true(READ("keygen", "key"));
    assert_string_equal(o.words[0], "key");
    assert_true(READ("ls"));
    assert_int_equal(o.verb, OPTIONS_LS);
    assert_true(READ("lookup", "my_actor"));
    assert_int_equal(o.verb, OPTIONS_LOOKUP);
    assert_string_equal(o.words[0], "my_actor");
    assert_true(READ("ask", "my_actor", "2147483647", "0a00"));
    assert_int_equal(o.verb, OPTIONS_ASK);
    assert_int_equal(o.type, 2147483647);
    assert_string_equal(o.words[2], "0a00");
    assert_int_equal(o.deadline, 5 * PROA_S);
    assert_true(READ("lanes", "--socket", "/s"));
    assert_int_equal(o.verb, OPTIONS_LANES);
    assert_true(READ("deny", "10.9.0.0/16"));
    assert_int_equal(o.verb, OPTIONS_DENY);
    assert_string_equal(o.words[0], "10.9.0.0/16");
    assert_true(READ("allow", "fd00::9", "--socket", "s"));
    assert_int_equal(o.verb, OPTIONS_ALLOW);
    assert_true(READ("events"));
    assert_int_equal(o.verb, OPTIONS_EVENTS);
    assert_false(o.follow);
    assert_true(READ("events", "--follow", "--socket", "/s"));
    assert_true(o.follow);
    assert_string_equal(o.socket, "/s");
    assert_false(READ("events", "--follow=yes"));
    assert_string_equal(err, "events: no value belongs to '--follow=yes'");
    assert_false(READ("ls", "--follow"));
    assert_true(READ("top", "--socket=/s"));
    assert_int_equal(o.verb, OPTIONS_TOP);
    assert_true(READ("doctor"));
    assert_int_equal(o.verb, OPTIONS_DOCTOR);
    assert_null(o.config);
    assert_false(o.json || o.fix_print);
    assert_true(READ("doctor", "--config", "n.yaml", "--json"));
    assert_true(o.json);
    assert_true(READ("doctor", "--fix-print"));
    assert_true(o.fix_print);
    assert_true(READ("help", "ask"));
    assert_int_equal(o.verb, OPTIONS_HELP);
    assert_true(READ("--help"));
    assert_int_equal(o.verb, OPTIONS_HELP);
    assert_true(READ("--version"));
    assert_int_equal(o.verb, OPTIONS_VERSION);
}

static void read__groups_links_and_the_other_demo(void **state)
{
    (void)state;
    assert_true(READ("ls", "--group", "workers"));
    assert_string_equal(o.group, "workers");
    assert_true(READ("ls", "--groups"));
    assert_true(o.groups);
    assert_true(READ("cluster", "--socket", "/s"));
    assert_int_equal(o.verb, OPTIONS_CLUSTER);
    assert_true(READ("link", "add", "[fd00::9]:7400"));
    assert_int_equal(o.verb, OPTIONS_LINK);
    assert_string_equal(o.words[1], "[fd00::9]:7400");
    assert_true(READ("link", "remove", "1e1d83c612336605"));
    assert_true(READ("link", "remove", "10.0.0.9:7400"));
    assert_true(READ("demo", "balancer"));
    assert_string_equal(o.words[0], "balancer");
}

static void read__options_stand_anywhere_in_both_forms(void **state)
{
    (void)state;
    assert_true(READ("ask", "--deadline=250", "a", "1", "-", "--socket=/s"));
    assert_int_equal(o.deadline, 250 * PROA_MS);
    assert_string_equal(o.socket, "/s");
    assert_string_equal(o.words[2], "-");
    assert_true(READ("demo", "--seconds", "3", "--pages=none", "--idle=spin"));
    assert_int_equal(o.seconds, 3);
    assert_int_equal(o.pages, PROA_PAGES_NONE);
    assert_int_equal(o.idle, PROA_IDLE_SPIN);
}

static void read__two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_true(READ("lookup", "--", "--socket"));
    assert_string_equal(o.words[0], "--socket");
    assert_true(READ("lookup", "--", "--"));
    assert_string_equal(o.words[0], "--");
}

static void refused(bool read, const char *sentence)
{
    assert_false(read);
    assert_string_equal(err, sentence);
}

static void read__refuses_with_a_reason(void **state)
{
    char name[300];

    (void)state;
    refused(READ(NULL), "a verb is missing: see `help`");
    refused(READ("nod"), "no verb 'nod': see `help`");
    refused(READ("node"), "node: --config FILE missing");
    refused(READ("node", "--config"), "node: option '--config': needs a value");
    refused(READ("node", "--config="), "node: --config is a path, not ''");
    refused(READ("ls", "--config", "x"), "ls: no option '--config': see `help`");
    refused(READ("ls", "-x"), "ls: no option '-x': see `help`");
    refused(READ("ls", "x"), "ls: one word too many: 'x'");
    refused(READ("doctor", "--json", "--fix-print"),
            "doctor: --json or --fix-print, not both");
    refused(READ("doctor", "--json=x"), "doctor: no value belongs to '--json=x'");
    refused(READ("lookup"), "lookup: NAME missing");
    refused(READ("lookup", ""), "lookup: NAME is 1..255 bytes, not ''");
    refused(READ("deny"), "deny: ADDRESS[/PREFIX] missing");
    refused(READ("allow", "nobody"), "allow: ADDRESS[/PREFIX] is like 10.0.0.9 or "
                                     "fd00:9::/32, not 'nobody'");
    refused(READ("ask", "a", "1"), "ask: NAME TYPE HEX missing");
    refused(READ("ask", "a", "2147483648", "-"),
            "ask: TYPE is a number below 2147483648, not '2147483648'");
    refused(READ("ask", "a", "1x", "-"),
            "ask: TYPE is a number below 2147483648, not '1x'");
    refused(READ("ask", "a", "99999999999999999999", "-"),
            "ask: TYPE is a number below 2147483648, not '99999999999999999999'");
    refused(READ("demo", "--seconds", "0"),
            "demo: --seconds is 1..3600 seconds, not '0'");
    refused(READ("demo", "--seconds", "3601"),
            "demo: --seconds is 1..3600 seconds, not '3601'");
    refused(READ("demo", "--seconds", "-1"),
            "demo: --seconds is 1..3600 seconds, not '-1'");
    refused(READ("demo", "--pages", "big"),
            "demo: --pages is auto, huge or none, not 'big'");
    refused(READ("demo", "balance"), "demo: no demo 'balance': see `help`");
    refused(READ("ls", "--group"), "ls: option '--group': needs a value");
    refused(READ("ls", "--group="), "ls: --group is 1..255 bytes, not ''");
    refused(READ("ls", "--group", "a", "--groups"), "ls: --group or --groups, not both");
    refused(READ("cluster", "x"), "cluster: one word too many: 'x'");
    refused(READ("link", "add"), "link: add|remove ADDRESS missing");
    refused(READ("link", "drop", "10.0.0.9:7400"), "link: add or remove, not 'drop'");
    refused(READ("link", "add", "10.0.0.9"),
            "link add: ADDRESS is like 10.0.0.9:7400 or [fd00::9]:7400, not '10.0.0.9'");
    refused(READ("link", "add", "1e1d83c612336605"),
            "link add: ADDRESS is like 10.0.0.9:7400 or [fd00::9]:7400, not "
            "'1e1d83c612336605'");
    refused(READ("link", "remove", "1e1d83c6123366050"),
            "link remove: ADDRESS is like 10.0.0.9:7400, or a node's 16 hexadecimal "
            "digits, not '1e1d83c6123366050'");
    refused(READ("demo", "--idle", "off"), "demo: --idle is adaptive or spin, not 'off'");
    refused(READ("ask", "--deadline", "60001", "a", "1", "-"),
            "ask: --deadline is 1..60000 milliseconds, not '60001'");
    memset(name, 'n', 256);
    name[256] = '\0';
    assert_false(READ("lookup", name));
    name[255] = '\0';
    assert_true(READ("lookup", name));
}

static void usage__names_every_verb_but_the_hidden_one(void **state)
{
    static const char *const verbs[] = {"node",   "demo", "keygen", "ls",
                                        "lookup", "ask",  "help",   "version"};
    char *text;
    size_t len;

    (void)state;
    FILE *to = open_memstream(&text, &len);
    assert_true(options_usage(to, "proa", NULL));
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_true(options_usage(to, "proa", verbs[i]));
    assert_false(options_usage(to, "proa", "demo-node"));
    assert_false(options_usage(to, "proa", "nonsense"));
    fclose(to);
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_non_null(strstr(text, verbs[i]));
    assert_null(strstr(text, "demo-node"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__every_verb),
        cmocka_unit_test(read__groups_links_and_the_other_demo),
        cmocka_unit_test(read__options_stand_anywhere_in_both_forms),
        cmocka_unit_test(read__two_dashes_end_the_options),
        cmocka_unit_test(read__refuses_with_a_reason),
        cmocka_unit_test(usage__names_every_verb_but_the_hidden_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
