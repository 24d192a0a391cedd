"""What a kernel without usable BPF shows of this very process: the source and its reason, and its sockets."""

import socket
import sys

from auditor.kernel.root import ProcRoot
from auditor.model import TcpState
from auditor.sweep.source import Source

server = socket.create_server(("127.0.0.1", 0), backlog=50)
kept = [socket.create_connection(server.getsockname()) for _ in range(20)]
kept += [server.accept()[0] for _ in range(20)]
sample = Source(ProcRoot(), "auto").sweep()
established, listening = (
    sum(group.count for group in sample.sockets if group.protocol == "tcp" and group.state is state)
    for state in (TcpState.ESTABLISHED, TcpState.LISTEN)
)
sys.stdout.write(f"{sample.source}: {sample.reason}\n{established} established, {listening} listening\n")
