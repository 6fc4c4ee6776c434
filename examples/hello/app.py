"""The smallest function: it greets."""


def handler(event, context):
    name = event.get("name", "world")
    print(f"greeting {name}")
    return {"message": f"Hello, {name}!", "request_id": context.aws_request_id}
