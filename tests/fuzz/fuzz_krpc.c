/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_krpc.c - any bytes as a datagram.  The first byte of the input chooses what is done
   with the rest:

     1  seal it first, where it has room for an envelope: it must then open
     2  decode it; what decodes must encode, and decode to the same message again */
#include "bencode.h"
#include "envelope.h"
#include "krpc.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 2048 /* longer than any datagram we take */
#define NOW 1790000000000u
#define EPOCH 1

#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            __builtin_trap();                                                            \
    } while (0)

static struct cluster_keys keys;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t secret[PROA_CLUSTER_SECRET_LEN] = {1};

    (void)argc;
    (void)argv;
    MUST(sodium_init() >= 0);
    cluster_keys_init(&keys, secret);
    return 0;
}

static void try_envelope(const uint8_t *data, size_t len)
{
    struct envelope seen;
    uint8_t *copy = malloc(len + 1); /* its own block, so that ASan sees every overrun */

    MUST(copy != NULL);
    memcpy(copy, data, len);
    int as_it_came = envelope_open(&keys, data, len, NOW, EPOCH, NULL);
    if (envelope_seal(&keys, copy, len, NOW - 7, EPOCH, 3) == 0) {
        MUST(envelope_open(&keys, copy, len, NOW, EPOCH, &seen) == 0);
        MUST(as_it_came != ENVELOPE_E_MISSING);
        MUST(seen.time_ms == NOW - 7 && seen.epoch == EPOCH && seen.flags == 3);
        copy[len - 1] ^= 1;
        MUST(envelope_open(&keys, copy, len, NOW, EPOCH, &seen) != 0);
    } else {
        MUST(as_it_came == ENVELOPE_E_MISSING);
    }
    free(copy);
}

static bool same_span(struct bencode_span a, struct bencode_span b)
{
    return (a.at == NULL) == (b.at == NULL) && a.len == b.len &&
           (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void must_be_same(const struct krpc_message *a, const struct krpc_message *b)
{
    MUST(a->kind == b->kind && a->query == b->query && a->has == b->has);
    MUST(a->t_len == b->t_len && memcmp(a->t, b->t, a->t_len) == 0);
    MUST(a->ro == b->ro && memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0);
    MUST(same_span(a->version, b->version));
    if (a->kind == KRPC_ERROR) { /* what stood beside its `e` is not written */
        MUST(a->error == b->error && same_span(a->error_text, b->error_text));
        return;
    }
    MUST(kad_id_equal(&a->id, &b->id));
    MUST(!(a->has & KRPC_HAS_TARGET) || kad_id_equal(&a->target, &b->target));
    MUST(a->seq == b->seq && a->cas == b->cas && a->lease == b->lease);
    MUST(a->want == b->want && a->port == b->port && a->ok == b->ok);
    MUST(a->implied_port == b->implied_port);
    MUST(same_span(a->token, b->token) && same_span(a->v, b->v));
    MUST(same_span(a->salt, b->salt) && same_span(a->pairs, b->pairs));
    MUST(same_span(a->targets, b->targets) && same_span(a->lack, b->lack));
    MUST((a->k == NULL) == (b->k == NULL) && (a->sig == NULL) == (b->sig == NULL));
    MUST((a->nonce == NULL) == (b->nonce == NULL));
    MUST((a->proof == NULL) == (b->proof == NULL));
    MUST(a->node_count == b->node_count && a->node6_count == b->node6_count);
    MUST(memcmp(a->nodes, b->nodes, a->node_count * sizeof(a->nodes[0])) == 0);
    MUST(memcmp(a->nodes6, b->nodes6, a->node6_count * sizeof(a->nodes6[0])) == 0);
    MUST(a->value_count == b->value_count);
    MUST(memcmp(a->values, b->values, a->value_count * sizeof(a->values[0])) == 0);
}

static void try_decode(const uint8_t *data, size_t len)
{
    static struct krpc_message first, second;
    static uint8_t once[PACKET_MAX], twice[PACKET_MAX];
    struct bencode_span bytes;

    if (krpc_decode(&first, data, len) != 0)
        return;
    if (first.v.at != NULL)
        krpc_value_string(first.v, &bytes);
    if (first.kind == KRPC_ERROR) /* its body, if any, is not part of it */
        first.has &= KRPC_HAS_AN | KRPC_HAS_IP;

    size_t once_len = krpc_encode(&first, once, sizeof(once));
    MUST(once_len > 0 && once_len <= len);
    MUST(krpc_decode(&second, once, once_len) == 0);
    must_be_same(&first, &second);
    MUST(krpc_encode(&second, twice, sizeof(twice)) == once_len);
    MUST(memcmp(once, twice, once_len) == 0);

    uint8_t *tight = malloc(once_len); /* one byte short of what it needs */
    MUST(tight != NULL && krpc_encode(&second, tight, once_len - 1) == 0);
    free(tight);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > PACKET_MAX)
        return 0;
    if (data[0] & 1)
        try_envelope(data + 1, size - 1);
    if (data[0] & 2)
        try_decode(data + 1, size - 1);
    return 0;
}
