/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <proa/types.h>

#include "directory_loops.h"
#include "directory_rte_loops.h"

struct directory_rte {
    struct rte_hash *hash;
    const uint8_t *sequence;
    uint64_t at, checksum, count;
};

/* Of 2 MiB. */
static unsigned free_huge_pages(void)
{
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    unsigned pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%u", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages;
}

/* In huge pages when 256 MB of them are free: its best side. */
static bool start_eal(void)
{
    static char *huge[] = {"bench", "--in-memory",   "--no-pci",
                           "-l0",   "--log-level=4", NULL};
    static char *plain[] = {"bench", "--in-memory",   "--no-pci",
                            "-l0",   "--log-level=4", "--no-huge",
                            "-m",    "512",           NULL};
    static int started;

    if (started == 0) {
        bool has = free_huge_pages() >= 128;
        started = rte_eal_init(has ? 5 : 8, has ? huge : plain) >= 0 ? 1 : -1;
    }
    return started > 0;
}

struct directory_rte *directory_rte_create(const struct directory_loops *names)
{
    struct directory_rte *r = calloc(1, sizeof(*r));
    uint32_t count = directory_loops_names(names);
    struct rte_hash_parameters parameters = {
        .name = "names",
        .entries = count,
        .key_len = DIRECTORY_LOOPS_NAME,
        .hash_func = rte_hash_crc,
        .extra_flag =
            RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
    };

    if (r == NULL || !start_eal())
        return NULL;
    r->sequence = directory_loops_sequence(names, &r->count);
    r->hash = rte_hash_create(&parameters);
    if (r->hash == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        void *data = (void *)(uintptr_t)(i + 1);
        if (rte_hash_add_key_data(r->hash, directory_loops_name(names, i), data) != 0)
            return NULL;
    }
    return r;
}

void directory_rte_destroy(struct directory_rte *r)
{
    if (r == NULL)
        return;
    rte_hash_free(r->hash);
    free(r);
}

void directory_rte_independent(struct directory_rte *r, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *name =
            r->sequence + ((r->at + i) & (r->count - 1)) * DIRECTORY_LOOPS_NAME;
        void *data;

        PROA_ASSERT(rte_hash_lookup_data(r->hash, name, &data) >= 0);
        sum += (uintptr_t)data;
    }
    r->at += n;
    r->checksum += sum;
}
