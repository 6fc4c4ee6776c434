"""Code as it is published for Lambda, unmodified: web frameworks behind their adapters, in Node.js and Python."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness import Server, create, invoke
from packages import files_below, npm_packages, python_packages

pytestmark = pytest.mark.external
HERE = f"python3.{sys.version_info.minor}"
REQUEST = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/hello/Ada",
    "rawQueryString": "times=2",
    "headers": {"host": "example.com", "content-type": "application/json", "accept": "*/*"},
    "queryStringParameters": {"times": "2"},
    "requestContext": {
        "accountId": "000000000000",
        "apiId": "api",
        "domainName": "example.com",
        "domainPrefix": "example",
        "http": {
            "method": "POST",
            "path": "/hello/Ada",
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "test",
        },
        "requestId": "id",
        "routeKey": "$default",
        "stage": "$default",
        "time": "01/Jan/2026:00:00:00 +0000",
        "timeEpoch": 1767225600000,
    },
    "body": '{"mark": "!"}',
    "isBase64Encoded": False,
}
"""Version 2.0 of API Gateway's proxy event."""

EXPRESS = """
const express = require('express');
const serverless = require('serverless-http');
const app = express();
app.use(express.json());
app.post('/hello/:name', (request, response) => {
  console.log('greeting %s', request.params.name);
  response.status(201).json({ text: request.params.name + request.body.mark.repeat(request.query.times) });
});
module.exports.handler = serverless(app);
"""
MIDDY = """
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import httpErrorHandler from '@middy/http-error-handler';
const greet = async (event) => {
  if (event.body.mark === '?') throw Object.assign(new Error('no questions'), { statusCode: 422, expose: true });
  return { statusCode: 200, body: JSON.stringify({ text: event.body.mark }) };
};
export const handler = middy().use(httpJsonBodyParser()).use(httpErrorHandler()).handler(greet);
"""
HONO = """
import { Hono } from 'hono';
import { handle } from 'hono/aws-lambda';
const app = new Hono();
app.post('/hello/:name', async (c) => {
  console.log('greeting %s', c.req.param('name'));
  const { mark } = await c.req.json();
  return c.json({ text: c.req.param('name') + mark.repeat(c.req.query('times')) }, 201);
});
export const handler = handle(app);
"""
POWERTOOLS = """
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { LambdaInterface } from '@aws-lambda-powertools/commons/types';
import type { Context } from 'aws-lambda';

const logger = new Logger({ serviceName: 'orders' });
const metrics = new Metrics({ namespace: 'shop', serviceName: 'orders' });

class Orders implements LambdaInterface {
  @metrics.logMetrics({ captureColdStartMetric: true })
  @logger.injectLambdaContext({ clearState: true })
  public async handler(event: { total: number }, context: Context): Promise<{ id: string; total: number }> {
    logger.appendKeys({ total: event.total });
    if (event.total < 0) {
      logger.error('refused', new RangeError('below zero'));
      throw new RangeError('below zero');
    }
    metrics.addMetric('orders', MetricUnit.Count, 1);
    logger.info('taken');
    return { id: context.awsRequestId, total: event.total };
  }
}

const orders = new Orders();
export const handler = orders.handler.bind(orders);
"""
FASTAPI = """
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel
app = FastAPI()
class Body(BaseModel):
    mark: str
@app.post("/hello/{name}", status_code=201)
def hello(name: str, body: Body, times: int = 1):
    return {"text": name + body.mark * times}
handler = Mangum(app, lifespan="off")
"""
FLASK = """
from apig_wsgi import make_lambda_handler
from flask import Flask, jsonify, request
app = Flask(__name__)
@app.post("/hello/<name>")
def hello(name):
    print("greeting", name)
    return jsonify(text=name + request.json["mark"] * int(request.args["times"])), 201
handler = make_lambda_handler(app)
"""


@pytest.fixture
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


@pytest.fixture(scope="module")
def node_packages() -> dict[str, bytes]:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    place = npm_packages(
        "express@4",
        "serverless-http@3",
        "@middy/core@6",
        "@middy/http-json-body-parser@6",
        "@middy/http-error-handler@6",
    )
    return files_below(place)


@pytest.fixture(scope="module")
def powertools() -> bytes:
    """The application in TypeScript, compiled and bundled as its author would."""
    place = npm_packages(
        "esbuild@0.28",
        "@aws-lambda-powertools/logger@2",
        "@aws-lambda-powertools/metrics@2",
        "@types/aws-lambda@8",
    )
    options = json.dumps({"compilerOptions": {"experimentalDecorators": True, "target": "es2022"}})
    done = subprocess.run(
        [
            str(place / "node_modules" / ".bin" / "esbuild"),
            "--bundle",
            "--platform=node",
            "--target=node20",
            "--loader=ts",
            f"--tsconfig-raw={options}",
        ],
        input=POWERTOOLS.encode(),
        env={**os.environ, "NODE_PATH": str(place / "node_modules")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def web_packages() -> dict[str, bytes]:
    return files_below(python_packages("fastapi", "mangum", "flask", "apig-wsgi"))


def greets(client: Any, name: str, files: dict[str, Any], runtime: str) -> str:
    """The function's log of a request that is answered as its framework answers everywhere."""
    create(client, name, files, Runtime=runtime, MemorySize=1024, Timeout=30)
    answer = invoke(client, name, REQUEST)
    assert answer.error is None, answer
    assert answer.payload["statusCode"] == 201
    assert answer.payload["headers"]["content-type"].startswith("application/json")
    assert json.loads(answer.payload["body"]) == {"text": "Ada!!"}
    assert invoke(client, name, REQUEST).payload["statusCode"] == 201
    return answer.log


def test_express_behind_serverless_http(client: Any, name: str, node_packages: dict[str, bytes]) -> None:
    log = greets(client, name, node_packages | {"app.js": EXPRESS.encode()}, "nodejs20.x")
    assert "\tINFO\tgreeting Ada\n" in log


def test_a_middy_handler(client: Any, name: str, node_packages: dict[str, bytes]) -> None:
    create(client, name, node_packages | {"app.mjs": MIDDY.encode()}, Runtime="nodejs20.x", Timeout=30)
    event = {"headers": {"Content-Type": "application/json"}, "body": '{"mark": "!"}'}
    assert json.loads(invoke(client, name, event).payload["body"]) == {"text": "!"}
    refused = invoke(client, name, event | {"body": '{"mark": "?"}'})
    assert (refused.error, refused.payload["statusCode"]) == (None, 422)


def test_hono_behind_its_own_adapter(client: Any, name: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    files = files_below(npm_packages("hono@4")) | {"app.mjs": HONO.encode()}
    assert "\tINFO\tgreeting Ada\n" in greets(client, name, files, "nodejs24.x")


@pytest.mark.parametrize("runtime", ["nodejs20.x", "nodejs24.x"])
def test_powertools_in_typescript(client: Any, name: str, powertools: bytes, runtime: str) -> None:
    create(client, name, {"app.js": powertools}, Runtime=runtime, MemorySize=512, Timeout=30)
    answers = [invoke(client, name, {"total": 5}) for _ in range(2)]
    for answer, is_cold in zip(answers, (True, False), strict=True):
        request_id = answer.headers["x-amzn-requestid"]
        assert (answer.error, answer.payload) == (None, {"id": request_id, "total": 5})
        lines = [json.loads(line) for line in answer.log.splitlines() if line.startswith("{")]
        (logged,) = (line for line in lines if line.get("message") == "taken")
        assert (logged["service"], logged["level"], logged["total"]) == ("orders", "INFO", 5)
        assert (logged["function_request_id"], logged["cold_start"]) == (request_id, is_cold)
        assert logged["function_name"] == name
        assert logged["xray_trace_id"].startswith("1-")
        measured = [line for line in lines if "_aws" in line]
        assert ["orders" in line for line in measured] == ([False, True] if is_cold else [True])
    refused = invoke(client, name, {"total": -1})
    assert (refused.error, refused.payload["errorType"]) == ("Unhandled", "RangeError")
    assert '"message":"refused"' in refused.log


def greets_at_a_url(lambent: Server, client: Any, name: str, invoke_mode: str) -> None:
    """A function answers at its URL as its framework answers everywhere."""
    client.add_permission(
        FunctionName=name,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE", InvokeMode=invoke_mode)
    headers = {"Host": urlsplit(url["FunctionUrl"]).netloc, "Content-Type": "application/json"}
    with contextlib.closing(HTTPConnection("127.0.0.1", lambent.port, timeout=60)) as connection:
        connection.request("POST", "/hello/Ada?times=2", REQUEST["body"], headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (201, {"text": "Ada!!"})
        assert len(answer.headers.get_all("content-length") or []) == 1
        connection.request("POST", "/nowhere", "{}", headers)
        assert connection.getresponse().status == 404


def test_fastapi_behind_mangum(
    lambent: Server, client: Any, name: str, web_packages: dict[str, bytes]
) -> None:
    greets(client, name, web_packages | {"app.py": FASTAPI.encode()}, HERE)
    greets_at_a_url(lambent, client, name, "BUFFERED")


def test_flask_behind_apig_wsgi(
    lambent: Server, client: Any, name: str, web_packages: dict[str, bytes]
) -> None:
    assert "greeting Ada\n" in greets(client, name, web_packages | {"app.py": FLASK.encode()}, HERE)
    greets_at_a_url(lambent, client, name, "RESPONSE_STREAM")
