// SPDX-License-Identifier: GPL-2.0
#include "stream.h"
#include "event.h"
#include "fault.h"
#include "object_log.h"
#include "replica.h"
#include "volume.h"

#include "core/bytes.h"
#include "core/version.h"

#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

/*
 * What a key may be used for is a number of cipher blocks; a record takes two more than its data.
 * Each call may begin one, apart from those that are full. 2^37: the spec says why.
 */
#define RECORD_BYTES		32
#define KEY_LIMIT_DEFAULT	BIT_ULL(37)

/* Messages that wait to be sent, before those that are no replies are dropped. */
#define OUT_MAX		4096

/* Type of a TLS record that carries data. */
#define TLS_DATA	23

/*
 * Where whoever connected did not choose (SO_SNDBUF). More than all payloads under way: whoever
 * has credit does not wait for the buffer.
 */
#define SEND_BUFFER	(2 * BRAID_WINDOW_BYTES)

/*
 * Sockets are used by whoever submits I/O, which may be a guest's process; security modules are
 * to judge it as the kernel's doing.
 */
static const struct cred *own_cred;

int braid_stream_init(void)
{
	own_cred = prepare_kernel_cred(&init_task);
	return own_cred ? 0 : -ENOMEM;
}

void braid_stream_exit(void)
{
	put_cred(own_cred);
}

#if IS_ENABLED(CONFIG_TLS)
static bool keyed(struct sock *sk)
{
	const struct tls_context *tls = tls_get_ctx(sk);

	return tls && tls->tx_conf != TLS_BASE && tls->rx_conf != TLS_BASE;
}
#else
static bool keyed(struct sock *sk)
{
	return false;
}
#endif

int braid_stream_check(struct socket *sock, const struct net *net, bool *tls, const char **why)
{
	struct sock *sk = sock->sk;
	const struct tcp_ulp_ops *ulp;

	*tls = false;
	*why = "not a TCP socket over IPv4 or IPv6";
	if (!sk || sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP ||
	    (sk->sk_family != AF_INET && sk->sk_family != AF_INET6))
		return -EPROTOTYPE;
	*why = "the socket is not connected";
	if (READ_ONCE(sk->sk_state) != TCP_ESTABLISHED)
		return -ENOTCONN;
	*why = "the socket is of another network namespace";
	if (sock_net(sk) != net)
		return -EXDEV;
	*why = "the socket is used by another part of the kernel";
	if (READ_ONCE(sk->sk_user_data))
		return -EBUSY;
	ulp = inet_csk(sk)->icsk_ulp_ops;
	if (!ulp)
		return 0;
	*why = "the socket is under another protocol than TLS";
	if (strcmp(ulp->name, "tls"))
		return -EPROTOTYPE;
	*why = "the socket's TLS lacks keys for a direction";
	if (!keyed(sk))
		return -ENOKEY;
	*tls = true;
	return 0;
}

/*
 * Userland's sockets are locked around copies from its memory; these never are, and are used
 * where memory is being reclaimed. They are a class of their own.
 */
static void reclassify(struct sock *sk)
{
#ifdef CONFIG_LOCKDEP
	static struct lock_class_key socket_keys[2], socket_slock_keys[2];
	bool v6 = sk->sk_family == AF_INET6;

	if (!sock_allow_reclassification(sk))
		return;
	sock_lock_init_class_and_name(sk, "slock-BRAID", &socket_slock_keys[v6], "sk_lock-BRAID",
				      &socket_keys[v6]);
#endif
}

static void configure(struct sock *sk)
{
	reclassify(sk);
	lock_sock(sk);
	sk->sk_allocation = GFP_NOIO;
	sk->sk_use_task_frag = false;
	if (!(sk->sk_userlocks & SOCK_SNDBUF_LOCK)) {
		sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
		WRITE_ONCE(sk->sk_sndbuf, SEND_BUFFER);
	}
	sk->sk_rcvtimeo = MAX_SCHEDULE_TIMEOUT;
	sk->sk_sndtimeo = MAX_SCHEDULE_TIMEOUT;
	release_sock(sk);
	tcp_sock_set_nodelay(sk);
	/*
	 * A connection that was given up delivers nothing later, and its socket does not stay for
	 * the sake of what was not delivered.
	 */
	sock_no_linger(sk);
}

void braid_stream_get(struct braid_stream *stream)
{
	refcount_inc(&stream->refs);
}

void braid_stream_put(struct braid_stream *stream)
{
	if (!refcount_dec_and_test(&stream->refs))
		return;
	sockfd_put(stream->sock);
	braid_peer_put(stream->peer);
	kvfree(stream->tags);
	kvfree(stream->tag_bytes);
	bitmap_free(stream->tags_used);
	braid_log_destroyed("stream", "%p", stream);
	kfree(stream);
}

void braid_stream_shutdown(struct braid_stream *stream)
{
	kernel_sock_shutdown(stream->sock, SHUT_RDWR);
}

/* ---- sending ---- */

static u32 vecs_crc(u32 crc, const struct bio_vec *vecs, u32 offset, u32 bytes)
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

/* The message is complete, with a crc of 0 that is made up for here. */
static void seal(struct braid_stream *stream)
{
	u32 crc;

	if (!stream->crc)
		return;
	crc = braid_crc32c(~0u, stream->frame, stream->frame_length);
	crc = vecs_crc(crc, stream->vecs, 0, stream->vec_bytes);
	braid_put_le32(stream->frame + BRAID_HEADER_CRC, ~crc);
}

bool braid_stream_intact(struct braid_stream *stream, const struct braid_header *header)
{
	return header->crc == (stream->crc ? ~stream->received_crc : 0);
}

static u32 encode_body(u8 *to, u8 type, const void *value)
{
	switch (type) {
	case BRAID_MSG_HELLO:
		braid_hello_encode(value, to);
		break;
	case BRAID_MSG_STATE:
		braid_state_encode(value, to);
		break;
	case BRAID_MSG_VOLUME:
		braid_volume_encode(value, to);
		break;
	case BRAID_MSG_PING:
	case BRAID_MSG_PONG:
		braid_ping_encode(value, to);
		break;
	case BRAID_MSG_TOKEN:
		braid_token_encode(value, to);
		break;
	case BRAID_MSG_REPLY:
		braid_reply_encode(value, to);
		break;
	case BRAID_MSG_GOODBYE:
		break;
	default:
		braid_data_encode(value, to);
	}
	return braid_body_bytes(type);
}

static void begin_out(struct braid_stream *stream, struct braid_out *out)
{
	u32 body = braid_body_bytes(out->header.type);

	stream->current_out = out;
	out->header.length = body + out->payload;
	braid_header_encode(&out->header, stream->frame);
	memcpy(stream->frame + BRAID_HEADER_BYTES, out->body, body);
	stream->frame_length = BRAID_HEADER_BYTES + body;
	stream->vecs = out->vecs;
	stream->vec_count = out->vec_count;
	stream->vec_bytes = out->payload;
	if (out->header.type != BRAID_MSG_HELLO)
		seal(stream);
}

static void begin_send(struct braid_stream *stream, struct braid_send *send)
{
	struct braid_request *req = braid_send_request(send);
	struct braid_header header;
	struct braid_data data;
	u32 offset;

	stream->current_send = send;
	braid_request_fill(req, &header, &data);
	send->epoch = data.epoch;
	header.tag = send->tag;
	stream->vec_bytes = 0;
	if (req->type == BRAID_MSG_WRITE) {
		stream->vec_count = braid_bio_vecs(req->payload, &stream->vecs, &offset);
		stream->vec_bytes = req->bytes;
	}
	braid_header_encode(&header, stream->frame);
	braid_data_encode(&data, stream->frame + BRAID_HEADER_BYTES);
	stream->frame_length = BRAID_HEADER_BYTES + BRAID_DATA_BYTES;
	seal(stream);
}

static void sent(struct braid_stream *stream)
{
	struct braid_send *send = stream->current_send;
	struct braid_out *out = stream->current_out;

	stream->current_send = NULL;
	stream->current_out = NULL;
	if (send)
		braid_peer_sent(stream->peer, send);
	if (out)
		out->done(out);
}

/* False if there is nothing to send. Under @send_lock. */
static bool begin(struct braid_stream *stream)
{
	struct braid_out *out;
	struct braid_send *send;

	stream->frame_sent = 0;
	stream->vec_sent = 0;
	spin_lock_irq(&stream->out_lock);
	out = list_first_entry_or_null(&stream->out, struct braid_out, list);
	if (out) {
		list_del_init(&out->list);
		stream->out_count--;
	}
	spin_unlock_irq(&stream->out_lock);
	if (out) {
		begin_out(stream, out);
		return true;
	}
	for (;;) {
		send = braid_peer_next(stream->peer, stream);
		if (!send)
			return false;
		begin_send(stream, send);
		if (!braid_fault(BRAID_FAULT_DROP, stream->peer->res->node,
				 braid_send_request(send)->type))
			return true;
		sent(stream);
	}
}

static bool pending(struct braid_stream *stream)
{
	struct braid_peer *peer = stream->peer;
	bool any;

	spin_lock_irq(&stream->out_lock);
	any = !list_empty(&stream->out);
	spin_unlock_irq(&stream->out_lock);
	if (any)
		return true;
	spin_lock(&peer->lock);
	if (peer->ready && stream->greeted && !stream->failed && !stream->retiring &&
	    stream->credit && !list_empty(&peer->queue)) {
		struct braid_send *send = list_first_entry(&peer->queue, struct braid_send, list);

		any = braid_send_payload(send) <= stream->credit_bytes;
	}
	spin_unlock(&peer->lock);
	return any;
}

static int send_some(struct braid_stream *stream, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_NOSIGNAL };
	struct kvec vec;
	int sent;

	if (stream->frame_sent < stream->frame_length) {
		vec.iov_base = stream->frame + stream->frame_sent;
		vec.iov_len = stream->frame_length - stream->frame_sent;
		if (stream->vec_bytes)
			msg.msg_flags |= MSG_MORE;
		sent = kernel_sendmsg(stream->sock, &msg, &vec, 1, vec.iov_len);
		if (sent > 0) {
			stream->frame_sent += sent;
			stream->sent_bytes += sent + RECORD_BYTES;
		}
		return sent;
	}
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, stream->vecs, stream->vec_count,
		      stream->vec_bytes);
	iov_iter_advance(&msg.msg_iter, stream->vec_sent);
	sent = sock_sendmsg(stream->sock, &msg);
	if (sent > 0) {
		stream->vec_sent += sent;
		stream->sent_bytes += sent + RECORD_BYTES;
	}
	return sent;
}

static bool sending(const struct braid_stream *stream)
{
	return stream->current_out || stream->current_send;
}

/* Under @send_lock. 0, or -EAGAIN if the socket takes no more now, or another error. */
static int send_all(struct braid_stream *stream, bool may_block)
{
	bool more = false;

	while (sending(stream) || begin(stream)) {
		int flags = may_block ? 0 : MSG_DONTWAIT, done;

		/* Under TLS a record that is kept open could not be pushed out later. */
		more = !stream->tls && pending(stream);
		if (more)
			flags |= MSG_MORE;
		done = send_some(stream, flags);
		if (done == -EINTR || done == -ERESTARTSYS || done == 0)
			return -EAGAIN;
		if (done < 0)
			return done;
		if (stream->frame_sent == stream->frame_length &&
		    stream->vec_sent == stream->vec_bytes)
			sent(stream);
	}
	if (more)
		tcp_sock_set_nodelay(stream->sock->sk);
	return 0;
}

void braid_stream_pump(struct braid_stream *stream, bool may_block)
{
	const struct cred *old;
	int err;

	do {
		if (!mutex_trylock(&stream->send_lock)) {
			/* Who holds it looks again after letting go of it. */
			return;
		}
		old = override_creds(own_cred);
		err = READ_ONCE(stream->failed) ? 0 : send_all(stream, may_block);
		revert_creds(old);
		mutex_unlock(&stream->send_lock);
		if (err == -EAGAIN) {
			braid_stream_get(stream);
			if (!queue_work(stream->peer->res->wq, &stream->send_work))
				braid_stream_put(stream);
			return;
		}
		if (err) {
			/* After GOODBYE the thread finds out why. */
			if (!READ_ONCE(stream->goodbye))
				braid_peer_disconnect(stream->peer, stream->session,
						      "sending failed");
			return;
		}
	} while (!READ_ONCE(stream->failed) && pending(stream));
}

static void send_work(struct work_struct *work)
{
	struct braid_stream *stream = container_of(work, struct braid_stream, send_work);

	braid_stream_pump(stream, true);
	braid_stream_put(stream);
}

static void message_done(struct braid_out *out)
{
	kfree(out);
}

void braid_stream_queue(struct braid_stream *stream, struct braid_out *out)
{
	unsigned long irq;
	bool failed;

	spin_lock_irqsave(&stream->out_lock, irq);
	/* P7: a peer may ask for PONGs that it does not take. What is no reply comes again. */
	failed = stream->out_closed ||
		 (stream->out_count >= OUT_MAX && out->done == message_done) ||
		 braid_fault(BRAID_FAULT_DROP, stream->peer->res->node, out->header.type);
	if (!failed) {
		list_add_tail(&out->list, &stream->out);
		stream->out_count++;
	}
	spin_unlock_irqrestore(&stream->out_lock, irq);
	if (failed) {
		out->done(out);
		return;
	}
	braid_stream_get(stream);
	if (!queue_work(stream->peer->res->wq, &stream->send_work))
		braid_stream_put(stream);
}

void braid_stream_message(struct braid_stream *stream, u8 type, u32 volume, const void *value,
			  gfp_t gfp)
{
	struct braid_out *out = NULL;

	if (!braid_fault(BRAID_FAULT_ALLOC, stream->peer->res->node, BRAID_ALLOC_MESSAGE))
		out = kzalloc(sizeof(*out), gfp);
	if (!out) {
		/* State, pings and the like come again; a lost lease or connection is safe. */
		return;
	}
	out->header.type = type;
	out->header.volume = (u16)volume;
	encode_body(out->body, type, value);
	out->done = message_done;
	braid_stream_queue(stream, out);
}

/* ---- receiving ---- */

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

static int receive_iter(struct braid_stream *stream, struct msghdr *msg)
{
	u8 control[CMSG_SPACE(sizeof(u8))] __aligned(8);

	while (iov_iter_count(&msg->msg_iter)) {
		int got;

		if (stream->tls) {
			msg->msg_control = control;
			msg->msg_controllen = sizeof(control);
		}
		got = sock_recvmsg(stream->sock, msg, MSG_WAITALL);
		if (got == -EINTR || got == -EAGAIN)
			continue;
		if (got < 0)
			return got;
		if (!got)
			return -ECONNRESET;
		if (stream->tls && record_type(msg, control, sizeof(control))) {
			stream->cause = "a TLS record that is not data";
			return -EPROTO;
		}
		atomic64_inc(&stream->heard);
	}
	return 0;
}

int braid_stream_receive(struct braid_stream *stream, void *to, u32 bytes)
{
	struct kvec vec = { .iov_base = to, .iov_len = bytes };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, bytes);
	return receive_iter(stream, &msg);
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
		stream->received_crc = vecs_crc(stream->received_crc, vecs, offset, bytes);
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

static int receive_message(struct braid_stream *stream)
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

/* ---- the life of a stream ---- */

static void say_hello(struct braid_stream *stream)
{
	struct braid_resource *res = stream->peer->res;
	struct braid_hello hello = {
		.protocol_min = BRAID_PROTOCOL_VERSION_MIN,
		.protocol_max = BRAID_PROTOCOL_VERSION_MAX,
		.session = stream->session,
		.node = res->node,
		.peer = stream->peer->node,
		.window_requests = BRAID_WINDOW,
		.window_bytes = BRAID_WINDOW_BYTES,
		.flags = stream->crc ? BRAID_HELLO_CRC : 0,
	};

	strscpy(hello.name, res->name, sizeof(hello.name));
	braid_stream_message(stream, BRAID_MSG_HELLO, 0, &hello, GFP_KERNEL);
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

static int receive_hello(struct braid_stream *stream)
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

/* Whatever was still to be sent is not. */
static void close_out(struct braid_stream *stream)
{
	struct braid_out *out, *next;
	LIST_HEAD(left);

	spin_lock_irq(&stream->out_lock);
	stream->out_closed = true;
	list_splice_init(&stream->out, &left);
	spin_unlock_irq(&stream->out_lock);
	list_for_each_entry_safe(out, next, &left, list) {
		list_del_init(&out->list);
		out->done(out);
	}
	mutex_lock(&stream->send_lock);
	if (sending(stream))
		sent(stream);
	mutex_unlock(&stream->send_lock);
}

static int stream_thread(void *arg)
{
	struct braid_stream *stream = arg;
	struct braid_peer *peer = stream->peer;
	const char *cause;
	bool retired;
	int err;

	say_hello(stream);
	err = receive_hello(stream);
	if (!err)
		err = braid_peer_greet(peer, stream);
	while (!err)
		err = receive_message(stream);

	spin_lock(&peer->lock);
	/* After our GOODBYE nothing of ours is lost with it; the peer judges for itself. */
	retired = stream->goodbye && !stream->failed && !stream->cause;
	stream->failed = true;
	spin_unlock(&peer->lock);
	braid_stream_shutdown(stream);
	close_out(stream);
	cause = stream->cause ?: err == -ECONNRESET ? "closed by the peer" : "the socket failed";
	braid_peer_del_stream(peer, stream, retired ? NULL : cause);
	braid_stream_put(stream);
	module_put_and_kthread_exit(0);
}

int braid_stream_new(struct braid_peer *peer, struct socket *sock, bool tls, u64 session, bool crc,
		     u64 key_limit)
{
	struct braid_stream *stream = kzalloc(sizeof(*stream), GFP_KERNEL);
	int err = -ENOMEM;

	if (!stream)
		return err;
	refcount_set(&stream->refs, 1);
	stream->session = session;
	stream->tls = tls;
	stream->crc = crc;
	stream->key_limit = key_limit ?: tls ? KEY_LIMIT_DEFAULT : 0;
	mutex_init(&stream->send_lock);
	spin_lock_init(&stream->out_lock);
	INIT_LIST_HEAD(&stream->out);
	INIT_WORK(&stream->send_work, send_work);
	stream->tags = kvcalloc(BRAID_WINDOW_REQUESTS_MAX, sizeof(*stream->tags), GFP_KERNEL);
	stream->tag_bytes = kvcalloc(2 * BRAID_WINDOW_REQUESTS_MAX, sizeof(*stream->tag_bytes),
				     GFP_KERNEL);
	stream->tags_used = bitmap_zalloc(BRAID_WINDOW_REQUESTS_MAX, GFP_KERNEL);
	if (!stream->tags || !stream->tag_bytes || !stream->tags_used)
		goto err_free;
	stream->tag_ms = stream->tag_bytes + BRAID_WINDOW_REQUESTS_MAX;
	stream->task = kthread_create(stream_thread, stream, "braid/%s/%u", peer->res->name,
				      peer->node);
	if (IS_ERR(stream->task)) {
		err = PTR_ERR(stream->task);
		goto err_free;
	}
	braid_peer_get(peer);
	stream->peer = peer;
	stream->sock = sock;
	err = braid_peer_add_stream(peer, stream);
	if (err)
		goto err_task;
	configure(sock->sk);
	braid_log_created("stream", "%p", stream);
	__module_get(THIS_MODULE);
	wake_up_process(stream->task);
	return 0;

err_task:
	kthread_stop(stream->task);
	braid_peer_put(peer);
err_free:
	kvfree(stream->tags);
	kvfree(stream->tag_bytes);
	bitmap_free(stream->tags_used);
	kfree(stream);
	return err;
}
