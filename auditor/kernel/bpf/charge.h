// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Whom inotify and epoll instances are charged to.
#pragma once

#define USER_LEVELS 8

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct budget);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, s64);
} epolls SEC(".maps");

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
