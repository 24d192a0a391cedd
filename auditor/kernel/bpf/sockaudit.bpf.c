// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// BPF iterators: every task, and every descriptor of every task, summed where it lies.
//
// CO-RE: of the kernel's types only the fields that are read are declared; libbpf finds them in the running kernel's BTF.
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

#include "records.h"

#define KERNEL_TYPE __attribute__((preserve_access_index))

#define EEXIST 17
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_UDPLITE 136
#define IPPROTO_MPTCP 262
#define TCP_ESTABLISHED 1
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LISTEN 10
#define UNIX_PATH_MAX 108
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define RLIMIT_NOFILE 7
#define SB_KERNMOUNT (1UL << 22)
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define PID_LEVELS 8
#define USER_LEVELS 8
#define RECENT 4

typedef struct {
	int counter;
} KERNEL_TYPE atomic_t;
typedef struct {
	long counter;
} KERNEL_TYPE atomic_long_t;
typedef struct {
	atomic_t refs;
} KERNEL_TYPE refcount_t;
typedef struct {
	unsigned int val;
} KERNEL_TYPE kuid_t;

struct seq_file;
struct file_operations;
struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
} KERNEL_TYPE;

struct ns_common {
	unsigned int inum;
} KERNEL_TYPE;
struct inet_timewait_death_row {
	int sysctl_max_tw_buckets;
} KERNEL_TYPE;
struct netns_ipv4 {
	struct inet_timewait_death_row tcp_death_row;
} KERNEL_TYPE;
struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
} KERNEL_TYPE;

// The range of ephemeral ports: one word since Linux 6.8, two before.
struct local_ports___word {
	u32 range;
} KERNEL_TYPE;
struct netns_ipv4___word {
	struct local_ports___word ip_local_ports;
} KERNEL_TYPE;
struct net___word {
	struct netns_ipv4___word ipv4;
} KERNEL_TYPE;
struct local_ports___pair {
	int range[2];
} KERNEL_TYPE;
struct netns_ipv4___pair {
	struct local_ports___pair ip_local_ports;
} KERNEL_TYPE;
struct net___pair {
	struct netns_ipv4___pair ipv4;
} KERNEL_TYPE;

struct pid_namespace {
	struct ns_common ns;
} KERNEL_TYPE;
struct upid {
	int nr;
	struct pid_namespace *ns;
} KERNEL_TYPE;
struct pid {
	unsigned int level;
	struct upid numbers[1];
} KERNEL_TYPE;
struct mnt_namespace {
	struct ns_common ns;
} KERNEL_TYPE;
struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
} KERNEL_TYPE;

enum ucount_type { UCOUNT_INOTIFY_INSTANCES = 8, UCOUNT_INOTIFY_WATCHES = 9 };
struct ucounts;
struct user_namespace {
	struct ns_common ns;
	struct ucounts *ucounts;
	long ucount_max[16];
} KERNEL_TYPE;
struct ucounts {
	struct user_namespace *ns;
	kuid_t uid;
	atomic_long_t ucount[16];
} KERNEL_TYPE;
struct user_struct;
struct cred {
	kuid_t euid;
	struct user_struct *user;
	struct ucounts *ucounts; // since Linux 5.13
} KERNEL_TYPE;

struct rlimit {
	unsigned long rlim_cur;
	unsigned long rlim_max;
} KERNEL_TYPE;
struct signal_struct {
	int nr_threads;
	struct rlimit rlim[16];
} KERNEL_TYPE;
struct files_struct {
	atomic_t count;
} KERNEL_TYPE;
struct css_set;
struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	u64 start_boottime;
	struct task_struct *group_leader;
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	const struct cred *real_cred;
	char comm[16];
} KERNEL_TYPE;

struct super_block {
	unsigned long s_flags;
	unsigned long s_magic;
} KERNEL_TYPE;
struct inode {
	unsigned short i_mode;
	u32 i_rdev;
	struct super_block *i_sb;
} KERNEL_TYPE;
typedef struct {
	atomic_long_t refcnt;
} KERNEL_TYPE file_ref_t;
struct file {
	file_ref_t f_ref; // since Linux 6.13
	atomic_long_t f_count;
	struct inode *f_inode;
	const struct file_operations *f_op;
	void *private_data;
} KERNEL_TYPE;

struct in6_addr {
	u32 words[4];
};
typedef struct {
	struct net *net;
} KERNEL_TYPE possible_net_t;
struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} KERNEL_TYPE;
struct sock {
	struct sock_common __sk_common;
	struct {
		atomic_t rmem_alloc;
	} KERNEL_TYPE sk_backlog;
	refcount_t sk_wmem_alloc;
	int sk_wmem_queued;
	struct {
		u32 qlen;
	} KERNEL_TYPE sk_receive_queue;
	atomic_t sk_drops;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
	u16 sk_type;
	u16 sk_protocol;
} KERNEL_TYPE;
struct socket {
	struct sock *sk;
} KERNEL_TYPE;
struct sockaddr_un {
	u16 sun_family;
	char sun_path[108];
} KERNEL_TYPE;
struct unix_address {
	int len;
	struct sockaddr_un name[];
} KERNEL_TYPE;
struct unix_sock {
	struct unix_address *addr;
} KERNEL_TYPE;
struct mptcp_sock {
	struct sock *first;
} KERNEL_TYPE;
// UDP counts what it drops by NUMA node since Linux 6.18. No type is named here that older kernels lack: libbpf would look
// for it in their modules, which takes CAP_SYS_ADMIN.
struct udp_sock {
	struct {
		atomic_t drops0;
		atomic_t drops1;
	} KERNEL_TYPE drop_counters;
} KERNEL_TYPE;
struct inet_sock {
	u32 local_port_range;
} KERNEL_TYPE;
struct inet_sock___pair { // Linux 6.3 to 6.7
	struct {
		u16 lo;
		u16 hi;
	} KERNEL_TYPE local_port_range;
} KERNEL_TYPE;
struct tcp_sock {
	u32 rcv_nxt;
	u32 copied_seq;
	u32 write_seq;
	u32 snd_una;
} KERNEL_TYPE;

struct inotify_group_private_data {
	struct ucounts *ucounts;
} KERNEL_TYPE;
struct fsnotify_group {
	struct inotify_group_private_data inotify_data;
} KERNEL_TYPE;

struct percpu_counter {
	s64 count;
} KERNEL_TYPE;
struct user_struct {
	struct percpu_counter epoll_watches;
	kuid_t uid;
} KERNEL_TYPE;
struct user_struct___atomic { // before Linux 5.16
	atomic_long_t epoll_watches;
} KERNEL_TYPE;
struct eventpoll {
	struct user_struct *user;
} KERNEL_TYPE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} KERNEL_TYPE;
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
} KERNEL_TYPE;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct budget);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, s64);
} epolls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct stranger);
	__type(value, struct strangers_of);
} strangers SEC(".maps");

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

// The task that is being shown, and whether there is one. Only one reader at a time.
struct {
	struct sums sums;
	struct peer peers[PEERS_AT_HAND];
} current;
u32 summing, peers_at_hand;
_Static_assert(sizeof(current) == sizeof(struct sums) + sizeof(current.peers), "peers follow the sums");

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

static __always_inline void describe_peer(struct held *one, struct sock *sk)
{
	one->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (one->family == AF_INET)
		__builtin_memcpy(one->address, &sk->__sk_common.skc_daddr, 4);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		bpf_core_read(one->address, 16, &sk->__sk_common.skc_v6_daddr);
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

// Write down what a user is charged for, up the chain of user namespaces.
static __always_inline void write_down(struct ucounts *counts)
{
	u64 instances = bpf_core_enum_value(enum ucount_type, UCOUNT_INOTIFY_INSTANCES);
	u64 watches = bpf_core_enum_value(enum ucount_type, UCOUNT_INOTIFY_WATCHES);

	// Before Linux 5.14 the counters are of another width, which relocation does not see through.
	if (bpf_core_field_size(counts->ucount[0]) != 8 || bpf_core_field_size(counts->ns->ucount_max[0]) != 8)
		return;
	for (int i = 0; i < USER_LEVELS && counts; i++) {
		struct user_namespace *ns = BPF_CORE_READ(counts, ns);
		struct budget one = {};
		u64 key = (u64)counts;

		if (bpf_map_lookup_elem(&budgets, &key)) // and so are those above
			return;
		one.user_namespace = BPF_CORE_READ(ns, ns.inum);
		one.uid = BPF_CORE_READ(counts, uid.val);
		bpf_core_read(&one.instances, 8, &counts->ucount[instances].counter);
		bpf_core_read(&one.watches, 8, &counts->ucount[watches].counter);
		bpf_core_read(&one.instances_max, 8, &ns->ucount_max[instances]);
		bpf_core_read(&one.watches_max, 8, &ns->ucount_max[watches]);
		counts = BPF_CORE_READ(ns, ucounts);
		one.above = (u64)counts;
		bpf_map_update_elem(&budgets, &key, &one, BPF_ANY);
	}
}

// What single CPUs have not added yet is missing: some dozens each.
static __always_inline void write_down_epoll(struct user_struct *user)
{
	u32 uid = BPF_CORE_READ(user, uid.val);
	s64 count = 0;

	if (bpf_map_lookup_elem(&epolls, &uid))
		return;
	if (bpf_core_field_exists(user->epoll_watches.count))
		bpf_core_read(&count, sizeof(count), &user->epoll_watches.count);
	else
		bpf_core_read(&count, sizeof(count), &((struct user_struct___atomic *)user)->epoll_watches.counter);
	bpf_map_update_elem(&epolls, &uid, &count, BPF_ANY);
}

// The budget of an inotify instance: that of who made it, by effective user.
static __always_inline u64 charge(struct file *file)
{
	struct fsnotify_group *group = file->private_data;
	struct ucounts *counts = BPF_CORE_READ(group, inotify_data.ucounts);

	if (counts)
		write_down(counts);
	return (u64)counts;
}

// The user whose watches an epoll instance counts among.
static __always_inline u32 count_watches(struct file *file)
{
	struct eventpoll *poll = file->private_data;
	struct user_struct *user = BPF_CORE_READ(poll, user);

	write_down_epoll(user);
	return BPF_CORE_READ(user, uid.val);
}

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
	if (one->family == AF_INET)
		__builtin_memcpy(other.address, &sk->__sk_common.skc_daddr, 4);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		bpf_core_read(other.address, 16, &sk->__sk_common.skc_v6_daddr);
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
