/* SPDX-License-Identifier: Apache-2.0 */
#include "config_lines.h"

#include <stdio.h>
#include <string.h>

static unsigned line_of(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

static bool refuse(const yaml_parser_t *parser, char *why, size_t why_len,
                   unsigned *ret_line)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";

    /* An encoding error has an offset instead of a place. */
    *ret_line =
        line_of(parser->problem_mark.line != 0 ? parser->problem_mark : parser->mark);
    if (parser->error == YAML_MEMORY_ERROR)
        problem = "out of memory";
    if (parser->context != NULL)
        snprintf(why, why_len, "%s, %s", parser->context, problem);
    else
        snprintf(why, why_len, "%s", problem);
    return false;
}

/* A second document would be passed over in silence by libcyaml. */
static bool is_alone(yaml_parser_t *parser, char *why, size_t why_len, unsigned *ret_line)
{
    yaml_document_t second;
    bool alone;

    if (yaml_parser_load(parser, &second) == 0)
        return refuse(parser, why, why_len, ret_line);
    alone = yaml_document_get_root_node(&second) == NULL;
    if (!alone) {
        *ret_line = line_of(second.start_mark);
        snprintf(why, why_len, "a second document; only one is read");
    }
    yaml_document_delete(&second);
    return alone;
}

bool config_lines_init(struct config_lines *lines, const char *text, size_t len,
                       char *why, size_t why_len, unsigned *ret_line)
{
    yaml_parser_t parser;
    bool good;

    lines->loaded = false;
    *ret_line = 1;
    if (yaml_parser_initialize(&parser) == 0) {
        snprintf(why, why_len, "out of memory");
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    lines->loaded = yaml_parser_load(&parser, &lines->document) != 0;
    if (!lines->loaded)
        good = refuse(&parser, why, why_len, ret_line);
    else
        good = yaml_document_get_root_node(&lines->document) == NULL ||
               is_alone(&parser, why, why_len, ret_line);
    yaml_parser_delete(&parser);
    if (!good)
        config_lines_fini(lines);
    return good;
}

void config_lines_fini(struct config_lines *lines)
{
    if (lines->loaded)
        yaml_document_delete(&lines->document);
    lines->loaded = false;
}

/* The skip'th pair with this key; NULL when there is none. */
static yaml_node_pair_t *pair_of(struct config_lines *lines, const yaml_node_t *mapping,
                                 const char *key, unsigned skip)
{
    yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;

    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *node = yaml_document_get_node(&lines->document, pair->key);
        if (node->type != YAML_SCALAR_NODE || node->data.scalar.length != strlen(key) ||
            memcmp(node->data.scalar.value, key, strlen(key)) != 0)
            continue;
        if (skip-- == 0)
            return pair;
    }
    return NULL;
}

/* Follows one step; the node reached and its line.  NULL: the path ends here. */
static yaml_node_t *follow(struct config_lines *lines, const yaml_node_t *from,
                           const struct config_step *step, unsigned *line)
{
    if (step->key != NULL && from->type == YAML_MAPPING_NODE) {
        yaml_node_pair_t *pair = pair_of(lines, from, step->key, 0);
        if (pair == NULL)
            return NULL;
        *line = line_of(yaml_document_get_node(&lines->document, pair->key)->start_mark);
        return yaml_document_get_node(&lines->document, pair->value);
    }
    if (step->key == NULL && from->type == YAML_SEQUENCE_NODE) {
        yaml_node_item_t *items = from->data.sequence.items.start;
        if (step->item >= (size_t)(from->data.sequence.items.top - items))
            return NULL;
        yaml_node_t *node = yaml_document_get_node(&lines->document, items[step->item]);
        *line = line_of(node->start_mark);
        return node;
    }
    return NULL;
}

static yaml_node_t *walk(struct config_lines *lines, const struct config_step *path,
                         unsigned steps, unsigned *line)
{
    yaml_node_t *node = yaml_document_get_root_node(&lines->document);

    *line = node != NULL ? line_of(node->start_mark) : 1;
    for (unsigned i = 0; i < steps && node != NULL; i++)
        node = follow(lines, node, &path[i], line);
    return node;
}

unsigned config_lines_at(struct config_lines *lines, const struct config_step *path,
                         unsigned steps)
{
    unsigned line;

    walk(lines, path, steps, &line);
    return line;
}

unsigned config_lines_twice(struct config_lines *lines, const struct config_step *path,
                            unsigned steps)
{
    unsigned line;
    yaml_node_t *mapping = walk(lines, path, steps - 1, &line);
    yaml_node_pair_t *pair;

    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE)
        return 0;
    pair = pair_of(lines, mapping, path[steps - 1].key, 1);
    if (pair == NULL)
        return 0;
    return line_of(yaml_document_get_node(&lines->document, pair->key)->start_mark);
}

static bool is_number(const char *text)
{
    size_t sign = text[0] == '-' || text[0] == '+' ? 1 : 0;
    const char *digits = text + sign;

    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return digits[2] != '\0' &&
               digits[2 + strspn(digits + 2, "0123456789abcdefABCDEF")] == '\0';
    return digits[0] != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

/* A node that is no number although it should be one; lists are looked into. */
static const yaml_node_t *no_number(struct config_lines *lines, const yaml_node_t *node)
{
    yaml_node_item_t *item;

    if (node->type == YAML_SCALAR_NODE)
        return is_number((const char *)node->data.scalar.value) ? NULL : node;
    if (node->type != YAML_SEQUENCE_NODE)
        return NULL; /* the schema refuses it */
    for (item = node->data.sequence.items.start; item < node->data.sequence.items.top;
         item++) {
        const yaml_node_t *inner = yaml_document_get_node(&lines->document, *item);
        if (inner->type == YAML_SCALAR_NODE &&
            !is_number((const char *)inner->data.scalar.value))
            return inner;
    }
    return NULL;
}

static const char *key_among(const yaml_node_t *node, const char *const *keys,
                             unsigned count)
{
    for (unsigned i = 0; i < count && node->type == YAML_SCALAR_NODE; i++) {
        if (strcmp((const char *)node->data.scalar.value, keys[i]) == 0)
            return keys[i];
    }
    return NULL;
}

const char *config_lines_number(struct config_lines *lines, const char *const *keys,
                                unsigned count, const char **ret_key, unsigned *ret_line)
{
    yaml_document_t *document = &lines->document;

    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
        if (node->type != YAML_MAPPING_NODE)
            continue;
        yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top; pair++) {
            *ret_key =
                key_among(yaml_document_get_node(document, pair->key), keys, count);
            if (*ret_key == NULL)
                continue;
            const yaml_node_t *bad =
                no_number(lines, yaml_document_get_node(document, pair->value));
            if (bad == NULL)
                continue;
            *ret_line = line_of(bad->start_mark);
            return (const char *)bad->data.scalar.value;
        }
    }
    return NULL;
}
