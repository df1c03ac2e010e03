/* SPDX-License-Identifier: Apache-2.0 */
/* perf_payload.h - what the measured messages carry: every word of them can be checked.

   Word i of message number n is n + i * PERF_PAYLOAD_STEP.  The numbers of each receiver are its
   own, so that another's message does not look like the one expected.  The receiver knows the
   number it expects, so a lost, repeated, reordered, misdelivered, mixed-up or damaged message
   shows; the sum of all words read is compared with that of all words written at the end.

   Bulk messages (more than PERF_PAYLOAD_WHOLE words) cost more to write and to read than to move,
   and what else its lane has to do waits for it (1 MiB, a word of each cache line: 250 us).  So of
   most of them only one word in PERF_PAYLOAD_STRIDE is written and checked: every fragment still
   shows whose it is, and when.  Each PERF_PAYLOAD_EACH-th is whole.

   Threads: pure.  Units: words of 8 bytes.  Errors: none. */
#ifndef PERF_PAYLOAD_H
#define PERF_PAYLOAD_H

#include <stdint.h>

#include <proa/types.h>

#define PERF_PAYLOAD_WHOLE 512u /* words */
#define PERF_PAYLOAD_EACH 64u
#define PERF_PAYLOAD_STRIDE 128u /* words: 1 KiB, less than a fragment */
#define PERF_PAYLOAD_NUMBERS 40u /* bits: a receiver's messages */

/* The first number of a receiver's. */
static inline uint64_t perf_first_number(uint32_t receiver)
{
    return (uint64_t)receiver << PERF_PAYLOAD_NUMBERS;
}

#define PERF_PAYLOAD_STEP                                                                \
    0x9e3779b97f4a7c15u /* 2^64 / golden ratio: odd, no short period */

/* One loop for both directions, so that the two cannot disagree.  With a constant number of
   words the compiler unrolls it. */
static inline uint64_t perf_payload_fill_n(uint64_t *to, uint32_t words, uint64_t number)
{
    uint64_t word = number, sum = 0;

    for (uint32_t i = 0; i < words; i++, word += PERF_PAYLOAD_STEP) {
        /* Keeps it in words: vectors of four cost more to put together than they save. */
        __asm__("" : "+r"(word));
        to[i] = word;
        sum += word;
    }
    return sum;
}

/* perf_payload_fill writes a payload and returns the sum of its words. */
static inline uint64_t perf_payload_fill(uint64_t *to, uint32_t words, uint64_t number)
{
    return words == 4 ? perf_payload_fill_n(to, 4, number)
                      : perf_payload_fill_n(to, words, number);
}

static inline bool perf_payload_check_n(const uint64_t *from, uint32_t words,
                                        uint64_t number, uint64_t *sum)
{
    uint64_t word = number, all = 0, wrong = 0;

    for (uint32_t i = 0; i < words; i++, word += PERF_PAYLOAD_STEP) {
        all += from[i];
        wrong |= from[i] ^ word;
    }
    *sum += all;
    return wrong == 0;
}

/* perf_payload_check reads a payload, adds its words to *sum and says whether it is number's. */
static inline bool perf_payload_check(const uint64_t *from, uint32_t words,
                                      uint64_t number, uint64_t *sum)
{
    return words == 4 ? perf_payload_check_n(from, 4, number, sum)
                      : perf_payload_check_n(from, words, number, sum);
}

/* ---- Of any size ---- */

static inline bool perf_payload_is_whole(uint32_t words, uint64_t number)
{
    return words <= PERF_PAYLOAD_WHOLE || number % PERF_PAYLOAD_EACH == 0;
}

/* The sum, of a bulk message that is not whole: of the words that count. */
static inline uint64_t perf_payload_fill_any(uint64_t *to, uint32_t words,
                                             uint64_t number)
{
    uint64_t sum = 0;

    if (__builtin_expect(perf_payload_is_whole(words, number), 1))
        return perf_payload_fill(to, words, number);
    for (uint32_t i = 0; i < words; i += PERF_PAYLOAD_STRIDE) {
        to[i] = number + i * PERF_PAYLOAD_STEP;
        sum += to[i];
    }
    return sum;
}

static inline bool perf_payload_check_any(const uint64_t *from, uint32_t words,
                                          uint64_t number, uint64_t *sum)
{
    uint64_t all = 0, wrong = 0;

    if (__builtin_expect(perf_payload_is_whole(words, number), 1))
        return perf_payload_check(from, words, number, sum);
    for (uint32_t i = 0; i < words; i += PERF_PAYLOAD_STRIDE) {
        all += from[i];
        wrong |= from[i] ^ (number + i * PERF_PAYLOAD_STEP);
    }
    *sum += all;
    return wrong == 0;
}

#endif
