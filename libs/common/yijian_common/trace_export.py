"""The tracing SDK and its OTLP/HTTP exporter; imported only when a trace endpoint is set (`telemetry.configure`)."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from yijian_common.settings import ProcessSettings

EXPORT_SECONDS = 2


def start(settings: ProcessSettings) -> None:
    """Sample at the head of a trace, follow the parent's decision after, send in the background."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.trace_sample_ratio)),
        resource=Resource.create({"service.name": settings.service}),
        shutdown_on_exit=False,  # process.run flushes with a time limit; a dead collector must not delay the stop
    )
    exporter = OTLPSpanExporter(endpoint=f"{settings.trace_endpoint}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
