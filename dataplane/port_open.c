/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows every kind of port. */
#include <stdio.h>
#include <string.h>

#include "port.h"
#include "port_af_xdp.h"
#include "port_ethdev.h"
#include "port_faults.h"
#include "port_ring.h"
#include "port_udp.h"
#include "port_vhost.h"

struct port *port_open(const struct port_open_args *args, char *err, size_t err_len)
{
    static const struct {
        const char *prefix;
        struct port *(*open)(const struct port_open_args *args, char *err,
                             size_t err_len);
    } kinds[] = {
        {"vhost:", port_vhost_open},     {PORT_AF_XDP, port_af_xdp_open},
        {PORT_ETHDEV, port_ethdev_open}, {"udp:", port_udp_open},
        {"ring:", port_ring_spec},
    };
    const char *spec = args->config->spec;
    struct port *port = NULL, *faulty;
    size_t i = 0;

    while (i < sizeof(kinds) / sizeof(kinds[0]) &&
           strncmp(spec, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
        i++;
    if (i == sizeof(kinds) / sizeof(kinds[0])) {
        snprintf(err, err_len,
                 "\"%s\" is no port; write vhost:listen=PATH, vhost:connect=PATH, "
                 "af_xdp:INTERFACE, ethdev:DEVARGS, udp:ADDRESS:PORT or ring:NAME",
                 spec);
        return NULL;
    }
    port = kinds[i].open(args, err, err_len);
    if (port == NULL || !port_faults_any(&args->config->faults))
        return port;
    faulty = port_faults_wrap(port, &args->config->faults, args->pools);
    if (faulty == NULL) {
        snprintf(err, err_len, "%s: no memory for its faults", spec);
        port_close(port);
    }
    return faulty;
}
