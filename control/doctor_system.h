/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_system.h - the machine as `proa doctor` sees it: files below a root, and a few answers of
   the kernel that are not files.

   Tests put a folder with a proc/ and a sys/ of their own in place of the root, and fill the
   answers in.

   Everything read is untrusted: files are read up to a bound, without waiting on a pipe, and text
   comes back as printable ASCII, all else as '?'.

   Threads: any, no state.  Units: bytes; cores as the kernel numbers them.
   Errors:  false: there is no such file, or what it says is not what was asked for. */
#ifndef DOCTOR_SYSTEM_H
#define DOCTOR_SYSTEM_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCTOR_LINE_MAX 32768u /* of /proc/interrupts: 11 bytes for each of 1,024 cores */
#define DOCTOR_LINES_MAX 65536u   /* of one file */
#define DOCTOR_ENTRIES_MAX 65536u /* of one folder */
#define DOCTOR_UNLIMITED UINT64_MAX

/* Capabilities by their numbers.  Source: linux/capability.h */
enum doctor_cap {
    DOCTOR_CAP_NET_ADMIN = 12,
    DOCTOR_CAP_NET_RAW = 13,
    DOCTOR_CAP_IPC_LOCK = 14,
    DOCTOR_CAP_SYS_ADMIN = 21,
    DOCTOR_CAP_SYS_RESOURCE = 24,
    DOCTOR_CAP_BPF = 39,
};

/* Of a network device.  Source: enum netdev_xdp_act of linux/netdev.h (6.3) */
#define DOCTOR_XDP_BASIC 1u
#define DOCTOR_XDP_REDIRECT 2u
#define DOCTOR_XDP_ZEROCOPY 8u

/* A network interface, as rtnetlink and ethtool have it. */
struct doctor_nic {
    unsigned index;
    uint32_t mtu;
    bool up, ethernet;
    bool has_address; /* the one asked for, or any that is not link-local */

    /* Where the driver does not say: 0. */
    uint32_t queues, queues_max; /* that receive and send */
    uint32_t rx_ring, rx_ring_max, tx_ring, tx_ring_max;
    bool has_coalesce;
    uint32_t rx_usecs;
    bool adaptive_rx;
    bool has_udp_hash, udp_ports_hashed; /* the RSS hash of UDP over IPv4 */
    uint32_t table, table_queues; /* RSS indirection: entries, and queues they name */
    bool lro;

    bool has_xdp_features; /* kernels from 6.3 on say */
    uint64_t xdp_features; /* DOCTOR_XDP_ */
    uint32_t program;      /* id of the XDP program that is attached; 0: none */
    char program_name[16]; /* "?": not for us to see */
};

struct doctor_system {
    const char *root;      /* "" is the machine itself; borrowed */
    cpu_set_t allowed;     /* cores the caller may use */
    uint64_t capabilities; /* effective, by bit */
    unsigned uid, gid;
    uint64_t memlock, memlock_hard; /* bytes, or DOCTOR_UNLIMITED */

    /* nic answers about an interface.  address: "10.0.0.1/24", that it should have, or "": any.
       False: there is no such interface. */
    bool (*nic)(void *ctx, const char *name, const char *address, struct doctor_nic *ret);
    void *ctx;
};

/* doctor_system_here is this machine and this process. */
void doctor_system_here(struct doctor_system *ret);

/* doctor_nic_here is `nic` for this machine (doctor_nic.c). */
bool doctor_nic_here(void *ctx, const char *name, const char *address,
                     struct doctor_nic *ret);

#define DOCTOR_PATH(n) __attribute__((format(printf, n, n + 1)))

/* doctor_word reads the first line of a file. */
bool doctor_word(const struct doctor_system *system, char *buf, size_t len,
                 const char *path, ...) DOCTOR_PATH(4);

/* doctor_number reads a file that is one decimal number, with '-' in front where negative ones
   are possible. */
bool doctor_number(const struct doctor_system *system, int64_t *ret, const char *path,
                   ...) DOCTOR_PATH(3);

/* doctor_choice reads the word in brackets: "always [madvise] never". */
bool doctor_choice(const struct doctor_system *system, char *buf, size_t len,
                   const char *path, ...) DOCTOR_PATH(4);

/* doctor_cpus reads a list of cores: "0-3,8". */
bool doctor_cpus(const struct doctor_system *system, cpu_set_t *ret, const char *path,
                 ...) DOCTOR_PATH(3);

/* doctor_target reads the last name of what a symbolic link points to. */
bool doctor_target(const struct doctor_system *system, char *buf, size_t len,
                   const char *path, ...) DOCTOR_PATH(4);

bool doctor_there(const struct doctor_system *system, const char *path, ...)
    DOCTOR_PATH(2);

/* doctor_usable: the caller may read and write the file, by its owner and mode. */
bool doctor_usable(const struct doctor_system *system, const char *path, ...)
    DOCTOR_PATH(2);

/* doctor_lines calls fn for each line, NUL-terminated and printable, until it returns false.  A
   longer line is cut. */
bool doctor_lines(const struct doctor_system *system, bool (*fn)(void *ctx, char *line),
                  void *ctx, const char *path, ...) DOCTOR_PATH(4);

/* doctor_entries calls fn for each name in a folder but those that begin with a dot, in no
   order, until it returns false. */
bool doctor_entries(const struct doctor_system *system,
                    bool (*fn)(void *ctx, const char *name), void *ctx, const char *path,
                    ...) DOCTOR_PATH(4);

/* doctor_cpus_read parses a list of cores; empty text is no core. */
bool doctor_cpus_read(const char *text, cpu_set_t *ret);

/* doctor_cpus_text writes "1-3,8"; words: "1 2 3 8", for a shell's `for`.  What does not fit is
   left off. */
void doctor_cpus_text(const cpu_set_t *set, bool words, char *buf, size_t len);

/* doctor_plain: a name that may stand in a command as it is: letters, digits, and . _ - : @ not in
   front. */
bool doctor_plain(const char *name);

/* doctor_print_safe replaces what is not printable ASCII. */
void doctor_print_safe(char *text);

static inline bool doctor_can(const struct doctor_system *system, enum doctor_cap cap)
{
    return (system->capabilities >> cap & 1) != 0;
}

#endif
