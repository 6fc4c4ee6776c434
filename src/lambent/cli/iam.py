"""`lambent iam explain`: may a principal do something, and which statement of which policy says so.

Everything is asked through the public API: IAM's simulator decides, the policies' texts are fetched to show the
statements that it points at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

import typer

from lambent.cli.client import AwsOption, EndpointOption, RegionOption, connect, error_code, keep_policy_texts
from lambent.cli.terminal import UsageError, results

app = typer.Typer(help="Ask about permissions.", no_args_is_help=True)

KINDS = ("user", "role", "group")
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "allowed": ("allowed", "green"),
    "explicitDeny": ("denied, explicitly", "red"),
    "implicitDeny": ("denied, since nothing allows it", "red"),
}
RESOURCE_POLICY = "ResourcePolicy"


@app.callback()
def root() -> None:
    """Ask about permissions."""


@app.command()
def explain(
    context: typer.Context,
    principal: Annotated[
        str,
        typer.Argument(
            metavar="PRINCIPAL",
            help="ARN, or user/NAME, role/NAME, group/NAME; function/NAME means the function's role.",
        ),
    ],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="For instance lambda:InvokeFunction.")],
    resource: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE", help="ARN, or the name of a function here; default: any resource."
        ),
    ] = "*",
    *,
    key: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="A condition key of the request; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the simulator's answer as JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Say whether a principal may do something, and because of which statements; exit code 1 means no."""
    connection = connect(context, endpoint, region, aws)
    iam, lambda_ = connection.client("iam"), connection.client("lambda")
    keep_policy_texts(iam)
    source = _principal_arn(iam, lambda_, principal)
    resource_arn = _resource_arn(lambda_, resource)
    if source.endswith(":root"):
        typer.echo(
            f"allowed: {source} is an account's root, which no policy of IAM is attached to or limits."
        )
        return
    resource_policy = _resource_policy(lambda_, resource_arn)
    answer = iam.simulate_principal_policy(
        PolicySourceArn=source,
        ActionNames=[action],
        ResourceArns=[resource_arn],
        ContextEntries=_context_entries(key or ()),
        **({"ResourcePolicy": resource_policy} if resource_policy else {}),
    )
    (result,) = answer["EvaluationResults"]
    if as_json:
        typer.echo(json.dumps(result, indent=2, default=str))
    else:
        texts = _Texts(iam=iam, source=source, resource_policy=resource_policy)
        _print(source, result, texts)
    if result["EvalDecision"] != "allowed":
        raise typer.Exit(1)


def _principal_arn(iam: Any, lambda_: Any, principal: str) -> str:
    if principal.startswith("arn:"):
        return principal
    kind, _, name = principal.partition("/")
    if name and kind == "function":
        return str(lambda_.get_function_configuration(FunctionName=name)["Role"])
    if not name or kind not in KINDS:
        raise UsageError(
            f"PRINCIPAL must be an ARN, user/NAME, role/NAME, group/NAME or function/NAME, not {principal!r}."
        )
    word = kind.capitalize()
    return str(getattr(iam, f"get_{kind}")(**{f"{word}Name": name})[word]["Arn"])


def _resource_arn(lambda_: Any, resource: str) -> str:
    if resource == "*" or resource.startswith("arn:"):
        return resource
    return str(lambda_.get_function_configuration(FunctionName=resource)["FunctionArn"])


def _resource_policy(lambda_: Any, resource_arn: str) -> str | None:
    """Return the policy of a function; other resources have none that could be asked for here."""
    if ":function:" not in resource_arn:
        return None
    try:
        return str(lambda_.get_policy(FunctionName=resource_arn)["Policy"])
    except Exception as error:
        if error_code(error) in ("ResourceNotFoundException", "AccessDeniedException"):
            return None
        raise


def _context_entries(pairs: Sequence[str]) -> list[dict[str, Any]]:
    values: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or ":" not in name:
            raise UsageError(
                f"--context must be KEY=VALUE, for instance aws:SourceIp=10.0.0.1, not {pair!r}."
            )
        values.setdefault(name, []).append(value)
    return [
        {"ContextKeyName": name, "ContextKeyValues": given, "ContextKeyType": "stringList"}
        for name, given in values.items()
    ]


def _print(source: str, result: Mapping[str, Any], texts: _Texts) -> None:
    from rich.text import Text

    console = results()
    words, style = OUTCOMES[result["EvalDecision"]]
    console.print(Text(words, style=style))
    console.print(f"  principal  {source}")
    console.print(f"  action     {result['EvalActionName']}")
    console.print(f"  resource   {result['EvalResourceName']}")
    if result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        console.print("  The permissions boundary does not allow it.")
    for statement in result.get("MatchedStatements", ()):
        name = statement["SourcePolicyId"]
        first, last = statement["StartPosition"]["Line"], statement["EndPosition"]["Line"]
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        console.print(f"\nStatement of {name} ({statement['SourcePolicyType']}), {lines}:")
        if (text := texts.of(name)) is not None:
            console.print(_between(text, statement["StartPosition"], statement["EndPosition"]))
    if missing := result.get("MissingContextValues"):
        keys = ", ".join(missing)
        console.print(
            f"\nConditions asked for what the request does not say: {keys}. Give it with --context."
        )


def _between(text: str, start: Mapping[str, int], end: Mapping[str, int]) -> str:
    lines = text.splitlines(keepends=True)[start["Line"] - 1 : end["Line"]]
    lines[-1] = lines[-1][: end["Column"] - 1]
    lines[0] = lines[0][start["Column"] - 1 :]
    return "".join(lines).strip("\r\n").rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The texts of a principal's policies, by the names that the simulator has for them."""

    iam: Any
    source: str
    resource_policy: str | None

    def of(self, policy: str) -> str | None:
        """Return a policy's text, or None when it is none of those that are known here."""
        if policy == RESOURCE_POLICY:
            return self.resource_policy
        for kind, name in self._holders():
            for inline in self._inline_names(kind, name):
                if policy == f"{kind}_{name}_{inline}":
                    member = f"{kind.capitalize()}Name"
                    found = getattr(self.iam, f"get_{kind}_policy")(**{member: name, "PolicyName": inline})
                    return unquote(found["PolicyDocument"])
            for arn in self._managed_arns(kind, name):
                if policy == arn.rsplit("/", 1)[-1]:
                    return self._managed_text(arn)
        return None

    def _holders(self) -> Iterator[tuple[str, str]]:
        kind, _, path = self.source.split(":", 5)[5].partition("/")
        name = path.rsplit("/", 1)[-1]
        yield kind, name
        if kind == "user":
            for page in self.iam.get_paginator("list_groups_for_user").paginate(UserName=name):
                for group in page["Groups"]:
                    yield "group", group["GroupName"]

    def _inline_names(self, kind: str, name: str) -> Iterator[str]:
        member = f"{kind.capitalize()}Name"
        for page in self.iam.get_paginator(f"list_{kind}_policies").paginate(**{member: name}):
            yield from page["PolicyNames"]

    def _managed_arns(self, kind: str, name: str) -> Iterator[str]:
        word = kind.capitalize()
        for page in self.iam.get_paginator(f"list_attached_{kind}_policies").paginate(
            **{f"{word}Name": name}
        ):
            yield from (policy["PolicyArn"] for policy in page["AttachedPolicies"])
        if kind != "group":
            holder = getattr(self.iam, f"get_{kind}")(**{f"{word}Name": name})[word]
            if boundary := holder.get("PermissionsBoundary"):
                yield boundary["PermissionsBoundaryArn"]

    def _managed_text(self, arn: str) -> str:
        version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return unquote(found["PolicyVersion"]["Document"])
