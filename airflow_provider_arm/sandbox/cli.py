"""Command line tool ``arm-sandbox``."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.sandbox.state.switches import BATCH_DELAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.sandbox.server import ArmSandbox

#: Easy to type, and no common server's default port.
DEFAULT_PORT = 8642


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM, and return the exit code."""
    options = _parser().parse_args(argv)
    if options.openapi:
        return _write_openapi(options.openapi)
    try:
        from airflow_provider_arm.sandbox.server import ArmSandbox

        box = ArmSandbox(
            seed=options.seed,
            ar_items=options.ar_items,
            batch_delay=options.batch_delay,
            port=options.port,
            host=options.host,
            state_dir=options.state,
            switches=dict(options.switches or ()),
            customers=options.customers,
            pack=options.pack,
            readings=_read_profile(options.readings),
            clients=options.clients,
        )
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        box.start()
    except (ImportError, ValueError, OSError) as error:
        print(f"arm-sandbox: {error}", file=sys.stderr)
        return 1
    with box:
        _print_addresses(box)
        if options.ready_file:
            _write_ready(options.ready_file, box)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("arm-sandbox", description="A stand-in for Amili's ARM API on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 for any free port (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same data (default: %(default)s)")
    parser.add_argument("--pack", default="standard", help="kind of data (default: %(default)s)")
    parser.add_argument("--ar-items", type=_count, default=200, metavar="N", help="AR items (default: %(default)s)")
    parser.add_argument("--customers", type=_count, metavar="N", help="customers (default: an eighth of the items)")
    parser.add_argument(
        "--batch-delay",
        type=float,
        default=BATCH_DELAY,
        metavar="S",
        help="seconds until a batch is processed (default: %(default)s)",
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="folder that stores the state (default: in memory)")
    parser.add_argument("--switches", type=_switch, action="extend", nargs="+", metavar="NAME=VALUE", help="switches")
    parser.add_argument("--readings", type=Path, metavar="FILE", help="readings profile to follow, .json or .yaml")
    parser.add_argument("--clients", type=_numbers, metavar="NO,NO", help="client numbers (default: 2218)")
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="written as JSON once the sandbox listens")
    parser.add_argument("--openapi", type=Path, metavar="FILE", help="write the OpenAPI document and exit")
    return parser


def _read_profile(path: Path | None) -> Any:
    from airflow_provider_arm.client.readings import decode_profile

    return {} if path is None else decode_profile(path.read_text(encoding="utf-8-sig"), path.name, str(path))


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of client numbers such as 2218,2219") from None


def _switch(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def ready(box: ArmSandbox) -> dict[str, Any]:
    """Return what a script needs to use the sandbox."""
    names = ("url", "base_url", "auth_url", "client_id", "client_secret", "client_no", "clients")
    return {**{name: getattr(box, name) for name in names}, "connection": box.connection()}


def _write_ready(path: Path, box: ArmSandbox) -> None:
    # Under a temporary name first: a script that waits for the file must never read half of it.
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(ready(box), indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _write_openapi(path: Path) -> int:
    from airflow_provider_arm.sandbox.web.openapi import document

    path.write_text(json.dumps(document(f"http://127.0.0.1:{DEFAULT_PORT}"), indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0


def _print_addresses(box: ArmSandbox) -> None:
    connection = shlex.quote(json.dumps(box.connection()))
    print(
        f"ARM sandbox (synthetic data only)   {box.url}\n"
        f"  base URL       {box.base_url}\n"
        f"  token address  {box.auth_url}\n"
        f"  client id      {box.client_id}\n"
        f"  client secret  {box.client_secret}\n"
        f"  client no      {', '.join(map(str, box.clients))}\n\n"
        f"airflow connections add arm_default --conn-json {connection}\n\n"
        "Press Ctrl-C to stop.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
