"""Which files stay out of a zip: `.lambentignore`, in the language of `.gitignore`.

Pure: text and names in, a decision out. `cli.package` asks it while it walks a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# What no function needs. `.env` mostly holds secrets; `!.env` in .lambentignore brings it back.
ALWAYS = (
    ".git/",
    ".hg/",
    ".svn/",
    ".env",
    ".venv/",
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".aws-sam/",
    ".serverless/",
    ".idea/",
    ".vscode/",
    ".DS_Store",
    ".lambentignore",
    # What editors leave beside a file while they write it.
    "*~",
    ".*.sw?",
    ".#*",
    "\\#*#",
    "4913",
    "*___jb_old___",
    "*___jb_tmp___",
    ".goutputstream-*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern: what it matches, whether it brings back what others leave out, whether only folders."""

    pattern: re.Pattern[str]
    brings_back: bool
    is_for_folders: bool


def parse(lines: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules of an ignore file; blank lines and comments are none."""
    rules = (_parse_line(line.strip()) for line in lines)
    return tuple(rule for rule in rules if rule is not None)


def is_ignored(name: str, *, is_folder: bool, rules: Iterable[Rule]) -> bool:
    """Decide whether a name (relative to the root, with ``/``) stays out; the last rule that matches decides.

    As in git, what lies below an ignored folder is not asked about: the walk ends there.
    """
    ignored = False
    for rule in rules:
        if (is_folder or not rule.is_for_folders) and rule.pattern.fullmatch(name):
            ignored = not rule.brings_back
    return ignored


def _parse_line(line: str) -> Rule | None:
    if not line or line.startswith("#"):
        return None
    brings_back = line.startswith("!")
    body = line[1:] if brings_back else line
    is_for_folders = body.endswith("/")
    body = body.rstrip("/")
    if not body:
        return None
    # A slash at the start or in the middle ties the pattern to the root; otherwise it matches at any depth.
    prefix = "" if "/" in body else "(?:.*/)?"
    pattern = re.compile(prefix + _regex(body.removeprefix("/")), re.DOTALL)
    return Rule(pattern=pattern, brings_back=brings_back, is_for_folders=is_for_folders)


_PIECE = re.compile(r"\*\*/|/\*\*$|\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _regex(pattern: str) -> str:
    return "".join(_piece_regex(piece) for piece in _PIECE.findall(pattern))


def _piece_regex(piece: str) -> str:
    if piece == "**/":
        return "(?:.*/)?"
    if piece == "/**":
        return "/.+"
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece.startswith("[") and len(piece) > 2:
        return _class_regex(piece[1:-1])
    return re.escape(piece[1:] if piece.startswith("\\") and len(piece) > 1 else piece)


def _class_regex(members: str) -> str:
    is_negated = members.startswith("!")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members[1:] if is_negated else members)
    return f"(?!/)[{'^' if is_negated else ''}{escaped}]"
