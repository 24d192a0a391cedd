// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What a descriptor is, and what its socket says of itself.
#pragma once

// The kind that its operations tell, as the reader learned them of its own descriptors; KINDS where they do not.
static __always_inline u32 learned_kind(struct settings *known, u64 operations)
{
	if (operations == known->of_socket)
		return KIND_SOCKET;
	if (operations == known->of_epoll)
		return KIND_EPOLL;
	if (operations == known->of_eventfd)
		return KIND_EVENTFD;
	if (operations == known->of_inotify)
		return KIND_INOTIFY;
	if (operations == known->of_timerfd)
		return KIND_TIMERFD;
	if (operations == known->of_signalfd)
		return KIND_SIGNALFD;
	return KINDS;
}

static __always_inline u32 terminal(u32 device)
{
	u32 major = device >> 20;

	return major == 2 || major == 3 || major == 4 || major == 5 || (major >= 136 && major <= 143) || major == 166 ||
	       major == 188 || major == 204;
}

// What a descriptor is, where its operations do not tell.
static __always_inline u32 kind_of(struct inode *inode, u8 *flags)
{
	u32 type = inode->i_mode & S_IFMT;
	u32 internal = !!(inode->i_sb->s_flags & SB_KERNMOUNT); // no path leads there

	if (type == S_IFCHR) {
		if (inode->i_rdev == (5 << 20 | 2))
			*flags |= PTMX;
		return terminal(inode->i_rdev) ? KIND_TTY : KIND_DEVICE;
	}
	if (type == S_IFBLK)
		return KIND_DEVICE;
	if (type == S_IFIFO && internal)
		return KIND_PIPE;
	if (type == S_IFREG && internal) {
		u64 magic = inode->i_sb->s_magic;

		return magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC ? KIND_MEMFD : KIND_OTHER;
	}
	return internal || !type ? KIND_OTHER : KIND_FILE;
}

static __always_inline void read_peer(u8 *address, u16 family, struct sock *sk)
{
	if (family == AF_INET)
		__builtin_memcpy(address, &sk->__sk_common.skc_daddr, 4);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		bpf_core_read(address, 16, &sk->__sk_common.skc_v6_daddr);
}

static __always_inline void describe_peer(struct held *one, struct sock *sk)
{
	one->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	read_peer(one->address, one->family, sk);
}

static __always_inline u32 drops_of(struct sock *sk)
{
	return bpf_core_field_exists(sk->sk_drops) ? sk->sk_drops.counter : 0;
}

static __always_inline u32 datagrams_dropped(struct sock *sk)
{
	struct udp_sock *udp = (void *)sk;

	if (bpf_core_field_exists(udp->drop_counters))
		return BPF_CORE_READ(udp, drop_counters.drops0.counter) + BPF_CORE_READ(udp, drop_counters.drops1.counter);
	return drops_of(sk);
}

static __always_inline void describe_address(struct held *one, struct sock *sk)
{
	if (one->family == AF_INET)
		__builtin_memcpy(one->address, &sk->__sk_common.skc_rcv_saddr, 4);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr))
		bpf_core_read(one->address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
}

static __always_inline void describe(struct held *one, struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family, type = sk->sk_type;

	one->family = family;
	one->protocol = sk->sk_protocol;
	one->netns = sk->__sk_common.skc_net.net->ns.inum;
	one->socket = OTHER;
	if (family == AF_UNIX) {
		one->socket = UNIX;
		if (type != SOCK_DGRAM && sk->__sk_common.skc_state == TCP_LISTEN)
			one->state = TCP_LISTEN;
		return;
	}
	if (family != AF_INET && family != AF_INET6)
		return;
	if (type == SOCK_STREAM && (one->protocol == IPPROTO_TCP || one->protocol == IPPROTO_MPTCP)) {
		one->socket = TCP;
		one->state = sk->__sk_common.skc_state;
		one->port = sk->__sk_common.skc_num;
		if (one->state == TCP_LISTEN || one->protocol == IPPROTO_MPTCP)
			return;
		// Most connections are idle, and what says so is nearer. A FIN that was not read counts as a byte.
		if (one->state == TCP_ESTABLISHED && !sk->sk_backlog.rmem_alloc.counter && !sk->sk_wmem_queued)
			return;
		struct tcp_sock *tcp = (void *)bpf_skc_to_tcp_sock(sk);

		if (tcp) {
			s32 received = tcp->rcv_nxt - tcp->copied_seq, sent = tcp->write_seq - tcp->snd_una;

			received = received > 0 ? received : 0;
			sent = sent > 0 ? sent : 0;
			one->queued = received + sent;
			if (one->queued >= MUCH_QUEUED) {
				one->flags |= QUEUES;
				one->queue = received;
				one->backlog = sent;
				describe_peer(one, sk);
			}
		}
	} else if (type == SOCK_DGRAM && (one->protocol == IPPROTO_UDP || one->protocol == IPPROTO_UDPLITE)) {
		s32 sent = sk->sk_wmem_alloc.refs.counter - 1;

		one->socket = UDP;
		one->drops = datagrams_dropped(sk);
		if (one->drops) {
			one->flags |= DROPS;
			one->port = sk->__sk_common.skc_num;
			describe_address(one, sk);
		}
		one->queued = sk->sk_backlog.rmem_alloc.counter + (sent > 0 ? sent : 0);
	}
}

static __always_inline void describe_listener(struct held *one, struct sock *sk)
{
	struct sock *queued_at = sk;

	one->flags |= LISTENS;
	if (one->family == AF_UNIX) {
		one->queue = BPF_CORE_READ(sk, sk_receive_queue.qlen);
		one->backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
		return;
	}
	if (one->protocol == IPPROTO_MPTCP && bpf_core_field_exists(((struct mptcp_sock *)sk)->first))
		queued_at = BPF_CORE_READ((struct mptcp_sock *)sk, first); // its connections wait at its first subflow
	one->queue = BPF_CORE_READ(queued_at, sk_ack_backlog);
	one->backlog = BPF_CORE_READ(queued_at, sk_max_ack_backlog);
	one->requests = BPF_CORE_READ((struct inet_connection_sock *)queued_at, icsk_accept_queue.qlen.counter);
	if (bpf_core_field_exists(sk->sk_drops))
		one->drops = BPF_CORE_READ(queued_at, sk_drops.counter);
	describe_address(one, sk);
}

// The path of a UNIX socket, or its abstract name, which begins with a zero.
static __always_inline void read_name(struct named *one, struct sock *sk)
{
	struct unix_address *address = BPF_CORE_READ((struct unix_sock *)sk, addr);
	u64 length = 0;

	if (!address)
		return;
	length = (u32)BPF_CORE_READ(address, len) - sizeof(u16); // of the family
	if (length > UNIX_PATH_MAX)
		return;
	asm volatile("%0 &= 127" : "+r"(length)); // the verifier forgets the bound above on the way
	one->length = length;
	bpf_core_read(one->name, length, &address->name[0].sun_path);
}

// Whether a TCP socket that does not listen is connected to somewhere outside.
static __always_inline u32 goes_out(struct held *one, struct sock *sk)
{
	u8 first = 0;

	if (one->family == AF_INET || sk->__sk_common.skc_daddr) // an IPv6 socket has both for a mapped one
		return sk->__sk_common.skc_daddr && IPV4_IS_OUTSIDE(__builtin_bswap32(sk->__sk_common.skc_daddr));
	if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		bpf_core_read(&first, 1, &sk->__sk_common.skc_v6_daddr);
	return IPV6_IS_OUTSIDE(first);
}
