"""The catalogue: every metric that pq shows at /metrics, with what it means.

Names of rpc, http, db and messaging metrics are OpenTelemetry's semantic conventions in their
Prometheus form; what only pq knows starts with `pq_`. Times are in seconds, sizes in bytes. A
metric is used from here and declared nowhere else, and its labels are few: no id, no address, no
account is ever one.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# From a tenth of a millisecond, for what is answered from memory, to ten seconds.
FAST = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    10,
)
# For work that is measured in seconds.
SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)

# --- rpc: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/

RPC_SERVER_DURATION = Histogram(
    "rpc_server_call_duration_seconds",
    "How long RPCs took to answer.",
    ["rpc_method", "rpc_response_status_code"],
    buckets=FAST,
)
RPC_SERVER_ACTIVE = Gauge("rpc_server_active_requests", "RPCs under way.", ["rpc_method"])
RPC_CLIENT_DURATION = Histogram(
    "rpc_client_call_duration_seconds",
    "How long calls to other services took, repeats included.",
    ["rpc_method", "rpc_response_status_code"],
    buckets=FAST,
)
RPC_CLIENT_RETRIES = Counter(
    "pq_rpc_client_retries", "Calls that were made once more after UNAVAILABLE.", ["rpc_method"]
)
ERRORS = Counter(
    "pq_errors",
    "Errors that callers were told of, by public reason and gRPC code.",
    ["reason", "code"],
)
AUTH_REFUSALS = Counter(
    "pq_auth_refusals", "Calls that were refused for who made them, by reason.", ["reason"]
)

# --- http: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/

HTTP_SERVER_DURATION = Histogram(
    "http_server_request_duration_seconds",
    "How long requests took to answer.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=FAST,
)
HTTP_SERVER_ACTIVE = Gauge("http_server_active_requests", "Requests under way.")
HTTP_CLIENT_DURATION = Histogram(
    "http_client_request_duration_seconds",
    "How long outbound requests took, by status class or error type.",
    ["http_request_method", "outcome"],
    buckets=SLOW,
)
CACHE_REQUESTS = Counter(
    "pq_gateway_cache_requests",
    "Public reads, by what the cache had: hit, miss or stale.",
    ["outcome"],
)
RATE_LIMITED = Counter(
    "pq_gateway_rate_limited",
    "Requests that were over their limit, by route class.",
    ["route_class"],
)

# --- database: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/

DB_OPERATION_DURATION = Histogram(
    "db_client_operation_duration_seconds",
    "How long named pieces of database work took.",
    ["db_operation_name"],
    buckets=FAST,
)
DB_UP = Gauge("pq_database_ready", "1 once the database was reached and migrated.")

# --- messaging: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/

MESSAGES_SENT = Counter(
    "messaging_client_sent_messages",
    "Events that the relay appended to the log.",
    ["messaging_destination_name"],
)
MESSAGES_CONSUMED = Counter(
    "messaging_client_consumed_messages",
    "Events that a consumer was handed, redeliveries included.",
    ["messaging_destination_name", "messaging_consumer_group_name"],
)
MESSAGES_PROCESS_DURATION = Histogram(
    "messaging_process_duration_seconds",
    "How long a batch took to handle, its transaction included.",
    ["messaging_destination_name", "messaging_consumer_group_name"],
    buckets=SLOW,
)
OUTBOX_WAITING = Gauge("pq_outbox_waiting", "Events that wait to be appended to the log.")
OUTBOX_AGE = Gauge("pq_outbox_oldest_seconds", "How long the oldest of them has waited.")
OUTBOX_SNAPSHOT_AGE = Gauge(
    "pq_outbox_oldest_snapshot_seconds",
    "Age of the database's oldest snapshot; an old one keeps dead outbox rows and slows the relay.",
)
RELAY_ERRORS = Counter("pq_relay_errors", "Appends that failed and were tried again.")
CONSUMER_LAG = Gauge(
    "pq_consumer_lag", "Records from a consumer's position to the log's end.", ["consumer", "topic"]
)
CONSUMER_DUPLICATES = Counter(
    "pq_consumer_duplicates", "Events that the inbox had seen before.", ["consumer"]
)
CONSUMER_RETRIES = Counter(
    "pq_consumer_retries", "Batches that were tried again after a transient fault.", ["consumer"]
)
CONSUMER_HALTS = Counter(
    "pq_consumer_halts", "Partitions that stopped and wait for a person.", ["consumer"]
)
DEAD_LETTERS = Counter("pq_dead_letters", "Events given up, by consumer.", ["consumer"])

# --- process

BACKGROUND_RESTARTS = Counter(
    "pq_background_restarts", "Background tasks that failed and were started again.", ["task"]
)
LOOP_LAG = Gauge("pq_event_loop_lag_seconds", "How late the event loop last woke when it was due.")
READY = Gauge("pq_ready", "1 while this process takes work.")
BUILD = Gauge("pq_build_info", "Always 1; the labels say what runs.", ["service", "version"])

# --- market

IMPORTED_ROWS = Counter(
    "pq_market_import_rows", "Rows of imported files: stored, unchanged or set aside.", ["outcome"]
)
IMPORT_DURATION = Histogram(
    "pq_market_import_duration_seconds",
    "From a file's first byte to its rows and events committed.",
    ["kind"],
    buckets=SLOW,
)
PIPELINE_RUNS = Counter("pq_market_pipeline_runs", "Runs of the daily pipeline.", ["outcome"])
PIPELINE_DURATION = Histogram(
    "pq_market_pipeline_duration_seconds",
    "From a run's start to its version's publication.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 6, 10, 30),
)
PIPELINE_SUCCESS = Gauge(
    "pq_market_pipeline_success_ratio",
    "Of the days of the last thirty that have prices, the share published with their signals.",
    ["source"],
)
MONTHS_CLOSED = Counter(
    "pq_market_months_closed", "Months whose quotes were moved from rows into tiles."
)
PRICE_CHANGES = Counter("pq_market_price_changes", "Price changes published, by mode.", ["mode"])

# --- alerts

ALERTS_EVALUATED = Counter(
    "pq_alerts_changes_evaluated", "Price changes that alert rules were evaluated against."
)
ALERTS_FIRED = Counter("pq_alerts_fired", "Alerts that fired, by kind of rule.", ["kind"])
EVALUATION_DURATION = Histogram(
    "pq_alerts_evaluation_duration_seconds",
    "How long one batch of price changes took to evaluate and record.",
    buckets=FAST,
)

# --- delivery

DELIVERY_OUTCOMES = Counter(
    "pq_delivery_outcomes",
    "Deliveries that came to an end, by channel and outcome.",
    ["channel", "outcome"],
)
DELIVERY_ATTEMPTS = Counter(
    "pq_delivery_attempts", "Attempts, by channel and class of result.", ["channel", "result"]
)
DELIVERY_LATENCY = Histogram(
    "pq_delivery_latency_seconds",
    "From a message's creation to its delivery.",
    ["channel"],
    buckets=SLOW,
)
DELIVERY_IN_FLIGHT = Gauge("pq_delivery_in_flight", "Attempts under way.", ["channel"])
DELIVERY_LEASES_LOST = Counter(
    "pq_delivery_leases_lost", "Outcomes that came after their lease had passed to another worker."
)
BREAKER_TRANSITIONS = Counter(
    "pq_breaker_transitions",
    "Circuit breakers of endpoints that changed: open, reopen, close.",
    ["to"],
)
EMAIL_BOUNCES = Counter(
    "pq_email_bounces",
    "Recipients of mails that came back, by reason and kind.",
    ["reason", "kind"],
)
EMAIL_ERROR_CODES = Counter(
    "pq_email_error_codes",
    "Refusals of e-mail providers and SMTP servers, by stable code (docs/email-codes.md).",
    ["provider", "code"],
)
EMAIL_STAGES = Counter(
    "pq_email_stages",
    "E-mails by the stage they reached: accepted, sent, delayed, delivered, soft_bounced, bounced,"
    " complained.",
    ["provider", "stage"],
)
DOMAIN_AUTH = Gauge(
    "pq_domain_auth",
    "The worst verdict of a sending domain's check: 2 pass, 1 warn, 0 fail, -1 unknown.",
    ["domain", "check"],
)

# --- objectives

SLO_BURN = Gauge("pq_slo_burn", "Burn rate of each objective's error budget.", ["slo", "window"])

# --- logs that are kept for people

LOG_FLUSHES = Counter("pq_log_flush", "Flushes of the kept log.")
LOG_FLUSH_ERRORS = Counter("pq_log_flush_error", "Flushes that failed for good.")
LOG_FLUSH_RETRIES = Counter("pq_log_flush_retry", "Flushes that were tried again.")
