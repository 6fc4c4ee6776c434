"""Links to code: good for whoever has one, for ten minutes, and for nothing else."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from lambent.domain.code_link import code_link, verify_code_link

SECRET = b"secret"
NOW_S = 1_767_323_045.678


def parts(link: str) -> tuple[str, str, str]:
    url = urlsplit(link)
    query = parse_qs(url.query)
    return url.path.rpartition("/")[2], query["Expires"][0], query["Signature"][0]


def test_a_link_is_good_until_it_expires() -> None:
    link = code_link(SECRET, "ab" * 32, endpoint_url="http://here:1", now_s=NOW_S)
    assert link.startswith(f"http://here:1/_lambent/code/{'ab' * 32}?")
    blob, expires, signature = parts(link)
    assert verify_code_link(SECRET, blob, expires, signature, NOW_S)
    assert not verify_code_link(SECRET, blob, expires, signature, NOW_S + 600)


def test_a_changed_link_is_good_for_nothing() -> None:
    blob, expires, signature = parts(code_link(SECRET, "ab" * 32, endpoint_url="", now_s=NOW_S))
    later = str(int(expires) + 1)
    for changed in (
        (SECRET, "cd" * 32, expires, signature),
        (SECRET, blob, later, signature),
        (SECRET, blob, expires, signature[:-1]),
        (SECRET, blob, expires, ""),
        (SECRET, blob, expires, "é\udc80"),
        (SECRET, blob, "never", signature),
        (b"other", blob, expires, signature),
    ):
        assert not verify_code_link(*changed, NOW_S)
