/* SPDX-License-Identifier: Apache-2.0 */
/* eal_log.h - the last of what DPDK said, kept in memory.

   Threads: any.  Units: bytes.  Errors: none. */
#ifndef EAL_LOG_H
#define EAL_LOG_H

#include <stdbool.h>

/* eal_log_open makes DPDK log into the buffer that eal_log (eal.h) reads; false: no memory. */
bool eal_log_open(void);

#endif
