/* SPDX-License-Identifier: Apache-2.0 */
/* proa - a node with the built-in behaviours, and the verbs to talk to one (docs/cli.md). */
#include <proa/node.h>

int main(int argc, char **argv)
{
    return proa_main(argc, argv, NULL, 0);
}
