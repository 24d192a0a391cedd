"""Processes that come and go as fast as they can, with descriptors that come and go as well."""

import os
import random
import signal
import threading

from truth.workloads import proto

proto.close_inherited()
over = threading.Event()


def breed() -> None:
    while not over.is_set():
        child = os.fork()
        if not child:
            signal.alarm(5)
            for _ in range(random.randrange(40)):
                fds = [*os.pipe(), os.open("/dev/null", os.O_RDONLY)]
                if random.random() < 0.5:
                    os.close(fds[0])
            os._exit(0)
        os.waitpid(child, 0)


thread = threading.Thread(target=breed)
thread.start()
proto.ready(pid=os.getpid())
proto.wait()
over.set()
thread.join()
