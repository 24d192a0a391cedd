"""The command line. Composes the stages; each error is one line that says what happened and what to do."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from auditor import __version__, completion, streams
from auditor.kube.access import Access
from auditor.model.fault import CommandError
from auditor.nodes import is_node_name, own_name

EXIT_OK = 0
EXIT_FOUND = 1
EXIT_FAILED = 2

DEFAULT_PROC = "/proc"
SOURCES = ("auto", "bpf", "procfs")
REPORTS = ("table", "json", "csv", "markdown", "html")
PER_POD = ("top", "all", "none")
PROFILES = ("privileged", "minimal", "unprivileged")
POD_LOGS = "/var/log/pods"
_POD_LOGS_HELP = f"where pod names come from without an API; default: {POD_LOGS}"
_LAST_PORT = 65_535
_SNAT_PORTS_HELP = "connections to one destination that the NAT in front of this node allows"
_COUNT_HELP = (
    "audits to make, default: 1; 0 goes on until stopped; several are one JSON object a line; a single one looks again "
    "after a second where a limit is above its warning of which one look makes no finding"
)
_MOST_DAYS = 366
_DAYS = 30
_INTERVAL = 30.0
_CODES = (
    "exit codes: 0 done; 1 a finding at or above --fail-on; 2 the audit failed, the output could not be written, "
    "bad usage, or Unknown under --fail-on"
)
_EXAMPLES = {"subject": ("node/", "pod/")}
_FILES, _NO_FILES, _NO_SPACE_NO_FILES = ":0", ":4", ":6"  # cobra's ShellCompDirective, which kubectl passes on
_MOST_DIGITS = 9


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


def kubectl() -> int:
    """Run as the plugin `kubectl sockaudit`: the commands that ask a cluster."""
    return main(parser=_plugin_parser())


def kubectl_complete() -> int:
    """Print what may come next, as kubectl asks `kubectl_complete-sockaudit` (cobra's protocol)."""
    found = completion.following(_plugin_parser(), sys.argv[1:], _EXAMPLES)
    ends = (
        _FILES if found.paths else _NO_SPACE_NO_FILES if any(word.endswith("/") for word in found.words) else _NO_FILES
    )
    sys.stdout.write("".join(f"{word}\n" for word in (*found.words, ends)))
    return EXIT_OK


def main(argv: Sequence[str] | None = None, parser: argparse.ArgumentParser | None = None) -> int:
    """Run the command `sockaudit`.

    Returns:
        0 done; 1 a finding at or above `--fail-on`; 2 the audit failed, its output cannot be written, bad usage, or Unknown
        under `--fail-on`; 130 stopped before there was anything to tell.
    """
    arguments = argparse.Namespace()
    argv = sys.argv[1:] if argv is None else argv
    try:
        with streams.checked():
            if parser is None and argv[:1] == [completion.COMMAND]:
                return _complete(argv[1:])
            (parser or _parser()).parse_args(argv, arguments)
            if getattr(arguments, "output", None) not in (None, "table"):
                streams.for_programs()
            return int(arguments.run(arguments))
    except streams.ReaderGoneError:
        return EXIT_OK
    except CommandError as error:
        if getattr(arguments, "verbose", False):
            streams.complain_of_causes(error)
        return _fail(str(error))
    except KeyboardInterrupt:  # before there was anything to tell
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sockaudit",
        description="Which shared limit of this node runs out next, and who takes it.",
        epilog=_CODES,
    )
    parser.add_argument("--version", action="version", version=f"sockaudit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Command)

    scan = commands.add_parser("scan", help="audit this machine once and print what was found", epilog=_CODES)
    scan.set_defaults(run=_scan)
    scan.add_argument(
        "-o", "--output", choices=("table", "json", "yaml"), help="default: table; several audits are lines of json"
    )
    scan.add_argument("--all", action="store_true", help="every row of the table")
    scan.add_argument("--source", choices=SOURCES, default="auto", help="default: auto")
    scan.add_argument("--snat-ports", type=_snat_ports, metavar="N", help=_SNAT_PORTS_HELP)
    scan.add_argument(
        "--procfs", metavar="DIR", default=DEFAULT_PROC, help="a host's /proc or a recorded tree; default: /proc"
    )
    scan.add_argument(
        "--count",
        type=_whole,
        default=1,
        metavar="N",
        help=_COUNT_HELP,
    )
    scan.add_argument(
        "--interval", type=_seconds, default=_INTERVAL, metavar="S", help="seconds between audits; default: 30"
    )
    scan.add_argument("--fail-on", choices=("warning", "critical"), help="exit 1 on such a finding, 2 on Unknown")
    scan.add_argument("--node-name", type=_node_name, metavar="NAME", help="default: $NODE_NAME, else the host's name")
    subject = scan.add_mutually_exclusive_group()
    subject.add_argument(
        "--pod", type=_pod, metavar="NAMESPACE/NAME", help="this pod in depth (or its uid): its sockets one by one"
    )
    subject.add_argument(
        "--port", type=_port, metavar="N", help="this port in depth: who listens, each client, who holds"
    )
    scan.add_argument("--pod-logs", metavar="DIR", default=POD_LOGS, help=_POD_LOGS_HELP)

    agent = commands.add_parser("agent", help="audit this node for ever and publish to the cluster")
    agent.set_defaults(run=_agent)
    agent.add_argument(
        "--interval", type=_seconds, default=_INTERVAL, metavar="S", help="seconds between audits; default: 30"
    )
    agent.add_argument("--cpu-budget", type=_percent, default=1.0, metavar="PERCENT", help="of one core; default: 1")
    agent.add_argument(
        "--metrics-address",
        type=_address,
        default="127.0.0.1:9475",
        metavar="HOST:PORT",
        help="metrics and probes; default: 127.0.0.1:9475",
    )
    agent.add_argument("--source", choices=SOURCES, default="auto", help="default: auto")
    agent.add_argument("--profile", choices=PROFILES, default="privileged", help="its rights; default: privileged")
    agent.add_argument("--thresholds", metavar="FILE", help="others than the tables', by limit and node labels")
    agent.add_argument("--snat-ports", type=_snat_ports, metavar="N", help=_SNAT_PORTS_HELP)
    agent.add_argument(
        "--per-pod", choices=PER_POD, default="top", help="pods with metrics; default: top, the twenty listed"
    )
    agent.add_argument("--no-publish", action="store_true", help="serve metrics only; needs no cluster")
    agent.add_argument("--procfs", metavar="DIR", default=DEFAULT_PROC, help="the host's /proc; default: /proc")
    agent.add_argument("--pod-logs", metavar="DIR", default=POD_LOGS, help=_POD_LOGS_HELP)
    agent.add_argument("--node-name", type=_node_name, metavar="NAME", help="default: $NODE_NAME, else the host's name")
    agent.add_argument("--context", metavar="NAME", help="kubeconfig context; default: the pod's service account")
    agent.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's service account, else as kubectl's")

    replay = commands.add_parser(
        "replay",
        help="what would have been found in a recording, and when",
        description="Runs memory and rules over a recording, as sockaudit scan --count 0 -o json > FILE makes one.",
    )
    replay.set_defaults(run=_replay)
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
    capture.set_defaults(run=_capture)
    capture.add_argument("directory", metavar="DIR", help="where to; new or empty")
    capture.add_argument("--procfs", metavar="DIR", default=DEFAULT_PROC, help="a host's /proc; default: /proc")
    shells = commands.add_parser(
        "completion",
        help="print the script by which a shell completes sockaudit",
        description="bash: source <(sockaudit completion bash); zsh: the same; fish: sockaudit completion fish | source",
    )
    shells.set_defaults(run=_completion)
    shells.add_argument("shell", choices=tuple(completion.SCRIPTS))
    _add_verbose(commands)
    return parser


def _plugin_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kubectl sockaudit", description="Which shared limits of the nodes run out, and who takes them."
    )
    parser.add_argument("--version", action="version", version=f"sockaudit {__version__}")
    _add_access(parser)
    parser.add_argument("-n", "--namespace", metavar="NAME", help="of pods; default: the context's")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Command)
    _add_cluster_commands(commands)
    _add_verbose(commands)
    return parser


def _complete(words: Sequence[str]) -> int:
    found = completion.following(_parser(), words, _EXAMPLES)
    files = completion.paths(words[-1]) if found.paths and words else ()
    sys.stdout.write("".join(f"{word}\n" for word in (*found.words, *files)))
    return EXIT_OK


def _add_verbose(commands: "argparse._SubParsersAction[_Command]") -> None:
    for command in commands.choices.values():
        command.add_argument("-v", "--verbose", action="store_true", help="say of an error what it came of")


def _add_cluster_commands(commands: "argparse._SubParsersAction[_Command]") -> None:
    """Add the commands that ask a cluster, with kubectl's own flags."""
    top = commands.add_parser("top", help="the pods or nodes that hold most, as their nodes list them")
    top.set_defaults(run=_top)
    top.add_argument("what", choices=("pods", "nodes", "pod", "node"))
    top.add_argument("-A", "--all-namespaces", action="store_true", help="pods of all namespaces")
    top.add_argument("-l", "--selector", metavar="LABELS", help="pods, or nodes' SockAudits, that have them: a=b,c!=d")
    explain = commands.add_parser("explain", help="all that is known of one node or pod, and what to do next")
    explain.set_defaults(run=_explain)
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
    report.set_defaults(run=_report)
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
    report.add_argument("--days", type=_days, metavar="N", help="how far back in Prometheus; default: 30")
    report.add_argument("--headroom", type=_headroom, default=50, metavar="PERCENT", help="to leave free; default: 50")
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
        "--request-timeout", type=_timeout, metavar="TIME", default=argparse.SUPPRESS, help="of one request: 5s, 2m"
    )


def _access(arguments: argparse.Namespace) -> Access:
    said = vars(arguments)
    names = ("context", "kubeconfig", "cluster", "user", "server")
    return Access(
        **{name: said.get(name) for name in names},
        impersonate=said.get("as"),
        seconds=said.get("request_timeout"),
    )


def _scan(arguments: argparse.Namespace) -> int:
    if arguments.pod is not None or arguments.port is not None:
        return _depth(arguments)
    # Imported here, so that `sockaudit --help` and the agent do not pay for the terminal.
    from auditor import scan  # noqa: PLC0415

    worst = None
    if arguments.count != 1 and arguments.output not in (None, "json"):
        return _fail("--count other than 1 prints one JSON object a line: use -o json")
    auditor = scan.Auditor(
        arguments.procfs,
        arguments.pod_logs,
        arguments.node_name or os.environ.get("NODE_NAME"),
        interval=arguments.interval,
        source=arguments.source,
        snat_ports=arguments.snat_ports,
    )
    output = "line" if arguments.count != 1 else arguments.output or "table"
    try:
        for audited in auditor.audits(arguments.count):
            seen = audited.exit_code(arguments.fail_on)
            worst = seen if worst is None else max(worst, seen)
            audited.show(output, all_rows=arguments.all)
    except (KeyboardInterrupt, streams.ReaderGoneError):
        if worst is None:
            raise
    return worst or EXIT_OK


def _depth(arguments: argparse.Namespace) -> int:
    from auditor import depth  # noqa: PLC0415

    if arguments.count != 1 or arguments.fail_on or arguments.output not in (None, "table", "json"):
        return _fail("--pod and --port show one moment, as table or json: leave --count, --fail-on and -o yaml out")
    unused = {
        "--source": arguments.source != "auto",
        "--interval": arguments.interval != _INTERVAL,
        "--snat-ports": arguments.snat_ports,
        "--node-name": arguments.node_name,
    }
    if any(unused.values()):
        return _fail(f"--pod and --port have no use for {', '.join(name for name, said in unused.items() if said)}")
    depth.show(
        procfs=arguments.procfs,
        folder=arguments.pod_logs,
        pod=arguments.pod,
        port=arguments.port,
        output=arguments.output,
        all_rows=arguments.all,
    )
    return EXIT_OK


def _agent(arguments: argparse.Namespace) -> int:
    from auditor.agent import AgentSettings, run  # noqa: PLC0415

    return run(
        AgentSettings(
            node_name=arguments.node_name or own_name(),
            interval=arguments.interval,
            cpu_budget_percent=arguments.cpu_budget,
            metrics_address=arguments.metrics_address,
            publish=not arguments.no_publish,
            procfs=arguments.procfs,
            pod_logs=arguments.pod_logs,
            thresholds=arguments.thresholds,
            source=arguments.source,
            profile=arguments.profile,
            per_pod=arguments.per_pod,
            snat_ports=arguments.snat_ports,
            context=arguments.context,
            kubeconfig=arguments.kubeconfig,
        )
    )


def _replay(arguments: argparse.Namespace) -> int:
    from auditor.replay import run  # noqa: PLC0415

    return run(arguments.file, arguments.output, arguments.thresholds)


def _top(arguments: argparse.Namespace) -> int:
    from auditor.plugin.command import run_top  # noqa: PLC0415

    run_top(
        arguments.what,
        _access(arguments),
        namespace=getattr(arguments, "namespace", None),
        every=arguments.all_namespaces,
        selector=arguments.selector,
        output=arguments.output,
    )
    return EXIT_OK


def _explain(arguments: argparse.Namespace) -> int:
    from auditor.plugin.command import run_explain  # noqa: PLC0415

    run_explain(
        arguments.subject, _access(arguments), namespace=getattr(arguments, "namespace", None), output=arguments.output
    )
    return EXIT_OK


def _report(arguments: argparse.Namespace) -> int:
    from auditor.report import command  # noqa: PLC0415

    if arguments.days is not None and arguments.prometheus is None:
        return _fail("--days is how far back in Prometheus: name one with --prometheus URL")
    command.run(
        files=arguments.files,
        since=arguments.since,
        output=arguments.output,
        by=arguments.by,
        headroom=arguments.headroom,
        access=_access(arguments),
        prometheus=arguments.prometheus,
        days=arguments.days or _DAYS,
    )
    return EXIT_OK


def _capture(arguments: argparse.Namespace) -> int:
    from auditor.capture import capture  # noqa: PLC0415

    captured = capture(arguments.procfs, arguments.directory)
    print(captured.summary)  # noqa: T201 - the command's output
    return _fail(captured.failure) if captured.failure else EXIT_OK


def _completion(arguments: argparse.Namespace) -> int:
    sys.stdout.write(completion.SCRIPTS[arguments.shell])
    return EXIT_OK


def _fail(message: str) -> int:
    streams.complain(message)
    return EXIT_FAILED


def _whole(text: str) -> int:
    if not _is_whole(text):
        raise argparse.ArgumentTypeError(f"{text[:20]} is not a whole number from 0 to {10**_MOST_DIGITS - 1:,}")
    return int(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _headroom(text: str) -> int:
    return _one_to(text, 99, "share to leave free, in percent")


def _pod(text: str) -> str:
    if not text.strip("/ "):
        raise argparse.ArgumentTypeError("it names no pod: write NAMESPACE/NAME or a uid")
    return text


def _node_name(text: str) -> str:
    if not is_node_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a node: small letters, digits, - and .")
    return text


def _one_to(text: str, most: int, what: str) -> int:
    if not _is_whole(text) or not 0 < int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text[:20]} is no {what}: 1 to {most}")
    return int(text)


def _days(text: str) -> int:
    return _one_to(text, _MOST_DAYS, "number of days")


def _port(text: str) -> int:
    return _one_to(text, _LAST_PORT, "port")


def _snat_ports(text: str) -> int:
    return _one_to(text, _LAST_PORT, "number of SNAT ports")


def _seconds(text: str) -> float:
    return _number(text, 86_400, "seconds, more than 0 and at most a day")


def _percent(text: str) -> float:
    return _number(text, 100, "a percentage of one core")


def _number(text: str, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value


def _timeout(text: str) -> float | None:
    """Return the seconds of a time as kubectl takes it; `None` for 0, its word for no bound of its own."""
    found = re.fullmatch(r"(\d{1,6})(ms|s|m|h)?", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:20]} is no time: write 5s, 2m or 0")
    number, unit = found.groups()
    return int(number) * {"ms": 0.001, "m": 60.0, "h": 3600.0}.get(unit, 1.0) or None


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
