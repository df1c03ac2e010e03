/* SPDX-License-Identifier: Apache-2.0 */
#include "syscall_filter.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <linux/vfio.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the list below was made for x86_64 and aarch64"
#endif

/* ---- Calls that are made whatever their arguments.  docs/security.md names the same. ---- */

static const char *const allowed[] = {
    /* Every thread: its memory.  malloc, jemalloc's arenas, DPDK's memory that grows, a vhost
       neighbour's memory; mmap and mprotect are further down. */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "mincore",
    "memfd_create",
    "ftruncate",
    "fallocate",
    "get_mempolicy",
    "set_mempolicy",
    "mbind",
    "membarrier",
    "rseq",

    /* Every thread: locks, sleep, time.  Lanes and the control thread sleep in epoll. */
    "futex",
    "futex_waitv",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "eventfd2",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    "pipe2",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "restart_syscall",

    /* Threads made later: offload, the local socket's, DPDK's and the user's. */
    "set_robust_list",
    "get_robust_list",
    "sched_setaffinity",
    "sched_getaffinity",
    "sched_yield",
    "sched_getparam",
    "sched_getscheduler",
    "sched_setscheduler",
    "sched_get_priority_min",
    "sched_get_priority_max",
    "getcpu",
    "exit",

    /* Signals: the wait for Ctrl-C, SIGPIPE in vhost, thread cancellation, abort. */
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "rt_sigpending",
    "rt_sigtimedwait",
    "sigaltstack",

    /* Ports and the local socket: open descriptors, and new unix sockets of vhost.  Which new
       sockets there may be is further down. */
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "flock",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "shutdown",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",

    /* Files: looked at, read (openat is further down), and sockets' names removed. */
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "lseek",
    "getdents64",
    "readlink",
    "readlinkat",
    "getcwd",
    "unlink",
    "unlinkat",
    "fsync",
    "fdatasync",

    /* Who and where one is; random numbers for cookies and names. */
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "capget",
    "getrandom",
    "getrusage",
    "getrlimit",
    "sysinfo",
    "uname",
    "times",

    /* The end. */
    "exit_group",
};

/* ---- Calls that are made with some arguments only: (argument & mask) == value ---- */

#define MOST 2 /* conditions of a row, all of which must hold */

struct condition {
    unsigned argument;
    uint64_t mask, value;
};

struct row {
    const char *name;
    unsigned count;
    struct condition conditions[MOST];
};

#define WHOLE UINT32_MAX /* of an int */
#define NEW_SPACES                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |       \
     CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE)
#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC)
#define KIND 0xf          /* of a socket; the rest are its flags */
#define IOCTL_TYPE 0xff00 /* of a request: the driver it is meant for */

static const struct row narrow[] = {
    /* Threads, no processes and no name spaces. */
    {"clone", 1, {{0, CLONE_THREAD | NEW_SPACES, CLONE_THREAD}}},

    /* Files for reading. */
    {"open", 1, {{1, WRITES, O_RDONLY}}},
    {"openat", 1, {{2, WRITES, O_RDONLY}}},

    /* Memory that can be written or executed, not both; executable only as it is mapped, which
       is how a shared library is loaded. */
    {"mmap", 1, {{2, PROT_WRITE | PROT_EXEC, 0}}},
    {"mmap", 1, {{2, PROT_WRITE | PROT_EXEC, PROT_WRITE}}},
    {"mmap", 1, {{2, PROT_WRITE | PROT_EXEC, PROT_EXEC}}},
    {"mprotect", 1, {{2, PROT_EXEC, 0}}},

    /* vhost meetings, the local socket, an offloaded job's connections, and what libc asks the
       kernel about addresses for it. */
    {"socket", 1, {{0, WHOLE, AF_UNIX}}},
    {"socket", 2, {{0, WHOLE, AF_INET}, {1, KIND, SOCK_STREAM}}},
    {"socket", 2, {{0, WHOLE, AF_INET}, {1, KIND, SOCK_DGRAM}}},
    {"socket", 2, {{0, WHOLE, AF_INET6}, {1, KIND, SOCK_STREAM}}},
    {"socket", 2, {{0, WHOLE, AF_INET6}, {1, KIND, SOCK_DGRAM}}},
    {"socket", 2, {{0, WHOLE, AF_NETLINK}, {2, WHOLE, 0}}},
    {"socketpair", 1, {{0, WHOLE, AF_UNIX}}},

    /* The program's counters and addresses, and its end; no new programs, maps or links. */
    {"bpf", 1, {{0, WHOLE, BPF_MAP_LOOKUP_ELEM}}},
    {"bpf", 1, {{0, WHOLE, BPF_MAP_UPDATE_ELEM}}},
    {"bpf", 1, {{0, WHOLE, BPF_MAP_DELETE_ELEM}}},
    {"bpf", 1, {{0, WHOLE, BPF_LINK_DETACH}}},

    /* Names of threads and of memory. */
    {"prctl", 1, {{0, WHOLE, PR_SET_NAME}}},
    {"prctl", 1, {{0, WHOLE, PR_GET_NAME}}},
    {"prctl", 1, {{0, WHOLE, PR_SET_VMA}}},
    {"prlimit64", 1, {{2, UINT64_MAX, 0}}}, /* asked for, not set */

    /* The local socket of a later node in this process: its owner's only. */
    {"fchmod", 1, {{1, WHOLE, 0600}}},

    /* Descriptors that do not block, bytes that wait, and whether it is a terminal. */
    {"ioctl", 1, {{1, WHOLE, FIONBIO}}},
    {"ioctl", 1, {{1, WHOLE, FIONREAD}}},
    {"ioctl", 1, {{1, WHOLE, FIOCLEX}}},
    {"ioctl", 1, {{1, WHOLE, TCGETS}}},
    {"ioctl", 1, {{1, WHOLE, TIOCGWINSZ}}},

    /* ethdev, on devices that are open: interrupts, reset and the end of vfio's, the verbs of an
       mlx5, and what drivers that share a device with the kernel ask about its interface. */
    {"ioctl", 1, {{1, IOCTL_TYPE, VFIO_TYPE << 8}}},
    {"ioctl", 1, {{1, IOCTL_TYPE, RDMA_IOCTL_MAGIC << 8}}},
    {"ioctl", 1, {{1, WHOLE, SIOCETHTOOL}}},
    {"ioctl", 1, {{1, WHOLE, SIOCGIFFLAGS}}},
    {"ioctl", 1, {{1, WHOLE, SIOCGIFMTU}}},
    {"ioctl", 1, {{1, WHOLE, SIOCGIFHWADDR}}},
    {"ioctl", 1, {{1, WHOLE, SIOCGIFINDEX}}},
    {"ioctl", 1, {{1, WHOLE, SIOCGIFNAME}}},
};

/* ---- Calls that only an intruder makes ---- */

static const char *const deadly[] = {
    /* Another program, or another process' memory. */
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",

    /* The kernel and the file system's shape. */
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "fsopen",
    "fsmount",
    "open_tree",
    "chroot",
    "swapon",
    "swapoff",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *syscall_filter_allowed(unsigned index)
{
    if (index < COUNT(allowed))
        return allowed[index];
    index -= COUNT(allowed);
    return index < COUNT(narrow) ? narrow[index].name : NULL;
}

const char *syscall_filter_deadly(unsigned index)
{
    return index < COUNT(deadly) ? deadly[index] : NULL;
}

bool syscall_filter_known(const char *name)
{
    return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}

/* ---- Making it ---- */

struct extra {
    const char (*names)[PROA_SYSCALL_MAX + 1];
    unsigned count;
};

static bool is_extra(const struct extra *extra, const char *name)
{
    for (unsigned i = 0; i < extra->count; i++) {
        if (strcmp(extra->names[i], name) == 0)
            return true;
    }
    return false;
}

/* Calls that this architecture does not have are passed over by libseccomp. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name,
               const struct row *row)
{
    struct scmp_arg_cmp args[MOST];
    int number = seccomp_syscall_resolve_name(name);
    unsigned count = row != NULL ? row->count : 0;

    for (unsigned i = 0; i < count; i++)
        args[i] =
            (struct scmp_arg_cmp){row->conditions[i].argument, SCMP_CMP_MASKED_EQ,
                                  row->conditions[i].mask, row->conditions[i].value};
    return seccomp_rule_add_array(filter, action, number, count, args);
}

/* Signals go to this process alone. */
static int add_own_signals(scmp_filter_ctx filter)
{
    const struct row row = {"tgkill", 1, {{0, WHOLE, (uint64_t)getpid()}}};

    return add(filter, SCMP_ACT_ALLOW, row.name, &row);
}

static int add_all(scmp_filter_ctx filter, const struct extra *extra)
{
    int rc = 0;

    for (unsigned i = 0; i < COUNT(allowed) && rc == 0; i++)
        rc = add(filter, SCMP_ACT_ALLOW, allowed[i], NULL);
    for (unsigned i = 0; i < COUNT(narrow) && rc == 0; i++) {
        if (!is_extra(extra, narrow[i].name))
            rc = add(filter, SCMP_ACT_ALLOW, narrow[i].name, &narrow[i]);
    }
    for (unsigned i = 0; i < COUNT(deadly) && rc == 0; i++) {
        if (!is_extra(extra, deadly[i]))
            rc = add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], NULL);
    }
    if (rc == 0 && !is_extra(extra, "tgkill"))
        rc = add_own_signals(filter);
    if (rc == 0 && !is_extra(extra, "clone3"))
        rc = add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
    for (unsigned i = 0; i < extra->count && rc == 0; i++)
        rc = add(filter, SCMP_ACT_ALLOW, extra->names[i], NULL);
    return rc;
}

static int load(const struct extra *extra)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc;

    if (filter == NULL)
        return -ENOMEM;
    rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (rc == 0) /* the filter alone is no reason for slower branches in every thread */
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    if (rc == 0) /* a tree of comparisons instead of a list */
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = add_all(filter, extra);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc;
}

/* What this process' filter has beyond the lists, once it has one. */
static struct {
    bool loaded;
    char names[PROA_SYSCALLS_MAX][PROA_SYSCALL_MAX + 1];
    unsigned count;
} present;

enum proa_outcome syscall_filter_load(const char (*extra)[PROA_SYSCALL_MAX + 1],
                                      unsigned count, char *err, size_t err_len)
{
    const struct extra wanted = {extra, count};
    const struct extra has = {(const char(*)[PROA_SYSCALL_MAX + 1]) present.names,
                              present.count};

    PROA_ASSERT(count <= PROA_SYSCALLS_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (!syscall_filter_known(extra[i])) {
            snprintf(err, err_len, "seccomp_allow: there is no system call '%s'",
                     extra[i]);
            return PROA_BAD_CONFIG;
        }
        if (present.loaded && !is_extra(&has, extra[i])) {
            snprintf(err, err_len,
                     "seccomp_allow: '%s' cannot be added: this process has its filter "
                     "already; start a new process",
                     extra[i]);
            return PROA_BAD_CONFIG;
        }
    }
    if (present.loaded)
        return PROA_OK;
    int rc = load(&wanted);
    if (rc == -ENOMEM) {
        snprintf(err, err_len, "seccomp: no memory for the filter");
        return PROA_NO_MEMORY;
    }
    if (rc != 0) {
        snprintf(
            err, err_len,
            "seccomp: the kernel took no filter (%s); it needs CONFIG_SECCOMP_FILTER "
            "and Linux 4.14; else write seccomp: off",
            strerror(-rc));
        return PROA_BAD_CONFIG;
    }
    present.loaded = true;
    present.count = count;
    memcpy(present.names, extra, count * sizeof(extra[0]));
    return PROA_OK;
}
