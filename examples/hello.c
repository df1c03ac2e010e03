/* SPDX-License-Identifier: Apache-2.0 */
/* Two terminals: ./hello serve   and   ./hello ask */
#include <proa/client.h>
#include <proa/node.h>
#include <stdio.h>
#include <string.h>

enum { HELLO = 1 };

static void on_hello(struct proa_actor *self, const struct proa_msg *msg)
{
    char text[64];
    int len = snprintf(text, 64, "hello, %.*s", (int)msg->len, (const char *)msg->data);
    proa_reply(self, msg, text, (size_t)len);
}

static const struct proa_on on[] = {{HELLO, 1, on_hello}};
static const struct proa_behaviour greeter = {
    .type_name = "greeter", .on = on, .on_count = 1};

int main(int argc, char **argv)
{
    const char *const here = "127.0.0.1:7400";
    bool serve = argc > 1 && strcmp(argv[1], "serve") == 0;
    struct proa_node *node =
        serve ? proa_node_udp(here, NULL) : proa_node_udp("127.0.0.1:0", here);
    struct proa_client *c;
    struct proa_ref ref;
    char text[64];
    size_t n = 0;
    if (node == NULL || proa_client_open(node, &c) != PROA_OK)
        return 1;
    if (serve &&
        proa_client_spawn(c, 0, &greeter, NULL, 0, "greeter", PROA_S, &ref) == PROA_OK)
        return proa_node_run(node), 0;
    if (proa_client_lookup_wait(c, "greeter", NULL, 60 * PROA_S, &ref) == PROA_OK)
        proa_client_ask(c, ref, HELLO, "world", 5, PROA_S, text, sizeof(text), &n);
    printf("%.*s\n", (int)n, text);
    return n == 0;
}
