/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <stdint.h>

/* Bytes of the character at the front, 0 when it is none. */
static size_t character(const uint8_t *text, size_t len)
{
    uint8_t lead = text[0];
    size_t need = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */

    if (lead == 0 || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || need > len)
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < need; i++) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

bool utf8_valid(const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t step;

    for (; len > 0; at += step, len -= step) {
        step = character(at, len);
        if (step == 0)
            return false;
    }
    return true;
}
