/* SPDX-License-Identifier: Apache-2.0 */
/* eal.h - DPDK's environment: started once in a process, one lcore per lane.

   Lcore 0 stands for the control thread and for DPDK's own threads; they run on all cores of
   this process but the lanes' (on all of them when the lanes leave none).  Lane i is lcore
   i + 1, pinned to its core.  The caller's thread is neither pinned nor renamed: the
   environment is started by a thread that ends with the start.

   Memory: huge pages without files (--in-memory), so that a killed process leaves nothing
   behind, or ordinary pages (--no-huge).  Either way in one segment file descriptor, which a
   vhost neighbour maps.  All of it is taken at the start.

   What DPDK has to say goes into a small buffer (eal_log), not to the terminal; the environment
   variable PROA_DPDK_LOG=1 shows it on stderr too.

   DPDK cannot be started twice.  After eal_stop a later eal_start of the same process takes the
   old environment over, if it has lanes and memory enough.

   Threads: start, launch, join, stop: one at a time.  Units: MiB.
   Errors:  enum proa_outcome and one sentence in err. */
#ifndef EAL_H
#define EAL_H

#include <proa/node.h>

#define EAL_DEVICES_MAX 8 /* as many as ports */

struct eal_config {
    enum proa_pages pages;
    unsigned lanes;     /* 1..PROA_LANES_MAX */
    const int *cores;   /* one per lane, -1: chosen; NULL: all chosen */
    uint32_t memory_mb; /* for pools, rings and DPDK itself */
    uint32_t plain_mb;  /* the same on ordinary pages; 0: no more than that */
    /* PCI devices that DPDK is to take, with their arguments ("0000:03:00.0,a=1"); all others
       it leaves alone. */
    const char *devices[EAL_DEVICES_MAX];
    unsigned device_count;
};

/* eal_runtime_folder makes the folder of DPDK's telemetry socket, as far as the calling thread may,
   and says whether it is there and usable by the process.  shared: the process' effective group may
   write to it too, else only the owner.  eal_start calls it, and says in a line on stderr when there is
   to be no socket; whoever is to remove the socket at the end calls it before. */
bool eal_runtime_folder(bool shared);

/* eal_start: OK; ALREADY_RUNNING: a node of this process has it; BAD_CONFIG: a core that this
   process may not use; NO_MEMORY: fewer free huge pages than needed; NO_PORT: all else. */
enum proa_outcome eal_start(const struct eal_config *config, char *err, size_t err_len);

/* eal_stop gives the environment back; lanes have been joined. */
void eal_stop(void);

/* eal_launch runs fn(arg) on the lane's core; false: it runs something already. */
bool eal_launch(unsigned lane, void (*fn)(void *arg), void *arg);

/* eal_join blocks until the lane's function has returned. */
void eal_join(unsigned lane);

/* eal_pin_control puts the calling thread onto the control cores. */
void eal_pin_control(void);

int eal_core(unsigned lane); /* the core it is pinned to */
bool eal_cores_shared(
    void);           /* a lane shares its core with another lane or with control */
bool eal_huge(void); /* huge pages are in use */

/* eal_log copies the last of what DPDK said, and returns its length. */
size_t eal_log(char *buf, size_t len);

/* eal_log_error copies the last line that speaks of trouble ("" if none), without its newline:
   for error texts. */
void eal_log_error(char *buf, size_t len);

#endif
