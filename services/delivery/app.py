"""Builds delivery: the only place where its parts are made and connected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from libs.api.erasure import INTERVAL, Erasures
from libs.config import ConfigError
from libs.db import Database
from libs.runtime import Runtime
from pq.delivery.v1 import (
    delivery_pb2_grpc,
    domains_pb2_grpc,
    emails_pb2_grpc,
    operations_pb2_grpc,
    providers_pb2_grpc,
)
from services.delivery import consumer
from services.delivery.channels.clients import Clients
from services.delivery.channels.email.build import routes, sender, sink, webhooks
from services.delivery.channels.email.channel import EmailChannel
from services.delivery.channels.email.render import Renderer
from services.delivery.channels.resolver import Resolver
from services.delivery.channels.webhook import WebhookChannel
from services.delivery.config import Config
from services.delivery.dns.configured import own_keys
from services.delivery.dns.policies import PolicyReader
from services.delivery.dns.reader import DnsReader
from services.delivery.dns.suffixes import Suffixes
from services.delivery.dns.survey import Survey
from services.delivery.domain.addresses import AddressPolicy
from services.delivery.domain.breaker import BreakerPolicy
from services.delivery.domain.email_links import PURPOSE, Links
from services.delivery.domain.model import Channel
from services.delivery.domain.schedule import Schedule
from services.delivery.domain.urls import UrlPolicy
from services.delivery.handlers.alerts import TellOfAlerts
from services.delivery.handlers.digests import Digests
from services.delivery.handlers.domains import Domains
from services.delivery.handlers.email_events import EmailEvents
from services.delivery.handlers.email_notices import TellOwners
from services.delivery.handlers.email_suppressions import Suppressions
from services.delivery.handlers.emails import EmailAddresses
from services.delivery.handlers.endpoint_keys import EndpointKeys
from services.delivery.handlers.endpoint_verification import EndpointVerification
from services.delivery.handlers.endpoints import Endpoints
from services.delivery.handlers.erasure import erase
from services.delivery.handlers.insight import Insight
from services.delivery.handlers.messages import Messages
from services.delivery.handlers.operations import Operations
from services.delivery.handlers.retention import Retention
from services.delivery.handlers.sweeping import Sweeps
from services.delivery.inbound.received import Bounces
from services.delivery.inbound.wiring import listen_for_bounces
from services.delivery.sending.dispatcher import Dispatcher, Limits, Send
from services.delivery.sending.health import HealthPolicy
from services.delivery.sending.intake import Intake
from services.delivery.sending.worker import Pace, Worker
from services.delivery.servicer.domains import DomainServicer
from services.delivery.servicer.email_suppressions import SuppressionServicer
from services.delivery.servicer.emails import EmailAddressServicer, EmailLinkServicer
from services.delivery.servicer.endpoint_keys import WebhookKeyServicer
from services.delivery.servicer.endpoints import EndpointServicer
from services.delivery.servicer.mails import MailServicer
from services.delivery.servicer.messages import MessageServicer
from services.delivery.servicer.providers import ProviderServicer
from services.delivery.servicer.sending import SendingServicer
from services.delivery.store import emails
from services.delivery.store.vault import Vault, VaultError

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("migrations")
# Seconds from one look for domains that are due to the next; nothing but one indexed read each.
_DOMAIN_PACE = 30.0
_POLICY_CLIENTS = 8
# Seconds from one look for digests that are due to the next; one indexed read where none is.
_DIGEST_PACE = 15.0
# Seconds between looks for what providers told too long ago.
_PRUNE_PACE = 3600.0


async def build(rt: Runtime, config: Config) -> None:
    """Connects delivery's parts."""
    vault = _vault(config)
    policy = UrlPolicy(AddressPolicy(config.allow_networks), config.allow_http)
    resolver = Resolver(policy.addresses, rt.clock)
    db = await rt.database(migrations=[("delivery", MIGRATIONS)])
    log = await rt.event_log()
    rt.relay(db, log)

    channel = WebhookChannel(
        policy, resolver, Clients(proxy=config.proxy or None), rt.clock, config.attempt_deadline
    )
    links = Links(vault.derive(PURPOSE), config.public_url)
    renderer, providers = Renderer(), routes(config, db, rt.clock, rt.ids)
    email = EmailChannel(db, providers, renderer, links, sender(config), rt.clock, rt.ids)
    worker = _worker(
        rt, config, db, vault, {Channel.WEBHOOK: channel.send, Channel.EMAIL: email.send}
    )
    rt.on_drain(worker.drain)
    rt.background("heartbeat", worker.beat, needs=db)
    rt.background("claims", worker.claim, needs=db)
    rt.background("outcomes", worker.recorder.run)
    sweeps = Sweeps(db, vault, config.lease_lifetime)
    rt.background("reseal", lambda: _reseal(sweeps), needs=db)
    retention = Retention(db, timedelta(days=config.retention))
    rt.periodic("retention", _PRUNE_PACE, retention.run)
    rt.periodic("sweeps", worker.pace.poll, lambda: _sweep(sweeps, worker))

    tell = TellOfAlerts(vault, worker, rt.clock)
    rt.consumer(consumer.NAME, db, log, consumer.handlers(tell, TellOwners(worker, rt.clock)))
    erasures = Erasures(db, rt.clock, erase)
    rt.consumer(consumer.ACCOUNTS, db, log, consumer.account_handlers(erasures))
    rt.periodic("erasures", INTERVAL, erasures.run)
    endpoints = Endpoints(db, vault, policy, resolver, rt.clock, rt.ids)
    keys = EndpointKeys(db, vault, rt.clock)
    rt.servicer(
        delivery_pb2_grpc.add_EndpointServiceServicer_to_server,
        EndpointServicer(
            db,
            endpoints,
            keys,
            EndpointVerification(db, vault, channel.send, rt.clock, rt.ids),
            rt.page_tokens(),
            rt.clock,
            require_verification=config.require_verification,
        ),
    )
    rt.servicer(delivery_pb2_grpc.add_WebhookKeyServiceServicer_to_server, WebhookKeyServicer(keys))
    rt.servicer(
        delivery_pb2_grpc.add_MessageServiceServicer_to_server,
        MessageServicer(db, rt.page_tokens()),
    )
    _sending(rt, db, vault, worker)
    if not providers.configured:
        logger.warning("nothing sends e-mail: it waits until PQ_EMAIL_PROVIDERS is set")
    rt.background("email-lanes", lambda: _set_configured(db, providers.configured), needs=db)
    digests = Digests(db, worker, rt.clock, rt.ids)
    rt.periodic("digests", _DIGEST_PACE, digests.run)
    addresses = EmailAddresses(db, worker, links, rt.clock, rt.ids, configured=providers.configured)
    rt.servicer(
        emails_pb2_grpc.add_EmailAddressServiceServicer_to_server,
        EmailAddressServicer(db, addresses, rt.page_tokens(), rt.clock),
    )
    rt.servicer(
        emails_pb2_grpc.add_EmailLinkServiceServicer_to_server,
        EmailLinkServicer(addresses, renderer),
    )
    rt.servicer(
        emails_pb2_grpc.add_SuppressionServiceServicer_to_server,
        SuppressionServicer(
            db, Suppressions(db, worker, rt.clock, rt.ids), rt.page_tokens(), rt.clock
        ),
    )
    events = EmailEvents(db, webhooks(config), rt.clock, rt.ids)
    rt.periodic("email-events", _PRUNE_PACE, events.prune)
    bounces = Bounces(db, rt.clock, rt.ids, events.receive_bounce)
    rt.periodic("old-bounces", _PRUNE_PACE, bounces.sweep)
    listen_for_bounces(rt, config, db, bounces)
    rt.servicer(
        providers_pb2_grpc.add_ProviderServiceServicer_to_server,
        ProviderServicer(events, bounces, rt.page_tokens()),
    )
    rt.servicer(
        providers_pb2_grpc.add_MailServiceServicer_to_server,
        MailServicer(sink(config), rt.page_tokens()),
    )
    _domains(rt, config, db, PolicyReader(policy, resolver, Clients(kept=_POLICY_CLIENTS)))


def _sending(rt: Runtime, db: Database, vault: Vault, worker: Worker) -> None:
    messages = Messages(db, vault, Intake(vault, worker), rt.clock, rt.ids)
    operations = Operations(db, vault, worker, rt.clock, rt.ids)
    rt.periodic("operations", worker.pace.poll, operations.run)
    rt.servicer(
        operations_pb2_grpc.add_SendingServiceServicer_to_server,
        SendingServicer(
            db, messages, operations, Insight(db, rt.clock), rt.page_tokens(), rt.clock
        ),
    )


def _domains(rt: Runtime, config: Config, db: Database, policies: PolicyReader) -> None:
    survey = Survey(DnsReader(config.dns), policies, Suffixes())
    interval = timedelta(seconds=config.domain_interval)
    selectors = [(selector.name, selector.key) for selector in config.dkim]
    own = own_keys(sender(config).domain, selectors)
    domains = Domains(db, survey, rt.clock, interval, own)
    rt.periodic("domains", _DOMAIN_PACE, domains.round)
    rt.servicer(
        domains_pb2_grpc.add_DomainServiceServicer_to_server,
        DomainServicer(db, domains, rt.page_tokens(), rt.clock),
    )


def _vault(config: Config) -> Vault:
    try:
        return Vault.load(config.secret_keys)
    except (OSError, VaultError) as error:
        raise ConfigError([f"PQ_DELIVERY_SECRET_KEYS: {error}"]) from error


def _worker(
    rt: Runtime, config: Config, db: Database, vault: Vault, channels: Mapping[Channel, Send]
) -> Worker:
    dispatcher = Dispatcher(
        channels,
        rt.clock,
        rt.ids,
        Schedule(config.retry_delays),
        Limits(slots=config.slots, credit=config.credit),
    )
    pace = Pace(lifetime=config.lease_lifetime, beat=config.lease_lifetime / 5)
    return Worker(db, vault, dispatcher, rt.clock, rt.ids, pace, _health(config))


def _health(config: Config) -> HealthPolicy:
    days = timedelta(days=config.disable_after)
    return HealthPolicy(
        BreakerPolicy(
            minimum=config.breaker_minimum,
            share=config.breaker_share,
            first=config.breaker_open,
            longest=max(900.0, config.breaker_open),
            probes=config.breaker_probes,
        ),
        disable_after=days,
        warn_after=days * 0.6,
        probe_lifetime=config.attempt_deadline + config.lease_lifetime,
    )


async def _sweep(sweeps: Sweeps, worker: Worker) -> None:
    if await sweeps.run():
        worker.wake()


async def _set_configured(db: Database, configured: bool) -> None:
    await emails.set_configured(db, configured)
    await asyncio.Event().wait()


async def _reseal(sweeps: Sweeps) -> None:
    await sweeps.reseal()
    await sweeps.complete()
    await sweeps.revive()
    await asyncio.Event().wait()
