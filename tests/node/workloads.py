"""Programs for test pods. Each says in one line of JSON what it holds; they run by `python3 -c` in the agent's own image."""

FDS = """
import json, os, resource, signal, time
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
held = []
while len(os.listdir("/proc/self/fd")) - 1 < 900:
    held.append(os.open("/dev/null", os.O_RDONLY))
def free(*_):
    while held:
        os.close(held.pop())
    print("freed", flush=True)
signal.signal(signal.SIGUSR1, free)
print(json.dumps({"fds": len(os.listdir("/proc/self/fd")) - 1}), flush=True)
while True:
    time.sleep(1)
"""

# 50 connections closed by their clients only, and, whenever SIGUSR1 asks, 200 closed by both: TIME_WAIT for 60 s.
SOCKETS = """
import json, signal, socket, time
listener = socket.create_server(("127.0.0.1", 9000), backlog=256)
def pair():
    client = socket.create_connection(("127.0.0.1", 9000))
    return client, listener.accept()[0]
half = [pair() for _ in range(50)]
for client, _ in half:
    client.shutdown(socket.SHUT_WR)
def linger(*_):
    for _ in range(200):
        client, server = pair()
        client.shutdown(socket.SHUT_WR)
        server.recv(1)
        server.close()
        client.recv(1)
        client.close()
    print("lingering", flush=True)
signal.signal(signal.SIGUSR1, linger)
print(json.dumps({"closeWait": 50, "finWait2": 50, "listen": 1}), flush=True)
while True:
    time.sleep(1)
"""

# On the host's network: ten connections to itself.
HOST_NETWORK = """
import json, os, socket, time
listener = socket.create_server(("127.0.0.1", 0))
held = [listener]
for _ in range(10):
    held += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
print(json.dumps({"established": 20, "listen": 1, "fds": len(os.listdir("/proc/self/fd")) - 1}), flush=True)
while True:
    time.sleep(1)
"""

STATIC = """
import json, os, time
held = [os.pipe() for _ in range(20)]
print(json.dumps({"pipe": 40, "fds": len(os.listdir("/proc/self/fd")) - 1}), flush=True)
while True:
    time.sleep(1)
"""

# Takes every inotify instance that its user may have, over and over, for a neighbour's release must not help it.
INOTIFY_TAKER = """
import ctypes, json, time
libc = ctypes.CDLL(None)
taken = 0
while libc.inotify_init1(0) >= 0:
    taken += 1
print(json.dumps({"inotify": taken}), flush=True)
while True:
    time.sleep(1)
"""

INOTIFY_SUFFERER = """
import ctypes, json, time
libc = ctypes.CDLL(None, use_errno=True)
first = libc.inotify_init1(0)
print(json.dumps({"inotify": int(first >= 0)}), flush=True)
while True:
    time.sleep(1)
"""

# Accepts and closes at once.
CLOSES = """
import socket
listener = socket.create_server(("0.0.0.0", 9000), backlog=256)
while True:
    listener.accept()[0].close()
"""

# A connection every PAUSE seconds, none of which it closes, until its 640 descriptors are taken.
LEAKS = """
import errno, json, resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (640, 640))
held, began = [], time.time()
print(json.dumps({"began": began}), flush=True)
try:
    while True:
        held.append(socket.create_connection(("ADDRESS", 9000)))
        time.sleep(max(0, began + len(held) * PAUSE - time.time()))  # straight, however long each takes
except OSError as error:
    print(json.dumps({"failed": time.time(), "errno": errno.errorcode[error.errno]}), flush=True)
while True:
    time.sleep(1)
"""

# Sends to itself what it never reads, until TCP of the whole machine has more than so many pages.
QUEUES = """
import json, socket, time
def pages():
    with open("/proc/net/sockstat") as file:
        return next(int(line.split(" mem ")[1]) for line in file if line.startswith("TCP:"))
listener, held = socket.create_server(("127.0.0.1", 9000), backlog=64), []
def fill():
    while pages() <= PAGES and len(held) < 128:
        client = socket.create_connection(("127.0.0.1", 9000))
        client.setblocking(False)
        held.extend([client, listener.accept()[0]])
        try:
            for _ in range(16):
                client.send(bytes(65536))
        except BlockingIOError:
            pass
fill()
print(json.dumps({"pages": pages(), "connections": len(held) // 2}), flush=True)
while True:
    time.sleep(1)
    fill()  # others give some of theirs back
"""
