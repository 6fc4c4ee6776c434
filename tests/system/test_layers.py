"""A function really imports from its layers, in their order, and runs their programs."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Server, create, invoke, zip_of

SOURCE = """
import os, sys
import shared, first, second, versioned

def handler(event, context):
    opt = os.environ.get("LAMBENT_LAYER_ROOT", "/opt")
    try:
        open(f"{opt}/python/new.py", "w").close()
        writable = True
    except OSError:
        writable = False
    return {
        "modules": [first.NAME, second.NAME, shared.NAME, versioned.NAME],
        "files": sorted(os.listdir(opt)),
        "writable": writable,
    }
"""
SITE = "python/lib/python{}.{}/site-packages/versioned.py"


def publish(client: Any, name: str, **files: str) -> str:
    content = zip_of({path.replace("__", "/") + ".py": text for path, text in files.items()})
    return client.publish_layer_version(LayerName=name, Content={"ZipFile": content})["LayerVersionArn"]


@pytest.mark.parametrize("sandbox", ["namespaces", "process"])
def test_a_function_imports_from_two_layers(new_server: Any, sandbox: str, name: str) -> None:
    server: Server = new_server("--sandbox", sandbox)
    client = server.client("lambda")
    # The runtime may be stood in for by a neighbour: whichever it is, its own directory is searched.
    versioned = {SITE.format(3, minor): "NAME = 'versioned'" for minor in range(8, 16)}
    first = zip_of(
        {"python/first.py": "NAME = 'first'", "python/shared.py": "NAME = 'of the first'", **versioned}
    )
    arns = [
        client.publish_layer_version(LayerName=f"{name}-1", Content={"ZipFile": first})["LayerVersionArn"],
        publish(
            client, f"{name}-2", python__second="NAME = 'second'", python__shared="NAME = 'of the second'"
        ),
    ]
    create(client, name, SOURCE, Layers=arns)
    for arn in arns:
        client.delete_layer_version(LayerName=arn.rpartition(":")[0], VersionNumber=1)
    answer = invoke(client, name)
    assert answer.error is None, answer.payload
    assert answer.payload["modules"] == ["first", "second", "of the second", "versioned"]
    assert answer.payload["files"] == ["python"]
    if sandbox == "namespaces":
        assert answer.payload["writable"] is False
    server.kill()
    server.start()
    again = invoke(server.client("lambda"), name)
    assert again.payload["modules"] == ["first", "second", "of the second", "versioned"]
