"""What may be said on the command line: commands, options, their help."""

import argparse
from typing import NoReturn

from auditor import __version__, completion, values

EXIT_FAILED = 2

INTERVAL = 30.0
DAYS = 30
SOURCES = ("auto", "bpf", "procfs")
REPORTS = ("table", "json", "csv", "markdown", "html")
PER_POD = ("top", "all", "none")
PROFILES = ("privileged", "minimal", "unprivileged")
POD_LOGS = "/var/log/pods"

_PROC = "/proc"
_POD_LOGS_HELP = f"where pod names come from without an API; default: {POD_LOGS}"
_SNAT_PORTS_HELP = "connections to one destination that the NAT in front of this node allows"
_COUNT_HELP = (
    "audits to make, default: 1; 0 goes on until stopped; several are one JSON object a line; a single one looks again "
    "after a second where a limit is above its warning of which one look makes no finding"
)
_CODES = (
    "exit codes: 0 done; 1 a finding at or above --fail-on; 2 the audit failed, the output could not be written, "
    "bad usage, or Unknown under --fail-on"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_FAILED, f"{self.prog}: {message}. See {self.prog} --help.\n")


class _Command(_Parser):
    """The parser of one command, which answers itself for what it does not know."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, []


def parser() -> argparse.ArgumentParser:
    """Return the parser of `sockaudit`. It leaves the name of the command under `command`."""
    whole = _Parser(
        prog="sockaudit",
        description="Which shared limit of this node runs out next, and who takes it.",
        epilog=_CODES,
    )
    whole.add_argument("--version", action="version", version=f"sockaudit {__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Command)

    scan = commands.add_parser("scan", help="audit this machine once and print what was found", epilog=_CODES)
    scan.set_defaults(command="scan")
    scan.add_argument(
        "-o", "--output", choices=("table", "json", "yaml"), help="default: table; several audits are lines of json"
    )
    scan.add_argument("--all", action="store_true", help="every row of the table")
    scan.add_argument("--source", choices=SOURCES, default="auto", help="default: auto")
    scan.add_argument("--snat-ports", type=values.snat_ports, metavar="N", help=_SNAT_PORTS_HELP)
    scan.add_argument(
        "--procfs", metavar="DIR", default=_PROC, help="a host's /proc or a recorded tree; default: /proc"
    )
    scan.add_argument(
        "--count",
        type=values.whole,
        default=1,
        metavar="N",
        help=_COUNT_HELP,
    )
    scan.add_argument(
        "--interval", type=values.seconds, default=INTERVAL, metavar="S", help="seconds between audits; default: 30"
    )
    scan.add_argument("--fail-on", choices=("warning", "critical"), help="exit 1 on such a finding, 2 on Unknown")
    scan.add_argument(
        "--node-name", type=values.node_name, metavar="NAME", help="default: $NODE_NAME, else the host's name"
    )
    subject = scan.add_mutually_exclusive_group()
    subject.add_argument(
        "--pod",
        type=values.pod,
        metavar="NAMESPACE/NAME",
        help="this pod in depth (or its uid): its sockets one by one",
    )
    subject.add_argument(
        "--port", type=values.port, metavar="N", help="this port in depth: who listens, each client, who holds"
    )
    scan.add_argument("--pod-logs", metavar="DIR", default=POD_LOGS, help=_POD_LOGS_HELP)

    agent = commands.add_parser("agent", help="audit this node for ever and publish to the cluster")
    agent.set_defaults(command="agent")
    agent.add_argument(
        "--interval", type=values.seconds, default=INTERVAL, metavar="S", help="seconds between audits; default: 30"
    )
    agent.add_argument(
        "--cpu-budget", type=values.percent, default=1.0, metavar="PERCENT", help="of one core; default: 1"
    )
    agent.add_argument(
        "--metrics-address",
        type=values.address,
        default="127.0.0.1:9475",
        metavar="HOST:PORT",
        help="metrics and probes; default: 127.0.0.1:9475",
    )
    agent.add_argument("--source", choices=SOURCES, default="auto", help="default: auto")
    agent.add_argument("--profile", choices=PROFILES, default="privileged", help="its rights; default: privileged")
    agent.add_argument("--thresholds", metavar="FILE", help="others than the tables', by limit and node labels")
    agent.add_argument("--snat-ports", type=values.snat_ports, metavar="N", help=_SNAT_PORTS_HELP)
    agent.add_argument(
        "--per-pod", choices=PER_POD, default="top", help="pods with metrics; default: top, the twenty listed"
    )
    agent.add_argument("--no-publish", action="store_true", help="serve metrics only; needs no cluster")
    agent.add_argument("--procfs", metavar="DIR", default=_PROC, help="the host's /proc; default: /proc")
    agent.add_argument("--pod-logs", metavar="DIR", default=POD_LOGS, help=_POD_LOGS_HELP)
    agent.add_argument(
        "--node-name", type=values.node_name, metavar="NAME", help="default: $NODE_NAME, else the host's name"
    )
    agent.add_argument("--context", metavar="NAME", help="kubeconfig context; default: the pod's service account")
    agent.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's service account, else as kubectl's")

    replay = commands.add_parser(
        "replay",
        help="what would have been found in a recording, and when",
        description="Runs memory and rules over a recording, as sockaudit scan --count 0 -o json > FILE makes one.",
    )
    replay.set_defaults(command="replay")
    replay.add_argument("file", metavar="FILE", help="audits, one a line or as scan -o json prints one; - is stdin")
    replay.add_argument("-o", "--output", choices=("table", "json"), default="table", help="default: table")
    replay.add_argument("--thresholds", metavar="FILE", help="try others: LIMIT: {warning: PERCENT, critical: PERCENT}")

    _add_cluster_commands(commands)

    capture = commands.add_parser(
        "capture",
        help="save what an audit reads, for a bug report",
        description="Save what an audit reads, for a bug report; sockaudit scan --procfs DIR replays it. "
        "Command lines, environments and file names are not saved; names of processes, cgroups and users' ids are.",
    )
    capture.set_defaults(command="capture")
    capture.add_argument("directory", metavar="DIR", help="where to; new or empty")
    capture.add_argument("--procfs", metavar="DIR", default=_PROC, help="a host's /proc; default: /proc")
    shells = commands.add_parser(
        "completion",
        help="print the script by which a shell completes sockaudit",
        description="bash: source <(sockaudit completion bash); zsh: the same; fish: sockaudit completion fish | source",
    )
    shells.set_defaults(command="completion")
    shells.add_argument("shell", choices=tuple(completion.SCRIPTS))
    _add_verbose(commands)
    return whole


def plugin_parser() -> argparse.ArgumentParser:
    """Return the parser of `kubectl sockaudit`: the commands that ask a cluster."""
    whole = _Parser(
        prog="kubectl sockaudit", description="Which shared limits of the nodes run out, and who takes them."
    )
    whole.add_argument("--version", action="version", version=f"sockaudit {__version__}")
    _add_access(whole)
    whole.add_argument("-n", "--namespace", metavar="NAME", help="of pods; default: the context's")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Command)
    _add_cluster_commands(commands)
    _add_verbose(commands)
    return whole


def _add_verbose(commands: "argparse._SubParsersAction[_Command]") -> None:
    for command in commands.choices.values():
        command.add_argument("-v", "--verbose", action="store_true", help="say of an error what it came of")


def _add_cluster_commands(commands: "argparse._SubParsersAction[_Command]") -> None:
    """Add the commands that ask a cluster, with kubectl's own flags."""
    top = commands.add_parser("top", help="the pods or nodes that hold most, as their nodes list them")
    top.set_defaults(command="top")
    top.add_argument("what", choices=("pods", "nodes", "pod", "node"))
    top.add_argument("-A", "--all-namespaces", action="store_true", help="pods of all namespaces")
    top.add_argument("-l", "--selector", metavar="LABELS", help="pods, or nodes' SockAudits, that have them: a=b,c!=d")
    explain = commands.add_parser("explain", help="all that is known of one node or pod, and what to do next")
    explain.set_defaults(command="explain")
    explain.add_argument("subject", nargs="+", metavar="SUBJECT", help="node/NAME, pod/NAME, or the two words")
    for command in (top, explain):
        command.add_argument("-o", "--output", choices=("table", "json"), default="table", help="default: table")
        command.add_argument(
            "-n", "--namespace", metavar="NAME", default=argparse.SUPPRESS, help="of pods; default: the context's"
        )

    report = commands.add_parser(
        "report",
        help="what each pool of nodes runs out of first, how many more pods fit, what to change",
        description="Reads all SockAudits of the cluster, or files that kubectl get sockaudits -o json saved.",
    )
    report.set_defaults(command="report")
    report.add_argument(
        "--from",
        dest="files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="saved lists, not the cluster; - is stdin",
    )
    report.add_argument("--since", metavar="FILE", help="compare with an earlier list")
    report.add_argument("-o", "--output", choices=REPORTS, default="table", help="default: table")
    report.add_argument("--by", metavar="LABEL", help="label that names a node's pool; default: the providers' own")
    report.add_argument("--prometheus", metavar="URL", help="peaks further back, of one that scrapes the agents")
    report.add_argument("--days", type=values.days, metavar="N", help="how far back in Prometheus; default: 30")
    report.add_argument(
        "--headroom", type=values.headroom, default=50, metavar="PERCENT", help="to leave free; default: 50"
    )
    for command in (top, explain, report):
        _add_access(command)


def _add_access(parser: argparse.ArgumentParser) -> None:
    """Add kubectl's flags. They may stand before the command too: there a parser's default must not undo them."""
    flags = parser.add_argument_group("access to the cluster, as kubectl's")
    for name, metavar, words in (
        ("context", "NAME", "kubeconfig context"),
        ("kubeconfig", "FILE", "default: $KUBECONFIG or ~/.kube/config"),
        ("cluster", "NAME", "of the kubeconfig, in place of the context's"),
        ("user", "NAME", "of the kubeconfig, in place of the context's"),
        ("server", "URL", "of the API, in place of the cluster's"),
        ("as", "USER", "user to act as"),
    ):
        flags.add_argument(f"--{name}", metavar=metavar, default=argparse.SUPPRESS, help=words)
    flags.add_argument(
        "--request-timeout",
        type=values.timeout,
        metavar="TIME",
        default=argparse.SUPPRESS,
        help="of one request: 5s, 2m",
    )
