"""A small shop that is instrumented with OpenTelemetry's own SDK: `sdk.py grpc|http ENDPOINT COUNT`."""

import logging
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

protocol, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
headers = {"authorization": "Bearer sdk-s3cret-token"}
if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    options = {"endpoint": endpoint, "insecure": endpoint.startswith("http://"), "headers": headers, "compression": Compression.Gzip}
    span_exporter, log_exporter = OTLPSpanExporter(**options), OTLPLogExporter(**options)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    options = {"headers": headers, "compression": Compression.Gzip}
    span_exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces", **options)
    log_exporter = OTLPLogExporter(endpoint=endpoint + "/v1/logs", **options)

resource = Resource.create({"service.name": "checkout", "deployment.environment": "test"})
traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(span_exporter, schedule_delay_millis=200))
trace.set_tracer_provider(traces)
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter, schedule_delay_millis=200))
set_logger_provider(logs)
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=logs))

tracer = trace.get_tracer("shop.checkout", "1.2.3")
for number in range(count):
    with tracer.start_as_current_span(
        "POST /orders", kind=SpanKind.SERVER, attributes={"order.id": f"o-{number}", "order.lines": number, "order.tags": ["a", "b"]}
    ) as order:
        order.add_event("validated", {"rule": "stock"})
        logger.info("order placed", extra={"order.id": f"o-{number}"})
        with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT, links=[Link(order.get_span_context())]) as pay:
            pay.set_attribute("payment.amount", 12.5)
            if number == 1:
                pay.set_status(Status(StatusCode.ERROR, "card refused"))
    print(number, flush=True)
    time.sleep(0.05)

done = traces.force_flush(60_000) and logs.force_flush(60_000)
traces.shutdown()
logs.shutdown()
sys.exit(0 if done else 1)
