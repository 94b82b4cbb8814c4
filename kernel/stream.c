// SPDX-License-Identifier: GPL-2.0
#include "stream.h"
#include "event.h"
#include "fault.h"
#include "object_log.h"
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

/* Answers that the thread keeps until it has nothing to receive, after a message no larger than: */
#define DEFERRED_MAX	16
#define DEFER_BYTES	65536u

/* Pages that a payload may be in, if it does not begin with one. */
#define PAYLOAD_VECS	(BRAID_PAYLOAD_MAX / PAGE_SIZE + 1)

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

static void stream_free(struct braid_stream *stream)
{
	kvfree(stream->tags);
	kvfree(stream->tag_bytes);
	bitmap_free(stream->tags_used);
	kvfree(stream->vecs);
	kfree(stream->in);
	if (stream->frames)
		__free_page(stream->frames);
	kfree(stream);
}

void braid_stream_put(struct braid_stream *stream)
{
	if (!refcount_dec_and_test(&stream->refs))
		return;
	sockfd_put(stream->sock);
	braid_peer_put(stream->peer);
	braid_log_destroyed("stream", "%p", stream);
	stream_free(stream);
}

void braid_stream_shutdown(struct braid_stream *stream)
{
	kernel_sock_shutdown(stream->sock, SHUT_RDWR);
}

/* ---- sending ---- */

/* The message is complete, with a crc of 0 that is made up for here. */
static void seal(struct braid_stream *stream, u8 *frame, u32 bytes, u32 payload)
{
	u32 crc;

	if (!stream->crc)
		return;
	crc = braid_crc32c(~0u, frame, bytes);
	crc = braid_vecs_crc(crc, stream->vecs + 1, 0, payload);
	braid_put_le32(frame + BRAID_HEADER_CRC, ~crc);
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

/* The payload of the last message. Its vectors are copied: one call sends them with the frames. */
static void add_payload(struct braid_stream *stream, const struct bio_vec *vecs, u32 count,
			u32 bytes)
{
	memcpy(stream->vecs + 1, vecs, count * sizeof(*vecs));
	stream->vec_count = count;
	stream->vec_bytes = bytes;
}

/* Room for another message, or NULL. */
static u8 *next_frame(struct braid_stream *stream, u8 type)
{
	u32 bytes = BRAID_HEADER_BYTES + braid_body_bytes(type);

	if (stream->vec_bytes || stream->frames_length + bytes > PAGE_SIZE)
		return NULL;
	stream->frames_length += bytes;
	return (u8 *)page_address(stream->frames) + stream->frames_length - bytes;
}

static void begin_out(struct braid_stream *stream, struct braid_out *out, u8 *frame)
{
	u32 body = braid_body_bytes(out->header.type);

	list_add_tail(&out->list, &stream->current_outs);
	out->header.length = body + out->payload;
	braid_header_encode(&out->header, frame);
	memcpy(frame + BRAID_HEADER_BYTES, out->body, body);
	if (out->payload)
		add_payload(stream, out->vecs, out->vec_count, out->payload);
	if (out->header.type != BRAID_MSG_HELLO)
		seal(stream, frame, BRAID_HEADER_BYTES + body, out->payload);
}

static void begin_send(struct braid_stream *stream, struct braid_send *send)
{
	struct braid_request *req = braid_send_request(send);
	u8 *frame = next_frame(stream, req->type);
	struct braid_header header;
	struct braid_data data;
	struct bio_vec *vecs;
	u32 offset, count;

	stream->current_send = send;
	braid_request_fill(req, &header, &data);
	send->epoch = data.epoch;
	header.tag = send->tag;
	if (req->type == BRAID_MSG_WRITE) {
		count = braid_bio_vecs(req->payload, &vecs, &offset);
		add_payload(stream, vecs, count, req->bytes);
	}
	braid_header_encode(&header, frame);
	braid_data_encode(&data, frame + BRAID_HEADER_BYTES);
	seal(stream, frame, BRAID_HEADER_BYTES + BRAID_DATA_BYTES, stream->vec_bytes);
}

static bool sending(const struct braid_stream *stream)
{
	return stream->frames_length;
}

/* All of it is in the socket, or the stream has ended. */
static void sent(struct braid_stream *stream)
{
	struct braid_send *send = stream->current_send;
	struct braid_out *out, *next;
	LIST_HEAD(outs);

	list_splice_init(&stream->current_outs, &outs);
	stream->current_send = NULL;
	stream->frames_length = 0;
	stream->vec_count = 0;
	stream->vec_bytes = 0;
	stream->vec_sent = 0;
	if (send)
		braid_peer_sent(stream->peer, send);
	list_for_each_entry_safe(out, next, &outs, list) {
		list_del_init(&out->list);
		out->done(out);
	}
}

/* As many messages of the queue as fit. */
static void begin_outs(struct braid_stream *stream)
{
	struct braid_out *out;
	u8 *frame;

	spin_lock_irq(&stream->out_lock);
	for (;;) {
		out = list_first_entry_or_null(&stream->out, struct braid_out, list);
		frame = out ? next_frame(stream, out->header.type) : NULL;
		if (!frame)
			break;
		list_del_init(&out->list);
		stream->out_count--;
		/* It is ours now; a payload's checksum takes long. */
		spin_unlock_irq(&stream->out_lock);
		begin_out(stream, out, frame);
		spin_lock_irq(&stream->out_lock);
	}
	spin_unlock_irq(&stream->out_lock);
}

/* False if there is nothing to send. Under @send_lock. */
static bool begin(struct braid_stream *stream)
{
	struct braid_send *send;

	begin_outs(stream);
	if (sending(stream))
		return true;
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
	int sent;

	bvec_set_page(&stream->vecs[0], stream->frames, stream->frames_length, 0);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, stream->vecs, 1 + stream->vec_count,
		      stream->frames_length + stream->vec_bytes);
	iov_iter_advance(&msg.msg_iter, stream->vec_sent);
	sent = sock_sendmsg(stream->sock, &msg);
	if (sent > 0) {
		stream->vec_sent += sent;
		stream->sent_bytes += sent + RECORD_BYTES;
	}
	return sent;
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
		if (stream->vec_sent == stream->frames_length + stream->vec_bytes)
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

void braid_stream_flush(struct braid_stream *stream)
{
	if (current != stream->task || !stream->deferred)
		return;
	stream->deferred = 0;
	braid_stream_pump(stream, false);
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
	if (current == stream->task && in_task()) {
		stream->deferred++;
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
	u32 length = 0;
	bool retired;
	int err;

	say_hello(stream);
	braid_stream_flush(stream);
	err = braid_stream_receive_hello(stream);
	if (!err)
		err = braid_peer_greet(peer, stream);
	while (!err) {
		err = braid_stream_receive_message(stream, &length);
		if (stream->deferred >= DEFERRED_MAX || length >= DEFER_BYTES)
			braid_stream_flush(stream);
	}

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
	INIT_LIST_HEAD(&stream->current_outs);
	INIT_WORK(&stream->send_work, send_work);
	stream->tags = kvcalloc(BRAID_WINDOW_REQUESTS_MAX, sizeof(*stream->tags), GFP_KERNEL);
	stream->tag_bytes = kvcalloc(2 * BRAID_WINDOW_REQUESTS_MAX, sizeof(*stream->tag_bytes),
				     GFP_KERNEL);
	stream->tags_used = bitmap_zalloc(BRAID_WINDOW_REQUESTS_MAX, GFP_KERNEL);
	stream->vecs = kvcalloc(1 + PAYLOAD_VECS, sizeof(*stream->vecs), GFP_KERNEL);
	stream->in = kmalloc(BRAID_IN_BYTES, GFP_KERNEL);
	stream->frames = alloc_page(GFP_KERNEL);
	if (!stream->tags || !stream->tag_bytes || !stream->tags_used || !stream->vecs ||
	    !stream->in || !stream->frames)
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
	stream_free(stream);
	return err;
}
