// The life of a function, told with the AWS SDK for JavaScript. Any broken promise ends it with a stack trace.
// Arguments: a file with {packages: [base64 zips], name, role}.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as sdk from "@aws-sdk/client-lambda";

const { packages, name, role } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [first, second, shared] = packages.map((text) => Buffer.from(text, "base64"));
const client = new sdk.LambdaClient({ maxAttempts: 1 });
const send = (command, input) => client.send(new sdk[`${command}Command`](input));
const patience = { client, maxWaitTime: 30, minDelay: 0.05, maxDelay: 0.1 };
const done = [];

async function step(title, tell) {
  await tell();
  done.push(title);
}

async function refused(kind, promise) {
  const error = await promise.then(() => assert.fail(`${kind.name} was expected`), (caught) => caught);
  assert.ok(error instanceof kind, `${error}`);
  return error;
}

async function invoke(input = {}, event = {}) {
  const answer = await send("Invoke", { FunctionName: name, Payload: JSON.stringify(event), ...input });
  return { ...answer, value: answer.Payload?.length ? JSON.parse(answer.Payload.transformToString()) : undefined };
}

await step("create and wait", async () => {
  const created = await send("CreateFunction", {
    FunctionName: name, Role: role, Runtime: "python3.12", Handler: "app.handler",
    Code: { ZipFile: first }, Environment: { Variables: { WHO: "js" } }, Tags: { made: "here" },
  });
  assert.equal(created.State, "Pending");
  await sdk.waitUntilFunctionActiveV2(patience, { FunctionName: name });
  const found = await send("GetFunction", { FunctionName: name });
  assert.equal(found.Configuration.CodeSha256, created.CodeSha256);
  assert.deepEqual(found.Tags, { made: "here" });
  const zip = await fetch(found.Code.Location);
  assert.deepEqual(Buffer.from(await zip.arrayBuffer()), first);
});

await step("invoke", async () => {
  const answer = await invoke({ LogType: "Tail" }, { n: 20 });
  assert.deepEqual(answer.value, { n: 20, version: 1, who: "js" });
  assert.equal(answer.ExecutedVersion, "$LATEST");
  assert.match(Buffer.from(answer.LogResult, "base64").toString(), /REPORT RequestId: /);
  const failed = await invoke({}, { fail: "as asked" });
  assert.equal(failed.FunctionError, "Unhandled");
  assert.equal(failed.value.errorMessage, "as asked");
  assert.equal((await invoke({ InvocationType: "DryRun" })).StatusCode, 204);
});

await step("a response that comes bit by bit", async () => {
  const stream = async (event) => {
    const answer = await send("InvokeWithResponseStream", {
      FunctionName: name, Payload: JSON.stringify(event), LogType: "Tail",
    });
    assert.equal(answer.ExecutedVersion, "$LATEST");
    const chunks = [];
    let end;
    for await (const { PayloadChunk, InvokeComplete } of answer.EventStream) {
      if (PayloadChunk) chunks.push(Buffer.from(PayloadChunk.Payload).toString());
      else end = InvokeComplete;
    }
    return [chunks.join(""), end];
  };
  const [text, end] = await stream({ stream: ["one ", "two"] });
  assert.deepEqual([text, end.ErrorCode], ["one two", undefined]);
  assert.match(Buffer.from(end.LogResult, "base64").toString(), /REPORT RequestId: /);
  const [begun, failed] = await stream({ stream: ["one ", null] });
  assert.deepEqual([begun, failed.ErrorCode], ["one ", "Unhandled"]);
  assert.equal(JSON.parse(failed.ErrorDetails).errorType, "ValueError");
});

await step("publish, alias, route", async () => {
  assert.equal((await send("PublishVersion", { FunctionName: name })).Version, "1");
  await send("UpdateFunctionCode", { FunctionName: name, ZipFile: second });
  await sdk.waitUntilFunctionUpdatedV2(patience, { FunctionName: name });
  assert.equal((await send("PublishVersion", { FunctionName: name })).Version, "2");
  await sdk.waitUntilPublishedVersionActive(patience, { FunctionName: name, Qualifier: "2" });
  const alias = await send("CreateAlias", { FunctionName: name, Name: "live", FunctionVersion: "1" });
  assert.equal((await invoke({ Qualifier: "live" })).value.version, 1);
  const moved = await send("UpdateAlias", {
    FunctionName: name, Name: "live", RevisionId: alias.RevisionId,
    RoutingConfig: { AdditionalVersionWeights: { 2: 1 } },
  });
  assert.deepEqual(moved.RoutingConfig, { AdditionalVersionWeights: { 2: 1 } });
  const answer = await invoke({ FunctionName: alias.AliasArn });
  assert.equal(answer.ExecutedVersion, "2");
  assert.equal(answer.value.version, 2);
});

await step("layers", async () => {
  const layer = await send("PublishLayerVersion", {
    LayerName: `${name}-layer`, Content: { ZipFile: shared }, CompatibleRuntimes: ["python3.12"],
  });
  await send("UpdateFunctionConfiguration", { FunctionName: name, Layers: [layer.LayerVersionArn] });
  await sdk.waitUntilFunctionUpdatedV2(patience, { FunctionName: name });
  assert.equal((await invoke()).value.shared, 42);
  const byArn = await send("GetLayerVersionByArn", { Arn: layer.LayerVersionArn });
  assert.equal(byArn.Version, 1);
  await send("DeleteLayerVersion", { LayerName: `${name}-layer`, VersionNumber: 1 });
});

await step("permissions", async () => {
  const input = {
    FunctionName: name, StatementId: "s3", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com",
  };
  const { Statement } = await send("AddPermission", input);
  const { Policy, RevisionId } = await send("GetPolicy", { FunctionName: name });
  assert.deepEqual(JSON.parse(Policy).Statement, [JSON.parse(Statement)]);
  await refused(sdk.ResourceConflictException, send("AddPermission", input));
  await send("RemovePermission", { FunctionName: name, StatementId: "s3", RevisionId });
  await refused(sdk.ResourceNotFoundException, send("GetPolicy", { FunctionName: name }));
});

await step("errors have their names, texts and members", async () => {
  const missing = await refused(sdk.ResourceNotFoundException, send("GetFunction", { FunctionName: "missing" }));
  assert.match(missing.message, /^Function not found: arn:aws:lambda:/);
  assert.equal(missing.Type, "User");
  assert.equal(missing.$metadata.httpStatusCode, 404);
  const stale = send("PublishVersion", { FunctionName: name, RevisionId: "stale" });
  assert.match((await refused(sdk.PreconditionFailedException, stale)).message, /^The Revision Id provided/);
  const bad = send("UpdateFunctionCode", { FunctionName: name, ZipFile: Buffer.from("no zip") });
  assert.match((await refused(sdk.InvalidParameterValueException, bad)).message, /^Could not unzip/);
  await refused(sdk.InvalidRequestContentException, send("Invoke", { FunctionName: name, Payload: "no json" }));
  await send("PutFunctionConcurrency", { FunctionName: name, ReservedConcurrentExecutions: 0 });
  const throttled = await refused(sdk.TooManyRequestsException, send("Invoke", { FunctionName: name }));
  assert.equal(throttled.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
  await send("DeleteFunctionConcurrency", { FunctionName: name });
});

await step("pagination", async () => {
  for (const alias of ["a", "b", "c"]) {
    await send("CreateAlias", { FunctionName: name, Name: alias, FunctionVersion: "1" });
  }
  const names = [];
  let pages = 0;
  for await (const page of sdk.paginateListAliases({ client, pageSize: 2 }, { FunctionName: name })) {
    pages += 1;
    names.push(...page.Aliases.map((alias) => alias.Name));
  }
  assert.deepEqual([names, pages], [["a", "b", "c", "live"], 2]);
  const versions = [];
  for await (const page of sdk.paginateListVersionsByFunction({ client, pageSize: 1 }, { FunctionName: name })) {
    versions.push(...page.Versions.map((version) => version.Version));
  }
  assert.deepEqual(versions, ["$LATEST", "1", "2"]);
});

await step("delete", async () => {
  await refused(sdk.ResourceConflictException, send("DeleteFunction", { FunctionName: name, Qualifier: "1" }));
  await send("DeleteFunction", { FunctionName: name });
  await refused(sdk.ResourceNotFoundException, send("GetFunction", { FunctionName: name }));
});

console.log(JSON.stringify(done));
