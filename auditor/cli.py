"""The command line. Composes the stages; each error is one line that says what happened and what to do."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from auditor import completion, options, streams
from auditor.kube.access import Access
from auditor.model.fault import CommandError
from auditor.nodes import own_name
from auditor.options import EXIT_FAILED

EXIT_OK = 0
EXIT_FOUND = 1

_EXAMPLES = {"subject": ("node/", "pod/")}
_FILES, _NO_FILES, _NO_SPACE_NO_FILES = ":0", ":4", ":6"  # cobra's ShellCompDirective, which kubectl passes on


def kubectl() -> int:
    """Run as the plugin `kubectl sockaudit`: the commands that ask a cluster."""
    return main(parser=options.plugin_parser())


def kubectl_complete() -> int:
    """Print what may come next, as kubectl asks `kubectl_complete-sockaudit` (cobra's protocol)."""
    found = completion.following(options.plugin_parser(), sys.argv[1:], _EXAMPLES)
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
            (parser or options.parser()).parse_args(argv, arguments)
            if getattr(arguments, "output", None) not in (None, "table"):
                streams.for_programs()
            return _RUN[arguments.command](arguments)
    except streams.ReaderGoneError:
        return EXIT_OK
    except CommandError as error:
        if getattr(arguments, "verbose", False):
            streams.complain_of_causes(error)
        return _fail(str(error))
    except KeyboardInterrupt:  # before there was anything to tell
        return 128 + signal.SIGINT


def _complete(words: Sequence[str]) -> int:
    found = completion.following(options.parser(), words, _EXAMPLES)
    files = completion.paths(words[-1]) if found.paths and words else ()
    sys.stdout.write("".join(f"{word}\n" for word in (*found.words, *files)))
    return EXIT_OK


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
        "--interval": arguments.interval != options.INTERVAL,
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
        days=arguments.days or options.DAYS,
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


_RUN: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "scan": _scan,
    "agent": _agent,
    "replay": _replay,
    "top": _top,
    "explain": _explain,
    "report": _report,
    "capture": _capture,
    "completion": _completion,
}


if __name__ == "__main__":
    sys.exit(main())
