// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What the programs read of the kernel's types, and its numbers.
//
// CO-RE: only the fields that are read are declared; libbpf finds them in the running kernel's BTF. What has three
// underscores in its name is how another kernel has it.
#pragma once

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
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

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
struct inet_connection_sock {
	struct {
		atomic_t qlen;
	} KERNEL_TYPE icsk_accept_queue;
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
