// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Where the connections of a task go, and sockets of other namespaces.
#pragma once

// Descriptor tables whose connections are counted, by the task that was shown first: others may have the same one.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TABLES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u64);
} tables SEC(".maps");

// Established connections of each port that is listened on; the reader puts the ports there, and leaves them there.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct port);
	__type(value, struct accepted);
} ports SEC(".maps");

// The other ends of connections that found no room behind the sums of their task.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PEERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct peer_of);
	__type(value, u64);
} peers SEC(".maps");

// Namespaces in which a socket has a range of ephemeral ports of its own, and that range.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct own_range);
	__type(value, u64);
} ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct stranger);
	__type(value, struct strangers_of);
} strangers SEC(".maps");

// The task that is being shown, and whether there is one. Only one reader at a time.
struct {
	struct sums sums;
	struct peer peers[PEERS_AT_HAND];
} current;
u32 summing, peers_at_hand;
_Static_assert(sizeof(current) == sizeof(struct sums) + sizeof(current.peers), "peers follow the sums");

// Write down the range that the program gave a socket (IP_LOCAL_PORT_RANGE). One port in sixteen is asked: who fills such a
// range has it on some of them.
static __always_inline void write_down_range(struct held *one, struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;
	struct inet_sock___pair *pair = (void *)sk;
	struct own_range key = { .netns = one->netns };
	u64 known = 1;

	if (one->port & 15)
		return;
	if (bpf_core_field_exists(inet->local_port_range))
		bpf_core_read(&key.low, sizeof(u32), &inet->local_port_range);
	else if (bpf_core_field_exists(pair->local_port_range))
		bpf_core_read(&key.low, sizeof(u32), &pair->local_port_range);
	if (key.low || key.high)
		bpf_map_update_elem(&ranges, &key, &known, BPF_ANY);
}

// Whether another task has shown the table of the one that is being shown.
u32 counted_before;

static __always_inline u32 shown_before(struct task_struct *task)
{
	struct files_struct *files = task->files;
	u64 table = (u64)files, shown_by = task->pid;

	if (!files || BPF_CORE_READ(files, count.counter) < 2)
		return 0;
	// Before Linux 6.4 the upper half of what is returned is not set.
	return (int)bpf_map_update_elem(&tables, &table, &shown_by, BPF_NOEXIST) == -EEXIST;
}

static __always_inline u32 differ(const struct peer *one, const struct peer *other)
{
	const u32 *words = (void *)one, *others = (void *)other;
	u32 bits = 0;

	for (u32 i = 0; i < __builtin_offsetof(struct peer, number) / sizeof(u32); i++)
		bits |= words[i] ^ others[i];
	return bits;
}

// Most tasks have few other ends: those are counted at hand, and only more of them in a map.
static __always_inline void count_peer(struct peer *other, u32 pid)
{
	struct peer_of key = { .state = other->state, .family = other->family, .port = other->port, .pid = pid };
	u64 *met, weight = other->number;

	for (u32 i = 0; i < PEERS_AT_HAND; i++) {
		struct peer *one = &current.peers[i];

		if (i >= peers_at_hand) {
			*one = *other;
			peers_at_hand = i + 1;
			return;
		}
		if (!differ(one, other)) {
			one->number += weight;
			return;
		}
	}
	__builtin_memcpy(key.address, other->address, sizeof(key.address));
	met = bpf_map_lookup_elem(&peers, &key);
	if (met)
		*met += weight;
	else
		bpf_map_update_elem(&peers, &key, &weight, BPF_ANY);
	current.sums.more_peers = 1;
}

static __always_inline void count_connection(struct held *one, struct sock *sk, u32 every, u32 round)
{
	struct port local = { .netns = one->netns, .number = one->port, .family = one->family };
	struct accepted *accepted = bpf_map_lookup_elem(&ports, &local);
	u32 weight = 1;

	if (one->state == TCP_ESTABLISHED && accepted && !counted_before) {
		if (accepted->round != round) {
			accepted->round = round;
			accepted->number = 0;
		}
		accepted->number++;
	}
	if (one->state == TCP_ESTABLISHED && (!every || accepted)) { // of those that others began a sample is enough
		// Ephemeral ports come in steps of two, one after the other.
		u16 ports_xor = one->port ^ __builtin_bswap16(sk->__sk_common.skc_dport);

		if (ports_xor >> 1 & (EVERY - 1))
			return;
		weight = EVERY;
	}
	struct peer other = { .state = one->state, .family = one->family, .number = weight };

	if (!accepted) // else the peer is a client, whose port is any
		other.port = __builtin_bswap16(sk->__sk_common.skc_dport);
	read_peer(other.address, one->family, sk);
	count_peer(&other, one->pid);
}

static __always_inline void add_stranger(struct sums *sums, struct held *one)
{
	struct stranger key = { .pid = one->pid, .netns = one->netns, .socket = one->socket, .state = one->state };
	struct strangers_of *met = bpf_map_lookup_elem(&strangers, &key);

	sums->elsewhere++;
	if (met) {
		met->number++;
		met->queued += one->queued;
	} else {
		struct strangers_of first = { .number = 1, .queued = one->queued };

		if (bpf_map_update_elem(&strangers, &key, &first, BPF_ANY))
			sums->lost++;
	}
}
