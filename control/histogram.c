/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <string.h>

/* Spans below HISTOGRAM_PARTS have a bucket each; above, the highest bits of the span are its
   bucket, and the number of bits cut off is its shift. */
static uint32_t bucket_of(proa_ns span)
{
    uint32_t shift;

    if (span < HISTOGRAM_PARTS)
        return (uint32_t)span;
    shift =
        63 - (uint32_t)__builtin_clzll(span) - (uint32_t)__builtin_ctz(HISTOGRAM_PARTS);
    if (shift >= HISTOGRAM_SHIFTS)
        return HISTOGRAM_BUCKETS - 1;
    return HISTOGRAM_PARTS * shift + (uint32_t)(span >> shift);
}

/* The largest span that falls into bucket. */
static proa_ns end_of(uint32_t bucket)
{
    uint32_t shift;

    if (bucket < 2 * HISTOGRAM_PARTS)
        return bucket;
    shift = bucket / HISTOGRAM_PARTS - 1;
    return ((proa_ns)(bucket - HISTOGRAM_PARTS * shift + 1) << shift) - 1;
}

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

void histogram_add(struct histogram *h, proa_ns span)
{
    if (h->count == 0 || span < h->least)
        h->least = span;
    if (span > h->most)
        h->most = span;
    h->count++;
    h->buckets[bucket_of(span)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->least < into->least)
        into->least = from->least;
    if (from->most > into->most)
        into->most = from->most;
    into->count += from->count;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

proa_ns histogram_percentile(const struct histogram *h, uint32_t ppm)
{
    /* Rounded up, in two parts, so that nothing overflows. */
    uint64_t rank =
        h->count / 1000000 * ppm + (h->count % 1000000 * ppm + 999999) / 1000000;
    uint64_t seen = 0;

    if (h->count == 0)
        return 0;
    if (rank == 0)
        return h->least;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return end_of(i) < h->most ? end_of(i) : h->most;
    }
    return h->most;
}
