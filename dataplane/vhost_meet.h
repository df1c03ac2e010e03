/* SPDX-License-Identifier: Apache-2.0 */
/* vhost_meet.h - how the two sides of a vhost port find each other: the socket PATH.up.

   Blocking calls are bounded by a timeout and by `stop`, an eventfd that becomes readable when
   the port is to close.

   Threads: one thread per port.  Units: milliseconds for timeouts; -1: none.
   Errors:  as each function says. */
#ifndef VHOST_MEET_H
#define VHOST_MEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meet_kind {
    MEET_NONE,  /* nothing within the timeout */
    MEET_STOP,  /* the port closes */
    MEET_GONE,  /* the other side ended the connection, or speaks something else */
    MEET_HELLO, /* connecting side: lanes */
    MEET_OFFER, /* listening side: queue pairs */
    MEET_BUSY,  /* listening side: another neighbour is there */
    MEET_READY, /* connecting side */
    MEET_SHAKE, /* connecting side: the link does not come up, end the connection on PATH */
};

#define MEET_PATH_MAX 100 /* of PATH; with ".up" it fits sockaddr_un's 108 bytes */

/* meet_path_check: err says why path cannot be PATH: too long, its folder missing or not
   writable, characters DPDK's device arguments cannot carry. */
bool meet_path_check(const char *path, char *err, size_t err_len);

/* meet_listen claims PATH for the listening side: removes what a dead process left behind and
   listens on PATH.up.  -1: err says that somebody serves it, or what else is in the way. */
int meet_listen(const char *path, char *err, size_t err_len);

/* meet_accept waits for a connection.  -1: timeout or stop. */
int meet_accept(int listener, int stop, int timeout);

/* meet_connect tries to reach PATH.up once.  -1: nobody listens (yet). */
int meet_connect(const char *path);

bool meet_send(int fd, enum meet_kind kind, unsigned value);

/* meet_receive waits for a message of the other side. */
enum meet_kind meet_receive(int fd, int stop, int timeout, unsigned *ret_value);

/* meet_sleep waits for stop; true: the port closes. */
bool meet_sleep(int stop, int timeout);

/* meet_served waits until PATH is a socket, while the other side lives. */
enum meet_kind meet_served(const char *path, int fd, int stop, int timeout);

/* meet_shake ends the connection that DPDK's serving device has accepted on PATH; both devices
   then connect anew.  virtio-user needs it when a neighbour died in the midst of the handshake:
   it then believes queues enabled that are not, until the next connection but one. */
void meet_shake(const char *path);

/* meet_knock connects to PATH and leaves at once: it ends an accept() that waits for a neighbour
   who is gone. */
void meet_knock(const char *path);

#endif
