"""Observe which reading of each row of the working contract is true of a real ARM.

It only reads unless ARM_REAL_WRITE allows more; options and exit codes are described in docs/verify-real.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from verify_real_readings import Kind, Readings, next_steps, rows_of, table
from verify_real_reads import observe_reads
from verify_real_wire import Numbers, Target, VariablesError, Wire, WireError, read_target, target_of
from verify_real_writes import Writes

from airflow_provider_arm.client import ArmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SANDBOX_BATCH_DELAY = 20
#: Seconds. In the contract a query expires after ten minutes.
SANDBOX_WAIT_FOR_EXPIRY = 660.0
BATCH_TIMEOUT = 300.0


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Return the exit code."""
    options = _parser().parse_args(argv)
    try:
        with _wire(options, environ) as wire:
            return _run(wire, options)
    except (VariablesError, WireError, ArmError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"verify-real: {line}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("verify_real", description="Observe which readings of ARM are true.")
    parser.add_argument("--sandbox", action="store_true", help="start a sandbox and observe it, with writes")
    parser.add_argument("--switches", nargs="+", action="extend", metavar="NAME=VALUE", help="switches of that sandbox")
    seconds: dict[str, Any] = {"type": float, "metavar": "SECONDS"}
    parser.add_argument("--wait-for-expiry", **seconds, help="time after which a query should have expired (row 11)")
    text = "time that a batch may take (default: %(default)g)"
    parser.add_argument("--batch-timeout", **seconds, default=BATCH_TIMEOUT, help=text)
    return parser


@contextmanager
def _wire(options: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[Wire]:
    with ExitStack() as stack:
        if not options.sandbox:
            if options.switches:
                raise VariablesError(["--switches needs --sandbox: the real ARM has no switches"])
            yield stack.enter_context(Wire(read_target(environ)))
            return
        from airflow_provider_arm.sandbox import ArmSandbox

        switches = dict(switch.split("=", 1) for switch in options.switches or ())
        box = stack.enter_context(ArmSandbox(switches={"batch_delay": SANDBOX_BATCH_DELAY, **switches}))
        box.set_time(box.now())  # stops the clock, so that seconds are counted exactly
        if options.wait_for_expiry is None:
            options.wait_for_expiry = SANDBOX_WAIT_FOR_EXPIRY
        yield stack.enter_context(Wire(target_of(box), box.advance))


def _run(wire: Wire, options: argparse.Namespace) -> int:
    target, readings = wire.target, Readings()
    print(f"ARM at {target.base_url}, client {target.client_no}")
    wire.client.check()
    writes = Writes(wire, readings, Numbers(target.prefix), options.batch_timeout) if target.write else None
    if writes is not None:
        writes.check()
    _announce(target, writes)
    failure = ""
    try:
        observe(wire, readings, writes, options.wait_for_expiry or 0)
    except (WireError, KeyboardInterrupt) as error:
        failure = str(error) or "interrupted"
    print(table(readings))
    code = _print_summary(readings, writes)
    if failure:
        print(f"verify-real: not completed: {failure}", file=sys.stderr)
    return 2 if failure else code


def observe(wire: Wire, readings: Readings, writes: Writes | None, wait_for_expiry: float) -> None:
    """Record a reading for every question."""
    observe_reads(wire, readings, wait_for_expiry)
    if writes is not None:
        writes.observe()
    else:
        readings.skip("needs ARM_REAL_WRITE=yes", *rows_of(1, 2, 3, 4, 5, 16, 17), "q11_live_query")
        readings.skip("needs ARM_REAL_WRITE=documents", *rows_of(15))
    statuses = ", ".join(map(str, wire.temporary_errors))
    suffix = f"; statuses that occurred: {statuses}" if statuses else ""
    readings.skip(f"a client cannot cause faults{suffix}", "q14 faults")


def _announce(target: Target, writes: Writes | None) -> None:
    if writes is None:
        print("Reads only: nothing will be written.\n", flush=True)
        return
    print(f"ARM_REAL_WRITE={target.write}. This will be written:")
    print("".join(f"  - {line}\n" for line in writes.plan()), flush=True)


def _print_summary(readings: Readings, writes: Writes | None) -> int:
    counts = {kind: sum(reading.kind is kind for reading in readings) for kind in Kind}
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if todo := next_steps(readings):
        print(f"\nTo do:\n{todo}")
    if writes is not None and writes.not_deleted:
        print(f"\nNot deleted: {', '.join(writes.not_deleted)}")
    return 0 if all(reading.supported for reading in readings) else 1


if __name__ == "__main__":
    sys.exit(main())
