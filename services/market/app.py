"""Connects the market's parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from libs.api.erasure import INTERVAL, Erasures
from libs.api.paging import PageTokens
from libs.config import ConfigError
from libs.db import Database
from libs.events.log import Log
from libs.runtime import Runtime
from pq.accounts.v1 import accounts_events_pb2
from pq.market.v1 import (
    analytics_pb2_grpc,
    catalog_pb2_grpc,
    dashboard_pb2_grpc,
    imports_pb2_grpc,
    indices_pb2_grpc,
    market_pb2_grpc,
    matching_pb2_grpc,
    pipeline_pb2_grpc,
    sources_pb2_grpc,
    studies_pb2_grpc,
    watchlists_pb2_grpc,
)
from services.market.config import Config
from services.market.handlers.browsing import Browsing
from services.market.handlers.closing import Closing, Rule
from services.market.handlers.fetching import Connect, Fetching
from services.market.handlers.ingest import Ingest, Limits
from services.market.handlers.pipeline.process import PipelineProcess
from services.market.handlers.provenance import Provenance
from services.market.handlers.publications import Publications
from services.market.handlers.reading import Reading
from services.market.handlers.release import Release
from services.market.handlers.risk import Risks
from services.market.handlers.scheduling import Scheduling
from services.market.handlers.studies import StudiesProcess
from services.market.handlers.watchlists import Watchlists
from services.market.servicer.analytics import AnalyticsServicer
from services.market.servicer.catalog import CatalogServicer
from services.market.servicer.dashboard import DashboardServicer
from services.market.servicer.imports import ImportServicer
from services.market.servicer.indices import IndexServicer
from services.market.servicer.market import MarketServicer
from services.market.servicer.matching import MatchingServicer
from services.market.servicer.pipeline import PipelineServicer
from services.market.servicer.risk import RiskServicer
from services.market.servicer.sources import SourceServicer
from services.market.servicer.studies import BacktestServicer, FactorServicer
from services.market.servicer.watchlists import WatchlistServicer
from services.market.sources import justtcg, pricecharting, scryfall
from services.market.sources.adapter import Adapter
from services.market.sources.cardmarket import Cardmarket
from services.market.sources.justtcg import JustTcg
from services.market.sources.pokemontcg import PokemonTcg
from services.market.sources.polite import Manners, Polite
from services.market.sources.pricecharting import PriceCharting
from services.market.sources.scryfall import Scryfall
from services.market.sources.tcgcsv import Tcgcsv
from services.market.sources.tcgdex import Tcgdex
from services.market.store.raw import RawFiles, open_raw

MIGRATIONS = Path(__file__).with_name("migrations")


async def build(rt: Runtime, config: Config) -> None:
    """Makes the parts and hands them to the runtime."""
    db = await rt.database(migrations=[("market", MIGRATIONS)])
    log = await rt.event_log()
    rt.relay(db, log)
    raw, tokens = open_raw(config.raw), rt.page_tokens()
    ingest = _ingest(rt, config, db, raw, tokens)
    _sources(rt, config, Fetching(db, rt.clock, ingest, raw, *_adapters(rt, config)), db, tokens)
    _cards(rt, config, db, raw, tokens)
    _analytics(rt, db, tokens)
    _watchlists(rt, db, log, tokens)


def _ingest(rt: Runtime, config: Config, db: Database, raw: RawFiles, tokens: PageTokens) -> Ingest:
    """Files in, and the pipeline that publishes what they say."""
    limits = Limits(
        packed_bytes=config.max_file_bytes,
        plain_bytes=config.max_plain_bytes,
        rows=config.max_rows,
        days_ahead=config.max_days_ahead,
    )
    ingest = Ingest(db, rt.clock, rt.ids, config.sources, limits, raw)
    rule = Rule(config.open_months, timedelta(seconds=config.quiet))
    process = PipelineProcess(db, rt.clock, Closing(db, rt.clock, rule))
    ingest.published = process.wake
    rt.background("pipeline", process.run, needs=db)
    rt.servicer(
        imports_pb2_grpc.add_ImportServiceServicer_to_server, ImportServicer(db, tokens, ingest)
    )
    rt.servicer(
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server,
        PipelineServicer(db, tokens, rt.clock, process.wake),
    )
    return ingest


def _adapters(rt: Runtime, config: Config) -> tuple[dict[str, Adapter], Connect]:
    """The sources by name, and the way to their servers."""
    plain, key = Manners(config.contact), config.justtcg_key
    known: dict[Adapter, Manners] = {
        Tcgcsv(config.tcgcsv_url): plain,
        Cardmarket(config.cardmarket_url): plain,
        PokemonTcg(config.pokemontcg_url): plain,
        Tcgdex(config.tcgdex_url): plain,
        Scryfall(config.scryfall_url): replace(plain, headers=scryfall.HEADERS),
        JustTcg(config.justtcg_url): replace(
            plain, pause=justtcg.PAUSE, headers={justtcg.KEY_HEADER: key}
        ),
        PriceCharting(lambda: rt.clock.now().date(), config.pricecharting_url): replace(
            plain, query={pricecharting.TOKEN: config.pricecharting_token}
        ),
    }
    ways = {one.name: Polite(one.base, manners, rt.clock) for one, manners in known.items()}
    for way in ways.values():
        rt.on_drain(way.close)
    return {one.name: one for one in known}, lambda adapter: ways[adapter.name]


def _sources(
    rt: Runtime, config: Config, fetching: Fetching, db: Database, tokens: PageTokens
) -> None:
    """Sources that are fetched; none without a contact."""
    off = _off(config, fetching.adapters)
    unknown = [one.source for one in config.schedule if one.source not in fetching.adapters]
    if unknown:
        raise ConfigError([f"PQ_MARKET_SCHEDULE: there is no source {unknown[0]}"])
    daily = [one for one in config.schedule if one.source not in off]
    if daily:
        scheduling = Scheduling(db, rt.clock, fetching, daily)
        rt.background("schedule", scheduling.run, needs=db)
    rt.servicer(
        matching_pb2_grpc.add_MatchingServiceServicer_to_server,
        MatchingServicer(db, tokens, rt.clock),
    )
    rt.servicer(
        sources_pb2_grpc.add_SourceServiceServicer_to_server,
        SourceServicer(
            db, tokens, rt.clock, fetching, {one.source: one for one in config.schedule}, off
        ),
    )


def _off(config: Config, names: Iterable[str]) -> dict[str, str]:
    """Which sources are off, and why."""
    if not config.contact:
        return dict.fromkeys(names, "PQ_MARKET_CONTACT is not set")
    off = {}
    if not config.justtcg_key:
        off["justtcg"] = "PQ_MARKET_JUSTTCG_KEY is not set"
    if not config.pricecharting_token:
        off["pricecharting"] = "PQ_MARKET_PRICECHARTING_TOKEN is not set"
    return off


def _cards(rt: Runtime, config: Config, db: Database, raw: RawFiles, tokens: PageTokens) -> None:
    """Reads of cards, sets and quotes."""
    browsing = Browsing(db)
    rt.background("search", browsing.keep_fresh, needs=db)
    rt.servicer(
        market_pb2_grpc.add_MarketServiceServicer_to_server,
        MarketServicer(db, tokens, browsing, Release(db, rt.clock, rt.ids)),
    )
    provenance = Provenance(db, raw, config.max_plain_bytes, config.max_rows)
    rt.servicer(
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
        CatalogServicer(db, tokens, provenance),
    )


def _analytics(rt: Runtime, db: Database, tokens: PageTokens) -> None:
    """Reads of what is published."""
    rt.servicer(
        analytics_pb2_grpc.add_AnalyticsServiceServicer_to_server,
        AnalyticsServicer(db, tokens, rt.clock, Reading(db)),
    )
    rt.servicer(indices_pb2_grpc.add_IndexServiceServicer_to_server, IndexServicer(db, tokens))
    _studies(rt, db, tokens)
    publications = Publications(db)
    rt.background("publications", publications.keep_looking, needs=db)
    rt.servicer(
        dashboard_pb2_grpc.add_DashboardServiceServicer_to_server,
        DashboardServicer(db, publications),
    )


def _studies(rt: Runtime, db: Database, tokens: PageTokens) -> None:
    """Factor reports, backtests, risk."""
    process = StudiesProcess(db, rt.clock)
    rt.background("studies", process.run, needs=db)
    parts = (db, tokens, rt.clock, rt.ids, process.wake)
    rt.servicer(studies_pb2_grpc.add_FactorServiceServicer_to_server, FactorServicer(*parts))
    rt.servicer(studies_pb2_grpc.add_BacktestServiceServicer_to_server, BacktestServicer(*parts))
    rt.servicer(
        studies_pb2_grpc.add_RiskServiceServicer_to_server,
        RiskServicer(db, Reading(db), Risks(db)),
    )


def _watchlists(rt: Runtime, db: Database, log: Log, tokens: PageTokens) -> None:
    """What accounts have here."""
    watchlists = Watchlists(rt.clock, rt.ids)
    erasures = Erasures(db, rt.clock, watchlists.erase)
    gone = {accounts_events_pb2.AccountChanged: erasures.on_account_changed}
    rt.consumer("market.accounts", db, log, gone)
    rt.periodic("erasures", INTERVAL, erasures.run)
    rt.servicer(
        watchlists_pb2_grpc.add_WatchlistServiceServicer_to_server,
        WatchlistServicer(db, tokens, rt.clock, watchlists),
    )
