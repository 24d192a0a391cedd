// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// BPF iterators: every task, and every descriptor of every task, summed where it lies.
//
// A field that a kernel does not have is guarded, and what it would say is left unknown.
//
// When the buffer of a pass is full the kernel takes back what the program wrote for the current object and shows it
// again. So a program commits nothing before its last write has succeeded.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#include <records.h>
#include "kernel.h"
#include "describe.h"
#include "charge.h"
#include "connections.h"

#define PID_LEVELS 8
#define RECENT 4

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings SEC(".maps");

static __always_inline struct settings *told(void)
{
	u32 first = 0;

	return bpf_map_lookup_elem(&settings, &first);
}

// A task's number in the reader's PID namespace; 0 where it does not show there.
static __always_inline u32 number_of(struct task_struct *task, u32 namespace)
{
	struct pid *pid = task->thread_pid;
	u32 level = 0;

	if (!pid)
		return 0;
	bpf_core_read(&level, sizeof(level), &pid->level);
	for (u32 i = 0; i < PID_LEVELS; i++) {
		struct pid_namespace *ns = NULL;
		u32 inum = 0;
		int nr = 0;
		struct upid *one = (void *)&pid->numbers[0] + i * bpf_core_type_size(struct upid);

		if (i > level)
			break;
		bpf_core_read(&ns, sizeof(ns), &one->ns);
		bpf_core_read(&inum, sizeof(inum), &ns->ns.inum);
		if (inum != namespace)
			continue;
		bpf_core_read(&nr, sizeof(nr), &one->nr);
		return nr;
	}
	return 0;
}

static __always_inline void read_ports(struct net *net, struct task *one)
{
	struct net___word *word = (void *)net;
	struct net___pair *pair = (void *)net;

	if (bpf_core_field_exists(word->ipv4.ip_local_ports.range)) {
		u32 range = 0;

		bpf_core_read(&range, sizeof(range), &word->ipv4.ip_local_ports.range);
		one->ports_low = range & 0xffff;
		one->ports_high = range >> 16;
	} else if (bpf_core_field_exists(pair->ipv4.ip_local_ports.range)) {
		int range[2] = {};

		bpf_core_read(range, sizeof(range), &pair->ipv4.ip_local_ports.range);
		one->ports_low = range[0];
		one->ports_high = range[1];
	}
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct settings *known = told();
	struct task one = {};

	if (!task || !known)
		return 0;
	struct task_struct *leader = task->group_leader;
	// A thread with the leader's own table adds nothing. One that outlives its leader answers for it.
	if (task->pid != task->tgid && (!task->files || task->files == leader->files))
		return 0;
	struct signal_struct *group = task->signal;
	struct nsproxy *namespaces = task->nsproxy;

	one.pid = task->pid;
	one.tgid = task->tgid;
	one.number = number_of(leader, known->pid_namespace);
	if (!one.number)
		return 0;
	one.thread = number_of(task, known->pid_namespace);
	one.flags = (task->flags & PF_KTHREAD ? KTHREAD : 0) | (task->pid != task->tgid ? THREAD : 0);
	if (leader->flags & PF_EXITING)
		one.flags |= EXITING;
	one.start = leader->start_boottime;
	one.files = (u64)task->files;
	one.cgroups = (u64)task->cgroups;
	if (group) {
		one.threads = group->nr_threads;
		one.soft = group->rlim[RLIMIT_NOFILE].rlim_cur;
		one.hard = group->rlim[RLIMIT_NOFILE].rlim_max;
	}
	one.euid = task->real_cred->euid.val;
	if (namespaces) {
		struct net *net = namespaces->net_ns;

		one.netns = net->ns.inum;
		one.mounts = namespaces->mnt_ns->ns.inum;
		if (bpf_core_field_exists(net->ipv4.tcp_death_row.sysctl_max_tw_buckets)) {
			one.flags |= WITH_TIME_WAIT;
			one.time_wait_max = net->ipv4.tcp_death_row.sysctl_max_tw_buckets;
		}
		read_ports(net, &one);
	}
	__builtin_memcpy(one.command, leader->comm, sizeof(one.command));
	bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
	return 0;
}

static __always_inline u64 references(struct file *file)
{
	if (bpf_core_field_exists(file->f_ref))
		return file->f_ref.refcnt.counter;
	return file->f_count.counter;
}

// The reader's own descriptors: it knows what they are.
SEC("iter/task_file")
int lessons(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct settings *known = told();
	struct lesson one = {};

	if (!task || !file || !known)
		return 0;
	if (number_of(task->group_leader, known->pid_namespace) != known->own_pid)
		return 0;
	one.operations = (u64)file->f_op;
	one.references = references(file);
	one.fd = ctx->fd;
	bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
	return 0;
}

// What the task that is being shown shares with others, not yet written.
struct several several;
// The descriptions it was shown last with other references. dup(2) makes many descriptors of one: the first one says all.
u64 recent[RECENT];
u32 oldest;

static __always_inline long write_several(struct seq_file *seq)
{
	u64 number = several.number;

	if (!number || number > SEVERAL_MAX)
		return 0;
	several.size = __builtin_offsetof(struct several, files) + number * sizeof(u64);
	return bpf_seq_write(seq, &several, __builtin_offsetof(struct several, files) + number * sizeof(u64));
}

static __always_inline long write_sums(struct seq_file *seq)
{
	u64 number = peers_at_hand;

	if (number > PEERS_AT_HAND) // never, but the verifier does not know
		number = PEERS_AT_HAND;
	current.sums.size = sizeof(struct sums) + number * sizeof(struct peer);
	return bpf_seq_write(seq, &current, sizeof(struct sums) + number * sizeof(struct peer));
}

SEC("iter/task_file")
int descriptors(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct seq_file *seq = ctx->meta->seq;

	if (!task || !file) { // the end
		if (summing && !write_several(seq) && !write_sums(seq))
			summing = 0;
		return 0;
	}
	if (ctx->meta->seq_num == 0) // an earlier reader may have stopped half way
		summing = 0;

	struct settings *known = told();
	struct held one = { .tag = HELD, .size = sizeof(one), .pid = task->pid, .fd = ctx->fd, .file = (u64)file };
	struct sock *sk = NULL;

	if (!known)
		return 0;
	u32 kind = learned_kind(known, (u64)file->f_op);

	if (kind == KINDS)
		kind = kind_of(file->f_inode, &one.flags);
	if (kind == KIND_SOCKET) {
		struct socket *socket = bpf_sock_from_file(file);

		if (socket)
			sk = socket->sk;
		if (sk) {
			describe(&one, sk);
			if (one.state == TCP_LISTEN)
				describe_listener(&one, sk);
		} else {
			one.socket = OTHER;
		}
	} else if (kind == KIND_INOTIFY) {
		one.budget = charge(file);
	} else if (kind == KIND_EPOLL) {
		one.netns = count_watches(file);
	}
	one.kind = kind;
	u32 again = 0;

	if (references(file) > known->single) {
		one.flags |= SHARED;
		if (summing && current.sums.pid == task->pid)
			for (int i = 0; i < RECENT; i++)
				again |= recent[i] == (u64)file;
	}
	if (sk && one.socket == TCP && one.flags == SHARED) // the reader counts where it goes
		describe_peer(&one, sk);
	if (again) {
		current.sums.fds++;
		current.sums.shared++;
		if (kind < KINDS)
			current.sums.kinds[kind]++;
		return 0;
	}
	if (one.flags & LISTENS && one.family == AF_UNIX) {
		struct named name = { .tag = NAMED, .size = sizeof(name), .file = (u64)file };

		read_name(&name, sk);
		if (bpf_seq_write(seq, &name, sizeof(name)))
			return 0;
	}
	// Of what is shared, and nothing else that is asked about, only by whom.
	u32 plain = one.flags == SHARED && kind != KIND_SOCKET && kind != KIND_INOTIFY && kind != KIND_EPOLL;
	u32 ended = summing && current.sums.pid != task->pid, full = summing && plain && several.number == SEVERAL_MAX;

	if (!plain && (one.flags || kind == KIND_INOTIFY || (kind == KIND_EPOLL && known->epolls))) {
		if (bpf_seq_write(seq, &one, sizeof(one)))
			return 0;
	}
	if ((ended || full) && write_several(seq))
		return 0;
	if (ended && write_sums(seq))
		return 0;

	// All is written: from here on it counts.
	if (ended || full)
		several.number = 0;
	if (ended || !summing) {
		struct nsproxy *namespaces = task->nsproxy;
		const struct cred *cred = task->real_cred;

		// Also of users whose instances no descriptor that is seen leads to.
		if (bpf_core_field_exists(cred->ucounts))
			write_down(BPF_CORE_READ(cred, ucounts));
		write_down_epoll(BPF_CORE_READ(cred, user));
		__builtin_memset(&current.sums, 0, sizeof(current.sums));
		current.sums.tag = SUMS;
		current.sums.pid = task->pid;
		if (namespaces)
			current.sums.netns = namespaces->net_ns->ns.inum;
		__builtin_memset(recent, 0, sizeof(recent));
		several.tag = SEVERAL;
		several.pid = task->pid;
		several.number = 0;
		peers_at_hand = 0;
		counted_before = shown_before(task);
		summing = 1;
	}
	if (one.flags & SHARED)
		recent[oldest++ & (RECENT - 1)] = (u64)file;
	if (plain)
		several.files[several.number++ & (SEVERAL_MAX - 1)] = (u64)file;
	current.sums.fds++;
	if (kind < KINDS)
		current.sums.kinds[kind]++;
	if (one.flags & SHARED)
		current.sums.shared++;
	if (kind != KIND_SOCKET || one.flags & SHARED) // what is shared the reader counts
		return 0;
	if (sk && one.socket == TCP) {
		u32 every = known->egress && one.state != TCP_LISTEN && one.state != TCP_CLOSE && goes_out(&one, sk);

		if (every || one.state == TCP_ESTABLISHED || one.state == TCP_CLOSE_WAIT)
			count_connection(&one, sk, every, known->round);
		write_down_range(&one, sk);
	}
	if (one.netns != current.sums.netns && one.socket != OTHER) {
		add_stranger(&current.sums, &one);
	} else if (one.socket == TCP) {
		if (one.state < TCP_STATES)
			current.sums.tcp[one.state]++;
		current.sums.tcp_queued += one.queued;
	} else if (one.socket == UDP) {
		current.sums.udp++;
		current.sums.udp_queued += one.queued;
	} else if (one.socket == UNIX) {
		current.sums.unix++;
	} else {
		current.sums.other++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
