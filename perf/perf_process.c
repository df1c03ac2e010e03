/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perf_clock.h"

static volatile sig_atomic_t caught;

static void on_stop(int sig)
{
    (void)sig;
    caught = 1;
}

void perf_process_catch(void)
{
    const struct sigaction stop = {.sa_handler = on_stop};

    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
}

bool perf_process_caught(void)
{
    return caught != 0;
}

static void close_pipe(struct perf_pipe *pipe)
{
    if (pipe->in >= 0)
        close(pipe->in);
    if (pipe->out >= 0)
        close(pipe->out);
    pipe->in = pipe->out = -1;
}

bool perf_process_start(struct perf_process *process,
                        int (*body)(const struct perf_pipe *pipe, void *ctx), void *ctx)
{
    int down[2], up[2];
    pid_t parent = getpid();

    if (pipe2(down, O_CLOEXEC) != 0)
        return false;
    if (pipe2(up, O_CLOEXEC) != 0) {
        close(down[0]);
        close(down[1]);
        return false;
    }
    struct perf_pipe ours = {.in = up[0], .out = down[1]};
    struct perf_pipe theirs = {.in = down[0], .out = up[1]};
    fflush(NULL);
    process->pid = fork();
    if (process->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* gone before prctl */
            _exit(1);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        caught = 0;
        close_pipe(&ours);
        _exit(body(&theirs, ctx));
    }
    close_pipe(&theirs);
    process->pipe = ours;
    if (process->pid > 0)
        return true;
    close_pipe(&process->pipe);
    process->pid = 0;
    return false;
}

bool perf_process_ended(const struct perf_process *process)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == process->pid;
}

bool perf_process_end(struct perf_process *process, proa_ns patience)
{
    const struct timespec step = {0, 10 * 1000 * 1000};
    proa_ns until = perf_clock_ns() + patience;
    int status = 0;

    if (process->pid == 0)
        return true;
    close_pipe(&process->pipe);
    while (waitpid(process->pid, &status, WNOHANG) == 0) {
        if (perf_clock_ns() > until) {
            kill(process->pid, SIGKILL);
            waitpid(process->pid, &status, 0);
            break;
        }
        nanosleep(&step, NULL);
    }
    process->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool perf_pipe_wait(const struct perf_pipe *pipe, proa_ns span)
{
    struct pollfd fd = {.fd = pipe->in, .events = POLLIN};

    return poll(&fd, 1, (int)((span + PROA_MS - 1) / PROA_MS)) != 0;
}

bool perf_pipe_read(const struct perf_pipe *pipe, void *buf, size_t len, proa_ns patience)
{
    proa_ns until = perf_clock_ns() + patience;
    uint8_t *to = buf;

    while (len > 0) {
        proa_ns now = perf_clock_ns();
        struct pollfd fd = {.fd = pipe->in, .events = POLLIN};
        ssize_t got;

        if (caught || now >= until ||
            poll(&fd, 1, (int)((until - now) / PROA_MS + 1)) <= 0)
            return false;
        got = read(pipe->in, to, len);
        if (got <= 0)
            return false;
        to += got;
        len -= (size_t)got;
    }
    return true;
}

bool perf_pipe_write(const struct perf_pipe *pipe, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    while (len > 0) {
        ssize_t put = write(pipe->out, from, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        from += put;
        len -= (size_t)put;
    }
    return true;
}
