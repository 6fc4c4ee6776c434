"""A SAM template is read for its functions; what is not made here is said, not pretended."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from lambent.cli.plan import Choices
from lambent.cli.project import Place, Project, ProjectFunction, read_project
from lambent.cli.terminal import UsageError

PLACE = Place(region="eu-west-1", account="123456789012", queue_url_prefix="http://127.0.0.1:4566")
HEAD = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
"""


def project(folder: Path, text: str) -> Project:
    (folder / "template.yaml").write_text(HEAD + text)
    return read_project(folder, lambda: PLACE)


def only(folder: Path, text: str) -> ProjectFunction:
    (function,) = project(folder, text).functions
    return function


ORDERS = """
Parameters:
  Stage: {Type: String, Default: dev}
  Size: {Type: Number, Default: 512}
  Secret: {Type: String}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Globals:
  Function:
    Runtime: python3.12
    Timeout: 10
    Layers: [!Ref Common]
    Environment:
      Variables: {LOG: debug, STAGE: !Ref Stage}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${Stage}-orders"
      CodeUri: src/orders
      Handler: app.handler
      MemorySize: !Ref Size
      Timeout: 20
      Architectures: [arm64]
      EphemeralStorage: {Size: 1024}
      Layers: ["arn:aws:lambda:eu-west-1:123456789012:layer:l:1"]
      FunctionUrlConfig: {AuthType: NONE, Cors: {AllowOrigins: ["*"]}}
      Tracing: Active
      Environment:
        Variables:
          LOG: info
          BILLING: !GetAtt Billing.Arn
          NEXT: !Ref Billing
          WHERE: !Sub "${AWS::Region}/${AWS::AccountId}/${!Literal}"
          QUEUE: !Ref Work
          MODE: !If [IsProd, live, test]
          NONE: !If [IsProd, live, !Ref AWS::NoValue]
          TABLE: !Ref Table
          SECRET: !Ref Secret
          LAYER: !Ref Common
          ZONES: !Select [0, !GetAZs ""]
      Events:
        Web: {Type: HttpApi, Properties: {Path: /, Method: get}}
        Work:
          Type: SQS
          Properties: {Queue: !GetAtt Work.Arn, BatchSize: 3, FunctionResponseTypes: [ReportBatchItemFailures]}
  Billing:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): return 1"
      Handler: index.handler
  Boxed:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image}
  Hidden:
    Type: AWS::Serverless::Function
    Condition: IsProd
    Properties: {CodeUri: hidden}
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {LayerName: shared, ContentUri: layers/common, CompatibleRuntimes: [python3.12]}
    Metadata: {BuildMethod: python3.12}
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}
      KmsMasterKeyId: k
  Dead: {Type: AWS::SQS::Queue}
  Table: {Type: AWS::DynamoDB::Table}
"""


def test_a_function_has_what_its_properties_and_the_globals_say(tmp_path: Path) -> None:
    orders, _ = project(tmp_path, ORDERS).functions
    assert orders.name == "dev-orders"
    assert orders.aliases == ("Orders",)
    assert orders.path == tmp_path / "src" / "orders"
    assert orders.layers == ("Common", "arn:aws:lambda:eu-west-1:123456789012:layer:l:1")
    assert orders.url == {"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}}
    assert orders.choices == Choices(
        name="dev-orders",
        runtime="python3.12",
        handler="app.handler",
        memory_mb=512,
        timeout_s=20,
        architecture="arm64",
        ephemeral_storage_mb=1024,
        variables={
            "LOG": "info",
            "STAGE": "dev",
            "BILLING": "arn:aws:lambda:eu-west-1:123456789012:function:Billing",
            "NEXT": "Billing",
            "WHERE": "eu-west-1/123456789012/${Literal}",
            "QUEUE": "http://127.0.0.1:4566/123456789012/Work",
            "MODE": "test",
        },
    )


def test_inline_code_is_a_zip(tmp_path: Path) -> None:
    _, billing = project(tmp_path, ORDERS).functions
    assert billing.code is not None
    assert zipfile.ZipFile(io.BytesIO(billing.code)).namelist() == ["index.py"]


def test_queues_layers_and_their_ties_are_read(tmp_path: Path) -> None:
    found = project(tmp_path, ORDERS)
    (layer,) = found.layers
    assert (layer.published_as, layer.path) == ("shared", tmp_path / "layers/common")
    assert (layer.runtimes, layer.built_for) == (("python3.12",), "python3.12")
    work, dead = found.queues
    assert (work.name, dead.name) == ("Work", "Dead")
    assert work.attributes == {
        "VisibilityTimeout": "60",
        "RedrivePolicy": (
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:Dead", "maxReceiveCount": 2}'
        ),
    }
    (source,) = found.functions[0].queues
    assert source.queue == "arn:aws:sqs:eu-west-1:123456789012:Work"
    assert source.parameters == {"BatchSize": 3, "FunctionResponseTypes": ["ReportBatchItemFailures"]}


def test_what_is_not_made_here_is_said_in_sentences(tmp_path: Path) -> None:
    assert project(tmp_path, ORDERS).remarks == (
        "Orders: left out Tracing.",
        "Orders: the variable TABLE is left out: it refers to Table, which is not made here.",
        "Orders: the variable SECRET is left out: it refers to the parameter Secret, which has no default.",
        "Orders: the variable LAYER is left out: it refers to the layer Common, which has no version yet.",
        "Orders: the variable ZONES is left out: Fn::Select means nothing before a template is deployed.",
        "Orders: nothing here sends it the events Web (HttpApi).",
        "Boxed is left out: container images are not run here.",
        "Work: left out KmsMasterKeyId.",
        "Not made here: Table (AWS::DynamoDB::Table).",
    )


def test_a_role_of_the_template_is_the_usual_one_instead(tmp_path: Path) -> None:
    text = """
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Mine.Arn}}
"""
    found = project(tmp_path, text)
    assert found.functions[0].choices.role is None
    assert found.functions[0].path == tmp_path
    assert found.remarks == (
        "F has the usual role, not its own: it refers to Mine.Arn, which is not made here.",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Resources:\n  F: [1", "cannot be read as YAML: expected ',' or ']', but got '<stream end>' at line"),
        ("Resources: 1", "is no template: it has no Resources."),
        ("Resources: {F: 1}", "F must be a table, not 1."),
        ("Resources: {Q: {Type: AWS::SQS::Queue}}", "describes no function that could be deployed."),
        ("Parameters: {P: {Type: String}}\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: "
         "{Handler: !Ref P}}",
         "Handler of F cannot be told: it refers to the parameter P, which has no default."),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: 's3://b/k'}}}",
         "CodeUri of F must be a folder or a file here, not 's3://b/k'."),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {MemorySize: big}}}",
         "MemorySize of F cannot be 'big'."),
        ("Resources: {F: {Type: AWS::Serverless::Function, Condition: Never}}",
         "Condition of F cannot be told: there is no condition Never."),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {Handler: !Join x}}}",
         "Handler of F cannot be told: Fn::Join has a form that it cannot have: 'x'."),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_read_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        project(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "template.yaml"))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_templates_may_be_json(tmp_path: Path) -> None:
    text = (
        '{"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"Timeout": {"Ref": "T"}}}},'
    )
    (tmp_path / "template.json").write_text(
        text + ' "Parameters": {"T": {"Type": "Number", "Default": "7"}}}'
    )
    (function,) = read_project(tmp_path, lambda: PLACE).functions
    assert function.choices.timeout_s == 7


def test_globals_that_are_intrinsic_are_replaced_not_merged(tmp_path: Path) -> None:
    text = """
Parameters: {H: {Default: a.b}}
Globals: {Function: {Handler: !Ref H}}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Handler: !Sub "x.y"}}
"""
    assert only(tmp_path, text).choices.handler == "x.y"
