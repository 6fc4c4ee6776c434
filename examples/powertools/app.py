"""A small HTTP API with AWS's Powertools: routes, structured logs and metrics.

It takes the events of a function URL or of an HTTP API (payload format 2.0).
"""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="greetings")
metrics = Metrics(namespace="Lambent/Examples", service="greetings")
app = APIGatewayHttpResolver()

GREETINGS = {"en": "Hello", "de": "Hallo", "fr": "Bonjour"}


@app.get("/languages")
def languages():
    return {"languages": sorted(GREETINGS)}


@app.get("/hello/<name>")
def hello(name: str):
    language = (app.current_event.query_string_parameters or {}).get("language", "en")
    if language not in GREETINGS:
        raise NotFoundError(f"no greeting in {language}")
    logger.info("greeting", extra={"person": name, "language": language})
    metrics.add_metric(name="Greetings", unit=MetricUnit.Count, value=1)
    return {"message": f"{GREETINGS[language]}, {name}!"}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    return app.resolve(event, context)
