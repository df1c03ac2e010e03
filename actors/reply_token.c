/* SPDX-License-Identifier: Apache-2.0 */
#include "mix.h"
#include "pages.h"
#include "reply_token.h"

bool reply_token_table_init(struct reply_token_table *t, uint32_t max, uint64_t seed)
{
    *t = (struct reply_token_table){
        .max = max, .free = REPLY_TOKEN_NONE, .seed = (uint32_t)mix64(seed)};
    t->tokens = pages_map((size_t)max * sizeof(struct reply_token));
    return t->tokens != NULL;
}

void reply_token_table_fini(struct reply_token_table *t)
{
    pages_unmap(t->tokens, (size_t)t->max * sizeof(struct reply_token));
    t->tokens = NULL;
}

struct reply_token *reply_token_alloc(struct reply_token_table *t, struct slot *slot,
                                      uint32_t slot_index)
{
    struct reply_token *token;
    uint32_t index;

    if (t->free != REPLY_TOKEN_NONE) {
        index = t->free;
        t->free = t->tokens[index].next;
    } else if (t->fresh < t->max) {
        index = t->fresh++;
        t->tokens[index].serial = t->seed;
    } else {
        return NULL;
    }
    token = &t->tokens[index];
    token->serial = token->serial + 1 != 0 ? token->serial + 1 : 1;
    token->slot = slot_index;
    token->held = 1;
    token->prev = REPLY_TOKEN_NONE;
    token->next = slot->token_list;
    if (slot->token_list != REPLY_TOKEN_NONE)
        t->tokens[slot->token_list].prev = index;
    slot->token_list = index;
    slot->tokens++;
    t->in_use++;
    return token;
}

struct reply_token *reply_token_find(const struct reply_token_table *t,
                                     struct proa_token token, uint32_t slot_index)
{
    struct reply_token *entry;

    if (token.index >= t->fresh)
        return NULL;
    entry = &t->tokens[token.index];
    if (!entry->held || entry->serial != token.serial || entry->slot != slot_index)
        return NULL;
    return entry;
}

void reply_token_release(struct reply_token_table *t, struct slot *slot,
                         struct reply_token *token)
{
    uint32_t index = (uint32_t)(token - t->tokens);

    PROA_ASSERT(token->held && token->timer.at == NULL);
    if (token->prev != REPLY_TOKEN_NONE)
        t->tokens[token->prev].next = token->next;
    else
        slot->token_list = token->next;
    if (token->next != REPLY_TOKEN_NONE)
        t->tokens[token->next].prev = token->prev;
    slot->tokens--;
    t->in_use--;
    token->held = 0;
    token->next = t->free;
    t->free = index;
}
