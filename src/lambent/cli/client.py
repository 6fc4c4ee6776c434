"""Whom the commands talk to: which endpoint, as whom, and what its failures are called.

The only file of the command line that knows boto3 and botocore; they are imported when the first client is
made, so that `lambent --help` does not wait for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast
from urllib.parse import quote, urlencode, urlsplit

import typer

from lambent import __version__
from lambent.cli.terminal import CommandError, UsageError, one_line

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"
DEFAULT_REGION = "us-east-1"
# Any credentials will do on an open endpoint; a key of twelve digits chooses the account of that number.
DEFAULT_ACCESS_KEY_ID = "000000000000"
DEFAULT_SECRET_ACCESS_KEY = "lambent"  # noqa: S105 - it protects nothing

EndpointOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=f"Lambent's address (default: $LAMBENT_ENDPOINT, $AWS_ENDPOINT_URL, {DEFAULT_ENDPOINT}).",
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"Region (default: $AWS_REGION, {DEFAULT_REGION}).", show_default=False
    ),
]
AwsOption = Annotated[bool, typer.Option("--aws", help="Talk to AWS itself, with your AWS credentials.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFlags:
    """What the command line says about the target, before or after the command's name."""

    endpoint: str | None = None
    region: str | None = None
    aws: bool = False

    def over(self, other: TargetFlags) -> TargetFlags:
        """Return these flags, with the other's where these say nothing."""
        return TargetFlags(
            endpoint=self.endpoint or other.endpoint,
            region=self.region or other.region,
            aws=self.aws or other.aws,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go. None means "as boto3 finds out by itself", which is only so for AWS."""

    endpoint: str | None
    region: str | None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None

    @property
    def is_aws(self) -> bool:
        return self.endpoint is None


def choose_target(flags: TargetFlags, environ: Mapping[str, str]) -> Target:
    """Decide whom to talk to.

    Args:
        flags: the command line's word, which comes first.
        environ: the environment; an empty variable counts as absent.

    Raises:
        UsageError: both AWS and an endpoint are asked for, or the endpoint is no URL.
    """
    if flags.aws and flags.endpoint:
        raise UsageError("Give either --aws or --endpoint, not both.")
    if flags.aws:
        return Target(endpoint=None, region=flags.region or environ.get("AWS_REGION") or None)
    endpoint, source = DEFAULT_ENDPOINT, ""
    for name, text in (
        ("--endpoint", flags.endpoint),
        ("LAMBENT_ENDPOINT", environ.get("LAMBENT_ENDPOINT")),
        ("AWS_ENDPOINT_URL", environ.get("AWS_ENDPOINT_URL")),
    ):
        if text:
            endpoint, source = text, name
            break
    _check_endpoint(endpoint, source)
    region = flags.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    if key_id := environ.get("AWS_ACCESS_KEY_ID"):
        return Target(
            endpoint=endpoint,
            region=region,
            access_key_id=key_id,
            secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY") or DEFAULT_SECRET_ACCESS_KEY,
            session_token=environ.get("AWS_SESSION_TOKEN") or None,
        )
    return Target(
        endpoint=endpoint,
        region=region,
        access_key_id=DEFAULT_ACCESS_KEY_ID,
        secret_access_key=DEFAULT_SECRET_ACCESS_KEY,
    )


def _check_endpoint(endpoint: str, source: str) -> None:
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_url = False
    if not is_url:
        raise UsageError(f"{source} must be a URL such as {DEFAULT_ENDPOINT}, not {endpoint!r}.")


class Connection:
    """A target with the clients to talk to it. boto3's objects are untyped, hence the `Any`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: Any = None
        self._clients: dict[tuple[str, float | None, bool, int], Any] = {}

    def client(
        self,
        service: str,
        *,
        read_timeout_s: float | None = 60.0,
        is_retried: bool = True,
        connections: int = 10,
    ) -> Any:
        """Return a client of an AWS service, the same one for the same arguments; threads may share it.

        Args:
            service: the name that boto3 gives it, for instance ``lambda``.
            read_timeout_s: how long to wait for an answer; None: for ever.
            is_retried: False for requests that must not be made twice. Lambent is never asked twice: on this
                machine a failure is a fact, and a retried "connection refused" only costs time.
            connections: how many requests it can make at once.
        """
        key = (service, read_timeout_s, is_retried, connections)
        if key not in self._clients:
            self._clients[key] = self.new_client(*key)
        return self._clients[key]

    def new_client(
        self,
        service: str,
        read_timeout_s: float | None,
        is_retried: bool,
        connections: int = 10,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return a client of its caller's own, see `client`; it sends these headers with every request."""
        from botocore.config import Config

        target = self.target
        options: dict[str, Any] = {
            "user_agent_extra": f"lambent-cli/{__version__}",
            "read_timeout": read_timeout_s,
            "connect_timeout": 10,
            "max_pool_connections": connections,
        }
        if not (is_retried and target.is_aws):
            options["retries"] = {"total_max_attempts": 1}
        if target.is_aws:
            # With --aws, AWS_ENDPOINT_URL and its like must not lead elsewhere.
            options["ignore_configured_endpoint_urls"] = True
        elif is_loopback(cast("str", target.endpoint)):
            options["proxies"] = {}  # a proxy could not reach this machine's own address
        if self._session is None:
            self._session = _session(target)
        client = self._session.create_client(
            service,
            region_name=target.region,
            endpoint_url=target.endpoint,
            aws_access_key_id=target.access_key_id,
            aws_secret_access_key=target.secret_access_key,
            aws_session_token=target.session_token,
            config=Config(**options),
        )
        if headers:

            def add(params: dict[str, Any], **_: Any) -> None:
                params["headers"].update(headers)

            client.meta.events.register("before-call", add)
        return client

    def own(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        content: bytes = b"",
        read_timeout_s: float = 300.0,
    ) -> OwnAnswer:
        """Ask one of Lambent's own paths, with a signature as any request has.

        Raises:
            UsageError: the target is AWS, which has no such paths.
            CommandError: the answer is that it cannot be, with the server's sentence.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.httpsession import URLLib3Session

        target = self.target
        if target.endpoint is None:
            raise UsageError("This is Lambent's own, and AWS has no such thing: leave out --aws.")
        text = urlencode(query or {}, quote_via=quote)
        url = f"{target.endpoint.rstrip('/')}{path}{'?' if text else ''}{text}"
        request = AWSRequest(method=method, url=url, data=content)
        credentials = Credentials(target.access_key_id, target.secret_access_key, target.session_token)
        signer: Any = SigV4Auth(credentials, "lambda", target.region)
        signer.add_auth(request)
        proxies: dict[str, str] | None = {} if is_loopback(target.endpoint) else None
        session: Any = URLLib3Session(timeout=(10, read_timeout_s), proxies=proxies)
        response: Any = session.send(request.prepare())
        if response.status_code >= 300:
            raise CommandError(_refusal(response.status_code, response.content, target.endpoint))
        return OwnAnswer(
            body=response.content,
            headers={str(name).lower(): value for name, value in response.headers.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAnswer:
    """An answer of one of Lambent's own paths."""

    body: bytes
    headers: Mapping[str, str]
    """By lower-case name."""

    def json(self) -> Any:
        """Return what it says."""
        return json.loads(self.body)


def _refusal(status: int, body: bytes, endpoint: str) -> str:
    try:
        message: Any = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return f"{endpoint} did not answer as Lambent does: its answer is {status} without a sentence."
    return one_line(message)


def _session(target: Target) -> Any:
    from botocore.session import Session

    if target.is_aws:
        return Session()
    # The user's AWS profiles and files say nothing about Lambent, and a missing profile must not stop us.
    nothing = (None, None, None, None)
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    return Session(session_vars={"profile": nothing, **files})


def is_loopback(endpoint: str) -> bool:
    """Say whether a URL leads to this machine itself."""
    host = urlsplit(endpoint).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


def download(url: str, *, timeout_s: float) -> bytes:
    """Return what lies at a URL that an answer named, or that is a server's own.

    Raises:
        OSError: it cannot be fetched.
    """
    if not url.startswith(("https://", "http://")):
        raise OSError(f"{url} is no address on the web")
    no_proxies: dict[str, str] = {}
    # A server starts by this module, too, and would have to wait for it.
    import urllib.request

    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(no_proxies if is_loopback(url) else None)
    )
    with opener.open(url, timeout=timeout_s) as answer:
        content: bytes = answer.read()
    return content


def connect(context: typer.Context, endpoint: str | None, region: str | None, aws: bool) -> Connection:
    """Return the connection that a command asked for, by its own flags and those before its name."""
    earlier = context.obj if isinstance(context.obj, TargetFlags) else TargetFlags()
    flags = TargetFlags(endpoint=endpoint, region=region, aws=aws).over(earlier)
    return Connection(choose_target(flags, os.environ))


def keep_policy_texts(client: Any) -> None:
    """Let a client of IAM return policy documents as their text, URL-encoded, not parsed.

    Where a statement stands in its policy can only be shown in the text that the policy was given as.
    """
    from botocore import handlers

    client.meta.events.unregister("after-call.iam", cast("Any", handlers).json_decode_policies)


def error_code(error: Exception) -> str:
    """Return the AWS code of a client's exception (``ResourceNotFoundException``), or ``""``."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(cast("dict[str, dict[str, Any]]", response).get("Error", {}).get("Code", ""))


def translate(error: Exception) -> CommandError | None:
    """Return a failure of boto3 as a sentence, or None when the exception is none of boto3's."""
    from botocore import eventstream, exceptions
    from urllib3.exceptions import HTTPError

    # The first that fits decides, so classes stand before their parents.
    sentences: tuple[tuple[type[Exception], Callable[[Any], CommandError]], ...] = (
        (exceptions.ClientError, lambda e: CommandError(_answer_sentence(e))),
        (exceptions.ReadTimeoutError, lambda e: CommandError(f"{_address(e)} did not answer in time.")),
        (exceptions.SSLError, lambda e: CommandError(f"{_address(e)} cannot be trusted: {one_line(e)}")),
        (exceptions.ConnectionError, lambda e: CommandError(_silence_sentence(e))),
        (exceptions.HTTPClientError, lambda e: CommandError(_silence_sentence(e))),
        (exceptions.NoCredentialsError, lambda _: CommandError(_NO_CREDENTIALS)),
        (exceptions.PartialCredentialsError, lambda _: CommandError(_NO_CREDENTIALS)),
        (
            exceptions.NoRegionError,
            lambda _: UsageError("AWS needs a region: give --region or set AWS_REGION."),
        ),
        (exceptions.ParamValidationError, lambda e: UsageError(one_line(e))),
        (exceptions.BotoCoreError, lambda e: CommandError(one_line(e))),
        # Where botocore reads event by event, it translates nothing.
        (HTTPError, lambda e: CommandError(f"The answer broke off: {one_line(e)}")),
        (eventstream.ParserError, lambda e: CommandError(f"The answer makes no sense: {one_line(e)}")),
    )
    return next((sentence(error) for kind, sentence in sentences if isinstance(error, kind)), None)


_NO_CREDENTIALS = "No AWS credentials were found: configure them first, or leave out --aws."


def _answer_sentence(error: Any) -> str:
    answer: dict[str, Any] = error.response.get("Error", {})
    code, message = answer.get("Code") or "an error", one_line(answer.get("Message") or "no message")
    return f"{error.operation_name} failed with {code}: {message}"


def _silence_sentence(error: Any) -> str:
    address = _address(error)
    if (urlsplit(address).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return f"AWS cannot be reached at {address}: {one_line(error)}"
    if "refused" in str(error) or "Could not connect" in str(error):
        return f"Nothing answers at {address}: start it with `lambent up`."
    return f"{address} did not answer as Lambent does: {one_line(error)}"


def _address(error: Any) -> str:
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "The server"
