"""Check of the first word of docstrings: an imperative verb of the field, as PEP 257 and Airflow's own."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tree_checks.tree import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_checks.tree import Tree

    Function = ast.FunctionDef | ast.AsyncFunctionDef

#: The first words that a function's docstring may have. Add a verb when plain technical English has no other for it.
VERBS = frozenset(
    """
    Accept Acquire Add Advance Aggregate Allow Append Apply Assemble Assert Assign Attach Authenticate Authorize Await
    Begin Bind Block Book Bound Build
    Cache Calculate Call Cancel Check Choose Claim Classify Clean Clear Close Collect Combine Commit Compare Complete
    Compress Compute Configure Confirm Connect Consume Construct Continue Convert Copy Count Create
    Decide Decode Decompress Defer Define Delay Delete Derive Describe Detect Determine Discard Display Divide Download
    Drop Dump
    Emit Enable Encode End Enforce Ensure Enter Escape Estimate Evaluate Exclude Execute Exit Expand Export Extend
    Extract
    Fail Fetch Fill Filter Find Finish Flush Follow Forbid Format Forward
    Generate Get Group Guard
    Handle Hash Hold
    Identify Ignore Import Include Increase Increment Index Infer Initialize Inject Insert Inspect Interpret Invert
    Issue Iterate
    Join Keep
    Limit Link List Listen Load Lock Log
    Map Mark Mask Match Measure Merge Migrate Move Multiply
    Name Normalize Notify
    Open Override Overwrite
    Pack Pad Parse Partition Pass Patch Pause Perform Persist Pick Plan Poll Pop Populate Post Prepare Prevent Print
    Process Produce Protect Prove Provide Publish Pull Push Put
    Query Quote
    Raise Read Rebuild Receive Reconcile Record Recover Redact Redirect Reduce Refresh Register Reject Release Reload
    Remove Rename Render Repeat Replace Replay Report Represent Request Require Reserve Reset Resolve Respond
    Restore Restrict Resume Retrieve Retry Return Reuse Reverse Revoke Rewind Roll Round Run
    Sample Save Scan Schedule Search Select Send Separate Serialize Serve Set Share Show Shut Sign Signal Simulate Skip
    Sleep Sort Split Start Stop Store Stream Strip Submit Subtract Sum Summarize Suppress Suspend Switch Sync
    Test Throttle Trace Track Transform Translate Traverse Trigger Trim Truncate Try
    Undo Unlock Unpack Update Upload Upsert Use
    Validate Verify Visit
    Wait Walk Warn Watch Wrap Write
    Yield
    """.split()  # noqa: SIM905 - a list of words is easier to keep sorted as text
)
#: First words that are too vague, with what to write instead. Not allowed for properties either.
VAGUE = {
    "Give": "Return, Yield or Build",
    "Look": "Read, Search or Poll",
    "Make": "Build or Create",
    "Say": "Return whether",
    "Take": "Accept, Read or Remove",
    "Tell": "Return, Report or Log",
}

_FIRST_WORD = re.compile(r"\w+")
_PROPERTIES = re.compile(r"(?:^|\.)(?:cached_property|property|setter|deleter|computed_field)\b")


def check_docstrings(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every function of the package whose docstring begins with another word than a known verb.

    The docstring of a property may be a noun phrase.
    """
    for path in tree.modules:
        for node in ast.walk(tree.syntax(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (message := _first_word_problem(node)):
                yield Finding(tree.name(path), node.lineno, f"{node.name}: {message}")


def _first_word_problem(node: Function) -> str | None:
    """Return what is wrong with the first word of the function's docstring, or None."""
    docstring = ast.get_docstring(node)
    if not docstring:
        return None
    found = _FIRST_WORD.match(docstring)
    word = found.group() if found else docstring.split()[0]
    if word in VAGUE:
        return f"the docstring begins with {word!r}; use {VAGUE[word]}"
    is_property = any(_PROPERTIES.search(ast.unparse(decorator)) for decorator in node.decorator_list)
    if word in VERBS or is_property:
        return None
    return f"the docstring begins with {word!r}, no verb of VERBS (scripts/tree_checks/docstrings.py)"
