/* SPDX-License-Identifier: Apache-2.0 */
/* soak_player.h - the actors of a soak: they do what comes to their mind, and keep the books.

   Threads: the behaviours' actors run on any lane.  Units: bytes, counts.
   Errors:  soak_broken. */
#ifndef SOAK_PLAYER_H
#define SOAK_PLAYER_H

#include "soak_books.h"

/* This process's books, set before its first node starts. */
extern struct soak *soak_all;
extern struct soak_cluster *soak_mine;

extern const struct proa_behaviour soak_player, soak_trapper;

#endif
