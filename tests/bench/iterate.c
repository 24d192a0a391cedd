// iterate OBJECT ROUNDS: drives the project's two iterators from C, as a sweep does, and throws away what they say. Prints
// the CPU milliseconds of each round, a line each. What is left of a sweep's cost beyond this is the price of Python.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#undef unix // a word of gcc, and a field of a record
#include "records.h"

#define MANY(array) (sizeof(array) / sizeof(*(array)))

static const char *maps[] = {"budgets", "epolls", "ranges", "tables"}; // and three more
static char piece[32768];
static struct port ports[PORTS_MAX];
static struct accepted none[MANY(ports)];
static u32 listening, asked, strangers, more_peers;
static struct settings told;

static double cpu(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

// Tells the programs what the agent does: the kinds of descriptors, learned of its own.
static void teach(struct bpf_object *object)
{
	u64 *operations[] = {&told.of_socket, &told.of_epoll, &told.of_eventfd, &told.of_inotify, &told.of_timerfd, &told.of_signalfd};
	int own[MANY(operations)], settings = bpf_object__find_map_fd_by_name(object, "settings");
	struct lesson *one;
	sigset_t no_signal;
	ssize_t size;
	u32 first = 0;

	// Every process shows: 0xEFFFFFFC is the inode of the initial PID namespace.
	told = (struct settings){.pid_namespace = 0xEFFFFFFC, .own_pid = getpid(), .single = 1};
	sigemptyset(&no_signal);
	own[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	own[1] = epoll_create1(0);
	own[2] = eventfd(0, 0);
	own[3] = inotify_init1(0);
	own[4] = timerfd_create(CLOCK_MONOTONIC, 0);
	own[5] = signalfd(-1, &no_signal, 0);
	bpf_map_update_elem(settings, &first, &told, 0);
	struct bpf_link *link = bpf_program__attach_iter(bpf_object__find_program_by_name(object, "lessons"), NULL);
	int iterator = bpf_iter_create(bpf_link__fd(link));

	while ((size = read(iterator, piece, sizeof(piece))) > 0)
		for (one = (void *)piece; (char *)one < piece + size; one++)
			for (u32 i = 0; i < MANY(own); i++)
				if ((int)one->fd == own[i]) {
					*operations[i] = one->operations;
					told.single = one->references;
				}
	close(iterator);
	bpf_map_update_elem(settings, &first, &told, 0);
	for (u32 i = 0; i < MANY(own); i++)
		close(own[i]);
}

// Learns in the first round the ports that are listened on, of which the others count the connections, and in each round
// which maps there is something in.
static void look_at(ssize_t size, int first)
{
	for (char *at = piece; at < piece + size;) {
		struct held *one = (void *)at;
		struct sums *sums = (void *)at;

		if (one->tag == SUMS) {
			strangers |= sums->elsewhere;
			more_peers |= sums->more_peers;
		} else if (first && one->tag == HELD && one->flags & LISTENS && one->socket == TCP && listening < MANY(ports)) {
			ports[listening++] = (struct port){one->netns, one->port, one->family};
		}
		at += one->size;
	}
}

// Tells the programs which round it is, and what they do not know yet of the ports.
static void tell(struct bpf_object *object)
{
	int settings = bpf_object__find_map_fd_by_name(object, "settings");
	u32 first = 0;

	told.round++;
	bpf_map_update_elem(settings, &first, &told, 0);
	if (asked < listening)
		bpf_map_update_batch(bpf_object__find_map_fd_by_name(object, "ports"), ports, none, &listening, NULL);
	asked = listening;
}

static void look_up(struct bpf_object *object, const char *name, int drain)
{
	static char keys[1024 * 32], values[1024 * 64], token[64];
	int map = bpf_object__find_map_fd_by_name(object, name), failed;
	void *before = NULL;

	do {
		__u32 count = 1024;

		failed = drain ? bpf_map_lookup_and_delete_batch(map, before, token, keys, values, &count, NULL)
			       : bpf_map_lookup_batch(map, before, token, keys, values, &count, NULL);
		before = token;
	} while (!failed);
}

int main(int argc, char **argv)
{
	struct bpf_object *object = argc == 3 ? bpf_object__open(argv[1]) : NULL;
	const char *names[] = {"tasks", "descriptors"};
	struct bpf_link *links[MANY(names)];

	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "iterate: the object cannot be loaded\n");
		return 1;
	}
	teach(object);
	for (u32 i = 0; i < MANY(names); i++)
		links[i] = bpf_program__attach_iter(bpf_object__find_program_by_name(object, names[i]), NULL);

	for (int round = 0; round < atoi(argv[2]); round++) {
		double begun = cpu();
		long bytes = 0;

		tell(object);
		for (u32 i = 0; i < MANY(names); i++) {
			int iterator = bpf_iter_create(bpf_link__fd(links[i]));
			ssize_t size;

			while ((size = read(iterator, piece, sizeof(piece))) > 0 || (size < 0 && errno == EAGAIN)) {
				bytes += size > 0 ? size : 0;
				if (i == 1)
					look_at(size, round == 0);
			}
			close(iterator);
		}
		for (u32 i = 0; i < MANY(maps); i++)
			look_up(object, maps[i], 1);
		if (strangers)
			look_up(object, "strangers", 1);
		if (more_peers)
			look_up(object, "peers", 1);
		look_up(object, "ports", 0);
		strangers = more_peers = 0;
		printf("%.2f %ld\n", cpu() - begun, bytes);
	}
	return 0;
}
