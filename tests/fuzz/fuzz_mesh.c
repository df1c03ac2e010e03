/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mesh.c - a live mesh that two nodes talk to.  The input is a series of steps: a byte that says
   what is done, one more of its argument, and for a message its bytes:

     0 to 7   a message of the first node (even) or the second: its length is the argument and,
              as bits 1 and 2 of the step, the 256s
     8        time goes on, by 2^(argument / 8) us
     9 to 14  down, gone, met, removed, added by address (argument: whose), published, withdrawn
     15       memory ends, or is there again

   The two have been met, but for an input with its first byte's highest bit.  More can be, by 10: bits
   0 to 2 of the argument are who, 3 to 5 where.

   Held against a plain table: an entry is ADDED where there was none, CHANGED and REMOVED where there
   was one.  All that goes out must decode, and all memory must come back. */
#include "mesh_wire.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NODES 2
#define INPUT_MAX 16384

#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            __builtin_trap();                                                            \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct mesh *mesh;
    proa_ns now;
    size_t allocated;
    bool no_memory;
    uint32_t published[64];
    unsigned published_count;
    uint8_t there[NODES][MESH_PUBLISHED_MAX / 8];
};

static const struct kad_id ids[NODES] = {
    /* those of docs/wire_mesh.md, so that its vectors are inputs */
    {{0x9d, 0x24, 0xe2, 0xee, 0xaf, 0x27, 0xc2, 0xa0, 0x88, 0xa5,
      0x64, 0xa3, 0x2f, 0xc0, 0x3a, 0x88, 0x2d, 0xcd, 0x98, 0x04}},
    {{0x25, 0x84, 0x3b, 0x3a, 0x19, 0x6e, 0xfc, 0xef, 0xbf, 0x5b,
      0x13, 0x90, 0xd7, 0x8d, 0xb5, 0x2b, 0xab, 0xc2, 0x90, 0xf1}}};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    MUST(sodium_init() >= 0);
    return 0;
}

static struct proa_addr address(uint8_t last)
{
    struct proa_addr addr = {.family = 4, .port = 7400};

    addr.ip[10] = addr.ip[11] = 0xff;
    addr.ip[12] = 192;
    addr.ip[14] = 2;
    addr.ip[15] = last;
    return addr;
}

static void *take_memory(void *ctx, size_t size)
{
    struct fuzz *fuzz = ctx;

    if (fuzz->no_memory)
        return NULL;
    fuzz->allocated += size;
    return malloc(size);
}

static void give_memory(void *ctx, void *memory, size_t size)
{
    struct fuzz *fuzz = ctx;

    MUST(fuzz->allocated >= size);
    fuzz->allocated -= size;
    free(memory);
}

static void take_entry(struct fuzz *fuzz, const struct mesh_event *event)
{
    const struct mesh_entry *entry = event->entry;
    unsigned n = 0;

    while (n < NODES && kad_id_node64(&ids[n]) != event->node)
        n++;
    MUST(n < NODES && entry->node == event->node && entry->index < MESH_PUBLISHED_MAX);
    uint8_t *byte = &fuzz->there[n][entry->index / 8];
    uint8_t bit = (uint8_t)(1 << entry->index % 8);
    MUST(((*byte & bit) != 0) == (event->kind != MESH_ADDED));
    if (event->kind == MESH_REMOVED)
        *byte &= (uint8_t)~bit;
    else
        *byte |= bit;
    if (event->kind == MESH_CHANGED)
        MUST(event->was->kind == entry->kind && event->was->len == entry->len);
}

static void take_out(struct fuzz *fuzz)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    uint64_t to[MESH_TO_MAX];
    struct mesh_message message;
    struct mesh_event event;
    struct mesh_entry last = {.kind = 0}; /* name that came */
    unsigned count;
    size_t len;

    while (mesh_event(fuzz->mesh, &event)) {
        if (event.kind < MESH_ADDED || event.kind > MESH_REMOVED)
            continue;
        take_entry(fuzz, &event);
        if (event.kind == MESH_ADDED && event.entry->kind == MESH_NAME)
            last = *event.entry;
        else if (event.entry->index == last.index && event.node == last.node)
            last.kind = 0; /* by the same message: one may name an entry twice */
    }
    if (last.kind == MESH_NAME)
        MUST(mesh_name(fuzz->mesh, last.name, last.len) != NULL);
    while ((len = mesh_output(fuzz->mesh, buf, to, &count)) > 0) {
        MUST(count >= 1 && count <= MESH_TO_MAX);
        MUST(mesh_decode(&message, buf, len));
    }
}

static void drain(struct fuzz *fuzz)
{
    take_out(fuzz);
    if (mesh_deadline(fuzz->mesh) <= fuzz->now) { /* entries wait to be told as removed */
        mesh_tick(fuzz->mesh, fuzz->now);
        take_out(fuzz);
    }
    MUST(mesh_deadline(fuzz->mesh) > fuzz->now);
}

static void publish(struct fuzz *fuzz, uint8_t argument)
{
    struct mesh_entry entry = {.kind = argument % 2 ? MESH_NAME : MESH_MEMBER,
                               .generation = 1,
                               .slot = argument,
                               .len = 1,
                               .name = {(char)('a' + argument % 26)}};

    if (fuzz->published_count == 64)
        return;
    uint32_t index = mesh_publish(fuzz->mesh, &entry, fuzz->now);
    if (index != MESH_NONE)
        fuzz->published[fuzz->published_count++] = index;
}

/* The two that speak, and some that do not. */
static struct kad_id who(uint8_t n)
{
    struct kad_id other = {{n}};

    return n < NODES ? ids[n] : other;
}

static void act(struct fuzz *fuzz, uint8_t step, uint8_t argument)
{
    struct kad_id id = who(argument % 8);
    struct proa_addr addr = address((uint8_t)(1 + argument / 8 % 8));
    uint64_t node = kad_id_node64(&id);

    switch (step) {
    case 8:
        fuzz->now += PROA_US << (argument / 8);
        mesh_tick(fuzz->mesh, fuzz->now);
        break;
    case 9:
        mesh_down(fuzz->mesh, node, (argument & 8) != 0, fuzz->now);
        break;
    case 10:
        mesh_met(fuzz->mesh, &id, &addr, fuzz->now);
        break;
    case 11:
        mesh_remove(fuzz->mesh, node, fuzz->now);
        break;
    case 12:
        mesh_add(fuzz->mesh, &addr, fuzz->now);
        break;
    case 13:
        publish(fuzz, argument);
        break;
    case 14:
        if (fuzz->published_count > 0)
            mesh_withdraw(fuzz->mesh, fuzz->published[--fuzz->published_count],
                          fuzz->now);
        break;
    default:
        fuzz->no_memory = argument % 2 != 0;
    }
}

static void run(struct fuzz *fuzz, const uint8_t *data, size_t size)
{
    while (size >= 2) {
        uint8_t step = data[0] & 15, argument = data[1];
        size_t len = argument | (size_t)(step >> 1) << 8;

        data += 2;
        size -= 2;
        if (step >= 8) {
            act(fuzz, step, argument);
        } else {
            if (len > size)
                len = size;
            uint8_t *copy =
                malloc(len + 1); /* its own block, so that ASan sees overruns */
            MUST(copy != NULL);
            memcpy(copy, data, len);
            mesh_input(fuzz->mesh, kad_id_node64(&ids[step & 1]), copy, len, fuzz->now);
            free(copy);
            data += len;
            size -= len;
        }
        drain(fuzz);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;
    static void *memory;
    struct mesh_config config = {.self = {{7}},
                                 .address = address(77),
                                 .nodes_max = 4,
                                 .published_max = 200,
                                 .entries_max = 300,
                                 .alloc = take_memory,
                                 .free = give_memory,
                                 .alloc_ctx = &fuzz};

    if (size > INPUT_MAX)
        return 0;
    memset(&fuzz, 0, sizeof(fuzz));
    fuzz.now = PROA_S;
    if (memory == NULL)
        memory = aligned_alloc(PROA_CACHE_LINE, mesh_size(&config));
    MUST(memory != NULL);
    fuzz.mesh = mesh_init(memory, &config, fuzz.now);
    for (unsigned n = 0; n < NODES && size > 0 && data[0] < 128; n++) {
        struct proa_addr addr = address((uint8_t)(1 + n));

        mesh_met(fuzz.mesh, &ids[n], &addr, fuzz.now);
    }
    run(&fuzz, data, size);
    mesh_fini(fuzz.mesh);
    MUST(fuzz.allocated == 0);
    return 0;
}
