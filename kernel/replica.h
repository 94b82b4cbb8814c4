/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_REPLICA_H
#define _BRAID_REPLICA_H

#include "stream.h"

int braid_replica_init(void);
void braid_replica_exit(void);
/* A request of a peer, whose payload is still in the socket. The stream's thread. */
int braid_replica_request(struct braid_stream *stream, const struct braid_header *header,
			  const struct braid_data *data);
int braid_replica_stable(struct braid_stream *stream, const struct braid_header *header,
			 const struct braid_data *data);

#endif /* _BRAID_REPLICA_H */
