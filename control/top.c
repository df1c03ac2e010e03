/* SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "kernel_clock.h"
#include "top_lines.h"
#include "top_screen.h"

#define EVERY PROA_S      /* between two snapshots */
#define PLAIN_COLUMNS 120 /* where there is no terminal to ask */
#define PLAIN_ROWS TOP_SCREEN_ROWS_MAX

/* ANSI: the other screen, no cursor; and back. */
#define BEGIN "\x1b[?1049h\x1b[?25l"
#define END "\x1b[?25h\x1b[?1049l"
#define HOME "\x1b[H"
#define CLEAR_LINE "\x1b[K"
#define CLEAR_BELOW "\x1b[J"

struct top {
    const char *path;
    struct top_snapshot snapshots[2];
    unsigned current; /* of the two */
    char text[TOP_SCREEN_ROWS_MAX * (TOP_SCREEN_COLUMNS_MAX + 1) + 1];
};

/* ---- Snapshots ---- */

static bool read_lines(struct top_snapshot *snapshot, char *lines)
{
    char *rest = lines;

    memset(snapshot, 0, sizeof(*snapshot));
    for (char *line = strsep(&rest, "\n"); line != NULL && line[0] != '\0';
         line = strsep(&rest, "\n")) {
        if (!top_line_read(snapshot, line))
            return false;
    }
    return snapshot->node != 0;
}

static enum cli_exit take(struct top *top, FILE *err)
{
    struct cli_request request = {.verb = CLI_TOP};
    char *lines = NULL;
    size_t len;
    FILE *out = open_memstream(&lines, &len);
    enum cli_exit status;

    if (out == NULL) {
        fprintf(err, "proa: out of memory\n");
        return CLI_EXIT_NO;
    }
    status = cli_client_run(top->path, &request, out, err);
    fclose(out);
    top->current ^= 1;
    if (status == CLI_EXIT_OK && !read_lines(&top->snapshots[top->current], lines)) {
        fprintf(err, "proa: top: the node is of another version\n");
        status = CLI_EXIT_NO;
    }
    free(lines);
    return status;
}

static void print(struct top *top, unsigned rows, unsigned columns)
{
    const struct top_snapshot *now = &top->snapshots[top->current];
    const struct top_snapshot *before = &top->snapshots[top->current ^ 1];

    /* Another node answers at that socket now, or it is the first snapshot. */
    if (before->node != now->node)
        before = now;
    top_screen_print(before, now, rows, columns, top->text);
}

/* ---- Without a terminal ---- */

static enum cli_exit run_plain(struct top *top)
{
    const struct timespec span = {EVERY / PROA_S, EVERY % PROA_S};
    enum cli_exit status = take(top, stderr);

    if (status != CLI_EXIT_OK)
        return status;
    nanosleep(&span, NULL);
    status = take(top, stderr);
    if (status != CLI_EXIT_OK)
        return status;
    print(top, PLAIN_ROWS, PLAIN_COLUMNS);
    return fputs(top->text, stdout) >= 0 && fflush(stdout) == 0 ? CLI_EXIT_OK
                                                                : CLI_EXIT_NO;
}

/* ---- On a terminal ---- */

/* The terminal's size, within what top_screen_print takes; its last row stays empty, since a
   newline there would scroll. */
static void size_of(unsigned *rows, unsigned *columns)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 ||
        size.ws_col == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    *rows = size.ws_row - 1u;
    *columns = size.ws_col;
    if (*rows > TOP_SCREEN_ROWS_MAX)
        *rows = TOP_SCREEN_ROWS_MAX;
    if (*columns > TOP_SCREEN_COLUMNS_MAX)
        *columns = TOP_SCREEN_COLUMNS_MAX;
}

static void draw(struct top *top)
{
    unsigned rows, columns;
    char *rest = top->text;

    size_of(&rows, &columns);
    print(top, rows, columns);
    fputs(HOME, stdout);
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n"))
        printf("%s" CLEAR_LINE "\n", line);
    fputs(CLEAR_BELOW, stdout);
    fflush(stdout);
}

/* What the user or the system wants, until `until`. */
enum wish { WISH_NEXT, WISH_REDRAW, WISH_QUIT };

static enum wish wait_for(int signals, proa_ns until)
{
    proa_ns now = clock_now();
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    char key;

    if (now >= until)
        return WISH_NEXT;
    if (poll(fds, 2, (int)((until - now) / PROA_MS) + 1) <= 0)
        return WISH_NEXT;
    if ((fds[1].revents & POLLIN) != 0 && read(signals, &info, sizeof(info)) > 0)
        return info.ssi_signo == SIGWINCH ? WISH_REDRAW : WISH_QUIT;
    if (fds[0].revents == 0)
        return WISH_NEXT;
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
        return WISH_QUIT;
    return WISH_REDRAW;
}

static enum cli_exit show(struct top *top, int signals, FILE *err)
{
    for (;;) {
        proa_ns until = clock_now() + EVERY;
        enum cli_exit status = take(top, err);
        enum wish wish;

        if (status != CLI_EXIT_OK)
            return status;
        do {
            draw(top);
            wish = wait_for(signals, until);
        } while (wish == WISH_REDRAW);
        if (wish == WISH_QUIT)
            return CLI_EXIT_OK;
    }
}

/* Signals come by a descriptor, so that none ends the program before the terminal is itself
   again. */
static int take_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* What goes wrong is said when the first screen is back. */
static enum cli_exit run_terminal(struct top *top)
{
    struct termios before, raw;
    char *said = NULL;
    size_t len;
    FILE *err = open_memstream(&said, &len);
    int signals = take_signals();
    enum cli_exit status = CLI_EXIT_NO;

    if (err != NULL && signals >= 0 && tcgetattr(STDIN_FILENO, &before) == 0) {
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        fputs(BEGIN, stdout);
        status = show(top, signals, err);
        fputs(END, stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    if (err != NULL)
        fclose(err);
    if (said != NULL)
        fputs(said, stderr);
    free(said);
    if (signals >= 0)
        close(signals);
    return status;
}

enum cli_exit top_run(const char *path)
{
    struct top *top = calloc(1, sizeof(*top));
    enum cli_exit status;

    if (top == NULL) {
        fprintf(stderr, "proa: out of memory\n");
        return CLI_EXIT_NO;
    }
    top->path = path;
    if (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
        status = run_terminal(top);
    else
        status = run_plain(top);
    free(top);
    return status;
}
