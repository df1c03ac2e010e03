/* SPDX-License-Identifier: Apache-2.0 */
/* Who is meant, and who is refused.  What is given up needs root: tests/e2e/test_secure.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "privileges.h"

static struct privileges p;
static char err[256];

static enum proa_outcome find(const char *user)
{
    err[0] = '\0';
    return privileges_find(&p, user, err, sizeof(err));
}

static void refused(const char *user, const char *sentence)
{
    assert_int_equal(find(user), PROA_BAD_CONFIG);
    assert_string_equal(err, sentence);
}

static void find__nothing_is_nobody(void **state)
{
    (void)state;
    assert_int_equal(find(""), PROA_OK);
    assert_false(p.wanted);
    assert_int_equal(privileges_begin(&p, err, sizeof(err)), PROA_OK);
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    assert_int_equal(privileges_drop(&p, err, sizeof(err)), PROA_OK);
}

static void find__names_and_numbers_mean_the_same(void **state)
{
    struct passwd *daemon = getpwnam("daemon");
    char text[64];

    (void)state;
    assert_non_null(daemon);
    (void)find("daemon");
    assert_int_equal(p.uid, daemon->pw_uid);
    assert_int_equal(p.gid, daemon->pw_gid);
    assert_int_equal(p.groups[0], daemon->pw_gid);
    snprintf(text, sizeof(text), "%u", daemon->pw_uid);
    (void)find(text);
    assert_int_equal(p.uid, daemon->pw_uid);
    assert_int_equal(p.gid, daemon->pw_gid);
    (void)find("daemon:bin");
    assert_int_equal(p.uid, daemon->pw_uid);
    assert_int_not_equal(p.gid, daemon->pw_gid);
    assert_int_equal(p.groups[0], p.gid);
    (void)find("54321:54322");
    assert_int_equal(p.uid, 54321);
    assert_int_equal(p.gid, 54322);
    assert_int_equal(p.group_count, 1);
}

static void find__refuses_who_is_not_there(void **state)
{
    (void)state;
    refused("no such",
            "user: there is no user 'no such'; make one (useradd --system no such), or "
            "name another");
    refused("daemon:no such", "user: 'daemon:no such': there is no group 'no such'");
    refused("54321", "user: uid 54321 has no entry in the user database; write UID:GID");
    refused(":", "user: ':' is neither NAME nor NAME:GROUP");
    refused(":daemon", "user: ':daemon' is neither NAME nor NAME:GROUP");
    refused("daemon:", "user: 'daemon:' is neither NAME nor NAME:GROUP");
    /* More than a uid can be is a name, and there is none such. */
    refused("4294967295:1",
            "user: there is no user '4294967295'; make one (useradd --system "
            "4294967295), or name another");
    refused("-1:1", "user: there is no user '-1'; make one (useradd --system -1), or "
                    "name another");
}

static void find__refuses_root(void **state)
{
    (void)state;
    refused("root", "user: 'root' is root, who keeps everything; name another, or leave "
                    "`user` out");
    refused("0:1", "user: '0:1' is root, who keeps everything; name another, or leave "
                   "`user` out");
}

/* Whoever runs the tests: another uid than their own is refused unless they are root. */
static void find__refuses_what_cannot_be_become(void **state)
{
    char text[32];
    uid_t other = geteuid() + 1;

    (void)state;
    snprintf(text, sizeof(text), "%u:%u", other, other);
    assert_int_equal(find(text), geteuid() == 0 ? PROA_OK : PROA_BAD_CONFIG);
    assert_string_equal(strstr(err, "cannot become another user") != NULL ? "no" : "yes",
                        geteuid() == 0 ? "yes" : "no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find__nothing_is_nobody),
        cmocka_unit_test(find__names_and_numbers_mean_the_same),
        cmocka_unit_test(find__refuses_who_is_not_there),
        cmocka_unit_test(find__refuses_root),
        cmocka_unit_test(find__refuses_what_cannot_be_become),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
