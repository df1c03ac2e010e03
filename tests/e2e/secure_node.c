/* SPDX-License-Identifier: Apache-2.0 */
/* secure_node [thread] VERB ... - the proa program with a behaviour that tries what a node under a
   filter may not do, in an offloaded job, and answers errno (0: it worked).  With `thread`, there
   is another thread before the node.
   secure_node again FOLDER USER - three nodes one after another in this process, the last with a
   wider filter; an outcome a line. */
#include <proa/node.h>
#include <proa/offload.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRY = 1 };

/* test_secure.py has the same numbers. */
enum trial {
    PACKET_SOCKET = 1,
    WRITE_FILE,
    FORK,
    SETUID,
    NEW_BPF_MAP,
    EXECUTABLE_MEMORY,
    NEW_USER_SPACE,
    KEYCTL,
    READ_FILE,
    THREAD,
    UDP_SOCKET,
    EXECVE,
    IO_URING,
    USERFAULTFD,
    PERF,
    KILL,
    PTRACE,
};

static void *nothing(void *arg)
{
    return arg;
}

static int close_it(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

static int try_fork(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : waitpid(child, NULL, 0) == child ? 0 : -1;
}

static int try_bpf(void)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    return close_it((int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int try_memory(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? -1 : munmap(page, 4096);
}

static int try_thread(void)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, nothing, NULL);

    errno = rc;
    return rc == 0 ? pthread_join(thread, NULL) : -1;
}

static int try_execve(void)
{
    char *const argv[] = {(char *)(uintptr_t) "true", NULL};

    return execve("/bin/true", argv, NULL);
}

static int attempt(enum trial trial)
{
    switch (trial) {
    case PACKET_SOCKET:
        return close_it(socket(AF_PACKET, SOCK_RAW, 0));
    case WRITE_FILE:
        return close_it(open("/dev/null", O_WRONLY));
    case FORK:
        return try_fork();
    case SETUID:
        return (int)syscall(SYS_setuid, getuid());
    case NEW_BPF_MAP:
        return try_bpf();
    case EXECUTABLE_MEMORY:
        return try_memory();
    case NEW_USER_SPACE:
        return unshare(CLONE_NEWUSER);
    case KEYCTL:
        return (int)syscall(SYS_keyctl, 0, -3, 0);
    case READ_FILE:
        return close_it(open("/dev/null", O_RDONLY));
    case THREAD:
        return try_thread();
    case UDP_SOCKET:
        return close_it(socket(AF_INET, SOCK_DGRAM, 0));
    case EXECVE:
        return try_execve();
    case IO_URING:
        return (int)syscall(SYS_io_uring_setup, 0, NULL);
    case USERFAULTFD:
        return (int)syscall(SYS_userfaultfd, 0x800);
    case PERF:
        return (int)syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0);
    case KILL:
        return kill(1, 0);
    case PTRACE:
        return (int)syscall(SYS_ptrace, PTRACE_DETACH, 0, NULL, NULL);
    }
    errno = EINVAL;
    return -1;
}

static void *run(void *arg)
{
    uint64_t *trial = arg;

    *trial = attempt((enum trial) * trial) == 0 ? 0 : (uint64_t)errno;
    return trial;
}

static void on_done(struct proa_actor *self, enum proa_outcome outcome, void *result,
                    const void *ctx)
{
    struct proa_token token;

    PROA_ASSERT(outcome == PROA_OK);
    memcpy(&token, ctx, sizeof(token));
    proa_reply_token(self, token, result, sizeof(uint64_t));
    free(result);
}

static void on_try(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_job job = {.run = run, .arg = malloc(sizeof(uint64_t)), .drop = free};
    struct proa_token token;

    PROA_ASSERT(job.arg != NULL);
    memcpy(job.arg, msg->data, sizeof(uint64_t));
    proa_reply_later(self, msg, &token);
    if (proa_offload(self, &job, on_done, &token, sizeof(token)) != PROA_OK)
        free(job.arg);
}

static const struct proa_on on[] = {{TRY, sizeof(uint64_t), on_try}};
static const struct proa_behaviour trial = {
    .type_name = "trial", .on = on, .on_count = 1};

static void *sleep_on(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static int again(const char *folder, const char *user)
{
    static const char *const extra[] = {"openat", "openat", "fork"};

    for (unsigned i = 0; i < 3; i++) {
        struct proa_config config;
        struct proa_node *node;
        char err[PROA_TEXT_MAX] = "";

        proa_config_init(&config);
        config.port_count = 1;
        snprintf(config.ports[0].spec, sizeof(config.ports[0].spec), "udp:127.0.0.1:0");
        snprintf(config.state_dir, sizeof(config.state_dir), "%s", folder);
        snprintf(config.socket, sizeof(config.socket), "%s/proa.sock", folder);
        snprintf(config.user, sizeof(config.user), "%s", user);
        config.seccomp = true;
        config.seccomp_allow_count = 1;
        strcpy(config.seccomp_allow[0], extra[i]);
        if (proa_node_start(&config, &node, err, sizeof(err)) == PROA_OK)
            proa_node_close(node);
        printf("%u: %s\n", i, err[0] != '\0' ? err : "started");
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct proa_behaviour *const behaviours[] = {&trial};
    pthread_t thread;

    if (argc == 4 && strcmp(argv[1], "again") == 0)
        return again(argv[2], argv[3]);
    if (argc > 1 && strcmp(argv[1], "thread") == 0) {
        if (pthread_create(&thread, NULL, sleep_on, NULL) != 0)
            return 1;
        argv++;
        argc--;
    }
    return proa_main(argc, argv, behaviours, 1);
}
