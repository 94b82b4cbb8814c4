// SPDX-License-Identifier: GPL-2.0
/* What comes on a stream, until it is somebody's request or answer. The stream's thread. */
#include "stream.h"
#include "fault.h"
#include "migrate.h"
#include "replica.h"
#include "volume.h"

#include "core/version.h"

#include <linux/bvec.h>
#include <net/sock.h>
#include <net/tls.h>

/* Type of a TLS record that carries data. */
#define TLS_DATA	23

u32 braid_vecs_crc(u32 crc, const struct bio_vec *vecs, u32 offset, u32 bytes)
{
	for (; bytes; vecs++) {
		u32 part = min(bytes, vecs->bv_len - offset);
		void *at = kmap_local_page(vecs->bv_page) + vecs->bv_offset;

		crc = braid_crc32c(crc, at + offset, part);
		kunmap_local(at);
		bytes -= part;
		offset = 0;
	}
	return crc;
}

/* Type of a TLS record other than data, or 0. */
static u8 record_type(struct msghdr *msg, const u8 *control, size_t room)
{
	const struct cmsghdr *cmsg = (const void *)control;

	if (msg->msg_controllen == room)
		return 0;
	if (cmsg->cmsg_level != SOL_TLS || cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return 0;
	return *(const u8 *)CMSG_DATA(cmsg) == TLS_DATA ? 0 :
		*(const u8 *)CMSG_DATA(cmsg);
}

/*
 * One call's worth of data: what is there, or else, after what this thread has to say, what comes.
 * More than 0, or an error.
 */
static int receive_some(struct braid_stream *stream, struct msghdr *msg, int wait)
{
	u8 control[CMSG_SPACE(sizeof(u8))] __aligned(8);
	int flags = MSG_DONTWAIT, got;

	for (;;) {
		if (stream->tls) {
			msg->msg_control = control;
			msg->msg_controllen = sizeof(control);
		}
		got = sock_recvmsg(stream->sock, msg, flags);
		if (got == -EAGAIN) {
			flags = wait;
			braid_stream_flush(stream);
		} else if (got != -EINTR) {
			break;
		}
	}
	if (got < 0)
		return got;
	if (!got)
		return -ECONNRESET;
	if (stream->tls && record_type(msg, control, sizeof(control))) {
		stream->cause = "a TLS record that is not data";
		return -EPROTO;
	}
	atomic64_inc(&stream->heard);
	return got;
}

static int receive_iter(struct braid_stream *stream, struct msghdr *msg)
{
	u32 ahead = stream->in_length - stream->in_at;

	ahead = min_t(size_t, ahead, iov_iter_count(&msg->msg_iter));
	if (ahead && copy_to_iter(stream->in + stream->in_at, ahead, &msg->msg_iter) != ahead)
		return -EFAULT;
	stream->in_at += ahead;
	while (iov_iter_count(&msg->msg_iter)) {
		int got = receive_some(stream, msg, MSG_WAITALL);

		if (got < 0)
			return got;
	}
	return 0;
}

int braid_stream_receive(struct braid_stream *stream, void *to, u32 bytes)
{
	while (bytes) {
		u32 part = min(bytes, stream->in_length - stream->in_at);
		struct kvec vec = { .iov_base = stream->in, .iov_len = BRAID_IN_BYTES };
		struct msghdr msg = {};
		int got;

		memcpy(to, stream->in + stream->in_at, part);
		stream->in_at += part;
		to += part;
		bytes -= part;
		if (!bytes)
			break;
		iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, BRAID_IN_BYTES);
		stream->in_at = 0;
		stream->in_length = 0;
		got = receive_some(stream, &msg, 0);
		if (got < 0)
			return got;
		stream->in_length = got;
	}
	return 0;
}

int braid_stream_receive_vecs(struct braid_stream *stream, struct bio_vec *vecs, u32 count,
			      u32 offset, u32 bytes)
{
	struct msghdr msg = {};
	int err;

	iov_iter_bvec(&msg.msg_iter, ITER_DEST, vecs, count, (size_t)offset + bytes);
	iov_iter_advance(&msg.msg_iter, offset);
	err = receive_iter(stream, &msg);
	braid_fault_corrupt_vecs(stream->peer->res->node, vecs, offset);
	if (stream->crc)
		stream->received_crc = braid_vecs_crc(stream->received_crc, vecs, offset, bytes);
	return err;
}

int braid_stream_skip(struct braid_stream *stream, u32 bytes)
{
	u8 sink[256];
	int err = 0;

	while (bytes && !err) {
		u32 part = min_t(u32, bytes, sizeof(sink));

		err = braid_stream_receive(stream, sink, part);
		stream->received_crc = braid_crc32c(stream->received_crc, sink, part);
		bytes -= part;
	}
	return err;
}

int braid_stream_error(struct braid_stream *stream, u8 type, enum braid_message_result result)
{
	stream->cause = braid_message_result_name(result);
	braid_warn(stream->peer->res, "peer %u: %s: %s\n", stream->peer->node,
		   braid_message_name(type), stream->cause);
	return -EPROTO;
}

/* The payload of a reply, to where its request wants it. */
static int receive_answer(struct braid_stream *stream, struct braid_request *req,
			  const struct braid_header *header, const struct braid_reply *reply)
{
	u32 payload = header->length - BRAID_REPLY_BYTES, count, offset;
	struct bio_vec *vecs;
	struct bio *bio;
	int err;

	if (req->type == BRAID_MSG_READ) {
		bio = req->bio ?: req->payload;
		if (payload != req->bytes)
			return -EPROTO;
		count = braid_bio_vecs(bio, &vecs, &offset);
		return braid_stream_receive_vecs(stream, vecs, count, offset, payload);
	}
	if (!req->answer || payload > req->answer_size)
		return -EPROTO;
	req->answer_length = payload;
	req->answer_next = reply->next;
	req->answer_more = header->flags & BRAID_MF_MORE;
	err = braid_stream_receive(stream, req->answer, payload);
	stream->received_crc = braid_crc32c(stream->received_crc, req->answer, payload);
	return err;
}

static int receive_reply(struct braid_stream *stream, const struct braid_header *header,
			 const u8 *body)
{
	u32 payload = header->length - BRAID_REPLY_BYTES;
	enum braid_message_result result;
	struct braid_send *send = NULL;
	struct braid_request *req;
	struct braid_reply reply;
	int err = 0;

	result = braid_reply_decode(&reply, header, body);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header->type, result);
	if (!braid_peer_reply(stream->peer, stream, header->tag, &send))
		return braid_stream_error(stream, header->type, BRAID_MESSAGE_FIELD);
	req = send ? braid_send_request(send) : NULL;
	if (req && header->volume != (u16)req->volume->number)
		return braid_stream_error(stream, header->type, BRAID_MESSAGE_FIELD);
	if (!req)
		err = braid_stream_skip(stream, payload);
	else if (payload || header->flags & BRAID_MF_MORE ||
		 (reply.status == BRAID_STATUS_OK && req->type == BRAID_MSG_READ))
		err = receive_answer(stream, req, header, &reply);
	if (err)
		return err == -EPROTO ?
			braid_stream_error(stream, header->type, BRAID_MESSAGE_LENGTH) : err;
	/* Until here the tag was only believed; the stream's end takes back what it did. */
	if (!braid_stream_intact(stream, header))
		return braid_stream_error(stream, header->type, BRAID_MESSAGE_CRC);
	if (send)
		braid_peer_answer(stream->peer, send, reply.status);
	return 0;
}

static int receive_ping(struct braid_stream *stream, const struct braid_header *header,
			const u8 *body)
{
	enum braid_message_result result;
	struct braid_ping ping;

	result = braid_ping_decode(&ping, body);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header->type, result);
	if (header->type == BRAID_MSG_PONG) {
		WRITE_ONCE(stream->unanswered_ms, 0);
		braid_peer_message_pong(stream->peer, &ping);
		return 0;
	}
	ping.term_ms = braid_lease_grant(stream->peer->res, stream->peer->node, &ping);
	if (!ping.term_ms)
		ping.flags &= ~BRAID_PING_LEASE;
	braid_stream_message(stream, BRAID_MSG_PONG, 0, &ping, GFP_NOIO);
	return 0;
}

static int receive_data(struct braid_stream *stream, const struct braid_header *header,
			const u8 *body)
{
	enum braid_message_result result;
	struct braid_data data;

	result = braid_data_decode(&data, header, body);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header->type, result);
	if (header->type == BRAID_MSG_STABLE)
		return braid_replica_stable(stream, header, &data);
	return braid_replica_request(stream, header, &data);
}

int braid_stream_receive_message(struct braid_stream *stream, u32 *length)
{
	u8 bytes[BRAID_HEADER_BYTES], body[BRAID_BODY_MAX];
	enum braid_message_result result;
	struct braid_volume_state volume;
	struct braid_header header;
	struct braid_token token;
	struct braid_state state;
	int err;

	err = braid_stream_receive(stream, bytes, sizeof(bytes));
	if (err)
		return err;
	braid_fault_corrupt(stream->peer->res->node, BRAID_PART_HEADER, bytes + 8);
	result = braid_header_decode(&header, bytes, true);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header.type, result);
	*length = header.length;
	err = braid_stream_receive(stream, body, braid_body_bytes(header.type));
	if (err)
		return err;
	if (braid_is_request(header.type))
		braid_fault_corrupt(stream->peer->res->node, BRAID_PART_BODY, body + 33);
	memset(bytes + BRAID_HEADER_CRC, 0, sizeof(u32));
	stream->received_crc = braid_crc32c(braid_crc32c(~0u, bytes, sizeof(bytes)), body,
					    braid_body_bytes(header.type));
	if (header.length == braid_body_bytes(header.type) && !braid_stream_intact(stream, &header))
		return braid_stream_error(stream, header.type, BRAID_MESSAGE_CRC);
	switch (header.type) {
	case BRAID_MSG_STATE:
		result = braid_state_decode(&state, body);
		if (result != BRAID_MESSAGE_OK)
			return braid_stream_error(stream, header.type, result);
		braid_peer_message_state(stream->peer, &state);
		return 0;
	case BRAID_MSG_VOLUME:
		result = braid_volume_decode(&volume, body);
		if (result != BRAID_MESSAGE_OK)
			return braid_stream_error(stream, header.type, result);
		braid_peer_message_volume(stream->peer, header.volume, &volume);
		return 0;
	case BRAID_MSG_TOKEN:
		result = braid_token_decode(&token, body);
		if (result != BRAID_MESSAGE_OK)
			return braid_stream_error(stream, header.type, result);
		braid_migrate_message(stream->peer, &token);
		return 0;
	case BRAID_MSG_PING:
	case BRAID_MSG_PONG:
		return receive_ping(stream, &header, body);
	case BRAID_MSG_GOODBYE:
		return braid_peer_message_goodbye(stream->peer, stream);
	case BRAID_MSG_REPLY:
		return receive_reply(stream, &header, body);
	default:
		return receive_data(stream, &header, body);
	}
}

static const char *check_hello(struct braid_stream *stream, const struct braid_hello *hello)
{
	static const struct braid_version_range ours = {
		.min = BRAID_PROTOCOL_VERSION_MIN,
		.max = BRAID_PROTOCOL_VERSION_MAX,
	};
	struct braid_version_range theirs = { hello->protocol_min, hello->protocol_max };
	struct braid_resource *res = stream->peer->res;
	u32 agreed;

	if (braid_version_agree(&ours, &theirs, &agreed) != BRAID_VERSION_AGREED)
		return "no version of the protocol in common";
	if (hello->node != stream->peer->node || hello->peer != res->node)
		return "node ids do not match";
	if (hello->session != stream->session)
		return "sessions do not match";
	if (strcmp(hello->name, res->name))
		return "the peer's resource has another name";
	return NULL;
}

int braid_stream_receive_hello(struct braid_stream *stream)
{
	u8 bytes[BRAID_HEADER_BYTES], body[BRAID_HELLO_BYTES];
	enum braid_message_result result;
	struct braid_header header;
	struct braid_hello hello;
	int err;

	err = braid_stream_receive(stream, bytes, sizeof(bytes));
	if (err)
		return err;
	result = braid_header_decode(&header, bytes, false);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header.type, result);
	err = braid_stream_receive(stream, body, sizeof(body));
	if (err)
		return err;
	result = braid_hello_decode(&hello, body);
	if (result != BRAID_MESSAGE_OK)
		return braid_stream_error(stream, header.type, result);
	stream->cause = check_hello(stream, &hello);
	if (stream->cause)
		return -EPROTO;
	stream->window = min(hello.window_requests, BRAID_WINDOW_REQUESTS_MAX);
	stream->credit = stream->window;
	stream->credit_bytes = hello.window_bytes;
	stream->crc |= hello.flags & BRAID_HELLO_CRC;
	return 0;
}
