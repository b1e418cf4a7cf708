"""Channel arguments of both sides; what each is for."""

from __future__ import annotations

from libs.rpc.deadlines import STREAM

MEBIBYTE = 1024 * 1024
Options = list[tuple[str, str | int]]

_COMMON: Options = [
    # Violations of a long request travel in trailers; the default of 8 KiB would drop them whole.
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    # A dead peer, or a middlebox that forgot us, is noticed within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 8_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]

SERVER: Options = [
    *_COMMON,
    # Else a second server shares the port in silence, and gets half the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * MEBIBYTE),
    ("grpc.max_send_message_length", 16 * MEBIBYTE),
    # Connections move on, so that new replicas get their share. Calls under way may finish.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", int(STREAM.maximum * 1000)),
    # Clients ping every 20 s.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]

CLIENT: Options = [
    *_COMMON,
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    ("grpc.max_receive_message_length", 16 * MEBIBYTE),
    ("grpc.max_send_message_length", 4 * MEBIBYTE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # The default of 30 s would keep a client from finding replicas that have just come.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A proxy of the environment is for the world outside.
    ("grpc.enable_http_proxy", 0),
]
