"""Observe what a real ARM makes of every row of the working contract, and print which reading turned out true.

Reads only, unless ARM_REAL_WRITE allows more; see docs/verify-real.md. Exit code 0: the client can live with all that
was seen; 1: it cannot, or the contract misses something; 2: the environment or ARM does not let it begin.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from verify_real_readings import Kind, Notes, rows_of, steps, table
from verify_real_reads import observe_reads
from verify_real_wire import Numbers, Target, VariablesError, Wire, WireError, read_target, target_of
from verify_real_writes import Writes

from airflow_provider_arm.client import ArmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SANDBOX_BATCH_DELAY = 20
#: A query of the contract lives ten minutes.
SANDBOX_WAIT_FOR_EXPIRY = 660.0
PATIENCE = 300.0


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Observe and print; gives the exit code."""
    options = _parser().parse_args(argv)
    try:
        with _wire(options, environ) as wire:
            return _run(wire, options)
    except (VariablesError, WireError, ArmError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"verify-real: {line}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("verify_real", description="Observe which readings of ARM turn out true.")
    parser.add_argument("--sandbox", action="store_true", help="observe a sandbox of its own, with writes")
    parser.add_argument("--switches", nargs="+", action="extend", metavar="NAME=VALUE", help="its switches")
    parser.add_argument(
        "--wait-for-expiry", type=float, metavar="SECONDS", help="wait so long for a query to expire (row 11)"
    )
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, metavar="SECONDS", help="time for a batch (default: %(default)g)"
    )
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
        box.set_time(box.now())  # it stands still, so that seconds are counted exactly
        if options.wait_for_expiry is None:
            options.wait_for_expiry = SANDBOX_WAIT_FOR_EXPIRY
        yield stack.enter_context(Wire(target_of(box), box.advance))


def _run(wire: Wire, options: argparse.Namespace) -> int:
    target, notes = wire.target, Notes()
    print(f"ARM at {target.base_url}, client {target.client_no}")
    wire.client.check()
    writes = Writes(wire, notes, Numbers(target.prefix), options.patience) if target.write else None
    if writes is not None:
        writes.check()
    _announce(target, writes)
    broken = ""
    try:
        observe(wire, notes, writes, options.wait_for_expiry or 0)
    except (WireError, KeyboardInterrupt) as error:
        broken = str(error) or "interrupted"
    print(table(notes))
    code = _sum_up(notes, writes)
    if broken:
        print(f"verify-real: stopped half-way: {broken}", file=sys.stderr)
    return 2 if broken else code


def observe(wire: Wire, notes: Notes, writes: Writes | None, wait_for_expiry: float) -> None:
    """Look at every row."""
    observe_reads(wire, notes, wait_for_expiry)
    if writes is not None:
        writes.observe()
    else:
        notes.unseen("needs ARM_REAL_WRITE=yes", *rows_of(1, 2, 3, 4, 5, 16, 17), "q11_live_query")
        notes.unseen("needs ARM_REAL_WRITE=documents", *rows_of(15))
    seen = f"; seen in passing: {', '.join(map(str, wire.not_now))}" if wire.not_now else ""
    notes.unseen(f"faults cannot be provoked from outside{seen}", "q14 faults")


def _announce(target: Target, writes: Writes | None) -> None:
    if writes is None:
        print("Reads only: nothing is changed.\n", flush=True)
        return
    print(f"ARM_REAL_WRITE={target.write}. This will be written:")
    print("".join(f"  - {line}\n" for line in writes.plan()), flush=True)


def _sum_up(notes: Notes, writes: Writes | None) -> int:
    counts = {kind: sum(reading.kind is kind for reading in notes) for kind in Kind}
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if todo := steps(notes):
        print(f"\nTo do:\n{todo}")
    if writes is not None and writes.left:
        print(f"\nNot deleted: {', '.join(writes.left)}")
    return 0 if all(reading.good for reading in notes) else 1


if __name__ == "__main__":
    sys.exit(main())
